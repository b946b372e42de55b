"""Stage prepare: photos of data/raw become Lab shards in four splits, with a manifest."""

from pathlib import Path

import pandas as pd

from huebands import params
from huebands.data.dataset import key_of, write_dataset
from huebands.data.params import SPLITS, PrepareParams
from huebands.data.shards import ShardError
from huebands.data.work import unfinished
from huebands.files import atomic
from huebands.files.cells import cell
from huebands.photos.errors import ImageError

RAW, PREPARED = Path("data/raw"), Path("data/prepared")


def main() -> None:
    """Read data/raw, write data/prepared."""
    try:
        prepare(RAW, PREPARED, params.load().prepare)
    except (params.ParamsError, ImageError, ShardError, FileNotFoundError) as error:
        raise SystemExit(f"prepare: {error}") from error


def prepare(raw: Path, prepared: Path, settings: PrepareParams) -> None:
    """Write shards, manifest.parquet and set_aside.csv of the photos that `raw/index.parquet` lists.

    The folder is replaced as a whole: no manifest lies beside shards that it does not describe. An interrupted run goes
    on where it was.
    """
    if not (raw / "index.parquet").is_file():
        raise FileNotFoundError(f"{raw / 'index.parquet'}: not found; run the ingest stage first (dvc repro ingest)")
    index = pd.read_parquet(raw / "index.parquet")
    with unfinished(prepared, key_of(index, settings)) as kept, atomic.replace_folder(prepared) as new:
        manifest, aside = write_dataset(index, raw, kept, new, settings)
        table = aside[["id", "name", "reason"]]
        atomic.write_text(new / "set_aside.csv", table.map(cell).to_csv(index=False, lineterminator="\n"))
    counts = ", ".join(f"{split} {(manifest['split'] == split).sum()}" for split in SPLITS)
    groups = manifest["group"].nunique()
    print(f"prepare: {len(manifest)} photos in {groups} groups ({counts}), {len(aside)} set aside")


if __name__ == "__main__":
    main()
