"""The documents: their figures come from the reports, their links and paths lead somewhere, and the site builds."""

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs/results.py"
MAX_README = 10_000  # bytes
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
BACKTICKS = re.compile(r"`([^`\n]+)`")
MODULE = re.compile(r"python -m (huebands[\w.]*)|from (huebands[\w.]*) import")
# The resources that a browser loads without a click; links for the reader are not among them.
LOADED = (
    re.compile(r"""<(?:script|img|iframe)[^>]+src="?(?:https?:)?//"""),
    re.compile(r"""<link(?=[^>]+rel="?(?:stylesheet|preconnect))[^>]+href="?(?:https?:)?//"""),
)


def pages() -> list[Path]:
    """Every page of the project."""
    outside = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]
    return [*outside, *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(scope="module")
def results() -> Iterator[ModuleType]:
    """The module docs/results.py, which is not part of the package."""
    spec = importlib.util.spec_from_file_location("docs_results", RESULTS)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def anchors(page: Path) -> set[str]:
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", CODE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_path(name: str) -> bool:
    """Whether a name in backticks is a path of the repository; a path with capitals such as NAME.yaml is a pattern."""
    below_the_root = re.fullmatch(r"[\w.\-]+(?:/[\w.\-]*)+", name) and (ROOT / name.split("/")[0]).exists()
    return bool(below_the_root) and not re.search(r"\b(?:NAME|STEM|RUN)\b", name)


def is_ignored(path: str) -> bool:
    """Whether git ignores a path; a command makes it, so it may be missing."""
    # A pattern such as /data/photos/ is for folders alone.
    command = ["git", "check-ignore", path, f"{path}/"]
    return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_the_readme_is_short() -> None:
    size = (ROOT / "README.md").stat().st_size
    assert size <= MAX_README, f"README.md has {size} bytes; move something to docs/"


def test_the_figures_in_the_pages_are_those_of_the_reports(results: ModuleType) -> None:
    made = results.make_pages()
    assert set(made) >= {Path("docs/results.md"), Path("README.md")}
    outdated = [str(path) for path, text in made.items() if (ROOT / path).read_text(encoding="utf-8") != text]
    assert outdated == [], "run `make results`"


def test_a_measurement_without_a_machine_is_refused(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reports/results").mkdir(parents=True)
    (tmp_path / "reports/results/speed.json").write_text('{"command": "x", "date": "y", "figures": {}}')
    monkeypatch.setattr(results, "ROOT", tmp_path)
    with pytest.raises(results.ResultsError, match=r"speed\.json lacks machine"):
        results.read_measurements()


def test_families_are_shown_once_they_are_measured(results: ModuleType) -> None:
    about = {"command": "make families", "machine": "x", "date": "y", "commit": "5b884b6"}
    metrics = ("ciede2000", "colourfulness_error", "lpips", "kid", "bleeding")
    colours = [
        {
            "candidate": name,
            "metric": metric,
            "value": value,
            "low": value - 1,
            "high": value + 1,
            "standard_error": 0.1,
        }
        for name, value in (("grey", 12.5), ("vae", 12.25), ("vae+hints", 8.5))
        for metric in metrics
        if (name, metric) != ("grey", "bleeding")
    ]
    bands = {f"{key}_{mode}": 0.5 for key in ("coverage", "p_value", "width") for mode in ("per_channel", "joint")}
    cost = {"parameters": 12345, "epochs": 15, "seconds": 300.4, "milliseconds": 33.1}
    with_hints = {f"{key}_hints": 0.25 for key in bands}
    rows = [
        {"family": "vae", **bands, **cost, **with_hints},
        {"family": "exemplar", **bands, **cost, **dict.fromkeys(with_hints, "null")},
    ]
    figures = {"photos": 119, "train_photos": 838, "calibration_photos": 163, "hints": 8}
    context = results.make_context()
    measured = {
        "families": results.Measurement("families", about, figures, colours),
        "families_bands": results.Measurement("families_bands", about, figures, rows),
    }
    page = results.make_template().render({**context, "measured": context["measured"] | measured})
    lines = page.split("## Families of colorizers")[1].split("\n## ")[0].splitlines()
    (grey,), (vae, cost_of_vae) = (
        [line for line in lines if line.startswith(f"| `{name}` |")] for name in ("grey", "vae")
    )
    (helped,) = (line for line in lines if line.startswith("| `vae+hints` |"))
    assert grey.endswith("| none |  |") and vae.endswith("| neither |")
    assert helped.endswith("| CIEDE2000, colourfulness |")
    assert cost_of_vae == "| `vae` | 50.0% (0.5) | 0.5 | 50.0% (0.5) | 0.5 | 12,345 | 15 | 300 | 33 |"
    assert lines.count("| with hints | 25.0% (0.25) | 0.3 | 25.0% (0.25) | 0.3 | | | | |") == 1, "exemplar has none"
    assert "![The six photos under exemplar](families/pictures/exemplar.jpg)" in lines


def test_a_family_is_taken_beside_those_that_were_taken_before(
    results: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "ROOT", tmp_path)
    monkeypatch.setattr(results, "print", lambda *words: None, raising=False)
    table = tmp_path / "families.csv"

    def take(**errors: float) -> list[str]:
        figures = [{"candidate": name, "metric": "ciede2000", "value": error} for name, error in errors.items()]
        results.write_csv(Path("families.csv"), figures, keep=True)
        return table.read_text(encoding="utf-8").splitlines()[1:]

    assert take(grey=12.5, vae=12.25) == ["grey,ciede2000,12.5,,,", "vae,ciede2000,12.25,,,"]
    both = ["grey,ciede2000,12.5,,,", "fusion,ciede2000,11.5,,,", "vae,ciede2000,12.25,,,"]
    assert take(grey=12.5, fusion=11.5) == both
    assert take(grey=12.5, vae=12.0) == [*both[:2], "vae,ciede2000,12.0,,,"], "in place of its old figures"
    with pytest.raises(results.ResultsError, match=r"since grey has \['12.5'\], not \['9.0'\]; remove it"):
        take(grey=9.0, vae=8.0)
    assert take(grey=12.5) == [*both[:2], "vae,ciede2000,12.0,,,"]


def test_figures_that_were_copied_by_hand_name_the_commit_that_recorded_them(results: ModuleType) -> None:
    about = {"command": "make soak", "machine": "two cores", "date": "2026-11-25, when it was recorded"}
    copied = results.Measurement("soak", {**about, "recorded_in": "5b884b6"}, {})
    assert "Recorded by hand in `5b884b6`." in copied.source
    assert "by hand" not in results.Measurement("soak", {**about, "commit": "5b884b6"}, {}).source
    with pytest.raises(results.ResultsError, match=r"soak\.json lacks commit, or recorded_in"):
        results.Measurement("soak", about, {})


def test_every_figure_that_was_copied_by_hand_is_called_so(results: ModuleType) -> None:
    page = " ".join((ROOT / "docs/results.md").read_text(encoding="utf-8").split())
    for measurement in results.read_measurements().values():
        listed = f"`{measurement.name}` ({measurement.date})" in page
        assert listed == bool(measurement.recorded_in), measurement.name
        assert not measurement.recorded_in or f"Recorded by hand in `{measurement.recorded_in}`." in page


@pytest.mark.parametrize(
    ("value", "decimals", "unit", "text"),
    [("0.8825", 3, "", "0.883"), (0.01155, 4, "", "0.0116"), (0.915, 1, "%", "91.5%")],
)
def test_halves_are_rounded_away_from_zero(
    results: ModuleType, value: float | str, decimals: int, unit: str, text: str
) -> None:
    assert results.fixed(value, decimals, unit) == text


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        path, _, anchor = link.partition("#")
        if re.match(r"https?://", link):
            continue
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    # The headings name the files that the reader writes.
    written = {path for heading in re.findall(r"^#+ .*$", text, re.MULTILINE) for path in BACKTICKS.findall(heading)}
    named = {name.rstrip("/") for name in BACKTICKS.findall(CODE.sub("", text)) if is_path(name)}
    missing = [path for path in sorted(named - written) if not (ROOT / path).exists() and not is_ignored(path)]
    assert missing == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_runs_or_imports_exists(page: Path) -> None:
    missing = []
    for run, imported in MODULE.findall(page.read_text(encoding="utf-8")):
        path = ROOT / "src" / Path(*(run or imported).split("."))
        if not path.with_suffix(".py").exists() and not (path / "__init__.py").exists():
            missing.append(run or imported)
    assert missing == []


@pytest.mark.parametrize(
    ("page", "folder"),
    [("data/README.md", "conf/data"), ("docs/families/index.md", "conf/model")],
    ids=lambda path: path,
)
def test_a_table_has_a_row_for_every_choice(page: str, folder: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| \[?`([\w-]+)`", text, re.MULTILINE))
    assert {path.stem for path in (ROOT / folder).glob("*.yaml")} <= rows


def test_the_site_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) >= len(pages())
    foreign = [page.name for page in built for loaded in LOADED if loaded.search(page.read_text(encoding="utf-8"))]
    assert foreign == []
