"""A hook of MkDocs: brings files from outside docs/ into the site, and turns links to them into links within it.

In the repository the pages link to `../reports/...png`, `../CHANGELOG.md` and so on, which works where Markdown is read
as files. In the site those files lie beside the pages.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = ("CHANGELOG.md", "CONTRIBUTING.md")
PICTURES = ("reports/evaluate/sheet.png", "reports/calibrate/coverage.png", "reports/calibrate/heatmaps.png")
CARDS = "models/release/*/MODEL_CARD.md"
LINK = re.compile(r"(\]\()([^)\s#]+)")


def outside_files() -> list[str]:
    """The files from outside docs/ that the site shows, as paths in the repository."""
    cards = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(CARDS))
    return [*PAGES, *PICTURES, *cards]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the files to the site, under the paths that they have in the repository."""
    for path in outside_files():
        file = File.generated(config, path, abs_src_path=str(ROOT / path))
        if path not in PAGES and path.endswith(".md"):
            file.inclusion = file.inclusion.NOT_IN_NAV
        files.append(file)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links between docs/ and the files from outside into links within the site."""
    outside = page.file.src_uri in outside_files()
    folder = posixpath.dirname(page.file.src_uri if outside else f"docs/{page.file.src_uri}")

    def within_site(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[2]))
        if "://" in match[2] or not (target in outside_files() or target.startswith("docs/")):
            return match[0]
        here = posixpath.dirname(page.file.src_uri)
        return match[1] + posixpath.relpath(target.removeprefix("docs/"), here or ".")

    return LINK.sub(within_site, markdown)
