"""dvc.yaml: a stage depends on the code that decides its output, and on no other."""

import ast
from pathlib import Path
from typing import Any

import pytest
import yaml

from composition import CONF, composed

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PIPELINE = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES = PIPELINE["stages"]
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))

# What decides no output of any stage: DVC compares the parameters themselves; the others log runs, note where a model
# comes from, and choose a package for those who name none.
DECIDES_NOTHING = ("__init__", "models/parameters", "package/lineage", "package/choose", "registry/")
SCHEMA = "/params.py"  # each room's, and that of all
# What networks and objectives are made of is shared: every family depends on all of it.
SHARED = ("src/huebands/models/parts/", "src/huebands/models/encoders/")
# The registry imports what the parameters name; objectives matter to those who learn or describe them.
NETWORK, OBJECTIVE = "models/networks/${model.network.name}.py", "models/objectives/${model.objective.name}.py"
CHOSEN = {stage: (NETWORK, OBJECTIVE) if stage in ("train", "register") else (NETWORK,) for stage in STAGES}
FAMILIES = [None, *sorted(path.stem for path in (CONF / "model").glob("*.yaml"))]


def resolve(text: str, params: Any) -> str:
    """Put parameters in place of ${...}, as DVC does."""
    while "${" in text:
        key = text.split("${")[1].split("}")[0]
        value = params
        for name in key.split("."):
            value = value[name]
        text = text.replace(f"${{{key}}}", str(value))
    return text


def imports(file: Path) -> set[Path]:
    """The project's files that a file imports, wherever in it; imports for types alone are left out."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    candidates = (SOURCE / Path(*name.split(".")) for name in names if name.split(".")[0] == "huebands")
    files = {
        path.with_suffix(".py") if path.with_suffix(".py").is_file() else path / "__init__.py" for path in candidates
    }
    return {path for path in files if path.is_file()}


def documents(file: Path) -> set[Path]:
    """The templates and styles that lie beside a file under its name."""
    return {path for path in file.parent.glob(f"{file.stem}.*") if path.suffix in (".j2", ".css", ".js")}


def deciding(stage: str, params: Any) -> set[str]:
    """The files that a stage's script imports, directly or through others, and that decide its output."""
    files, waiting = set[str](), {f"src/huebands/stages/{stage.replace('-', '_')}.py"}
    while waiting:
        name = waiting.pop()
        excluded = name.endswith(SCHEMA) or name.startswith(tuple(f"src/huebands/{part}" for part in DECIDES_NOTHING))
        if name in files or excluded:
            continue
        files.add(name)
        if not name.endswith(".py"):
            continue
        waiting |= {str(path.relative_to(ROOT)) for path in documents(ROOT / name)}
        waiting |= {str(path.relative_to(ROOT)) for path in imports(ROOT / name)}
        if name.endswith("models/registry.py"):
            waiting |= {f"src/huebands/{resolve(chosen, params)}" for chosen in CHOSEN[stage]}
    return {name for name in files if not name.endswith("__init__.py")}


def listed(stage: str, params: Any) -> set[str]:
    """The source files that a stage depends on, by name or by folder."""
    code = [resolve(dependency, params) for dependency in STAGES[stage]["deps"] if dependency.startswith("src/")]
    for dependency in code:
        assert (ROOT / dependency).exists(), dependency
    files = [[ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*.py") for name in code]
    names = {str(file.relative_to(ROOT)) for group in files for file in group}
    return {name for name in names if not name.endswith("__init__.py")}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("stage", sorted(STAGES))
def test_a_stage_depends_on_what_decides_its_output_and_on_nothing_else(stage: str, family: str | None) -> None:
    params = PARAMS if family is None else composed(f"model={family}")
    needed, named = deciding(stage, params), listed(stage, params)
    assert not needed - named, "missing in dvc.yaml"
    assert not {name for name in named - needed if not name.startswith(SHARED)}, "listed, and decides nothing"


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_another_schema_of_parameters_runs_no_stage(stage: str) -> None:
    assert not {name for name in listed(stage, PARAMS) if name.endswith(SCHEMA)}


def test_a_new_family_changes_no_stage_of_the_default_model() -> None:
    for stage in STAGES:
        families = {name for name in listed(stage, PARAMS) if "/networks/" in name or "/objectives/" in name}
        assert families <= {f"src/huebands/{resolve(chosen, PARAMS)}" for chosen in CHOSEN[stage]}


def test_plots_show_what_every_family_has() -> None:
    every = {"generator", "generator_gradient", "clipped", "train", "val", "coverage"}
    for plot in PIPELINE["plots"]:
        for settings in plot.values() if isinstance(plot, dict) else ():
            for columns in settings["y"].values():
                for column in [columns] if isinstance(columns, str) else columns:
                    assert column in every or column.startswith("val_"), column
