"""Measures the bands on test photos: coverage and width, at each alpha, by group and by photo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from huebands.conformal.bands import CHANNELS
from huebands.conformal.by_source import rows_by_source
from huebands.conformal.calibration import Calibration
from huebands.conformal.groups import GROUPS, PARTITIONS
from huebands.conformal.guarantee import MODES, Guarantee, Mode
from huebands.conformal.photo_bands import PhotoBands
from huebands.density.atypicality import p_value
from huebands.statistics.bootstrap import mean_interval, resampling_weights
from huebands.statistics.broken_promise import broken_p, mean_interval_exact

_RESAMPLES = 2000
_WIDTH_EDGES = tuple(range(0, 257, 8))  # 8-bit levels
_WORST = 10


@dataclass(frozen=True)
class MeasuredBands:
    """Coverage and widths of bands on one photo.

    Attributes:
        coverage: share of the photo's values (per_channel) or pixels (joint) inside their bands.
        widths: (3,), mean over pixels of upper - lower, 8-bit levels.
        covered: (GROUPS,), share of the photo's pixels (per_channel: mean of the channels) in group and band.
    """

    coverage: float
    widths: np.ndarray
    covered: np.ndarray


@dataclass(frozen=True)
class PhotoCoverage:
    """One test photo.

    Attributes:
        id: ID of the photo.
        title: shown to readers.
        source: where the photo is from.
        ungrouped: at each mode and alpha.
        grouped: at each mode and the report's alpha, with the guarantee in each group.
        shares: (GROUPS,), of the photo's pixels in each group.
        width_counts: (3, len(_WIDTH_EDGES) - 1), share of pixels by band width, per_channel at the report's alpha.
        atypicality: score, see `density.atypicality`.
    """

    id: str
    title: str
    source: str
    ungrouped: Mapping[tuple[Mode, float], MeasuredBands]
    grouped: Mapping[Mode, MeasuredBands]
    shares: np.ndarray
    width_counts: np.ndarray
    atypicality: float


def measure_photo(
    id: str, title: str, source: str, bands: PhotoBands, true_HW3: np.ndarray, calibration: Calibration,
    alphas: Sequence[float], report_alpha: float,
) -> PhotoCoverage:  # fmt: skip
    """Measure a test photo's bands at each alpha, and with the guarantee in each group at the report's alpha.

    Args:
        id: ID of the photo.
        title: shown to readers.
        source: where the photo is from.
        bands: bands of the calibration's shape.
        true_HW3: uint8, the true colours.
        calibration: calibration that chooses among the bands.
        alphas: alphas that the calibration supports, including the report's.
        report_alpha: alpha of the headline figures.
    """
    ungrouped, grouped = {}, {}
    for mode in MODES:
        for alpha in alphas:
            chosen = bands.at(calibration.steps(Guarantee(alpha=alpha, mode=mode)), mode)
            ungrouped[mode, alpha] = measure_bands(chosen, true_HW3, bands.groups, mode)
            if (mode, alpha) == ("per_channel", report_alpha):
                width_counts = count_widths(chosen)
        steps = bands.widest_steps(calibration.group_steps(Guarantee(alpha=report_alpha, mode=mode)))
        grouped[mode] = measure_bands(bands.at(steps, mode), true_HW3, bands.groups, mode)
    shares = np.bincount(bands.groups.ravel(), minlength=len(GROUPS)) / true_HW3[..., 0].size
    return PhotoCoverage(id, title, source, ungrouped, grouped, shares, width_counts, bands.atypicality)


def measure_bands(bands_HW32: np.ndarray, true_HW3: np.ndarray, groups_PHW: np.ndarray, mode: Mode) -> MeasuredBands:
    """Measure bands, uint8 (H, W, 3, 2), on a photo whose true colours, uint8 (H, W, 3), are known."""
    inside_HW3 = (bands_HW32[..., 0] <= true_HW3) & (true_HW3 <= bands_HW32[..., 1])
    covered_HW = inside_HW3.mean(axis=-1) if mode == "per_channel" else inside_HW3.all(axis=-1).astype(float)
    weights = np.broadcast_to(covered_HW, groups_PHW.shape).ravel()
    by_group = np.bincount(groups_PHW.ravel(), weights=weights, minlength=len(GROUPS)) / covered_HW.size
    widths = (bands_HW32[..., 1] - bands_HW32[..., 0]).mean(axis=(0, 1))
    return MeasuredBands(float(covered_HW.mean()), widths, by_group)


def count_widths(bands_HW32: np.ndarray) -> np.ndarray:
    """Share of pixels by band width, (3, bins of `_WIDTH_EDGES`)."""
    widths = (bands_HW32[..., 1] - bands_HW32[..., 0]).reshape(-1, 3).T
    return np.stack([np.histogram(width, _WIDTH_EDGES)[0] / len(width) for width in widths])


def certify(calibration: Calibration, photos: Sequence[PhotoCoverage], alpha: float, seed: int) -> dict[str, Any]:
    """Summarise the measurements on test photos as a certificate.

    Args:
        calibration: whose bands were measured.
        photos: each measured at the same modes and alphas.
        alpha: the report's.
        seed: seed of the bootstrap over photos.

    Raises:
        ValueError: when there are no photos.
    """
    if not photos:
        raise ValueError("coverage needs at least one test photo, got none")
    weights = resampling_weights(len(photos), _RESAMPLES, seed)
    curve = []
    for mode, level in photos[0].ungrouped:
        row = _row(mode, level, [photo.ungrouped[mode, level] for photo in photos], weights)
        curve.append({**row, "steps": calibration.steps(Guarantee(alpha=level, mode=mode)).tolist()})
    grouped = [_row(mode, alpha, [photo.grouped[mode] for photo in photos], weights) for mode in photos[0].grouped]
    limit = calibration.unlike_p_value
    are_unlike = [p_value(photo.atypicality, calibration.table.atypicality) <= limit for photo in photos]
    worst_photos = sorted(photos, key=lambda photo: photo.ungrouped["per_channel", alpha].coverage)[:_WORST]
    return {
        "alpha": alpha,
        "test_photos": len(photos),
        "curve": curve,
        "grouped": grouped,
        "sources": [row for mode in MODES for row in _sources(mode, alpha, photos)],
        "strata": [stratum for mode in MODES for stratum in _strata(mode, alpha, photos, weights)],
        "worst_photos": [
            {
                "id": photo.id,
                "title": photo.title,
                "coverage": round(photo.ungrouped["per_channel", alpha].coverage, 4),
                "width": round(float(photo.ungrouped["per_channel", alpha].widths.mean()), 2),
            }
            for photo in worst_photos
        ],
        "width_distribution": {
            "edges": list(_WIDTH_EDGES),
            **{
                name: np.mean([photo.width_counts[channel] for photo in photos], axis=0).round(5).tolist()
                for channel, name in enumerate(CHANNELS)
            },
        },
        "likeness": {"below": limit, "share": round(float(np.mean(are_unlike)), 4)},
    }


def _row(mode: Mode, alpha: float, measured: Sequence[MeasuredBands], weights: np.ndarray) -> dict[str, Any]:
    """Means over photos with their 95% intervals, by the bootstrap and exact for any distribution, and the exact test.

    `p_value` tests the guarantee that at most alpha is outside these bands; a small one says that it is broken.
    """
    covered = np.array([photo.coverage for photo in measured])
    low, high = mean_interval(covered, weights, bounds=(0, 1))
    exact_low, exact_high = (1 - end for end in reversed(mean_interval_exact(1 - covered)))
    widths = np.mean([photo.widths for photo in measured], axis=0)
    return {
        "mode": mode,
        "alpha": alpha,
        "coverage": round(float(covered.mean()), 4),
        "coverage_low": round(low, 4),
        "coverage_high": round(high, 4),
        "exact_low": round(exact_low, 4),
        "exact_high": round(exact_high, 4),
        "p_value": float(f"{broken_p(1 - covered, alpha):.4g}"),
        "width": round(float(widths.mean()), 2),
        "widths": widths.round(2).tolist(),
    }


def _sources(mode: Mode, alpha: float, photos: Sequence[PhotoCoverage]) -> list[dict[str, Any]]:
    """Coverage and width by source, with the bands promised to all pixels."""
    measured = [photo.ungrouped[mode, alpha] for photo in photos]
    coverage, widths = np.array([bands.coverage for bands in measured]), [bands.widths.mean() for bands in measured]
    return rows_by_source(mode, alpha, [photo.source for photo in photos], coverage, np.array(widths))


def _strata(mode: Mode, alpha: float, photos: Sequence[PhotoCoverage], weights: np.ndarray) -> list[dict[str, Any]]:
    """Coverage of the test pixels of each group, with equal weights of photos and 95% intervals over them."""
    shares = np.stack([photo.shares for photo in photos])
    ungrouped = np.stack([photo.ungrouped[mode, alpha].covered for photo in photos])
    grouped = np.stack([photo.grouped[mode].covered for photo in photos])
    strata, partitions = [], [partition for partition, names in PARTITIONS.items() for _ in names]
    for index, (partition, group) in enumerate(zip(partitions, GROUPS, strict=True)):
        share = shares[:, index]
        if not share.any():
            continue
        drawn = weights @ share
        resampled = (weights @ ungrouped[:, index])[drawn > 0] / drawn[drawn > 0]
        low, high = np.percentile(resampled, (2.5, 97.5))
        strata.append(
            {
                "mode": mode,
                "partition": partition,
                "group": group,
                "share": round(float(share.mean()), 5),
                "photos": int((share > 0).sum()),
                "coverage": round(float(ungrouped[:, index].sum() / share.sum()), 4),
                "low": round(float(low), 4),
                "high": round(float(high), 4),
                "standard_error": round(float(resampled.std()), 4),
                "grouped_coverage": round(float(grouped[:, index].sum() / share.sum()), 4),
            }
        )
    return strata
