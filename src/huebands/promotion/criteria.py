"""The one rule for "better": the gate of the registry and the releases both decide by it.

Two models colour the same photos, and each criterion is compared by the mean of its differences over photos, with a
bootstrap interval. The intervals share one level (Bonferroni): all of them hold at once with 95% confidence.

- *better*: clearly lower by some criterion, and clearly higher by none. CIEDE2000 alone is not enough: it prefers grey.
- *worse*: the other way round.
- *undecided*: clearly lower by some and clearly higher by others, or clearly lower by CIEDE2000 alone. Against grey the
  error of colourfulness alone is not enough either: any tint lowers it.
- *alike*: no clear difference.

Only a better model takes the place of the one in use. If two models differ by nothing but chance, the candidate is
found better with a probability of 2.5% at most, as far as the bootstrap is exact (`tests/promotion/test_criteria.py`
measures 2.4%). On 16 photos many comparisons stay open: a candidate that is better by a tenth in everything is found
better in a third of the cases, on 64 photos in four of five.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from huebands.statistics.bootstrap import mean_interval, resampling_weights

LEVEL = 0.05  # of all intervals of a comparison, and of all exact tests of a package, together
COLOURS = ("ciede2000", "lpips", "colourfulness_error", "bleeding")
# Grey has no colour that could bleed, so it always has the best value of bleeding.
AGAINST_GREY = ("ciede2000", "lpips", "colourfulness_error")
# Criteria that do not decide alone, and why; the second one not against grey.
_PREFERS_GREY = {"ciede2000": "which prefers grey"}
_AGAINST_GREY_ALONE = {**_PREFERS_GREY, "colourfulness_error": "which any tint lowers"}
_RESAMPLES, _SEED = 5_000, 0  # the intervals' ends lie far out, where few resamples are
_FEWEST = 4  # photos, below which there is no spread to judge by

Figures = Mapping[str, np.ndarray]  # of one model: {criterion: (photos,)}; lower is better
Outcome = Literal["better", "worse", "undecided", "alike"]


@dataclass(frozen=True)
class Difference:
    """A criterion of two models over the same photos.

    Attributes:
        criterion: its name.
        candidate: mean of the candidate.
        reference: mean of the reference.
        low: lower end of the interval of candidate - reference.
        high: upper end.
    """

    criterion: str
    candidate: float
    reference: float
    low: float
    high: float

    @property
    def value(self) -> float:
        """Mean of the differences; below 0 the candidate is better."""
        return self.candidate - self.reference

    @property
    def clear_side(self) -> Literal["lower", "higher", ""]:
        """The side of 0 on which the whole interval lies; "" where 0 is inside."""
        return "lower" if self.high < 0 else "higher" if self.low > 0 else ""

    @property
    def interval(self) -> str:
        """Such as "-0.0346 (-0.0642 to -0.0004)"."""
        return f"{self.value:+.4g} ({self.low:+.4g} to {self.high:+.4g})"

    def in_words(self, reference: str) -> str:
        """Such as "lpips 0.1871, grey 0.2217: -0.0346 (-0.0642 to -0.0004), clearly lower"."""
        clearly = f"clearly {self.clear_side}" if self.clear_side else "no clear difference"
        return f"{self.criterion} {self.candidate:.4f}, {reference} {self.reference:.4f}: {self.interval}, {clearly}"


@dataclass(frozen=True)
class Comparison:
    """Two models by several criteria.

    Attributes:
        differences: one for each criterion.
        not_alone: criteria that do not decide alone, with the reason.
    """

    differences: Sequence[Difference]
    not_alone: Mapping[str, str] = field(default_factory=lambda: _PREFERS_GREY)

    def clearly(self, side: Literal["lower", "higher"]) -> list[str]:
        """The criteria by which the candidate is clearly lower, or higher."""
        return [difference.criterion for difference in self.differences if difference.clear_side == side]

    @property
    def outcome(self) -> Outcome:
        """By the rule of this module."""
        lower, higher = set(self.clearly("lower")), set(self.clearly("higher"))
        if lower and not higher and not (len(lower) == 1 and lower <= self.not_alone.keys()):
            return "better"
        if higher and not lower:
            return "worse"
        return "undecided" if lower or higher else "alike"

    @property
    def reason(self) -> str:
        """The outcome in words, with the criteria that led to it."""
        lower, higher = ", ".join(self.clearly("lower")), ", ".join(self.clearly("higher"))
        if self.outcome == "alike":
            return "no clear difference by any criterion"
        if self.outcome == "undecided" and not higher:
            return f"clearly lower by {lower} alone, {self.not_alone[lower]}"
        sides = [f"clearly {side} by {names}" for side, names in (("lower", lower), ("higher", higher)) if names]
        return " and ".join(sides)


def compare_with_grey(candidate: Figures, grey: Figures) -> Comparison:
    """Compare a model with photos left grey; raises like `compare`."""
    return Comparison(compare(candidate, grey, AGAINST_GREY).differences, _AGAINST_GREY_ALONE)


def compare(candidate: Figures, reference: Figures, criteria: Sequence[str]) -> Comparison:
    """Compare two models over the same photos in the same order.

    Fewer than four photos leave every difference open.

    Raises:
        ValueError: when there are no photos, or not as many of one model as of the other.
    """
    photos = len(candidate[criteria[0]])
    for figures in (candidate, reference):
        for criterion in criteria:
            if len(figures[criterion]) != photos or not photos:
                raise ValueError(
                    f"{criterion}: figures (={len(figures[criterion])}) must be of the same photos, at least one, as"
                    f" those of {criteria[0]} (={photos})"
                )
    weights = resampling_weights(photos, _RESAMPLES, _SEED)
    confidence = 1 - LEVEL / len(criteria)
    differences = []
    for criterion in criteria:
        paired = candidate[criterion] - reference[criterion]
        low, high = mean_interval(paired, weights, confidence=confidence) if photos >= _FEWEST else (-np.inf, np.inf)
        means = float(candidate[criterion].mean()), float(reference[criterion].mean())
        differences.append(Difference(criterion, *means, float(low), float(high)))
    return Comparison(differences)


def refuted(certificate: Iterable[Mapping[str, Any]], alpha: float) -> list[Mapping[str, Any]]:
    """Find the promises at alpha that the exact tests on the test photos refute: one test a promise; they share LEVEL.

    A promise is refuted when its p-value is at most LEVEL divided by the number of promises, the first step of Holm's
    procedure. A package that keeps its promises is refuted with a probability of LEVEL at most. On 33 photos like those
    of `paintings` and with two promises a coverage of 86% in place of 90% is found in 33% of the cases, 84% in 70%, 80%
    in 97% (`tests/statistics/test_broken_promise.py`).

    Args:
        certificate: its rows of the curve, with mode, alpha and p_value; older ones lack p_value and refute nothing.
        alpha: alpha of the promise.
    """
    rows = [row for row in certificate if abs(row["alpha"] - alpha) < 1e-9 and "p_value" in row]
    return [row for row in rows if row["p_value"] <= LEVEL / len(rows)]


def doubts(certificate: Sequence[Mapping[str, Any]], alpha: float) -> list[str]:
    """The reasons, in words, to doubt a certificate at alpha; a certificate without a test is one of them."""
    if not any(abs(row["alpha"] - alpha) < 1e-9 and "p_value" in row for row in certificate):
        return [f"its certificate has no exact test of the coverage at alpha {alpha:g}; calibrate it with this version"]
    return [
        f"{row['mode']} coverage at alpha {alpha:g} is {row['coverage']:.4f} on the test photos, too little for the"
        f" {1 - alpha:g} promised: p {row['p_value']:.3g} by the exact test"
        for row in refuted(certificate, alpha)
    ]
