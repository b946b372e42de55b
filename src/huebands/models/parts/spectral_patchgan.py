"""A PatchGAN for colours at a low resolution, held steady by spectral normalisation (Miyato et al., 2018).

Source: https://arxiv.org/abs/1802.05957; the hinge loss is that of Lim & Ye, 2017, https://arxiv.org/abs/1705.02894.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class SpectralPatchGAN(nn.Sequential):
    """Judge each patch of a photo's colours, given its lightness: real or made up.

    With 2 layers a patch is 34 x 34 places, and 32 x 32 places give 6 x 6 logits.

    Args:
        filters: channels of the first block; doubled with each further one, up to 8 times that.
        layers: strided blocks.
    """

    def __init__(self, filters: int, layers: int) -> None:
        widths = [3, *(filters * min(2**level, 8) for level in range(layers + 1))]
        modules: list[nn.Module] = []
        for level, (inputs, outputs) in enumerate(pairwise(widths)):
            stride = 2 if level < layers else 1
            modules += [spectral_norm(nn.Conv2d(inputs, outputs, 4, stride, padding=1)), nn.LeakyReLU(0.2)]
        super().__init__(*modules, spectral_norm(nn.Conv2d(widths[-1], 1, 4, padding=1)))

    def forward(self, lab_unit_B3HW: Tensor) -> Tensor:
        """Map L_unit and ab_unit (B, 3, H, W) to one logit a patch (B, 1, h, w)."""
        logits: Tensor = super().forward(lab_unit_B3HW)
        return logits

    def judge(self, lab_unit_B3HW: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Give the logits, and the maps of all inner layers that they were computed from, finest first."""
        x, features = lab_unit_B3HW, list[Tensor]()
        for module in self:
            x = module(x)
            if isinstance(module, nn.LeakyReLU):
                features.append(x)
        return x, features


def hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's loss: logits of the real above 1, of the made-up below -1."""
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def gradient_penalty(discriminator: nn.Module, lab_unit_B3HW: Tensor) -> Tensor:
    """R1 (Mescheder et al., 2018, https://arxiv.org/abs/1801.04406), a mean over photos.

    The squared gradient of a real photo's mean logit, summed over its values: with the mean of its patches, not their
    sum, the weight is that of a discriminator with one logit.
    """
    real = lab_unit_B3HW.detach().requires_grad_(True)
    logit_B = discriminator(real).flatten(1).mean(dim=1)
    (gradient,) = torch.autograd.grad(logit_B.sum(), real, create_graph=True)
    return gradient.square().flatten(1).sum(dim=1).mean()
