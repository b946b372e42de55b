"""Stage ingest: every photo of the sources, byte for byte, with what is known about it.

Writes data/raw/: photos/<id><suffix>, index.parquet, and rejected.csv for what was left out and why. Of files with
equal pixels it takes the one that data/splits/NAME.csv remembers.
"""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pandas as pd

from huebands import params
from huebands.data.assignments import AssignmentError, Assignments, path_of
from huebands.data.collection import collect_photos, key_of
from huebands.data.composition import CompositionError, check_composed
from huebands.data.sources import PhotoSource, SourceError, open_source
from huebands.data.work import unfinished
from huebands.files import atomic
from huebands.files.cells import cell

RAW = Path("data/raw")


def main() -> None:
    """Ingest the sources of params.yaml."""
    try:
        data = params.load().data
        check_composed(data)
        remembered = {photo.id for photo in Assignments.read(path_of(data.name)).photos}
        sources = [open_source(source) for source in data.sources]
        index, rejected = ingest(sources, RAW, remembered)
    except (params.ParamsError, CompositionError, SourceError, AssignmentError, OSError) as error:
        raise SystemExit(f"ingest: {error}") from error
    for source in sources:
        taken, left = ((frame["source"] == source.name).sum() for frame in (index, rejected))
        print(f"{source.name}: {taken} photos taken, {left} files left out")
    for row in rejected.itertuples():
        print(f"  left out: {row.name}: {row.reason}", file=sys.stderr)
    if index.empty:
        names = ", ".join(source.name for source in sources)
        raise SystemExit(
            f"ingest: none of the {len(rejected)} files of {names} is a photo that can be taken, for the reasons above;"
            " put photos there, such as JPEG, PNG or TIFF, or name other sources in conf/data"
        )


def ingest(
    sources: Sequence[PhotoSource], folder: Path, remembered: Collection[str] = ()
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Collect the photos of the sources in `folder`, which is replaced as a whole; an interrupted run goes on.

    Photos whose IDs are `remembered` are taken before others of equal pixels.

    Returns:
        The index and the rejected files with reasons, as written.

    Raises:
        SourceError: when a source cannot be read.
    """
    with unfinished(folder, key_of(sources)) as kept, atomic.replace_folder(folder) as new:
        index, rejected = collect_photos(sources, kept, new, remembered=remembered)
        with atomic.writing(new / "index.parquet") as file:
            index.to_parquet(file, index=False)
        atomic.write_text(new / "rejected.csv", rejected.map(cell).to_csv(index=False, lineterminator="\n"))
    return index, rejected


if __name__ == "__main__":
    main()
