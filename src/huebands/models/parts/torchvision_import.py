"""Import torchvision beside any torch.

The registry's torchvision is built for CUDA: beside a CPU-only torch its extension cannot be loaded, and importing
it fails because operators that it registers in Python have no schema. Only then are the schemas defined here.
"""

import importlib.util
from functools import cache
from pathlib import Path
from types import ModuleType

import torch

_SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))


@cache
def torchvision() -> ModuleType:
    """Import torchvision; models, transforms and utils work with any torch, compiled operators only with its own.

    Raises:
        ModuleNotFoundError: when torchvision is not installed.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("torchvision is not installed; pip install torchvision")
    extension = next(iter(sorted(Path(spec.origin).parent.glob("_C*.so"))), None)
    if extension is not None and not _loads(extension):
        global _library
        _library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            _library.define(schema)
    return importlib.import_module("torchvision")


# The schemas live as long as this object.
_library: torch.library.Library | None = None


def _loads(extension: Path) -> bool:
    try:
        torch.ops.load_library(str(extension))
    except OSError:
        return False
    return True
