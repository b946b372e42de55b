"""The report of all metrics: of one photo, and over photos."""

import json
import math

import numpy as np
import pytest

from huebands.metrics import image
from huebands.metrics.bleeding import bleeding
from huebands.metrics.report import METRICS, OF_SETS, OF_TRUTH, PhotoScore, PhotoScorer, in_words, summarise
from huebands.metrics.sets import fid, kid

OF_PHOTOS = [metric.key for metric in METRICS if metric.key not in OF_SETS]


def photo(seed):
    return np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def scores(photos, seed=0):
    """Scores of truths and results, as PhotoScorer would give them."""
    generator = np.random.default_rng(seed)
    truths = [PhotoScore(dict.fromkeys(OF_TRUTH, 0.5), features) for features in generator.random((photos, 8))]
    results = [
        PhotoScore(dict(zip(OF_PHOTOS, generator.random(len(OF_PHOTOS)), strict=True)), truth.inception + 0.1)
        for truth in truths
    ]
    return truths, results


def test_every_metric_is_named_once_in_the_order_of_display():
    assert [metric.key for metric in METRICS] == [
        "psnr", "ssim", "ciede2000", "ab_mae", "ab_auc", "lpips", "fid", "kid",
        "colourfulness", "colourfulness_error", "clipped", "bleeding",
    ]  # fmt: skip
    titles = {metric.key: metric.title for metric in METRICS}
    assert titles["psnr"] == "PSNR, dB (higher is better)"
    assert titles["colourfulness"] == "colourfulness"


def test_a_photo_gets_every_figure_whatever_stands_beside_it(photo_scorer: PhotoScorer):
    truth, near = photo(0), photo(0) // 2
    scored = photo_scorer.score(truth, {"near": near, "far": photo(1), "equal": truth.copy()})
    for score in scored.results.values():
        assert sorted(score.figures) == sorted(OF_PHOTOS)
    assert sorted(scored.truth.figures) == sorted(OF_TRUTH)
    figures = scored.results["near"].figures
    assert figures["ciede2000"] == image.ciede2000(truth, near)
    assert figures["bleeding"] == bleeding(truth, near)
    assert figures["clipped"] == image.clipped(near)
    assert 0 < figures["lpips"] < scored.results["far"].figures["lpips"]
    assert scored.truth.figures["colourfulness"] == image.colourfulness(truth)
    alone = photo_scorer.score(truth, {"near": near})
    assert alone.results["near"].figures == figures
    assert (alone.results["near"].inception == scored.results["near"].inception).all()
    assert (scored.results["near"].inception != scored.truth.inception).any()
    equal = scored.results["equal"]
    assert (equal.inception == scored.truth.inception).all()
    assert (equal.figures["psnr"], equal.figures["lpips"], equal.figures["ab_auc"]) == (math.inf, 0, 1)


def test_a_result_of_another_size_is_refused_by_its_name(photo_scorer: PhotoScorer):
    with pytest.raises(ValueError, match=r"model: shape \(=\(16, 32, 3\)\) must be the truth's \(32, 32, 3\)"):
        photo_scorer.score(photo(0), {"model": photo(1)[:16]})


def test_figures_over_photos_are_means_with_intervals_and_distances_of_the_sets():
    truths, results = scores(20)
    summary = summarise(truths, results, seed=3)
    assert list(summary) == [metric.key for metric in METRICS]
    for key in OF_PHOTOS:
        values = np.array([score.figures[key] for score in results])
        assert summary[key].value == pytest.approx(values.mean())
        assert summary[key].low < values.mean() < summary[key].high
        assert summary[key].standard_error == pytest.approx(values.std() / math.sqrt(20))
    features = [np.stack([score.inception for score in scores]) for scores in (truths, results)]
    assert (summary["fid"], summary["kid"]) == (fid(*features, seed=3), kid(*features, seed=3))
    assert summary == summarise(truths, results, seed=3)


def test_a_photo_that_equals_its_truth_leaves_no_finite_mean_of_psnr_and_no_nan():
    truths, results = scores(3)
    results[1] = PhotoScore({**results[1].figures, "psnr": math.inf}, results[1].inception)
    estimate = summarise(truths, results, seed=0)["psnr"]
    assert (estimate.value, estimate.low, estimate.high) == (math.inf, 0, math.inf)
    rounded = [METRICS[0].rounded(value) for value in (estimate.value, estimate.low)]
    assert json.dumps(rounded, allow_nan=False) == "[null, 0.0]"
    assert [in_words(value) for value in rounded] == ["∞", "0"]


def test_one_photo_has_no_distance_of_sets_and_none_is_an_error():
    summary = summarise(*scores(1), seed=0)
    assert list(summary) == OF_PHOTOS
    assert summary["ssim"].low == summary["ssim"].value == summary["ssim"].high
    with pytest.raises(ValueError, match="at least one photo, got 0 for 0"):
        summarise([], [], seed=0)
    with pytest.raises(ValueError, match="got 2 for 3"):
        summarise(scores(3)[0], scores(2)[1], seed=0)
