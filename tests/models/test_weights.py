"""Weights on disk: the library reads what is written here, and what cannot be kept is named."""

import json
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from huebands.models.weights import WeightsError, read_weights, write_weights
from huebands.package.generator import write_generator
from tiny_package import tiny_config, write_trained


def mixed_state() -> dict[str, Tensor]:
    """Every type that packages use, and the shapes and layouts that are easy to get wrong."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=random)

    return {
        "kernel": draw(3, 2, 4, 4).half(),
        "channels_last": draw(3, 2, 4, 4).to(memory_format=torch.channels_last),
        "transposed": draw(3, 5).T,
        "every_second": draw(7)[::2],
        "odd": draw(3).half(),  # 6 bytes: what follows would not lie at a multiple of 4
        "double": draw(3).double(),
        "scalar": draw(),
        "counter": torch.tensor(2**40 + 1),
        "counters": torch.tensor([-(2**63), 2**63 - 1]),
        "empty": torch.empty(0, 3),
        "learned": draw(4).requires_grad_(),
    }


def header_of(path: Path) -> dict[str, dict]:
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header: dict[str, dict] = json.loads(content[8 : 8 + length])
    return header


def test_the_library_reads_what_was_written(tmp_path: Path) -> None:
    state = mixed_state()
    write_weights(tmp_path / "w.safetensors", state)
    read = load_file(tmp_path / "w.safetensors")
    assert set(read) == set(state)
    for name, tensor in state.items():
        assert read[name].dtype == tensor.dtype and read[name].shape == tensor.shape, name
        assert torch.equal(read[name], tensor), name


def test_what_is_not_a_number_is_kept_bit_for_bit(tmp_path: Path) -> None:
    odd = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0, 1e-45])
    write_weights(tmp_path / "w.safetensors", {"odd": odd})
    assert torch.equal(read_weights(tmp_path / "w.safetensors")["odd"].view(torch.int32), odd.view(torch.int32))


def test_the_same_tensors_give_the_same_bytes_in_any_order_and_layout(tmp_path: Path) -> None:
    state = mixed_state()
    write_weights(tmp_path / "first", state)
    write_weights(tmp_path / "second", {name: state[name].contiguous() for name in reversed(state)})
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_every_tensor_lies_aligned(tmp_path: Path) -> None:
    sizes = {"F64": 8, "I64": 8, "F32": 4, "F16": 2}
    for extra in range(8):  # the header gets every length
        write_weights(tmp_path / "w.safetensors", mixed_state() | {"x" * extra: torch.zeros(1)})
        (length,) = struct.unpack("<Q", (tmp_path / "w.safetensors").read_bytes()[:8])
        assert length % 8 == 0
        for name, entry in header_of(tmp_path / "w.safetensors").items():
            assert entry["data_offsets"][0] % sizes[entry["dtype"]] == 0, name


def test_a_state_without_tensors_is_a_file_without_tensors(tmp_path: Path) -> None:
    write_weights(tmp_path / "w.safetensors", {})
    assert load_file(tmp_path / "w.safetensors") == {}


def test_a_generator_comes_back_with_its_kernels_in_half_precision(tmp_path: Path) -> None:
    generator = write_trained(tmp_path / "first").generator
    write_generator(tmp_path / "second", generator.to(memory_format=torch.channels_last).state_dict(), tiny_config())
    read = load_file(tmp_path / "second/generator.safetensors")
    assert {tensor.dtype for tensor in read.values()} == {torch.float16, torch.float32, torch.int64}
    for name, tensor in generator.state_dict().items():
        assert torch.equal(read[name], tensor.half() if tensor.ndim > 1 else tensor), name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.int32, torch.bool, torch.complex64])
def test_a_type_that_packages_do_not_use_is_refused_by_name(tmp_path: Path, dtype: torch.dtype) -> None:
    state = {"good": torch.zeros(2), "inner.bad": torch.zeros(2, dtype=dtype)}
    with pytest.raises(WeightsError, match=rf"w\.safetensors: inner\.bad is of type {dtype}; known are torch\.float64"):
        write_weights(tmp_path / "w.safetensors", state)
    assert not (tmp_path / "w.safetensors").exists()


GARBAGE = {
    "empty": lambda sound: b"",
    "of another format": lambda sound: b"PK\x03\x04 a zip archive",
    "cut off": lambda sound: sound[:-1],
    "without its first byte": lambda sound: sound[1:],
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_a_file_that_is_not_sound_is_refused_by_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "w.safetensors"
    write_weights(path, {"weight": torch.zeros(4)})
    path.write_bytes(GARBAGE[kind](path.read_bytes()))
    with pytest.raises(WeightsError, match=r"w\.safetensors: "):
        read_weights(path)
