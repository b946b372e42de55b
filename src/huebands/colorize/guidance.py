"""What someone asks of a photo's colours, beside the photo itself."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from huebands.colorize.exemplar import Exemplar
from huebands.colorize.hints import Hints

if TYPE_CHECKING:  # colours without hints do not depend on the density
    from huebands.colorize.following import Following


@dataclass(frozen=True, kw_only=True, eq=False)
class Guidance:
    """Hints and a reference photo.

    Attributes:
        hints: placed on the photo; None: there are none.
        exemplar: a photo whose colours are wanted; None: there is none.
        following: lets the colours follow the hints where the network does not; None: it does, or there are none.
    """

    hints: Hints | None = None
    exemplar: Exemplar | None = None
    following: "Following | None" = None

    @property
    def caveat(self) -> str | None:
        """What holds in place of a guarantee that is calibrated on photos without guidance; None: it holds."""
        given = [
            *(["hints"] if self.hints is not None else []),
            *(["reference photo"] if self.exemplar is not None else []),
        ]
        if not given:
            return None
        missing = " and no ".join(given)
        return (
            f"The guarantee does not reach this photo: the calibration photos had no {missing}. The bands are those"
            " that it has without, widened where its colours leave them."
        )


UNGUIDED = Guidance()
