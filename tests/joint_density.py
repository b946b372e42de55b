"""A colorizer whose density is one over colours: random, and the same for the same photo."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from huebands.colorize.colorizer import Colorizer
from huebands.conformal.error_map import ErrorCurve
from huebands.density.model import Density, PhotoDensity
from huebands.photos.grey import GreyPhoto

SAMPLES = 6
CURVE = ErrorCurve((0.0, 10.0, 40.0), (1.0, 12.0, 30.0))


@dataclass(frozen=True)
class JointPhotoDensity(PhotoDensity):
    """The density of a photo, with probabilities of twelve colours that are no cells of a histogram."""

    @property
    def size(self) -> tuple[int, int]:
        return SAMPLES, SAMPLES

    def ab(self, levels: tuple[int, ...]) -> Tensor:
        angles = torch.arange(12) * (torch.pi / 6)
        return 40 * torch.stack((angles.cos(), angles.sin()), dim=1).expand(len(levels), -1, -1)


class ToyJointDensity(Density):
    """Adds to another density's estimate random probabilities, of a seed that the photo gives."""

    @torch.inference_mode()
    def estimate(self, photo: GreyPhoto) -> JointPhotoDensity:
        seed = int(photo.levels_HW.sum())
        logits = torch.randn(12, SAMPLES, SAMPLES, generator=torch.Generator().manual_seed(seed))
        return JointPhotoDensity(
            **{**vars(super().estimate(photo)), "probabilities_QSS": torch.softmax(3 * logits, dim=0)}
        )


def with_joint_density(source: Colorizer | Path, curve: ErrorCurve | None = CURVE) -> Colorizer:
    """A copy of a colorizer, or of that of a package, with such a density; its calibration has this curve."""
    colorizer = source if isinstance(source, Colorizer) else Colorizer.load(source)
    old = colorizer.density
    density = ToyJointDensity(old.network, old.reference, old.image_size, old.sha256, old.description)
    package = replace(colorizer.package, density=density)
    if package.calibration is not None:
        package = replace(package, calibration=replace(package.calibration, error_curve=curve))
    return Colorizer(package, colorizer.source)
