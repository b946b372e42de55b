"""Bets that no honest sequence of values makes rich, and that a change makes rich whenever it comes."""

from itertools import product

import numpy as np
import pytest

from huebands.statistics.e_process import Bets


def wealth(values, bound):
    bets = Bets()
    for value in values:
        bets.add(value, bound)
    return float(np.exp(bets.log_wealth))


@pytest.mark.parametrize("bound", [0.1, 0.5, 0.9])
def test_the_expected_wealth_stays_one_when_the_mean_is_the_bound(bound):
    sequences = product((0, 1), repeat=8)
    expected = sum(wealth(values, bound) * np.prod([bound if x else 1 - bound for x in values]) for values in sequences)
    assert expected == pytest.approx(1)


def test_the_expected_wealth_falls_when_the_mean_is_below_the_bound():
    sequences = product((0, 1), repeat=8)
    expected = sum(wealth(values, 0.3) * np.prod([0.2 if x else 0.8 for x in values]) for values in sequences)
    assert expected < 0.9


def test_wealth_grows_with_values_above_the_bound_and_with_their_size():
    assert wealth([0.1] * 50, 0.1) == pytest.approx(1)
    assert 1 < wealth([0.2] * 50, 0.1) < wealth([0.4] * 50, 0.1)
    assert wealth([0.0] * 50, 0.1) < 1


@pytest.mark.parametrize("quiet", [0, 100, 10_000])
def test_a_change_is_noticed_however_long_it_was_quiet_before(quiet):
    bets = Bets()
    for _ in range(quiet):
        bets.add(0.0, 0.1)
    before = bets.log_wealth
    for _ in range(60):
        bets.add(0.5, 0.1)
    assert before <= 0
    assert bets.log_wealth > np.log(200)


def test_bets_side_by_side_do_not_know_of_each_other():
    together, bounds = Bets((2,)), np.array([0.1, 0.4])
    for _ in range(20):
        together.add(np.array([0.3, 0.3]), bounds)
    assert np.exp(together.log_wealth) == pytest.approx([wealth([0.3] * 20, bound) for bound in bounds])
