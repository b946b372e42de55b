"""Writes the results of a comparison, without times and without paths of the machine: equal results, equal bytes."""

from pathlib import Path

from huebands.comparison import page, table
from huebands.comparison.compare import Comparison
from huebands.files import atomic

WRITERS = {
    "metrics.json": table.to_json,
    "photos.csv": table.to_csv,
    "table.md": table.to_markdown,
    "index.html": page.to_html,
}


def write_report(comparison: Comparison, folder: Path) -> list[Path]:
    """Write the four files into a folder, made if need be; gives their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, write in WRITERS.items():
        atomic.write_text(folder / name, write(comparison))
        paths.append(folder / name)
    return paths
