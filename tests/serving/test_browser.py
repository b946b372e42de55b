"""Without a browser the tests of the page are skipped and named; in CI they fail."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import browser

TESTS = """
def test_of_the_page(browser): pass
def test_without_browser(): pass
"""


def run_without_browser(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS)
    inherited = {name: value for name, value in os.environ.items() if name not in ("PATH", *browser.REQUIRING)}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "browser", "-p", "no:cacheprovider", "test_it.py"],
        cwd=folder,
        env=inherited | {"PATH": "", "PYTHONPATH": str(Path(browser.__file__).parent)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_missing_browser_is_reported_with_the_tests_that_lacked_it(tmp_path: Path) -> None:
    completed = run_without_browser(tmp_path)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    assert "1 passed, 1 skipped" in completed.stdout
    _, section = completed.stdout.split("= skipped for lack of a browser =")
    assert "\ntest_it.py::test_of_the_page\n" in section and "test_without_browser" not in section


@pytest.mark.parametrize("variable", browser.REQUIRING)
def test_where_a_browser_is_required_its_lack_is_an_error(variable: str, tmp_path: Path) -> None:
    completed = run_without_browser(tmp_path, **{variable: "1"})
    assert completed.returncode == 1, completed.stdout + completed.stderr
    assert "1 passed, 1 error" in completed.stdout
    assert "no browser: none of chromium, chromium-browser, google-chrome is installed" in completed.stdout


def run_ci(folder: Path, *programs: str) -> subprocess.CompletedProcess[str]:
    """Run .ci/run with these programs installed. Each prints its arguments and whether a browser is required."""
    for program in ("bash", "dirname"):
        (folder / program).symlink_to(str(shutil.which(program)))
    for program in programs:
        (folder / program).write_text(f'#!{folder}/bash\necho {program} "$@" ${{HUEBANDS_REQUIRE_BROWSER-}}\n')
        (folder / program).chmod(0o755)
    command = [str(folder / "bash"), str(Path(__file__).parents[2] / ".ci/run")]
    return subprocess.run(command, env={"PATH": str(folder)}, capture_output=True, text=True, check=False)


def test_ci_asks_for_a_browser(tmp_path: Path) -> None:
    completed = run_ci(tmp_path, "chromium", "make")
    assert (completed.returncode, completed.stdout, completed.stderr) == (0, "make lint 1\nmake test 1\n", "")


@pytest.mark.parametrize("programs", [("make",), ("make", "apt-get")])
def test_ci_ends_where_no_browser_can_be_installed(programs: tuple[str, ...], tmp_path: Path) -> None:
    completed = run_ci(tmp_path, *programs)
    assert (completed.returncode, completed.stdout) == (1, "")
    assert "apt-get" in completed.stderr.splitlines()[0]
    assert completed.stderr.splitlines()[-1].startswith(".ci/run: no browser, and apt-get cannot install chromium")
