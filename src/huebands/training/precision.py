"""In which precision a run computes its convolutions: chosen once, at its start, and kept to its end."""

import dataclasses
import platform
from typing import Literal, get_args

import torch

from huebands.training.distributed import World
from huebands.training.params import TrainParams

Precision = Literal["float32", "bfloat16"]


def choose_precision(params: TrainParams, world: World) -> TrainParams:
    """Replace the precision "auto": by bfloat16 where the devices of all processes compute in it, else by float32."""
    if params.precision != "auto":
        return params
    imitation = torch.tensor(float(not computes_in_bfloat16(world.device)), device=world.device)
    return dataclasses.replace(params, precision="float32" if world.maximum(imitation).item() else "bfloat16")


def possible_precisions(params: TrainParams) -> list[TrainParams]:
    """All parameters that `choose_precision` can give."""
    if params.precision != "auto":
        return [params]
    return [dataclasses.replace(params, precision=precision) for precision in get_args(Precision)]


def precision_of(params: TrainParams) -> Precision:
    """The precision that `choose_precision` gave.

    Raises:
        ValueError: when the choice is still open.
    """
    if params.precision == "auto":
        raise ValueError("train.precision (='auto') is not yet chosen; call choose_precision first")
    return params.precision


def computes_in_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there; other devices imitate it, several times slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available() or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    # oneDNN also says yes where AVX-512 lacks bfloat16, and imitates it there.
    return platform.machine() not in ("x86_64", "AMD64") or torch.cpu._is_avx512_bf16_supported()


def warning_of(precision: Precision, device: torch.device) -> str | None:
    """Say what speaks against a run in this precision on this device; None where nothing does."""
    if precision == "float32" or computes_in_bfloat16(device):
        return None
    return (
        f"the run computes in bfloat16, which the {device.type} only imitates, slowly; a run that starts anew here with"
        " train.precision=auto computes in float32, and gives somewhat other weights"
    )
