"""Parameters of the optimisation: the section `train` of params.yaml."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from huebands.models.parameters import check


@dataclass(frozen=True, kw_only=True)
class TrainParams:
    """The optimisation."""

    epochs: int  # at most, see photos_seen
    photos_seen: int = 0  # the last epoch is the one in which so many photos have been seen; 0: no limit
    batch_size: int
    flip: bool  # mirror half of the training photos
    jitter: float  # random crops from photos whose sides are larger by this share
    border_share: float  # of the photos that get a border of one tone and no colour, as scans have
    lightness_jitter: float  # L / 100 is raised to a power between 1 / (1 + this) and 1 + this
    # Of each photo, drawn once, with a frozen encoder's features on disk; each epoch uses one. 0: drawn in each epoch.
    feature_views: int = 0
    feature_gib: float = 8.0  # of these features, data/cache/features, GiB
    # How often photos are seen. 0: each once an epoch. 1: photos of each source equally often in all. Between: a source
    # of n photos is seen n to the power of 1 - source_balance times as often as a source of one.
    source_balance: float
    learning_rate: float
    warmup_epochs: int  # the learning rate rises linearly to its value
    decay: float  # and falls linearly to 0 over this share of the epochs, at the end
    beta1: float
    weight_decay: float = 0.0  # of the generator: AdamW takes learning_rate times this share off each weight, each step
    gradient_clip: float  # largest norm of a network's gradient; 0: no limit
    ema_decay: float  # of the average of the weights that is evaluated and packaged; 0: the last weights
    # Of the convolutions; the rest is float32. "auto": bfloat16 where the device computes it, float32 elsewhere.
    precision: Literal["auto", "float32", "bfloat16"]
    seed: int
    checkpoint_every: int  # epochs between checkpoints (and MLflow batches)
    picture_every: int  # epochs between sample grids

    def load_size(self, image_size: int) -> int:
        """Side of the photos that crops of `image_size` are taken from, pixels."""
        return round(image_size * (1 + self.jitter))

    def limited(self, photos: int) -> Self:
        """Lower `epochs` to what `photos_seen` allows.

        Args:
            photos: of the training split.

        Raises:
            ParamsError: when so few epochs do not hold `warmup_epochs`.
        """
        if self.photos_seen == 0:
            return self
        return replace(self, epochs=min(self.epochs, -(-self.photos_seen // photos)))

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "checkpoint_every", "picture_every"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "be at least 1")
        warmup = self.warmup_epochs
        check(0 <= warmup <= self.epochs, "warmup_epochs", warmup, f"be in [0, epochs (={self.epochs})]")
        check(0 <= self.seed < 2**63, "seed", self.seed, "be in [0, 2**63)")
        check(0 <= self.jitter < 1, "jitter", self.jitter, "be in [0, 1)")
        for name in ("photos_seen", "feature_views", "feature_gib"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")
        for name in ("lightness_jitter", "weight_decay", "gradient_clip"):
            check(getattr(self, name) >= 0, name, getattr(self, name), "not be negative")
        check(self.learning_rate > 0, "learning_rate", self.learning_rate, "be positive")
        for name in ("decay", "border_share", "source_balance"):
            check(0 <= getattr(self, name) <= 1, name, getattr(self, name), "be in [0, 1]")
        for name in ("beta1", "ema_decay"):
            check(0 <= getattr(self, name) < 1, name, getattr(self, name), "be in [0, 1)")
