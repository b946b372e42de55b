"""Measures weights of the study on whole photos, through the project's own pipeline, beside the release and grey.

    python studies/colours/evaluate.py RELEASE PHOTOS... --seconds 60 --out FILE.json [--sheet FILE.png]

Colours are upsampled along lightness (guided), as `huebands colorize` does.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.colours import ColourModel
from huebands.metrics.image import Photo, error_figures
from huebands.models.networks import dual_head
from huebands.models.weights import read_weights
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import read_photo

FOLDER = Path(__file__).parent
UPSAMPLING = {"name": "guided", "radius": 2, "epsilon": 2.0}


def main() -> None:
    """Read the arguments, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("release", type=Path)
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path)
    arguments = parser.parse_args()
    release = Colorizer.load(arguments.release)
    colorizers: dict[str, Any] = {"grey": lambda photo: photo.rgb, "release": release.colours.predict}
    for path in sorted((FOLDER / "weights").glob("*.safetensors")):
        for shown in ("mean", "annealed"):
            colorizers[f"{path.stem}, {shown}"] = colours_of(path, shown).predict
    start, figures, rows = time.monotonic(), {variant: [] for variant in colorizers}, []
    for photo in arguments.photos:
        if time.monotonic() - start > arguments.seconds:
            break
        truth = read_photo(photo.read_bytes(), photo.name)
        results = {variant: predict(GreyPhoto.of_rgb(truth)) for variant, predict in colorizers.items()}
        for variant, result in results.items():
            figures[variant].append(error_figures(Photo(truth), Photo(result)))
        rows.append([*results.values(), truth])
    table = {
        variant: {
            name: round(float(np.mean([photo_figures[name] for photo_figures in values])), 3) for name in values[0]
        }
        for variant, values in figures.items()
    }
    arguments.out.write_text(json.dumps({"photos": len(rows), "ways": table}, indent=1) + "\n")
    for variant, values in table.items():
        print(len(rows), variant, values)
    if arguments.sheet:
        sheet(rows).save(arguments.sheet)


def colours_of(path: Path, shown: str) -> ColourModel:
    """A colour model with weights of the study."""
    params = dual_head.Params(
        name="dual_head", encoder="efficientnet-lite2", filters=64, stride=4, dropout=0.0, norm="batch",
        shown=shown, temperature=0.38,
    )  # fmt: skip
    network = dual_head.Network(params, 128)
    network.load_state_dict({name: tensor.float() for name, tensor in read_weights(path).items()}, strict=True)
    return ColourModel(network.eval().requires_grad_(False), 128, UPSAMPLING)


def sheet(rows: list[list[NDArray[np.uint8]]]) -> Image.Image:
    """A picture with one row a photo."""
    side = 200
    page = Image.new("RGB", (side * len(rows[0]), side * len(rows)), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            thumbnail = Image.fromarray(picture)
            thumbnail.thumbnail((side, side))
            page.paste(thumbnail, (x * side, y * side))
    return page


if __name__ == "__main__":
    main()
