"""Files of several pages, and large ones: a result a page, and a limit of size that is a parameter."""

import json

import pytest
from PIL import Image

from huebands import cli
from huebands.colorize.manifest import NAME
from tiny_photos import tiny_photo


@pytest.fixture
def scans(tmp_path):
    """A scan of three pages, the last a small copy of the first, and a photo of one."""
    folder = tmp_path / "scans"
    folder.mkdir()
    pages = [Image.fromarray(tiny_photo(number)) for number in range(2)]
    copy = pages[0].resize((8, 8))
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(folder / "album.tif", save_all=True, append_images=[pages[1], copy])
    Image.fromarray(tiny_photo(2)).save(folder / "cat.png")
    return folder


def colorize(package, *words):
    return cli.main(["colorize", *map(str, words), "--model", str(package), "--jobs", "1"])


def test_a_file_of_several_pages_is_told(tiny_package, scans, tmp_path, capsys):
    assert colorize(tiny_package, scans, "--output", tmp_path / "out") == 2
    assert "album.tif: has 2 pages; choose one by --page" in capsys.readouterr().err
    assert (tmp_path / "out/cat.colorized.png").exists()


def test_all_pages_have_a_result_each(tiny_package, scans, tmp_path):
    assert colorize(tiny_package, scans, "--output", tmp_path / "out", "--page", "all") == 0
    names = {path.name for path in (tmp_path / "out").glob("*.colorized.*")}
    assert names == {"album.page-1.colorized.tif", "album.page-2.colorized.tif", "cat.colorized.png"}
    lines = [json.loads(line) for line in (tmp_path / "out" / NAME).read_text().splitlines()]
    assert {(line["result"], line["page"]) for line in lines} == {
        ("album.page-1", 1),
        ("album.page-2", 2),
        ("cat", None),
    }


def test_one_page_has_the_same_name_as_among_all(tiny_package, scans, tmp_path, capsys):
    assert colorize(tiny_package, scans / "album.tif", "--output", tmp_path / "all", "--page", "all") == 0
    assert colorize(tiny_package, scans / "album.tif", "--output", tmp_path / "one", "--page", "2") == 0
    name = "album.page-2.colorized.tif"
    assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
    assert colorize(tiny_package, scans / "album.tif", "--output", tmp_path / "one", "--page", "3") == 2
    assert "album.tif: has no page 3: the last one is 2" in capsys.readouterr().err


def test_a_page_is_a_number_from_1(tiny_package, scans, capsys):
    for wrong in ("0", "last", "-1"):
        with pytest.raises(SystemExit):
            colorize(tiny_package, scans, f"--page={wrong}")
        assert f"(='{wrong}') must be an integer of at least 1" in capsys.readouterr().err


def test_the_limit_of_size_is_a_parameter(tiny_package, tmp_path, capsys, monkeypatch):
    Image.fromarray(tiny_photo(0)).resize((1200, 1000)).save(tmp_path / "large.png")
    words = (tmp_path / "large.png", "--output", tmp_path / "out")
    assert colorize(tiny_package, *words, "--max-megapixels", "1") == 2
    refusal = "has 1200 x 1000 pixels, 1.2 megapixels, and the limit is 1; raise it by --max-megapixels of the command"
    assert refusal in capsys.readouterr().err
    monkeypatch.setenv("HUEBANDS_MAX_MEGAPIXELS", "1")
    assert colorize(tiny_package, *words) == 2
    assert colorize(tiny_package, *words, "--max-megapixels", "1.2") == 0
    capsys.readouterr()
    assert colorize(tiny_package, *words, "--max-megapixels", "some") == 2
    assert "max-megapixels (='some') must be a positive number of megapixels" in capsys.readouterr().err
