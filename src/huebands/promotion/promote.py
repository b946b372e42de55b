"""Whether a registered version becomes champion: judged by one rule, recorded, and done in one step.

The version is compared with grey, and with the champion, on the suite of photos that belongs to the registered model
(`suite`), by the rule of `trial`. These things refuse it whatever anybody says: a promise that the exact tests refute,
colours that are not better than grey, a package too slow or too large.

A reason in words is needed to replace a champion of another dataset, or one that cannot be read; to bring back a
version that was champion before, since somebody has taken it away; and where it is not known which photos of the suite
a version has learned from. It also stands in for the comparison with the champion.

The verdict is written to the registry first, as tags and as a page; the alias `champion` moves last. So whatever fails,
the champion is either the one of before or the new one.
"""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.comparison.baselines import Lightness
from huebands.data.shards import ShardError, data_sha256
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.schema import PackageError
from huebands.params import Params
from huebands.promotion.contender import Contender
from huebands.promotion.params import PromoteParams
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.stored_suite import open_suite
from huebands.promotion.suite import FEWEST, Suite, SuiteError
from huebands.promotion.trial import ColourScorer, Trial, Verdict
from huebands.promotion.verdict_page import Section, write_page
from huebands.registry.champion import CHALLENGER, CHAMPION, SINCE, champion_version, move_champion
from huebands.registry.connection import TrackingError
from huebands.registry.models import RegisteredPackage, find_package, log_verdict, tags_of

PREPARED = Path("data/prepared")
ERRORS = (PackageError, SuiteError, ShardError, FetchError, TrackingError, OSError)  # that a promotion can end with
LIGHTNESS = "mean colour by lightness"


@dataclass(frozen=True)
class Decision:
    """What was decided of a version, and why.

    Attributes:
        version: that was judged.
        replaced: number of the champion before; None where there was none.
        promoted: whether it is champion now, or would be without --dry-run.
        reason: in words.
        lines: every figure in words.
        figures: the differences with their intervals, by names such as "grey lpips".
        page: the same for readers, HTML.
    """

    version: RegisteredPackage
    replaced: int | None
    promoted: bool
    reason: str
    lines: Sequence[str]
    figures: Mapping[str, str]
    page: str

    def in_words(self, dry_run: bool = False) -> str:
        """One sentence."""
        done = ("would be" if self.promoted else "would not be") if dry_run else ("is" if self.promoted else "is not")
        return f"{self.version.uri} {done} champion: {self.reason}"

    def report(self, dry_run: bool = False) -> list[str]:
        """Every figure, and the sentence."""
        return [*self.lines, self.in_words(dry_run)]


def promote(
    version: RegisteredPackage, settings: Params, scorer: ColourScorer, reason: str = "", dry_run: bool = False
) -> Decision:
    """Judge a version, record the verdict in the registry, and make it champion where it may be.

    Args:
        version: of the registry.
        settings: of the pipeline.
        scorer: of colours.
        reason: why it shall be champion without a comparison with the champion; "": it is compared.
        dry_run: nothing is written.

    Raises:
        PackageError: when the version cannot be loaded, or its bytes are not those that were registered.
        SuiteError, ShardError: when there are no photos to judge by.
        TrackingError: when the registry fails, or another program has moved the champion meanwhile.
    """
    alpha = settings.calibrate.report_alpha
    champion = champion_version(version.model_name)
    suite, number = open_suite(version.model_name, settings, dry_run)
    decision = decide(
        Contender.load(version, alpha),
        None if champion is None else Contender.load(champion, alpha),
        suite,
        number,
        settings,
        scorer,
        reason,
    )
    if not dry_run:
        record(decision, reason, suite, number)
        if decision.promoted:
            move_champion(version, decision.replaced)
    return decision


def decide(
    challenger: Contender,
    champion: Contender | None,
    suite: Suite,
    number: int,
    settings: Params,
    scorer: ColourScorer,
    reason: str = "",
) -> Decision:
    """Judge; nothing is written. See `promote`, which has the same errors."""
    version, alpha = challenger.version, settings.calibrate.report_alpha
    if challenger.colorizer is None:
        raise PackageError(f"{version.uri}: cannot be judged: {challenger.problem}")
    models = {CHALLENGER: challenger.colorizer}
    is_champion = champion is not None and champion.version.version == version.version
    if champion is not None and champion.colorizer is not None and not is_champion:
        models[CHAMPION] = champion.colorizer
    contenders = [challenger, *([champion] if CHAMPION in models and champion is not None else [])]
    seen = [contender.seen(suite) for contender in contenders]
    photos = suite.unseen([photo for known in seen for photo in known or ()])
    if len(photos) < FEWEST:
        raise SuiteError(
            f"suite {number}: only {len(photos)} of its {len(suite)} photos were seen by neither version, and {FEWEST}"
            " are needed; give the model a new suite with `huebands registry suite --new`"
        )
    trial = Trial.run(models, photos, scorer, {LIGHTNESS: Lightness(suite.ab_2L).predict})
    alone = trial.judge(CHALLENGER, None, alpha)
    verdict = trial.judge(CHALLENGER, CHAMPION, alpha) if CHAMPION in models else alone
    obstacles = [*over_budget(trial, challenger, settings.promote)]
    if alone.outcome != "better":
        obstacles.insert(0, alone.reason)
    doubts = without_reason(challenger, champion, suite, [known is None for known in seen])
    promoted, why = _conclude(verdict, alone, obstacles, doubts, champion, is_champion, reason)
    replaced = None if champion is None else champion.version.version
    sections = [
        Section(
            f"On {len(photos)} photos of suite {number} (test photos of {suite.data!r}, {suite.sha256[:12]})"
            + (f", without {len(suite) - len(photos)} that one of the versions has seen" * (len(photos) < len(suite))),
            verdict,
        ),
        *_on_own_test_photos(models, suite, alpha, scorer),
    ]
    costs = [
        f"{name}: {trial.seconds[name]:.2f} s a photo of the suite, package of {contender.megabytes:.1f} MB"
        for name, contender in zip(models, contenders, strict=True)
    ]
    promises = [
        line if name == CHALLENGER else f"{name}: {line}" for name in models for line in trial.coverage(name, alpha)
    ]
    lines = [
        line
        for section in sections
        for line in (f"{section.heading}:", *(f"  {difference}" for difference in section.verdict.lines))
    ]
    lines += [*promises, *costs]
    decision = Decision(version, replaced, promoted, why, lines, verdict.intervals, "")
    page = write_page(decision.in_words(), reason, replaced, sections, promises, costs)
    return Decision(version, replaced, promoted, why, lines, verdict.intervals, page)


def over_budget(trial: Trial, challenger: Contender, limits: PromoteParams) -> list[str]:
    """The limits of time and size that a version exceeds, in words."""
    seconds, megabytes = trial.seconds[CHALLENGER], challenger.megabytes
    found = []
    if seconds > limits.max_seconds:
        found.append(
            f"its colours take {seconds:.2f} s a photo, more than promote.max_seconds (={limits.max_seconds:g})"
        )
    if megabytes > limits.max_megabytes:
        found.append(f"its package has {megabytes:.1f} MB, more than promote.max_megabytes (={limits.max_megabytes:g})")
    return found


def without_reason(
    challenger: Contender, champion: Contender | None, suite: Suite, unknown: Sequence[bool]
) -> list[str]:
    """What forbids a promotion unless somebody gives a reason, in words."""
    found = []
    if champion is not None and champion.problem:
        found.append(f"the champion, version {champion.version.version}, cannot be compared: {champion.problem}")
    elif champion is not None and champion.data != challenger.data:
        found.append(
            f"the champion, version {champion.version.version}, is of another dataset (={champion.data!r}) than this"
            f" version (={challenger.data!r})"
        )
    if any(unknown):
        found.append(f"it is not known which photos of the suite ({suite.data!r}) each version has learned from")
    if SINCE in tags_of(challenger.version):
        found.append("it was champion before, and another version was put in its place")
    return found


def _conclude(
    verdict: Verdict,
    alone: Verdict,
    obstacles: Sequence[str],
    doubts: Sequence[str],
    champion: Contender | None,
    is_champion: bool,
    reason: str,
) -> tuple[bool, str]:
    """Whether a version may be champion, and why."""
    if is_champion:
        return True, "it was champion before" + (f"; but now it would not be: {obstacles[0]}" if obstacles else "")
    if obstacles:
        return False, "; ".join(obstacles)
    if reason:
        instead = "" if champion is None else f"; version {champion.version.version} gives way: {reason}"
        return True, alone.reason + instead
    if champion is None and not doubts:
        return True, f"there was no champion; {verdict.reason}"
    if doubts:
        found = [*doubts, *([] if verdict.outcome == "better" else [verdict.reason])]
        return False, f'{"; ".join(found)}; --reason "WHY" promotes it all the same'
    return verdict.outcome == "better", verdict.reason


def _on_own_test_photos(models: Mapping[str, Any], suite: Suite, alpha: float, scorer: ColourScorer) -> list[Section]:
    """The same figures on the test photos of data/prepared, where these are the version's own and not the suite's."""
    try:
        here = data_sha256(PREPARED)
        photos = SplitPhotos.read(PREPARED, "test")
    except ShardError:
        return []
    own = {name: model for name, model in models.items() if model.package.config["lineage"]["data_sha256"] == here}
    if CHALLENGER not in own or here == suite.data_sha256:
        return []
    trial = Trial.run(own, photos, scorer)
    verdict = trial.judge(CHALLENGER, CHAMPION if CHAMPION in own else None, alpha)
    return [Section(f"On its own {len(photos)} test photos, which decide nothing", verdict)]


def record(decision: Decision, reason: str, suite: Suite, number: int) -> None:
    """Write a verdict to the registry: tags of the version, and a page with all figures beside its package.

    Raises:
        TrackingError: when the store does not answer, or refuses something.
    """
    tags = {
        "outcome": "better" if decision.promoted else "refused",
        "why": decision.reason,
        "against": "" if decision.replaced is None else str(decision.replaced),
        "suite": f"{number} {suite.sha256[:12]}",
        "reason": reason,
        **{name.replace(" ", "_"): interval for name, interval in decision.figures.items()},
    }
    with tempfile.TemporaryDirectory() as folder:
        name = f"version-{decision.version.version}"
        atomic.write_text(Path(folder) / f"{name}.html", decision.page)
        values = {**tags, "version": decision.version.version, "lines": list(decision.lines)}
        atomic.write_text(Path(folder) / f"{name}.json", json.dumps(values, indent=2) + "\n")
        log_verdict(decision.version, Path(folder), {f"verdict.{key}": value for key, value in tags.items() if value})


def challenger_of(model_name: str) -> RegisteredPackage:
    """The version that the alias `challenger` names.

    Raises:
        TrackingError: when there is none.
    """
    return find_package(f"models:/{model_name}@{CHALLENGER}")
