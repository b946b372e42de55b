"""`huebands lineage`: which versions saw a photo, in which split, and what undoes it."""

import hashlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from composition import composed
from huebands.cli import main
from huebands.data.assignments import Assignment, Assignments, path_of
from huebands.data.params import PrepareParams
from huebands.data.preparation import perceptual_hash
from huebands.data.shards import MANIFEST_COLUMNS, write_manifest
from huebands.models.parameters import build
from huebands.photos.write import encode_png
from huebands.promotion.photo_lineage import Sighting, Subject, sightings
from huebands.promotion.suite import read_suite
from huebands.registry.models import set_alias
from huebands.registry.suites import StoredSuite, find_suite, store_suite
from huebands.registry.training_photos import log_photos
from mlflow_store import client, finished_run, register

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
DATA = "da7a" * 16
MAY_HAVE = "may have seen it too, since no list says so or denies it"
IF_IT_HAS_TO_GO = (
    "if it has to go: remove it and its near-duplicates from their sources, run `dvc repro`, which trains,"
    " evaluates and calibrates without them, and"
)


def scene(seed: int, size: int = 64) -> np.ndarray:
    """A smooth random picture, uint8 (size, size, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


def row(seed: int, split: str) -> dict[str, str]:
    """What a manifest says of a scene."""
    sha256 = hashlib.sha256(encode_png(scene(seed))).hexdigest()
    phash = f"{perceptual_hash(Image.fromarray(scene(seed))):016x}"
    known = {"sha256": sha256, "id": sha256[:16], "phash": phash, "group": sha256[:16], "split": split}
    return dict.fromkeys(MANIFEST_COLUMNS, "x") | known | {"source": "meadow"}


@pytest.fixture
def folder(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with a store, and with the file of scene 0, as the current folder."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    shutil.copy(empty_store, checkout)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(checkout)
    (checkout / "photo.png").write_bytes(encode_png(scene(0)))
    return checkout


def register_version(number: int, *rows: dict[str, str]) -> None:
    """Register a package; without rows, as it was before versions kept their photos."""
    package = Path("package")
    package.mkdir(exist_ok=True)
    (package / "config.json").write_text(str(number))
    (package / "generator.safetensors").write_bytes(b"weights")
    version = register(package).version
    if rows:
        prepared = Path("prepared")
        prepared.mkdir(exist_ok=True)
        write_manifest(prepared, pd.DataFrame(rows))
        lineage = SimpleNamespace(config={"lineage": {"data_sha256": DATA}})
        log_photos(version, prepared, DATA, lineage)  # type: ignore[arg-type]


def store_photos(*rows: dict[str, str]) -> StoredSuite:
    """Give the registered model a suite, of which lineage reads no picture."""
    path = Path("suite/suite.json")
    path.parent.mkdir(exist_ok=True)
    keys = ("id", "sha256", "phash", "source")
    photos = [{**{key: row[key] for key in keys}, "licence": "CC0", "pixels_sha256": "0" * 64} for row in rows]
    described = {"data": "mine", "data_sha256": DATA, "photos": photos, "colour_by_lightness": [[0.0] * 256] * 2}
    path.write_text(json.dumps(described))
    return store_suite("generator", "huebands", path.parent, read_suite(path.parent).sha256, find_suite("generator"))


def lineage(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> list[str]:
    capsys.readouterr()
    assert main(["lineage", *arguments]) == code
    return capsys.readouterr().out.splitlines()


def test_each_version_is_said_to_have_seen_it_or_not_or_to_be_unknown(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_version(1)
    register_version(2, row(0, "train"), row(1, "test"))
    register_version(3, row(0, "calibration"), row(1, "train"))
    register_version(4, row(1, "train"))
    set_alias("generator", "champion", 2)
    identity = row(0, "train")["id"]
    lines = lineage(capsys, "photo.png")
    assert lines == [
        f"photo {identity}, perceptual hash {row(0, 'train')['phash']}",
        "models:/generator/4: never saw it",
        "models:/generator/3: calibration: the photo itself, from meadow: bands were calibrated with it",
        "models:/generator/2 (champion): train: the photo itself, from meadow: weights and density learned from it",
        "models:/generator/1: unknown: it keeps no list of its photos",
        IF_IT_HAS_TO_GO,
        "  retire models:/generator/3, models:/generator/2 (champion)",
        f"  models:/generator/1: {MAY_HAVE}",
    ]
    assert lineage(capsys, row(0, "train")["sha256"]) == lines, "its hash alone finds the same"
    assert lineage(capsys, identity) == lines


def test_a_near_duplicate_is_found_by_what_it_shows(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register_version(1, row(0, "val"), row(1, "train"))
    copy = Image.fromarray(scene(0)).resize((40, 50))
    copy.save(folder / "edited.jpg", quality=70)
    lines = lineage(capsys, "edited.jpg")
    found = next(line for line in lines if line.startswith("models:/generator/1"))
    assert f"val: its near-duplicate {row(0, 'val')['id']} (" in found and "bits away), from meadow" in found
    assert lines[-2:] == [IF_IT_HAS_TO_GO, "  retire models:/generator/1"]
    copy.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png")
    assert "models:/generator/1: never saw it" in lineage(capsys, "turned.png")


def test_remembered_splits_are_told_and_a_hash_is_found_in_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = row(0, "test")
    settings = build(PrepareParams, composed()["prepare"])
    remembered = [Assignment(photo["id"], int(photo["phash"], 16), photo["group"], "test")]
    Assignments(path_of("mine")).extended(remembered, settings).write()
    for name in ("photo.png", photo["sha256"]):
        assert lineage(capsys, name) == [
            f"photo {photo['id']}, perceptual hash {photo['phash']}",
            "data/splits/mine.csv: remembered in test: the photo itself",
            "the registry holds no version",
        ]


def test_a_hash_that_no_list_holds_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "models/release/old").mkdir(parents=True)
    assert lineage(capsys, "ab" * 32) == [
        "photo abababababababab",
        "no list holds this hash, so its near-duplicates cannot be looked for; name the photo's file",
        "the registry holds no version",
        "models/release/old: unknown: packages outside the registry keep no list of their photos",
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("absent.png", "huebands: absent.png: neither a file nor 16 to 64 hexadecimal digits of a photo's sha256\n"),
        ("abc", "huebands: abc: neither a file nor 16 to 64 hexadecimal digits of a photo's sha256\n"),
        ("text", "huebands: text: is not an image of a known format"),
    ],
)
def test_what_is_no_photo_is_refused(folder: Path, name: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "text").write_text("no photo")
    assert main(["lineage", name]) == 2
    assert capsys.readouterr().err.startswith(words)


def test_a_suite_that_has_the_photo_is_told_after_every_version_has_lost_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_version(1, row(1, "test"))
    for rows in ([row(0, "test"), row(1, "test")], [row(1, "test")], [row(2, "test"), row(0, "test")]):
        run_id = store_photos(*rows).run_id
    lines = lineage(capsys, "photo.png")
    assert lines[1:5] == [
        "models:/generator/1: never saw it",
        "suite 3 of generator (in use): the photo itself, from meadow: versions were judged on it",
        "suite 2 of generator: does not hold it",
        "suite 1 of generator: the photo itself, from meadow: versions were judged on it",
    ]
    first = client().get_registered_model("generator").tags["huebands.suite.1"].split()[0]
    assert lines[5:] == [
        IF_IT_HAS_TO_GO,
        "  suite 3 of generator (in use): take new photos with `huebands registry suite --new`, then delete run"
        f" {run_id}, which has its files",
        f"  suite 1 of generator: delete run {first}, which has its files",
    ]
    assert lineage(capsys, row(0, "test")["id"]) == lines, "the suite gives the perceptual hash"
    client().delete_run(first)
    assert lineage(capsys, "photo.png") == lines, "a deleted run keeps its files until `mlflow gc`"
    unknown_run = "0" * 32  # what `mlflow gc` leaves
    client().set_registered_model_tag("generator", "huebands.suite.1", f"{unknown_run} {DATA}")
    assert [line for line in lineage(capsys, "photo.png") if line.startswith("suite")] == lines[2:4]


def test_a_list_that_cannot_be_read_keeps_no_other_from_being_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register_version(1, row(0, "test"))
    register_version(2, row(0, "test"))
    store_photos(row(0, "test"))
    path_of("mine").parent.mkdir(parents=True)
    path_of("mine").write_text("<<<<<<< HEAD\n")
    client().set_model_version_tag("generator", "2", "huebands.photos_sha256", "0" * 64)
    client().set_registered_model_tag("generator", "huebands.suite.1", f"{finished_run()} {'0' * 64}")
    lines = lineage(capsys, "photo.png", code=2)
    assert lines[1:] == [
        "data/splits/mine.csv: unknown: cannot be read",
        "models:/generator/2: unknown: cannot be read",
        "models:/generator/1: test: the photo itself, from meadow: figures were measured with it",
        "suite 1 of generator (in use): unknown: cannot be read",
        IF_IT_HAS_TO_GO,
        "  retire models:/generator/1",
        f"  models:/generator/2, suite 1 of generator (in use): {MAY_HAVE}",
    ]
    main(["lineage", "photo.png"])
    problems = capsys.readouterr().err.splitlines()
    starts = (
        "data/splits/mine.csv:1: '<<<<<<< HEAD' must",
        "models:/generator/2: the list of its photos",
        "suite 1 of",
    )
    assert all(line.startswith(f"huebands: {start}") for line, start in zip(problems, starts, strict=True)), problems


def test_a_registry_that_does_not_answer_keeps_the_splits_from_no_one(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "models/release/old").mkdir(parents=True)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:1")
    for name in ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"):
        monkeypatch.setenv(name, "0")
    assert lineage(capsys, "photo.png", code=2)[1:] == [
        "versions of the registry: unknown: cannot be read",
        "suites of the registry: unknown: cannot be read",
        f"  versions of the registry, suites of the registry: {MAY_HAVE}",
        "models/release/old: unknown: packages outside the registry keep no list of their photos",
    ]


def test_the_nearest_come_first_and_the_distance_decides() -> None:
    phashes = [0b111, 0, 0b1, 2**64 - 1]
    photos = pd.DataFrame(
        {
            "sha256": [f"{number}" * 64 for number in range(4)],
            "phash": [f"{phash:016x}" for phash in phashes],
            "split": "train",
            "source": "",
        }
    )
    found = sightings(photos, Subject("3" * 16, 0), 3)
    assert found == [
        Sighting("3" * 16, "train", None),
        Sighting("1" * 16, "train", 0),
        Sighting("2" * 16, "train", 1),
        Sighting("0" * 16, "train", 3),
    ]
    assert len(sightings(photos, Subject("3" * 16, 0), 2)) == 3
    assert sightings(photos, Subject("3" * 16, None), 64) == [Sighting("3" * 16, "train", None)]
