"""How following an alias goes: what the registry said last, and the alarm about a refused or a missing version."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from huebands.serving.monitoring.alarm import now

State = Literal["watching", "fetching", "warming up", "draining"]


@dataclass(frozen=True, kw_only=True)
class FollowAlarm:
    """The alias points at a version that is refused, or at none.

    Attributes:
        version: in the registry; None: the registry has none.
        since: when it was refused or missing first, in ISO 8601.
        reason: one line.
        next_try: when a refused version is tried again, in ISO 8601; None where it is missing.
    """

    version: int | None
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
        last_error: when and why the newest look found no version, and whether the registry answered; None: it found
            one.
        refused: alarm about a refused version that the alias points at; None: it points at the one in use.
        missing: alarm about an alias that the registry does not have; None: it has it.
        replacements: versions that were put in use.
        refusals: tries that ended with a refusal.
    """

    address: str
    every_seconds: float
    state: State = "watching"
    last_checked: str | None = None
    checks_answered: int = 0
    checks_failed: int = 0
    last_error: dict[str, Any] | None = None
    refused: FollowAlarm | None = None
    missing: FollowAlarm | None = None
    replacements: int = 0
    refusals: int = 0

    @property
    def alarm(self) -> FollowAlarm | None:
        """The alarm; None: there is none."""
        return self.missing or self.refused

    def record_answer(self) -> None:
        """Count a look that found a version."""
        self.last_checked, self.last_error, self.missing = now(), None, None
        self.checks_answered += 1

    def record_failure(self, reason: str, answered: bool) -> None:
        """Count a look that found no version; where the registry did answer, raise the alarm."""
        at = now()
        self.last_error = {"at": at, "reason": reason, "answered": answered}
        if not answered:
            self.checks_failed += 1
            return
        since = at if self.missing is None else self.missing.since
        self.missing = FollowAlarm(version=None, since=since, reason=reason, next_try=None)
        self.last_checked = at
        self.checks_answered += 1

    def record_refusal(self, version: int, reason: str, next_try: str) -> None:
        """Raise the alarm about a version; it keeps its time while the same version is refused again."""
        since = self.refused.since if self.refused is not None and self.refused.version == version else now()
        self.refused = FollowAlarm(version=version, since=since, reason=reason, next_try=next_try)
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
            "alarm": None if self.alarm is None else asdict(self.alarm),
        }
