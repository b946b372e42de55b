"""The prepared dataset on disk."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from huebands import color
from huebands.data import shards
from huebands.data.params import SPLITS
from huebands.data.preparation import encode_square
from huebands.data.shards import LabShard, ShardError


def write_dataset(folder: Path, count: int = 2, size: int = 8) -> Path:
    rng = np.random.default_rng(0)
    for split in SPLITS:
        squares = [encode_square(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)) for _ in range(count)]
        shards.write_shard(folder, split, iter(squares), count, size)
    shards.write_manifest(folder, pd.DataFrame({column: ["x"] for column in shards.MANIFEST_COLUMNS}))
    return folder


def test_every_8_bit_colour_survives_the_prepared_format(tmp_path: Path) -> None:
    size = 1024
    levels = np.arange(256, dtype=np.uint8)
    # Every green and blue, 16 reds in one square: 16 squares of 1024 x 1024 hold all 2**24 colours.
    reds = levels.reshape(16, 16)
    colours = np.empty((16, 16, 256, 256, 3), dtype=np.uint8)
    colours[..., 0] = reds[:, :, None, None]
    colours[..., 1], colours[..., 2] = levels[:, None], levels
    squares = colours.reshape(16, size, size, 3)
    shards.write_shard(tmp_path, "train", (encode_square(square) for square in squares), 16, size)
    shard = LabShard(tmp_path, "train")
    for row, square in enumerate(squares):
        assert np.array_equal(shard.rgb([row])[0].permute(1, 2, 0).numpy(), square), f"reds {reds[row]}"


def test_lab_is_decoded_for_the_rows_asked_for(tmp_path: Path) -> None:
    shard = LabShard(write_dataset(tmp_path, count=3), "val")
    assert len(shard) == 3
    every = shard.lab()
    assert every.dtype == torch.float32 and every.shape == (3, 3, 8, 8)
    assert torch.equal(shard.lab([2, 0]), every[[2, 0]])
    assert torch.equal(every, color.decode_lab(torch.from_numpy(np.array(shard.photos))))


def test_an_empty_split_is_a_shard_too(tmp_path: Path) -> None:
    shards.write_shard(tmp_path, "test", iter(()), 0, 8)
    assert LabShard(tmp_path, "test").lab().shape == (0, 3, 8, 8)


def test_a_shard_wants_exactly_as_many_photos_as_said(tmp_path: Path) -> None:
    square = np.zeros((3, 8, 8), dtype=np.int16)
    for given in (1, 3):
        with pytest.raises(ValueError, match="zip"):
            shards.write_shard(tmp_path, "train", iter([square] * given), 2, 8)


def test_shards_are_read_only(tmp_path: Path) -> None:
    shard = shards.open_shard(write_dataset(tmp_path), "train")
    with pytest.raises(ValueError, match="read-only"):
        shard[0] = 0


def test_the_data_hash_is_that_of_sha256sum_and_changes_with_any_byte(tmp_path: Path) -> None:
    names = ["manifest.parquet", "train.npy", "val.npy", "calibration.npy", "test.npy"]
    write_dataset(tmp_path)
    listing = "".join(f"{hashlib.sha256((tmp_path / n).read_bytes()).hexdigest()}  {n}\n" for n in names)
    before = shards.data_sha256(tmp_path)
    assert before == hashlib.sha256(listing.encode()).hexdigest()
    for name in names:
        content = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert shards.data_sha256(tmp_path) != before, name
        (tmp_path / name).write_bytes(content)
    assert shards.data_sha256(tmp_path) == before


def test_a_missing_file_says_what_to_run(tmp_path: Path) -> None:
    for read in (shards.read_manifest, shards.data_sha256):
        with pytest.raises(ShardError, match=r"manifest\.parquet: not found; run the prepare stage"):
            read(tmp_path)
    with pytest.raises(ShardError, match=r"val\.npy: not found"):
        shards.open_shard(tmp_path, "val")


NO_SHARDS = [((2, 3, 8, 8), "<f4"), ((2, 4, 8, 8), "<i2"), ((2, 3, 8, 4), "<i2"), ((3, 8, 8), "<i2")]


@pytest.mark.parametrize(("shape", "kind"), NO_SHARDS)
def test_an_array_that_is_no_shard_is_refused(tmp_path: Path, shape: tuple[int, ...], kind: str) -> None:
    np.save(tmp_path / "train.npy", np.zeros(shape, kind))
    with pytest.raises(ShardError, match=r"train\.npy: holds .*, not int16 \(N, 3, S, S\)"):
        shards.open_shard(tmp_path, "train")


def test_pickles_and_rubbish_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "train.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "val.npy").write_bytes(b"no array")
    (tmp_path / "manifest.parquet").write_bytes(b"no table")
    for split in ("train", "val"):
        with pytest.raises(ShardError, match=f"{split}.npy: cannot be read"):
            shards.open_shard(tmp_path, split)
    with pytest.raises(ShardError, match="cannot be read"):
        shards.read_manifest(tmp_path)


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShardError, match=r"split \(='holdout'\) must be one of train, val"):
        shards.open_shard(tmp_path, "holdout")
