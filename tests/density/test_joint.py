"""The joint histogram: colours fall into the right cells, and what follows from it is right for each channel."""

import numpy as np
import pytest
import torch

from huebands import color
from huebands.density import joint

BINS = 10


@pytest.fixture(scope="module")
def photo():
    """Random colours and their grey levels: uint8 (1, 3, 40, 50), (1, 40, 50)."""
    rgb = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, 40, 50)).astype(np.uint8))
    return rgb, color.grey_levels(rgb)


def one_hot(cells_HW):
    return torch.nn.functional.one_hot(cells_HW, BINS**2).movedim(-1, 0).float()


def test_the_colour_of_a_cell_lies_near_the_colours_that_fall_into_it(photo):
    rgb, grey = photo
    cells_HW = joint.cells_of(rgb.float(), grey, BINS)[0]
    ab_LQ2 = joint.ab_of_cells(tuple(range(256)), BINS)
    torch.testing.assert_close(joint.ab_of_cells((7, 200), BINS), ab_LQ2[[7, 200]], atol=1e-3, rtol=0)
    centres_2HW = ab_LQ2[grey[0].long(), cells_HW].movedim(-1, 0)
    true_2HW = color.srgb_to_lab(color.from_bytes(rgb))[0, 1:]
    distance = (centres_2HW - true_2HW).norm(dim=0)
    # A side of 10 bins at saturated colours is some 25 levels wide; 10 units are far less than the spread of colours.
    assert distance.median() < 10
    assert true_2HW.norm(dim=0).median() > 35


def test_grey_falls_into_the_middle(photo):
    grey_HW = torch.arange(256, dtype=torch.uint8)[None, None]
    rgb = grey_HW[:, None].expand(1, 3, 1, 256).float()
    cells = joint.cells_of(rgb + 1e-3, grey_HW, BINS)[0, 0]
    middle = {BINS // 2, BINS // 2 - 1}
    # At the ends of the grey levels sRGB leaves no room above or below.
    assert {int(cell) // BINS for cell in cells[5:250]} <= middle
    assert {int(cell) % BINS for cell in cells[5:250]} <= middle


def test_histograms_of_channels_are_the_margins_of_the_joint_one(photo):
    _, grey = photo
    random = torch.Generator().manual_seed(0)
    probabilities = torch.softmax(torch.randn(BINS**2, 40, 50, generator=random), dim=0)
    channels = joint.channel_histograms(probabilities, grey[0], BINS)
    square = probabilities.unflatten(0, (BINS, BINS))
    torch.testing.assert_close(channels[0], square.sum(1))
    torch.testing.assert_close(channels[2], square.sum(0))
    torch.testing.assert_close(channels.sum(1), torch.ones(3, 40, 50))


def test_luminance_puts_green_where_it_is(photo):
    """Of a density that knows the cell, the histogram of G has most mass at or beside the true bin."""
    rgb, grey = photo
    cells = joint.cells_of(rgb.float(), grey, BINS)[0]
    green = joint.channel_histograms(one_hot(cells), grey[0], BINS)[1]
    true_u = joint.coordinate.encode(rgb.float(), grey)[0, 1]
    true_bin = ((true_u + 1) / 2 * BINS).long().clamp(0, BINS - 1)
    near = sum(
        green.gather(0, (true_bin + step).clamp(0, BINS - 1)[None])[0]
        for step in (-1, 0, 1)
        if not (step == -1 and (true_bin == 0).all())
    )
    assert near.clamp_max(1).mean() > 0.9
