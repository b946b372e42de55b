"""The names of results: where below the output those of each photo belong. They never depend on other photos."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePath

from huebands.colorize.search import Photo


class ClashError(ValueError):
    """Results of several photos would have one name; the message names the photos, the name and the remedy."""


def name_results(
    photos: Sequence[Photo], flat: bool = False, full: bool = False
) -> tuple[dict[Photo, PurePath], list[ClashError]]:
    """Give each photo the path of its results below the output, without their endings.

    Args:
        photos: that were found.
        flat: leave out the folders of a photo's place.
        full: keep the ending of the photo's own name.

    Returns:
        The path by photo, and an error for each photo that shares it with another. Names that differ in case alone are
        the same to many file systems.
    """
    paths = {photo: _path_of(photo, flat, full) for photo in photos}
    sharing = defaultdict(list)
    for photo, path in paths.items():
        sharing[str(path).casefold()].append(photo)
    remedy = "" if full else "; --full-names tells photos apart by their endings"
    remedy += "; without --flat, results keep the photos' folders" if flat else ""
    clashes = {
        photo: ClashError(
            f"{photo.path}: its results would have the name of those of"
            f" {next(other.path for other in group if other != photo)},"
            f" {paths[photo]}{remedy}"
        )
        for group in sharing.values()
        if len(group) > 1
        for photo in group
    }
    return {photo: path for photo, path in paths.items() if photo not in clashes}, list(clashes.values())


def _path_of(photo: Photo, flat: bool, full: bool) -> PurePath:
    path = PurePath(photo.place.name) if flat else photo.place
    name = path.name if full else path.stem
    return path.with_name(name if photo.page is None else f"{name}.page-{photo.page}")
