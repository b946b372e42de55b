"""A hook of MkDocs: makes a page of docs/tour.ipynb, with its code, its printed outputs and its pictures."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

TOUR = Path(__file__).with_name("tour.ipynb")
PAGE = "tour.md"
LINK = re.compile(r"(\]\((?:\.\./)*)tour\.ipynb")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page and its pictures to the site."""
    cells = json.loads(TOUR.read_text(encoding="utf-8"))["cells"]
    parts = []
    for cell in cells:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [f"```text\n{text}\n```" for text in _texts(cell)]
        for number, picture in enumerate(_pictures(cell)):
            name = f"tour/{cell['id']}-{number}.jpg"
            files.append(File.generated(config, name, content=picture))
            parts.append(f"![The pictures that this code shows]({name})")
    files.append(File.generated(config, PAGE, content="\n\n".join(parts)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to the notebook into links to the page."""
    return LINK.sub(r"\1" + PAGE, markdown)


def _texts(cell: dict[str, Any]) -> Iterator[str]:
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            yield "".join(output["text"]).rstrip()


def _pictures(cell: dict[str, Any]) -> Iterator[bytes]:
    for output in cell["outputs"]:
        if "image/jpeg" in output.get("data", {}):
            yield base64.b64decode(output["data"]["image/jpeg"])
