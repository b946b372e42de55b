"""Weights in the safetensors format (https://github.com/huggingface/safetensors): a header in JSON, then plain bytes.

Writing takes nothing but torch and numpy, so that a box which only trains can write a package; what is read may come
from anywhere, so the library reads it.
"""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from huebands.files import atomic

_NAMES = {torch.float64: "F64", torch.float32: "F32", torch.float16: "F16", torch.int64: "I64"}
_ALIGNMENT = 8


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
    header: dict[str, object] = {}
    chunks, offset = [], 0
    # Widest type first, as the library does: then every tensor lies aligned.
    for name, tensor in sorted(state.items(), key=lambda item: (-item[1].element_size(), item[0])):
        if tensor.dtype not in _NAMES:
            raise WeightsError(f"{path}: {name} is of type {tensor.dtype}; known are {', '.join(_NAMES.values())}")
        content = np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes()
        chunks.append(content)
        ends = [offset, offset + len(content)]
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": ends}
        offset += len(content)
    described = json.dumps(header, separators=(",", ":")).encode()
    described += b" " * (-len(described) % _ALIGNMENT)
    return b"".join((struct.pack("<Q", len(described)), described, *chunks))


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
    from safetensors import SafetensorError  # a box that only trains has torch and numpy alone
    from safetensors.torch import load

    try:
        state: dict[str, Tensor] = load(content)
    except SafetensorError as error:
        raise WeightsError(f"{path}: {error}") from error
    return state
