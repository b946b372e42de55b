"""Colorizers without a network, which a model has to beat; two of them learn from the training split."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor

from huebands import color
from huebands.data.shards import LabShard, ShardError
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import resize

NEIGHBOURS = 100
SAMPLES = 45_056  # training pixels that neighbours are searched in: 512 of each of 88 photos
SIDE = 64  # pixels: photos are resized to this square before their pixels are described
WINDOWS = (3, 9)  # pixels
MEAN_WEIGHT = 0.5
SEED = 0


class Grey:
    """Leaves photos grey."""

    description = "The photo, left grey."
    params: Mapping[str, Any] = {}

    def predict(self, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give R = G = B: uint8 (H, W) to (H, W, 3)."""
        return np.repeat(grey_HW[..., None], 3, axis=2)


class Lightness:
    """Gives every grey level a colour of its own.

    Args:
        ab_2L: a and b of each grey level, float32 (2, 256).
        levels_seen: how many of the levels occurred in the photos that these were learned from.
    """

    description = "Every grey level gets the mean colour of the training pixels of that level."

    def __init__(self, ab_2L: NDArray[np.float32], levels_seen: int = 256) -> None:
        self.ab_2L, self.params = ab_2L, {"levels_seen": levels_seen}

    @classmethod
    def learn(cls, prepared: Path) -> Self:
        """Take the mean a and b of the training pixels of each level; levels between those seen are interpolated.

        Raises:
            ShardError: when there is no training split, or it is empty.
        """
        pixels, sums = np.zeros(256), np.zeros((2, 256))
        for grey_SS, ab_2SS in _training_photos(prepared):
            levels = grey_SS.reshape(-1)
            pixels += np.bincount(levels, minlength=256)
            sums += [np.bincount(levels, channel.reshape(-1), minlength=256) for channel in ab_2SS.numpy()]
        levels_seen = np.flatnonzero(pixels)
        means = [np.interp(np.arange(256), levels_seen, channel[levels_seen] / pixels[levels_seen]) for channel in sums]
        return cls(np.array(means, dtype=np.float32), len(levels_seen))

    def predict(self, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Colour a grey photo: uint8 (H, W) to sRGB uint8 (H, W, 3) of the same lightness."""
        return _show(grey_HW, torch.from_numpy(self.ab_2L)[:, torch.from_numpy(grey_HW.astype(np.int64))])


class Neighbours:
    """Colour transfer by nearest neighbours, in the spirit of Welsh et al. 2002.

    The photo is resized to 64x64. Each pixel gets the mean a and b of the 100 training pixels that are most similar in
    lightness, and in its mean (at half weight) and standard deviation in windows of 3x3 and 9x9 pixels. The colours are
    resized to the photo's size bilinearly. Windows, weights, the number of neighbours, and to leave out a pixel's
    position, were chosen by CIEDE2000 on the validation split.

    Source: https://doi.org/10.1145/566654.566576

    Raises:
        ShardError: when there is no training split, or it is empty.
    """

    description = (
        f"Every pixel gets the mean colour of the {NEIGHBOURS} training pixels with the most similar lightness around"
        " them (after Welsh et al. 2002)."
    )

    def __init__(self, prepared: Path) -> None:
        random = np.random.default_rng(SEED)
        descriptors, colours = [], []
        photos = len(LabShard(prepared, "train"))
        share = min(max(SAMPLES // max(photos, 1), 1), SIDE**2)
        for grey_SS, ab_2SS in _training_photos(prepared):
            picks = random.choice(SIDE**2, share, replace=False)
            descriptors.append(_describe(grey_SS)[picks])
            colours.append(resize(ab_2SS[None], (SIDE, SIDE))[0].reshape(2, -1).T.numpy()[picks])
        samples = np.concatenate(colours)
        neighbours = min(NEIGHBOURS, len(samples))
        self._regressor = KNeighborsRegressor(neighbours, algorithm="kd_tree").fit(np.concatenate(descriptors), samples)
        self.params = {"neighbours": neighbours, "samples": len(samples)}

    def predict(self, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Colour a grey photo: uint8 (H, W) to sRGB uint8 (H, W, 3) of the same lightness."""
        ab_N2 = self._regressor.predict(_describe(grey_HW)).astype(np.float32)
        ab_12SS = torch.from_numpy(ab_N2.T.copy()).view(1, 2, SIDE, SIDE)
        return _show(grey_HW, resize(ab_12SS, (grey_HW.shape[0], grey_HW.shape[1]))[0])


def _training_photos(prepared: Path) -> Iterator[tuple[NDArray[np.uint8], Tensor]]:
    """Give grey levels (S, S) and ab (2, S, S) of each training photo."""
    shard = LabShard(prepared, "train")
    if len(shard) == 0:
        raise ShardError(f"{prepared}: the training split is empty; run the prepare stage (dvc repro prepare)")
    for row in range(len(shard)):
        yield GreyPhoto.of_rgb(shard.rgb([row])[0].permute(1, 2, 0).numpy()).levels_HW, shard.lab([row])[0, 1:]


def _describe(grey_HW: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Resize a photo to SIDE x SIDE and describe each pixel by the lightness around it: float32 (SIDE * SIDE, 5)."""
    L_11HW = color.lightness_of_grey(torch.from_numpy(grey_HW.copy()))[None, None]
    L_11SS = resize(L_11HW, (SIDE, SIDE))
    features = [L_11SS]
    for window in WINDOWS:
        mean = _window_mean(L_11SS, window)
        variance = _window_mean(L_11SS**2, window) - mean**2
        features += [MEAN_WEIGHT * mean, variance.clamp_min(0).sqrt()]
    described: NDArray[np.float32] = torch.cat(features)[:, 0].reshape(len(features), -1).T.numpy()
    return described


def _window_mean(image_11SS: Tensor, window: int) -> Tensor:
    return F.avg_pool2d(F.pad(image_11SS, (window // 2,) * 4, mode="reflect"), window, stride=1)


def _show(grey_HW: NDArray[np.uint8], ab_2HW: Tensor) -> NDArray[np.uint8]:
    """Show colours at the photo's own lightness, with less chroma where sRGB cannot show them."""
    L_1HW = color.lightness_of_grey(torch.from_numpy(grey_HW.copy()))[None]
    rgb_3HW = color.to_bytes(color.lab_to_srgb(color.fit_to_gamut(torch.cat((L_1HW, ab_2HW)))))
    return rgb_3HW.permute(1, 2, 0).numpy()
