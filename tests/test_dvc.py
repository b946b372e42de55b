"""dvc.yaml: a stage runs again when code that it runs has changed."""

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
# DVC compares the parameters themselves.
NO_DEPENDENCY = {"src/huebands/params.py"}


def imported_files(module: Path) -> set[str]:
    """Name the files of this project that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huebands"):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = f"src/{name.replace('.', '/')}.py"
                found |= {file} if (ROOT / file).is_file() else set()
    return found


# Training anew takes half an hour: `train` lists only what decides the weights.
@pytest.mark.parametrize("stage", sorted(set(STAGES) - {"train"}))
def test_a_stage_depends_on_the_modules_that_it_imports(stage: str) -> None:
    dependencies = STAGES[stage]["deps"]
    script = f"src/huebands/stages/{stage}.py"
    assert script in dependencies
    missing = {
        file
        for file in imported_files(ROOT / script) - NO_DEPENDENCY
        if not any(file == dependency or file.startswith(f"{dependency}/") for dependency in dependencies)
    }
    assert not missing
