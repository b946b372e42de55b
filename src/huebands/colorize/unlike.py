"""What a photo may be that is unlike the calibration photos."""

from huebands.colorize.result import Colorization
from huebands.conformal.calibration import Calibration
from huebands.photos.drawn import is_drawn


def looks_drawn(result: Colorization, calibration: Calibration) -> bool:
    """Whether a photo is unlike the calibration photos and may be a page of text or a drawing."""
    return result.likeness <= calibration.unlike_p_value and is_drawn(result.grey)
