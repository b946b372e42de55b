"""Windows over a long photo: its shape is kept, and what comes back joins without a seam."""

import pytest
import torch
from torch import Tensor

from huebands.models.windows import blend, canvas_size, run_in_windows


@pytest.mark.parametrize(
    ("photo", "canvas"),
    [
        ((100, 100), (32, 32)),
        ((100, 200), (32, 32)),
        ((100, 400), (32, 128)),
        ((400, 100), (128, 32)),
        ((300, 100), (96, 32)),
        ((1, 3000), (32, 256)),
        ((1, 1), (32, 32)),
    ],
)
def test_a_photo_of_more_than_twice_its_width_keeps_its_shape(photo: tuple[int, int], canvas: tuple[int, int]) -> None:
    assert canvas_size(photo, 32) == canvas


def test_the_shape_is_kept_to_the_nearest_half_square() -> None:
    for height in range(201, 801):
        rows, columns = canvas_size((height, 100), 64)
        assert columns == 64 and rows % 32 == 0
        assert abs(rows / columns - height / 100) <= 0.25


@pytest.mark.parametrize("canvas", [(32, 32), (48, 32), (128, 32), (32, 80)])
def test_windows_of_what_does_not_depend_on_the_window_join_to_the_whole(canvas: tuple[int, int]) -> None:
    L_11HW = torch.rand(1, 1, *canvas, generator=torch.Generator().manual_seed(0))
    windows = run_in_windows(lambda L_11SS: torch.cat((L_11SS, -L_11SS), dim=1), L_11HW)
    assert len(windows) == max(canvas) * 2 // 32 - 1
    whole = blend(windows, canvas)
    torch.testing.assert_close(whole, torch.cat((L_11HW, -L_11HW), dim=1))


def test_maps_that_are_smaller_than_the_window_join_in_the_shape_of_the_canvas() -> None:
    def half(L_11SS: Tensor) -> Tensor:
        return torch.nn.functional.avg_pool2d(L_11SS, 2)

    L_11HW = torch.rand(1, 1, 32, 128, generator=torch.Generator().manual_seed(1))
    whole = blend(run_in_windows(half, L_11HW), (32, 128))
    torch.testing.assert_close(whole, half(L_11HW))


def test_windows_that_disagree_are_blended_without_a_step() -> None:
    whole = blend([torch.full((1, 1, 32, 32), level) for level in (0.0, 10.0, 20.0)], (64, 32))
    steps = whole[0, 0, :, 0].diff()
    assert whole[0, 0, 0, 0] == 0 and whole[0, 0, -1, 0] == 20
    assert (steps >= 0).all() and steps.max() < 1.2


def test_a_single_window_comes_back_to_the_bit() -> None:
    window = torch.rand(1, 2, 32, 32)
    assert blend([window], (32, 32)) is window
