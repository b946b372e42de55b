"""Whether the pipeline can start: each folder of photos holds one, and the splits follow the rule that is remembered.

`conf/hydra_plugins` checks what a composition is about to write into params.yaml, `make repro` what params.yaml holds:

    python -m huebands.data.readiness
"""

from collections.abc import Iterable, Mapping
from typing import Any

from huebands.data.assignments import AssignmentError, Assignments, path_of
from huebands.data.composition import CompositionError, check_composed, digest_of
from huebands.data.params import DataParams, FolderSource, PrepareParams, Source
from huebands.data.sources import ANOTHER_FOLDER, SourceError, open_source
from huebands.models.parameters import ParamsError, below, build
from huebands.photos.errors import ImageError
from huebands.photos.read import read_photo

REFUSALS = (ParamsError, CompositionError, SourceError, AssignmentError, OSError)


def compose_digest(data: Mapping[str, Any], preparation: Mapping[str, Any]) -> str:
    """Check what a composition is about to write into params.yaml, and give its `data.composed_from`.

    Args:
        data: section `data`; its `composed_from` is not looked at.
        preparation: section `prepare`.

    Raises:
        ParamsError: on a bad value.
        CompositionError: like `digest_of`.
        SourceError, AssignmentError: like `check_ready`.
    """
    with below("data"):
        checked = build(DataParams, data)
    with below("prepare"):
        settings = build(PrepareParams, preparation)
    digest = digest_of(checked.name)
    check_ready(checked, settings)
    return digest


def check_ready(data: DataParams, settings: PrepareParams) -> None:
    """Check folders of photos and the rule of the splits; sources that must be fetched are not opened.

    Raises:
        SourceError: naming the folder without a photo, the first reason and what to do.
        AssignmentError: like `Assignments.read` and `Assignments.check_rule`.
    """
    _check_photos(data.sources)
    Assignments.read(path_of(data.name)).check_rule(settings)


def _check_photos(sources: Iterable[Source]) -> None:
    for source in sources:
        if isinstance(source, FolderSource):
            _check_folder(source)


def _check_folder(source: FolderSource) -> None:
    photos, first_reason = open_source(source), ""
    for photo in photos.photos():
        try:
            if photo.refusal:
                raise ImageError(photo.name, photo.refusal)
            read_photo(photo.content, photo.name)
        except ImageError as error:
            first_reason = first_reason or str(error)
        else:
            return
    raise SourceError(
        f"{source.path}: none of its {len(photos.names)} files is a photo that can be read (first: {first_reason});"
        f" put photos there, such as JPEG, PNG or TIFF, or {ANOTHER_FOLDER}"
    )


def main() -> None:
    """Check the params.yaml of the current folder."""
    from huebands import params  # it imports torch, for which a composition need not wait

    try:
        settings = params.load()
        check_composed(settings.data)
        check_ready(settings.data, settings.prepare)
    except REFUSALS as error:
        raise SystemExit(f"params.yaml: {error}") from error


if __name__ == "__main__":
    main()
