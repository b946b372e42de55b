"""Imports in the serving room run downwards: from the service to the log, without a cycle."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import huebands

SOURCE = Path(huebands.__file__).parent
# From top to bottom; a room imports those below it.
ROOMS = ["service", "following", "app", "openapi", "live_model", "served_model", "pages", "answers", "forms"]
ROOMS += ["monitoring", "admission", "workers", "json_log", "refusals", "page_headers"]


def serving_imports(path: Path) -> set[str]:
    """The modules below huebands.serving that a file imports."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huebands.serving"):
            own_file = SOURCE.parent.joinpath(*node.module.split(".")).with_suffix(".py")
            modules |= {node.module} if own_file.is_file() else {f"{node.module}.{name.name}" for name in node.names}
    return modules


def graph() -> dict[str, set[str]]:
    """The imports of every module of the serving room."""
    files = {
        f"huebands.{'.'.join(p.relative_to(SOURCE).with_suffix('').parts)}": p for p in SOURCE.glob("serving/**/*.py")
    }
    files = {name: path for name, path in files.items() if path.name != "__init__.py"}
    return {name: serving_imports(path) for name, path in (files | {"huebands.service": SOURCE / "service.py"}).items()}


def room(module: str) -> str:
    return module.removeprefix("huebands.").removeprefix("serving.").split(".")[0]


def test_the_imports_have_no_cycle() -> None:
    order = list(TopologicalSorter(graph()).static_order())  # raises CycleError
    assert "huebands.serving.workers.pool" in order


def test_rooms_import_only_rooms_below_them() -> None:
    upwards = [
        (module, imported)
        for module, modules in graph().items()
        if room(module) != "bento_build"
        for imported in modules
        if room(module) != room(imported) and ROOMS.index(room(module)) > ROOMS.index(room(imported))
    ]
    assert not upwards
