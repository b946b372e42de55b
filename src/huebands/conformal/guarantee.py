"""What a user asks the bands to guarantee."""

from dataclasses import dataclass
from typing import Literal

from huebands.statistics.losses import check_probability

Mode = Literal["per_channel", "joint"]
MODES: tuple[Mode, ...] = ("per_channel", "joint")


class AlphaError(ValueError):
    """The calibration photos do not support this alpha; the message names the alphas that they support."""

    def __init__(self, alpha: object, photos: int, noun: str = "calibration photos") -> None:
        # Rounded up, so that the number shown is accepted.
        smallest = -(-1_000_000 // (photos + 1)) / 1_000_000
        super().__init__(
            f"alpha (={alpha!r}) must be in [{smallest:g}, 1): {photos} {noun} support no alpha below 1/{photos + 1}"
        )


class ModeError(ValueError):
    """The mode of a guarantee is not one of `MODES`."""


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """For a new photo exchangeable with the calibration photos, the expected share outside the bands is at most alpha.

    Which alphas are supported depends on the number of calibration photos: `Calibration` checks that.

    Attributes:
        alpha: the largest expected share.
        mode: "per_channel" counts each channel's values; "joint" counts a pixel when any channel leaves its band.
        delta: None when the guarantee is on average over draws of the calibration photos; else the probability with
            which a draw may break it.
        grouped: whether it also holds among the pixels of each group: lightness and chroma, texture, photo.

    Raises:
        ModeError: when the mode is unknown.
        RiskError: when delta is not in (0, 1).
    """

    alpha: float = 0.1
    mode: Mode = "per_channel"
    delta: float | None = None
    grouped: bool = False

    @property
    def unit(self) -> str:
        """What alpha counts."""
        return "channel values" if self.mode == "per_channel" else "pixels"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ModeError(f"mode (={self.mode!r}) must be one of {', '.join(map(repr, MODES))}")
        if self.delta is not None:
            check_probability("delta", self.delta)
