"""The ab plane in bins, against scikit-learn and all of sRGB; and how classes are weighed."""

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from huebands.color import AB_SCALE, from_bytes, srgb_to_lab
from huebands.models.parts import ab_bins
from huebands.models.parts.ab_bins import class_weights


def bins_of_srgb(step: int) -> set[tuple[int, int]]:
    """The bins of every `step`-th level of each channel, the last level too."""
    levels = torch.tensor([*range(0, 255, step), 255], dtype=torch.uint8)
    bins = set()
    for red in levels:
        green, blue = torch.meshgrid(levels, levels, indexing="ij")
        a, b = srgb_to_lab(from_bytes(torch.stack((red.expand_as(green), green, blue))))[1:] / ab_bins.SIDE
        bins |= set(map(tuple, torch.stack((a, b)).round().int().flatten(1).unique(dim=1).T.tolist()))
    return bins


def table() -> set[tuple[int, int]]:
    return set(map(tuple, (ab_bins.centres() / ab_bins.SIDE).int().tolist()))


def random_ab_unit(seed: int = 0) -> torch.Tensor:
    return torch.rand(2, 2, 5, 7, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_no_colour_of_srgb_lies_outside_the_bins() -> None:
    assert bins_of_srgb(step=5) <= table()
    assert ab_bins.BINS == len(table()) == 261


@pytest.mark.slow
def test_the_bins_are_those_that_hold_an_srgb_colour() -> None:
    assert bins_of_srgb(step=1) == table()


def test_the_soft_encoding_equals_that_of_five_nearest_neighbours() -> None:
    ab_unit = random_ab_unit()
    encoded = ab_bins.encode(ab_unit).permute(0, 2, 3, 1).reshape(-1, ab_bins.BINS).numpy()
    colours = (ab_unit * AB_SCALE).permute(0, 2, 3, 1).reshape(-1, 2).numpy()
    distances, nearby = NearestNeighbors(n_neighbors=5).fit(ab_bins.centres().numpy()).kneighbors(colours)
    weights = np.exp(-(distances**2) / (2 * 5.0**2))
    expected = np.zeros_like(encoded)
    np.put_along_axis(expected, nearby, (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), axis=1)
    # Where the fifth and sixth neighbour are equally far, either may be taken: random colours have no such ties.
    np.testing.assert_allclose(encoded, expected, atol=1e-5)


def test_a_bins_centre_is_nearest_to_itself() -> None:
    ab_unit = (ab_bins.centres() / AB_SCALE).T[None, :, :, None]
    assert ab_bins.nearest(ab_unit)[0, :, 0].tolist() == list(range(ab_bins.BINS))


def test_the_annealed_mean_goes_from_the_mean_to_the_mode() -> None:
    logits = torch.randn(1, ab_bins.BINS, 1, 1, generator=torch.Generator().manual_seed(0))
    probabilities = logits.softmax(dim=1).flatten()
    mean = (probabilities @ ab_bins.centres()) / AB_SCALE
    torch.testing.assert_close(ab_bins.annealed_mean(logits, 1.0).flatten(), mean)
    mode = ab_bins.centres()[int(logits.argmax())] / AB_SCALE
    torch.testing.assert_close(ab_bins.annealed_mean(logits, 1e-3).flatten(), mode, atol=1e-4, rtol=0)


def test_rare_bins_weigh_more_and_the_mean_weight_is_one() -> None:
    counts = torch.zeros(ab_bins.BINS)
    grey = int(ab_bins.nearest(torch.zeros(1, 2, 1, 1)))
    counts[grey], counts[0] = 990.0, 10.0
    weights = class_weights(counts, lambda_uniform=0.5)
    assert weights[0] > 10 * weights[grey]
    assert weights.isfinite().all() and weights.min() > 0
    # Smoothing moves some of grey's pixels to its neighbours, which weigh more.
    smooth = torch.exp(-torch.cdist(ab_bins.centres(), ab_bins.centres()).square() / 50)
    smooth = (smooth / smooth.sum(dim=0)) @ (counts / counts.sum())
    assert (smooth * weights).sum().item() == pytest.approx(1.0, abs=1e-5)
    # The formula of the source, bin by bin.
    expected = 1 / (0.5 * smooth + 0.5 / ab_bins.BINS)
    torch.testing.assert_close(weights / weights[grey], expected / expected[grey])


def test_without_rebalancing_all_bins_weigh_alike() -> None:
    counts = torch.rand(ab_bins.BINS, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(class_weights(counts, lambda_uniform=1.0), torch.ones(ab_bins.BINS))


def test_the_table_of_soft_encodings_equals_them_at_whole_units() -> None:
    # Within a square no two bins are equally far from here.
    squares = torch.randint(-3, 4, (2, 2, 16, 16), generator=torch.Generator().manual_seed(0))
    ab_unit = (10 * squares + torch.tensor([2, 3]).view(2, 1, 1)) / AB_SCALE
    bins, shares = ab_bins.spread(ab_unit)
    dense = torch.zeros(2, ab_bins.BINS, 16, 16).scatter_(1, bins, shares)
    torch.testing.assert_close(dense, ab_bins.encode(ab_unit), rtol=0, atol=1e-4)
