"""Parameters of the promotion: the section `promote` of params.yaml."""

from dataclasses import dataclass

from huebands.models.parameters import check


@dataclass(frozen=True, kw_only=True)
class PromoteParams:
    """The promotion of a registered version to champion."""

    automatic: bool = False  # the stage register promotes too; else `huebands promote` does, when it is asked to
    suite_photos: int = 64  # at most, of the fixed suite that belongs to the registered model
    max_seconds: float = 5.0  # that the colours of a photo of the suite may take, as measured where it is judged
    max_megabytes: float = 64.0  # that a package may have

    def __post_init__(self) -> None:
        check(self.suite_photos >= 8, "suite_photos", self.suite_photos, "be at least 8")
        for name in ("max_seconds", "max_megabytes"):
            check(getattr(self, name) > 0, name, getattr(self, name), "be positive")
