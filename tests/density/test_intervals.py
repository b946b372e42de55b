"""Nested intervals of histograms: they nest, follow density, and are narrow where little is uncertain."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from huebands.density import coordinate
from huebands.density.intervals import KNOTS, entropy_of, nested_intervals

GREY, BINS = 110, 32  # no bin is narrower there than a quarter of a level
LEVELS = torch.linspace(-2.5, 6.0, KNOTS)  # of the knots but the last


def rough(seed, bins=16, size=(4, 5)):
    """Histograms with many modes: log probabilities (3, bins, H, W), greys of every kind (H, W)."""
    random = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, bins, *size, generator=random) * 4
    grey = torch.randint(256, size, generator=random).to(torch.uint8)
    grey[0, :2] = torch.tensor([0, 255], dtype=torch.uint8)
    return logits.log_softmax(dim=1), grey


def unimodal(spreads, means):
    """Normal densities over 8-bit levels, in all channels: log probabilities (3, BINS, 1, N), greys (1, N)."""
    grey = torch.full((1, len(spreads)), GREY, dtype=torch.uint8)
    values = coordinate.decode(edges_of(BINS).expand(-1, 3, *grey.shape), grey).transpose(0, 1).double()
    below = torch.special.ndtr((values - torch.as_tensor(means)) / torch.as_tensor(spreads))
    probabilities = below.diff(dim=1).clamp_min(1e-30)
    return (probabilities / probabilities.sum(dim=1, keepdim=True)).log().float(), grey


def random_unimodal(count):
    random = np.random.default_rng(3)
    return unimodal(np.exp(random.uniform(1, 3.4, count)), GREY + random.normal(0, 25, count))


def edges_of(bins):
    """Positions of the bins' edges, (bins + 1, 1, 1, 1)."""
    return torch.linspace(-1, 1, bins + 1)[:, None, None, None]


def widths_of(bins, grey):
    """Widths of the bins in 8-bit levels, (3, bins, H, W)."""
    return coordinate.decode(edges_of(bins).expand(-1, 3, *grey.shape), grey).diff(dim=0).transpose(0, 1)


def masses(log_probabilities, lower, upper):
    """Probability of the intervals, (K, 3, H, W): it is spread evenly over the positions of a bin."""
    edges = edges_of(BINS)[:, 0]
    inside = torch.minimum(upper[:, :, None], edges[1:]) - torch.maximum(lower[:, :, None], edges[:-1])
    return (inside.clamp_min(0) * BINS / 2 * log_probabilities.exp()).sum(dim=2)


@pytest.mark.parametrize("adaptivity", [0, 0.3, 0.5, 1])
@pytest.mark.parametrize("bins", [2, 3, 16])
def test_each_interval_lies_in_the_next_and_the_last_is_everything(adaptivity, bins):
    log_probabilities, grey = rough(0, bins)
    lower, upper = nested_intervals(log_probabilities, grey, adaptivity)
    assert lower.shape == upper.shape == (KNOTS + 1, 3, 4, 5)
    assert (lower <= upper).all()
    assert (lower.diff(dim=0) <= 0).all() and (upper.diff(dim=0) >= 0).all()
    assert (lower[-1] == -1).all() and (upper[-1] == 1).all()


@pytest.mark.parametrize("adaptivity", [0.0, 0.7])
def test_an_interval_holds_the_bins_above_its_density_and_no_others(adaptivity):
    log_probabilities, grey = random_unimodal(30)
    lower, upper = nested_intervals(log_probabilities, grey, adaptivity)
    edges = edges_of(BINS).transpose(0, 1)
    log_density = log_probabilities - widths_of(BINS, grey).log()
    reference = adaptivity * entropy_of(log_probabilities, grey) + (1 - adaptivity) * 4.0
    level = -log_density - reference[:, None]
    for knot, wanted in enumerate(LEVELS):
        # Of the next bin, which is less dense, an interval may hold a part.
        covered = (edges[:, :-1] >= lower[knot][:, None] - 1e-5) & (edges[:, 1:] <= upper[knot][:, None] + 1e-5)
        assert covered[level < wanted - 1e-4].all(), f"knot {knot} lacks a bin"
        assert not covered[level > wanted + 1e-2].any(), f"knot {knot} holds a bin too many"


def test_an_interval_begins_at_the_mode():
    log_probabilities, grey = rough(1)
    lower, upper = nested_intervals(log_probabilities, grey, 1.0)
    mode = (log_probabilities - widths_of(16, grey).clamp_min(0.25).log()).argmax(dim=1)
    middle = (mode + 0.5) / 16 * 2 - 1
    assert (lower[0] <= middle + 1e-6).all() and (middle <= upper[0] + 1e-6).all()


@pytest.mark.parametrize("adaptivity", [0.0, 1.0])
def test_a_narrow_histogram_gives_narrow_intervals(adaptivity):
    log_probabilities, grey = unimodal([3.0, 12.0, 40.0], [GREY + 5.0] * 3)
    ends = nested_intervals(log_probabilities, grey, adaptivity)
    width = coordinate.decode(ends[1], grey) - coordinate.decode(ends[0], grey)
    # At lower levels what is spread is nowhere dense enough: its intervals are still empty.
    for knot in range(int((LEVELS > 1).float().argmax()), KNOTS):
        narrow, middling, broad = width[knot, :, 0].unbind(-1)
        assert (narrow < middling).all() and (middling <= broad).all(), f"knot {knot}"


def test_evenness_makes_intervals_cover_alike():
    log_probabilities, grey = random_unimodal(200)
    spread = {}
    for adaptivity in (0.0, 0.5, 1.0):
        covered = masses(log_probabilities, *nested_intervals(log_probabilities, grey, adaptivity))[:KNOTS]
        nearest = (covered.mean(dim=(1, 2, 3)) - 0.8).abs().argmin()
        spread[adaptivity] = float(covered[nearest].std())
    assert spread[1.0] < spread[0.5] < spread[0.0]


def test_density_order_covers_a_share_with_less_width_than_equal_tails():
    """One density everywhere is the narrowest way to cover a share, Neyman and Pearson's lemma; quantiles are not."""
    log_probabilities, grey = random_unimodal(300)
    lower, upper = nested_intervals(log_probabilities, grey, 0.0)
    widths = (coordinate.decode(upper, grey) - coordinate.decode(lower, grey)).mean(dim=(1, 2, 3))
    shares = masses(log_probabilities, lower, upper).mean(dim=(1, 2, 3))
    below = F.pad(log_probabilities.exp().cumsum(dim=1), (0, 0, 0, 0, 1, 0))[:, :, 0].transpose(1, 2)
    edges, compared = np.linspace(-1, 1, BINS + 1), 0
    for share, width in zip(shares[:-1].tolist(), widths[:-1].tolist(), strict=True):
        if 0.2 < share < 0.99:
            tails = [(1 - share) / 2, (1 + share) / 2]
            quantiles = np.array([[np.interp(tails, column, edges) for column in channel.numpy()] for channel in below])
            low, high = coordinate.decode(torch.from_numpy(quantiles).float().permute(2, 0, 1)[:, :, None], grey)
            equal_tailed = float((high - low).mean())
            assert width < equal_tailed, f"share {share:.2f}: {width:.1f} against {equal_tailed:.1f} levels"
            compared += 1
    assert compared > 5


def test_entropy_is_that_of_the_density_over_levels():
    grey = torch.full((1, 1), GREY, dtype=torch.uint8)
    widths = widths_of(BINS, grey)
    span = widths.sum(dim=1)
    torch.testing.assert_close(entropy_of((widths / span[:, None]).log(), grey), span.log(), rtol=0, atol=1e-4)
    log_probabilities, grey = unimodal([12.0], [GREY + 3.0])
    expected = np.log(12 * np.sqrt(2 * np.pi * np.e))
    # A bin's density is the mean of the curve's, so it is a little less certain. Green has no room for the whole curve.
    red, green, blue = entropy_of(log_probabilities, grey).ravel().tolist()
    assert (red, blue) == pytest.approx((expected, expected), abs=0.02) and green < red


@pytest.mark.parametrize("level", [0, 255])
def test_where_srgb_leaves_no_room_everything_is_finite(level):
    log_probabilities, grey = rough(2)
    grey[:] = level
    assert torch.isfinite(entropy_of(log_probabilities, grey)).all()
    for ends in nested_intervals(log_probabilities, grey, 0.5):
        assert torch.isfinite(ends).all() and (ends.abs() <= 1).all()
