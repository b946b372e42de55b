"""The one way to bring an image to another size, in training and inference alike."""

import torch.nn.functional as F
from torch import Tensor


def resize(image_BCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly, with antialiasing when shrinking, to (height, width)."""
    return F.interpolate(image_BCHW, size, mode="bilinear", align_corners=False, antialias=True)
