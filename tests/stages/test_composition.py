"""params.yaml and conf/data: what cannot be composed changes nothing, and what was not composed does not run."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml
from PIL import Image

from composition import composed
from huebands.data import composition, readiness
from huebands.data.assignments import AssignmentError, path_of
from huebands.data.composition import CompositionError, check_composed, digest_of
from huebands.data.params import DataParams
from huebands.data.sources import SourceError
from huebands.photos.write import encode_png
from huebands.stages import prepare
from tiny_photos import tiny_photo

ROOT = Path(__file__).parents[2]
IDENTITY = {f"GIT_{role}_{part}": "test@localhost" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


class Checkout:
    """A copy of the tree, without what the pipeline makes, as a repository of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        command = ["git", "ls-files", "-co", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        for name in listed.stdout.splitlines():
            if name.split("/")[0] in ("src", "conf", ".dvc", "data") or ("/" not in name and name != "dvc.lock"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, folder / name)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "DVC", "GIT_"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = inherited | IDENTITY | {"PATH": path, "PYTHONPATH": str(folder / "src")}
        for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=before"]):
            self.run("git", *arguments)

    def run(self, *command: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def make(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        installed = ("--old-file=install", f"BIN={Path(sys.executable).parent}")
        return self.run("make", "--silent", *installed, *arguments, code=code)

    def status(self) -> str:
        return self.run("git", "status", "--porcelain").stdout

    def refused(self, *choices: str) -> str:
        """Run an experiment that is refused, and give its one line, without its end."""
        settings = [word for choice in choices for word in ("--set-param", choice)]
        line, end = self.run("dvc", "exp", "run", *settings, "ingest", code=1).stderr.rsplit("; ", 1)
        assert "\n" not in line and end == "params.yaml stays as it was\n"
        return line


def draw(folder: Path, count: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(encode_png(tiny_photo(number)))


def test_what_cannot_be_composed_leaves_everything_as_it_was(tmp_path: Path) -> None:
    checkout, photos = Checkout(tmp_path / "tree"), tmp_path / "tree/data/photos"
    parameters = checkout.folder / "params.yaml"
    parameters.write_text(parameters.read_text() + "# mine\n")
    before = parameters.read_bytes()
    assert checkout.refused("data=folder").startswith("data/photos is not a folder; put your photos there, or name")
    photos.mkdir()
    assert checkout.refused("data=folder").startswith("data/photos holds no file; put your photos there, or name")
    (photos / "notes.txt").write_text("no photo")
    line = checkout.refused("data=folder")
    assert line.startswith("data/photos: none of its 1 files is a photo that can be read (first: notes.txt: ")
    line = checkout.refused("data=folder", "data.sources.0.path=data/mine")
    assert line.startswith("data.sources[0].path (='data/mine') must be data.watch (='data/photos') or lie below it")
    shutil.copy(checkout.folder / "conf/data/folder.yaml", checkout.folder / "conf/data/mine.yaml")
    assert checkout.refused("data=mine").startswith("conf/data/mine.yaml: data.name (='folder') must be 'mine'")
    (checkout.folder / "conf/data/mine.yaml").unlink()
    line = checkout.refused("prepare.salt=other")
    assert line.startswith("prepare.salt (='other') must be that of data/splits/paintings.csv (='huebands')")
    assert parameters.read_bytes() == before
    assert checkout.status() == " M params.yaml\n"


def test_a_licence_is_a_change_of_data_and_is_composed_first(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path / "tree")
    draw(checkout.folder / "data/photos", 6)
    checkout.run("dvc", "exp", "run", "--set-param", "data=folder", "prepare")
    assert checkout.run("dvc", "status", "prepare").stdout == "Data and pipelines are up to date.\n"
    assert "?? data/splits/folder.csv\n" in checkout.status()
    parameters, splits = checkout.folder / "params.yaml", checkout.folder / path_of("folder")
    remembered = set(splits.read_text().splitlines())
    before, licence = parameters.read_bytes(), checkout.folder / "conf/data/folder.yaml"
    licence.write_text(licence.read_text().replace("My own photos", "CC BY 4.0"))
    status = checkout.run("dvc", "status", "ingest").stdout
    assert "conf/data/folder.yaml" in status and "modified" in status
    remedy = "run `dvc exp run -S data=folder` with the other choices"
    assert f"conf/data/folder.yaml has changed since params.yaml was composed from it: {remedy}" in (
        checkout.run("dvc", "repro", "ingest", code=255).stderr
    )
    assert remedy in checkout.make("repro", code=2).stderr
    assert parameters.read_bytes() == before
    checkout.make("params", "CHOICES=data=folder train.epochs=3")
    assert yaml.safe_load(parameters.read_text())["train"]["epochs"] == 3
    for photo in list((checkout.folder / "data/photos").iterdir()):  # "0-copy.png" sorts before "0.png"
        with Image.open(photo) as picture:
            picture.resize((32, 32), Image.Resampling.NEAREST).save(photo.with_stem(f"{photo.stem}-copy"))
    checkout.run("dvc", "repro", "prepare")
    manifest = pd.read_parquet(checkout.folder / "data/prepared/manifest.parquet")
    assert set(manifest["licence"]) == {"CC BY 4.0"}
    assert len(manifest) == 12 and manifest["group"].nunique() == 6
    assert remembered < set(splits.read_text().splitlines()), "DVC gives the stage the splits of before"


@pytest.fixture
def conf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """conf/data with the file of a set `mine`, below the current folder."""
    monkeypatch.chdir(tmp_path)
    composition.CONF.mkdir(parents=True)
    (composition.CONF / "mine.yaml").write_text("name: mine\nsources: [{licence: CC0}]\n")
    return tmp_path / composition.CONF / "mine.yaml"


def data_of(path: str = "photos", **values: str) -> DataParams:
    source = {"kind": "folder", "path": path, "licence": "CC0"}
    return readiness.build(DataParams, {"name": "mine", "watch": path, "sources": [source], **values})


def test_a_digest_is_that_of_the_values(conf: Path) -> None:
    digest = digest_of("mine")
    conf.write_text("# a comment\nsources:\n- licence: CC0\nname: mine\n")
    assert digest_of("mine") == digest
    check_composed(data_of(composed_from=digest))
    conf.write_text("name: mine\nsources: [{licence: CC0 1.0}]\n")
    assert digest_of("mine") != digest
    for old in (digest, ""):
        with pytest.raises(
            CompositionError, match=r"conf/data/mine\.yaml has changed .* `make params CHOICES=data=mine"
        ):
            check_composed(data_of(composed_from=old))


def test_a_set_without_a_file_is_refused_unless_somebody_wrote_it_by_hand(conf: Path) -> None:
    conf.rename(conf.with_name("yours.yaml"))
    with pytest.raises(CompositionError, match=r"data\.name \(='mine'\) must be the name of a file .*: yours"):
        check_composed(data_of(composed_from="0" * 16))
    check_composed(data_of())
    conf.write_text("name: [")
    with pytest.raises(CompositionError, match=r"mine\.yaml: not YAML"):
        digest_of("mine")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("yours", "name: mine\nsources: []", r"conf/data/yours\.yaml: data\.name \(='mine'\) must be 'yours'"),
        ("yours", "data: {name: mine}", r"conf/data/yours\.yaml: data\.name \(='mine'\) must be 'yours'"),
        ("yours", "defaults: [mine]", r"conf/data/yours\.yaml: data\.name \(='mine'\) must be 'yours'"),
        ("of/us", "name: mine", r"conf/data/of/us\.yaml: data\.name \(='mine'\) must be 'of/us'"),
        ("mine", "name: yours", r"conf/data/mine\.yaml: data\.name \(='yours'\) must be 'mine'"),
        ("mine", "{name: mine, defaults: [yours]}", r"mine\.yaml: `defaults` must be left out: a change of the files"),
        ("mine", "name: \xe9", r"mine\.yaml: not YAML \('utf-8' codec"),
        ("mine", "- name: mine", r"mine\.yaml: must be a mapping, such as `name: mine`"),
        ("mine", "{name: mine, 1: 2}", r"mine\.yaml: its keys must be texts"),
    ],
)
def test_a_file_that_the_digest_would_not_cover_is_refused(conf: Path, file: str, text: str, words: str) -> None:
    path = conf.parent / f"{file}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CompositionError, match=words) as refusal:
        digest_of("mine")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("text", ["name: yours", "{name: yours, defaults: [mine]}", "name: [", "data: {}"])
def test_files_of_other_sets_may_say_what_they_like(conf: Path, text: str) -> None:
    digest = digest_of("mine")
    conf.with_name("yours.yaml").write_text(text)
    assert digest_of("mine") == digest


def test_prepare_ends_with_one_line_where_a_file_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(SystemExit, match=r"^prepare: .*Is a directory: 'params\.yaml'"):
        prepare.main()


def test_what_is_composed_is_checked(conf: Path, tmp_path: Path) -> None:
    preparation = composed()["prepare"]
    data = {"name": "mine", "watch": "photos", "sources": [{"kind": "folder", "path": "photos", "licence": "CC0"}]}
    with pytest.raises(SourceError, match="photos is not a folder"):
        readiness.compose_digest(data, preparation)
    (tmp_path / "photos.dvc").touch()
    with pytest.raises(SourceError, match=r"`dvc pull photos\.dvc` fetches it"):
        readiness.compose_digest(data, preparation)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/album").symlink_to(tmp_path)
    with pytest.raises(
        SourceError, match=r"none of its 1 files .* \(first: album: is a link to a folder, not followed\)"
    ):
        readiness.compose_digest(data, preparation)
    draw(tmp_path / "photos", 1)
    (tmp_path / "photos/0.jpg").write_text("no photo")
    assert readiness.compose_digest(data, preparation) == digest_of("mine"), "one photo is enough"
    path_of("mine").parent.mkdir(parents=True)
    shutil.copy(ROOT / path_of("paintings"), path_of("mine"))
    with pytest.raises(AssignmentError, match=r"prepare\.salt \(='other'\) must be that of .* \(='huebands'\)"):
        readiness.compose_digest(data, preparation | {"salt": "other"})
    with pytest.raises(readiness.ParamsError, match=r"^data\.sources .* at least one source"):
        readiness.compose_digest(data | {"sources": []}, preparation)
