"""CIELAB against scikit-image, the gamut, and grey levels of equal lightness."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from skimage import color as skimage_color
from torch import Tensor

from huebands import color


def as_skimage(image_3HW: Tensor) -> np.ndarray:
    return image_3HW.permute(1, 2, 0).numpy()


@pytest.fixture
def corners() -> Tensor:
    """The 8 corners of the RGB cube, (3, 1, 8) float64."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64).T[:, None]


@pytest.fixture
def random_colours() -> Tensor:
    return torch.rand(3, 100, 100, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("colours", ["corners", "random_colours"])
def test_lab_equals_scikit_image(colours: str, request: pytest.FixtureRequest) -> None:
    rgb = request.getfixturevalue(colours)
    lab = color.srgb_to_lab(rgb)
    np.testing.assert_allclose(as_skimage(lab), skimage_color.rgb2lab(as_skimage(rgb)), atol=1e-10)
    np.testing.assert_allclose(as_skimage(color.lab_to_srgb(lab)), as_skimage(rgb), atol=1e-10)


def test_colours_outside_srgb_leave_the_unit_cube_like_scikit_image_before_its_clip(
    random_colours: Tensor,
) -> None:
    lab = color.srgb_to_lab(random_colours)
    lab[1:] *= 1.5
    rgb = color.lab_to_srgb(lab)
    assert rgb.min() < 0 or rgb.max() > 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*negative Z values", category=UserWarning)
        expected = skimage_color.lab2rgb(as_skimage(lab))
    np.testing.assert_allclose(as_skimage(rgb.clamp(0, 1)), expected, atol=1e-9)


def test_conversions_have_finite_and_correct_gradients() -> None:
    rgb = torch.rand(1, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(color.srgb_to_lab, rgb)
    assert torch.autograd.gradcheck(
        lambda lab: color.lab_to_srgb(lab), color.srgb_to_lab(rgb).detach().requires_grad_()
    )
    black = torch.zeros(1, 3, 1, 1, requires_grad=True)
    color.srgb_to_lab(black).sum().backward()
    assert torch.isfinite(black.grad).all()


def test_units_are_in_range_and_convert_back(random_colours: Tensor) -> None:
    lab = color.srgb_to_lab(random_colours)
    L_unit, ab_unit = color.to_units(lab)
    assert L_unit.abs().max() <= 1 and ab_unit.abs().max() <= 1
    torch.testing.assert_close(color.from_units(L_unit, ab_unit), lab)


def test_fit_to_gamut_keeps_lightness_hue_and_colours_inside() -> None:
    random = torch.Generator().manual_seed(2)
    lab = torch.randn(3, 64, 64, generator=random) * 80
    lab[0] = torch.rand(64, 64, generator=random) * 100
    fitted = color.fit_to_gamut(lab)
    rgb = color.lab_to_srgb(fitted)
    assert rgb.min() >= -0.51 / 255 and rgb.max() <= 1 + 0.51 / 255
    assert torch.equal(fitted[0], lab[0])
    torch.testing.assert_close(fitted[1] * lab[2], fitted[2] * lab[1], atol=0.02, rtol=1e-4)
    assert torch.equal(color.fit_to_gamut(fitted), fitted)


def test_grey_levels_keep_grey_and_lightness() -> None:
    greys = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    assert torch.equal(color.grey_levels(greys), greys[0])
    rgb = torch.randint(0, 256, (3, 100, 100), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    lightness = color.srgb_to_lab(color.from_bytes(rgb))[0]
    # Half a step between neighbouring greys is at most 0.25 in L.
    steps = color.lightness_of_grey(torch.arange(256)).diff()
    assert (color.lightness_of_grey(color.grey_levels(rgb)) - lightness).abs().max() <= steps.max() / 2 + 1e-4


def test_gamut_table_is_exact_for_all_8_bit_colours() -> None:
    occurs = torch.zeros(3, 256 * 256, dtype=torch.bool)  # of each channel, which values occur at which grey level
    green, blue = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    for red in range(256):
        rgb = torch.stack((torch.full_like(green, red), green, blue))
        grey = color.grey_levels(rgb.to(torch.uint8)).long()
        for channel in range(3):
            occurs[channel, (256 * grey + rgb[channel]).flatten()] = True
    levels_first = occurs.view(3, 256, 256).transpose(0, 1).to(torch.uint8)
    lowest, highest = levels_first.argmax(dim=2), 255 - levels_first.flip(2).argmax(dim=2)
    assert torch.equal(torch.stack((lowest, highest), dim=-1), color.gamut_table().long())
