"""Caches compiled networks, so that tests compile equal networks once."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import nn

from huebands.models.compiled import CompiledNetwork


@contextmanager
def compile_each_network_once() -> Iterator[None]:
    """Let networks of equal layers and weights, compiled with equal arguments, share what OpenVINO makes of them.

    It never changes, and threads may share it.
    """
    compiled: dict[tuple[Any, ...], CompiledNetwork] = {}
    compile_anew = CompiledNetwork.__init__

    def initialise(self: CompiledNetwork, network: nn.Module, *arguments: Any, **named: Any) -> None:
        key = (repr(network), _hash_weights(network), repr(arguments), *sorted(named.items()), torch.get_num_threads())
        if key in compiled:
            self.__dict__.update(compiled[key].__dict__)
        else:
            compile_anew(self, network, *arguments, **named)
            compiled[key] = self

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CompiledNetwork, "__init__", initialise)
        yield


def _hash_weights(network: nn.Module) -> str:
    sha256 = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        sha256.update(name.encode())
        sha256.update(tensor.contiguous().numpy())
    return sha256.hexdigest()
