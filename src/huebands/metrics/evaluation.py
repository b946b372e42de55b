"""What an evaluation reports: a model's colorizations beside the grey photos that they were made from."""

from collections.abc import Sequence

import numpy as np

from huebands.metrics.report import METRICS, OF_TRUTH, ScoredPhoto, summarise

MODEL, GREY, TRUTH = "model", "grey", "truth"
BY_SOURCE = ("ciede2000", "colourfulness_error")  # metrics that are also reported by source


def figures_of_photo(score: ScoredPhoto) -> dict[str, float]:
    """Name a photo's figures for a table: <metric>_model, <metric>_grey and, where it has one, <metric>_truth."""
    scores = {**score.results, TRUTH: score.truth}
    return {
        f"{metric.key}_{name}": photo.figures[metric.key]
        for metric in METRICS
        for name, photo in scores.items()
        if metric.key in photo.figures
    }


def summarise_beside_grey(
    scores: Sequence[ScoredPhoto], seed: int, judged_by_inception: bool = True
) -> dict[str, dict[str, float | None]]:
    """Estimate every metric over photos.

    Args:
        scores: with a result called "model" and one called "grey".
        seed: of the bootstrap over photos.
        judged_by_inception: see `summarise`.

    Returns:
        {metric: {"model", "low", "high", "grey"}}, rounded for a file; with the truth's mean where the truth has the
        metric, and with KID's standard error.
    """
    truths = [score.truth for score in scores]
    model, grey = (
        summarise(truths, [score.results[name] for score in scores], seed, judged_by_inception)
        for name in (MODEL, GREY)
    )
    summary: dict[str, dict[str, float | None]] = {}
    for metric in METRICS:
        if metric.key not in model:
            continue
        estimate = model[metric.key]
        values = {MODEL: estimate.value, "low": estimate.low, "high": estimate.high, GREY: grey[metric.key].value}
        if metric.key in OF_TRUTH:
            values[TRUTH] = float(np.mean([truth.figures[metric.key] for truth in truths]))
        if metric.key == "kid":
            values["standard_error"] = estimate.standard_error
        summary[metric.key] = {name: metric.rounded(value) for name, value in values.items()}
    return summary


def summarise_by_source(
    scores: Sequence[ScoredPhoto], sources: Sequence[str]
) -> dict[str, dict[str, int | dict[str, float]]]:
    """Average the error of colours over the photos of each source.

    Args:
        scores: with a result called "model" and one called "grey".
        sources: of the same photos.

    Returns:
        {source: {"photos": n, "ciede2000": {"model", "grey"}, "colourfulness_error": {"model", "grey"}}}.
    """
    summary: dict[str, dict[str, int | dict[str, float]]] = {}
    for source in sorted(set(sources)):
        members = [score for score, other in zip(scores, sources, strict=True) if other == source]
        means = {
            key: {
                name: round(float(np.mean([score.results[name].figures[key] for score in members])), 4)
                for name in (MODEL, GREY)
            }
            for key in BY_SOURCE
        }
        summary[source] = {"photos": len(members), **means}
    return summary


def best_median_worst(errors: Sequence[float], count: int) -> dict[str, list[int]]:
    """Choose the positions of the `count` smallest, middle and largest errors, all positions when there are fewer."""
    order = np.argsort(np.asarray(errors), kind="stable").tolist()
    count = min(count, len(order))
    middle = (len(order) - count) // 2
    return {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
