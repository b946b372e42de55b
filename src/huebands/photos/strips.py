"""The rows of a photo, a few at a time: so memory does not grow with copies of it in other types."""

from collections.abc import Iterator

_PIXELS = 1 << 18  # of a strip, whose temporaries stay in the processor's cache


def strips(height: int, width: int, pixels: int | None = None) -> Iterator[slice]:
    """Cut a photo into strips of whole rows, from the top.

    Args:
        height: of the photo.
        width: likewise.
        pixels: of a strip, at least a row; None: as many as fit the processor's cache.
    """
    step = max((pixels or _PIXELS) // width, 1)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))
