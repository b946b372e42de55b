"""The colours of a grey photo, at its own size and with its own lightness.

The network sees a small square of lightness, or several where the photo is long: of the picture alone, without the
photo's border, which stays grey. Its colours are upsampled to the picture's size along the edges of lightness. Pixels
are handled in tiles, so that memory grows with the photo's bytes, not with float copies.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands import color
from huebands.colorize.sampling import Sampling
from huebands.colorize.upsampling import ColourLines
from huebands.models.interface import Condition, Network
from huebands.models.views import average_over_views
from huebands.models.windows import blend, canvas_size, run_in_windows
from huebands.photos.grey import GreyPhoto, Size
from huebands.photos.resize import resize

_TILE = 1 << 18  # pixels: a tile's temporaries stay in the processor's cache
_SIDE = 1 << 14  # pixels: the longest side of a tile


@dataclass(frozen=True)
class ColourModel:
    """A trained network with the preprocessing it learned with; safe to share between threads.

    Attributes:
        network: in eval mode.
        image_size: side of the square that it sees, pixels.
        upsampling: as `ColourLines.fit` takes it.
        views: of a photo, whose colours are averaged; see `views`.
        resize: how a photo is brought to that size; see `models.params`.
    """

    network: Network
    image_size: int
    upsampling: Mapping[str, Any]
    views: int = 1
    resize: str = "bilinear-antialias"

    @classmethod
    def build(cls, network: Network, config: Mapping[str, Any]) -> Self:
        """Take the preprocessing from a package's config.json."""
        preprocessing = config["preprocessing"]
        size, upsampling = preprocessing["image_size"], preprocessing["upsampling"]
        return cls(network, size, upsampling, preprocessing.get("views", 1), preprocessing["resize"])

    @cached_property
    def compiled(self) -> Network:
        """The network, compiled when it is first used."""
        return self.network.compiled()

    @torch.inference_mode()
    def predict(self, photo: GreyPhoto) -> NDArray[np.uint8]:
        """Colour a photo: sRGB uint8 (H, W, 3) of the same lightness; its border stays grey."""
        L_11HW = self.canvas(photo)
        return self._paint(photo, L_11HW, self._look(self._ab, L_11HW))

    @torch.inference_mode()
    def samples(self, photo: GreyPhoto, sampling: Sampling) -> tuple[NDArray[np.uint8], ...]:
        """Draw colourings of a photo, each as `predict` gives one; views and windows of a photo share their noise.

        Raises:
            SamplesError: when the photo is too large for so many.
            NotImplementedError: when the network knows one colouring only.
        """
        sampling.check(photo)
        L_11HW = self.canvas(photo)
        ab_1CHW = self._look(lambda L_11SS: self._drawn_ab(L_11SS, sampling), L_11HW)
        return tuple(self._paint(photo, L_11HW, ab_12HW) for ab_12HW in ab_1CHW.split(2, dim=1))

    def _look(self, run: Callable[[Tensor], Tensor], L_11HW: Tensor) -> Tensor:
        """Average over views, in windows where the canvas is long, what `run` gives for squares (1, 1, S, S)."""
        windows = run_in_windows(lambda L_11SS: average_over_views(run, L_11SS, self.views), L_11HW)
        return blend(windows, (L_11HW.shape[2], L_11HW.shape[3]))

    def _paint(self, photo: GreyPhoto, L_11HW: Tensor, ab_12HW: Tensor) -> NDArray[np.uint8]:
        """Bring a canvas's colours to the photo: sRGB uint8 (H, W, 3)."""
        rgb_HW3 = photo.rgb  # a border stays grey
        levels_HW, shown_HW3 = photo.levels_HW[photo.picture], rgb_HW3[photo.picture]
        lines = ColourLines.fit(L_11HW[0, 0], ab_12HW[0], photo.picture_shape, self.upsampling)
        for rows, columns in _tiles(*levels_HW.shape):
            tile = np.s_[rows.start : rows.stop, columns.start : columns.stop]
            # A copy, because torch warns of the read-only arrays that it may be given.
            L_HW = color.lightness_of_grey(torch.from_numpy(np.array(levels_HW[tile])))
            lab_3HW = torch.cat((L_HW[None], lines.ab(L_HW, rows, columns)))
            coloured_3HW = color.to_bytes(color.lab_to_srgb(color.fit_to_gamut(lab_3HW)))
            shown_HW3[tile] = coloured_3HW.permute(1, 2, 0).numpy()
        return rgb_HW3

    def canvas(self, photo: GreyPhoto) -> Tensor:
        """Lightness of the picture as the network looks at it, (1, 1, H, W) in [0, 100]; see `models.windows`."""
        (L_11HW,) = photo.lightness(self.first_size(photo))
        return resize(L_11HW, canvas_size(photo.picture_shape, self.image_size))

    def first_size(self, photo: GreyPhoto) -> Size:
        """What a photo's lightness is resized to first: the canvas's size, or twice as much in the photo's shape."""
        canvas, (height, width) = canvas_size(photo.picture_shape, self.image_size), photo.picture_shape
        scale = 2 * max(canvas) / max(height, width)
        if self.resize == "bilinear-antialias" or scale >= 1:
            return Size(*canvas)
        return Size(max(round(scale * height), 1), max(round(scale * width), 1), "bicubic")

    def _ab(self, L_11SS: Tensor) -> Tensor:
        """Give a square's a and b (1, 2, S, S), CIELAB units."""
        condition, random = Condition(L_unit_B1SS=L_11SS / 50 - 1), torch.Generator().manual_seed(0)
        return self.compiled.colours(condition, random) * color.AB_SCALE

    def _drawn_ab(self, L_11SS: Tensor, sampling: Sampling) -> Tensor:
        """Draw a and b of a square, one sample after the other: (1, 2 count, S, S), CIELAB units."""
        condition, random = Condition(L_unit_B1SS=L_11SS / 50 - 1), torch.Generator().manual_seed(sampling.seed)
        samples_N12SS = self.compiled.samples(condition, sampling.count, random)
        return samples_N12SS.flatten(0, 2)[None] * color.AB_SCALE


def _tiles(height: int, width: int) -> Iterator[tuple[range, range]]:
    columns = min(width, _SIDE)
    rows = min(height, _SIDE, max(_TILE // columns, 1))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield range(top, min(top + rows, height)), range(left, min(left + columns, width))
