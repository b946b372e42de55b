"""The PatchGAN discriminator of pix2pix (Isola et al., 2017, https://arxiv.org/abs/1611.07004)."""

from torch import Tensor, nn

from huebands.models.parts.initialisation import initialise
from huebands.models.parts.normalisation import Norm, normalisation


class PatchGAN(nn.Sequential):
    """Judge each patch of a coloured photo: real or made up.

    With 3 layers a patch is 70x70 pixels, and 256x256 pixels give 30x30 logits.

    Args:
        filters: channels of the first block; doubled with each further one, up to 8 times that.
        layers: strided blocks.
        norm: "batch" or "instance".
    """

    def __init__(self, filters: int, layers: int, norm: Norm = "batch") -> None:
        widths = [filters * min(2**level, 8) for level in range(layers + 1)]
        modules: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for level in range(1, layers + 1):
            stride = 2 if level < layers else 1
            modules += [
                nn.Conv2d(widths[level - 1], widths[level], 4, stride=stride, padding=1, bias=False),
                normalisation(norm, widths[level]),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*modules, nn.Conv2d(widths[-1], 1, 4, stride=1, padding=1))
        initialise(self)

    def forward(self, lab_unit_B3HW: Tensor) -> Tensor:
        """Map L_unit and ab_unit (B, 3, H, W) to one logit a patch (B, 1, h, w)."""
        logits: Tensor = super().forward(lab_unit_B3HW)
        return logits
