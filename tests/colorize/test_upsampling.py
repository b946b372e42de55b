"""Upsampled colours: equal to kornia's guided filter or plain resizing, and sharp where the photo is sharp."""

import pytest
import torch
from kornia.filters import guided_blur

from huebands.colorize.upsampling import ColourLines
from huebands.photos.resize import resize

GUIDED = {"name": "guided", "radius": 2, "epsilon": 2.0}


def square(side: int = 32) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 100 * torch.rand(side, side, generator=random), 30 * torch.randn(2, side, side, generator=random)


def upsample(L_SS: torch.Tensor, ab_2SS: torch.Tensor, L_HW: torch.Tensor, upsampling: dict = GUIDED) -> torch.Tensor:
    height, width = L_HW.shape
    lines = ColourLines.fit(L_SS, ab_2SS, (height, width), upsampling)
    return lines.ab(L_HW, range(height), range(width))


def test_at_the_same_size_colours_equal_kornias_guided_filter() -> None:
    L, ab = square()
    expected = guided_blur(L[None, None], ab[None], kernel_size=5, eps=2.0)[0]
    inside = (..., slice(4, -4), slice(4, -4))  # kornia mirrors at the border, here windows end there
    torch.testing.assert_close(upsample(L, ab, L)[inside], expected[inside], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (32, 32), (33, 100), (500, 20)])
def test_bilinear_upsampling_equals_resize(size: tuple[int, int]) -> None:
    L, ab = square()
    ab_2HW = upsample(L, ab, torch.zeros(size), {"name": "bilinear"})
    # torch computes positions in float32; values are around 30.
    torch.testing.assert_close(ab_2HW, resize(ab[None], size)[0], rtol=1e-4, atol=2e-3)


def test_a_tile_has_the_colours_of_the_whole_photo() -> None:
    L, ab = square()
    photo = 100 * torch.rand(50, 70, generator=torch.Generator().manual_seed(1))
    lines = ColourLines.fit(L, ab, (50, 70), GUIDED)
    ab_2HW = lines.ab(photo, range(50), range(70))
    tile = lines.ab(photo[13:37, 20:70], range(13, 37), range(20, 70))
    torch.testing.assert_close(tile, ab_2HW[:, 13:37, 20:70], rtol=1e-5, atol=1e-4)


def test_colour_changes_where_lightness_does() -> None:
    """A red square on green: the network's outline is blurred, the upsampled one is as sharp as the photo's."""
    photo = torch.full((256, 256), 30.0)
    photo[80:180, 70:190] = 70.0
    truth = torch.where(photo > 50, 50.0, -50.0).expand(2, -1, -1)
    L, ab = (resize(x[None], (32, 32))[0] for x in (photo[None], truth))
    errors = {
        name: (upsample(L[0], ab, photo, {**GUIDED, "name": name}) - truth).abs().mean().item()
        for name in ("bilinear", "guided")
    }
    assert errors["guided"] < errors["bilinear"] / 5, errors


def test_flat_surfaces_keep_their_colours() -> None:
    ab = torch.tensor([20.0, -35.0])[:, None, None].expand(2, 32, 32)
    ab_2HW = upsample(torch.full((32, 32), 40.0), ab, 40 + torch.randn(90, 90))
    torch.testing.assert_close(ab_2HW, ab[:, :1, :1].expand(2, 90, 90), rtol=1e-4, atol=1e-3)


def test_an_unknown_upsampling_is_named() -> None:
    with pytest.raises(ValueError, match=r"upsampling name \(='nearest'\) must be bilinear or guided"):
        upsample(*square(), torch.zeros(4, 4), {"name": "nearest"})
