"""The rooms (folders) of src/huebands: which room may import which, so that imports run in one direction."""

import ast
from collections import defaultdict
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src/huebands"
TOP = {"__init__.py", "cli.py", "color.py", "params.py", "service.py"}
# In the order of imports: a room may import only rooms above it in this list, and only those that it names.
MAY_IMPORT = {
    "files": "",
    "color": "",
    "loops": "color",
    "statistics": "",
    "photos": "color files loops",
    "fetch": "files",
    "models": "color fetch files",
    "params": "fetch models",
    "data": "color fetch files models params photos",
    "density": "color files models params photos",
    "conformal": "color density files loops models statistics",
    "metrics": "color models photos statistics",
    "package": "color conformal density files metrics models params",
    "registry": "data fetch files models package params photos",
    "plots": "files photos",
    "training": "color data fetch files models package params photos registry",
    "colorize": (
        "color conformal data density files loops metrics models package params photos plots registry statistics"
    ),
    "comparison": "color colorize conformal data fetch files metrics models package photos registry statistics",
    "promotion": (
        "colorize comparison conformal data fetch files metrics package params photos registry statistics training"
    ),
    "serving": "color colorize conformal density fetch files package photos registry statistics",
    "stages": (
        "colorize conformal data density fetch files metrics models package params photos plots promotion registry"
        " training"
    ),
    "cli": "colorize comparison promotion",
    "service": "package photos serving",
}


def room_of(module: str) -> str:
    """The room of huebands.ROOM.FILE; "" for huebands itself, which holds the version.

    The params.py of a room describes a section of params.yaml. It belongs to "params", which joins all sections.
    """
    parts = module.split(".")
    if parts[-1] == "params":
        return "params"
    return parts[1] if len(parts) > 1 else ""


def name_of(file: Path) -> str:
    """The name by which a file is imported."""
    return ".".join(("huebands", *file.relative_to(SOURCES).with_suffix("").parts))


def imports(file: Path) -> set[str]:
    """The rooms that a file imports, at any place in the file."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "huebands":
            modules = [node.module] if node.module != "huebands" else [f"huebands.{name.name}" for name in node.names]
        elif isinstance(node, ast.Import):
            modules = [name.name for name in node.names if name.name.split(".")[0] == "huebands"]
        else:
            continue
        rooms |= {room_of(module) for module in modules if module != "huebands.__version__"}
    return rooms - {""}


def test_the_list_is_in_the_order_of_imports() -> None:
    order = list(MAY_IMPORT)
    for room, allowed in MAY_IMPORT.items():
        assert all(order.index(other) < order.index(room) for other in allowed.split()), room


def test_each_room_imports_exactly_the_listed_rooms() -> None:
    used = defaultdict(set)
    for file in SOURCES.rglob("*.py"):
        room = room_of(name_of(file))
        used[room] |= imports(file) - {room}
    del used["__init__"]
    assert {room: " ".join(sorted(rooms)) for room, rooms in used.items()} == {
        room: " ".join(sorted(allowed.split())) for room, allowed in MAY_IMPORT.items()
    }


def test_files_of_a_room_import_each_other_in_one_direction() -> None:
    needs = {}
    for file in SOURCES.rglob("*.py"):
        module = name_of(file)
        tree, names = ast.parse(file.read_text(encoding="utf-8")), set()
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huebands"):
                names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        needs[module] = names
    waiting = {module: {name for name in names if name in needs and name != module} for module, names in needs.items()}
    while free := {module for module, names in waiting.items() if not names}:
        waiting = {module: names - free for module, names in waiting.items() if module not in free}
    assert not waiting, "these import each other in a circle"


def test_five_files_are_outside_the_rooms() -> None:
    assert {path.name for path in SOURCES.iterdir() if path.is_file()} == TOP


def test_stages_are_short_enough_to_read_at_once() -> None:
    lengths = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES.glob("stages/*.py")}
    assert "train.py" in lengths
    assert not {name: length for name, length in lengths.items() if length >= 80}, "move work into the room of its idea"
