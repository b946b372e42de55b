"""Draw docs/families.jpg: six photos under every family that `make families` has made.

    make families && python docs/families.py

The photos are public domain or CC0, and none is a photo that the families learned from. Four come with scikit-image: an
astronaut (NASA), a cat (Stefan van der Walt), a cup of coffee (Rachel Michetti) and a rocket (SpaceX). Two are test
photos of `paintings`, the pipeline's data (The Metropolitan Museum of Art, Open Access, CC0). Families that follow
hints are shown with points of the true colours too, and those that follow a reference with another of these photos.
"""

import io
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

MODELS, PAGE = Path("reports/families/models"), Path("docs/families.jpg")
RAW, PREPARED = Path("data/raw"), Path("data/prepared")
SIDE = 320  # pixels, of the longer side
REFERENCES = {
    "astronaut": "young lady",
    "cat": "coffee",
    "coffee": "cat",
    "rocket": "card players",
    "young lady": "astronaut",
    "card players": "coffee",
}


def main() -> None:
    """Colour each photo with every family, and draw one sheet."""
    photos = {name: shrink(photo) for name, photo in read().items()}
    columns, colours = ["grey"], {name: [GreyPhoto.of_rgb(photo).levels_HW] for name, photo in photos.items()}
    for folder in sorted(path for path in MODELS.iterdir() if path.is_dir()):
        for heading, pictures in colour(Colorizer.load(folder), folder.name, photos).items():
            columns.append(heading)
            for name, picture in pictures.items():
                colours[name].append(picture)
    rows = [("", [Strip(name, [*pictures, photos[name]])]) for name, pictures in colours.items()]
    png = PAGE.with_suffix(".png")
    draw_sheet(png, rows, [*columns, "truth"], cell=1.1)
    with Image.open(png) as sheet:
        jpeg = io.BytesIO()
        sheet.convert("RGB").save(jpeg, "JPEG", quality=85, optimize=True)
    png.unlink()
    atomic.write_bytes(PAGE, jpeg.getvalue())


def colour(
    colorizer: Colorizer, name: str, photos: dict[str, NDArray[np.uint8]]
) -> dict[str, dict[str, NDArray[np.uint8]]]:
    """The pictures of a family by photo, under one heading for each kind of help that it takes."""
    originals = {key: Original(key, key, "", rgb, GreyPhoto.of_rgb(rgb)) for key, rgb in photos.items()}
    pictures = {name: {key: colorizer.predict(photo.grey).rgb for key, photo in originals.items()}}
    if colorizer.abilities.hints:
        pictures[f"{name},\nwith hints"] = {
            key: colorizer.predict(photo.grey, hints=draw_hints(START, photo)).rgb for key, photo in originals.items()
        }
    if colorizer.abilities.exemplar:
        pictures[f"{name},\na reference"] = {
            key: colorizer.predict(photo.grey, like=Exemplar(photos[REFERENCES[key]])).rgb
            for key, photo in originals.items()
        }
    return pictures


def read() -> dict[str, NDArray[np.uint8]]:
    """The photos in colour, by name."""
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


def shrink(rgb_HW3: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A small copy."""
    image = Image.fromarray(rgb_HW3)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return np.asarray(image)


if __name__ == "__main__":
    main()
