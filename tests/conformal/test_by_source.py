"""The exact test by source: how often it errs where all sources are covered as promised, and what it finds."""

import numpy as np
import pytest

from huebands.conformal.by_source import p_values_by_source, rows_by_source
from huebands.statistics.risk_control import first_step

ALPHA, STEPS = 0.1, 200
SIMULATIONS = 300
SOURCES = np.array(["cars", "clothes", "forests", "shelves", "streets"])


def losses_of(difficulty_N: np.ndarray) -> np.ndarray:
    """Losses (N, STEPS) of photos: the share of pixels outside falls as bands widen, later for difficult photos."""
    losses = np.exp(-np.arange(STEPS) / (8 * difficulty_N[:, None]))
    losses[:, -1] = 0
    return losses


def draw(random: np.random.Generator, count: int) -> np.ndarray:
    """How difficult photos of the mixture are."""
    return random.gamma(3.0, 0.4, count)


def smallest_p(coverage_N: np.ndarray, sources_N: np.ndarray) -> float:
    """The smallest corrected p-value."""
    return min(p_holm for _, p_holm in p_values_by_source(ALPHA, sources_N.tolist(), coverage_N).values())


def test_exchangeable_photos_are_hardly_ever_told_to_be_covered_too_little() -> None:
    """The test is exact for the bands of one calibration; over calibrations their coverage varies around the promise.

    With 800 calibration photos it varies little beside 60 test photos a source. Tolerance: 5%, and three standard
    errors of so many simulations.
    """
    random, smallest = np.random.default_rng(0), []
    for _ in range(SIMULATIONS):
        step = int(first_step(losses_of(draw(random, 800)), ALPHA))
        coverage = 1 - losses_of(draw(random, 300))[:, step]
        smallest.append(smallest_p(coverage, SOURCES[random.integers(len(SOURCES), size=300)]))
    tolerance = 0.05 + 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)
    assert np.mean(np.array(smallest) < 0.05) <= tolerance
    assert min(smallest) < 1, "the test has something to say"


def test_the_level_holds_where_each_loss_is_all_or_nothing() -> None:
    """The hardest case: photos wholly outside with probability alpha exactly."""
    random = np.random.default_rng(1)
    smallest = [smallest_p((random.random(200) >= ALPHA).astype(float), SOURCES.repeat(40)) for _ in range(SIMULATIONS)]
    assert np.mean(np.array(smallest) < 0.05) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


@pytest.mark.parametrize("seed", range(5))
def test_a_source_of_100_photos_with_70_percent_coverage_is_found_and_named(seed: int) -> None:
    random = np.random.default_rng(seed)
    sources = SOURCES.repeat(100)
    expected = np.where(sources == "shelves", 0.7, 0.9)
    coverage = random.beta(4 * expected, 4 * (1 - expected))  # standard deviations of 0.20 and 0.13
    rows = {
        row["source"]: row
        for row in rows_by_source("per_channel", ALPHA, sources.tolist(), coverage, np.full(len(coverage), 40.0))
    }
    assert list(rows) == sorted(SOURCES)
    assert rows["shelves"]["p_holm"] < 0.001 and rows["shelves"]["exact_high"] < 0.9
    assert all(row["p_holm"] > 0.05 for source, row in rows.items() if source != "shelves")
