"""The report of an evaluation: figures of each photo, figures over photos, and the photos to show."""

import numpy as np
import pytest

from huebands.metrics.evaluation import best_median_worst, figures_of_photo, summarise_beside_grey
from huebands.metrics.report import METRICS, OF_SETS, OF_TRUTH, PhotoScore, ScoredPhoto

KEYS = [metric.key for metric in METRICS if metric.key not in OF_SETS]


def score(seed: int) -> ScoredPhoto:
    """Scores of a photo that each differ from all others."""
    random = np.random.default_rng(seed)

    def one(keys: list[str]) -> PhotoScore:
        return PhotoScore(dict(zip(keys, random.random(len(keys)), strict=True)), random.random(8))

    return ScoredPhoto(one(list(OF_TRUTH)), {"model": one(KEYS), "grey": one(KEYS)})


def test_a_photo_has_the_figures_of_model_grey_and_truth() -> None:
    photo = score(0)
    figures = figures_of_photo(photo)
    assert figures["psnr_model"] == photo.results["model"].figures["psnr"]
    assert figures["psnr_grey"] == photo.results["grey"].figures["psnr"]
    assert figures["clipped_truth"] == photo.truth.figures["clipped"]
    assert len(figures) == 2 * len(KEYS) + len(OF_TRUTH)


def test_the_summary_sets_means_of_model_and_grey_side_by_side() -> None:
    scores = [score(seed) for seed in range(5)]
    summary = summarise_beside_grey(scores, seed=0)
    assert list(summary) == [metric.key for metric in METRICS]
    for key in KEYS:
        for name in ("model", "grey"):
            mean = np.mean([photo.results[name].figures[key] for photo in scores])
            assert summary[key][name] == pytest.approx(mean, abs=1e-4)
    for key in OF_TRUTH:
        mean = np.mean([photo.truth.figures[key] for photo in scores])
        assert summary[key]["truth"] == pytest.approx(mean, abs=1e-4)
    assert "standard_error" in summary["kid"]
    assert set(summarise_beside_grey(scores[:1], seed=0)) == set(KEYS), "one photo makes no set"


def test_a_network_that_looks_through_inception_is_not_judged_by_it() -> None:
    scores = [score(seed) for seed in range(5)]
    assert set(summarise_beside_grey(scores, 0, judged_by_inception=False)) == set(KEYS)


def test_best_median_and_worst_follow_the_errors() -> None:
    errors = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert best_median_worst(errors, 1) == {"best": [1], "median": [4], "worst": [0]}
    assert best_median_worst(errors, 2) == {"best": [1, 3], "median": [3, 4], "worst": [2, 0]}
    everything = [1, 3, 4, 2, 0]
    assert best_median_worst(errors, 9) == {"best": everything, "median": everything, "worst": everything}
