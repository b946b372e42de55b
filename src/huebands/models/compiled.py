"""Runs a trained network fast: compiled by OpenVINO for the processor at hand, in float32.

`benchmarks/engines.py` compares it with plain torch, torch.compile, ONNX Runtime and bfloat16. Answers differ from
torch's by float32's rounding.
"""

import queue
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class CompiledNetwork:
    """A network compiled for inputs of fixed shapes, in batches of any size; threads may share it.

    Args:
        network: in eval mode; what it returns is a tensor or several.
        shapes: of its inputs, float32, without the batch.
        precision: "f32"; "bf16" serves the comparison.
    """

    def __init__(self, network: nn.Module, shapes: Sequence[tuple[int, ...]], precision: str = "f32") -> None:
        openvino = _openvino()
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "ENABLE_CPU_PINNING": False,  # processes side by side would all take the first core
        }
        self._compiled = openvino.Core().compile_model(_convert(network, shapes), "CPU", settings)
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        """Give the network's outputs for its inputs, each (B, ...), in their order."""
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self._compiled.create_infer_request()
        outputs = request.infer([np.ascontiguousarray(x.numpy()) for x in inputs])
        answer = [torch.from_numpy(np.array(outputs[port])) for port in self._compiled.outputs]
        self._idle.put(request)
        return answer


def _convert(network: nn.Module, shapes: Sequence[tuple[int, ...]]) -> Any:
    """Read a network into OpenVINO, for batches of any size."""
    openvino = _openvino()
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")  # shapes become constants, as they should; scripting is deprecated
        examples = tuple(torch.zeros(1, *shape) for shape in shapes)
        traced = torch.jit.trace(network, examples, check_trace=False)
        decoder = TorchScriptPythonDecoder(torch.jit.freeze(traced.eval()))  # the reader does not keep it alive
        reader = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
        model = reader.load(decoder)
    for place, shape in zip(model.get_inputs()[-len(shapes) :], shapes, strict=True):
        model.set_element_type(place, openvino.Type.f32)
        model.set_partial_shape(place, openvino.PartialShape([-1, *shape]))
    return reader.convert(model)


def _openvino() -> Any:
    """Import OpenVINO without its telemetry package, which would send Google an event."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
