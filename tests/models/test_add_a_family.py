"""docs/add-a-family.md: the family that it describes keeps the contract."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/add-a-family.md"


def written_files() -> dict[str, str]:
    """The files that the page tells a reader to write: content by path."""
    text = PAGE.read_text(encoding="utf-8")
    return dict(re.findall(r"^## \d\. [^\n]*`([^`\n]+)`\n.*?^```(?:python|yaml)\n(.*?)^```", text, re.M | re.S))


def test_the_family_of_the_page_keeps_the_contract(tmp_path: Path) -> None:
    code = written_files()
    assert sorted(code) == [
        "conf/model/local.yaml",
        "conf/train/local.yaml",
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
    assert re.search(r"^12 passed", done.stdout, re.M), done.stdout


def test_a_family_makes_no_other_train_again_and_a_shared_part_makes_all() -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]

    def run_again(path: str) -> list[str]:
        return [name for name, stage in stages.items() if any(Path(path).is_relative_to(dep) for dep in stage["deps"])]

    assert [stage for path in written_files() for stage in run_again(path)] == []
    shared = ["train", "evaluate", "calibrate", "register"]
    assert sorted(run_again("src/huebands/models/parts/new.py")) == sorted(shared)
    assert sorted(run_again("src/huebands/models/encoders/new.py")) == sorted([*shared, "fit-density"])
