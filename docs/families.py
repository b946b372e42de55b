"""Draw docs/families/pictures/NAME.jpg: six photos under each family that `make families` has made.

    make families && python docs/families.py

The photos are public domain or CC0, and none is a photo that the families learned from. Four come with scikit-image: an
astronaut (NASA), a cat (Stefan van der Walt), a cup of coffee (Rachel Michetti) and a rocket (SpaceX). Two are test
photos of `paintings`, the pipeline's data (The Metropolitan Museum of Art, Open Access, CC0). Families that follow
hints are shown with points of the true colours too, and those that follow a reference with another of these photos.
"""

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hint_law import START, draw_hints
from huebands.data.originals import Original
from huebands.data.shards import read_manifest
from huebands.files import atomic
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import read_photo
from huebands.plots.pictures import Strip, draw_sheet

MODELS, PICTURES = Path("reports/families/models"), Path("docs/families/pictures")
RAW, PREPARED = Path("data/raw"), Path("data/prepared")
SIDE = 256  # pixels
REFERENCES = {  # of each photo, in the order of the sheets
    "astronaut": "young lady",
    "cat": "coffee",
    "coffee": "cat",
    "rocket": "card players",
    "young lady": "astronaut",
    "card players": "coffee",
}


def main() -> None:
    """Draw the photos, grey and as they are, and then a sheet for each family."""
    photos = {name: square(photo) for name, photo in read().items()}
    greys = {name: GreyPhoto.of_rgb(photo).levels_HW for name, photo in photos.items()}
    draw("photos", {"grey": greys, "truth": photos})
    for folder in sorted(path for path in MODELS.iterdir() if path.is_dir()):
        draw(folder.name, colour(Colorizer.load(folder), folder.name, photos))


def draw(name: str, rows: Mapping[str, Mapping[str, NDArray[np.uint8]]]) -> None:
    """Write a sheet: a row for each heading, with the photos in their order."""
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder) / "sheet.png"
        strips = [(heading, [Strip("", [*pictures.values()])]) for heading, pictures in rows.items()]
        draw_sheet(png, strips, list(REFERENCES))
        with Image.open(png) as sheet:
            jpeg = io.BytesIO()
            sheet.convert("RGB").save(jpeg, "JPEG", quality=85, optimize=True)
    PICTURES.mkdir(exist_ok=True)
    atomic.write_bytes(PICTURES / f"{name}.jpg", jpeg.getvalue())


def colour(
    colorizer: Colorizer, name: str, photos: dict[str, NDArray[np.uint8]]
) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The pictures of a family by photo, under one heading for each kind of help that it takes."""
    originals = {key: Original(key, key, "", rgb, GreyPhoto.of_rgb(rgb)) for key, rgb in photos.items()}
    pictures = {name: {key: colorizer.predict(photo.grey).rgb for key, photo in originals.items()}}
    if colorizer.abilities.hints:
        pictures["with hints"] = {
            key: colorizer.predict(photo.grey, hints=draw_hints(START, photo)).rgb for key, photo in originals.items()
        }
    if colorizer.abilities.exemplar:
        pictures["a reference"] = {
            key: colorizer.predict(photo.grey, like=Exemplar(photos[REFERENCES[key]])).rgb
            for key, photo in originals.items()
        }
    return pictures


def read() -> dict[str, NDArray[np.uint8]]:
    """The photos in colour, in the order of `REFERENCES`."""
    return {
        "astronaut": data.astronaut(),
        "cat": data.chelsea(),
        "coffee": data.coffee(),
        "rocket": data.rocket(),
        "young lady": read_photo(painting("436964")),
        "card players": read_photo(painting("435868")),
    }


def painting(number: str) -> Path:
    """The file of a painting, by its number in the museum."""
    manifest = read_manifest(PREPARED)
    (file,) = manifest.loc[manifest["name"].str.endswith(f"/{number}.jpg"), "file"]
    return RAW / file


def square(rgb_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small copy of a photo's middle; of a high photo a part above the middle, where faces are."""
    height, width = rgb_HW3.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 6
    part = Image.fromarray(rgb_HW3).crop((left, top, left + side, top + side))
    return np.asarray(part.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main()
