"""The files of results: their format, depth and metadata are the photo's, and they say that they are a guess."""

import io
import json

import numpy as np
import pytest
import pyvips
from PIL import ExifTags, Image
from PIL.PngImagePlugin import PngInfo

from huebands import cli
from huebands.colorize import xmp
from huebands.colorize.mark import SOFTWARE, hash_of, hash_of_file, is_result
from huebands.colorize.picture_file import PictureFile
from huebands.photos.metadata import read_metadata
from huebands.photos.read import read_picture
from tiny_photos import tiny_photo

SUFFIXES = {"png": ".png", "tiff": ".tif", "jpeg": ".jpg", "webp": ".webp"}


@pytest.fixture
def colorize(tiny_package, tmp_path):
    """Colorize a photo with options into a folder; gives the exit code."""

    def run(*words):
        fixed = ("--output", tmp_path / "out", "--model", tiny_package, "--jobs", 1, "--alpha", 0.5)
        return cli.main(["colorize", *map(str, (*words, *fixed))])

    return run


@pytest.fixture
def photo(tmp_path):
    """A photo of 300 dpi with an author, as JPEG."""
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Tina Modotti", 6
    path = tmp_path / "roses.jpg"
    Image.fromarray(tiny_photo(0, 64)).resize((64, 48)).save(path, exif=exif, dpi=(300, 300), quality=95)
    return path


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_picture_has_the_format_that_is_asked_for_and_states_what_it_is(colorize, photo, tmp_path, capsys, kind):
    assert colorize(photo, "--format", kind) == 0
    path = tmp_path / f"out/roses.colorized{SUFFIXES[kind]}"
    picture, told = read_picture(path), read_metadata(path)
    assert picture.levels.shape == (64, 48, 3), "upright"
    assert told.exif[ExifTags.Base.Artist] == "Tina Modotti"
    if kind != "webp":
        assert told.dpi == pytest.approx((300, 300), abs=0.01)
    assert xmp.SOURCE_TYPE.encode() in told.xmp
    capsys.readouterr()
    assert cli.main(["inspect", "--json", str(path)]) == 0
    facts = json.loads(capsys.readouterr().out)
    report = json.loads((tmp_path / "out/roses.report.json").read_text())
    assert facts["as_written"] is True
    assert facts["ModelSHA256"] == report["model"]["package_sha256"]
    assert facts["PhotoSHA256"] == report["photo_sha256"]
    assert facts["Promise"] == report["promise"] and facts["Alpha"] == "0.5"
    assert float(facts["MeanBandWidth"]) == pytest.approx(report["mean_band_width"], rel=1e-4)
    assert float(facts["Likeness"]) == report["likeness"]["p_value"]
    assert is_result(path)


def test_the_format_is_the_photos_own_where_none_is_asked_for(colorize, photo, tmp_path):
    image = Image.open(photo)
    for name in ("a.tif", "b.png", "c.webp", "d.bmp", "e.avif"):
        image.save(tmp_path / name)
    assert colorize(*(tmp_path / name for name in ("a.tif", "b.png", "c.webp", "d.bmp", "e.avif")), photo) == 0
    names = {path.name for path in (tmp_path / "out").glob("*.colorized.*")}
    expected = {"a.colorized.tif", "b.colorized.png", "c.colorized.webp", "d.colorized.png", "e.colorized.png"}
    assert names == expected | {"roses.colorized.jpg"}


@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_sixteen_bits_stay_sixteen_bits(colorize, tmp_path, suffix):
    levels = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    path = tmp_path / f"deep{suffix}"
    Image.fromarray(levels).save(path)
    assert colorize(path) == 0
    result = tmp_path / f"out/deep.colorized{suffix}"
    written = pyvips.Image.new_from_file(str(result))
    assert (written.format, written.bands) == ("ushort", 3)
    assert read_picture(result).is_deep and is_result(result)
    assert colorize(path, "--format", "jpeg") == 0
    assert read_picture(tmp_path / "out/deep.colorized.jpg").levels.dtype == np.uint8


def test_transparency_stays_and_a_jpeg_of_it_is_refused(colorize, tmp_path, capsys):
    rgba = np.dstack((tiny_photo(1, 64), np.full((64, 64), 90, np.uint8)))
    Image.fromarray(rgba).save(tmp_path / "cut-out.png")
    assert colorize(tmp_path / "cut-out.png") == 0
    picture = read_picture(tmp_path / "out/cut-out.colorized.png")
    assert (picture.alpha_HW == 90).all()
    assert is_result(tmp_path / "out/cut-out.colorized.png")
    assert colorize(tmp_path / "cut-out.png", "--format", "jpeg") == 2
    reason = "is transparent, which a JPEG cannot be; choose --format png, tiff or webp"
    assert capsys.readouterr().err == f"huebands: {tmp_path / 'cut-out.png'}: {reason}\n"


def test_texts_are_kept_in_a_png_and_told_where_they_are_left_out(colorize, tmp_path, capsys):
    information = PngInfo()
    information.add_text("Author", "Tina Modotti")
    information.add_text("Software", "a scanner")
    path = tmp_path / "roses.png"
    Image.fromarray(tiny_photo(0, 64)).save(path, pnginfo=information)
    assert colorize(path) == 0 and "left out" not in capsys.readouterr().out
    result = tmp_path / "out/roses.colorized.png"
    texts = read_metadata(result).texts
    assert texts["Author"] == "Tina Modotti" and texts["Software"] == SOFTWARE
    assert colorize(path, "--format", "tiff", "--overwrite") == 0
    assert "; its texts (Author, Software) were left out, which a TIFF does not hold" in capsys.readouterr().out
    again = tmp_path / "again.png"
    again.write_bytes(result.read_bytes())
    assert colorize(again, "--strength", "0.5") == 0
    facts = read_metadata(tmp_path / "out/again.colorized.png").texts
    assert "Author" not in facts and facts["Photo"] == "again.png", "what a result states is not of its photo"


@pytest.mark.parametrize("kind", SUFFIXES)
def test_a_retouched_picture_is_told_and_no_longer_replaced(colorize, photo, tmp_path, capsys, kind):
    colorize(photo, "--format", kind)
    path = tmp_path / f"out/roses.colorized{SUFFIXES[kind]}"
    with Image.open(path) as image:
        image.load()
        told = {"xmp": image.info["xmp"]} if kind in ("jpeg", "webp") else {}
        pixels = np.array(image)
    pixels[10:40, 10:40] = 255 - pixels[10:40, 10:40]
    if kind == "tiff":
        told = {"tiffinfo": {700: read_metadata(path).xmp}}
    if kind == "png":
        information = PngInfo()
        information.add_itxt("XML:com.adobe.xmp", read_metadata(path).xmp.decode())
        told = {"pnginfo": information}
    Image.fromarray(pixels).save(path, **told)
    capsys.readouterr()
    assert cli.main(["inspect", str(path)]) == 1
    out = capsys.readouterr().out
    assert "a guess of Huebands; its pixels were changed since they were written" in out and "  Alpha: 0.5" in out
    assert colorize(photo, "--format", kind) == 0, "what is done is left out"
    path.with_name("roses.report.json").unlink()
    assert colorize(photo, "--format", kind) == 2
    assert "is there already and is not a result of huebands as it was written" in capsys.readouterr().err


@pytest.mark.parametrize("kind", SUFFIXES)
def test_large_pictures_are_hashed_in_parts(monkeypatch, kind):
    rgb = np.random.default_rng(0).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    whole = PictureFile(format=kind).encode(rgb)
    monkeypatch.setattr("huebands.photos.strips._PIXELS", 10_000)
    assert PictureFile(format=kind).encode(rgb) == whole
    if kind != "jpeg":
        assert hash_of_file(whole) == hash_of(rgb)
    alpha = rgb[..., 0].copy()
    if kind != "jpeg":
        assert hash_of_file(PictureFile(format=kind).encode(rgb, alpha)) == hash_of(rgb, alpha)
    if kind in ("png", "tiff"):
        deep = rgb.astype(np.uint16) * 200
        assert hash_of_file(PictureFile(format=kind).encode(deep)) == hash_of(deep)


def test_other_files_state_nothing(photo, tmp_path, capsys):
    (tmp_path / "text.png").write_text("no picture")
    assert cli.main(["inspect", str(photo), str(tmp_path / "text.png"), str(tmp_path / "none.png")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert "states nothing of Huebands: it is no result, or its metadata were removed" in lines[0]
    assert "text.png: cannot be read as a picture" in lines[1]
    assert "none.png: No such file or directory" in lines[2]


def test_damaged_xmp_is_left_out_and_told(colorize, tmp_path, capsys):
    buffer = io.BytesIO()
    Image.fromarray(tiny_photo(0, 64)).save(buffer, "JPEG", xmp=b"<x:xmpmeta> not closed")
    (tmp_path / "odd.jpg").write_bytes(buffer.getvalue())
    assert colorize(tmp_path / "odd.jpg") == 0
    assert "; its XMP is damaged and was left out" in capsys.readouterr().out
    (line,) = (tmp_path / "out/huebands.jsonl").read_text().splitlines()
    assert json.loads(line)["lost"] == ["its XMP is damaged and was left out"]


def test_the_photos_own_xmp_is_kept_and_what_is_ours_is_stated_once():
    theirs = (
        b'<?xpacket begin="" id="x"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        b' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6">'
        b"<dc:source>Album 7</dc:source></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    )
    once = xmp.join(theirs, "Huebands 1", {"Alpha": "0.1", "Photo": "a & b\0<c>"})
    twice = xmp.join(once, "Huebands 2", {"Alpha": "0.2"})
    assert b"Album 7" in twice and b"Orientation" not in twice
    assert twice.count(b"CreatorTool>Huebands") == 1 and b"Huebands 1" not in twice
    assert xmp.properties_of(once) == {"Alpha": "0.1", "Photo": "a & b\ufffd<c>"}
    assert xmp.properties_of(twice) == {"Alpha": "0.2"}


def test_xmp_that_could_grow_without_limit_is_not_read():
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x>&b;</x>'
    assert not xmp.is_readable(bomb)
    with pytest.raises(xmp.XmpError, match="it declares a type of document"):
        xmp.join(bomb, "Huebands 1", {})
