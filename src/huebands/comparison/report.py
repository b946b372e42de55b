"""Writes the results of a comparison, without times and without paths of the machine: equal results, equal bytes."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from huebands.colorize.mark import VERSION_KEY
from huebands.colorize.result_files import write_files
from huebands.comparison import page, table
from huebands.comparison.compare import Comparison

METRICS = "metrics.json"  # has the hashes of the others, by which they are known again
WRITERS = {"photos.csv": table.to_csv, "table.md": table.to_markdown, "index.html": page.to_html}
NAMES = (METRICS, *WRITERS)


def write_report(comparison: Comparison, folder: Path, check: Callable[[Path], None] = lambda path: None) -> list[Path]:
    """Write the four files into a folder, made if need be; gives their paths.

    Args:
        comparison: that is told.
        folder: of the files.
        check: see `write_files`.
    """
    files = {name: write(comparison).encode() for name, write in WRITERS.items()}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    # The last one: until then, the earlier files are known by the earlier hashes.
    files[METRICS] = table.to_json(comparison, hashes).encode()
    write_files(folder, files.items(), check)
    return [folder / name for name in NAMES]


def is_report(path: Path) -> bool:
    """Whether a file is of a report as it was written, by the hashes beside it; False where that cannot be read."""
    try:
        metrics = json.loads((path.parent / METRICS).read_bytes())
        is_ours, hashes = isinstance(metrics[VERSION_KEY], str), metrics["files"]
        is_written = path.name == METRICS or hashes[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()
        return is_ours and is_written
    except (OSError, ValueError, TypeError, LookupError):
        return False
