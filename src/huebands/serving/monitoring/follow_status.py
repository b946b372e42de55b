"""How following an alias goes: what the registry said last, and the alarm about a version that was refused."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from huebands.serving.monitoring.alarm import now

State = Literal["watching", "fetching", "warming up", "draining"]


@dataclass(frozen=True, kw_only=True)
class RefusedVersion:
    """A version that the alias points at, and that is not put in use.

    Attributes:
        version: in the registry.
        since: when it was refused first, in ISO 8601.
        reason: one line.
        next_try: when it is tried again, in ISO 8601; None: not before the alias moves.
    """

    version: int
    since: str
    reason: str
    next_try: str | None


@dataclass(kw_only=True)
class FollowStatus:
    """The state of the follower, for GET /model and the metrics.

    Attributes:
        address: address of the alias, "models:/NAME@ALIAS".
        every_seconds: seconds between two looks at it.
        state: what the follower does.
        last_checked: when the registry answered last, in ISO 8601; None: not since the start.
        checks_answered: looks that the registry has answered.
        checks_failed: looks that it has not.
        last_error: why the newest look failed; None: it did not.
        refused: refused version that the alias points at; None: it points at the one in use.
        replacements: versions that were put in use.
        refusals: tries that ended with a refusal.
    """

    address: str
    every_seconds: float
    state: State = "watching"
    last_checked: str | None = None
    checks_answered: int = 0
    checks_failed: int = 0
    last_error: dict[str, str] | None = None
    refused: RefusedVersion | None = None
    replacements: int = 0
    refusals: int = 0

    def record_answer(self) -> None:
        """Count a look that the registry has answered."""
        self.last_checked, self.last_error = now(), None
        self.checks_answered += 1

    def record_failure(self, reason: str) -> None:
        """Count a look that failed."""
        self.last_error = {"at": now(), "reason": reason}
        self.checks_failed += 1

    def record_refusal(self, version: int, reason: str, next_try: str | None) -> None:
        """Raise the alarm about a version; it keeps its time while the same version is refused again."""
        since = self.refused.since if self.refused is not None and self.refused.version == version else now()
        self.refused = RefusedVersion(version=version, since=since, reason=reason, next_try=next_try)
        self.refusals += 1

    def record_replacement(self) -> None:
        """Count a version that was put in use; there is no alarm any more."""
        self.refused = None
        self.replacements += 1

    def describe(self) -> dict[str, Any]:
        """The state and the alarm, for GET /model."""
        return {
            "address": self.address,
            "every_seconds": self.every_seconds,
            "state": self.state,
            "last_checked": self.last_checked,
            "last_error": self.last_error,
            "alarm": None if self.refused is None else asdict(self.refused),
        }
