"""`huebands lineage`: which versions saw a photo, in which split, and what undoes it."""

import hashlib
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from composition import composed
from huebands.cli import main
from huebands.data.assignments import Assignments, path_of
from huebands.data.params import PrepareParams
from huebands.data.preparation import perceptual_hash
from huebands.data.shards import MANIFEST_COLUMNS, write_manifest
from huebands.data.splits import Assignment
from huebands.models.parameters import build
from huebands.photos.write import encode_png
from huebands.promotion.photo_lineage import SeenBy, Sighting, Subject, report, sightings
from huebands.registry.models import RegisteredPackage, set_alias
from huebands.registry.training_photos import log_photos
from mlflow_store import register

# MLflow's own use of SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
DATA = "da7a" * 16


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


def lineage(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(["lineage", *arguments]) == 0
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
        "if it has to go: remove it and its near-duplicates from their sources, run `dvc repro`, and retire:",
        "  models:/generator/2 (champion): replaced by a run of train, fit-density and calibrate",
        "  models:/generator/3: replaced by a run of calibrate",
        "  models:/generator/1: may have seen it too, since no list says so or denies it",
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
    assert "  models:/generator/1: replaced by a run of fit-density and calibrate" in lines
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


def test_what_the_first_split_needs_covers_the_others() -> None:
    photos = pd.DataFrame({"sha256": ["1" * 64, "2" * 64], "phash": ["0" * 16] * 2, "split": ["test", "calibration"]})
    seen = SeenBy(RegisteredPackage("generator", 1, "ab"), [], photos)
    lines = list(report([seen], Subject("1" * 16, 0), 3))
    assert [line for line in lines if "replaced by a run of" in line] == [
        "  models:/generator/1: replaced by a run of calibrate"
    ]


def test_the_nearest_come_first_and_the_distance_decides() -> None:
    phashes = [0b111, 0, 0b1, 2**64 - 1]
    photos = pd.DataFrame(
        {
            "sha256": [f"{number}" * 64 for number in range(4)],
            "phash": [f"{phash:016x}" for phash in phashes],
            "split": "train",
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
