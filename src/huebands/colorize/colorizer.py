"""From a model package and a photo to colours and bands, at the photo's own size.

The network sees a small square of lightness; its colours are brought up to the photo, and the photo's own lightness is
kept. Pixels are handled in slices and tiles, so that memory grows with the photo's bytes, not with float copies.
"""

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from huebands import color
from huebands.colorize.upsampling import ColourLines
from huebands.conformal.bands import CHANNELS, NestedBands
from huebands.conformal.calibration import Calibration, Mode, Shape
from huebands.conformal.groups import Grouping, texture_of
from huebands.conformal.luminance import propagate
from huebands.density.atypicality import p_value
from huebands.density.model import Density
from huebands.files import atomic
from huebands.models.interface import Condition, Network
from huebands.models.parts.resize import resize
from huebands.package.choose import default_package, released_sha256
from huebands.package.read import ModelPackage, read_package
from huebands.package.schema import PackageError
from huebands.photos import images
from huebands.plots import pictures

_SLICE = 1 << 18  # pixels: a slice's temporaries stay in the processor's cache
_SIDE = 1 << 14  # pixels: the longest side of a tile


@dataclass(frozen=True, kw_only=True, eq=False)
class Colorization:
    """A colorized photo and, for every pixel and channel, a range for the true value.

    The promise: for a photo exchangeable with the calibration photos, the expected share of its channel values
    (per_channel) or of its pixels (joint) that leave their bands is at most alpha. It says nothing of one pixel.
    A small `likeness` says that the photo is unlike the calibration photos: then the promise may not hold.
    """

    rgb: NDArray[np.uint8]  # (H, W, 3), the colour shown
    bands: dict[str, NDArray[np.uint8]]  # R, G, B: (H, W, 2) = [lower, upper]
    grey: NDArray[np.uint8]  # (H, W), the photo as the model saw it
    alpha: float
    mode: Mode
    delta: float | None  # chance that the draw of calibration photos may break the promise; None: on average over it
    grouped: bool  # whether the promise holds in each group of pixels too
    steps: NDArray[np.int_]  # (3,) of the nested bands for R, G and B; grouped: the least, which all pixels have
    likeness: float  # conformal p-value: at most q with probability q for a photo exchangeable with the calibration's

    @cached_property
    def width(self) -> NDArray[np.float32]:
        """Band width at every pixel, the mean over the channels, (H, W) in 8-bit levels."""
        total = np.zeros(self.grey.shape, np.float32)
        for band in self.bands.values():
            total += band[..., 1] - band[..., 0]
        return total / np.float32(len(self.bands))

    @property
    def uncertainty(self) -> NDArray[np.uint8]:
        """Heat map of `width`, uint8 (H, W, 3); the scale is the same for every photo."""
        return pictures.heat_map(self.width)

    def files(self, stem: str) -> Iterator[tuple[str, bytes]]:
        """Make the three files, one after the other: colours, bands and uncertainty, by their names."""
        yield f"{stem}.colorized.png", images.encode_png(self.rgb)
        yield f"{stem}.bands.npz", _npz({"alpha": np.float64(self.alpha), **self.bands})
        yield (
            f"{stem}.uncertainty.png",
            images.encode_png(pictures.heat_levels(self.width), palette=pictures.magma()),
        )

    def save(self, folder: Path | str, stem: str) -> list[Path]:
        """Write the three files into a folder, made if need be; files of the same names are replaced, each as a whole.

        A symbolic link of such a name is replaced too, not followed.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name, content in self.files(stem):
            atomic.write_bytes(folder / name, content)
            paths.append(folder / name)
        return paths


@dataclass(frozen=True)
class ShapedPhoto:
    """The nested bands of a colorized photo, before a calibration chooses among them."""

    nested: NestedBands
    grouping: Grouping
    texture_SS: Tensor
    entropy: float  # mean of the pixels' colour distributions, nats
    atypicality: float  # distance from the training photos

    @cached_property
    def groups(self) -> NDArray[np.uint8]:
        """The groups of the pixels before merging, (partitions, H, W), indices into `conformal.groups.GROUPS`."""
        with torch.inference_mode():
            return np.asarray(
                self.grouping.of_pixels(self.nested.shown_HW3, self.nested.grey_HW, self.texture_SS, self.entropy)
            )

    def widest_steps(self, group_steps: NDArray[np.int_]) -> NDArray[np.uint16]:
        """The largest of the steps (GROUPS, 3) that a pixel's groups ask for, (H, W, 3)."""
        steps = group_steps.astype(np.uint16)
        widest_HW3 = steps[self.groups[0]]
        for groups_HW in self.groups[1:]:
            np.maximum(widest_HW3, steps[groups_HW], out=widest_HW3)
        return np.asarray(widest_HW3)

    def bands(self, steps: NDArray[np.integer], mode: Mode) -> NDArray[np.uint8]:
        """The bands at steps (3,) or (H, W, 3): uint8 (H, W, 3, 2).

        In the joint mode the channels' bounds tighten each other through luminance: that takes no pixel away whose
        three values lie in their bands. In the per_channel mode it could take a value whose neighbours have left.
        """
        bands_HW32 = self.nested.at(steps)
        if mode == "joint":
            for rows in _row_slices(*self.nested.grey_HW.shape):
                shown = self.nested.shown_HW3[rows]
                lower, upper = propagate(bands_HW32[rows, ..., 0], bands_HW32[rows, ..., 1], self.nested.grey_HW[rows])
                bands_HW32[rows] = np.stack((np.minimum(lower, shown), np.maximum(upper, shown)), axis=-1)
        return bands_HW32


@dataclass(frozen=True)
class Examined:
    """A colorized photo before anybody has said how much its bands are to promise.

    Attributes:
        rgb: uint8 (H, W, 3), the colour shown.
        grey: uint8 (H, W), the photo as the model saw it.
        shaped: its nested bands.
        likeness: as `Colorization` has it.
    """

    rgb: NDArray[np.uint8]
    grey: NDArray[np.uint8]
    shaped: ShapedPhoto
    likeness: float


class Colorizer:
    """Colorizes photos with one model package; safe to share between threads.

    Attributes:
        package: the model package.
        source: where it came from, as given, or which folder was taken by default.
    """

    def __init__(self, package: ModelPackage, source: str) -> None:
        self.package = package
        self.source = source

    @classmethod
    def load(cls, source: str | Path | None = None) -> Self:
        """Load a model package.

        Args:
            source: a folder, or "models:/<name>@<alias>" or "models:/<name>/<version>" for the registry; None
                takes the best of models/release, else models/generator.

        Raises:
            PackageError: when there is none, or it is not sound.
        """
        if source is None:
            source = default_package()
        if str(source).startswith("models:"):
            from huebands.registry.connection import TrackingError
            from huebands.registry.models import download_package

            try:
                folder = download_package(str(source))
            except TrackingError as error:
                raise PackageError(str(error)) from error
            return cls(read_package(folder), str(source))
        return cls(read_package(Path(source), released_sha256(Path(source))), str(source))

    @property
    def calibration(self) -> Calibration:
        """The conformal tables.

        Raises:
            PackageError: when the package has none.
        """
        if self.package.calibration is None:
            raise PackageError(
                f"{self.source}: has no calibration, so no bands; make a complete package with `dvc repro`"
            )
        return self.package.calibration

    @property
    def density(self) -> Density:
        """The colour distribution that shapes the bands.

        Raises:
            PackageError: when the package has none.
        """
        if self.package.density is None:
            raise PackageError(f"{self.source}: has no colour distribution; make a complete package with `dvc repro`")
        return self.package.density

    @cached_property
    def generator(self) -> Network:
        """The network that colours; compiled when it is first used."""
        return self.package.generator.compiled()

    def predict(self, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Colour a grey photo: uint8 (H, W) to sRGB uint8 (H, W, 3) of the same lightness; any size."""
        rgb_HW3 = np.empty((*grey_HW.shape, 3), np.uint8)
        with torch.inference_mode():
            colours = self._colours(_tensor(grey_HW))
            for rows, columns in _tiles(*grey_HW.shape):
                tile = np.s_[rows.start : rows.stop, columns.start : columns.stop]
                L_HW = color.lightness_of_grey(_tensor(grey_HW[tile]))
                lab_3HW = torch.cat((L_HW[None], colours.ab(L_HW, rows, columns)))
                shown_3HW = color.to_bytes(color.lab_to_srgb(color.fit_to_gamut(lab_3HW)))
                rgb_HW3[tile] = shown_3HW.permute(1, 2, 0).numpy()
        return rgb_HW3

    def colorize(
        self,
        image: Path | str | bytes | NDArray[np.uint8] | Image.Image,
        alpha: float = 0.1,
        mode: Mode = "per_channel",
        name: str | None = None,
        *,
        delta: float | None = None,
        grouped: bool = False,
    ) -> Colorization:
        """Colorize one photo and give its bands.

        Args:
            image: a path, an image file's bytes, uint8 (H, W) or (H, W, 3) sRGB, or a Pillow image. Only the
                lightness of a colour photo is used.
            alpha: share that may leave its band, on average over photos; mode says of what.
            mode: "per_channel" counts each channel's values; "joint" counts a pixel when any channel leaves.
            name: what an error calls the photo.
            delta: None, or the chance that the draw of the calibration photos may have to break the promise.
            grouped: promise alpha in each group of pixels (lightness and chroma, texture, photo) as well.

        Raises:
            AlphaError: when alpha is not in [1/(n+1), 1) for n calibration photos.
            RiskError: when delta is not in (0, 1), or so few photos do not support alpha with it.
            ImageError: when the photo cannot be read.
        """
        self._steps(alpha, mode, delta, grouped)  # what cannot be promised is refused before the work
        return self.promise(self.examine(image, name), alpha, mode, delta=delta, grouped=grouped)

    def examine(self, image: Path | str | bytes | NDArray[np.uint8] | Image.Image, name: str | None = None) -> Examined:
        """Colorize one photo, and find the whole family of its bands.

        Args:
            image: as `colorize` takes it.
            name: what an error calls the photo.

        Raises:
            PackageError: when the package has no calibration.
            ImageError: when the photo cannot be read.
        """
        calibration = self.calibration
        grey = grey_of(_open(image, name))
        rgb = self.predict(grey)
        shaped = self.shape(rgb, grey, calibration.shape)
        return Examined(rgb, grey, shaped, p_value(shaped.atypicality, calibration.table.atypicality))

    def promise(
        self,
        examined: Examined,
        alpha: float = 0.1,
        mode: Mode = "per_channel",
        *,
        delta: float | None = None,
        grouped: bool = False,
    ) -> Colorization:
        """Give the bands of an examined photo that keep a promise: `colorize` without the work of the networks.

        Raises:
            AlphaError: like `colorize`; so do the others.
        """
        common, by_group = self._steps(alpha, mode, delta, grouped)
        steps = common if by_group is None else examined.shaped.widest_steps(by_group)
        bands_HW32 = examined.shaped.bands(steps, mode)
        return Colorization(
            rgb=examined.rgb,
            bands={channel: bands_HW32[:, :, index] for index, channel in enumerate(CHANNELS)},
            grey=examined.grey,
            alpha=float(alpha),
            mode=mode,
            delta=delta,
            grouped=grouped,
            steps=common,
            likeness=examined.likeness,
        )

    def shape(self, rgb_HW3: NDArray[np.uint8], grey_HW: NDArray[np.uint8], shape: Shape) -> "ShapedPhoto":
        """Find the nested bands of a colorized photo, and the groups of its pixels.

        Args:
            rgb_HW3: as `predict` gives it.
            grey_HW: uint8.
            shape: of the family.

        Raises:
            PackageError: when the package has no colour distribution.
        """
        sight = self.density.see(grey_HW)
        with torch.inference_mode():
            nested = NestedBands(rgb_HW3, grey_HW, sight.intervals(shape.adaptivity))
        return ShapedPhoto(nested, shape.grouping, texture_of(sight.L_SS), sight.entropy, sight.atypicality)

    def _steps(
        self, alpha: float, mode: Mode, delta: float | None, grouped: bool
    ) -> tuple[NDArray[np.int_], NDArray[np.int_] | None]:
        """The steps of all pixels, and those of the groups where they are asked for."""
        calibration = self.calibration
        by_group = calibration.group_steps(alpha, mode, delta) if grouped else None
        return calibration.steps(alpha, mode, delta), by_group

    @property
    def _size(self) -> int:
        """Side of the square that the generator sees, pixels."""
        return int(self.package.config["preprocessing"]["image_size"])

    def _colours(self, grey_HW: Tensor) -> ColourLines:
        """Ask the network for the colours of a photo, uint8 (H, W)."""
        L_11SS = resize(color.lightness_of_grey(grey_HW)[None, None], (self._size, self._size))
        condition, random = Condition(L_unit_B1SS=L_11SS / 50 - 1), torch.Generator().manual_seed(0)
        ab_12SS = self.generator.colours(condition, random) * color.AB_SCALE
        height, width = grey_HW.shape
        return ColourLines.fit(L_11SS[0, 0], ab_12SS[0], (height, width), self.package.upsampling)


def _npz(arrays: dict[str, Any]) -> bytes:
    """What `np.savez_compressed` writes, at zlib's fastest level: bands get hardly smaller at the default one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # without a date: equal bands, equal bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.asanyarray(array), allow_pickle=False)
    return buffer.getvalue()


def grey_of(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The model's view of a photo: sRGB uint8 (H, W, 3) to the grey (H, W) of equal CIELAB lightness."""
    height, width, _ = rgb.shape
    rgb_N3, grey_N = rgb.reshape(-1, 3), np.empty(height * width, np.uint8)
    with torch.inference_mode():
        for part in _slices(height * width):
            rgb_31N = torch.from_numpy(rgb_N3[part].T[:, None].copy())
            grey_N[part] = color.grey_levels(rgb_31N)[0].numpy()
    return grey_N.reshape(height, width)


def _open(image: Path | str | bytes | NDArray[np.uint8] | Image.Image, name: str | None) -> NDArray[np.uint8]:
    if isinstance(image, str | Path):
        return images.read_photo(Path(image), name)
    if isinstance(image, bytes):
        return images.read_photo(image, name)
    if isinstance(image, Image.Image):
        return images.read_photo(_encode(image, name or "<image>"), name or "<image>")
    fits = image.dtype == np.uint8 and image.size > 0 and (image.ndim == 2 or image.shape[2:] == (3,))
    if not fits:
        reason = f"is an array of {image.dtype} {image.shape}; give uint8 (H, W) or (H, W, 3), not empty"
        raise images.ImageError(name or "<array>", reason)
    return np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image


def _encode(image: Image.Image, name: str) -> bytes:
    """Write a Pillow image without loss: its mode, profile and orientation go through the one door too."""
    buffer = io.BytesIO()
    deep = image.mode in ("CMYK", "I", "F")
    try:
        image.save(buffer, "TIFF" if deep else "PNG", exif=image.getexif(), compress_level=0)
    except (OSError, ValueError) as error:
        raise images.ImageError(name, f"has mode {image.mode}; convert it to RGB first") from error
    return buffer.getvalue()


def _tensor(grey_HW: NDArray[np.uint8]) -> Tensor:
    """A copy, because torch warns of the read-only arrays that it may be given."""
    return torch.from_numpy(np.array(grey_HW))


def _tiles(height: int, width: int) -> Iterator[tuple[range, range]]:
    columns = min(width, _SIDE)
    rows = min(height, _SIDE, max(_SLICE // columns, 1))
    for top in range(0, height, rows):
        for left in range(0, width, columns):
            yield range(top, min(top + rows, height)), range(left, min(left + columns, width))


def _row_slices(height: int, width: int) -> Iterator[slice]:
    rows = max(_SLICE // width, 1)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))


def _slices(pixels: int) -> Iterator[slice]:
    for first in range(0, pixels, _SLICE):
        yield slice(first, min(first + _SLICE, pixels))
