"""Takes up what another box has trained: `python -m huebands.training.offsite.import_job OUT`.

OUT/models/trained and OUT/reports/train replace those here, each as a whole, provided that they were made with the
parameters of params.yaml on data/prepared. `dvc commit --force train` then records them as if the stage had made them
here.
"""

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


def main(arguments: Sequence[str] | None = None) -> None:
    """Bring home the folder given."""
    folders = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if len(folders) != 1:
            raise PackageError("give one folder: python -m huebands.training.offsite.import_job OUT")
        bring_home(Path(folders[0]), params.load())
    except (params.ParamsError, PackageError, shards.ShardError) as error:
        raise SystemExit(f"bring_home: {error}") from error
    print(f"bring_home: {', '.join(map(str, PLACES))} are there; go on with `dvc commit --force train`, `dvc repro`")


def bring_home(out: Path, settings: params.Params) -> None:
    """Replace package and report of the stage train.

    Args:
        out: what `python -m huebands.training` wrote.
        settings: that it should have been trained with.

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
            f" {data_sha256[:12]}; bundle and train anew"
        )
    check_newest(package.folder, package.config)
    chosen = {key: value for key, value in lineage.items() if key == "precision"}
    learned = {**lineage["params"], "train": lineage["params"]["train"] | chosen}
    trained = params.from_mapping({**asdict(settings), **learned})
    wanted = settings.train
    if wanted.precision == "auto":
        wanted = replace(wanted, precision=trained.train.precision)
    if fingerprint_of(trained.model, trained.train, "") != fingerprint_of(settings.model, wanted, ""):
        ours = flatten({"model": asdict(settings.model), "train": asdict(wanted)})
        theirs = flatten({"model": asdict(trained.model), "train": asdict(trained.train)})
        names = ", ".join(name for name in ours if ours[name] != theirs.get(name))
        raise PackageError(f"{package.folder}: trained with other parameters than params.yaml has: {names}")
    copy_package(package, PLACES[0])
    atomic.copy_folder(out / PLACES[1], PLACES[1])


def check_report(folder: Path, package: ModelPackage) -> None:
    """Refuse a report that is not of a package's training.

    Args:
        folder: as the stage train fills reports/train.
        package: that it should tell of.

    Raises:
        PackageError: naming what is missing, or the other weights.
    """
    for path in (folder / "run.json", folder / "history.csv"):
        if not path.is_file():
            raise PackageError(f"{path}: missing; take the whole report of one training")
    told = json.loads((folder / "run.json").read_text(encoding="utf-8"))["weights_sha256"]
    if told != package.weights_sha256:
        raise PackageError(
            f"{folder / 'run.json'}: tells of other weights ({told[:12]}) than {package.folder} holds"
            f" ({package.weights_sha256[:12]})"
        )


if __name__ == "__main__":
    main()
