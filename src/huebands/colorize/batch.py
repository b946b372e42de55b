"""Colorizes many photos into files below one folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hints import HintRequest, HintsError
from huebands.colorize.result import Colorization, file_names
from huebands.colorize.sampling import SamplesError, Sampling
from huebands.colorize.targets import TargetError, Targets
from huebands.conformal.error_map import MapName
from huebands.conformal.guarantee import Guarantee
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto


def colorize_photos(
    colorizer: Colorizer,
    paths: Mapping[Path, PurePath],
    guarantee: Guarantee,
    targets: Targets,
    map_name: MapName | None = None,
    sampling: Sampling | None = None,
    hints: HintRequest | None = None,
    like: Exemplar | None = None,
) -> Iterator[tuple[Path, Path | None, Colorization | ImageError | SamplesError | HintsError | TargetError | OSError]]:
    """Colorize photos one by one, each into its files, of which the third shows a map, see `Colorization.files`.

    A photo whose files would replace what they must not is left out before the work.

    Args:
        colorizer: with its model.
        paths: by photo, of its results below the folder of the targets, without their endings.
        guarantee: of the bands.
        targets: where files may be written.
        map_name: see `Colorization.files`.
        sampling: of further colourings.
        hints: of the one photo.
        like: a reference for all.

    Yields:
        The photo, its colorized picture, and the result; or None, and the error of this photo.
    """
    for photo, path in paths.items():
        folder, stem = targets.folder / path.parent, path.name
        try:
            for name in file_names(stem, sampling.count if sampling else 0):
                targets.check(folder / name)
            prediction = colorizer.predict(GreyPhoto.read(photo), hints=hints, like=like)
            result = colorizer.choose(prediction, guarantee, sampling)
            yield photo, result.save(folder, stem, map_name, targets.check)[0], result
        except (ImageError, SamplesError, HintsError, TargetError, OSError) as error:
            yield photo, None, error
