"""The one way to bring an image to another size, in training and inference alike."""

from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor

Filter = Literal["bilinear", "bicubic"]
_MOST = 50_000_000  # values of the intermediate image


class Size(NamedTuple):
    """What an image is resized to, and how; see `resize`."""

    height: int
    width: int
    kernel: Filter = "bilinear"


def resize(image_BCHW: Tensor, size: tuple[int, int], kernel: Filter = "bilinear") -> Tensor:
    """Resize to (height, width), with antialiasing when shrinking.

    Torch resizes the width first. Where that makes a large intermediate image, the height is resized first. The bicubic
    filter keeps what it shrinks sharper, and its values may go beyond those of the image.
    """
    if image_BCHW.shape[2] * size[1] > _MOST:
        return _interpolate(image_BCHW.mT, (size[1], size[0]), kernel).mT
    return _interpolate(image_BCHW, size, kernel)


def _interpolate(image_BCHW: Tensor, size: tuple[int, int], kernel: Filter) -> Tensor:
    return F.interpolate(image_BCHW, size, mode=kernel, align_corners=False, antialias=True)
