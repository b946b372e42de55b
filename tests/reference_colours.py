"""A colorizer that takes a reference photo: by statistics, so that no pretrained weights are needed."""

from dataclasses import replace
from pathlib import Path

import torch

from huebands.colorize.colorizer import Colorizer
from tiny_package import network_of


def with_reference(source: Colorizer | Path) -> Colorizer:
    """A copy of a colorizer, or of that of a package, with such a generator, for squares of 32 pixels."""
    colorizer = source if isinstance(source, Colorizer) else Colorizer.load(source)
    torch.manual_seed(0)
    values = {"name": "exemplar", "encoder": "efficientnet-lite0", "method": "statistics"}
    network = network_of(values | {"temperature": 0.02, "doubted": 0.3}, 32)
    config = {**colorizer.package.config}
    config["preprocessing"] = {**config["preprocessing"], "image_size": 32}
    package = replace(colorizer.package, generator=network.eval(), config=config)
    return Colorizer(package, colorizer.source)
