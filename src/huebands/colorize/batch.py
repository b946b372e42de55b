"""Colorizes many photos into one folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result import Colorization
from huebands.conformal.guarantee import Guarantee
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import find_photos

RESULTS = (".colorized.png", ".uncertainty.png")  # endings of the pictures that `Colorization.save` writes


def colorize_photos(
    colorizer: Colorizer, photos: Sequence[Path], guarantee: Guarantee, folder: Path
) -> Iterator[tuple[Path, Path | None, Colorization | ImageError | OSError]]:
    """Colorize photos one by one, each into its three files.

    Yields:
        The photo, its colorized picture, and the result; or no picture, and the error that this photo met.
    """
    for photo, stem in unique_stems(photos).items():
        try:
            result = colorizer.choose(colorizer.predict(GreyPhoto.read(photo)), guarantee)
            yield photo, result.save(folder, stem)[0], result
        except (ImageError, OSError) as error:
            yield photo, None, error


def photos_below(path: Path) -> list[Path]:
    """Expand a folder to its photos, without what was written there by an earlier run; a file stays as it is.

    Raises:
        ImageError: when the path does not exist, or the folder holds no photo.
    """
    files = find_photos([path])
    if not path.is_dir():
        return files
    photos = [file for file in files if not file.name.endswith(RESULTS)]
    if not photos:
        raise ImageError(str(path), "holds no photos")
    return photos


def unique_stems(photos: Sequence[Path]) -> dict[Path, str]:
    """Give every photo its own stem: one that is taken gets a number; a photo given twice counts once."""
    stems: dict[Path, str] = {}
    known = set()
    wanted = {photo.stem.casefold() for photo in photos}
    taken: set[str] = set()
    for photo in photos:
        if (place := photo.resolve()) in known:
            continue
        known.add(place)
        stem, number = photo.stem, 1
        # Some file systems know no case; and a number must not take the stem of a later photo.
        while stem.casefold() in taken or (number > 1 and stem.casefold() in wanted):
            number += 1
            stem = f"{photo.stem}-{number}"
        taken.add(stem.casefold())
        stems[photo] = stem
    return stems
