"""A bento serves the package inside it without a registry or a network, and its image has what a container needs."""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution, requires
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from huebands.package.read import read_package
from huebands.photos.write import encode_png
from huebands.registry import local_store
from huebands.registry.models import register_package, set_alias
from huebands.registry.training_run import TrainingRun
from huebands.serving import bento_build, served_model
from huebands.serving.following import registry_process
from huebands.serving.served_model import ServedModel
from mlflow_server import Server
from tiny_registry import NAME, register

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

CHECKOUT = Path(__file__).parents[2]
LOCK, SERVING_LOCK = CHECKOUT / "requirements.lock", CHECKOUT / "requirements-serve.lock"
FOLLOWING_LOCK = CHECKOUT / "requirements-follow.lock"
CLIENT = "mlflow-skinny"  # of the registry
SERVING_IMPORTS = CHECKOUT / "requirements-serve.in"
PHOTO = encode_png(np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8))
# What each process of an environment begins with: it records the hosts that it calls, and can reach this machine only.
CUT_OFF = """
import sys

def watch(event, arguments):
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event == "socket.connect" and isinstance(arguments[1], tuple):
        host = arguments[1][0]
    else:
        return
    if host not in ("127.0.0.1", "::1", "localhost", "0.0.0.0", None):
        with open({calls!r}, "a") as file:
            print(host, file=file)
        raise OSError(f"{{host}}: the network is cut")

sys.addaudithook(watch)
"""
# BentoML's own template breaks these rules, and cannot be changed: useradd without -l, pip in a branch that is not
# taken, and a user by name before the image's user by number.
ACCEPTED = ("DL3046", "DL3013", "DL3042", "DL3066")


@pytest.fixture(scope="module")
def bento(tiny_package: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a bento, built as `make bento` does from a registry that is deleted afterwards."""
    folder = tmp_path_factory.mktemp("bento")
    registry = folder / "registry"
    registry.mkdir()
    shutil.copy(empty_store, registry)
    store = local_store.store_uri(registry)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", store)
        run = TrainingRun.start("tiny", "huebands", {}, {})
        sha256 = read_package(tiny_package).package_sha256
        register_package(tiny_package, sha256, "bands", run.run_id, {}, {})
        set_alias("bands", "champion", 1)
    built = subprocess.run(
        [sys.executable, "-m", "huebands.serving.bento_build"],
        cwd=CHECKOUT,
        env=os.environ
        | {
            "HUEBANDS_MODEL": "models:/bands@champion",
            "MLFLOW_TRACKING_URI": store,
            "BENTOML_HOME": str(folder / "bentoml"),
        },
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    shutil.rmtree(registry)
    (bento,) = (path.parent for path in (folder / "bentoml").rglob("bento.yaml"))
    return bento


@pytest.fixture(scope="module")
def lean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the packages of the serving lock alone: without huebands, and without a network."""
    folder = tmp_path_factory.mktemp("lean")
    packages = make_environment(folder, SERVING_LOCK)
    # A Python of Debian has a sitecustomize.py of its own, which would be taken instead of one here.
    (packages / "cut_off.py").write_text(CUT_OFF.format(calls=str(folder / "calls")))
    (packages / "cut_off.pth").write_text("import cut_off\n")
    return folder


def make_environment(folder: Path, *locks: Path) -> Path:
    """Make an environment with the packages of some locks alone; gives the folder of its packages."""
    venv.create(folder, symlinks=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    for line in "".join(lock.read_text() for lock in locks).splitlines():
        for source in parts_of(distribution(line.partition("==")[0])):
            target = packages / source.name
            if not target.exists():  # distributions may share a namespace
                target.symlink_to(source)
    return packages


def parts_of(package: Distribution) -> set[Path]:
    """The files and folders of a distribution directly in site-packages."""
    root = Path(str(package.locate_file("")))
    names = {file.parts[0] for file in package.files or []}
    return {root / name for name in names if name not in ("..", "__pycache__") and (root / name).exists()}


@pytest.fixture(scope="module")
def address(bento: Path, lean: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service of the bento, run in another folder without registry, network or checkout."""
    folder = tmp_path_factory.mktemp("elsewhere")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "OMP_NUM_THREADS": "1",
        "HUEBANDS_PROCESSES": "1",
    }
    command = [str(lean / "bin/python"), "-m", "bentoml", "serve", str(bento), "--port", str(port)]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + 120
        while not is_ready(address):
            assert server.poll() is None and time.monotonic() < end, (folder / "log").read_text()[-3000:]
            time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz", timeout=10).status_code == 200
    except httpx.TransportError:
        return False


def test_the_environment_that_serves_has_no_huebands_no_registry_and_nothing_that_draws(lean: Path) -> None:
    for name in ("huebands", "mlflow", "dvc", "great_expectations", "matplotlib"):
        ended = subprocess.run([lean / "bin/python", "-Ec", f"import {name}"], cwd=lean, capture_output=True, text=True)
        assert f"No module named '{name}'" in ended.stderr


def test_the_environment_that_serves_has_no_network(lean: Path) -> None:
    call = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=1)"
    ended = subprocess.run([lean / "bin/python", "-c", call], capture_output=True, text=True)
    assert "the network is cut" in ended.stderr
    (lean / "calls").unlink()


def test_a_bento_serves_the_package_inside_without_registry_and_network(
    address: str, lean: Path, tiny_package: Path
) -> None:
    sha256 = read_package(tiny_package).package_sha256
    guarantee = {"alpha": "0.5", "mode": "joint", "delta": "0.5", "grouped": "true"}
    answer = httpx.post(f"{address}/bands", files={"image": ("a.png", PHOTO)}, data=guarantee, timeout=60)
    assert answer.status_code == 200, answer.text
    assert (answer.headers["huebands-model"], answer.headers["huebands-version"]) == ("tiny", sha256[:12])
    report = json.loads(zipfile.ZipFile(io.BytesIO(answer.content)).read("report.json"))
    assert report["model"] == {"name": "tiny", "package_sha256": sha256}
    model = httpx.get(f"{address}/model").json()
    assert model["hashes"]["package_sha256"] == sha256
    assert model["source"] == "models:/bands@champion"
    assert model["registry"] == {"model": "bands", "version": 1, "alias": "champion"}
    assert httpx.get(f"{address}/").status_code == httpx.get(f"{address}/certificate").status_code == 200
    assert not (lean / "calls").exists(), f"it called {(lean / 'calls').read_text()}"


def test_a_bento_holds_one_package_and_no_path_of_this_machine(bento: Path, tiny_package: Path) -> None:
    assert [path.parent.name for path in bento.rglob("generator.safetensors")] == ["generator"]
    for file in tiny_package.iterdir():
        assert (bento / "src/models/generator" / file.name).read_bytes() == file.read_bytes()
    for name in ("src/models/served.json", "src/bentofile.yaml", "bento.yaml", "env/docker/Dockerfile"):
        assert str(CHECKOUT) not in (bento / name).read_text()
        assert str(tiny_package.parent) not in (bento / name).read_text()


def test_an_invalid_package_is_not_built(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "huebands.serving.bento_build"],
        cwd=CHECKOUT,
        env=os.environ | {"HUEBANDS_MODEL": str(tmp_path / "none"), "BENTOML_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert built.returncode == 1
    assert built.stderr.startswith("huebands: ") and "no such folder" in built.stderr
    assert built.stderr.count("\n") == 1


def pins(lock: Path) -> dict[str, str]:
    return dict(line.split("==") for line in lock.read_text().splitlines())


def test_the_serving_lock_holds_the_same_releases_as_the_lock() -> None:
    full, serving = pins(LOCK), pins(SERVING_LOCK)
    assert "setuptools" in serving, "torch needs it, and `pip freeze` leaves it out of the lock"
    assert {name: version for name, version in serving.items() if full.get(name) != version} == {
        "setuptools": serving["setuptools"]
    }


def requirements(name: str, extras: Iterable[str]) -> Iterator[tuple[str, frozenset[str]]]:
    """The distributions that an installed one requires with some extras, and the extras that it asks of each."""
    for requirement in map(Requirement, requires(name) or []):
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name), frozenset(requirement.extras)


def needed_by(names: Iterable[str]) -> set[str]:
    """The distributions that some others need, themselves among them."""
    waiting = [(canonicalize_name(name), frozenset[str]()) for name in names]
    needed: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, extras = waiting.pop()
        if (name, extras) not in needed:
            needed.add((name, extras))
            waiting += requirements(name, extras)
    return {name for name, _ in needed}


def pinned_names(lock: Path) -> set[str]:
    return {canonicalize_name(name) for name in pins(lock)}


def test_every_pin_of_the_serving_lock_is_needed_by_what_serving_imports() -> None:
    imported = [line for line in SERVING_IMPORTS.read_text().splitlines() if not line.startswith("#")]
    pinned = pinned_names(SERVING_LOCK)
    assert sorted(pinned - needed_by(imported)) == [], "nothing needs them; run `make lock`"
    assert {canonicalize_name(name) for name in imported} <= pinned


def test_the_lock_for_following_holds_what_the_client_of_the_registry_needs_beside_the_serving_lock() -> None:
    full, following = pins(LOCK), pins(FOLLOWING_LOCK)
    assert {name: version for name, version in following.items() if full.get(name) != version} == {}
    needed = needed_by([CLIENT]) - pinned_names(SERVING_LOCK)
    assert pinned_names(FOLLOWING_LOCK) == needed, "run `make lock`"


def test_a_bento_that_follows_has_both_locks(tiny_package: Path, tmp_path: Path) -> None:
    chosen = ServedModel(folder=str(tiny_package), source="models:/bands/3", model="bands", version=3)
    for name, follows in (("baked", False), ("following", True)):
        (tmp_path / name).mkdir()
        bento_build.stage(chosen, CHECKOUT, tmp_path / name, follows)
        expected = pins(SERVING_LOCK) | (pins(FOLLOWING_LOCK) if follows else {})
        assert pins(tmp_path / name / SERVING_LOCK.name) == expected
        assert json.loads((tmp_path / name / served_model.CHOICE).read_text())["version"] == 3


def test_a_version_is_found_and_fetched_from_a_server_in_an_environment_of_both_locks(
    tmp_path: Path, tiny_package: Path, mlflow_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_server.address)
    set_alias(NAME, "champion", register(tiny_package))
    make_environment(tmp_path / "environment", SERVING_LOCK, FOLLOWING_LOCK)
    sha256, fetched = read_package(tiny_package).package_sha256, tmp_path / "fetched"

    def ask(*arguments: str) -> dict[str, Any]:
        asked = subprocess.Popen(
            [tmp_path / "environment/bin/python", "-m", registry_process.__name__, *arguments],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(CHECKOUT / "src"),
                "MLFLOW_TRACKING_URI": mlflow_server.address,
                "OMP_NUM_THREADS": "1",
            },
            stdin=subprocess.PIPE,  # the program ends when it is closed
            stdout=subprocess.PIPE,
        )
        assert asked.stdout is not None
        with asked:
            answer: dict[str, Any] = json.loads(asked.stdout.read())
        return answer

    found = ask("find", f"models:/{NAME}@champion")
    assert found == {"model": NAME, "version": 1, "package_sha256": sha256}
    assert ask("fetch", f"models:/{NAME}/1", str(fetched)) == {}
    assert read_package(fetched).package_sha256 == sha256


def instructions(bento: Path) -> list[str]:
    """The instructions of the Dockerfile."""
    text = (bento / "env/docker/Dockerfile").read_text().replace("\\\n", " ")
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line and not line.startswith("#")]


def test_the_image_is_made_from_a_slim_python_of_one_release(bento: Path) -> None:
    (base,) = (line for line in instructions(bento) if line.startswith("FROM"))
    assert re.fullmatch(r"FROM python:3\.11\.\d+-slim-\w+ as base-container", base)


def test_the_image_does_not_run_as_root(bento: Path) -> None:
    users = [line.removeprefix("USER ") for line in instructions(bento) if line.startswith("USER")]
    assert users[-1] == "1034", "a number, which Kubernetes can check"


def test_the_health_check_needs_only_python(bento: Path) -> None:
    (check,) = (line for line in instructions(bento) if line.startswith("HEALTHCHECK"))
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"] and "/readyz" in command[2]


@pytest.mark.parametrize(("path", "code"), [("/readyz", 0), ("/nowhere", 1)])
def test_the_health_check_tells_ready_from_not_ready(bento: Path, address: str, path: str, code: int) -> None:
    (check,) = (line for line in instructions(bento) if line.startswith("HEALTHCHECK"))
    command = json.loads(check.partition("CMD ")[2])
    call = command[2].replace("http://127.0.0.1:3000", address).replace("/readyz", path)
    assert subprocess.run([sys.executable, "-c", call], stderr=subprocess.DEVNULL).returncode == code


def test_the_image_receives_signals_and_exposes_a_port(bento: Path) -> None:
    lines = instructions(bento)
    assert 'ENTRYPOINT [ "/home/bentoml/bento/env/docker/entrypoint.sh" ]' in lines, "no shell before it"
    assert 'exec "$@"' in (bento / "env/docker/entrypoint.sh").read_text()
    assert "EXPOSE 3000" in lines


def test_the_image_gets_torch_for_processors_and_the_serving_lock_only(bento: Path) -> None:
    lines = instructions(bento)
    install = next(number for number, line in enumerate(lines) if "env/python/install.sh" in line)
    assert lines.index("ENV UV_TORCH_BACKEND=cpu") < install
    assert any(re.fullmatch(r"RUN pip install --no-cache-dir uv==[\d.]+", line) for line in lines[:install])
    assert "PIP_ARGS=(--no-deps)" in (bento / "env/python/install.sh").read_text()
    requirements = (bento / "env/python/requirements.txt").read_text().split()
    assert set(requirements) == set(SERVING_LOCK.read_text().split())


def test_the_image_writes_temporary_files_only(bento: Path) -> None:
    settings = dict(line[4:].split("=", 1) for line in instructions(bento) if line.startswith("ENV "))
    assert settings["BENTOML_HOME"].startswith("/tmp/")
    assert settings["PYTHONDONTWRITEBYTECODE"] == "1"


def test_the_dockerfile_passes_its_linter(bento: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    ignored = [f"--ignore={code}" for code in ACCEPTED]
    result = subprocess.run([linter, *ignored, bento / "env/docker/Dockerfile"], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_containerize_gives_docker_the_same_dockerfile(bento: Path, tmp_path: Path) -> None:
    docker = tmp_path / "bin/docker"
    docker.parent.mkdir()
    docker.write_text(
        '#!/bin/sh\ncase "$1" in\nversion) echo 28.2.2 ;;\n'
        f'*) for context; do :; done; cp "$context/env/docker/Dockerfile" {tmp_path} ;;\nesac\n'
    )
    docker.chmod(0o755)
    subprocess.run(
        [sys.executable, "-m", "bentoml", "containerize", f"huebands:{bento.name}"],
        cwd=tmp_path,
        env=os.environ
        | {
            "PATH": f"{docker.parent}:{os.environ['PATH']}",
            "BENTOML_HOME": str(bento.parents[2]),
            "BENTOML_DO_NOT_TRACK": "true",
            "TMPDIR": str(tmp_path),  # as `make container` does
        },
        check=True,
        capture_output=True,
    )
    dockerfile = (tmp_path / "Dockerfile").read_text()
    original = (bento / "env/docker/Dockerfile").read_text()
    for line in original.splitlines():
        assert line in dockerfile or line.startswith(("# ", "RUN bash")), "BuildKit adds a mount to that step"
    assert "HEALTHCHECK" in dockerfile and "USER 1034" in dockerfile
