"""Packages that ship with the project: `python -m huebands.promotion.release NAME` takes in what the pipeline has made.

models/generator becomes models/release/NAME. It becomes the best, which is taken when nobody names a model, when it is
better than the best before by the rule of `trial`, on the validation split of data/prepared, never on test. What is not
better than grey, or breaks its promise, is not released. models/release/index.json names the best and keeps the means
of all criteria; reports/release/NAME keeps the training's curves, so that `register` can show them in MLflow.
"""

import json
import re
import sys
from collections.abc import Container, Sequence
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import AlphaError
from huebands.data.shards import LabShard, ShardError, data_sha256
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.choose import GENERATOR, INDEX, RELEASE
from huebands.package.schema import CONFIG, PackageError
from huebands.package.write import copy_package
from huebands.promotion.trial import ColourScorer, Trial, Verdict, check_data
from huebands.training.offsite.import_job import check_report

PREPARED, TRAIN, REPORT = Path("data/prepared"), Path("reports/train"), Path("reports/release")
LARGEST = 40 * 10**6  # bytes of a package
CANDIDATE = "models/generator"  # no name of a released package


def main(arguments: Sequence[str] | None = None) -> None:
    """Release models/generator under the name given."""
    names = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(names) != 1:
            raise PackageError("give one name: python -m huebands.promotion.release NAME")
        release(names[0], ColourScorer())
    except (PackageError, ShardError, FetchError, AlphaError) as error:
        raise SystemExit(f"release: {error}") from error


def release(name: str, scorer: ColourScorer) -> None:
    """Copy the pipeline's package, and name the best of all that are released.

    Raises:
        PackageError: when the name is no plain word; reports/train tells of another training; a package was changed
            since its release, is too large, not calibrated or of other data than data/prepared; or the new one is not
            better than grey, breaks its promise, or would take the place of a better one of its own name.
        ShardError: when there is no validation split.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise PackageError(f"name (={name!r}) must be of lower-case letters, digits and hyphens")
    released = dict[str, Colorizer]()
    for folder in sorted(path.parent for path in RELEASE.glob(f"[a-z0-9]*/{CONFIG}")):
        try:
            released[folder.name] = check(folder)
        except PackageError as error:
            if folder.name != name:
                raise
            print(f"release: {error}; it is replaced")  # such as one whose release was cut off before the index
    candidate = check(GENERATOR)
    check_report(TRAIN, candidate.package)
    trial = Trial.run({CANDIDATE: candidate, **released}, LabShard(PREPARED, "val"), scorer)
    best, verdict = choose(name, trial, candidate.calibration.certificate["alpha"])
    # Last, since measuring takes minutes: the index must not name a package that another has replaced.
    copy_package(candidate.package, RELEASE / name)
    with atomic.replace_folder(REPORT / name) as report:
        for file in ("run.json", "history.csv"):  # not the pictures: the photos may not be ours to show
            atomic.write_bytes(report / file, (TRAIN / file).read_bytes())
    packages = {of: colorizer.package.package_sha256 for of, colorizer in released.items()}
    packages[name] = candidate.package.package_sha256
    figures = {folder: trial.means(folder) for folder in released} | {name: trial.means(CANDIDATE)}
    index = {
        "best": best,
        "split": "val",
        "data_sha256": data_sha256(PREPARED),
        "packages": {
            of: {**{key: round(value, 4) for key, value in row.items()}, "package_sha256": packages[of]}
            for of, row in sorted(figures.items())
        },
    }
    atomic.write_text(RELEASE / INDEX, json.dumps(index, indent=2) + "\n")
    for of, row in figures.items():
        print(f"release: {of} " + ", ".join(f"{key} {value:.4f}" for key, value in row.items()))
    for line in (*verdict.lines, *trial.coverage(CANDIDATE, candidate.calibration.certificate["alpha"])):
        print(f"release: {line}")
    print(f"release: {best} is the best; {name} is {verdict.reason}")


def choose(name: str, trial: Trial, alpha: float) -> tuple[str, Verdict]:
    """Name the best, once the candidate is released under this name.

    Raises:
        PackageError: when it may not be released.
    """
    alone = trial.judge(CANDIDATE, None, alpha)
    if alone.outcome != "better":
        raise PackageError(f"{GENERATOR}: {alone.reason}; nothing is released")
    before = best_before(set(trial.colorizers))
    if before is None:
        return name, alone
    verdict = trial.judge(CANDIDATE, before, alpha)
    if before == name and verdict.outcome == "inferior":
        raise PackageError(
            f"{RELEASE / name}: the best, whose place {GENERATOR} would take without being better: {verdict.reason};"
            " release it under another name"
        )
    return (name if verdict.outcome == "better" else before), verdict


def best_before(released: Container[str]) -> str | None:
    """The best so far, as the index names it, if it is among the released packages."""
    try:
        best = json.loads((RELEASE / INDEX).read_text(encoding="utf-8"))["best"]
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None
    return str(best) if best in released else None


def check(folder: Path) -> Colorizer:
    """Load a package that may be released.

    Raises:
        PackageError: see `release`.
    """
    colorizer = Colorizer.load(folder)
    _ = colorizer.calibration
    size = sum(path.stat().st_size for path in folder.iterdir())
    if size > LARGEST:
        raise PackageError(f"{folder}: {size} bytes, more than {LARGEST}; train a smaller network")
    check_data(colorizer, PREPARED)
    return colorizer


if __name__ == "__main__":
    main()
