"""Compiled networks: what they answer, in batches and from many threads, and that no telemetry is sent."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from huebands.colorize.colorizer import Colorizer
from huebands.density.model import DensityWithFeatures
from huebands.models.compiled import CompiledNetwork
from tiny_package import network_of

UNET = {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.5, "norm": "batch"}
INSTANCE = {**UNET, "norm": "instance"}
ENCODER = {"name": "encoder_unet", "encoder": "efficientnet-lite0", "filters": 2, "dropout": 0.5, "norm": "batch"}
INCEPTION = {**ENCODER, "encoder": "inception-v3"}


def squares(count, side):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(params=[UNET, INSTANCE, ENCODER, INCEPTION], ids=["unet", "instance", "encoder", "inception"])
def network(request):
    torch.manual_seed(0)
    return network_of(request.param, 32).eval().requires_grad_(False)


def test_it_answers_as_torch_does_up_to_rounding(network):
    x = squares(3, 32)
    (colours,) = CompiledNetwork(network, [(1, 32, 32)])(x)
    assert colours.dtype == torch.float32 and colours.shape == (3, 2, 32, 32)
    # Rounding in another order: some 1e-6; a level of 255 is 4e-3.
    assert torch.allclose(colours, network(x), rtol=0, atol=2e-5)


def test_all_outputs_come_in_their_order(tiny_package):
    model = Colorizer.load(tiny_package).density
    x = squares(1, model.image_size)
    for output, expected in zip(model.run(x), DensityWithFeatures(model.network)(x), strict=True):
        assert output.shape == expected.shape
        assert torch.allclose(output, expected, rtol=1e-4, atol=1e-4)


def test_an_answer_does_not_depend_on_the_rest_of_the_batch_up_to_rounding(network):
    run, x = CompiledNetwork(network, [(1, 32, 32)]), squares(4, 32)
    (together,) = run(x)
    for index in range(4):
        assert torch.allclose(run(x[index : index + 1])[0][0], together[index], rtol=0, atol=2e-5)


def test_threads_share_it_and_answers_stay_their_own(network):
    run, x = CompiledNetwork(network, [(1, 32, 32)]), squares(8, 32)
    alone = [run(L_unit[None])[0] for L_unit in x]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            together = list(threads.map(lambda L_unit: run(L_unit[None])[0], x))
            assert all(torch.equal(one, two) for one, two in zip(alone, together, strict=True))


def test_nothing_is_sent_when_it_is_imported():
    program = """
import socket, sys
def refuse(*_): raise AssertionError("a connection was asked for")
socket.socket.connect = socket.getaddrinfo = refuse
import huebands.models.compiled
huebands.models.compiled._openvino()
assert 'openvino' in sys.modules
loaded = [name for name, module in sys.modules.items() if name.startswith("openvino_telemetry") and module is not None]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
