"""The manifest: a package with a changed, added, missing or linked file is refused, and the error names the file."""

import json
import os
import shutil
from pathlib import Path

import pytest

from huebands.files import manifest
from huebands.package.choose import released_sha256
from huebands.package.read import read_package
from huebands.package.schema import FILES, PackageError
from huebands.package.write import assemble, copy_package
from tiny_package import seal, write_trained


@pytest.fixture
def package(tiny_package: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_package, tmp_path / "package")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
def test_a_changed_bit_in_any_file_is_refused_by_name(package: Path, name: str) -> None:
    flip(package / name)
    with pytest.raises(PackageError, match=rf"package/{name}: sha256 \(=.*\) must be .*, which manifest\.json lists"):
        read_package(package)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("calibration.json", '"coverage": 0.', '"coverage": 0.99'),
        ("config.json", '"name": "tiny"', '"name": "grand"'),
        ("config.json", '"git_commit": "0', '"git_commit": "1'),
        ("certificate.html", "<h1>", "<h1>Perfect: "),
        ("MODEL_CARD.md", "# Tiny", "# Certified"),
    ],
)
def test_a_changed_figure_or_word_is_refused(package: Path, name: str, old: str, new: str) -> None:
    text = (package / name).read_text(encoding="utf-8")
    assert old in text
    (package / name).write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(PackageError, match=rf"{name}: sha256 .* the file was changed; take the folder from its source"):
        read_package(package)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_refused_by_name(package: Path, name: str) -> None:
    (package / name).unlink()
    with pytest.raises(PackageError, match=rf"package/{name}: missing"):
        read_package(package)


@pytest.mark.parametrize("number", [3, 4])
def test_a_package_of_any_format_is_held_by_its_manifest_or_by_a_known_hash(package: Path, number: int) -> None:
    config = json.loads((package / "config.json").read_text())
    (package / "config.json").write_text(json.dumps(config | {"format": number}))
    seal(package)
    known = read_package(package).package_sha256
    (package / "manifest.json").unlink()
    with pytest.raises(PackageError, match=r"package/manifest\.json: missing; take the folder from its source again"):
        read_package(package)
    assert read_package(package, known).package_sha256 == known
    flip(package / "MODEL_CARD.md")
    with pytest.raises(PackageError, match=r"package: package_sha256 .* must be .* its files were changed; take the"):
        read_package(package, known)


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "generator.pkl"])
def test_a_foreign_file_is_refused_by_name(package: Path, name: str) -> None:
    (package / name).touch()
    with pytest.raises(PackageError, match=rf"package/{name}: does not belong there; move it to another folder"):
        read_package(package)


def test_a_file_that_is_not_listed_is_refused_by_name(tmp_path: Path) -> None:
    write_trained(tmp_path / "trained")
    (tmp_path / "trained/MODEL_CARD.md").write_text("# Of another\n")
    with pytest.raises(PackageError, match=r"MODEL_CARD\.md: manifest\.json does not list it; move it to another"):
        read_package(tmp_path / "trained")


@pytest.mark.parametrize("listed", [True, False])
@pytest.mark.parametrize("name", [*FILES[:-1], "manifest.json"])
def test_a_link_is_refused_even_to_the_same_bytes(package: Path, tmp_path: Path, name: str, listed: bool) -> None:
    if not listed:
        (package / "manifest.json").rename(tmp_path / "manifest.json")
    moved = tmp_path / name if name == "manifest.json" and not listed else (package / name).rename(tmp_path / name)
    (package / name).symlink_to(moved)
    with pytest.raises(PackageError, match=rf"package/{name}: is a link; put the file itself there"):
        read_package(package)


def test_a_pipe_or_a_folder_in_place_of_a_file_is_refused_at_once(package: Path) -> None:
    card = package / "MODEL_CARD.md"
    for make in (os.mkfifo, os.mkdir):  # reading a pipe would wait for a writer
        card.unlink()
        make(card)
        with pytest.raises(PackageError, match=r"package/MODEL_CARD\.md: is no regular file; move it to another"):
            read_package(package)
        shutil.rmtree(card) if card.is_dir() else None


def test_a_package_may_be_reached_through_a_link(package: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(package)
    assert read_package(tmp_path / "link").package_sha256 == read_package(package).package_sha256


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_the_bytes_that_are_used_are_the_bytes_that_were_hashed(
    package: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A file that changes after its only read has no effect on what is hashed, checked or parsed."""
    original, read, opened = read_package(package), manifest._read, []

    def swap_after_read(path: Path, *arguments: object) -> bytes:
        content = read(path, *arguments)
        opened.append(path.name)
        if path.name == name:
            path.write_bytes(b"changed meanwhile")
        return content

    monkeypatch.setattr(manifest, "_read", swap_after_read)
    reread = read_package(package)
    assert sorted(opened) == sorted([*FILES, "manifest.json"]), "each file is read once"
    assert reread.package_sha256 == original.package_sha256
    assert (reread.config, reread.certificate) == (original.config, original.certificate)


def test_the_manifest_gives_the_hash_of_the_package(package: Path) -> None:
    hashes = json.loads((package / "manifest.json").read_text())["files"]
    assert set(hashes) == set(FILES)
    text = json.dumps(hashes, sort_keys=True, separators=(",", ":"))
    assert manifest.hashlib.sha256(text.encode()).hexdigest() == read_package(package).package_sha256


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", r"content \(='list'\) must be an object with the keys format and files"),
        ('{"format": 2, "files": {}}', r"format \(=2\) must be 1"),
        ('{"format": 1, "files": []}', r"files \(=\[\]\) must be an object"),
        ('{"format": 1, "files": {"config.json": "ab"}}', r"config\.json \(='ab'\) must be a sha256"),
    ],
)
def test_an_invalid_manifest_is_refused(package: Path, text: str, reason: str) -> None:
    (package / "manifest.json").write_text(text)
    with pytest.raises(PackageError, match=rf"package/manifest\.json: {reason}"):
        read_package(package)


def test_assembling_refuses_links(tiny_package: Path, tmp_path: Path) -> None:
    calibration = shutil.copytree(tiny_package.with_name("tiny-calibration"), tmp_path / "calibration")
    (tmp_path / "secret").write_text("of the machine")
    (calibration / "certificate.html").unlink()
    (calibration / "certificate.html").symlink_to(tmp_path / "secret")
    folders = [tiny_package.with_name(f"tiny-{name}") for name in ("trained", "distribution")]
    with pytest.raises(PackageError, match=r"calibration/certificate\.html: is a link"):
        assemble(tmp_path / "package", *folders, calibration, "# Tiny\n")
    assert not (tmp_path / "package").exists()


def test_a_copy_is_the_package_that_was_read(package: Path, tmp_path: Path) -> None:
    read = read_package(package)
    copy_package(read, tmp_path / "copy")
    for path in package.iterdir():
        assert (tmp_path / "copy" / path.name).read_bytes() == path.read_bytes()
    (package / "MODEL_CARD.md").write_text("# Another\n")
    seal(package)
    with pytest.raises(PackageError, match=r"package: package_sha256 .* must be .* its files were changed"):
        copy_package(read, tmp_path / "copy")
    assert read_package(tmp_path / "copy").package_sha256 == read.package_sha256


@pytest.mark.parametrize("name", ["models/trained", "models/release/photos", "models/seed"])
def test_the_packages_in_the_repository_are_sound(name: str) -> None:
    folder = Path(__file__).parents[2] / name
    assert released_sha256(folder) in (None, read_package(folder).package_sha256)
