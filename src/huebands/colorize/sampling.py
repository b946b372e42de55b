"""A request for several colourings of one photo."""

from dataclasses import dataclass
from typing import Self

from huebands.photos.grey import GreyPhoto

MAX_SAMPLES = 8
MAX_PIXELS = 64_000_000  # of all samples of a photo together: they are kept in memory


class SamplesError(ValueError):
    """No samples can be drawn, or not so many."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How many colourings to draw of a photo, and from which seed: equal seeds give equal samples.

    Raises:
        SamplesError: when a value is not allowed, naming it.
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        is_count = isinstance(self.count, int) and not isinstance(self.count, bool) and 1 <= self.count <= MAX_SAMPLES
        if not is_count:
            raise SamplesError(f"samples (={self.count!r}) must be an integer in [1, {MAX_SAMPLES}]")
        is_seed = isinstance(self.seed, int) and not isinstance(self.seed, bool) and 0 <= self.seed < 2**63
        if not is_seed:
            raise SamplesError(f"seed (={self.seed!r}) must be an integer in [0, 2**63)")

    @classmethod
    def asked(cls, count: int, seed: int | None) -> Self | None:
        """What the options of a command ask for: None for 0 samples.

        Raises:
            SamplesError: when a value is not allowed, or the seed is given without samples.
        """
        if count == 0 and seed is not None:
            raise SamplesError(f"--seed (={seed}) is that of the samples: give --samples too, or leave it out")
        return cls(count=count, seed=seed or 0) if count else None

    def check(self, photo: GreyPhoto) -> None:
        """Check that so many samples of a photo can be kept.

        Raises:
            SamplesError: when they have too many pixels, saying how many samples are possible.
        """
        height, width = photo.shape
        if self.count * height * width > MAX_PIXELS:
            possible = MAX_PIXELS // (height * width)
            megapixels = f"{height * width / 1e6:.1f} megapixels"
            raise SamplesError(f"samples (={self.count}) of a photo of {megapixels} must be at most {possible}")
