"""The border of a scan: told in words, and left out of the result when that is asked."""

from dataclasses import asdict, dataclass
from typing import Self

from huebands.photos.grey import GreyPhoto


@dataclass(frozen=True, kw_only=True)
class Border:
    """A border around the picture of a photo.

    Attributes:
        top: depth in pixels; so are the others.
        bottom: 0 where that side has none.
        left: likewise.
        right: likewise.
    """

    top: int
    bottom: int
    left: int
    right: int

    @classmethod
    def of(cls, photo: GreyPhoto) -> Self | None:
        """Find the border of a photo; None where it has none."""
        (height, width), (rows, columns) = photo.shape, photo.picture
        border = cls(top=rows.start, bottom=height - rows.stop, left=columns.start, right=width - columns.stop)
        return border if any(asdict(border).values()) else None

    @property
    def in_words(self) -> str:
        """Such as "a border of 12 pixels at the top, 20 at the left"."""
        sides = [(side, depth) for side, depth in asdict(self).items() if depth]
        (first, depth), *others = sides
        unit = "pixel" if depth == 1 else "pixels"
        return ", ".join([f"a border of {depth} {unit} at the {first}", *(f"{n} at the {side}" for side, n in others)])
