"""The loops that interpolate samples give the bits of the same arithmetic in torch, whatever the size and the steps."""

import numpy as np
import pytest
import torch

from huebands.conformal.bands import STEPS, STEPS_PER_KNOT, Ends, Grid, NestedBands
from huebands.conformal.error_map import upsample
from huebands.density.coordinate import Spans
from huebands.density.expected_error import LEVELS, between_levels
from huebands.density.intervals import KNOTS, nested_intervals

SIZES = [(40, 50), (5, 3), (7, 7), (1, 1), (1, 90), (300, 1)]


def photo_of(size, seed=0, samples=7):
    random = np.random.default_rng(seed)
    grey = random.integers(0, 256, size, dtype=np.uint8)
    shown = random.integers(0, 256, (*size, 3), dtype=np.uint8)
    logits = torch.randn(3, 12, samples, samples, generator=torch.Generator().manual_seed(seed)) * 3
    grey_SS = torch.from_numpy(random.integers(0, 256, (samples, samples), dtype=np.uint8))
    return NestedBands(shown, grey, Ends(*nested_intervals(logits.log_softmax(dim=1), grey_SS, 0.5)))


def bands_in_torch(nested, steps_HW3):
    """The bands at a step for each value: uint8 (H, W, 3, 2)."""
    grid = Grid.over(nested.intervals.size, nested.grey_HW.shape, slice(None))
    bands = []
    for channel in range(3):
        step = torch.from_numpy(steps_HW3[..., channel].astype(np.int64))
        knot, share = step // STEPS_PER_KNOT, step % STEPS_PER_KNOT / STEPS_PER_KNOT
        spans = Spans.of(torch.from_numpy(nested.grey_HW), channel)
        shown = torch.from_numpy(nested.shown_HW3[..., channel].astype(np.float32))
        sides = []
        for ends_KSS in nested.intervals.knots(0, KNOTS + 1, channel):
            ends_KHW = grid.interpolate(ends_KSS)
            start, end = (ends_KHW.gather(0, place[None])[0] for place in (knot, (knot + 1).clamp_max(KNOTS)))
            sides.append(spans.decode(start + share * (end - start)))
        lower, upper = sides
        bands.append(torch.stack((torch.minimum(lower.floor(), shown), torch.maximum(upper.ceil(), shown)), dim=-1))
    return torch.stack(bands, dim=2).to(torch.uint8).numpy()


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_bands_have_the_bits_of_torch(size):
    nested = photo_of(size)
    steps = np.random.default_rng(1).integers(0, STEPS, (*size, 3))
    assert np.array_equal(nested.at(steps), bands_in_torch(nested, steps))
    for step in (0, 1, 100, STEPS - 2, STEPS - 1):
        assert np.array_equal(nested.at(np.full(3, step)), bands_in_torch(nested, np.full((*size, 3), step))), step


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_some_rows_have_the_bands_of_the_whole_photo(size):
    nested, steps = photo_of(size), np.array([70, 120, STEPS - 1])
    whole = nested.at(steps)
    for rows in (slice(0, 1), slice(size[0] // 2, None), slice(size[0] // 3, size[0] // 2 + 1)):
        assert np.array_equal(nested.at(steps, rows), whole[rows])
        assert np.array_equal(nested.channel_at(steps[1], 1, rows), whole[rows, :, 1])


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_maps_of_errors_have_the_bits_of_torch(size):
    random = np.random.default_rng(2)
    errors = random.uniform(0, 40, (len(LEVELS), 7, 5)).astype(np.float32)
    grey = random.integers(0, 256, size, dtype=np.uint8)
    place, weight = (table[torch.from_numpy(grey.astype(np.int64))[None]] for table in between_levels())
    errors_KHW = Grid.over((7, 5), size, slice(None)).interpolate(torch.from_numpy(errors))
    expected = errors_KHW.gather(0, place) * (1 - weight) + errors_KHW.gather(0, place + 1) * weight
    assert np.array_equal(upsample(errors, grey), expected[0].numpy())
