"""The size of the largest photo that is read."""

import os

VARIABLE = "HUEBANDS_MAX_MEGAPIXELS"
_DEFAULT = 50.0  # megapixels


class PixelLimitError(ValueError):
    """A limit of size is no number of megapixels; the message names it and its value."""


def pixel_limit(megapixels: float | str | None = None) -> int:
    """The most pixels that a photo may have.

    Args:
        megapixels: the limit; None: that of the environment's variable `VARIABLE`, else 50.

    Raises:
        PixelLimitError: when it is no positive number.
    """
    name = "max-megapixels" if megapixels is not None else VARIABLE
    value = megapixels if megapixels is not None else os.environ.get(VARIABLE) or _DEFAULT
    try:
        pixels = round(float(value) * 1e6)
    except (ValueError, OverflowError):
        pixels = 0
    if pixels < 1:
        raise PixelLimitError(f"{name} (={value!r}) must be a positive number of megapixels")
    return pixels


def refusal(width: int, height: int, limit: int) -> str:
    """Why a photo of that size is refused, and the remedy."""
    return (
        f"has {width} x {height} pixels, {width * height / 1e6:,.1f} megapixels, and the limit is {limit / 1e6:,.10g};"
        f" raise it by --max-megapixels of the command, or by {VARIABLE}"
    )
