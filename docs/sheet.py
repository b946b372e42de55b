"""Draw docs/sheet.jpg: 24 photos that no model has seen, grey, coloured by two releases, and as shot.

    python docs/sheet.py FOLDER

FOLDER has NAME.jpg or NAME.png for each row of docs/sheet.csv, which names author, source and licence of each photo.
All are in the public domain or under CC0.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from huebands.colorize.colorizer import Colorizer
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import read_photo

PAGE, TABLE, RELEASES = Path("docs/sheet.jpg"), Path("docs/sheet.csv"), ("photos", "photos-large")
COLUMNS = ("grey", *RELEASES, "as shot")
CELL, GAP, BLOCKS, HEADING = (210, 140), 4, 2, 20  # pixels; photos are cropped to the cell's shape


def main() -> None:
    """Colour each photo with both models, and draw the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="of the photos")
    folder = parser.parse_args().folder
    models = [Colorizer.load(f"models/release/{name}").colours for name in RELEASES]
    with TABLE.open(encoding="utf-8", newline="") as file:
        names = [row["name"] for row in csv.DictReader(file)]
    paths = {path.stem: path for path in folder.glob("*.*")}
    if missing := [name for name in names if name not in paths]:
        parser.error(f"{folder}: lacks {', '.join(missing)}; {TABLE} says where they come from")
    rows = -(-len(names) // BLOCKS)
    width, height = ((cell + GAP) for cell in CELL)
    block = len(COLUMNS) * width + 4 * GAP
    page = Image.new("RGB", (BLOCKS * block - 5 * GAP, HEADING + rows * height), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(13)
    for index, name in enumerate(names):
        left, top = index // rows * block, HEADING + index % rows * height
        truth = read_photo(paths[name].read_bytes(), paths[name].name)
        photo = GreyPhoto.of_rgb(truth)
        pictures = [photo.rgb, *(model.predict(photo) for model in models), truth]
        for column, (heading, picture) in enumerate(zip(COLUMNS, pictures, strict=True)):
            page.paste(_crop(picture), (left + column * width, top))
            if index % rows == 0:
                draw.text((left + column * width, 2), heading, "black", font)
    page.save(PAGE, quality=85, optimize=True)


def _crop(picture: np.ndarray) -> Image.Image:
    """The middle of a picture in the shape of a cell, at its size."""
    height, width = picture.shape[:2]
    scale = min(width / CELL[0], height / CELL[1])
    across, down = round(CELL[0] * scale), round(CELL[1] * scale)
    left, top = (width - across) // 2, (height - down) // 3  # faces are above the middle
    box = (left, top, left + across, top + down)
    return Image.fromarray(picture).resize(CELL, Image.Resampling.LANCZOS, box)


if __name__ == "__main__":
    main()
