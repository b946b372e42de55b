"""The result: a colorized photo, its bands and its files."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huebands.colorize.fading import Fading, fade
from huebands.colorize.full_colours import FullColours
from huebands.colorize.hints_report import HintsReport
from huebands.colorize.mark import SOFTWARE, mark_of
from huebands.colorize.picture_file import PictureFile
from huebands.conformal.error_map import MAPS, MapName, choose_map, upsample
from huebands.conformal.guarantee import Guarantee
from huebands.files import atomic, npz
from huebands.photos.encode import SUFFIX, Format
from huebands.photos.heatmap import EXPECTED_ERROR, WIDTH, Scale, heat_levels, heat_map, magma
from huebands.photos.write import encode_png

ENDINGS = (".bands.npz", ".uncertainty.png")


@dataclass(frozen=True, kw_only=True, eq=False)
class Colorization:
    """A colorized photo and, for every pixel and channel, a range for the true value.

    The guarantee is about the photo as a whole: it says nothing of one pixel. A small `likeness` means that the photo
    is unlike the calibration photos: then the guarantee may not hold.

    Attributes:
        rgb: uint8 (H, W, 3), the colours shown.
        bands: R, G and B, uint8 (H, W, 2) = [lower, upper] each.
        grey: uint8 (H, W), the photo as the model saw it.
        guarantee: guarantee that the bands keep.
        steps: int (3,), of the nested bands for R, G and B; grouped: pixels have these or later ones.
        likeness: conformal p-value of the atypicality score: at most q with probability q for a photo exchangeable
            with the calibration photos.
        error_KSS: expected error of pixels with each of K grey levels, `density.expected_error.LEVELS`, at samples
            spread evenly over the photo; None where the model gives none.
        full: the colours at the depth of the photo's file, with its transparency; None: they are `rgb`.
        hints: what there is to say of the photo's hints; None: it has none.
        caveat: what holds in place of the guarantee where the colours follow hints or a reference; None: it holds.
        law: what the guarantee needs of the photo's hints, where the calibration photos had hints; None: nothing.
        samples: further colourings, uint8 (H, W, 3) each. They need not lie inside the bands, see `share_outside`.
    """

    rgb: NDArray[np.uint8]
    bands: dict[str, NDArray[np.uint8]]
    grey: NDArray[np.uint8]
    guarantee: Guarantee
    steps: NDArray[np.int_]
    likeness: float
    error_KSS: NDArray[np.float32] | None = None
    full: FullColours | None = None
    samples: tuple[NDArray[np.uint8], ...] = ()
    hints: HintsReport | None = None
    caveat: str | None = None
    law: str | None = None

    @cached_property
    def width(self) -> NDArray[np.float32]:
        """Band width at every pixel, the mean over the channels, (H, W) in 8-bit levels."""
        total = np.zeros(self.grey.shape, np.float32)
        for band in self.bands.values():
            total += band[..., 1] - band[..., 0]
        return total / np.float32(len(self.bands))

    def share_outside(self, rgb_HW3: NDArray[np.uint8]) -> float:
        """The share of a picture's channel values, or in the joint mode of its pixels, that are outside the bands.

        Args:
            rgb_HW3: of the photo's size.
        """
        outside_3HW = []
        for index, band_HW2 in enumerate(self.bands.values()):
            values_HW = rgb_HW3[..., index]
            outside_3HW.append((values_HW < band_HW2[..., 0]) | (values_HW > band_HW2[..., 1]))
        is_joint = self.guarantee.mode == "joint"
        return float((np.logical_or.reduce(outside_3HW) if is_joint else np.stack(outside_3HW)).mean())

    @cached_property
    def samples_outside(self) -> tuple[float, ...]:
        """`share_outside` of each sample."""
        return tuple(self.share_outside(sample) for sample in self.samples)

    @cached_property
    def expected_error(self) -> NDArray[np.float32] | None:
        """Expected colour error of what is shown, (H, W) in CIEDE2000; None where the model gives none.

        Among pixels of new photos like the validation photos with the value 6, the mean error is about 6.
        """
        return None if self.error_KSS is None else upsample(self.error_KSS, self.grey)

    @property
    def maps(self) -> tuple[MapName, ...]:
        """The names of its maps of uncertainty; the first is the usual one."""
        return MAPS if self.error_KSS is not None else ("width",)

    def map(self, name: MapName | None = None) -> tuple[NDArray[np.float32], Scale]:
        """A map of uncertainty, (H, W), and the scale of its picture.

        Args:
            name: of the map; None: the first of `maps`.

        Raises:
            MapError: when there is no such map.
        """
        expected_error = self.expected_error
        if choose_map(name, self.maps) == "expected-error" and expected_error is not None:
            return expected_error, EXPECTED_ERROR
        return self.width, WIDTH

    @property
    def uncertainty(self) -> NDArray[np.uint8]:
        """Heat map of the usual map of uncertainty, uint8 (H, W, 3); the scale is the same for every photo."""
        return heat_map(*self.map())

    def picture(self, file: PictureFile | None = None, share: float | NDArray[np.float32] = 1.0) -> bytes:
        """Encode the colours at their full depth, with the mark of results.

        Args:
            file: how; None: as PNG.
            share: of the colours that is left, in [0, 1], or (H, W).

        Raises:
            EncodingError: when the format cannot hold them.
        """
        rgb_HW3, alpha_HW = (self.rgb, None) if self.full is None else (self.full.rgb_HW3, self.full.alpha_HW)
        is_full = isinstance(share, float) and share == 1
        return (file or PictureFile()).encode(rgb_HW3 if is_full else fade(rgb_HW3, share), alpha_HW)

    def files(
        self,
        stem: str,
        map_name: MapName | None = None,
        further_arrays: Mapping[str, ArrayLike] | None = None,
        picture_file: PictureFile | None = None,
        fading: Fading | None = None,
    ) -> Iterator[tuple[str, bytes]]:
        """Make the files, one after the other: colours, bands, uncertainty, and the samples, by their names.

        Args:
            stem: of the names.
            map_name: the map that the third file shows; None: the first of `maps`.
            further_arrays: for the archive of the bands, by name.
            picture_file: how colours and samples are written; None: as PNG.
            fading: of the colours, with a further picture where it has a width; None: none.

        Raises:
            MapError: when there is no such map.
            EncodingError: when the format of the pictures cannot hold them.
        """
        map_HW, scale = self.map(map_name)
        arrays: dict[str, ArrayLike] = {"alpha": np.float64(self.guarantee.alpha), **self.bands}
        if self.expected_error is not None:
            arrays["expected_error"] = self.expected_error.astype(np.float16)
        arrays |= further_arrays or {}
        picture_file = picture_file or PictureFile()
        fading = fading or Fading()
        names = file_names(stem, len(self.samples), picture_file.format, fading.width is not None)
        colorized, bands, uncertainty, *others = names
        yield colorized, self.picture(picture_file, fading.strength)
        # At zlib's usual level bands are hardly smaller.
        yield bands, npz.encode(arrays, zipfile.ZIP_DEFLATED, level=1, comment=SOFTWARE)
        levels_HW = heat_levels(map_HW, scale)
        text = {**mark_of(levels_HW), **scale.describe()}
        yield uncertainty, encode_png(levels_HW, palette=magma(), text=text)
        if fading.width is not None:
            faded, *others = others
            yield faded, self.picture(picture_file, fading.strength * fading.by_width(self.width))
        for name, sample in zip(others, self.samples, strict=True):
            yield name, picture_file.encode(fade(sample, fading.strength))

    def save(self, folder: Path | str, stem: str, map_name: MapName | None = None) -> list[Path]:
        """Write the files into a folder, see `write_files`.

        Args:
            folder: of the files.
            stem: of the names.
            map_name: see `files`.

        Raises:
            MapError: when there is no such map.
            OSError: when a file cannot be written.
        """
        return write_files(Path(folder), self.files(stem, map_name))


def write_files(
    folder: Path, files: Iterable[tuple[str, bytes]], check: Callable[[Path], None] = lambda path: None
) -> list[Path]:
    """Write files into a folder, made if need be; those of the same names are replaced, each as a whole.

    A symbolic link of such a name is replaced too, not followed.

    Args:
        folder: of the files.
        files: their contents, by name.
        check: called with each path just before something takes its place there; an error of it lets what is there
            stay.

    Returns:
        The paths.

    Raises:
        OSError: when a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, content in files:
        path = folder / name
        with atomic.writing(path) as file:
            file.write(content)
            check(path)
        paths.append(path)
    return paths


def file_names(stem: str, samples: int, picture_format: Format = "png", is_faded: bool = False) -> list[str]:
    """The names of a result's files, in the order of `Colorization.files`.

    Args:
        stem: of the names.
        samples: their number.
        picture_format: of the colorized picture and the samples.
        is_faded: whether there is a picture whose colour fades where the bands are wide.
    """
    suffix = SUFFIX[picture_format]
    endings = [f".sample-{number}{suffix}" for number in range(1, samples + 1)]
    faded = [f".faded{suffix}"] if is_faded else []
    return [f"{stem}{ending}" for ending in (f".colorized{suffix}", *ENDINGS, *faded, *endings)]
