"""A verdict as one HTML file that needs no other, for a person who has a minute; the text is in verdict.html.j2."""

from collections.abc import Sequence
from dataclasses import dataclass

from huebands.package.documents.templates import render
from huebands.promotion.trial import BANDS, IN_USE, Verdict

_REFERENCES = {IN_USE: "the champion", BANDS: "the bands of the champion"}
_CRITERIA = {
    "ciede2000": "Colour error (CIEDE2000)",
    "lpips": "Perceptual distance (LPIPS)",
    "colourfulness_error": "Error of colourfulness",
    "bleeding": "Bleeding over edges",
}


@dataclass(frozen=True)
class Section:
    """Photos, in words, and what was measured on them."""

    heading: str
    verdict: Verdict


def write_page(
    decision: str,
    reason: str,
    replaced: int | None,
    sections: Sequence[Section],
    promises: Sequence[str],
    costs: Sequence[str],
) -> str:
    """Write the page; equal arguments give equal text.

    Args:
        decision: one sentence.
        reason: that somebody gave; "" where nobody did.
        replaced: number of the champion before; None where there was none.
        sections: what was measured; the first decides.
        promises: the coverage on the test photos, in words.
        costs: time and size, in words.
    """
    return render(
        "huebands.promotion",
        "verdict.html.j2",
        decision=decision,
        reason=reason,
        replaced=replaced,
        sections=[
            (
                section.heading,
                [(_REFERENCES.get(name, name), _rows(section.verdict, name)) for name in section.verdict.comparisons],
            )
            for section in sections
        ],
        promises=promises,
        costs=costs,
    )


def _rows(verdict: Verdict, name: str) -> list[tuple[str, str, str, str, str]]:
    """Criterion, candidate, reference, difference with its interval, and the side on which it clearly lies."""
    return [
        (
            _CRITERIA.get(difference.criterion, difference.criterion),
            f"{difference.candidate:.4f}",
            f"{difference.reference:.4f}",
            difference.interval,
            {"lower": "better", "higher": "worse", "": "open"}[difference.clear_side],
        )
        for difference in verdict.comparisons[name].differences
    ]
