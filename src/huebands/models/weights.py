"""Files of weights in the safetensors format (https://github.com/huggingface/safetensors)."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from huebands.files import atomic

_TYPES = (torch.float64, torch.float32, torch.float16, torch.int64)


class WeightsError(ValueError):
    """A file does not hold weights."""


def write_weights(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write named tensors; raises like `encode_weights`."""
    atomic.write_bytes(path, encode_weights(path, state))


def encode_weights(path: Path, state: Mapping[str, Tensor]) -> bytes:
    """Make a file's content of named tensors; the same tensors give the same bytes.

    Args:
        path: of the file, for the error.
        state: tensors by name.

    Raises:
        WeightsError: when a tensor has a type that packages do not use.
    """
    for name, tensor in state.items():
        if tensor.dtype not in _TYPES:
            raise WeightsError(f"{path}: {name} is of type {tensor.dtype}; known are {', '.join(map(str, _TYPES))}")
    # Copies, because the library takes neither tensors that share memory nor other layouts.
    copies = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }
    content: bytes = save(copies)
    return content


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read named tensors; raises like `parse_weights`."""
    return parse_weights(path, path.read_bytes())


def parse_weights(path: Path, content: bytes) -> dict[str, Tensor]:
    """Take named tensors from a file's content.

    Args:
        path: of the file, for the error.
        content: all of it.

    Raises:
        WeightsError: when the content is not sound.
    """
    try:
        state: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path}: {error}") from error
    return state
