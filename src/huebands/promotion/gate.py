"""The champion of the registry, and whether a newer version takes its place.

The stage `register` judges each new package. `python -m huebands.promotion.gate` judges a version that is registered
already, such as an experiment's: on the validation photos of data/prepared, by the same rule.

    python -m huebands.promotion.gate models:/huebands-generator/3
    python -m huebands.promotion.gate models:/huebands-generator/3 --override "version 2 has lost its files"

`--override` skips the comparison with the champion, and sets the reason as a tag of the version. A model that is not
better than grey, or whose promise is refuted, never becomes champion.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huebands import params
from huebands.colorize.colorizer import Colorizer
from huebands.data.shards import LabShard, ShardError
from huebands.fetch.pypi import FetchError
from huebands.package.schema import PackageError
from huebands.promotion.experiment import experiment_name
from huebands.promotion.trial import ColourScorer, Trial, Verdict, check_data
from huebands.registry.connection import TrackingError
from huebands.registry.models import RegisteredPackage, champion_version, find_package, set_alias, tag_version

PREPARED = Path("data/prepared")
CHALLENGER, CHAMPION = "challenger", "champion"


@dataclass(frozen=True)
class Champion:
    """The version in use.

    Attributes:
        version: version in the registry.
        colorizer: None where this version of huebands cannot compare it.
        problem: why not.
    """

    version: RegisteredPackage
    colorizer: Colorizer | None
    problem: str = ""


@dataclass(frozen=True)
class Decision:
    """Whether a version is champion now, the reason, and the measured differences in words."""

    promoted: bool
    reason: str
    lines: Sequence[str]

    def __str__(self) -> str:
        return f"it {'is' if self.promoted else 'does not become'} champion: {self.reason}"


def find_champion(model_name: str, alpha: float) -> Champion | None:
    """Find the champion, and load it for a comparison with the bands' promise at alpha."""
    version = champion_version(model_name)
    if version is None:
        return None
    try:
        colorizer = Colorizer.load(version.uri)
        supported, _ = colorizer.calibration.supports(alpha), colorizer.density
    except PackageError as error:
        return Champion(version, None, str(error))
    if not supported:
        return Champion(version, None, f"its calibration supports no alpha of {alpha:g}")
    return Champion(version, colorizer)


def run_trial(challenger: Colorizer, champion: Champion | None, photos: LabShard, scorer: ColourScorer) -> Trial:
    """Measure the challenger, and the champion where it is another package that can be compared.

    Raises:
        ShardError: when there are no photos.
    """
    models = {CHALLENGER: challenger}
    if champion is not None and champion.version.package_sha256 != challenger.package.package_sha256:
        models |= {} if champion.colorizer is None else {CHAMPION: champion.colorizer}
    return Trial.run(models, photos, scorer)


def decide(
    trial: Trial, champion: Champion | None, version: RegisteredPackage, alpha: float, override: str = ""
) -> Decision:
    """Judge a version, make it champion where it is better, and set the differences as its tags.

    Inside a DVC experiment the champion stays: the best of many experiments is partly the best by luck.

    Args:
        trial: trial of the challenger, which is this version, and of the champion.
        champion: as `find_champion` gave it.
        version: to judge.
        alpha: alpha of the promise.
        override: reason to leave out the comparison with the champion; empty where it is made.
    """
    compared = CHAMPION if CHAMPION in trial.colorizers and not override else None
    verdict = trial.judge(CHALLENGER, compared, alpha)
    lines = [f"on {len(trial.photos)} photos of val: {line}" for line in verdict.lines]
    lines += trial.coverage(CHALLENGER, alpha)
    if champion is not None and champion.version.version == version.version:
        doubt = "" if verdict.outcome == "better" else f"; but now it would not be: {verdict.reason}"
        return Decision(True, f"it was champion before{doubt}", lines)
    promoted, reason = _conclude(verdict, champion, version, override)
    tags = {f"gate.{name.replace(' ', '_')}": interval for name, interval in verdict.intervals.items()}
    tags |= {"gate.promoted": str(promoted), "gate.reason": reason} | ({"gate.override": override} if override else {})
    tag_version(version, tags)
    if promoted:
        set_alias(version.model_name, CHAMPION, version.version)
    return Decision(promoted, reason, lines)


def _conclude(
    verdict: Verdict, champion: Champion | None, version: RegisteredPackage, override: str
) -> tuple[bool, str]:
    """Whether the verdict makes the version champion, and why."""
    command = f"`python -m huebands.promotion.gate {version.uri}"
    if verdict.outcome != "better":
        return False, verdict.reason
    if champion is not None and champion.problem and not override:
        return False, (
            f"the champion, version {champion.version.version}, cannot be compared: {champion.problem};"
            f' {command} --override "WHY"` puts version {version.version} in its place'
        )
    if (experiment := experiment_name()) is not None:
        return False, (
            f"{verdict.reason}; but an experiment (={experiment!r}) does not become champion by itself: apply it, and"
            f" run {command}`"
        )
    if champion is None:
        return True, f"there was no champion; {verdict.reason}"
    return True, verdict.reason + (f"; version {champion.version.version} gives way: {override}" if override else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Judge a registered version; exit code 1 when it is not champion afterwards."""
    parser = argparse.ArgumentParser(prog="python -m huebands.promotion.gate", description=__doc__)
    parser.add_argument(
        "version", nargs="?", help="models:/NAME/VERSION or models:/NAME@ALIAS; default: the challenger"
    )
    parser.add_argument("--override", default="", metavar="WHY", help="leave out the comparison with the champion")
    options = parser.parse_args(arguments)
    try:
        settings = params.load()
        address = options.version or f"models:/{settings.register.model_name}@{CHALLENGER}"
        decision = promote(address, settings.calibrate.report_alpha, options.override, ColourScorer())
    except (params.ParamsError, PackageError, ShardError, FetchError, TrackingError, OSError) as error:
        raise SystemExit(f"gate: {error}") from error
    for line in (*decision.lines, str(decision)):
        print(f"gate: {line}")
    if not decision.promoted:
        raise SystemExit(1)


def promote(address: str, alpha: float, override: str, scorer: ColourScorer) -> Decision:
    """Judge the version behind an address, on data/prepared.

    Raises:
        PackageError: when it cannot be loaded, or was trained on other data: it may have seen the validation photos.
        ShardError: when data/prepared has no validation photos.
        TrackingError: when the registry does not answer or lacks the version.
    """
    version = find_package(address)
    challenger = Colorizer.load(version.uri)
    check_data(challenger, PREPARED)
    champion = find_champion(version.model_name, alpha)
    trial = run_trial(challenger, champion, LabShard(PREPARED, "val"), scorer)
    return decide(trial, champion, version, alpha, override)


if __name__ == "__main__":
    main()
