"""Hints: colours that someone has painted on a photo, as points or as a picture that is transparent where free.

A hinted pixel keeps the hint's a and b; its lightness is the photo's. Networks that take hints carry them on.
"""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor

from huebands import color
from huebands.colorize.levels import lightness, to_levels
from huebands.photos.grey import GreyPhoto
from huebands.photos.picture import Levels

MAX_POINTS = 200
MAX_PAINTED = 16_000_000  # pixels
_RADIUS = 0.008  # of a point's disk, of the photo's short side
_OPAQUE = 128  # alpha at and above which a pixel of a picture is a hint
_POINT = re.compile(r"(\d{1,6}),(\d{1,6}),#([0-9a-fA-F]{6})", re.ASCII)


class HintsError(ValueError):
    """Hints cannot be read, do not fit their photo, or are not taken by the model."""


@dataclass(frozen=True)
class Point:
    """A hint at one pixel, which colours a small disk.

    Attributes:
        x: column, from 0.
        y: row, from 0.
        rgb: of the colour, 8 bits each.
    """

    x: int
    y: int
    rgb: tuple[int, int, int]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "X,Y,#RRGGBB".

        Raises:
            HintsError: quoting a text of another form.
        """
        match = _POINT.fullmatch(text)
        if match is None:
            raise HintsError(f"hint (={text[:40]!r}) must have the form X,Y,#RRGGBB, such as 120,45,#a03c28")
        red, green, blue = bytes.fromhex(match[3])
        return cls(int(match[1]), int(match[2]), (red, green, blue))


@dataclass(frozen=True)
class HintRequest:
    """What someone has painted, before the size of the photo is known.

    Attributes:
        points: a later one covers earlier ones.
        picture: below the points: a PNG of the photo's size, transparent where free, as bytes or as a file; None: none.

    Raises:
        HintsError: when there are too many points.
    """

    points: tuple[Point, ...] = ()
    picture: bytes | Path | None = None

    def __post_init__(self) -> None:
        if len(self.points) > MAX_POINTS:
            raise HintsError(f"hints (={len(self.points)} points) must be at most {MAX_POINTS}; send a picture of them")

    @classmethod
    def asked(cls, points: Sequence[str], picture: bytes | Path | None) -> Self | None:
        """What points as texts and a picture ask for; None for neither.

        Raises:
            HintsError: when a point has another form, or there are too many.
        """
        if not points and picture is None:
            return None
        return cls(tuple(Point.parse(point) for point in points), picture)

    def on(self, photo: GreyPhoto) -> "Hints":
        """Place the hints on a photo.

        Raises:
            HintsError: when a point lies outside, the picture has another size or cannot be read, or nothing is
                painted.
        """
        rgb_HW3, painted_HW = _read_picture(self.picture, photo.shape)
        for point in self.points:
            _paint_point(rgb_HW3, painted_HW, point)
        rows_N, columns_N = painted_HW.nonzero()
        if not len(rows_N):
            raise HintsError("hints must have a painted pixel: the picture is transparent all over")
        if len(rows_N) > MAX_PAINTED:
            raise HintsError(f"hints cover {len(rows_N):,} pixels, and must cover at most {MAX_PAINTED:,}")
        picture_HW = painted_HW
        for point in self.points:  # each point is a spot of its own
            rows, columns, _ = disk_of(point.x, point.y, photo.shape)
            picture_HW[rows, columns] = False
        spots = [*_centres(picture_HW), *dict.fromkeys((point.y, point.x) for point in self.points)]
        rgb_N3 = rgb_HW3[rows_N, columns_N]
        ab_N2 = color.srgb_to_lab(torch.from_numpy(rgb_N3.T[:, None].copy()).float() / 255)[1:, 0].T
        return Hints(rows_N, columns_N, ab_N2.numpy(), tuple(spots))


@dataclass(frozen=True, eq=False)
class Hints:
    """Hints on one photo.

    Attributes:
        rows_N: of the hinted pixels, each of which is there once.
        columns_N: of the same pixels.
        ab_N2: float32, their a and b, CIELAB units.
        spots: row and column of one hinted pixel for each painted region and each point.
    """

    rows_N: NDArray[np.int_]
    columns_N: NDArray[np.int_]
    ab_N2: NDArray[np.float32]
    spots: tuple[tuple[int, int], ...]

    def apply(self, rgb_HW3: Levels, levels_HW: Levels) -> None:
        """Give the hinted pixels of a colorized photo their colours: the nearest that sRGB has at their lightness.

        Args:
            rgb_HW3: uint8 or uint16, changed in place.
            levels_HW: grey levels of the photo, of the same type.
        """
        grey_1N = torch.from_numpy(levels_HW[self.rows_N, self.columns_N])[None]
        lab_31N = torch.cat((lightness(grey_1N), torch.from_numpy(self.ab_N2).T))[:, None]
        rgb_HW3[self.rows_N, self.columns_N] = to_levels(lab_31N, grey_1N)[:, 0].T.numpy()

    def on_canvas(self, photo: GreyPhoto, size: tuple[int, int]) -> Tensor:
        """What a network gets of them.

        Args:
            photo: that they are on.
            size: height and width of the canvas that shows the photo's picture.

        Returns:
            (1, 3, height, width): the mean ab_unit of the hinted pixels that fall on a place and 1, or zeros.
        """
        return self._on_places(photo.picture, size)[None]

    def on_samples(self, photo: GreyPhoto, size: tuple[int, int]) -> Tensor:
        """The same on samples that are spread evenly over the whole photo: (3, height, width)."""
        return self._on_places((slice(0, photo.shape[0]), slice(0, photo.shape[1])), size)

    def _on_places(self, part: tuple[slice, slice], size: tuple[int, int]) -> Tensor:
        """The hints on places that are spread evenly over a part of the photo, (3, height, width)."""
        places = []
        inside = np.ones(len(self.rows_N), bool)
        for pixels, inside_part, length in zip((self.rows_N, self.columns_N), part, size, strict=True):
            offset = pixels - inside_part.start
            inside &= (offset >= 0) & (pixels < inside_part.stop)
            places.append(offset * length // (inside_part.stop - inside_part.start))
        place = (places[0] * size[1] + places[1])[inside]
        count = np.bincount(place, minlength=size[0] * size[1])
        sums = [np.bincount(place, weights=ab[inside], minlength=len(count)) for ab in self.ab_N2.T]
        hinted = count > 0
        means = [np.divide(total, count, where=hinted, out=np.zeros(len(count))) / color.AB_SCALE for total in sums]
        return torch.from_numpy(np.stack([*means, hinted]).astype(np.float32)).view(3, *size)


def point_radius(shape: tuple[int, int]) -> int:
    """Radius of a point's disk on a photo of this height and width, pixels: at least 1."""
    return max(1, round(_RADIUS * min(shape)))


def _paint_point(rgb_HW3: NDArray[np.uint8], painted_HW: NDArray[np.bool_], point: Point) -> None:
    height, width = painted_HW.shape
    if point.y >= height or point.x >= width:
        raise HintsError(
            f"hint (={point.x},{point.y}) must lie on the photo: x in [0, {width - 1}], y in [0, {height - 1}]"
        )
    rows, columns, disk = disk_of(point.x, point.y, (height, width))
    rgb_HW3[rows, columns][disk] = point.rgb
    painted_HW[rows, columns] |= disk


def disk_of(x: int, y: int, shape: tuple[int, int]) -> tuple[slice, slice, NDArray[np.bool_]]:
    """The part of a photo around a point, its rows and columns, and which of its pixels are in the point's disk."""
    radius = point_radius(shape)
    rows, columns = (
        slice(max(place - radius, 0), min(place + radius + 1, length))
        for place, length in zip((y, x), shape, strict=True)
    )
    down, right = np.ogrid[rows.start - y : rows.stop - y, columns.start - x : columns.stop - x]
    return rows, columns, down**2 + right**2 <= radius**2


def _read_picture(
    picture: bytes | Path | None, shape: tuple[int, int]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:  # fmt: skip
    """Colours (H, W, 3), and which of them are painted (H, W)."""
    if picture is None:
        return np.zeros((*shape, 3), np.uint8), np.zeros(shape, bool)
    name = str(picture) if isinstance(picture, Path) else "hints"
    try:
        with Image.open(picture if isinstance(picture, Path) else io.BytesIO(picture), formats=("PNG",)) as image:
            if image.size != shape[::-1]:
                raise HintsError(
                    f"{name}: is {image.width} x {image.height}, and must be {shape[1]} x {shape[0]} as the photo is"
                )
            rgba_HW4 = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
            raise HintsError(f"{name}: {error.strerror}") from error
        raise HintsError(f"{name}: cannot be read as a PNG") from error
    painted_HW = rgba_HW4[..., 3] >= _OPAQUE
    if painted_HW.all():
        raise HintsError(f"{name}: must be transparent where no colour is given; it has no transparent pixel")
    return rgba_HW4[..., :3].copy(), painted_HW


def _centres(painted_HW: NDArray[np.bool_], most: int = MAX_POINTS) -> Sequence[tuple[int, int]]:
    """For each painted region, of the first `most` ones, the row and column of a pixel well inside."""
    labels_HW, count = ndimage.label(painted_HW)
    centres = []
    for label, region in enumerate(ndimage.find_objects(labels_HW, min(count, most)), 1):
        inside = ndimage.distance_transform_cdt(np.pad(labels_HW[region] == label, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(inside.argmax()), inside.shape)
        centres.append((int(row) + region[0].start, int(column) + region[1].start))
    return centres
