"""Imports the results of a training job from another machine: `python -m huebands.training.offsite.import_job OUT`.

OUT/models/trained and OUT/reports/train replace models/trained and reports/train, each as a whole, provided that they
were made with the parameters of params.yaml on data/prepared. `dvc commit --force train` then records them as the
outputs of the stage.
"""

import csv
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from huebands import params
from huebands.data import shards
from huebands.files import atomic
from huebands.models.parameters import flatten
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import PackageError, check_newest
from huebands.package.write import copy_package
from huebands.training.loop import fingerprint_of

PREPARED, PLACES = Path("data/prepared"), (Path("models/trained"), Path("reports/train"))
TIMES = ("epoch", "seconds")  # columns of history.csv that every training has


def main(arguments: Sequence[str] | None = None) -> None:
    """Import the results in the folder given."""
    folders = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(folders) != 1:
            raise PackageError("give one folder: python -m huebands.training.offsite.import_job OUT")
        import_job(Path(folders[0]), params.load())
    except (params.ParamsError, PackageError, shards.ShardError) as error:
        raise SystemExit(f"import: {error}") from error
    print(f"import: {' and '.join(map(str, PLACES))} are replaced; run `dvc commit --force train`, then `dvc repro`")


def import_job(out: Path, settings: params.Params) -> None:
    """Replace the package and the report of the stage train.

    Args:
        out: folder that `python -m huebands.training` filled.
        settings: that the training must have used.

    Raises:
        PackageError: when something is missing, or was made with other parameters or data, naming them.
        ShardError: when data/prepared is missing.
    """
    package = read_package(out / PLACES[0])
    check_report(out / PLACES[1], package)
    lineage, data_sha256 = package.config["lineage"], shards.data_sha256(PREPARED)
    if lineage["data_sha256"] != data_sha256:
        raise PackageError(
            f"{package.folder}: trained on the data {lineage['data_sha256'][:12]}, while {PREPARED} is"
            f" {data_sha256[:12]}; export the job and train again"
        )
    check_newest(package.folder, package.config)
    precision = {key: value for key, value in lineage.items() if key == "precision"}
    used = {**lineage["params"], "train": lineage["params"]["train"] | precision}
    trained = params.from_mapping({**asdict(settings), **used})
    expected = settings.train.limited(len(shards.open_shard(PREPARED, "train")))
    if expected.precision == "auto":
        expected = replace(expected, precision=trained.train.precision)
    if fingerprint_of(trained.model, trained.train, "") != fingerprint_of(settings.model, expected, ""):
        expected_values = flatten({"model": asdict(settings.model), "train": asdict(expected)})
        trained_values = flatten({"model": asdict(trained.model), "train": asdict(trained.train)})
        names = ", ".join(name for name in expected_values if expected_values[name] != trained_values.get(name))
        raise PackageError(f"{package.folder}: trained with other parameters than params.yaml has: {names}")
    copy_package(package, PLACES[0])
    atomic.copy_folder(out / PLACES[1], PLACES[1])


def check_report(folder: Path, package: ModelPackage) -> None:
    """Check that a report is of a package's training.

    Args:
        folder: as the stage train fills reports/train.
        package: that the training made.

    Raises:
        PackageError: naming the file that is missing, the other weights, or the columns that the history lacks.
    """
    for path in (folder / "run.json", folder / "history.csv"):
        if not path.is_file():
            raise PackageError(f"{path}: missing; take the whole report of one training")
    reported = json.loads((folder / "run.json").read_text(encoding="utf-8"))["weights_sha256"]
    if reported != package.weights_sha256:
        raise PackageError(
            f"{folder / 'run.json'}: weights_sha256 (={reported[:12]!r}) must be {package.weights_sha256[:12]!r}, that"
            f" of {package.folder}; take both from one training"
        )
    with (folder / "history.csv").open(encoding="utf-8", newline="") as file:
        columns = next(csv.reader(file), [])
    if missing := [column for column in TIMES if column not in columns]:
        raise PackageError(
            f"{folder / 'history.csv'}: columns (={', '.join(columns)}) lack {', '.join(missing)}, without which the"
            " run cannot be restored; take the report that the training wrote"
        )


if __name__ == "__main__":
    main()
