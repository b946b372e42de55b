"""The champion's gate: whether a new package takes the place of the one in use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from huebands.colorizer import Colorizer, grey_of
from huebands.data.shards import LabShard, ShardError
from huebands.metrics.image import ciede2000


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger becomes champion, and why, for people."""

    promoted: bool
    reason: str


def mean_ciede2000(colorizer: Colorizer, photos: LabShard) -> float:
    """Mean CIEDE2000 over photos, at their prepared size; lower is better.

    Raises:
        ShardError: when there are no photos.
    """
    if len(photos) == 0:
        raise ShardError("the gate needs photos and the val split has none; enlarge prepare.fractions.val")
    errors = []
    for row in range(len(photos)):
        truth = photos.rgb([row])[0].permute(1, 2, 0).numpy()
        errors.append(ciede2000(truth, colorizer.predict(grey_of(truth))))
    return float(np.mean(errors))


def judge(
    challenger: float,
    champion: float | None,
    min_gain: float,
    certificate: Iterable[Mapping[str, Any]],
    alpha: float,
) -> Verdict:
    """Decide between two packages by their colour error on the same photos.

    Without a champion the challenger is promoted, whatever it reaches: there is nothing to fall back to.

    Args:
        challenger: its mean CIEDE2000.
        champion: the champion's, None when there is no champion.
        min_gain: by which the challenger must be lower.
        certificate: coverage of the challenger on the test split; `coverage_high` ends its 95% interval.
        alpha: the promise to hold against the certificate.
    """
    doubt = _doubt(certificate, alpha)
    if champion is None:
        return Verdict(True, f"there is no champion; CIEDE2000 {challenger:.4f}" + (f"; but {doubt}" if doubt else ""))
    figures = f"CIEDE2000 {challenger:.4f} against the champion's {champion:.4f}, gain to exceed {min_gain:g}"
    if champion - challenger <= min_gain:
        return Verdict(False, f"not better: {figures}")
    return Verdict(False, f"better, but {doubt}") if doubt else Verdict(True, f"better: {figures}")


def _doubt(certificate: Iterable[Mapping[str, Any]], alpha: float) -> str:
    """What speaks against the promise of the bands at alpha, empty when nothing does."""
    measured = [entry for entry in certificate if abs(entry["alpha"] - alpha) < 1e-9]
    if not measured:
        return f"no coverage was measured at alpha {alpha:g}"
    return "; ".join(
        f"{entry['mode']} coverage at alpha {alpha:g} is {entry['coverage']:.4f}, at most "
        f"{entry['coverage_high']:.4f} with 95% confidence: below the {1 - alpha:g} promised"
        for entry in measured
        if entry["coverage_high"] < 1 - alpha - 1e-9
    )
