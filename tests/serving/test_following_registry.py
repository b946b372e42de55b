"""The registry is asked by processes that may hang or die, and a version is verified before it is taken."""

import asyncio
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from huebands import __version__
from huebands.registry import connection, local_store
from huebands.registry.models import PACKAGE_TAG, set_alias
from huebands.serving.following import registry_process
from huebands.serving.following.registry import FollowError, Registry, Version
from tiny_package import write_uncalibrated, write_with_few_photos
from tiny_registry import NAME, copy_store, register

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

TESTS = Path(__file__).parents[1]
VERSION = Version("sound", 7, "ab" * 32)
WITHIN = 60  # seconds to wait for anything; it takes less than one


def registry_of(folder: Path, name: str, **timeouts: float) -> Registry:
    environment = os.environ | {"PYTHONPATH": str(TESTS), "PID_FILE": str(folder.parent / "pid")}
    return Registry(f"models:/{name}@champion", folder, environment, program="fake_registry", **timeouts)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the service's own files."""
    (tmp_path / "service").mkdir()
    return tmp_path / "service"


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_version_behind_an_alias_is_found(folder: Path) -> None:
    assert asyncio.run(registry_of(folder, "sound").find()) == VERSION
    assert list(folder.iterdir()) == [], "what the process has written is removed"


def test_a_fetched_version_is_a_model_with_its_address(folder: Path) -> None:
    model = asyncio.run(registry_of(folder, "sound").fetch(VERSION))
    assert (model.model, model.version, model.alias) == ("sound", 7, "champion")
    assert (model.source, model.package_sha256) == ("models:/sound@champion", VERSION.package_sha256)
    assert [str(path) for path in folder.iterdir()] == [model.folder]


@pytest.mark.parametrize(("name", "lasting"), [("lasting", True), ("passing", False)])
def test_a_failure_says_whether_trying_again_helps(folder: Path, name: str, lasting: bool) -> None:
    for command in ("find", "fetch"):
        registry = registry_of(folder, name)
        asked = registry.find() if command == "find" else registry.fetch(replace(VERSION, model=name))
        with pytest.raises(FollowError, match=f"^{command} is {name}$") as error:
            asyncio.run(asked)
        assert error.value.lasting == error.value.answered == lasting
    assert list(folder.iterdir()) == []


def test_a_process_that_dies_is_a_failure_that_may_pass_and_tells_no_password(folder: Path) -> None:
    with pytest.raises(FollowError, match=r"ended with code 3: no answer from http://host:5000$") as error:
        asyncio.run(registry_of(folder, "die").find())
    assert not error.value.lasting


def test_what_is_no_answer_is_a_failure(folder: Path) -> None:
    with pytest.raises(FollowError, match="has given no answer"):
        asyncio.run(registry_of(folder, "odd").find())


def test_a_version_without_a_hash_is_refused(folder: Path) -> None:
    with pytest.raises(FollowError, match="version 7 has no hash in the registry") as error:
        asyncio.run(registry_of(folder, "sound").fetch(replace(VERSION, package_sha256=None)))
    assert error.value.lasting


def test_a_registry_that_hangs_is_given_up_and_its_process_ends(folder: Path) -> None:
    with pytest.raises(FollowError, match="no answer of the registry within 5 s") as error:
        asyncio.run(registry_of(folder, "hang", find_timeout=5).find())
    assert not error.value.lasting
    assert not is_alive(int((folder.parent / "pid").read_text()))
    assert list(folder.iterdir()) == []


def test_the_process_ends_when_the_service_stops(folder: Path) -> None:
    async def stop() -> None:
        asked = asyncio.create_task(registry_of(folder, "hang").find())
        async with asyncio.timeout(WITHIN):
            while not (folder.parent / "pid").exists():
                await asyncio.sleep(0.01)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    asyncio.run(stop())
    assert not is_alive(int((folder.parent / "pid").read_text()))


@pytest.fixture
def store(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an empty store, which is the registry."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", copy_store(empty_store, tmp_path / "registry"))
    return tmp_path / "registry"


def ask(command: str, *arguments: str) -> dict:
    return registry_process.answer(registry_process.COMMANDS[command], list(arguments))


def test_the_program_finds_and_fetches_a_registered_version(store: Path, tiny_package: Path, tmp_path: Path) -> None:
    set_alias(NAME, "champion", register(tiny_package))
    found = ask("find", f"models:/{NAME}@champion")
    assert (found["model"], found["version"]) == (NAME, 1)
    assert ask("fetch", f"models:/{NAME}/1", str(tmp_path / "fetched")) == {}
    for file in tiny_package.iterdir():
        assert (tmp_path / "fetched" / file.name).read_bytes() == file.read_bytes()


def test_a_registry_without_the_alias_is_told_from_one_without_an_answer(
    store: Path, tiny_package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tiny_package)
    answer = ask("find", f"models:/{NAME}@champion")
    assert "it holds version 1" in answer["failure"] and not answer["lasting"] and answer["answered"]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    answer = ask("find", f"models:/{NAME}@champion")
    assert answer["failure"].startswith("no answer from http://127.0.0.1:9")
    assert not answer["lasting"] and not answer["answered"]
    assert "secret" not in answer["failure"]


def change_a_file(store: Path) -> None:
    (path,) = (store / local_store.ARTIFACTS).rglob("generator.safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def add_a_file(store: Path) -> None:
    """What a later release may do."""
    (path,) = (store / local_store.ARTIFACTS).rglob("generator.safetensors")
    path.with_name("new.json").touch()


def remove_the_hash(store: Path) -> None:
    uri = local_store.store_uri(store)
    connection.mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri).delete_model_version_tag(NAME, "1", PACKAGE_TAG)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (change_a_file, "are not those that were registered"),
        (remove_the_hash, f"has no tag {PACKAGE_TAG}"),
        (add_a_file, f"are no package of huebands {__version__}: package/new.json: does not belong there; upgrade"),
    ],
)
def test_other_files_than_those_registered_are_a_lasting_failure(
    store: Path, tiny_package: Path, tmp_path: Path, damage, reason: str
) -> None:
    register(tiny_package)
    damage(store)
    answer = ask("fetch", f"models:/{NAME}/1", str(tmp_path / "fetched"))
    assert reason in answer["failure"] and answer["lasting"]
    assert not (tmp_path / "fetched").exists()


def test_lost_files_are_a_failure_that_may_pass(store: Path, tiny_package: Path, tmp_path: Path) -> None:
    register(tiny_package)
    shutil.rmtree(store / local_store.ARTIFACTS)
    answer = ask("fetch", f"models:/{NAME}/1", str(tmp_path / "fetched"))
    assert "holds version 1 but not its files" in answer["failure"] and not answer["lasting"]


@pytest.mark.parametrize(
    ("write", "reason"),
    [
        (write_uncalibrated, ": has no calibration, so no bands"),
        (write_with_few_photos, ": alpha (=0.1) must be in [0.2, 1): 4 calibration photos support no alpha below 1/5"),
    ],
)
def test_a_sound_package_that_does_not_keep_the_promise_is_a_lasting_failure(
    store: Path, tmp_path: Path, write, reason: str
) -> None:
    write(tmp_path / "package")
    register(tmp_path / "package")
    check_unfit(reason, tmp_path / "fetched")


def test_a_package_of_a_later_format_is_a_lasting_failure(
    store: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(tiny_package)
    monkeypatch.setattr("huebands.package.schema.FORMATS", (3,))
    reason = "/config.json: format (=4) must be one of 3, those that this version of huebands reads"
    check_unfit(reason, tmp_path / "fetched")


def check_unfit(reason: str, folder: Path) -> None:
    """Check that version 1 is refused for good, with one line that names no folder."""
    answer = ask("fetch", f"models:/{NAME}/1", str(folder))
    assert answer["failure"] == f"models:/{NAME}/1{reason}; point the alias at another version"
    assert answer["lasting"] and not folder.exists()


def test_a_package_that_loads_but_does_not_colorize_is_refused(
    store: Path, tiny_package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments):
        raise RuntimeError("no luck")

    register(tiny_package)
    monkeypatch.setattr("huebands.serving.workers.worker.work", fail)
    answer = ask("fetch", f"models:/{NAME}/1", str(tmp_path / "fetched"))
    assert answer == {"failure": "RuntimeError: no luck", "lasting": False, "answered": False}


def test_the_program_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """A registry that does not answer would keep it for minutes."""
    code = "import threading, time\nfrom huebands.serving.following import registry_process\n"
    code += "threading.Thread(target=registry_process._end_with_parent).start()\ntime.sleep(60)"

    async def end() -> int:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE)
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(WITHIN):
            return await process.wait()

    assert asyncio.run(end()) == 1
