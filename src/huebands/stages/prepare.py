"""Stage prepare: photos of data/raw become Lab shards in four splits, with a manifest.

The splits that photos had stay as data/splits/NAME.csv remembers them; new photos are added to it.
"""

from pathlib import Path

import pandas as pd

from huebands import params
from huebands.data.assignments import AssignmentError, Assignments, path_of
from huebands.data.dataset import key_of, write_dataset
from huebands.data.params import SPLITS, PrepareParams
from huebands.data.shards import ShardError
from huebands.data.work import unfinished
from huebands.files import atomic
from huebands.files.cells import cell
from huebands.photos.errors import ImageError

RAW, PREPARED = Path("data/raw"), Path("data/prepared")


def main() -> None:
    """Read data/raw and the remembered splits, write data/prepared and the splits."""
    try:
        settings = params.load()
        prepare(RAW, PREPARED, settings.prepare, path_of(settings.data.name))
    except (params.ParamsError, AssignmentError, ImageError, ShardError, OSError) as error:
        raise SystemExit(f"prepare: {error}") from error


def prepare(raw: Path, prepared: Path, settings: PrepareParams, splits: Path) -> None:
    """Write shards, manifest.parquet and set_aside.csv of the photos that `raw/index.parquet` lists.

    The folder is replaced as a whole: no manifest lies beside shards that it does not describe. An interrupted run goes
    on where it was. Photos that `splits` remembers keep their split, and new ones are added to it.
    """
    if not (raw / "index.parquet").is_file():
        raise FileNotFoundError(f"{raw / 'index.parquet'}: not found; run the ingest stage first (dvc repro ingest)")
    index, remembered = pd.read_parquet(raw / "index.parquet"), Assignments.read(splits)
    with unfinished(prepared, key_of(index, settings)) as kept, atomic.replace_folder(prepared) as new:
        manifest, aside, assignments = write_dataset(index, raw, kept, new, settings, remembered)
        table = aside[["id", "name", "reason"]]
        atomic.write_text(new / "set_aside.csv", table.map(cell).to_csv(index=False, lineterminator="\n"))
    assignments.write()
    counts = ", ".join(f"{split} {(manifest['split'] == split).sum()}" for split in SPLITS)
    groups = manifest["group"].nunique()
    print(f"prepare: {len(manifest)} photos in {groups} groups ({counts}), {len(aside)} set aside")
    added = len(assignments.photos) - len(remembered.photos)
    hint = f", {added} of them new: commit it" if added else ""
    print(f"prepare: {splits} remembers the splits of {len(assignments.photos)} photos{hint}")


if __name__ == "__main__":
    main()
