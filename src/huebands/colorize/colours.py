"""The colours of a grey photo, at its own size and with its own lightness.

The network sees a small square of lightness, or several where the photo is long: of the picture alone, without the
photo's border, which stays grey. Its colours are upsampled to the picture's size along the edges of lightness.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from huebands import color
from huebands.colorize.guidance import UNGUIDED, Guidance
from huebands.colorize.paint import Paint
from huebands.colorize.sampling import Sampling
from huebands.colorize.upsampling import ColourLines
from huebands.models.interface import Condition, Network
from huebands.models.views import average_over_views
from huebands.models.windows import blend, canvas_size, run_in_windows
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import Size, resize


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

    def predict(self, photo: GreyPhoto, guidance: Guidance = UNGUIDED) -> NDArray[np.uint8]:
        """Colour a photo: sRGB uint8 (H, W, 3) of the same lightness; its border stays grey, but for hints."""
        return self.paint(photo, guidance).on(photo.levels_HW).view(np.uint8)

    @torch.inference_mode()
    def paint(self, photo: GreyPhoto, guidance: Guidance = UNGUIDED) -> Paint:
        """Find a photo's colours, to be given to its lightness at any depth."""
        x_1CHW, exemplar_13SS = self._inputs(photo, guidance)

        def ab(x_1CSS: Tensor) -> Tensor:
            condition, random = _to_condition(x_1CSS, exemplar_13SS), torch.Generator().manual_seed(0)
            return self.compiled.colours(condition, random) * color.AB_SCALE

        return self._paint(photo, guidance, x_1CHW, self._look(ab, x_1CHW))

    @torch.inference_mode()
    def samples(
        self, photo: GreyPhoto, sampling: Sampling, guidance: Guidance = UNGUIDED
    ) -> tuple[NDArray[np.uint8], ...]:
        """Draw colourings of a photo, each as `predict` gives one; views and windows of a photo share their noise.

        Raises:
            SamplesError: when the photo is too large for so many.
            NotImplementedError: when the network knows one colouring only.
        """
        sampling.check(photo)
        x_1CHW, exemplar_13SS = self._inputs(photo, guidance)

        def drawn_ab(x_1CSS: Tensor) -> Tensor:
            """One sample after the other, (1, 2 count, S, S)."""
            condition, random = _to_condition(x_1CSS, exemplar_13SS), torch.Generator().manual_seed(sampling.seed)
            samples_N12SS = self.compiled.samples(condition, sampling.count, random)
            return samples_N12SS.flatten(0, 2)[None] * color.AB_SCALE

        ab_1CHW = self._look(drawn_ab, x_1CHW)
        paints = (self._paint(photo, guidance, x_1CHW, ab_12HW) for ab_12HW in ab_1CHW.split(2, dim=1))
        return tuple(paint.on(photo.levels_HW).view(np.uint8) for paint in paints)

    def _inputs(self, photo: GreyPhoto, guidance: Guidance) -> tuple[Tensor, Tensor | None]:
        """What networks look at.

        Returns:
            The canvas's lightness in [0, 100], with the hints below it where there are any, (1, 1 or 4, H, W); and the
            exemplar on a square, where there is one.
        """
        x_1CHW, exemplar_13SS = self.canvas(photo), None
        if guidance.hints is not None:
            size = (x_1CHW.shape[2], x_1CHW.shape[3])
            x_1CHW = torch.cat((x_1CHW, guidance.hints.on_canvas(photo, size)), dim=1)
        if guidance.exemplar is not None:
            exemplar_13SS = guidance.exemplar.on_square(self.image_size)
        return x_1CHW, exemplar_13SS

    def _look(self, run: Callable[[Tensor], Tensor], x_1CHW: Tensor) -> Tensor:
        """Average over views, in windows where the canvas is long, what `run` gives for squares (1, C, S, S)."""
        windows = run_in_windows(lambda x_1CSS: average_over_views(run, x_1CSS, self.views), x_1CHW)
        return blend(windows, (x_1CHW.shape[2], x_1CHW.shape[3]))

    def _paint(self, photo: GreyPhoto, guidance: Guidance, x_1CHW: Tensor, ab_12HW: Tensor) -> Paint:
        """Bring a canvas's colours to the photo."""
        return Paint(
            photo=photo,
            lines=ColourLines.fit(x_1CHW[0, 0], ab_12HW[0], photo.picture_shape, self.upsampling),
            change=None if guidance.following is None else guidance.following.change(ab_12HW),
            hints=guidance.hints,
        )

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


def _to_condition(x_1CSS: Tensor, exemplar_13SS: Tensor | None) -> Condition:
    """What a network gets, of what `_inputs` gives."""
    hints_13SS = x_1CSS[:, 1:] if x_1CSS.shape[1] > 1 else None
    return Condition(L_unit_B1SS=x_1CSS[:, :1] / 50 - 1, hints_B3SS=hints_13SS, exemplar_B3SS=exemplar_13SS)
