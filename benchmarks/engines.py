"""The networks of the served model run by several engines, and a plain U-Net beside them: ratios in one run.

ONNX Runtime is compared where it is installed (`pip install onnxruntime onnx onnxscript`). Each engine's error is the
greatest difference of an output from eager float32's. Engines take turns, so that a noisy machine treats all alike.
"""

import argparse
import copy
import statistics
import time
import warnings
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from huebands.colorize.colorizer import Colorizer
from huebands.density.model import DensityWithFeatures
from huebands.models.compiled import CompiledNetwork
from huebands.models.networks import unet

Engine = Callable[[Tensor], Sequence[Tensor]]
BATCHES = (1, 4)


def outputs(answer: Tensor | Sequence[Tensor]) -> list[Tensor]:
    """A network's outputs as a list."""
    return [answer] if isinstance(answer, Tensor) else list(answer)


def eager(network: nn.Module, size: int) -> Engine:
    """Eager torch in float32."""
    return lambda x: outputs(network(x))


def channels_last(network: nn.Module, size: int) -> Engine:
    """Torch in channels-last memory format."""
    converted = copy.deepcopy(network)
    converted.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return lambda x: outputs(converted(x.to(memory_format=torch.channels_last)))


def bfloat16(network: nn.Module, size: int) -> Engine:
    """Torch in bfloat16, channels last."""
    run = channels_last(network, size)

    def answer(x: Tensor) -> Sequence[Tensor]:
        with torch.autocast("cpu", torch.bfloat16):
            return [output.float() for output in run(x)]

    return answer


def compiled(network: nn.Module, size: int) -> Engine:
    """torch.compile, which needs a C++ compiler where it runs."""
    run = torch.compile(network, dynamic=False)
    return lambda x: outputs(run(x))


def onnx_runtime(network: nn.Module, size: int) -> Engine:
    """ONNX Runtime on torch's export."""
    import onnxruntime

    pair = torch.zeros(2, 1, size, size)  # with a batch of one, torch would export the batch size as a constant
    program = torch.onnx.export(network, (pair,), dynamo=True, dynamic_shapes=({0: torch.export.Dim("batch")},))
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: [torch.from_numpy(output) for output in session.run(None, {name: x.numpy()})]


def openvino_float32(network: nn.Module, size: int) -> Engine:
    """OpenVINO in float32, which `huebands` uses."""
    return CompiledNetwork(network, [(1, size, size)])


def openvino_bfloat16(network: nn.Module, size: int) -> Engine:
    """OpenVINO in bfloat16."""
    return CompiledNetwork(network, [(1, size, size)], precision="bf16")


ENGINES: Mapping[str, Callable[[nn.Module, int], Engine]] = {
    "torch, eager float32": eager,
    "torch, channels last": channels_last,
    "torch, bfloat16": bfloat16,
    "torch.compile": compiled,
    "ONNX Runtime": onnx_runtime,
    "OpenVINO, float32 (huebands)": openvino_float32,
    "OpenVINO, bfloat16": openvino_bfloat16,
}


def measure(engines: Mapping[str, Engine], x: Tensor, rounds: int) -> dict[str, float]:
    """Median seconds of each engine; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 2):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine(x)
            if turn >= 2:  # the first ones warm up
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def build(network: nn.Module, size: int) -> dict[str, Engine]:
    """All engines that are installed, each run once."""
    engines = {}
    for name, build_engine in ENGINES.items():
        try:
            engine = build_engine(network, size)
            engine(torch.zeros(1, 1, size, size))
        except ImportError as error:
            print(f"  {name}: not compared, {error}")
            continue
        engines[name] = engine
    return engines


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", help="package; the default one when left out")
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    colorizer = Colorizer.load(arguments.model)
    size = colorizer.package.config["preprocessing"]["image_size"]
    density = colorizer.density
    pix2pix = unet.Params(name="unet", filters=64, depth=8, dropout=0.5, norm="batch")
    plain_unet = unet.Network(pix2pix, 256).eval().requires_grad_(False)
    networks: dict[str, tuple[nn.Module, int]] = {
        f"generator of {colorizer.source}, {size} x {size}": (colorizer.package.generator.core(), size),
        f"its colour distribution, {density.image_size} x {density.image_size}": (
            DensityWithFeatures(density.network),
            density.image_size,
        ),
        "pix2pix's plain U-Net, 256 x 256": (plain_unet, 256),
    }
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {arguments.rounds}")
    generator = torch.Generator().manual_seed(0)
    for title, (network, side) in networks.items():
        print(title)
        with torch.inference_mode():
            engines = build(network, side)
            for batch in BATCHES:
                x = torch.rand(batch, 1, side, side, generator=generator) * 2 - 1
                expected = eager(network, side)(x)
                seconds = measure(engines, x, arguments.rounds)
                reference = seconds["torch, eager float32"]
                for name, engine_seconds in seconds.items():
                    error = max(float(np.abs(a - b).max()) for a, b in zip(engines[name](x), expected, strict=True))
                    print(
                        f"  {batch} photo{'s' if batch > 1 else ''}, {name}: {engine_seconds / batch * 1e3:.1f} ms a"
                        f" photo, {reference / engine_seconds:.2f} times as fast; off by {error:.1e}"
                    )


if __name__ == "__main__":
    main()
