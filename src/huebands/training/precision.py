"""In which precision convolutions are computed while a network learns."""

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def dtype_of(precision: Precision, device: torch.device) -> torch.dtype:
    """The type in which a device computes convolutions."""
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def warning_of(precision: Precision, device: torch.device) -> str | None:
    """What to know about this machine before training on it; None when there is nothing."""
    if precision == "float32" or computes_in_bfloat16(device):
        return None
    return (
        f"the {device.type} does not compute in bfloat16 and only imitates it, slowly; train.precision=float32 is"
        " faster here, and gives somewhat other weights"
    )


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
