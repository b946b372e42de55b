"""A photo as a colorizer sees it: grey levels at its own size, and lightness at the sizes of its networks."""

import io
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from huebands import color
from huebands.loops.srgb import grey_levels
from huebands.photos.borders import find_picture
from huebands.photos.errors import ImageError
from huebands.photos.picture import Levels, Picture, round_to_eight_bits
from huebands.photos.read import read_photo, read_picture
from huebands.photos.resize import Size, resize
from huebands.photos.strips import strips

_SLICE = 1 << 18  # pixels: a slice's temporaries stay in the processor's cache

PhotoInput = Path | str | bytes | NDArray[np.uint8] | Image.Image


@dataclass(frozen=True, eq=False)
class GreyPhoto:
    """A decoded photo without its colours.

    Attributes:
        levels_HW: uint8, the sRGB grey of each pixel's CIELAB lightness, on white.
        kept_HW: the grey whose lightness a result keeps where that says more: at 16 bits, or without the white below
            transparent pixels; None: it is `levels_HW`.
        alpha_HW: opacity, of the type of `kept_HW`; None: opaque.
    """

    levels_HW: NDArray[np.uint8]
    kept_HW: Levels | None = None
    alpha_HW: Levels | None = None
    _resized: dict[Size, Tensor] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, image: PhotoInput, name: str | None = None) -> Self:
        """Decode a photo of any kind.

        Args:
            image: a path, an image file's bytes, uint8 (H, W) or (H, W, 3) sRGB, or a Pillow image. Only the
                lightness of a colour photo is used.
            name: name of the photo in errors.

        Raises:
            ImageError: when the photo cannot be read.
        """
        if isinstance(image, Image.Image):
            image, name = _encode(image, name or "<image>"), name or "<image>"
        if isinstance(image, str | Path | bytes):
            return cls.of_picture(read_picture(image if isinstance(image, bytes) else Path(image), name))
        return cls.of_rgb(decode(image, name))

    @classmethod
    def of_rgb(cls, rgb_HW3: NDArray[np.uint8]) -> Self:
        """Take the lightness of an sRGB photo, uint8 (H, W, 3)."""
        return cls(grey_of(rgb_HW3).view(np.uint8))

    @classmethod
    def of_picture(cls, picture: Picture) -> Self:
        """Take the lightness of a decoded photo, at the depth of its file."""
        if not picture.is_deep and picture.alpha_HW is None:
            return cls.of_rgb(picture.on_white())
        kept_HW = grey_of(picture.levels)
        if picture.alpha_HW is None:
            return cls(round_to_eight_bits(kept_HW), kept_HW)
        return cls(grey_of(picture.on_white()).view(np.uint8), kept_HW, picture.alpha_HW)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.levels_HW.shape
        return height, width

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """The photo left grey, uint8 (H, W, 3)."""
        return np.repeat(self.levels_HW[..., None], 3, axis=2)

    @cached_property
    def picture(self) -> tuple[slice, slice]:
        """Rows and columns inside the borders: what networks look at. All of them where there is no border."""
        return find_picture(self.levels_HW)

    @property
    def picture_shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        height, width = (inside.stop - inside.start for inside in self.picture)
        return height, width

    def inside(self) -> Self:
        """The picture inside the borders, as a photo of its own."""
        kept, alpha = (None if part is None else part[self.picture].copy() for part in (self.kept_HW, self.alpha_HW))
        return type(self)(self.levels_HW[self.picture].copy(), kept, alpha)

    def lightness(self, *sizes: Size) -> list[Tensor]:
        """Lightness of the picture, resized to each size, each computed once.

        Sizes that are requested together share the lightness at full size. It is not kept: for 50 megapixels it takes
        200 MB.

        Returns:
            float (1, 1, height, width) in [0, 100] for each size.
        """
        if missing_sizes := [size for size in sizes if size not in self._resized]:
            L_11HW = _lightness(self.levels_HW[self.picture])[None, None]
            for size in missing_sizes:
                self._resized[size] = resize(L_11HW, size[:2], size.kernel).clamp_(0, 100)
        return [self._resized[size] for size in sizes]

    def spread(self, samples_SS: Tensor) -> Tensor:
        """Give every place of the whole photo the nearest of samples that lie evenly over its picture.

        Args:
            samples_SS: (..., S, S), of the picture.

        Returns:
            (..., S, S), even over the whole photo; the same samples where there is no border.
        """
        rows, columns = (
            _nearest(samples, size, inside)
            for samples, size, inside in zip(samples_SS.shape[-2:], self.shape, self.picture, strict=True)
        )
        spread: Tensor = samples_SS[..., rows[:, None], columns]
        return spread


def _nearest(samples: int, size: int, inside: slice) -> Tensor:
    """For as many places, even over `size` pixels, the nearest of the samples that lie evenly over some of them."""
    places = (torch.arange(samples, dtype=torch.float64) + 0.5) * size / samples
    nearest = ((places - inside.start) * samples / (inside.stop - inside.start)).floor().long()
    return torch.clamp(nearest, 0, samples - 1)


def grey_of(levels: Levels) -> Levels:
    """The sRGB grey of each pixel's CIELAB lightness.

    Args:
        levels: uint8 or uint16, (H, W, 3); or (H, W), which is given back.

    Returns:
        (H, W), of the same type; a grey pixel (g, g, g) gives g.
    """
    if levels.ndim == 2:
        return levels
    height, width, _ = levels.shape
    rgb_N3, grey_N = levels.reshape(-1, 3), np.empty(height * width, levels.dtype)
    for start in range(0, height * width, _SLICE):
        pixels = slice(start, start + _SLICE)
        grey_N[pixels] = _grey_levels(rgb_N3[pixels])
    return grey_N.reshape(height, width)


def _lightness(levels_HW: NDArray[np.uint8]) -> Tensor:
    """CIELAB lightness (H, W)."""
    L_HW = torch.empty(levels_HW.shape)
    for rows in strips(*levels_HW.shape):
        L_HW[rows] = color.lightness_of_grey(torch.from_numpy(np.array(levels_HW[rows])))
    return L_HW


def _grey_levels(rgb_N3: Levels) -> Levels:
    """As `color.grey_levels`, of uint8 or uint16."""
    if rgb_N3.dtype == np.uint8:
        return grey_levels(rgb_N3)
    red, green, blue = (_linear()[channel] for channel in torch.from_numpy(rgb_N3.T.astype(np.int32)))
    weights = color.RGB_TO_XYZ[1]
    luminance_N = weights[0] * red + weights[1] * green + weights[2] * blue
    return np.asarray((color.linear_to_srgb(luminance_N) * 65535).round().numpy(), np.uint16)


@cache
def _linear() -> Tensor:
    """Linear light of the 16-bit levels, (65536,) float64."""
    return color.srgb_to_linear(torch.arange(65536, dtype=torch.float64) / 65535)


def decode(image: PhotoInput, name: str | None = None) -> NDArray[np.uint8]:
    """Decode a photo of any kind that `GreyPhoto.read` takes: uint8 sRGB (H, W, 3).

    Raises:
        ImageError: when the photo cannot be read.
    """
    if isinstance(image, str | Path):
        return read_photo(Path(image), name)
    if isinstance(image, bytes):
        return read_photo(image, name)
    if isinstance(image, Image.Image):
        return read_photo(_encode(image, name or "<image>"), name or "<image>")
    is_supported = image.dtype == np.uint8 and image.size > 0 and (image.ndim == 2 or image.shape[2:] == (3,))
    if not is_supported:
        reason = f"is an array of {image.dtype} {image.shape}; give uint8 (H, W) or (H, W, 3), not empty"
        raise ImageError(name or "<array>", reason)
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _encode(image: Image.Image, name: str) -> bytes:
    """Encode a Pillow image without loss, so that its mode, profile and orientation are treated as those of a file."""
    buffer = io.BytesIO()
    needs_tiff = image.mode in ("CMYK", "I", "F")
    try:
        image.save(buffer, "TIFF" if needs_tiff else "PNG", exif=image.getexif(), compress_level=0)
    except (OSError, ValueError) as error:
        raise ImageError(name, f"has mode {image.mode}; convert it to RGB first") from error
    return buffer.getvalue()
