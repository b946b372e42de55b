"""Whether a registered version becomes champion: judged by one rule, recorded, and done in one step.

The version is compared with grey, and with the champion, on the suite of photos that belongs to the registered model
(`suite`), by the rule of `trial`. These things refuse it whatever anybody says: a promise that the exact tests refute,
colours that are not better than grey, a package too slow or too large.

A reason in words is needed to replace a champion of another dataset, or one that cannot be read; to bring back a
version that was champion before, since somebody has taken it away; and where it is not known which photos of the suite
a version has learned from. It also stands in for the comparison with the champion.

What was found is written to the registry first, as tags and as a page; the alias `champion` moves then, and the version
is tagged as promoted last. So whatever fails, the champion is either the one of before or the new one. A version that
is champion already is measured, and keeps the verdict that made it champion.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.comparison.baselines import Lightness
from huebands.data.shards import ShardError, data_sha256
from huebands.fetch.pypi import FetchError
from huebands.package.schema import PackageError
from huebands.params import Params
from huebands.promotion.contender import Contender, SeenPhotos
from huebands.promotion.decision import Decision, record
from huebands.promotion.params import PromoteParams
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.stored_suite import open_suite
from huebands.promotion.suite import FEWEST, Suite, SuiteError
from huebands.promotion.trial import ColourScorer, Trial, Verdict
from huebands.promotion.verdict_page import Section
from huebands.registry.champion import (
    CHALLENGER,
    CHAMPION,
    champion_version,
    complete_promotion,
    move_champion,
    was_champion,
)
from huebands.registry.connection import TrackingError
from huebands.registry.models import RegisteredPackage, find_package

PREPARED = Path("data/prepared")
ERRORS = (PackageError, SuiteError, ShardError, FetchError, TrackingError, OSError)  # that a promotion can end with
LIGHTNESS = "mean colour by lightness"


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
    if dry_run:
        return decision
    if decision.is_champion:
        complete_promotion(version)
        return decision
    record(decision)
    if decision.promoted:
        move_champion(version, decision.champion)
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
    in_use = None if champion is None else champion.version.version
    contenders, models = {CHALLENGER: challenger}, {CHALLENGER: challenger.colorizer}
    if champion is not None and champion.colorizer is not None and in_use != version.version:
        contenders[CHAMPION], models[CHAMPION] = champion, champion.colorizer
    seen = {name: contender.seen(suite) for name, contender in contenders.items()}
    photos = suite.unseen([photo for known in seen.values() for photo in known.photos])
    if len(photos) < FEWEST:
        raise SuiteError(
            f"suite {number}: only {len(photos)} of its {len(suite)} photos were seen by neither version, and {FEWEST}"
            " are needed; give the model a new suite with `huebands registry suite --new`"
        )
    trial = Trial.run(models, photos, scorer, {LIGHTNESS: Lightness(suite.ab_2L).predict})
    alone = trial.judge(CHALLENGER, None, alpha)
    verdict = trial.judge(CHALLENGER, CHAMPION, alpha) if CHAMPION in models else alone
    obstacles = [] if alone.outcome == "better" else [alone.reason]
    obstacles += over_budget(trial, challenger, settings.promote)
    if in_use == version.version:
        promoted, why = True, _as_champion(obstacles)
    else:
        doubts = without_reason(challenger, champion, suite, seen)
        promoted, why = _conclude(verdict, alone, obstacles, doubts, in_use, reason)
    heading = f"On {len(photos)} photos of suite {number} (test photos of {suite.data!r}, {suite.sha256[:12]})"
    if len(photos) < len(suite):
        heading += f", without {len(suite) - len(photos)} that one of the versions has seen"
    sections = [Section(heading, verdict), *_on_own_test_photos(models, suite, alpha, scorer)]
    return Decision(
        version,
        in_use,
        promoted,
        why,
        reason,
        f"{number} {suite.sha256[:12]}",
        sections,
        promises=[f"{_before(name, ': ')}{line}" for name in models for line in trial.coverage(name, alpha)],
        costs=[
            f"{name}: {trial.seconds[name]:.2f} s a photo of the suite, package of {contender.megabytes:.1f} MB"
            for name, contender in contenders.items()
        ],
        figures=_figures(sections, trial, contenders, alpha),
    )


def _before(name: str, end: str) -> str:
    """What stands before the figures of a model: nothing before those of the version that is judged."""
    return "" if name == CHALLENGER else f"{name}{end}"


def _figures(
    sections: Sequence[Section], trial: Trial, contenders: Mapping[str, Contender], alpha: float
) -> dict[str, str]:
    """Every figure, see `Decision`."""
    decisive, *others = sections
    figures = {**decisive.verdict.intervals}
    for section in others:
        figures |= {f"own {name}": interval for name, interval in section.verdict.intervals.items()}
    for name, contender in contenders.items():
        costs = {"seconds": f"{trial.seconds[name]:.3g}", "megabytes": f"{contender.megabytes:.3g}"}
        measured = {**trial.certified(name, alpha), **costs}
        figures |= {f"{_before(name, ' ')}{figure}": value for figure, value in measured.items()}
    return figures


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
    challenger: Contender, champion: Contender | None, suite: Suite, seen: Mapping[str, SeenPhotos]
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
    found += [
        f"it is not known which photos of the suite ({suite.data!r}) the {name} has learned from: {photos.unknown}"
        for name, photos in seen.items()
        if photos.unknown
    ]
    if was_champion(challenger.version):
        found.append("it was champion before, and another version was put in its place")
    return found


def _conclude(
    verdict: Verdict,
    alone: Verdict,
    obstacles: Sequence[str],
    doubts: Sequence[str],
    in_use: int | None,
    reason: str,
) -> tuple[bool, str]:
    """Whether a version may be champion, and why; `in_use` is the number of the champion, if there is one."""
    if obstacles:
        return False, "; ".join(obstacles)
    if reason:
        instead = "" if in_use is None else f"; version {in_use} gives way: {reason}"
        return True, alone.reason + instead
    if in_use is None and not doubts:
        return True, f"there was no champion; {verdict.reason}"
    if doubts:
        found = [*doubts, *([] if verdict.outcome == "better" else [verdict.reason])]
        return False, f'{"; ".join(found)}; --reason "WHY" promotes it all the same'
    return verdict.outcome == "better", verdict.reason


def _as_champion(obstacles: Sequence[str]) -> str:
    """What is said of the version that is champion, which stays so whatever was measured."""
    if not obstacles:
        return "it was champion before"
    found = "; ".join(obstacles)
    return f"it was champion before, but would be refused now: {found}; `huebands rollback` takes it away"


def _on_own_test_photos(
    models: Mapping[str, Colorizer], suite: Suite, alpha: float, scorer: ColourScorer
) -> list[Section]:
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


def challenger_of(model_name: str) -> RegisteredPackage:
    """The version that the alias `challenger` names.

    Raises:
        TrackingError: when there is none.
    """
    return find_package(f"models:/{model_name}@{CHALLENGER}")
