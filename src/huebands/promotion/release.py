"""Packages that ship with the project: `python -m huebands.promotion.release NAME` releases the pipeline's package.

models/generator is copied to models/release/NAME. The best of the released packages is the default model: the new one
is the best when it is better than the best so far by the rule of `trial`, on the validation split of data/prepared,
never on test. A package that learned from other data may have seen these photos, which can only flatter it. So a new
package that is better all the same is better. A package that is not better than grey, or breaks its promise, is not
released.

On photos of its own kind a model for groceries beats one for all photos. It is released with `--not-default`: beside
the best, and measured against grey alone.

models/release/index.json names the best and has the means of all criteria; reports/release/NAME has the curves of the
training, so that the stage register can show them in MLflow.
"""

import argparse
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.guarantee import AlphaError
from huebands.data.shards import ShardError, data_sha256
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.package.choose import (
    GENERATOR,
    INDEX,
    RELEASE,
    ReleasedPackage,
    ReleaseIndex,
    describe_package,
    encode_index,
    read_index,
)
from huebands.package.schema import PackageError
from huebands.package.write import copy_package
from huebands.promotion.split_photos import SplitPhotos
from huebands.promotion.trial import ColourScorer, Trial, Verdict, check_data
from huebands.training.offsite.import_job import check_report

PREPARED, TRAIN, REPORT = Path("data/prepared"), Path("reports/train"), Path("reports/release")
LARGEST = 40 * 10**6  # bytes of a package
CANDIDATE = "models/generator"  # a name that no released package can have


def main(arguments: Sequence[str] | None = None) -> None:
    """Release models/generator under the name given."""
    parser = argparse.ArgumentParser(
        prog="python -m huebands.promotion.release", description="Release models/generator as models/release/NAME."
    )
    parser.add_argument("name", help="of lower-case letters, digits and hyphens")
    parser.add_argument(
        "--not-default", action="store_true", help="for photos of one kind: it is compared with grey alone"
    )
    given = parser.parse_args(arguments)
    try:
        release(given.name, ColourScorer(), may_be_best=not given.not_default)
    except (PackageError, ShardError, FetchError, AlphaError, OSError) as error:
        raise SystemExit(f"release: {error}") from error


def release(name: str, scorer: ColourScorer, may_be_best: bool = True) -> None:
    """Copy the pipeline's package, and name the best of the released packages.

    Args:
        name: of the released package.
        scorer: of colours.
        may_be_best: False: it is measured against grey alone, and the best stays.

    Raises:
        PackageError: when the name is not a plain word; reports/train is of another training; a package was changed
            since its release, is too large or not calibrated; models/generator is of other data than data/prepared; the
            best so far is not known; or the new one is not better than grey, breaks its promise, would replace a better
            one of its own name, or leave no best.
        ShardError: when there is no validation split, or it is empty.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise PackageError(f"name (={name!r}) must be of lower-case letters, digits and hyphens")
    folders = sorted(path for path in RELEASE.glob("[a-z0-9]*") if path.is_dir())
    index = read_released([folder.name for folder in folders])
    best_so_far, listed = (index.best, index.packages) if index else (None, {})
    if not may_be_best and best_so_far in (None, name):
        raise PackageError(f"{RELEASE}: without {name} no package is the best; release it without --not-default")
    released = dict[str, Colorizer]()
    for folder in folders if may_be_best else ():
        try:
            released[folder.name] = check(folder)
        except PackageError as error:
            if folder.name != name or name in listed:  # what was released is never replaced unmeasured
                raise
            print(f"release: {error}; it is replaced")  # its release was cut off before the index was written
    candidate = check(GENERATOR)
    check_data(candidate, PREPARED)
    check_report(TRAIN, candidate.package)
    trial = Trial.run({CANDIDATE: candidate, **released}, SplitPhotos.read(PREPARED, "val"), scorer)
    best_name, verdict = choose(name, best_so_far, trial, candidate.calibration.certificate["alpha"], may_be_best)
    # The package is copied after the measurements, which take minutes: the index must name the package that was copied.
    copy_package(candidate.package, RELEASE / name)
    with atomic.replace_folder(REPORT / name) as report:
        for file in ("run.json", "history.csv"):  # without pictures: the licence of the photos may forbid them
            atomic.write_bytes(report / file, (TRAIN / file).read_bytes())
    measured = {
        package: describe_package(
            colorizer.package.package_sha256, trial.means(CANDIDATE if package == name else package)
        )
        for package, colorizer in {**released, name: candidate}.items()
    }
    index = beside(index, name, measured[name]) if index and not may_be_best else compared(best_name, measured)
    atomic.write_text(RELEASE / INDEX, encode_index(index))
    for candidate_or_released in trial.colorizers:
        means = trial.means(candidate_or_released).items()
        figures = ", ".join(f"{criterion} {mean:.4f}" for criterion, mean in means)
        print(f"release: {candidate_or_released} {figures}")
    for line in (*verdict.lines, *trial.coverage(CANDIDATE, candidate.calibration.certificate["alpha"])):
        print(f"release: {line}")
    print(f"release: {best_name} is the best; {name} is {verdict.reason}")


def compared(best: str, packages: Mapping[str, ReleasedPackage]) -> ReleaseIndex:
    """The index of packages that were compared with each other on data/prepared."""
    return ReleaseIndex(
        best=best, split="val", data_sha256=data_sha256(PREPARED), packages=dict(sorted(packages.items()))
    )


def beside(index: ReleaseIndex, name: str, package: ReleasedPackage) -> ReleaseIndex:
    """The index with one more package, which was measured alone on data/prepared."""
    added = {name: replace(package, data_sha256=data_sha256(PREPARED))}
    return replace(index, packages=dict(sorted({**index.packages, **added}.items())))


def choose(
    name: str, best_so_far: str | None, trial: Trial, alpha: float, may_be_best: bool = True
) -> tuple[str, Verdict]:
    """Name the best, once the candidate is released under this name.

    Raises:
        PackageError: when it may not be released.
    """
    verdict = trial.judge(CANDIDATE, None, alpha)
    if verdict.outcome != "better":
        raise PackageError(f"{GENERATOR}: {verdict.reason}; nothing is released")
    if best_so_far is None or not may_be_best:
        return best_so_far or name, verdict
    verdict = trial.judge(CANDIDATE, best_so_far, alpha)
    if best_so_far == name and verdict.outcome == "inferior":
        raise PackageError(
            f"{RELEASE / name}: is the best, and {GENERATOR} is not better: {verdict.reason}; release it under another"
            " name"
        )
    return (name if verdict.outcome == "better" else best_so_far), verdict


def read_released(names: Collection[str]) -> ReleaseIndex | None:
    """The index; None where nothing was released before.

    Args:
        names: of the folders of released packages.

    Raises:
        PackageError: when the index cannot be read, or names a best package that is missing.
    """
    path = RELEASE / INDEX
    if not path.exists() and not names:
        return None
    if not path.exists():
        raise PackageError(
            f"{path}: missing beside {', '.join(names)}; take it from git again, or remove the packages if git never"
            " had it, because the first release was cut off"
        )
    index = read_index(path)
    if index.best not in names:
        raise PackageError(f"{path}: the best package (={index.best!r}) is missing; take it from git again")
    return index


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
    return colorizer


if __name__ == "__main__":
    main()
