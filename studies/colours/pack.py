"""Packs the photos of a prepared dataset for a machine that has a GPU: small files, in parts, as WebP.

    python studies/colours/pack.py DATA OUT --side 144 --quality 80 --part-mib 38 56 [--most SOURCE=COUNT ...]

DATA holds raw/ and prepared/ of the stages ingest and prepare. Train photos come from raw/, squashed to `side`, in an
order drawn at random, so that the first n of them are a sample of n. Val photos come from prepared/, as they are.
OUT gets val.npz and train-0.npz, train-1.npz, ...: `bytes` (all files, joined), `ends` (of each), `sources` (of each,
an index into `names`).
"""

import argparse
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from huebands.data.preparation import squash
from huebands.data.shards import LabShard, read_manifest
from huebands.photos.read import read_photo

SHORT = {"imagenet-sample-images": "imagenet", "BSDS500": "bsds", "ImageClassification": "voc"}
SHORT |= {"Scene-Classification-Dataset": "scenes", "GroceryStoreDataset": "grocery", "clothing-dataset": "clothing"}


def main() -> None:
    """Read the arguments, write the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=144)
    parser.add_argument("--quality", type=int, default=80)
    parser.add_argument("--part-mib", type=float, nargs="+", default=[52.0], help="the last holds for all that follow")
    parser.add_argument("--most", nargs="*", default=[], metavar="SOURCE=COUNT")
    parser.add_argument("--most-val", nargs="*", default=[], metavar="SOURCE=COUNT")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    manifest = read_manifest(arguments.data / "prepared")
    manifest["short"] = [short_name(source) for source in manifest["source"]]
    names = sorted(manifest["short"].unique())

    val = limit(manifest[manifest["split"] == "val"], arguments.most_val).sort_values("row")
    shard = LabShard(arguments.data / "prepared", "val")
    pictures = (shard.rgb([row])[0].permute(1, 2, 0).numpy() for row in val["row"])
    files = [encode(picture, 95) for picture in pictures]
    write(arguments.out / "val.npz", files, val, names)

    train = limit(manifest[manifest["split"] == "train"], arguments.most).sample(frac=1, random_state=0)
    part: list[bytes] = []
    first = number = 0
    for row, file in enumerate(train_files(train, arguments.data, arguments.side, arguments.quality)):
        part.append(file)
        largest = arguments.part_mib[min(number, len(arguments.part_mib) - 1)]
        if sum(map(len, part)) > largest * 2**20 or row == len(train) - 1:
            write(arguments.out / f"train-{number}.npz", part, train.iloc[first : row + 1], names)
            first, number, part = row + 1, number + 1, []


def train_files(train: pd.DataFrame, data: Path, side: int, quality: int) -> Iterator[bytes]:
    """Squash and encode, one photo after the other."""
    for file in train["file"]:
        yield encode(squash(read_photo(data / "raw" / file, file), side), quality)


def encode(rgb: np.ndarray, quality: int) -> bytes:
    """WebP of uint8 sRGB (H, W, 3)."""
    file = io.BytesIO()
    Image.fromarray(rgb).save(file, "WEBP", quality=quality, method=4)
    return file.getvalue()


def write(path: Path, files: Sequence[bytes], rows: pd.DataFrame, names: Sequence[str]) -> None:
    """Write one part."""
    ends = np.cumsum([len(file) for file in files])
    sources = [names.index(short) for short in rows["short"]]
    joined = np.frombuffer(b"".join(files), dtype=np.uint8)
    np.savez(path, bytes=joined, ends=ends, sources=np.array(sources), names=np.array(names))
    print(f"{path}: {len(files)} photos, {len(joined) / 2**20:.1f} MiB", flush=True)


def limit(rows: pd.DataFrame, limits: Sequence[str]) -> pd.DataFrame:
    """Keep at most COUNT photos of each SOURCE=COUNT, drawn at random."""
    for text in limits:
        source, count = text.split("=")
        chosen = rows[rows["short"] == source]
        rows = rows.drop(chosen.sample(max(len(chosen) - int(count), 0), random_state=0).index)
    return rows


def short_name(source: str) -> str:
    """A short name for a source's address."""
    name = source.rpartition("@")[0].rpartition("/")[2] or source.partition("==")[0]
    return SHORT.get(name, name)


if __name__ == "__main__":
    main()
