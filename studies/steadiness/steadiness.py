"""Measures what makes colours steady, on validation photos: borders found, the fit of colour to lightness, views.

    python studies/steadiness/steadiness.py DATA --weights WEIGHTS --package PACKAGE --photos 24 --out FILE.json

DATA holds raw/ and prepared/ of the stages ingest and prepare with `data=photos-large`. WEIGHTS are those that
studies/colours/train.py keeps of a recipe with the encoder EfficientNet-Lite2; PACKAGE is a model package. Photos
larger than 256 pixels that have no border of their own are used, spread evenly over the split. A "crop" is the
middle quarter of a photo's width.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.colours import ColourModel
from huebands.data.originals import Originals
from huebands.data.shards import read_manifest
from huebands.metrics.bleeding import bleeding_of_lab
from huebands.metrics.image import Photo, ciede2000, colourfulness, error_figures
from huebands.metrics.steadiness import SMALL, measure_steadiness
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import Size

sys.path.insert(0, str(Path(__file__).parents[1] / "colours"))
from evaluate import colours_of

Colour = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
FIT = {"name": "guided", "radius": 2, "epsilon": 2.0}
STRIDE_FIT = {"name": "guided", "stride": 4, "radius": 1, "epsilon": 8.0}
TWO_STEPS = "bicubic-then-bilinear-antialias"


class WholePhoto(GreyPhoto):
    """A photo whose border is not looked for."""

    @property
    def picture(self) -> tuple[slice, slice]:  # type: ignore[override]
        """All of it."""
        return slice(0, self.shape[0]), slice(0, self.shape[1])


class SquashingModel(ColourModel):
    """Squashes a long photo to one square."""

    def first_size(self, photo: GreyPhoto) -> Size:
        """The network's square."""
        return Size(self.image_size, self.image_size)

    def canvas(self, photo: GreyPhoto) -> Tensor:
        """The network's square."""
        return photo.lightness(self.first_size(photo))[0]


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    ways = ways_of(colours_of(arguments.weights, "mean"), Colorizer.load(arguments.package).colours)
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
    manifest = read_manifest(arguments.data / "prepared")
    large = manifest[manifest[["width", "height"]].max(axis=1) > SMALL]
    originals = Originals(arguments.data / "raw", large)
    for photo in originals.sample("val", arguments.photos):
        if photo.grey.picture_shape != photo.grey.shape:
            continue
        for name, colour in ways.items():
            figures[name].append(figures_of(photo.rgb, colour))
        arguments.out.write_text(json.dumps(table_of(figures), indent=1) + "\n")  # a long run can be cut short
    for name, values in table_of(figures)["ways"].items():
        print(f"| {name} | " + " | ".join(f"{value:.2f}" for value in values.values()) + " |")


def table_of(figures: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, Any]:
    """Means over photos, and how many photos there are."""
    ways = {
        name: {key: round(float(np.mean([row[key] for row in rows])), 3) for key in rows[0]}
        for name, rows in figures.items()
    }
    return {"photos": len(next(iter(figures.values()))), "ways": ways}


def ways_of(model: ColourModel, package: ColourModel) -> dict[str, Colour]:
    """What is compared; each way adds to the one before."""
    plain = replace(model, upsampling=FIT)
    fitted = replace(plain, upsampling=STRIDE_FIT)
    viewed = replace(fitted, views=8)
    squashing = SquashingModel(plain.network, plain.image_size, FIT)
    return {
        "plain, long photos squashed": lambda grey: squashing.predict(WholePhoto(grey)),
        "long photos in windows": lambda grey: plain.predict(WholePhoto(grey)),
        "borders found": lambda grey: plain.predict(GreyPhoto(grey)),
        "colour fitted at stride 4": lambda grey: fitted.predict(GreyPhoto(grey)),
        "8 views": lambda grey: viewed.predict(GreyPhoto(grey)),
        "resized in two steps": lambda grey: replace(viewed, resize=TWO_STEPS).predict(GreyPhoto(grey)),
        "the package, borders not found": lambda grey: package.predict(WholePhoto(grey)),
        "the package, borders found": lambda grey: package.predict(GreyPhoto(grey)),
    }


def figures_of(truth: NDArray[np.uint8], colour: Colour) -> dict[str, float]:
    """Errors of the whole photo and of its crop, bleeding and steadiness."""
    levels = GreyPhoto.of_rgb(truth).levels_HW
    photo, shown = Photo(truth), Photo(colour(levels))
    width = truth.shape[0] // 4
    left = (truth.shape[1] - width) // 2
    crop = np.ascontiguousarray(truth[:, left : left + width])
    shown_crop = colour(GreyPhoto.of_rgb(crop).levels_HW)
    return {
        "ciede2000": error_figures(photo, shown)["ciede2000"],
        "bleeding": bleeding_of_lab(photo.lab, shown.lab),
        "crop_ciede2000": ciede2000(crop, shown_crop),
        "crop_colourfulness_error": abs(colourfulness(shown_crop) - colourfulness(crop)),
        **measure_steadiness(levels, colour, np.random.default_rng(0)),
    }


if __name__ == "__main__":
    main()
