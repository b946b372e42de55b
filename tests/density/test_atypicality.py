"""How unlike a photo is: strangers are further off, and the p-value is exact for exchangeable photos."""

import itertools

import numpy as np
import pytest
import torch

from huebands.density.atypicality import Reference, p_value, statistics_of


@pytest.fixture(scope="module")
def statistics():
    """Of 200 photos, 6 each, of different scales: (200, 6)."""
    random = torch.Generator().manual_seed(0)
    return torch.randn(200, 6, generator=random) * torch.tensor([1.0, 2, 5, 10, 50, 0.1]) + 3


def test_statistics_are_mean_and_spread_of_each_map_but_the_coarsest():
    random = torch.Generator().manual_seed(1)
    fine, middling, coarsest = (torch.randn(1, maps, 4, 6, generator=random).half() for maps in (2, 3, 5))
    statistics = statistics_of([fine, middling, coarsest]).numpy()
    expected = []
    for part in (fine, middling):
        maps = part[0].float().numpy().reshape(part.shape[1], -1)
        expected += [maps.mean(axis=1), maps.std(axis=1)]
    assert statistics == pytest.approx(np.concatenate(expected), abs=1e-6)


def test_a_photo_is_strange_by_the_deviations_that_it_is_off(statistics):
    reference = Reference.fit(statistics)
    mean, spread = statistics.mean(dim=0), statistics.std(dim=0, correction=0)
    assert reference.atypicality(mean) == pytest.approx(0, abs=1e-5)
    assert reference.atypicality(mean + 3 * spread) == pytest.approx(3, rel=1e-4)
    one = spread * torch.tensor([1.0, 0, 0, 0, 0, 0])
    assert reference.atypicality(mean - 3 * one) == pytest.approx(3 / np.sqrt(6), rel=1e-4)
    squares = [reference.atypicality(row) ** 2 for row in statistics]
    assert np.mean(squares) == pytest.approx(1, rel=1e-4), "the training photos themselves, on average"


def test_strangers_are_stranger(statistics):
    reference = Reference.fit(statistics[:100])
    known = [reference.atypicality(row) for row in statistics[100:]]
    strangers = [reference.atypicality(row + 4 * reference.spread_F) for row in statistics[100:]]
    assert min(strangers) > max(known)
    assert all(p_value(stranger, np.array(known)) == 1 / 101 for stranger in strangers)


def test_what_no_training_photo_varies_is_no_division_by_zero():
    reference = Reference.fit(torch.ones(3, 2))
    assert reference.atypicality(torch.ones(2)) == 0
    assert np.isfinite(reference.atypicality(torch.tensor([1.0, 2.0])))
    assert reference.atypicality(torch.tensor([1.0, 2.0])) > 1000


def test_the_p_value_is_that_of_the_definition():
    calibration_scores = np.array([1.0, 2.0, 3.0, 3.0])
    expected = {0.5: 5 / 5, 1.0: 5 / 5, 1.5: 4 / 5, 3.0: 3 / 5, 3.1: 1 / 5}
    assert {atypicality: p_value(atypicality, calibration_scores) for atypicality in expected} == expected


def test_each_rank_of_an_exchangeable_photo_is_as_likely_so_the_p_value_is_exact():
    """Any of the n + 1 photos is the new one with the same chance: p <= k / (n + 1) for just k of them."""
    for photos in (1, 2, 19, 60):
        drawn = np.random.default_rng(photos).gamma(2.0, 1.0, photos + 1)
        p_values = sorted(p_value(drawn[new], np.delete(drawn, new)) for new in range(photos + 1))
        assert p_values == pytest.approx([rank / (photos + 1) for rank in range(1, photos + 2)])


def test_with_ties_the_p_value_is_small_no_more_often_than_it_says():
    for drawn in itertools.product((0.0, 1.0, 2.0), repeat=5):
        values = np.array(drawn)
        p_values = np.array([p_value(values[new], np.delete(values, new)) for new in range(5)])
        for level in p_values:
            assert np.mean(p_values <= level) <= level + 1e-12
