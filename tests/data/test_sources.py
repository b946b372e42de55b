"""Photos come out of wheels, folders and git, and ingest keeps each usable one once."""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from huebands.data.assignments import path_of
from huebands.data.params import FolderSource, GitSource, PackageSource
from huebands.data.sources import SourceError, SourcePhoto, open_source, select
from huebands.fetch.pypi import FetchError, fetch_package
from huebands.photos.write import encode_png
from huebands.stages.ingest import ingest

ROOT = Path(__file__).parents[2]


def photo(seed: int) -> bytes:
    """A small PNG, different for every seed."""
    return encode_png(np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8))


def write(path: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def folder_source(path: Path, *patterns: str) -> FolderSource:
    return FolderSource(path=str(path), licence="CC0", patterns=patterns or ("**/*",))


# Folder


@pytest.fixture
def mixed_folder(tmp_path: Path) -> Path:
    """Photos of several formats, and what people's folders hold beside them."""
    folder = tmp_path / "mine"
    pixels = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    write(folder / "a.png", photo(1))
    write(folder / "b" / "same bytes.png", photo(1))
    Image.fromarray(pixels).save(folder / "b" / "same pixels.tif")
    Image.fromarray(pixels).save(folder / "c.JPG", quality=90)
    write(folder / "d.png", photo(4)[:60])
    write(folder / "notes.txt", b"not a photo")
    write(folder / "empty.jpg", b"")
    return folder


def test_a_folder_is_ingested_with_reasons_for_what_is_left_out(mixed_folder: Path, tmp_path: Path) -> None:
    index, rejected = ingest([open_source(folder_source(mixed_folder))], tmp_path / "raw")
    first = hashlib.sha256(photo(1)).hexdigest()
    assert index["name"].tolist() == ["a.png", "c.JPG"]
    row = index.iloc[0]
    assert (row["id"], row["sha256"], row["file"]) == (first[:16], first, f"photos/{first[:16]}.png")
    assert (row["width"], row["height"], row["licence"]) == (7, 9, "CC0")
    assert index.iloc[1]["file"].endswith(".jpg")
    reasons = dict(zip(rejected["name"], rejected["reason"], strict=True))
    assert reasons["b/same bytes.png"] == f"same bytes as {first[:16]}"
    assert reasons["b/same pixels.tif"] == f"same pixels as {first[:16]}"
    assert reasons["empty.jpg"] == "is empty"
    assert reasons["notes.txt"].startswith("is not an image")
    assert reasons["d.png"].startswith("cannot be read")
    assert len(reasons) == 5


def test_ingest_writes_original_bytes_and_the_tables_it_returns(mixed_folder: Path, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    index, rejected = ingest([open_source(folder_source(mixed_folder))], raw)
    for row in index.itertuples():
        assert (raw / row.file).read_bytes() == (mixed_folder / row.name).read_bytes()
    assert len(list((raw / "photos").iterdir())) == len(index)
    pd.testing.assert_frame_equal(pd.read_parquet(raw / "index.parquet"), index)
    pd.testing.assert_frame_equal(pd.read_csv(raw / "rejected.csv"), rejected)


def test_ingest_is_the_same_byte_for_byte(mixed_folder: Path, tmp_path: Path) -> None:
    def digests(raw: Path) -> dict[str, str]:
        ingest([open_source(folder_source(mixed_folder))], raw)
        files = (item for item in raw.rglob("*") if item.is_file())
        return {str(item.relative_to(raw)): hashlib.sha256(item.read_bytes()).hexdigest() for item in files}

    write(tmp_path / "two" / "photos" / "left-over.png", b"of an earlier run")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_a_later_source_repeats_nothing_of_an_earlier_one(tmp_path: Path) -> None:
    for name, seeds in {"first": (1, 2), "second": (2, 3)}.items():
        for seed in seeds:
            write(tmp_path / name / f"{seed}.png", photo(seed))
    sources = [open_source(folder_source(tmp_path / name)) for name in ("first", "second")]
    index, rejected = ingest(sources, tmp_path / "raw")
    assert index["name"].tolist() == ["1.png", "2.png", "3.png"]
    assert rejected["source"].tolist() == [str(tmp_path / "second")]


def test_same_pixel_bytes_in_another_shape_are_another_photo(tmp_path: Path) -> None:
    for shape in ((4, 6, 3), (6, 4, 3)):
        write(tmp_path / "in" / f"{shape[0]}.png", encode_png(np.full(shape, 9, np.uint8)))
    index, _ = ingest([open_source(folder_source(tmp_path / "in"))], tmp_path / "raw")
    assert len(index) == 2


def test_what_is_not_followed_is_listed(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    write(folder / "a.png", photo(1))
    write(elsewhere / "b.png", photo(2))
    (folder / "album").symlink_to(elsewhere)
    (folder / "link.png").symlink_to(elsewhere / "b.png")
    (folder / "lost.png").symlink_to("nowhere.png")
    (folder / "round").symlink_to("round")
    os.mkfifo(folder / "pipe")
    index, rejected = ingest([open_source(folder_source(folder, "*.png"))], tmp_path / "raw")
    assert index["name"].tolist() == ["a.png", "link.png"]
    assert dict(zip(rejected["name"], rejected["reason"], strict=True)) == {
        "album": "is a link to a folder, not followed",
        "lost.png": "is a link to no file",
        "pipe": "is not a file",
        "round": "is a link to no file",
    }


def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.png", photo(1))
    write(tmp_path / "private/b.png", photo(2))
    scandir = os.scandir
    for refused in (tmp_path / "private", tmp_path):  # root, who may run the tests, can list every folder

        def fake(path: str | Path, refused: Path = refused) -> object:
            if Path(path) == refused:
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            return scandir(path)

        monkeypatch.setattr(os, "scandir", fake)
        words = rf"^{refused} cannot be read \(Permission denied\); change its permissions, or move it out of "
        with pytest.raises(SourceError, match=words):
            open_source(folder_source(tmp_path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.png", photo(1))

    def fake(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    source = open_source(folder_source(tmp_path))
    monkeypatch.setattr(Path, "read_bytes", fake)
    with pytest.raises(SourceError, match=r"a\.png cannot be read \(Permission denied\); change its"):
        list(source.photos())


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path / os.fsdecode(b"a\xff.png"), photo(1))
    with pytest.raises(SourceError, match=r"the name 'a\\udcff\.png' is not UTF-8; rename the file"):
        open_source(folder_source(tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nowhere is not a folder"):
        open_source(folder_source(tmp_path / "nowhere"))


# Patterns


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.JPEG", ["b.JPEG"]),
        ("**/*.jpg", ["a.jpg", "in/c.jpg", "in/deep/d.jpg"]),
        ("in/*.jpg", ["in/c.jpg"]),
        ("in/**/*.jpg", ["in/c.jpg", "in/deep/d.jpg"]),
        ("**/*", ["a.jpg", "b.JPEG", "in/c.jpg", "in/deep/d.jpg"]),
        ("[ab].*", ["a.jpg", "b.JPEG"]),
    ],
)
def test_patterns_match_from_the_root(pattern: str, expected: list[str]) -> None:
    names = ["in/deep/d.jpg", "in/c.jpg", "b.JPEG", "a.jpg"]
    assert select(names, [pattern], "here") == expected


def test_a_pattern_matches_files_and_not_what_lies_below_a_folder_of_that_name() -> None:
    names = ["images/x.jpg", "images/x.jpg/y", "images/deep/z.jpg", "other/images/x.jpg"]
    assert select(names, ["images/*.jpg"], "here") == ["images/x.jpg"]


def test_names_may_hold_spaces_and_what_other_pattern_languages_treat_specially() -> None:
    names = ["train-scene classification/train/1.jpg", "!a.jpg", "#b.jpg", "c.jpg "]
    for name in names:
        assert select(names, [name.replace("1.jpg", "*.jpg")], "here") == [name]


def test_a_pattern_without_a_match_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"here: none of its 1 files matches the pattern '\*\.jgp'"):
        select(["a.jpg"], ["*.jpg", "*.jgp"], "here")


# Package


def wheel_source(cache: Path, objects: object, metadata: str = "toy/objects.json") -> PackageSource:
    """Make a wheel and put it where `fetch_package` keeps what it has fetched."""
    wheel = cache / "toy-1.0-py3-none-any.whl"
    cache.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("toy/__init__.py", "raise SystemExit('data is never imported')")
        for seed in (10, 11, 12, 13):
            archive.writestr(f"toy/data/{seed}.png", photo(seed))
        archive.writestr("toy/objects.json", objects if isinstance(objects, str) else json.dumps(objects))
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    (cache / sha256).mkdir()
    wheel.rename(cache / sha256 / wheel.name)
    return PackageSource(
        requirement="toy==1.0", sha256=sha256, patterns=("toy/data/*.png",), metadata=metadata, licence="CC0"
    )


def test_a_wheel_gives_photos_with_title_and_artist(tmp_path: Path) -> None:
    entries = [
        {"objectID": 10, "title": "Irises", "artistDisplayName": "Vincent van Gogh", "isPublicDomain": True},
        {"objectID": 11, "title": "Later", "artistDisplayName": None, "isPublicDomain": False},
        {"objectID": 12, "title": "Nobody says"},
    ]
    source = open_source(wheel_source(tmp_path / "cache", {"total": 2, "objects": entries}), tmp_path / "cache")
    photos = list(source.photos())
    assert photos[0] == SourcePhoto("toy/data/10.png", photo(10), "CC0", "Irises", "Vincent van Gogh")
    index, rejected = ingest([source], tmp_path / "raw")
    assert index[["source", "name", "title", "artist"]].values.tolist() == [
        ["toy==1.0", "toy/data/10.png", "Irises", "Vincent van Gogh"]
    ]
    assert rejected["reason"].tolist() == [
        "not in the public domain, says toy/objects.json",
        "not in the public domain, says toy/objects.json",
        "not listed in toy/objects.json, so its licence is unknown",
    ]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel, the only one that pip finds."""
    wheel = tmp_path / "index/some-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("some-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: some\nVersion: 1.0\n")
        archive.writestr("some-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("some-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    return wheel


FETCH = """
import sys
from pathlib import Path
from huebands.fetch.pypi import FetchError, fetch_package

sys.stdin.readline()
print(fetch_package("some==1.0", sys.argv[1], Path(sys.argv[2])))
"""


def test_several_processes_may_fetch_the_same_package(index: Path, tmp_path: Path) -> None:
    sha256, cache = hashlib.sha256(index.read_bytes()).hexdigest(), tmp_path / "cache"
    write(cache / sha256 / index.name, b"damaged")
    command = [sys.executable, "-c", FETCH, sha256, str(cache)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        printed, errors = process.communicate(timeout=60)
        assert (printed.strip(), errors) == (str(cache / sha256 / index.name), "")
    assert [path.read_bytes() for path in (cache / sha256).iterdir()] == [index.read_bytes()]
    assert [path.name for path in cache.iterdir()] == [sha256]


def test_who_reads_the_cache_is_not_disturbed(index: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(index.read_bytes()).hexdigest()
    wheel = tmp_path / sha256 / index.name
    write(wheel, b"damaged")
    with wheel.open("rb") as reader:
        assert fetch_package("some==1.0", sha256, tmp_path) == wheel
        assert reader.read() == b"damaged"
    assert wheel.read_bytes() == index.read_bytes()
    sound, before = wheel.stat(), (wheel.parent / "notes").write_bytes(b"of somebody")
    index.unlink()
    assert fetch_package("some==1.0", sha256, tmp_path) == wheel
    assert os.path.samestat(sound, wheel.stat()) and (wheel.parent / "notes").stat().st_size == before


def test_a_package_that_cannot_be_fetched_leaves_the_cache_as_it_was(index: Path, tmp_path: Path) -> None:
    write(tmp_path / ("0" * 64) / "some.whl", b"damaged")
    with pytest.raises(FetchError, match=r"pip cannot fetch some==1\.0 with sha256 0{64}:\n.*"):
        fetch_package("some==1.0", "0" * 64, tmp_path)
    assert (tmp_path / ("0" * 64) / "some.whl").read_bytes() == b"damaged"


def test_a_wheel_without_metadata_gives_every_photo(tmp_path: Path) -> None:
    source = open_source(wheel_source(tmp_path / "cache", {}, metadata=""), tmp_path / "cache")
    assert [(item.licence, item.title, item.refusal) for item in source.photos()] == [("CC0", "", "")] * 4


@pytest.mark.parametrize("objects", ["{", "[]", '{"objects": [{"title": "no id"}]}'])
def test_unreadable_metadata_is_named(tmp_path: Path, objects: str) -> None:
    with pytest.raises(SourceError, match=r"metadata toy/objects\.json cannot be read"):
        open_source(wheel_source(tmp_path / "cache", objects), tmp_path / "cache")


def test_missing_metadata_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"metadata toy/other\.json cannot be read"):
        open_source(wheel_source(tmp_path / "cache", {}, "toy/other.json"), tmp_path / "cache")


# Git

URL = "https://example.invalid/people/photos"


@dataclasses.dataclass
class Remote:
    """A repository that `URL` leads to."""

    folder: Path
    revision: str = ""

    def git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.invalid"]
        command = ["git", "-C", str(self.folder), *identity, *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def object_file(self, path: str) -> Path:
        """Where git keeps the content of a file of HEAD."""
        object_id = self.git("rev-parse", f"HEAD:{path}")
        return self.folder / ".git" / "objects" / object_id[:2] / object_id[2:]


@pytest.fixture
def remote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Remote:
    """Two photos at the pinned revision, one of which is gone later, beside files nobody asked for."""
    made = Remote(tmp_path / "remote")
    made.folder.mkdir()
    made.git("init", "--quiet")
    write(made.folder / "images" / "train" / "a.png", photo(1))
    write(made.folder / "images" / "train" / "größe\n2.png", photo(2))
    write(made.folder / "large.bin", os.urandom(200_000))
    (made.folder / "images" / "train" / "link.png").symlink_to("a.png")
    made.git("add", ".")
    made.git("commit", "--quiet", "-m", "photos")
    made.revision = made.git("rev-parse", "HEAD")
    made.git("rm", "--quiet", "images/train/a.png")
    made.git("commit", "--quiet", "-m", "a is gone")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", f"url.{made.folder.as_uri()}.insteadOf")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", URL)
    return made


def git_source(revision: str, *patterns: str) -> GitSource:
    return GitSource(url=URL, revision=revision, patterns=patterns or ("images/*/*.png",), licence="MIT")


def test_git_gives_the_pinned_revision(remote: Remote, tmp_path: Path) -> None:
    source = open_source(git_source(remote.revision), tmp_path / "cache")
    photos = {item.name: item for item in source.photos()}
    assert list(photos) == ["images/train/a.png", "images/train/größe\n2.png"]  # no symbolic link
    assert photos["images/train/a.png"].content == photo(1)
    assert photos["images/train/a.png"].licence == "MIT"
    assert source.name == f"{URL}@{remote.revision}"


def test_git_fetches_nothing_that_was_not_asked_for(remote: Remote, tmp_path: Path) -> None:
    list(open_source(git_source(remote.revision), tmp_path / "cache").photos())
    cached = sum(item.stat().st_size for item in (tmp_path / "cache").rglob("*") if item.is_file())
    assert cached < 150_000


def test_git_works_with_a_mirror_that_lacks_unwanted_files(remote: Remote, tmp_path: Path) -> None:
    remote.object_file("large.bin").unlink()
    source = open_source(git_source(remote.revision), tmp_path / "cache")
    assert len(list(source.photos())) == 2


def test_git_names_a_mirror_that_lacks_wanted_files(remote: Remote, tmp_path: Path) -> None:
    remote.object_file("images/train/größe\n2.png").unlink()
    with pytest.raises(SourceError, match=f"cannot read {URL} at revision {remote.revision}: .+"):
        open_source(git_source(remote.revision), tmp_path / "cache")


def test_git_names_a_file_that_its_cache_has_lost(remote: Remote, tmp_path: Path) -> None:
    source = open_source(git_source(remote.revision), tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(SourceError, match=f"cannot read {URL} at revision {remote.revision}: .+"):
        list(source.photos())


def test_git_needs_no_network_the_second_time(remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = list(open_source(git_source(remote.revision), tmp_path / "cache").photos())
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nothing leads anywhere now")
    assert list(open_source(git_source(remote.revision), tmp_path / "cache").photos()) == first


def test_git_adds_a_wider_pattern_or_another_revision_to_its_cache(remote: Remote, tmp_path: Path) -> None:
    list(open_source(git_source(remote.revision, "images/train/a.png"), tmp_path / "cache").photos())
    both = list(open_source(git_source(remote.revision), tmp_path / "cache").photos())
    assert len(both) == 2
    later = open_source(git_source(remote.git("rev-parse", "HEAD")), tmp_path / "cache")
    assert [item.content for item in later.photos()] == [photo(2)]


CLONE = """
import sys
from pathlib import Path
from huebands.fetch.git import PinnedRepository

repository = PinnedRepository(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
files = repository.list_files()
repository.fetch_objects(files.values())
print(sum(map(len, repository.read_objects(files.values()))))
"""


def test_git_is_shared_by_several_processes(remote: Remote, tmp_path: Path) -> None:
    command = [sys.executable, "-c", CLONE, URL, remote.revision, str(tmp_path / "cache")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    read = [process.communicate(timeout=60) for process in processes]
    assert len(set(read)) == 1 and read[0][1] == ""


def test_git_completes_a_clone_that_was_killed(remote: Remote, tmp_path: Path) -> None:
    list(open_source(git_source(remote.revision), tmp_path / "cache").photos())
    (clone,) = (tmp_path / "cache/git").iterdir()
    shutil.rmtree(clone / "refs")
    (clone / "config").unlink()
    assert len(list(open_source(git_source(remote.revision), tmp_path / "cache").photos())) == 2


def test_git_is_not_misled_by_a_surrounding_repository(
    remote: Remote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    repository = Remote(tmp_path / "mine")
    repository.git("init", "--quiet")
    before = (repository.folder / ".git" / "config").read_bytes()
    monkeypatch.setenv("GIT_DIR", str(repository.folder / ".git"))  # as in a git hook that runs the pipeline
    assert len(list(open_source(git_source(remote.revision), tmp_path / "cache").photos())) == 2
    assert (repository.folder / ".git" / "config").read_bytes() == before


@pytest.mark.parametrize("revision", ["main", "v1.0", "a1b2c3d", "", "A" * 40, "--upload-pack=touch x"])
def test_git_wants_a_full_commit_hash(tmp_path: Path, revision: str) -> None:
    with pytest.raises(SourceError, match="the revision must be a full commit hash"):
        open_source(git_source(revision), tmp_path)


def test_git_names_an_unknown_revision_and_an_unreachable_url(remote: Remote, tmp_path: Path) -> None:
    unknown = "0123456789" * 4
    with pytest.raises(SourceError, match=f"cannot read {URL} at revision {unknown}: .+"):
        open_source(git_source(unknown), tmp_path / "cache")
    gone = dataclasses.replace(git_source(unknown), url=str(tmp_path / "gone"))
    with pytest.raises(SourceError, match=f"cannot read {tmp_path / 'gone'} at revision .+: .+"):
        open_source(gone, tmp_path / "cache")


# The stage


def run_stage(folder: Path, data: object) -> subprocess.CompletedProcess[str]:
    values = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    (folder / "params.yaml").write_text(yaml.safe_dump({**values, "data": data}), encoding="utf-8")
    command = [sys.executable, "-m", "huebands.stages.ingest"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_stage_writes_data_raw_and_says_what_it_left_out(mixed_folder: Path, tmp_path: Path) -> None:
    remembered = hashlib.sha256((mixed_folder / "b" / "same pixels.tif").read_bytes()).hexdigest()[:16]
    line = f"{remembered},{'0' * 16},{remembered},train"
    write(tmp_path / path_of("mine"), f"# split by {{}}\nid,phash,group,split\n{line}\n".encode())
    source = {"kind": "folder", "path": "mine", "licence": "CC0"}
    done = run_stage(tmp_path, {"name": "mine", "watch": "mine", "sources": [source]})
    assert done.returncode == 0, done.stderr
    assert "mine: 2 photos taken, 5 files left out" in done.stdout
    assert "empty.jpg: is empty" in done.stderr
    index = pd.read_parquet(tmp_path / "data" / "raw" / "index.parquet")
    assert index["name"].tolist() == ["b/same pixels.tif", "c.JPG"], "of equal pixels the remembered photo is taken"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("absent", "ingest: absent is not a folder; put your photos there"),
        ("empty", "ingest: empty holds no file; put your photos there"),
        ("text", "ingest: none of the 1 files of text is a photo"),
    ],
)
def test_the_stage_ends_with_one_line(tmp_path: Path, path: str, words: str) -> None:
    write(tmp_path / "text" / "notes.txt", b"not a photo")
    (tmp_path / "empty").mkdir()
    source = {"kind": "folder", "path": path, "licence": "CC0"}
    done = run_stage(tmp_path, {"name": "mine", "watch": ".", "sources": [source]})
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(words)
    assert "Traceback" not in done.stderr
