"""The files of a result: the colorized picture, the bands, a map of uncertainty, and further pictures."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from huebands.colorize.fading import Fading, fade
from huebands.colorize.mark import SOFTWARE, mark_of
from huebands.colorize.picture_file import PictureFile
from huebands.colorize.result import Colorization
from huebands.conformal.bands import CHANNELS
from huebands.conformal.error_map import MapName
from huebands.files import atomic, npz
from huebands.photos.encode import SUFFIX, Format
from huebands.photos.heatmap import magma
from huebands.photos.strips import strips
from huebands.photos.write import encode_png

Content = bytes | npz.Archive  # of a file; an archive is written as it is made
ENDINGS = (".bands.npz", ".uncertainty.png")


def picture_of(
    result: Colorization, file: PictureFile | None = None, share: float | NDArray[np.float32] = 1.0
) -> bytes:
    """Encode the colours at their full depth, with the mark of results.

    Args:
        result: the result.
        file: how; None: as PNG.
        share: of the colours that is left, in [0, 1], or (H, W).

    Raises:
        EncodingError: when the format cannot hold them.
    """
    rgb_HW3, alpha_HW = (result.rgb, None) if result.full is None else (result.full.rgb_HW3, result.full.alpha_HW)
    is_full = isinstance(share, float) and share == 1
    return (file or PictureFile()).encode(rgb_HW3 if is_full else fade(rgb_HW3, share), alpha_HW)


def files_of_result(
    result: Colorization,
    stem: str,
    map_name: MapName | None = None,
    further_arrays: Mapping[str, ArrayLike] | None = None,
    picture_file: PictureFile | None = None,
    fading: Fading | None = None,
) -> Iterator[tuple[str, Content]]:
    """Make the files, one after the other: colours, bands, uncertainty, and the samples, by their names.

    Args:
        result: the result.
        stem: of the names.
        map_name: the map that the third file shows; None: the first of `maps`.
        further_arrays: for the archive of the bands, by name.
        picture_file: how colours and samples are written; None: as PNG.
        fading: of the colours, with a further picture where it has a width; None: none.

    Raises:
        MapError: when there is no such map.
        EncodingError: when the format of the pictures cannot hold them.
    """
    _, scale = result.map(map_name, slice(0))  # an error before the work
    arrays: dict[str, ArrayLike | npz.Rows] = {"alpha": np.float64(result.guarantee.alpha)}
    arrays |= {name: _bands_of(result, channel) for channel, name in enumerate(CHANNELS)}
    if result.error_KSS is not None:
        errors = (result.expected_error_in(rows).astype(np.float16) for rows in strips(*result.grey.shape))
        arrays["expected_error"] = npz.Rows(result.grey.shape, np.dtype(np.float16), errors)
    arrays |= further_arrays or {}
    picture_file = picture_file or PictureFile()
    fading = fading or Fading()
    names = file_names(stem, len(result.samples), picture_file.format, fading.width is not None)
    colorized, bands, uncertainty, *others = names
    yield colorized, picture_of(result, picture_file, fading.strength)
    # At zlib's usual level bands are hardly smaller.
    yield bands, npz.Archive(arrays=arrays, compression=zipfile.ZIP_DEFLATED, level=1, comment=SOFTWARE)
    levels_HW = result.heat(map_name)
    text = {**mark_of(levels_HW), **scale.describe()}
    yield uncertainty, encode_png(levels_HW, palette=magma(), text=text)
    if fading.width is not None:
        faded, *others = others
        yield faded, picture_of(result, picture_file, fading.strength * fading.by_width(result.width))
    for name, sample in zip(others, result.samples, strict=True):
        yield name, picture_file.encode(fade(sample, fading.strength))


def save(result: Colorization, folder: Path | str, stem: str, map_name: MapName | None = None) -> list[Path]:
    """Write the files into a folder, see `write_files`.

    Args:
        result: the result.
        folder: of the files.
        stem: of the names.
        map_name: see `files`.

    Raises:
        MapError: when there is no such map.
        OSError: when a file cannot be written.
    """
    return write_files(Path(folder), files_of_result(result, stem, map_name))


def write_files(
    folder: Path, files: Iterable[tuple[str, Content]], check: Callable[[Path], None] = lambda path: None
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
            if isinstance(content, bytes):
                file.write(content)
            else:
                content.write(file)
            check(path)
        del content  # before the next one is made
        paths.append(path)
    return paths


def _bands_of(result: Colorization, channel: int) -> npz.Rows:
    parts = (result.chosen.of_channel(channel, rows) for rows in strips(*result.grey.shape))
    return npz.Rows((*result.grey.shape, 2), np.dtype(np.uint8), parts)


def file_names(stem: str, samples: int, picture_format: Format = "png", is_faded: bool = False) -> list[str]:
    """The names of a result's files, in the order of `files_of_result`.

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
