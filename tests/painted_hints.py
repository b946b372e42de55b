"""A colorizer that takes hints: the variational method, which has no weights; and its calibration under hints."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from huebands.colorize.calibration import calibrate, laws, measure_all
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.params import CalibrateParams
from huebands.conformal.calibration import Calibration
from huebands.data.originals import Original
from huebands.photos.grey import GreyPhoto
from tiny_package import network_of

SETTINGS = CalibrateParams(
    adaptivity=0.25, alphas=(0.3,), report_alpha=0.3, unlike_p_value=0.05, heatmaps=1, hints=False, seed=0
)  # fmt: skip
COUNTS = {"val": 8, "calibration": 40, "test": 40}


def with_hints(source: Colorizer | Path) -> Colorizer:
    """A copy of a colorizer, or of that of a package, with such a generator."""
    colorizer = source if isinstance(source, Colorizer) else Colorizer.load(source)
    size = colorizer.package.config["preprocessing"]["image_size"]
    network = network_of({"name": "variational", "variance_share": 0.6, "least_deviation": 0.02}, size)
    return Colorizer(replace(colorizer.package, generator=network.eval()), colorizer.source)


def without_calibration(source: Path) -> Colorizer:
    """`with_hints`, to be calibrated."""
    painted = with_hints(source)
    return Colorizer(replace(painted.package, calibration=None), painted.source)


def draw_photo(number: int, split: str) -> Original:
    """Two flat surfaces of random colours with a little noise: a hint on one tells nearly all of it."""
    random = np.random.default_rng([number, *split.encode()])
    rgb_HW3 = np.empty((32, 32, 3))
    for part in (np.s_[:16], np.s_[16:]):
        rgb_HW3[part] = random.integers(20, 236, 3)
    rgb_HW3 += random.normal(0, 3, rgb_HW3.shape)
    rgb = rgb_HW3.clip(0, 255).round().astype(np.uint8)
    return Original(f"{split}{number}", "", "noise", rgb, GreyPhoto.of_rgb(rgb))


class Drawn:
    """Stands for `Originals`, with photos that are drawn."""

    def count(self, split: str) -> int:
        return COUNTS[split]

    def read(self, split: str, part: int = 0, parts: int = 1) -> Iterator[Original]:
        return (draw_photo(number, split) for number in range(part, COUNTS[split], parts))


def calibrate_with_hints(colorizer: Colorizer) -> list[Calibration]:
    """The calibration without hints, and that with them, each with its certificate."""
    photos = Drawn()
    both = [calibrate(colorizer, photos, SETTINGS, "1" * 64, 5.0, law=law) for law in laws(colorizer, photos, SETTINGS)]
    return [calibration for calibration, _ in measure_all(colorizer, photos, both, SETTINGS)]


def with_calibrations(colorizer: Colorizer, calibrations: Sequence[Calibration]) -> Colorizer:
    """A copy of a colorizer that is calibrated without hints and with them."""
    usual, hinted = calibrations
    return Colorizer(replace(colorizer.package, calibration=usual, hints_calibration=hinted), "hinted")
