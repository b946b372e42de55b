"""Checks of probabilities and of losses, and the error that they raise."""

import numpy as np

SLACK = 1e-12  # alpha is a decimal that floating point rounds: 1/(n + 1) itself must be accepted


class RiskError(ValueError):
    """These losses or this probability allow no bound; the message names them."""


def check_probability(name: str, value: object) -> None:
    """Check that a value is a number in (0, 1).

    Raises:
        RiskError: names the value; text is refused too, which forms and command lines may pass on.
    """
    is_number = isinstance(value, float | int | np.floating)
    if not (is_number and 0 < value < 1):  # type: ignore[operator]
        raise RiskError(f"{name} (={value!r}) must be in (0, 1)")


def check_losses(losses: np.ndarray) -> None:
    """Check that there are losses, and that all lie in [0, 1].

    Raises:
        RiskError: names the shape or the value.
    """
    if not losses.size:
        raise RiskError(f"losses of shape {losses.shape} must be of at least one photo")
    for end in (losses.min(), losses.max()):
        if not 0 <= end <= 1:
            raise RiskError(f"losses must be in [0, 1]: there is a {end}")
