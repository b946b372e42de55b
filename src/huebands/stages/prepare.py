"""prepare: photos of data/raw become Lab shards in four splits, with a manifest."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from huebands import params
from huebands.data import preparation, shards
from huebands.files import atomic
from huebands.params import SPLITS, PrepareParams
from huebands.photos.read import ImageError, read_photo

RAW, PREPARED = Path("data/raw"), Path("data/prepared")


def main() -> None:
    """Read data/raw, write data/prepared."""
    try:
        prepare(RAW, PREPARED, params.load().prepare)
    except (params.ParamsError, ImageError, shards.ShardError, FileNotFoundError) as error:
        raise SystemExit(f"prepare: {error}") from error


def prepare(raw: Path, prepared: Path, settings: PrepareParams) -> None:
    """Write shards, manifest.parquet and set_aside.csv of the photos that `raw/index.parquet` lists.

    The folder is replaced as a whole: no manifest lies beside shards that it does not describe.
    """
    if not (raw / "index.parquet").is_file():
        raise FileNotFoundError(f"{raw / 'index.parquet'}: not found; run the ingest stage first (dvc repro ingest)")
    index = pd.read_parquet(raw / "index.parquet")
    with atomic.replace_folder(prepared) as new:
        _prepare(index, raw, new, settings)


def _prepare(index: pd.DataFrame, raw: Path, prepared: Path, settings: PrepareParams) -> None:
    size = settings.image_size
    with tempfile.TemporaryDirectory(dir=prepared) as scratch:
        # A photo's row is known only after all were seen: the squares wait on disk, not in memory.
        squares = np.memmap(
            Path(scratch) / "squares",
            mode="w+",
            dtype=shards.SHARD_TYPE,
            shape=(max(len(index), 1), 3, size, size),
        )
        table = _measure(index, raw, squares, size)
        table = table.assign(**_places(table, settings), position=range(len(table)))
        manifest = table[table["reason"] == ""].sort_values("id")
        manifest["row"] = manifest.groupby("split").cumcount()
        for split in SPLITS:
            positions = manifest.loc[manifest["split"] == split, "position"]
            shards.write_shard(prepared, split, (squares[i] for i in positions), len(positions), size)
        del squares
    order = manifest["split"].map(SPLITS.index)
    shards.write_manifest(prepared, manifest.assign(order=order).sort_values(["order", "row"]))
    aside = table.loc[table["reason"] != "", ["id", "name", "reason"]]
    atomic.write_text(prepared / "set_aside.csv", aside.to_csv(index=False, lineterminator="\n"))
    counts = ", ".join(f"{split} {(manifest['split'] == split).sum()}" for split in SPLITS)
    groups = manifest["group"].nunique()
    print(f"prepare: {len(manifest)} photos in {groups} groups ({counts}), {len(aside)} set aside")


def _measure(index: pd.DataFrame, raw: Path, squares: np.ndarray, size: int) -> pd.DataFrame:
    """Fill the squares and add perceptual hash and statistics to the index."""
    rows = []
    for position, photo in enumerate(index.itertuples()):
        square = preparation.prepare_photo(read_photo(raw / photo.file, photo.file), size)
        squares[position] = square.lab
        rows.append({"phash": f"{square.phash:016x}", **square.statistics})
    columns = ["phash", "L_mean", "L_std", "chroma_mean", "chroma_p95"]
    return index.reset_index(drop=True).join(pd.DataFrame(rows, columns=columns))


def _places(table: pd.DataFrame, settings: PrepareParams) -> dict[str, list[str]]:
    placements = preparation.place(
        [preparation.Candidate(p.id, int(p.phash, 16), p.chroma_mean) for p in table.itertuples()],
        min_chroma=settings.min_chroma,
        group_distance=settings.group_distance,
        salt=settings.salt,
        fractions=settings.fractions,
    )
    return {key: [getattr(placement, key) for placement in placements] for key in ("group", "split", "reason")}


if __name__ == "__main__":
    main()
