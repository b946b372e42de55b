"""Where a measurement was taken, and its file below reports/."""

import csv
import datetime
import json
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huebands.package.lineage import git_commit


def machine() -> str:
    """The processor, its vector instructions and how many cores this process may use."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    fields = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = fields.get("flags", "").split()
    vectors = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    name = " ".join(fields.get("model name", platform.processor()).split())
    return f"{name} with {vectors}, {len(os.sched_getaffinity(0))} shared cores"


def write(
    path: Path,
    command: str,
    figures: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]] = (),
    note: str = "",
    **further_fields: Any,
) -> None:
    """Write PATH.json, and PATH.csv where there are rows; docs/results.py reads both."""
    content = {
        "command": command,
        "machine": machine(),
        "date": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}",
        "commit": git_commit(),
        **further_fields,
        "note": note,
        "figures": figures,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".json").write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if rows:
        with path.with_suffix(".csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    print(f"-> {path.with_suffix('.json')}")
