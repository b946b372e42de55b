"""Renders Jinja2 templates: a name without a value is an error, and HTML templates escape every value."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(room: str, template: str, /, **values: Any) -> str:
    """Render a template; equal values give equal text.

    Args:
        room: the Python package that the template lies in, such as "huebands.comparison".
        template: its file. The values in `*.html.j2` are escaped, in every other template they stand as they are.
        values: values of the names in the template.

    Raises:
        jinja2.UndefinedError: when the template uses a name that has no value.
    """
    return _environment(room).get_template(template).render(values)


@cache
def _environment(room: str) -> Environment:
    environment = Environment(
        loader=PackageLoader(room, ""),
        undefined=StrictUndefined,
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {"percent": percent, "interval": interval, "levels": levels, "markdown_row": markdown_row}
    return environment


def percent(share: float) -> str:
    """Write a share, such as "91.5%"."""
    return f"{share:.1%}"


def interval(ends: tuple[float, float]) -> str:
    """Write an interval of shares, such as "87.1% to 95.6%"."""
    low, high = ends
    return f"{percent(low)} to {percent(high)}"


def levels(width: float) -> str:
    """Write the width of a band in 8-bit levels, such as "61.3"."""
    return f"{width:.1f}"


def markdown_row(cells: Iterable[object]) -> str:
    """Write a row of a Markdown table, such as "| a | b |"."""
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"
