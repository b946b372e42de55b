"""A pytest plugin with the browser for the tests of the page."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRING = ("CI", "HUEBANDS_REQUIRE_BROWSER")  # either environment variable, when it is not empty
MISSING = f"no browser: none of {', '.join(NAMES)} is installed"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """A headless browser; when none is installed, the test is skipped, and in CI it fails."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        if any(map(os.environ.get, REQUIRING)):
            pytest.fail(MISSING, pytrace=False)
        pytest.skip(MISSING)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        result = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield result
        result.close()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that lacked a browser."""
    reports = terminalreporter.stats.get("skipped", [])
    skipped = [report.nodeid for report in reports if MISSING in str(report.longrepr)]
    if skipped:
        terminalreporter.section("skipped for lack of a browser")
        terminalreporter.write_line("\n".join(skipped))
