"""Describes the prepared dataset in tables and figures derived from its manifest and shards."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from huebands.data.params import SPLITS
from huebands.data.shards import in_batches


def describe_photos(manifest: pd.DataFrame, photos_of_split: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Derive how each photo fits its group and its shard; a row that the shard lacks has no lightness.

    Args:
        manifest: of the dataset.
        photos_of_split: each split's shard, int16 hundredths of CIELAB (N, 3, S, S).
    """
    lightness = pd.Series(np.nan, index=manifest.index)
    for split, shard in photos_of_split.items():
        means = [round(float(photo[0].mean(dtype=np.float64)) / 100, 4) for photo in _photos(shard)]
        rows = manifest.loc[manifest["split"] == split, "row"]
        rows = rows[(rows >= 0) & (rows < len(shard))]
        lightness[rows.index] = [means[row] for row in rows]
    return manifest[["id", "group", "split", "row", "L_mean"]].assign(
        splits_of_group=manifest.groupby("group")["split"].transform("nunique"),
        shard_L_mean=lightness,
        # One step in the last written decimal is rounding.
        shard_difference=((lightness - manifest["L_mean"]).abs() * 10_000).round() / 10_000,
    )


def describe_shards(manifest: pd.DataFrame, photos_of_split: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Describe each split's shard, in CIELAB units; takes what `describe_photos` does."""
    table = []
    for split, shard in photos_of_split.items():
        extremes = [(photo[0].min(), photo[0].max(), np.abs(photo[1:]).max()) for photo in _photos(shard)]
        lowest, highest, largest = zip(*extremes, strict=True) if extremes else ((0,), (0,), (0,))
        table.append(
            {
                "split": split,
                "rows": len(shard),
                "photos": int((manifest["split"] == split).sum()),
                "side": shard.shape[-1],
                "train_side": photos_of_split["train"].shape[-1],
                "lightness_min": min(lowest) / 100,
                "lightness_max": max(highest) / 100,
                "ab_largest": max(largest) / 100,
            }
        )
    return pd.DataFrame(table)


def _photos(shard: np.ndarray) -> Iterator[np.ndarray]:
    return (photo for _, photos in in_batches(shard) for photo in photos)


def distributions(manifest: pd.DataFrame) -> dict[str, Any]:
    """Summarise a manifest: counts of each split, and quantiles of mean lightness and mean chroma."""
    counts = {split: int((manifest["split"] == split).sum()) for split in SPLITS}
    figures: dict[str, Any] = {
        "photos": {"all": len(manifest), **counts},
        "groups": int(manifest["group"].nunique()),
    }
    for column in ("L_mean", "chroma_mean"):
        quantiles = manifest[column].quantile([0, 0.25, 0.5, 0.75, 1])
        names = ("smallest", "quarter", "median", "three_quarters", "largest")
        figures[column] = {name: round(float(value), 4) for name, value in zip(names, quantiles, strict=True)}
        figures[column]["mean"] = round(float(manifest[column].mean()), 4)
    return figures
