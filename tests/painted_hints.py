"""A colorizer that takes hints: the variational method, which has no weights."""

from dataclasses import replace
from pathlib import Path

from huebands.colorize.colorizer import Colorizer
from tiny_package import network_of


def with_hints(source: Colorizer | Path) -> Colorizer:
    """A copy of a colorizer, or of that of a package, with such a generator."""
    colorizer = source if isinstance(source, Colorizer) else Colorizer.load(source)
    size = colorizer.package.config["preprocessing"]["image_size"]
    network = network_of({"name": "variational", "variance_share": 0.6, "least_deviation": 0.02}, size)
    return Colorizer(replace(colorizer.package, generator=network.eval()), colorizer.source)
