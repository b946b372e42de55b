"""Tiny photos to compare colorizers on, a prepared dataset of them, and a scorer without networks."""

from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from huebands.comparison.candidates import Candidate
from huebands.comparison.own_photos import Photo, PhotoSet
from huebands.data.params import SPLITS
from huebands.data.preparation import prepare_photo
from huebands.data.shards import MANIFEST_COLUMNS, write_manifest, write_shard
from huebands.metrics.report import METRICS, OF_SETS, OF_TRUTH, PhotoScore, ScoredPhoto
from huebands.photos.write import encode_png
from huebands.promotion.criteria import COLOURS
from huebands.promotion.trial import ColourScorer

SIZE = 16


def tiny_photo(seed: int, size: int = SIZE) -> np.ndarray:
    """A few patches of random colour, uint8 (size, size, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.NEAREST))


def photo_set(count: int = 3, size: int = SIZE, titles: dict[int, str] | None = None) -> PhotoSet:
    """Photos 0.png, 1.png, ..."""
    titles = titles or {}
    photos = [
        Photo(f"{i}.png", titles.get(i, f"Photo {i}"), 1.5, encode_png(tiny_photo(i, size))) for i in range(count)
    ]
    return PhotoSet("photos of tiny", "tiny", "5" * 64, size, tuple(photos), ())


def write_prepared(folder: Path, squares: dict[str, list[np.ndarray]], size: int = SIZE) -> Path:
    """Write a prepared dataset: {split: photos, uint8 (H, W, 3)}; a split left out is empty."""
    folder.mkdir(parents=True)
    rows = []
    for split in SPLITS:
        photos = squares.get(split, [])
        write_shard(folder, split, (prepare_photo(rgb, size).lab for rgb in photos), len(photos), size)
        for row, rgb in enumerate(photos):
            name = f"{split}{row}"
            known = {
                "id": name,
                "group": name,
                "name": f"{name}.png",
                "split": split,
                "row": row,
                "width": rgb.shape[1],
            }
            rows.append({**dict.fromkeys(MANIFEST_COLUMNS, ""), **known, "height": rgb.shape[0]})
    write_manifest(folder, pd.DataFrame(rows))
    return folder


def painter(name: str, shift: int, kind: str = "package") -> Candidate:
    """A candidate that adds to red and takes from blue."""

    def colorize(photo_name: str, grey_HW: np.ndarray) -> np.ndarray:
        rgb = np.stack([grey_HW.astype(int) + shift, grey_HW, grey_HW.astype(int) - shift], axis=-1)
        return np.clip(rgb, 0, 255).astype(np.uint8)

    return Candidate(name, kind, f"Shifts by {shift}.", {"shift": shift}, colorize)


class PlainScorer:
    """Gives every metric the same cheap figure: the mean error, as a share of 255 levels."""

    def score(self, truth, results):
        def score_picture(rgb, error):
            keys = OF_TRUTH if error is None else [metric.key for metric in METRICS if metric.key not in OF_SETS]
            spread = float(np.ptp(rgb.astype(int), axis=2).mean()) / 255
            figures = {key: spread if key in OF_TRUTH else error for key in keys}
            return PhotoScore(figures, rgb.reshape(-1, 3).mean(axis=0))

        errors = {name: float(np.abs(truth.astype(int) - rgb).mean()) / 255 for name, rgb in results.items()}
        return ScoredPhoto(
            score_picture(truth, None), {name: score_picture(rgb, errors[name]) for name, rgb in results.items()}
        )


class PlainColourScorer(ColourScorer):
    """Measures the criteria of colours without a network: LPIPS is the mean error, as a share of 255 levels."""

    def __init__(self) -> None:
        self._lpips = PlainDistance()


class PlainDistance:
    """A substitute for LPIPS."""

    def features(self, rgb: np.ndarray) -> np.ndarray:
        return rgb.astype(int)

    def distance(self, truth: np.ndarray, result: np.ndarray) -> float:
        return float(np.abs(truth - result).mean()) / 255


class LevelScorer:
    """Gives each model its level, with a little noise per photo; grey has 10, and a model without a level 9."""

    def __init__(self, **levels: float) -> None:
        self.levels = {"grey": 10.0, **levels}

    def score(self, truth: np.ndarray, results: dict[str, np.ndarray]) -> dict[str, dict[str, float]]:
        chance = np.random.default_rng(int(truth.sum())).normal(1, 1e-3, len(COLOURS))
        levels = {name: self.levels.get(name.split("/")[0], 9.0) for name in results}
        return {name: dict(zip(COLOURS, level * chance, strict=True)) for name, level in levels.items()}
