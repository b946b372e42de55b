"""The metrics of a photo beside the grey baseline, and their means over photos."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from huebands.metrics import image

DISTANCES: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "psnr": image.psnr,
    "ssim": image.ssim,
    "ciede2000": image.ciede2000,
    "ab_mae": image.ab_mae,
}


def score_photo(truth: np.ndarray, result: np.ndarray, grey: np.ndarray) -> dict[str, float]:
    """Score one colorization, and what leaving the photo grey would score.

    Args:
        truth: uint8 (H, W, 3).
        result: uint8 (H, W, 3), the colorization.
        grey: uint8 (H, W), the photo's grey levels.

    Returns:
        `<metric>_model` and `<metric>_grey` of each metric, then `colourfulness_model` and
        `colourfulness_truth`.
    """
    baseline = np.repeat(grey[..., None], 3, axis=-1)
    row = {}
    for name, distance in DISTANCES.items():
        row[f"{name}_model"], row[f"{name}_grey"] = distance(truth, result), distance(truth, baseline)
    row["colourfulness_model"] = image.colourfulness(result)
    row["colourfulness_truth"] = image.colourfulness(truth)
    return row


def summarise(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Average the rows of `score_photo` over photos: {metric: {"model": ..., "grey" or "truth": ...}}.

    Raises:
        ValueError: when there are no photos.
    """
    if not rows:
        raise ValueError("metrics need at least one photo, got none")
    summary: dict[str, dict[str, float]] = {}
    for key in rows[0]:
        name, of = key.rsplit("_", 1)
        summary.setdefault(name, {})[of] = round(float(np.mean([row[key] for row in rows])), 4)
    return summary
