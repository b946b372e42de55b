"""A colorizer that knows several colourings of a photo: a small classifier of colours with random weights."""

from dataclasses import replace
from pathlib import Path

import torch

from huebands.colorize.colorizer import Colorizer
from tiny_package import network_of


def with_samples(source: Colorizer | Path) -> Colorizer:
    """A copy of a colorizer, or of that of a package, with such a generator."""
    colorizer = source if isinstance(source, Colorizer) else Colorizer.load(source)
    torch.manual_seed(0)
    size = colorizer.package.config["preprocessing"]["image_size"]
    network = network_of({"name": "classifier", "filters": 2, "temperature": 0.2}, size)
    return Colorizer(replace(colorizer.package, generator=network.eval().requires_grad_(False)), colorizer.source)
