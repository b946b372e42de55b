"""A hook of MkDocs: brings files from outside docs/ into the site, and turns links to them into links within it.

In the repository the pages link to `../reports/...png`, `../CHANGELOG.md` and so on, which works where Markdown is read
as files. In the site those files lie beside the pages.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
# Path in the repository, and in the site. MkDocs would take a README.md for the index of its folder.
OUTSIDE = {
    "README.md": "start.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "LICENSE": "LICENSE",
    "data/README.md": "data/terms.md",
    "reports/MODEL_CARD.md": "reports/MODEL_CARD.md",
    "reports/evaluate/sheet.png": "reports/evaluate/sheet.png",
    "reports/calibrate/coverage.png": "reports/calibrate/coverage.png",
    "reports/calibrate/heatmaps.png": "reports/calibrate/heatmaps.png",
}
CARDS = "models/release/*/MODEL_CARD.md"
IN_NAVIGATION = ("start.md", "CHANGELOG.md", "CONTRIBUTING.md")
LINK = re.compile(r"(\]\()([^)\s#]+)")


def outside_files() -> dict[str, str]:
    """The files from outside docs/ that the site shows: paths in the repository, and in the site."""
    cards = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(CARDS))
    return OUTSIDE | {card: card for card in cards}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files to the site."""
    for source, target in outside_files().items():
        file = File.generated(config, target, abs_src_path=str(ROOT / source))
        if target.endswith(".md") and target not in IN_NAVIGATION:
            file.inclusion = InclusionLevel.NOT_IN_NAV
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between docs/ and the files from outside into links within the site."""
    outside = outside_files()
    sources = {target: source for source, target in outside.items()}
    page_path = page.file.src_uri
    folder = posixpath.dirname(sources.get(page_path, f"docs/{page_path}"))

    def within_site(match: re.Match[str]) -> str:
        linked = posixpath.normpath(posixpath.join(folder, match[2]))
        if "://" in match[2] or not (linked in outside or linked.startswith("docs/")):
            return match[0]
        target = outside.get(linked, linked.removeprefix("docs/"))
        return match[1] + posixpath.relpath(target, posixpath.dirname(page_path) or ".")

    return LINK.sub(within_site, markdown)
