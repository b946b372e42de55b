"""Packages that ship with the project: `python -m huebands.release NAME` takes in what the pipeline has made.

models/generator becomes models/release/NAME, and all released packages are ranked on the validation split of
data/prepared, never on test: by CIEDE2000, LPIPS and the error of colourfulness, each counting alike.
models/release/index.json keeps figures and hashes and names the best, which is taken when nobody names a model.
reports/release/NAME keeps the training's curves, so that `register` can show them in MLflow.
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from huebands.bring_home import check_report
from huebands.colorizer import Colorizer, grey_of
from huebands.data.shards import LabShard, ShardError, data_sha256
from huebands.default_package import GENERATOR, INDEX, RELEASE
from huebands.files import atomic
from huebands.metrics.report import PhotoScorer
from huebands.package import CONFIG, PackageError, copy_package
from huebands.pypi import FetchError

PREPARED, TRAIN, REPORT = Path("data/prepared"), Path("reports/train"), Path("reports/release")
CRITERIA = ("ciede2000", "lpips", "colourfulness_error")  # lower is better
LARGEST = 40 * 10**6  # bytes of a package


def main(arguments: Sequence[str] | None = None) -> None:
    """Release models/generator under the name given."""
    names = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(names) != 1:
            raise PackageError("give one name: python -m huebands.release NAME")
        release(names[0], PhotoScorer())
    except (PackageError, ShardError, FetchError) as error:
        raise SystemExit(f"release: {error}") from error


def release(name: str, scorer: PhotoScorer) -> None:
    """Copy the pipeline's package, and rank all that are released.

    Raises:
        PackageError: when the name is no plain word, reports/train tells of another training, or a package was changed
            since its release, is too large, not calibrated or of other data than data/prepared: its training may have
            seen the validation photos.
        ShardError: when there is no validation split.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise PackageError(f"name (={name!r}) must be of lower-case letters, digits and hyphens")
    others = sorted(path.parent for path in RELEASE.glob(f"[a-z0-9]*/{CONFIG}") if path.parent.name != name)
    colorizers = {folder.name: check(folder) for folder in others} | {name: check(GENERATOR)}
    check_report(TRAIN, colorizers[name].package)
    figures = {of: measure(colorizer, LabShard(PREPARED, "val"), scorer) for of, colorizer in colorizers.items()}
    # Last, since measuring takes minutes: the index must not name a package that another has replaced.
    copy_package(colorizers[name].package, RELEASE / name)
    with atomic.replace_folder(REPORT / name) as report:
        for file in ("run.json", "history.csv"):  # not the pictures: the photos may not be ours to show
            atomic.write_bytes(report / file, (TRAIN / file).read_bytes())
    index = {
        "best": best_of(figures),
        "split": "val",
        "data_sha256": data_sha256(PREPARED),
        "packages": {
            of: {
                **{key: round(value, 4) for key, value in row.items()},
                "package_sha256": colorizers[of].package.package_sha256,
            }
            for of, row in sorted(figures.items())
        },
    }
    atomic.write_text(RELEASE / INDEX, json.dumps(index, indent=2) + "\n")
    for of, row in figures.items():
        print(f"release: {of} " + ", ".join(f"{key} {value:.4f}" for key, value in row.items()))
    print(f"release: {index['best']} is the best")


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
    own, here = colorizer.package.config["lineage"]["data_sha256"], data_sha256(PREPARED)
    if own != here:
        raise PackageError(
            f"{folder}: trained on the data {own[:12]}, while {PREPARED} is {here[:12]}; make that dataset with"
            " `dvc repro prepare`, or take the package away"
        )
    return colorizer


def measure(colorizer: Colorizer, photos: LabShard, scorer: PhotoScorer) -> dict[str, float]:
    """The means of the criteria over photos."""
    rows = []
    for row in range(len(photos)):
        truth = photos.rgb([row])[0].permute(1, 2, 0).numpy()
        scored = scorer.score(truth, {"package": colorizer.predict(grey_of(truth))}).results["package"]
        rows.append([scored.figures[key] for key in CRITERIA])
    if not rows:
        raise ShardError(f"{PREPARED}: the val split is empty; enlarge prepare.fractions.val")
    return dict(zip(CRITERIA, np.mean(rows, axis=0).tolist(), strict=True))


def best_of(figures: Mapping[str, Mapping[str, float]]) -> str:
    """The name with the least sum of ranks; of equals the one with the least CIEDE2000."""
    ranks = dict.fromkeys(figures, 0)
    for key in CRITERIA:
        for name in figures:
            ranks[name] += sum(other[key] < figures[name][key] for other in figures.values())
    return min(figures, key=lambda name: (ranks[name], figures[name][CRITERIA[0]]))


if __name__ == "__main__":
    main()
