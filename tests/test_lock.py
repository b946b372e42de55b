"""requirements.lock: what it pins can be installed on every Python that pyproject.toml allows."""

import tomllib
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[1]


def test_every_pinned_release_runs_on_the_oldest_python() -> None:
    """Debian 12 has Python 3.11.2, on which a release that needs 3.11.5 cannot be installed."""
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    oldest = allowed.removeprefix(">=") + ".0"
    assert SpecifierSet(allowed).contains(oldest)
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith(("#", "-"))]
    too_new = {
        pin.name: needs
        for pin in pins
        if (needs := distribution(pin.name).metadata.get("Requires-Python"))
        and not SpecifierSet(needs).contains(oldest)
    }
    assert len(pins) > 100 and too_new == {}
