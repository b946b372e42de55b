"""Colorizes many photos into one folder."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hints import HintRequest, HintsError
from huebands.colorize.result import Colorization, file_names
from huebands.colorize.sampling import MAX_SAMPLES, SamplesError, Sampling
from huebands.colorize.targets import TargetError, Targets
from huebands.conformal.error_map import MapName
from huebands.conformal.guarantee import Guarantee
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import find_photos

RESULTS = tuple(name for name in file_names("", MAX_SAMPLES) if name.endswith(".png"))  # endings of their pictures


def colorize_photos(
    colorizer: Colorizer,
    photos: Sequence[Path],
    guarantee: Guarantee,
    targets: Targets,
    map_name: MapName | None = None,
    sampling: Sampling | None = None,
    hints: HintRequest | None = None,
    like: Exemplar | None = None,
) -> Iterator[tuple[Path, Path | None, Colorization | ImageError | SamplesError | HintsError | TargetError | OSError]]:
    """Colorize photos one by one, each into its files, of which the third shows a map, see `Colorization.files`.

    A photo whose files would replace what they must not is left out before the work.

    Yields:
        The photo, its colorized picture, and the result; or None, and the error of this photo.
    """
    for photo, stem in unique_stems(photos).items():
        try:
            for name in file_names(stem, sampling.count if sampling else 0):
                targets.check(targets.folder / name)
            prediction = colorizer.predict(GreyPhoto.read(photo), hints=hints, like=like)
            result = colorizer.choose(prediction, guarantee, sampling)
            yield photo, result.save(targets.folder, stem, map_name, targets.check)[0], result
        except (ImageError, SamplesError, HintsError, TargetError, OSError) as error:
            yield photo, None, error


def photos_below(path: Path) -> list[Path]:
    """Expand a folder to its photos, without the results of an earlier run; a file stays as it is.

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
    """Give every photo a stem of its own: a repeated stem gets a number, and a repeated photo is left out."""
    stems: dict[Path, str] = {}
    known_paths = set()
    original_stems = {photo.stem.casefold() for photo in photos}
    used_stems: set[str] = set()
    for photo in photos:
        if (path := photo.resolve()) in known_paths:
            continue
        known_paths.add(path)
        stem, number = photo.stem, 1
        # Some file systems ignore case. A numbered stem must not be the stem of another photo.
        while stem.casefold() in used_stems or (number > 1 and stem.casefold() in original_stems):
            number += 1
            stem = f"{photo.stem}-{number}"
        used_stems.add(stem.casefold())
        stems[photo] = stem
    return stems
