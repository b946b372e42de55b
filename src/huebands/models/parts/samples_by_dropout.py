"""Networks that draw colourings by their dropout, the noise z of pix2pix (Isola et al., 2017, section 3.2)."""

import torch
from torch import Tensor

from huebands.models.interface import Condition, Network
from huebands.models.parts.dropout import Dropout, drawing


class SamplesByDropout(Network):
    """A network whose `forward` maps L_unit to colours, and which draws others by dropping in evaluation."""

    @property
    def gives_samples(self) -> bool:
        """Where a layer drops values."""
        return any(isinstance(layer, Dropout) and layer.p > 0 for layer in self.modules())

    def samples(self, condition: Condition, count: int, random: torch.Generator) -> Tensor:
        """Drop in evaluation, for each sample anew; see `Network.samples`."""
        if not self.gives_samples:
            return super().samples(condition, count, random)
        with drawing(random):
            samples: Tensor = self(condition.L_unit_B1SS.repeat(count, 1, 1, 1)).unflatten(0, (count, -1))
        return samples
