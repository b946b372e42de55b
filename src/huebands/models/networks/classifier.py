"""A classifier of colours: for each place of a photo, the probabilities of the bins of the ab plane.

Eight stages of convolutions as in the source: the first three halve the map, the fifth and sixth are dilated, and the
last doubles the map, so that probabilities have a quarter of the photo's size. The width is a parameter: the source has
64 filters.

Source: Zhang, Isola & Efros, 2016, https://arxiv.org/abs/1603.08511.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from huebands.models.interface import Condition, NetworkParams
from huebands.models.interface import Network as BaseNetwork
from huebands.models.parameters import check
from huebands.models.parts.ab_bins import BINS, annealed_mean, draw
from huebands.models.parts.enlarge import enlarge

STRIDE = 4  # of the probabilities
# Of each stage: convolutions, width in filters, stride of the last convolution, dilation.
_STAGES = ((2, 1, 2, 1), (2, 2, 2, 1), (3, 4, 2, 1), (3, 8, 1, 1), (3, 8, 1, 2), (3, 8, 1, 2), (3, 8, 1, 1))


@dataclass(frozen=True, kw_only=True)
class Params(NetworkParams):
    """A classifier of colours."""

    name: Literal["classifier"]
    filters: int  # channels of the first stage; the widest has 8 times as many
    temperature: float  # of the annealed mean that is shown: 1 for the mean colour, near 0 for the likeliest

    def __post_init__(self) -> None:
        check(1 <= self.filters <= 512, "filters", self.filters, "be in [1, 512]")
        check(0 < self.temperature <= 1, "temperature", self.temperature, "be in (0, 1]")

    @property
    def multiple(self) -> int:
        """The stride of the innermost maps."""
        return 8


class Network(BaseNetwork):
    """Map lightness to logits of the bins; a photo gets the annealed mean of their probabilities."""

    params: Params

    def __init__(self, params: Params, image_size: int) -> None:
        super().__init__(params, image_size)
        layers: list[nn.Module] = []
        inputs = 1
        for convolutions, width, stride, dilation in _STAGES:
            for index in range(convolutions):
                last = index == convolutions - 1
                outputs = params.filters * width
                layers += [
                    nn.Conv2d(inputs, outputs, 3, stride if last else 1, padding=dilation, dilation=dilation),
                    nn.ReLU(),
                ]
                inputs = outputs
            layers.append(nn.BatchNorm2d(inputs))
        outputs = 4 * params.filters
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
        for _ in range(2):
            layers += [nn.Conv2d(outputs, outputs, 3, padding=1), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(outputs, BINS, 1))
        for module in self.layers:
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, L_unit_B1SS: Tensor) -> Tensor:
        """Map L_unit (B, 1, S, S) to logits of the bins (B, BINS, S / STRIDE, S / STRIDE)."""
        logits: Tensor = self.layers(L_unit_B1SS)
        return logits

    def colours(self, condition: Condition, random: torch.Generator) -> Tensor:
        """Give the annealed mean, brought to the photo's size bilinearly: ab_unit (B, 2, S, S)."""
        (logits,) = self.run(condition.L_unit_B1SS)
        ab_unit = annealed_mean(logits, self.params.temperature)
        return enlarge(ab_unit, STRIDE)

    @property
    def gives_samples(self) -> bool:
        """It knows the probabilities of the bins."""
        return True

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Draw bins, see `ab_bins.draw`; and `Network.samples`."""
        (logits,) = self.run(condition.L_unit_B1SS)
        return enlarge(draw(logits, count, self.params.temperature, random), STRIDE)

    @classmethod
    def describe(cls, params: Params) -> str:
        """Say what it is, for the model card."""
        return (
            f"A classifier of colours ({params.filters} filters) over {BINS} bins of the ab plane; it shows the"
            f" annealed mean at temperature {params.temperature:g}."
        )
