"""Coverage and widths of the bands by the source of the test photos, with an exact test of each.

The promise is made to photos of the whole mixture. This tells how it is shared among the mixture's sources.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from huebands.conformal.guarantee import Mode
from huebands.statistics.broken_promise import broken_p, mean_interval_exact
from huebands.statistics.holm import holm


def rows_by_source(
    mode: Mode, alpha: float, sources: Sequence[str], coverage_N: np.ndarray, widths_N: np.ndarray
) -> list[dict[str, Any]]:
    """Sum up the test photos of each source, with the exact 95% interval of their coverage and its p-values.

    Args:
        mode: what is counted.
        alpha: of the bands.
        sources: of the N photos.
        coverage_N: share of each photo that is inside its bands.
        widths_N: mean width of each photo's bands, 8-bit levels.

    Returns:
        A row for each source, in order of their names.
    """
    rows = []
    for source, (p_value, p_holm) in p_values_by_source(alpha, sources, coverage_N).items():
        members = np.asarray(sources) == source
        covered = coverage_N[members]
        low, high = (1 - end for end in reversed(mean_interval_exact(1 - covered)))
        rows.append(
            {
                "source": source,
                "mode": mode,
                "alpha": alpha,
                "photos": len(covered),
                "coverage": round(float(covered.mean()), 4),
                "exact_low": round(low, 4),
                "exact_high": round(high, 4),
                "p_value": float(f"{p_value:.4g}"),
                "p_holm": float(f"{p_holm:.4g}"),
                "width": round(float(widths_N[members].mean()), 2),
            }
        )
    return rows


def p_values_by_source(alpha: float, sources: Sequence[str], coverage_N: np.ndarray) -> dict[str, tuple[float, float]]:
    """Test for each source that a photo of it is expected to be covered by at least 1 - alpha.

    Args:
        alpha: of the bands.
        sources: of the N photos, which are in an order that has nothing to do with their coverage.
        coverage_N: share of each photo that is inside its bands.

    Returns:
        {source: (p-value of the exact test, the same corrected for the number of sources)}, in order of their names.
    """
    names = sorted(set(sources))
    p_values = [broken_p(1 - coverage_N[np.asarray(sources) == name], alpha) for name in names]
    return dict(zip(names, zip(p_values, holm(p_values), strict=True), strict=True))
