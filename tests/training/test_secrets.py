"""Passwords and tokens: commands that succeed and commands that fail leave them in no file, row or line."""

import base64
import dataclasses
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest
from mlflow.tracking._tracking_service.utils import _artifact_repos_cache
from test_training import MODEL, PARAMS

from huebands import params
from huebands.cli import main
from huebands.data.params import GitSource, PackageSource
from huebands.data.sources import SourceError, open_source
from huebands.fetch.secrets import holds_secret, without_secrets
from huebands.models.parameters import ParamsError, build
from huebands.registry import live_run
from huebands.registry.connection import TrackingError, store_uri
from huebands.serving.following import registry_process
from huebands.stages import register
from huebands.stages import train as stage
from mlflow_server import Server
from pipeline_checkout import SETTINGS, make_checkout
from tiny_photos import tiny_photo, write_prepared
from unreliable_proxy import BREAK, Proxy, passes

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")

USER = "keeper"
# Signs of an address among them, which must be quoted there and may be quoted anywhere.
IN_ADDRESS, TOKEN = "in-the/address@7f3a", "the-token-of-9c1e"
VARIABLES = {
    "AWS_SECRET_ACCESS_KEY": "secret-key-of-aws-51d0",
    "AWS_SESSION_TOKEN": "session-of-aws-e0b2",
    "PGPASSWORD": "of-postgresql-77aa",
    "PIP_INDEX_URL": "https://pip:of-the-index-3d3d@127.0.0.1:9/simple",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "url.ssh://git:of-git-41c8@127.0.0.1:9/.insteadOf",
    "GIT_CONFIG_VALUE_0": "https://photos.invalid/",
    "GIT_SSH_COMMAND": "sh -c 'echo \"$*: Permission denied (publickey).\" >&2; exit 255' ssh",  # as ssh does
}
SIGN_IN = base64.b64encode(f"{USER}:{IN_ADDRESS}".encode()).decode()
SECRETS = [
    IN_ADDRESS, quote(IN_ADDRESS, safe=""), SIGN_IN, TOKEN, "secret-key-of-aws-51d0", "session-of-aws-e0b2",
    "of-postgresql-77aa", "of-the-index-3d3d", "of-git-41c8",
]  # fmt: skip
GIT = GitSource(url="https://photos.invalid/a", revision="0" * 40, patterns=("*",), licence="CC0")
PACKAGE = PackageSource(requirement="nowhere==1.0", sha256="0" * 64, patterns=("*",), licence="CC0")
TRAINING = dataclasses.replace(SETTINGS, model=MODEL, train=dataclasses.replace(PARAMS, epochs=2, checkpoint_every=1))


@pytest.fixture
def proxy(mlflow_server: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of it, in an environment full of secrets."""
    proxy = Proxy(mlflow_server.address)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        monkeypatch.setenv(name, "")  # the code sets them, and they go back to what they were
        monkeypatch.delenv(name)
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{USER}:{quote(IN_ADDRESS, safe='')}@{proxy.host}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name, seconds in (("_AGAIN", 0.1), ("_AGAIN_AT_THE_END", 0.1), ("_LAST_ANSWERS", 20.0)):
        monkeypatch.setattr(live_run, name, seconds)
    _artifact_repos_cache.clear()
    yield proxy
    proxy.close()


def traces(secret: str, folders: list[Path], printed: str) -> list[str]:
    """Where a secret stands: files, rows of databases, lines."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = [str(path) for path in files if secret.encode() in path.read_bytes()]
    for path in files:
        if path.name == "mlflow.db":
            with closing(sqlite3.connect(path)) as database:
                found += [row for row in database.iterdump() if secret in row]
    return found + [line for line in printed.splitlines() if secret in line]


def test_no_command_leaves_a_secret_in_a_file_a_row_or_a_line(
    mlflow_server: Server,
    proxy: Proxy,
    tmp_path: Path,
    empty_store: Path,
    levels: dict[str, float],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    address = f"http://{USER}:{quote(IN_ADDRESS, safe='')}@{proxy.host}"
    said = list[str]()

    def fails(work: Callable[[], object], reason: str) -> None:
        with pytest.raises((SystemExit, TrackingError, SourceError, ParamsError), match=reason) as caught:
            work()
        said.append(str(caught.value))

    (tmp_path / "training").mkdir()
    monkeypatch.chdir(tmp_path / "training")
    photos = {"train": [tiny_photo(seed, 24) for seed in range(5)], "val": [tiny_photo(9, 24)]}
    write_prepared(Path("data/prepared"), photos, 24)
    stage.run_training(TRAINING)
    # Gone at the second training, and at the end of it.
    proxy.behaviour = lambda method, path: BREAK
    monkeypatch.setattr(live_run, "_LAST_ANSWERS", 0.3)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    stage.run_training(TRAINING)
    proxy.behaviour = passes

    (tmp_path / "line").mkdir()
    monkeypatch.chdir(tmp_path / "line")
    make_checkout(tmp_path / "line", empty_store)
    monkeypatch.setattr(params, "load", lambda: SETTINGS)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    register.main()
    for command in (["promote"], ["registry", "list"], ["registry", "show", "1"], ["rollback"]):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        main(command)
    assert set(proxy.sign_ins) == {f"Basic {SIGN_IN}"}, "the server gets what the address has"

    proxy.behaviour = lambda method, path: BREAK
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    fails(register.main, f"no answer from http://{proxy.host}: ")
    for command in (["promote"], ["registry", "list"], ["lineage", "ab" * 32]):
        assert main(command) == 2
    said.append(json.dumps(registry_process.answer(registry_process.find, ["models:/generator@champion"])))
    for other in (
        f"postgresql+psycopg2://{USER}:{quote(IN_ADDRESS, safe='')}@127.0.0.1:9/mlflow",
        f"postgresql://{USER}:{IN_ADDRESS}@127.0.0.1:9/mlflow",
        f"postgresql+psycopg2://{USER}:{IN_ADDRESS}@127.0.0.1:nine/mlflow",
        f"carrier-pigeon://{USER}:{IN_ADDRESS}@coop",
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", other)
        monkeypatch.setattr("mlflow.store.db.utils.MAX_RETRY_COUNT", 1)
        kind = other.partition(":")[0].replace("+", r"\+")
        fails(lambda: register.find_or_restore_run("huebands", "ab" * 32, Path()), rf"{kind}://(127\.0\.0\.1|coop)")
    monkeypatch.chdir(tmp_path / "training")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql+psycopg2://{USER}:{IN_ADDRESS}@127.0.0.1:9/mlflow")
    stage.run_training(TRAINING)
    monkeypatch.chdir(tmp_path / "line")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
    monkeypatch.delenv("MLFLOW_TRACKING_USERNAME")
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", f"{TOKEN}\n")  # a file with the token ends so
    fails(register.main, "header")

    fails(lambda: open_source(GIT, tmp_path / "cache"), "cannot read https://photos.invalid/a .*Permission denied")
    fails(lambda: open_source(PACKAGE, tmp_path / "cache"), "pip cannot fetch nowhere==1.0")
    for url in (f"https://{TOKEN}@host/photos", f"https://host/photos?private_token={TOKEN}"):
        source = {"kind": "git", "url": url, "revision": "0" * 40, "patterns": ["*"], "licence": "CC0"}
        fails(lambda source=source: build(GitSource, source), r"^url \(='\*\*\*'\) must hold no name, password")
        fails(lambda source=source: build(GitSource, source | {"token": TOKEN}), r"^token \(=\*\*\*\) must be left out")

    printed = "\n".join([*capfd.readouterr(), caplog.text, *said])
    assert "the training goes on without its registry" in printed and f"http://{proxy.host}" in printed
    assert "postgresql+psycopg2://127.0.0.1:9/mlflow still lacks a part of the run" in printed
    found = {secret: traces(secret, [tmp_path, mlflow_server.folder], printed) for secret in SECRETS}
    assert not any(found.values()), found


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no answer from https://me:pa:ss@host:5000/x", "no answer from https://host:5000/x"),
        ("git@github.com:a/b at https://github.com/a/b@0123", "git@github.com:a/b at https://github.com/a/b@0123"),
        ("GET /a?X-Amz-Signature=abc&part=1", "GET /a?X-Amz-Signature=***&part=1"),
        ("Invalid header value: 'Bearer of-a-token'", "Invalid header value: 'Bearer ***'"),
    ],
)
def test_secrets_are_left_out_of_a_text(text: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "of-a-token\n")
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    ("address", "holds"),
    [
        ("https://github.com/a/b", False), ("git@github.com:a/b.git", False), ("ssh://git@host/a", False),
        ("/home/me@work/photos", False), ("https://host/a@b", False), ("https://token@host/a", True),
        ("https://me:secret@host/a", True), ("ssh://me:secret@host/a", True), ("https://host/a?access_token=b", True),
    ],
)  # fmt: skip
def test_addresses_with_secrets_are_told_from_others(address: str, holds: bool) -> None:
    assert holds_secret(address) == holds


def test_a_name_without_a_password_in_the_address_of_a_server_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://of-a-token-4711@mlflow.example.org/")
    with pytest.raises(TrackingError, match=r"https://mlflow\.example\.org must have a name and a password") as caught:
        store_uri()
    assert "4711" not in str(caught.value)
