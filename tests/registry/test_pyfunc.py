"""Registered versions as models of MLflow: loaded by its own means, they give what the colorizer gives."""

import ast
import base64
import io
import json
import os
import shutil
import subprocess
import sys
import warnings
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from packaging.utils import canonicalize_name
from PIL import Image

from huebands.colorize.colorizer import Colorizer
from huebands.package.schema import PackageError
from huebands.photos.write import encode_png
from huebands.registry import local_store, pyfunc
from huebands.registry.models import set_alias
from mlflow_store import register
from tiny_package import seal

# MLflow's own use of SQLAlchemy and pandas, and what it says of its own types.
pytestmark = [
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
    pytest.mark.filterwarnings("ignore::UserWarning:mlflow"),
    pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning:mlflow"),
]

ROOT = Path(__file__).parents[2]
GREY = np.add.outer(np.arange(20), 9 * np.arange(24)).astype(np.uint8)
PHOTO = encode_png(GREY)


@pytest.fixture(scope="module")
def store(empty_store: Path, tiny_package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store where `tiny_package` is registered as champion."""
    folder = tmp_path_factory.mktemp("pyfunc")
    shutil.copy(empty_store, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.chdir(folder)
        register(tiny_package)
        set_alias("generator", "champion", 1)
    return folder


def load(folder: Path) -> "mlflow.pyfunc.PyFuncModel":
    """Load the champion as a user of MLflow does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", local_store.store_uri(folder))
        patch.setattr(sys, "path", list(sys.path))  # MLflow adds the version's code
        return mlflow.pyfunc.load_model("models:/generator@champion")


@pytest.fixture(scope="module")
def files(store: Path) -> list[Path]:
    """The files of the version, as registered: Python adds bytecode to those of a store that is a folder, at a load."""
    return [path for path in (store / "mlartifacts").rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def model(store: Path, files: list[Path]) -> "mlflow.pyfunc.PyFuncModel":
    """The registered `tiny_package`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return load(store)


def test_a_version_loaded_by_mlflow_gives_what_the_colorizer_gives(
    model: "mlflow.pyfunc.PyFuncModel", tiny_package: Path
) -> None:
    photos = pd.DataFrame({"image": [PHOTO, base64.b64encode(PHOTO), None], "grey": [None, None, GREY.tolist()]})
    photos.loc[1, "image"] = photos.loc[1, "image"].decode()
    for params in ({}, {"alpha": 0.2, "mode": "joint", "delta": 0.5, "grouped": True}):
        expected = Colorizer.load(tiny_package).colorize(PHOTO, **params)
        results = model.predict(photos, params=params)
        assert list(results) == ["colorized", "bands", "uncertainty", "report"] and len(results) == 3
        for row in results.to_dict("records"):
            assert (np.asarray(Image.open(io.BytesIO(row["colorized"]))) == expected.rgb).all()
            with np.load(io.BytesIO(row["bands"])) as bands:
                for name in "RGB":
                    assert (bands[name] == expected.bands[name]).all()
            assert Image.open(io.BytesIO(row["uncertainty"])).size == (24, 20)
            report = json.loads(row["report"])
            assert (report["alpha"], report["mode"]) == (params.get("alpha", 0.1), params.get("mode", "per_channel"))


@pytest.mark.parametrize(
    ("photo", "params", "reason"),
    [
        ({"image": b"text"}, {}, "row 0: image: is not an image of a known format"),
        ({"image": "!"}, {}, "row 0: image: is a text, but no base64"),
        ({"image": None}, {}, "row 0: photo: has neither; give image"),
        ({"image": PHOTO, "grey": GREY.tolist()}, {}, "row 0: photo: has image and grey; give image"),
        ({"grey": [[1, 2], [3]]}, {}, "row 0: grey: has rows of different lengths"),
        ({"grey": [[1, 256]]}, {}, r"row 0: grey: has levels in \[1, 256\]; give levels in \[0, 255\]"),
        ({"image": PHOTO}, {"alpha": 0.001}, r"row 0: alpha \(=0.001\) must be in \[0.05, 1\)"),
        ({"image": PHOTO}, {"mode": "both"}, r"row 0: mode \(='both'\) must be one of"),
    ],
)
def test_what_cannot_be_colorized_is_named_with_its_row_and_reason(
    model: "mlflow.pyfunc.PyFuncModel", photo: dict[str, Any], params: dict[str, Any], reason: str
) -> None:
    with pytest.raises(mlflow.MlflowException, match=reason) as caught:
        model.predict(pd.DataFrame([photo]), params=params)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_version_holds_the_package_once_and_no_pickle(
    files: list[Path], model: "mlflow.pyfunc.PyFuncModel", tiny_package: Path
) -> None:
    weights = (tiny_package / "generator.safetensors").read_bytes()
    assert sum(path.read_bytes() == weights for path in files) == 1
    assert not {path.suffix for path in files} & {".pkl", ".pickle", ".pt", ".pyc", ".joblib"}
    assert model.metadata.signature.inputs.input_names() == ["image", "grey"]
    assert {param.name for param in model.metadata.signature.params} == {"alpha", "mode", "delta", "grouped"}
    assert Image.open(io.BytesIO(model.input_example["image"][0])).size == (32, 24)
    assert len(model.predict(model.input_example)) == 1


def test_a_version_whose_package_was_changed_is_not_loaded(store: Path, tmp_path: Path) -> None:
    changed = shutil.copytree(store, tmp_path / "changed")
    (card,) = (changed / "mlartifacts").rglob("MODEL_CARD.md")
    card.write_text("# Changed")
    seal(card.parent)
    with pytest.raises(PackageError, match=r"package_sha256 .* that of the package which was released or registered"):
        load(changed)


# A program that loads the version in a folder, and colorizes a row of text: it says where huebands is, and the result.
COLORIZE = """
import json, sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

# Without the checkout, whose package an editable installation finds in its own way.
sys.path = [folder for folder in sys.path if PathFinder.find_spec("huebands", [folder]) is None]
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder)]
assert find_spec("huebands") is None

import mlflow
import numpy as np

model = mlflow.pyfunc.load_model(sys.argv[1])
grey = np.add.outer(np.arange(20), 9 * np.arange(24)).astype(np.uint8)
(row,) = model.predict([{"grey": grey.tolist()}], params={"alpha": 0.2}).to_dict("records")
import huebands
Path(sys.argv[2]).write_bytes(row["colorized"])
print(json.dumps([huebands.__file__, json.loads(row["report"])["alpha"]]))
"""


def check_own_code(python: Path | str, folder: Path, store: Path, package: Path) -> None:
    """Check that a version runs by the code that lies in it, in another process, and gives what this code gives.

    Args:
        python: program of the environment.
        folder: current folder of the process.
        store: folder of the store.
        package: that was registered.
    """
    (version,) = (store / "mlartifacts").glob("*/models/*/artifacts")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), "-c", COLORIZE, str(version), str(folder / "colorized.png")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [str(version / "code/huebands/__init__.py"), 0.2]
    expected = Colorizer.load(package).colorize(PHOTO, alpha=0.2)
    assert (np.asarray(Image.open(folder / "colorized.png")) == expected.rgb).all()


def test_a_version_runs_by_its_own_code(store: Path, tiny_package: Path, tmp_path: Path) -> None:
    check_own_code(sys.executable, tmp_path, store, tiny_package)


@pytest.mark.slow
def test_a_version_is_loaded_in_an_environment_of_its_own_requirements(
    store: Path, tiny_package: Path, tmp_path: Path
) -> None:
    (requirements,) = (store / "mlartifacts").glob("*/models/*/artifacts/requirements.txt")
    (smallest,) = (line for line in requirements.read_text().splitlines() if name_of(line) == "packaging")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "environment")], check=True)
    python = tmp_path / "environment/bin/python"
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    command = [*pip, "download", "--no-cache-dir", "--no-deps", "--dest", tmp_path, smallest]
    reached = subprocess.run(command, capture_output=True, text=True)
    if reached.returncode != 0:
        pytest.skip(f"pip reaches no package index: {reached.stderr.strip().splitlines()[-1]}")
    done = subprocess.run([*pip, "install", "-r", requirements], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = subprocess.run([python, "-I", "-c", "import huebands"], capture_output=True, text=True)
    assert "No module named 'huebands'" in imported.stderr
    check_own_code(python, tmp_path, store, tiny_package)


def test_every_pin_is_that_of_the_lock() -> None:
    lock = {name_of(line): line for line in (ROOT / "requirements.lock").read_text().split()}
    differing = {pin for pin in pyfunc.requirements() if lock.get(name_of(pin)) != pin}
    # pip leaves its own tools out of the list that the lock is made of.
    assert {name_of(pin) for pin in differing} <= {"setuptools"} and len(pyfunc.requirements()) > 50


def test_what_colorizing_imports_is_pinned() -> None:
    pinned, installed = {name_of(pin) for pin in pyfunc.requirements()}, packages_distributions()
    # The networks are found by their names.
    waiting, seen, imported = [pyfunc.MODEL_FILE, *(pyfunc.CODE / "models").rglob("*.py")], set(), set()
    waiting = [path for path in waiting if path.parent.name in ("colorize", "networks", "encoders")]
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += imports(path)
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
            imported |= {str(module).split(".")[0] for module in modules}
    foreign = imported - set(sys.stdlib_module_names) - {"huebands"}
    unpinned = {name for name in foreign if not pinned & {name_of(name) for name in installed[name]}}
    assert unpinned == {"c2pa"}, "it signs pictures, which the model does not; huebands works without"
    assert {"torch", "mlflow", "openvino", "numba"} <= foreign


def name_of(requirement: str) -> str:
    """The name in a requirement, as all spell it."""
    return str(canonicalize_name(requirement.split("==")[0]))


def imports(path: Path) -> set[Path]:
    """The project's files that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("huebands"):
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    files = (pyfunc.CODE.parent.joinpath(*name.split(".")).with_suffix(".py") for name in names)
    return {file for file in files if file.is_file()}
