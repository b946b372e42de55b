"""Brings colours of a coarse map to the size of the network's square."""

import torch.nn.functional as F
from torch import Tensor


def enlarge(ab_unit: Tensor, stride: int) -> Tensor:
    """Interpolate bilinearly.

    Args:
        ab_unit: (..., 2, s, s).
        stride: of the map.

    Returns:
        float32 (..., 2, stride s, stride s).
    """
    maps = ab_unit.float().flatten(0, -4)
    enlarged = F.interpolate(maps, scale_factor=float(stride), mode="bilinear", align_corners=False)
    result: Tensor = enlarged.unflatten(0, ab_unit.shape[:-3])
    return result
