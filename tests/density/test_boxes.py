"""Boxes grow from the mode, never shrink, and hold at a given mean width more than channels apart do."""

import itertools

import pytest
import torch

from huebands.density import joint
from huebands.density.boxes import NestedBoxes
from huebands.density.intervals import KNOTS, NestedIntervals, widths_of_bins

BINS, SIDE = 12, 9
GREY = torch.full((SIDE, SIDE), 120, dtype=torch.uint8)
ENTROPY = torch.full((SIDE, SIDE), 4.0)


def along_the_diagonal():
    """R and B that fall together: probabilities (Q, S, S)."""
    place = torch.arange(BINS, dtype=torch.float32)
    logits = -((place[:, None] + place[None] - BINS + 1) ** 2) / 2 - ((place[:, None] - BINS / 2) ** 2) / 18
    return torch.softmax(logits.flatten(), 0)[:, None, None].expand(-1, SIDE, SIDE)


@pytest.fixture(scope="module")
def boxes():
    random = torch.Generator().manual_seed(1)
    probabilities = torch.softmax(2 * torch.randn(BINS**2, SIDE, SIDE, generator=random), dim=0)
    return NestedBoxes.grow(probabilities, GREY, ENTROPY, adaptivity=0.25)


@pytest.mark.parametrize("channel", [0, 2])
def test_a_knot_lies_inside_the_next(boxes, channel):
    lower, upper = boxes.knots(0, KNOTS + 1, channel)
    assert lower.shape == upper.shape == (KNOTS + 1, SIDE, SIDE)
    assert (lower[1:] <= lower[:-1]).all() and (upper[1:] >= upper[:-1]).all()
    assert (lower[:-1] <= upper[:-1]).all()
    assert (lower[-1] == -1).all() and (upper[-1] == 1).all()


def test_some_knots_are_those_of_all(boxes):
    for channel in range(3):
        for all_ends, some in zip(boxes.knots(0, KNOTS + 1, channel), boxes.knots(5, 9, channel), strict=True):
            assert torch.equal(all_ends[5:9], some)


def test_green_never_binds(boxes):
    lower, upper = boxes.knots(0, 3, 1)
    assert (lower == -1).all() and (upper == 1).all()


def test_the_first_box_is_the_mode():
    probabilities = torch.full((BINS**2, SIDE, SIDE), 1e-6)
    probabilities[3 * BINS + 8] = 1 - 1e-6 * (BINS**2 - 1)
    boxes = NestedBoxes.grow(probabilities, GREY, ENTROPY, adaptivity=0.0)
    for channel, place in ((0, 3), (2, 8)):
        lower, upper = boxes.knots(2, 3, channel)
        assert (lower >= place / BINS * 2 - 1 - 1e-3).all() and (upper <= (place + 1) / BINS * 2 - 1 + 1e-3).all()


def test_each_step_takes_the_best_side():
    """The first extensions, by trying all sides by hand."""
    probabilities = along_the_diagonal()
    boxes = NestedBoxes.grow(probabilities, GREY, ENTROPY, adaptivity=0.0)
    square = probabilities[:, 0, 0].view(BINS, BINS).double()
    widths = widths_of_bins(BINS)[:, :, 120].clamp_min(0.25).double()
    red, _, blue = widths * torch.tensor([[1 + 0.212671 / 0.715160], [1.0], [1 + 0.072169 / 0.715160]]).double()
    for before, after in itertools.pairwise(boxes.ends_4TN[:, :6, 0].T.tolist()):
        gains = {}
        for side, step in enumerate((-1, 1, -1, 1)):
            moved = list(before)
            moved[side] += step
            strip = min(moved[side], before[side])
            mass = [square[slice(*ends[:2]), slice(*ends[2:])].sum() for ends in (moved, before)]
            gains[tuple(moved)] = (mass[0] - mass[1]) / (red if side < 2 else blue)[strip]
        assert tuple(after) == max(gains, key=gains.get)


def test_at_the_same_mass_boxes_are_narrower_than_channels_apart():
    """Where R and B depend on each other, intervals of each channel that together hold 90% are wider."""
    probabilities = along_the_diagonal()
    boxes = NestedBoxes.grow(probabilities, GREY, ENTROPY, adaptivity=0.0)
    channels = joint.channel_histograms(probabilities, GREY, BINS).clamp_min(1e-8).log()
    apart = NestedIntervals.grow(channels, GREY, adaptivity=0.0)
    assert width_at(boxes, probabilities, 0.9) <= width_at(apart, probabilities, 0.9) + 1e-6


def width_at(intervals, probabilities, share):
    """Mean width in positions of R and B at the first knot that holds this share of the joint mass."""
    square = probabilities[:, 0, 0].view(BINS, BINS)
    (red_low, red_high), (blue_low, blue_high) = (intervals.knots(0, KNOTS + 1, channel) for channel in (0, 2))
    for knot in range(KNOTS + 1):
        rows, columns = (
            overlap(low[knot, 0, 0], high[knot, 0, 0]) for low, high in ((red_low, red_high), (blue_low, blue_high))
        )
        if rows @ square @ columns >= share:
            return float(red_high[knot, 0, 0] - red_low[knot, 0, 0] + blue_high[knot, 0, 0] - blue_low[knot, 0, 0])
    raise AssertionError("no knot holds that share")


def overlap(low, high):
    """How much of each bin lies between two positions."""
    edges = torch.linspace(-1, 1, BINS + 1)
    return (torch.minimum(high, edges[1:]) - torch.maximum(low, edges[:-1])).clamp_min(0) * BINS / 2
