"""What was found of a version that was judged: in words, as tags of the version, and as a page beside its package."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from huebands.files import atomic
from huebands.promotion.verdict_page import Section, write_page
from huebands.registry.champion import BETTER, REFUSED
from huebands.registry.models import RegisteredPackage, log_verdict


@dataclass(frozen=True)
class Decision:
    """What was decided of a version, and why.

    Attributes:
        version: that was judged.
        champion: number of the champion at that time, which may be the version itself; None where there was none.
        promoted: whether it may be champion.
        reason: in words.
        given: the reason that somebody gave; "" where nobody did.
        suite: number and hash of the suite.
        sections: what was measured on photos; the first decides.
        promises: coverage and width of the bands on the test photos, in words.
        costs: time and size, in words.
        figures: every figure, by names such as "grey lpips" and "coverage joint".
    """

    version: RegisteredPackage
    champion: int | None
    promoted: bool
    reason: str
    given: str
    suite: str
    sections: Sequence[Section]
    promises: Sequence[str]
    costs: Sequence[str]
    figures: Mapping[str, str]

    @property
    def is_champion(self) -> bool:
        """Whether the version was champion already, so that nothing had to be decided."""
        return self.champion == self.version.version

    @property
    def lines(self) -> list[str]:
        """Every figure in words."""
        compared = [
            line
            for section in self.sections
            for line in (f"{section.heading}:", *(f"  {difference}" for difference in section.verdict.lines))
        ]
        return [*compared, *self.promises, *self.costs]

    def in_words(self, dry_run: bool = False) -> str:
        """What came of it, in one sentence."""
        is_or_not = "is" if self.promoted else "is not"
        would = "would be" if self.promoted else "would not be"
        return f"{self.version.uri} {would if dry_run and not self.is_champion else is_or_not} champion: {self.reason}"

    def report(self, dry_run: bool = False) -> list[str]:
        """Every figure, and the sentence."""
        return [*self.lines, self.in_words(dry_run)]

    @property
    def page(self) -> str:
        """The same for readers, HTML. It says what was found: the champion changes later, if at all."""
        found = f"{self.version.uri} may {'' if self.promoted else 'not '}become champion: {self.reason}"
        return write_page(found, self.given, self.champion, self.sections, self.promises, self.costs)

    @property
    def tags(self) -> dict[str, str]:
        """The same as tags of the version, without their prefix."""
        words = {
            "why": self.reason,
            "against": "" if self.champion is None else str(self.champion),
            "suite": self.suite,
            "reason": self.given,
        }
        return words | {name.replace(", ", "_").replace(" ", "_"): value for name, value in self.figures.items()}


def record(decision: Decision) -> None:
    """Write a verdict to the registry: tags of the version, and a page with all figures beside its package.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    number, outcome = decision.version.version, BETTER if decision.promoted else REFUSED
    values = {"version": number, "outcome": outcome, **decision.tags, "lines": decision.lines}
    with tempfile.TemporaryDirectory() as folder:
        atomic.write_text(Path(folder) / f"version-{number}.html", decision.page)
        atomic.write_text(Path(folder) / f"version-{number}.json", json.dumps(values, indent=2) + "\n")
        log_verdict(decision.version, Path(folder), outcome, decision.tags)
