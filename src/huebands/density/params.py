"""Parameters of the colour density: the section `density` of params.yaml."""

from dataclasses import dataclass
from typing import Any

from huebands.models.encoders.encoder import STRIDES, EncoderName
from huebands.models.parameters import check
from huebands.models.views import check_views


@dataclass(frozen=True, kw_only=True)
class DensityParams:
    """The network whose colour distributions the bands take their shape from, and its fit."""

    encoder: EncoderName
    filters: int  # of the finest decoder block
    dropout: float
    bins: int  # of each side of the joint histogram of R and B
    image_size: int  # side of what the network sees, pixels
    epochs: int
    batch_size: int
    views: int  # of each training photo: 1: whole; 2: also mirrored; more: also crops
    averaged_views: int  # of a new photo, shifted and mirrored: their probabilities are averaged
    feature_gib: float  # of the encoder's features on disk, data/cache/features, GiB
    seed: int

    def __post_init__(self) -> None:
        leasts = {"filters": 1, "bins": 2, "epochs": 1, "batch_size": 1, "views": 1, "feature_gib": 0, "seed": 0}
        for name, least in leasts.items():
            value = getattr(self, name)
            check(value >= least, name, value, f"be at least {least}")
        check(0 <= self.dropout < 1, "dropout", self.dropout, "be in [0, 1)")
        multiple = STRIDES[self.encoder]
        fits = self.image_size > 0 and self.image_size % multiple == 0
        check(fits, "image_size", self.image_size, f"be a positive multiple of {multiple}")
        check_views("averaged_views", self.averaged_views, self.image_size)

    def network(self) -> dict[str, Any]:
        """What `DensityNetwork` takes."""
        return {name: getattr(self, name) for name in ("encoder", "filters", "dropout", "bins")}

    def description(self) -> dict[str, Any]:
        """What distribution.json says, but for the lineage."""
        return {"network": self.network(), "image_size": self.image_size, "averaged_views": self.averaged_views}
