"""docs/add-a-family.md: what it tells a reader to write is a family that keeps the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/add-a-family.md"


def test_the_family_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    code = dict(re.findall(r"^## \d\. [^\n]*`([^`\n]+)`\n.*?^```(?:python|yaml)\n(.*?)^```", text, re.M | re.S))
    assert sorted(code) == [
        "conf/model/local.yaml",
        "src/huebands/models/networks/local.py",
        "src/huebands/models/objectives/absolute.py",
    ]
    for folder in ("src", "conf", "tests"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for name, content in code.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/models/test_families.py"]
    variables = {**os.environ, "PYTHONPATH": str(tmp_path / "src")}
    done = subprocess.run(
        [*command, "-k", "local or file"], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^9 passed", done.stdout, re.M), done.stdout
