"""Parameters of a family of colorizers: the section `model` of params.yaml."""

from dataclasses import dataclass
from typing import Literal

from huebands.models.parameters import check
from huebands.models.registry import ChosenNetwork, ChosenObjective
from huebands.models.views import check_views

Resize = Literal["bilinear-antialias", "bicubic-then-bilinear-antialias"]


@dataclass(frozen=True, kw_only=True)
class UpsamplingParams:
    """How the network's colours come to a photo's size; the training itself does not use it."""

    name: Literal["bilinear", "guided"]  # guided: along the edges of lightness
    radius: int  # of the windows in which colour is fitted to lightness, `stride` pixels each
    epsilon: float  # variance of L below which a surface counts as flat, CIELAB units squared
    stride: int = 1  # pixels of the network's square, averaged before the fit: the stride of the network's own colours

    def __post_init__(self) -> None:
        check(self.stride >= 1, "stride", self.stride, "be at least 1")
        check(self.radius >= 1, "radius", self.radius, "be at least 1")
        check(self.epsilon > 0, "epsilon", self.epsilon, "be positive")


@dataclass(frozen=True, kw_only=True)
class ModelParams:
    """A family of colorizers: a network, what it learns, and how a photo goes in and colours come out."""

    image_size: int  # side of the network's square, pixels
    # How a photo is brought to that size; in two steps, the first of which leaves twice as much, another size of the
    # photo changes its colours less. The training does not use it.
    resize: Resize = "bilinear-antialias"
    views: int = 1  # shifted and mirrored ones, whose colours are averaged; the training does not use it
    upsampling: UpsamplingParams
    network: ChosenNetwork
    objective: ChosenObjective

    def __post_init__(self) -> None:
        multiple = self.network.multiple
        fits = self.image_size > 0 and self.image_size % multiple == 0
        check(fits, "image_size", self.image_size, f"be a multiple of {multiple}, by which the network shrinks it")
        smallest = max(self.network.smallest, self.objective.smallest)
        must = (
            f"be at least {smallest}, which network (={self.network.name}) and objective (={self.objective.name}) need"
        )
        check(self.image_size >= smallest, "image_size", self.image_size, must)
        check_views("views", self.views, self.image_size)
        check_upsampling(self.upsampling, self.image_size)


def check_upsampling(upsampling: UpsamplingParams, image_size: int) -> None:
    """Check that windows fit into a network's square.

    Raises:
        ParamsError: names the parameter, its value and what is allowed.
    """
    stride, largest = upsampling.stride, image_size // upsampling.stride // 2
    check(image_size % stride == 0, "upsampling.stride", stride, f"divide image_size (={image_size})")
    check(upsampling.radius <= largest, "upsampling.radius", upsampling.radius, f"be an integer in [1, {largest}]")
