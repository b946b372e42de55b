"""LPIPS against torchmetrics, whose linear layers come with it."""

import numpy as np
import pytest
import torch
from PIL import Image

from huebands.metrics.lpips import LPIPS
from huebands.models.parts.torchvision_import import torchvision
from huebands.models.parts.vgg import VGG16Features


@pytest.fixture(scope="module")
def lpips():
    return LPIPS()


@pytest.fixture(scope="module")
def photos():
    """A smooth photo, its grey, a noisy one, a black one and a red one."""
    generator = np.random.default_rng(0)
    coarse = Image.fromarray(generator.integers(0, 256, (6, 5, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((48, 64), Image.Resampling.BICUBIC))
    grey = np.repeat(smooth.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    noise = generator.integers(0, 256, smooth.shape, dtype=np.uint8)
    return [smooth, grey, noise, np.zeros_like(smooth), np.full_like(smooth, (255, 0, 9))]


@pytest.fixture(scope="module")
def reference():
    """The network of torchmetrics on our convolutions, which it would download."""
    torchvision()  # torchmetrics imports it
    from torchmetrics.functional.image.lpips import _LPIPS

    network = _LPIPS(pretrained=True, net="vgg", pnet_rand=True)
    ours = VGG16Features(weights="lpips", activations=(29,)).layers.state_dict()
    names = {name.split(".", 1)[1]: name for name in network.net.state_dict()}
    network.net.load_state_dict({names[name]: tensor for name, tensor in ours.items()})
    return network


def test_lpips_equals_torchmetrics(lpips, photos, reference):
    tensors = [torch.tensor(photo).permute(2, 0, 1)[None] / 255 for photo in photos]
    features = [lpips.features(photo) for photo in photos]
    for first in range(len(photos)):
        for second in range(first):
            expected = float(reference(tensors[first], tensors[second], normalize=True))
            # torchmetrics keeps norms from 0 by 1e-8 under the root.
            assert lpips.distance(features[first], features[second]) == pytest.approx(expected, abs=1e-5, rel=1e-4)


def test_lpips_is_zero_for_equal_photos_and_grows_with_what_is_lost(lpips, photos):
    smooth, grey, noise = (lpips.features(photo) for photo in photos[:3])
    assert lpips.distance(smooth, smooth) == 0
    assert 0 < lpips.distance(smooth, grey) < lpips.distance(smooth, noise)
