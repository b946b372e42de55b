"""Draw docs/unseen.png: photos that neither model has seen, coloured by the pipeline's model and by photos-large.

The photos are public domain or CC0 and come with scikit-image: an astronaut (NASA), a cat (Stefan van der Walt), a cup
of coffee (Rachel Michetti) and a rocket (SpaceX).
"""

from pathlib import Path

import numpy as np
from skimage import data

from huebands.colorize.colorizer import Colorizer
from huebands.photos.grey import GreyPhoto
from huebands.photos.heatmap import EXPECTED_ERROR, heat_map
from huebands.plots.pictures import Strip, draw_sheet

PHOTOS = {"astronaut": data.astronaut, "cat": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}
COLUMNS = ("grey", "plain U-Net, paintings", "released: photos-large", "truth", "expected error", "width of the bands")


def main() -> None:
    """Colour each photo with both models."""
    default, released = Colorizer.load("models/generator"), Colorizer.load("models/release/photos-large")
    strips = []
    for name, load in PHOTOS.items():
        truth: np.ndarray = load()
        photo = GreyPhoto.of_rgb(truth)
        result = released.colorize(truth, alpha=0.1)
        maps = [heat_map(*result.map(map_name)) for map_name in ("expected-error", "width")]
        strips.append(Strip(name, (photo.levels_HW, default.colours.predict(photo), result.rgb, truth, *maps)))
    label = (
        "width of the bands at alpha = 0.1: 8-bit levels, mean of R, G and B; expected error: the same colours"
        f" from 0 to {EXPECTED_ERROR.top:g} {EXPECTED_ERROR.unit}"
    )
    rows = [("", [strip]) for strip in strips]
    draw_sheet(Path("docs/unseen.png"), rows, COLUMNS, cell=1.8, scale_label=label)


if __name__ == "__main__":
    main()
