"""Which alias is followed, and how often it is looked at: HUEBANDS_MODEL and HUEBANDS_FOLLOW."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

ADDRESS = re.compile(r"models:/[^/@]+@[^/@]+")


class FollowSettingsError(ValueError):
    """HUEBANDS_FOLLOW is no positive number, or HUEBANDS_MODEL names no alias."""


@dataclass(frozen=True, kw_only=True)
class FollowSettings:
    """An alias, and the seconds between two looks at it.

    Attributes:
        address: "models:/NAME@ALIAS".
        every_seconds: positive.
    """

    address: str
    every_seconds: float

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "FollowSettings | None":
        """Read HUEBANDS_FOLLOW (seconds) and HUEBANDS_MODEL; None: no alias is to be followed.

        Raises:
            FollowSettingsError: names the variable, its value and what it must be.
        """
        text = environment.get("HUEBANDS_FOLLOW")
        if not text:
            return None
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not 0 < seconds < math.inf:
            raise FollowSettingsError(
                f"HUEBANDS_FOLLOW (={text!r}) must be a positive number: the seconds between two looks at the registry;"
                " leave it out to keep one version until the next start"
            )
        address = environment.get("HUEBANDS_MODEL") or ""
        if not ADDRESS.fullmatch(address):
            raise FollowSettingsError(
                f"HUEBANDS_MODEL (={address!r}) must be models:/NAME@ALIAS, for HUEBANDS_FOLLOW follows an alias; name"
                " one, or leave HUEBANDS_FOLLOW out"
            )
        return cls(address=address, every_seconds=seconds)
