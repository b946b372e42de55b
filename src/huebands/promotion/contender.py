"""A version of the registered model that is judged: loaded, verified, with what it has learned from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from huebands.colorize.colorizer import Colorizer
from huebands.package.schema import PackageError
from huebands.promotion.suite import SeenPhoto, Suite
from huebands.registry.connection import NoAnswerError, TrackingError
from huebands.registry.models import RegisteredPackage
from huebands.registry.training_photos import read_photos


@dataclass(frozen=True)
class SeenPhotos:
    """The photos that a version has learned from, or was chosen or calibrated on.

    Attributes:
        photos: those that are known.
        unknown: why they are not known, in words; "" where they are.
    """

    photos: Sequence[SeenPhoto] = ()
    unknown: str = ""


@dataclass(frozen=True)
class Contender:
    """A version, challenger or champion.

    Attributes:
        version: version in the registry.
        colorizer: its model; None where it cannot be judged.
        problem: why not.
    """

    version: RegisteredPackage
    colorizer: Colorizer | None
    problem: str = ""

    @classmethod
    def load(cls, version: RegisteredPackage, alpha: float) -> Self:
        """Copy a version from the registry, check its bytes, and load it; what fails is its problem.

        Raises:
            NoAnswerError: when the registry does not answer, which is no problem of the version.
        """
        try:
            colorizer = Colorizer.load(version.uri)
            supported, _ = colorizer.calibration.supports(alpha), colorizer.density
        except PackageError as error:
            if isinstance(error.__cause__, NoAnswerError):
                raise error.__cause__ from None
            return cls(version, None, str(error))
        if not supported:
            return cls(version, None, f"its calibration supports no alpha of {alpha:g}")
        return cls(version, colorizer)

    @property
    def data(self) -> str:
        """Name of the dataset that it has learned from; "" where that is not known."""
        return "" if self.colorizer is None else str(self.colorizer.package.config["lineage"].get("data", ""))

    @property
    def megabytes(self) -> float:
        """Size of its package."""
        if self.colorizer is None:
            return 0.0
        return sum(path.stat().st_size for path in self.colorizer.package.folder.iterdir()) / 1e6

    def seen(self, suite: Suite) -> SeenPhotos:
        """The photos of other datasets that it has seen: of its own, the suite is in the test split.

        Raises:
            NoAnswerError: when the registry does not answer.
        """
        if self.colorizer is None or self.colorizer.package.config["lineage"]["data_sha256"] == suite.data_sha256:
            return SeenPhotos()
        try:
            photos = read_photos(self.version)
        except NoAnswerError:
            raise
        except TrackingError as error:
            return SeenPhotos(unknown=str(error))
        if photos is None:
            return SeenPhotos(unknown="it keeps no list of its photos")
        rows = photos[photos["split"] != "test"]
        return SeenPhotos([SeenPhoto(*values) for values in zip(rows["sha256"], rows["phash"], strict=True)])
