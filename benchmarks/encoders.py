"""What an encoder costs: milliseconds a photo in float32 on one thread, and beside EfficientNet-Lite0.

Encoders take turns, so that a noisy machine treats all alike; the figures are medians of the processor's time.
`compiled` is what a served model runs, one photo at a time; `eager` is what computes the maps of a frozen encoder.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from huebands.models.compiled import CompiledNetwork
from huebands.models.encoders.encoder import Encoder, EncoderName
from measurement import machine

Engine = Callable[[Tensor], Sequence[Tensor]]
NAMES: tuple[EncoderName, ...] = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "inception-v3")
SIZES = (128, 160, 299)


def measure(engines: Mapping[EncoderName, Engine], x: Tensor, rounds: int) -> dict[EncoderName, float]:
    """Median milliseconds a photo of each engine; they take turns."""
    seconds: dict[EncoderName, list[float]] = {name: [] for name in engines}
    for turn in range(rounds + 1):
        for name, engine in engines.items():
            start = time.process_time()
            engine(x)
            if turn:  # the first one warms up
                seconds[name].append(time.process_time() - start)
    return {name: statistics.median(times) / len(x) * 1000 for name, times in seconds.items()}


@torch.inference_mode()
def main() -> None:
    """Print a row for each size, engine and encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}, one thread, torch {torch.__version__}, medians of {arguments.rounds}")
    encoders = {name: Encoder(name).eval().requires_grad_(False) for name in NAMES}
    for size in SIZES:
        compiled = {name: CompiledNetwork(encoder, [(1, size, size)]) for name, encoder in encoders.items()}
        engines: list[tuple[str, int, Mapping[EncoderName, Engine]]] = [
            ("eager, batches of 4", 4, encoders),
            ("compiled, one photo", 1, compiled),
        ]
        for title, batch, networks in engines:
            x = torch.rand(batch, 1, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
            milliseconds = measure(networks, x, arguments.rounds)
            for name, value in milliseconds.items():
                ratio = value / milliseconds[NAMES[0]]
                print(f"  {size} x {size}, {title}, {name}: {value:.1f} ms a photo, {ratio:.2f} times Lite0's")


if __name__ == "__main__":
    main()
