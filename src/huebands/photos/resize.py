"""The one way to bring an image to another size, in training and inference alike."""

import torch.nn.functional as F
from torch import Tensor

_MOST = 50_000_000  # values of the intermediate image


def resize(image_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly, with antialiasing when shrinking, to (height, width).

    Torch resizes the width first. Where that makes a large intermediate image, the height is resized first.
    """
    if image_BCHW.shape[2] * size[1] > _MOST:
        return _interpolate(image_BCHW.mT, (size[1], size[0])).mT
    return _interpolate(image_BCHW, size)


def _interpolate(image_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(image_BCHW, size, mode="bilinear", align_corners=False, antialias=True)
