"""config.json of every format becomes the same dataclasses, and the packages of the repository are read."""

import json
from pathlib import Path

import pytest

from huebands.package.choose import read_index
from huebands.package.schema import FORMATS, PackageError, check_config, parse_config
from tiny_package import tiny_config

MODELS = Path(__file__).parents[2] / "models"
PACKAGES = [path.parent for path in sorted(MODELS.rglob("config.json"))]


def test_every_readable_format_has_a_package_in_the_repository() -> None:
    assert {json.loads((folder / "config.json").read_text())["format"] for folder in PACKAGES} == set(FORMATS)


@pytest.mark.parametrize("folder", PACKAGES, ids=lambda folder: folder.relative_to(MODELS).as_posix())
def test_the_configurations_of_the_repository_are_read_in_the_current_form(folder: Path) -> None:
    values, config = parse_config(folder / "config.json", (folder / "config.json").read_bytes())
    assert config.network.name == values["network"]["name"].replace("-", "_")
    assert config.lineage.params == values["lineage"]["params"]


def test_earlier_formats_become_the_same_configuration() -> None:
    newest = check_config(Path("config.json"), tiny_config())
    oldest = tiny_config() | {"format": 2}
    del oldest["network"]["norm"]
    migrated = check_config(Path("config.json"), oldest)
    assert (migrated.network, migrated.preprocessing) == (newest.network, newest.preprocessing)


def test_an_unknown_key_of_any_section_is_named() -> None:
    config = tiny_config()
    config["lineage"]["place"] = "here"
    with pytest.raises(PackageError, match=r"^config\.json: lineage\.place \(='here'\) must be left out: known keys"):
        check_config(Path("config.json"), config)


def test_the_index_of_the_repository_names_a_released_package() -> None:
    index = read_index(MODELS / "release/index.json")
    assert (MODELS / "release" / index.best / "config.json").is_file()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"best": "a", "packages": {}}', "best (='a') must be one of"),
        ('{"best": "a", "packages": {"a": {"lpips": 0.2}}}', "packages.a.package_sha256 is missing"),
        ('{"best": "a", "packages": []}', "packages (=[]) must be a mapping"),
        ("[" * 100_000, "cannot be read"),
    ],
)
def test_a_wrong_index_is_named_with_its_key(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(PackageError) as caught:
        read_index(tmp_path / "index.json")
    assert f"{tmp_path / 'index.json'}: {problem}" in str(caught.value) and "take it from git again" in str(
        caught.value
    )
