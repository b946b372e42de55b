"""What 8-bit grey takes from a photo before the network sees it.

    python studies/grey_depth.py [--report reports/results]

The lightness of a colour photo is computed in two ways: exactly, and from the 8-bit grey level of equal lightness, as
the package does. The generator colours both. Printed are the differences of lightness at the photo's own size, and of
the colours at the network's size, for the four photos of docs/unseen.py, which no model has seen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from skimage import data

from huebands import color
from huebands.colorize.colorizer import Colorizer
from huebands.models.interface import Condition
from huebands.photos.resize import resize

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
import measurement

MODEL = "models/release/photos"
PHOTOS = {"astronaut": data.astronaut, "cat": data.chelsea, "coffee": data.coffee, "rocket": data.rocket}


def main() -> None:
    """Print a line for each photo, and write them where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--report", type=Path, help="folder that grey_depth.json and .csv are written to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    colorizer = Colorizer.load(MODEL)
    size = colorizer.package.config["preprocessing"]["image_size"]

    @torch.inference_mode()
    def colours(L_HW: torch.Tensor) -> torch.Tensor:
        L_11SS = resize(L_HW[None, None], (size, size))
        condition = Condition(L_unit_B1SS=L_11SS / 50 - 1)
        ab_unit_12SS = colorizer.colours.compiled.colours(condition, torch.Generator().manual_seed(0))
        result: torch.Tensor = ab_unit_12SS[0] * color.AB_SCALE
        return result

    rows = []
    for name, load in PHOTOS.items():
        rgb_3HW = torch.from_numpy(np.ascontiguousarray(load().transpose(2, 0, 1)))
        exact_HW = color.srgb_to_lab(color.from_bytes(rgb_3HW))[0].clamp(0, 100)
        grey_HW = color.lightness_of_grey(color.grey_levels(rgb_3HW))
        difference_HW = (exact_HW - grey_HW).abs()
        apart_SS = torch.linalg.vector_norm(colours(exact_HW) - colours(grey_HW), dim=0)
        rows.append(
            {
                "photo": name,
                "lightness_mean": f"{difference_HW.mean():.3f}",
                "lightness_max": f"{difference_HW.max():.2f}",
                "ab_mean": f"{apart_SS.mean():.3f}",
                "ab_max": f"{apart_SS.max():.2f}",
                "chroma_mean": f"{torch.linalg.vector_norm(colours(grey_HW), dim=0).mean():.1f}",
            }
        )
        print(rows[-1])
    if options.report:
        note = "CIELAB units. The difference of colours is the distance of (a, b) at the network's size."
        command = "python studies/grey_depth.py --report reports/results"
        measurement.write(options.report / "grey_depth", command, {"network_side": size}, rows, note, model=MODEL)


if __name__ == "__main__":
    main()
