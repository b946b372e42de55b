"""Views of photos: whole, mirrored, cropped; colours and lightness of the same part."""

import numpy as np
import pytest
import torch

from huebands import color
from huebands.density.views import MIRRORED, WHOLE, View, ViewedPhotos, draw_views


def photo(seed=0, height=40, width=30):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))


def test_the_first_view_is_the_whole_photo_and_the_second_is_mirrored():
    assert draw_views(1, 2) == [[WHOLE, WHOLE]]
    assert draw_views(2, 2) == [[WHOLE, WHOLE], [MIRRORED, MIRRORED]]


def test_a_whole_photo_at_its_own_size_keeps_its_bytes():
    square = photo(height=32, width=32)
    assert torch.equal(WHOLE.colours(square, 32), square)
    assert torch.equal(MIRRORED.colours(square, 32), square.flip(2))


def test_further_views_are_crops_that_stay_and_differ():
    views = draw_views(5, 50)
    assert views == draw_views(5, 50)
    for number, crops in enumerate(views[2:], start=2):
        assert all(0.6 <= crop.side <= 1 and 0 <= crop.top <= 1 and 0 <= crop.left <= 1 for crop in crops)
        assert {crop.mirrored for crop in crops} == {number % 2 == 1}
        assert len(set(crops)) == 50
    assert views[2] != views[4]
    assert draw_views(3, 50) == views[:3], "more views leave the others as they are"


@pytest.mark.parametrize("view", [WHOLE, MIRRORED, View(0.7, 1.0, 0.5), View(0.6, 0.3, 0.0, mirrored=True)])
def test_lightness_is_that_of_the_colours(view):
    smooth = color.to_bytes(torch.nn.functional.interpolate(photo(1, 4, 4)[None] / 255, size=(60, 44), mode="bilinear"))
    rgb_3SS, L_unit = view.colours(smooth[0], 32), view.lightness(smooth[0], 32)
    assert rgb_3SS.shape == (3, 32, 32) and L_unit.shape == (1, 1, 32, 32)
    L_SS = color.lightness_of_grey(color.grey_levels(rgb_3SS[None]))[0]
    assert ((L_unit[0, 0] + 1) * 50 - L_SS).abs().mean() < 0.5


def test_a_crop_is_the_part_that_it_says():
    square = photo(height=40, width=40)
    assert torch.equal(View(0.5, 1.0, 0.25).colours(square, 20), square[:, 20:40, 5:25])
    assert torch.equal(View(0.5, 0.0, 0.5, mirrored=True).colours(square, 20), square[:, :20, 10:30].flip(2))


def test_rows_are_all_photos_in_their_first_view_and_then_in_the_next():
    photos = [photo(seed, 32, 32) for seed in range(3)]
    viewed = ViewedPhotos(photos, draw_views(2, 3), 32)
    assert len(viewed) == 6
    rgb_B3SS = viewed.colours([4, 1])
    assert torch.equal(rgb_B3SS[0], photos[1].flip(2)) and torch.equal(rgb_B3SS[1], photos[1])
    L_unit = viewed.lightness([4, 1])
    assert torch.equal(L_unit[0], L_unit[1].flip(2)) and not torch.equal(L_unit[0], L_unit[1])
