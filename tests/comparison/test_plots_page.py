"""The page of the plots opens without a network, and shows every plot of dvc.yaml for each revision."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from huebands.comparison import plots_page
from huebands.comparison.experiments import ExperimentError

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[2]
PLOTS = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
CURVES = [name for plot in PLOTS if isinstance(plot, dict) for name in plot]
# Marks of a plot that can be seen: curves and points; those of legends have another role.
MARKS = """plots => plots.map(plot =>
    [...plot.querySelectorAll(".mark-line.role-mark path, .mark-symbol.role-mark path")]
        .filter(mark => mark.getBBox().width > 0 && mark.getBBox().height > 0).length)"""


def run(folder: Path, *command: str) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def pictures() -> list[str]:
    """The pictures among the plots, those in folders too."""
    paths = [ROOT / plot for plot in PLOTS if isinstance(plot, str)]
    files = [file for path in paths for file in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return [str(file.relative_to(ROOT)) for file in files]


def marks(name: str, revisions: int) -> int:
    """The marks that a plot of dvc.yaml has: its columns, or for a scatter plot the rows of its file."""
    (settings,) = (plot[name] for plot in PLOTS if isinstance(plot, dict) and name in plot)
    ((file, columns),) = settings["y"].items()
    rows = len((ROOT / file).read_text(encoding="utf-8").splitlines()) - 1
    count = rows if settings.get("template") == "scatter" else len([columns] if isinstance(columns, str) else columns)
    return revisions * count


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the project's plots and reports; "other" is a commit whose curves are shorter."""
    folder = tmp_path_factory.mktemp("plots")
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"plots": PLOTS}))
    for name in ("train", "density", "evaluate", "calibrate"):
        shutil.copytree(ROOT / "reports" / name, folder / "reports" / name)
    run(folder, "git", "init", "-q", "-b", "main")
    run(folder, "git", "config", "user.email", "test@example.org")
    run(folder, "git", "config", "user.name", "test")
    run(folder, sys.executable, "-m", "dvc", "init", "-q")
    history = folder / "reports/train/history.csv"
    whole = history.read_text()
    for tag, text in (("other", "".join(whole.splitlines(keepends=True)[:20])), ("whole", whole)):
        history.write_text(text)
        run(folder, "git", "add", ".")
        run(folder, "git", "commit", "-qm", tag)
        run(folder, "git", "tag", tag)
    return folder


@pytest.mark.parametrize("revisions", [(), ("other", "whole")], ids=["tree", "revisions"])
def test_the_page_draws_every_plot_without_a_network(
    repository: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    browser: "Browser",
    revisions: tuple[str, ...],
) -> None:
    monkeypatch.chdir(repository)
    plots_page.write_page(tmp_path / "page", revisions)
    # Moved: nothing in it may depend on where it was made.
    shutil.move(tmp_path / "page", tmp_path / "moved")
    requests, errors = list[str](), list[str]()
    with browser.new_context(offline=True) as context:
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.goto((tmp_path / "moved" / plots_page.PAGE).as_uri(), wait_until="load")
        page.wait_for_function(f"document.querySelectorAll('.vega-embed svg.marks').length == {len(CURVES)}")
        drawn = page.eval_on_selector_all(".vega-embed svg.marks", MARKS)
        widths = page.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)")
        text = page.inner_text("body")
        title = page.title()
    assert errors == []
    outside = [url for url in requests if not url.startswith(((tmp_path / "moved").as_uri(), "data:", "blob:"))]
    assert outside == [], "loaded from elsewhere"
    for name, found in zip(CURVES, drawn, strict=True):
        expected = marks(name, max(1, len(revisions)))
        # DVC draws a curve in several layers: as it is, and smoothed.
        assert found >= expected and found % expected == 0, (name, found, expected)
    assert len(widths) == len(pictures()) * max(1, len(revisions)) and min(widths) > 0
    assert [name for name in pictures() if name not in text] == []
    assert title == f"Plots of {' and '.join(revisions) or 'the working tree'}"
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == [plots_page.PAGE, "static"]


def test_a_curve_of_each_revision_is_drawn(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    plots_page.write_page(tmp_path / "page", ("other", "whole"))
    page = (tmp_path / "page" / plots_page.PAGE).read_text(encoding="utf-8")
    rows = {revision: page.count(f'"rev": "{revision}"') for revision in ("other", "whole")}
    assert 0 < rows["other"] < rows["whole"]


def test_what_cannot_be_shown_leaves_the_page_as_it_was(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / plots_page.PAGE).write_text("old")
    monkeypatch.chdir(repository)
    with pytest.raises(ExperimentError, match=r"dvc plots diff no-such-name .* failed"):
        plots_page.write_page(tmp_path / "page", ("no-such-name", "main"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    with pytest.raises(ExperimentError, match=r"no plot of dvc\.yaml in the working tree; run `dvc repro`"):
        plots_page.write_page(tmp_path / "page")
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(ExperimentError, match="vl-convert-python is missing"):
        plots_page.write_page(tmp_path / "page")
    assert (tmp_path / "page" / plots_page.PAGE).read_text() == "old"
