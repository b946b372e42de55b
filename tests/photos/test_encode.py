"""Written files have the right pixels, profile, resolution and metadata; exiftool reads them as a second reader."""

import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from huebands.photos.encode import SUFFIX, EncodingError, encode, format_of, srgb_profile
from huebands.photos.metadata import Metadata, read_metadata
from huebands.photos.read import read_picture

FORMATS = tuple(SUFFIX)
SOFTWARE = "Huebands 1"
IPTC = b"\x1c\x02\x50\x00\x0bM. Modotti.\x1c\x02\x5a\x00\x06Mexico"  # author and city


def colours(dtype: type = np.uint8, channels: int = 3) -> np.ndarray:
    full = np.iinfo(dtype).max
    return np.random.default_rng(0).integers(0, full + 1, (24, 32, channels), dtype=dtype)


def scan() -> bytes:
    """A TIFF of 300 dpi, lying on its side, with author, dates, place, IPTC and XMP."""
    tags = ImageFileDirectory_v2()
    tags[ExifTags.Base.Artist], tags[ExifTags.Base.ImageDescription] = "Tina Modotti", "Roses"
    tags[ExifTags.Base.Orientation], tags[ExifTags.Base.DateTime] = 6, "1924:05:06 07:08:09"
    tags[ExifTags.IFD.Exif] = {
        ExifTags.Base.DateTimeOriginal: "1924:05:06 07:08:09",
        ExifTags.Base.ISOSpeedRatings: 50,
        ExifTags.Base.ExifImageWidth: 9999,
    }
    tags[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (19.0, 25.0, 57.0)}
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:source>Album 7</dc:source>'
        b"</rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    buffer = io.BytesIO()
    tags[700], tags[33723] = xmp, IPTC
    Image.fromarray(colours()).save(buffer, "TIFF", dpi=(300, 300), tiffinfo=tags)
    return buffer.getvalue()


def metadata() -> Metadata:
    found = read_metadata(scan())
    assert found.lost == ()
    return found


def test_the_metadata_of_a_scan_are_read() -> None:
    found = metadata()
    assert found.dpi == (300.0, 300.0)
    assert found.exif[ExifTags.Base.Artist] == "Tina Modotti"
    assert ExifTags.Base.Orientation not in found.exif
    assert found.iptc is not None and found.iptc.startswith(IPTC)
    assert found.xmp is not None and b"Album 7" in found.xmp


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_pixels_are_those_of_the_file(kind: str, dtype: type) -> None:
    rgb = colours(dtype)
    picture = read_picture(encode(rgb, kind))
    expected = rgb if dtype is np.uint8 or kind in ("png", "tiff") else np.rint(rgb / 257).astype(np.uint8)
    assert picture.levels.dtype == expected.dtype
    if kind == "jpeg":
        assert np.abs(picture.levels.astype(int) - expected).mean() < 4
    else:
        np.testing.assert_array_equal(picture.levels, expected)


@pytest.mark.parametrize("kind", ["png", "tiff", "webp"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_kept(kind: str, dtype: type) -> None:
    rgba = colours(dtype, 4)
    picture = read_picture(encode(rgba[..., :3].copy(), kind, rgba[..., 3].copy()))
    alpha = rgba[..., 3] if picture.is_deep or dtype is np.uint8 else np.rint(rgba[..., 3] / 257)
    np.testing.assert_array_equal(picture.alpha_HW, alpha)


def test_a_jpeg_is_never_transparent() -> None:
    with pytest.raises(
        EncodingError, match="is transparent, which a JPEG cannot be; choose --format png, tiff or webp"
    ):
        encode(colours(), "jpeg", colours()[..., 0])


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_second_reader_finds_what_the_scan_told(kind: str, dtype: type, tmp_path: Path) -> None:
    if shutil.which("exiftool") is None:
        pytest.skip("exiftool is not installed: apt-get install libimage-exiftool-perl")
    path = tmp_path / f"roses{SUFFIX[kind]}"
    path.write_bytes(encode(colours(dtype), kind, metadata=metadata(), software=SOFTWARE))
    words = ["exiftool", "-json", "-n", "-G1", str(path)]
    (found,) = json.loads(subprocess.run(words, capture_output=True, check=True, text=True).stdout)
    told = {name.split(":")[-1]: value for name, value in found.items()}
    assert "Warning" not in told and "Error" not in told
    assert told["Artist"] == "Tina Modotti" and told["ImageDescription"] == "Roses"
    assert told["DateTimeOriginal"] == "1924:05:06 07:08:09" and told["ISO"] == 50
    assert told["GPSLatitude"] == pytest.approx(19 + 25 / 60 + 57 / 3600)
    assert told["Source"] == "Album 7"
    assert told["Software"] == SOFTWARE
    assert told["XResolution"] == pytest.approx(300)
    assert told.get("Orientation", 1) == 1
    assert (told["ExifImageWidth"], told["ExifImageHeight"]) == (32, 24)
    assert told["ProfileDescription"].startswith("sRGB")
    if kind != "webp":
        assert told["City"] == "Mexico"
        assert told["By-line"] == "M. Modotti."
    with Image.open(path) as image:
        if kind != "webp":
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.01)


@pytest.mark.parametrize("kind", FORMATS)
def test_what_is_written_is_read_again(kind: str) -> None:
    again = read_metadata(encode(colours(), kind, metadata=metadata()))
    assert again.lost == ()
    assert again.exif[ExifTags.Base.Artist] == "Tina Modotti"
    assert again.camera[ExifTags.Base.ISOSpeedRatings] == 50
    assert again.xmp is not None and b"Album 7" in again.xmp
    if kind != "webp":
        assert again.iptc is not None and again.iptc.startswith(IPTC)


def png_with_texts() -> bytes:
    information, buffer = PngInfo(), io.BytesIO()
    information.add_text("Author", "Tina Modotti")
    information.add_text("Comment", "Gästebuch", zip=True)  # of Latin-1
    information.add_itxt("Title", "薔薇", zip=True)
    information.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    information.add_text("Raw profile type exif", "\nexif\n       0\n")
    Image.fromarray(colours()).save(buffer, "PNG", pnginfo=information)
    return buffer.getvalue()


def test_texts_of_a_png_are_kept_in_a_png_and_its_comment_in_a_jpeg() -> None:
    found = read_metadata(png_with_texts())
    assert found.texts == {"Author": "Tina Modotti", "Comment": "Gästebuch", "Title": "薔薇"} and found.lost == ()
    png = encode(colours(), "png", metadata=found, texts={"Software": SOFTWARE, "Author": "ours"})
    assert read_metadata(png).texts == {**found.texts, "Author": "ours", "Software": SOFTWARE}
    jpeg = encode(colours(), "jpeg", metadata=found)
    assert read_metadata(jpeg).texts == {"Comment": "Gästebuch"}
    if shutil.which("exiftool") is not None:
        for content, told in ((png, {"Title": "薔薇", "Comment": "Gästebuch"}), (jpeg, {"Comment": "Gästebuch"})):
            words = ["exiftool", "-json", "-"]
            (read,) = json.loads(subprocess.run(words, input=content, capture_output=True, check=True).stdout)
            assert {name: read[name] for name in told} == told and "Warning" not in read


def test_a_comment_of_latin_1_is_kept() -> None:
    buffer = io.BytesIO()
    Image.fromarray(colours()).save(buffer, "JPEG", comment="Gästebuch".encode("latin-1"))
    assert read_metadata(encode(colours(), "jpeg", metadata=read_metadata(buffer.getvalue()))).texts == {
        "Comment": "Gästebuch"
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_equal_pictures_are_equal_bytes(kind: str) -> None:
    assert encode(colours(), kind, metadata=metadata()) == encode(colours(), kind, metadata=metadata())


def test_the_profile_is_srgb() -> None:
    profile = ImageCms.ImageCmsProfile(io.BytesIO(srgb_profile()))
    assert ImageCms.getProfileDescription(profile).startswith("sRGB")


def test_damaged_metadata_are_named_and_the_rest_is_kept() -> None:
    buffer = io.BytesIO()
    information = Image.new("RGB", (8, 8))
    information.save(buffer, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\0\0", dpi=(96, 96))
    found = read_metadata(buffer.getvalue())
    assert found.dpi == (96, 96)


def test_a_result_has_the_format_of_its_photo() -> None:
    formats = {name: format_of(name) for name in ("JPEG", "MPO", "TIFF", "WEBP", "PNG", "HEIF", "JPEG2000", "GIF")}
    assert formats == {
        "JPEG": "jpeg",
        "MPO": "jpeg",
        "TIFF": "tiff",
        "WEBP": "webp",
        "PNG": "png",
        "HEIF": "png",
        "JPEG2000": "png",
        "GIF": "png",
    }


@pytest.mark.parametrize("kind", FORMATS)
def test_texts_of_any_encoding_and_tags_of_any_type_are_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Rating] = "Frédéric".encode(), 4
    exif[ExifTags.Base.XPComment] = "grüß".encode("utf-16-le")
    buffer = io.BytesIO()
    Image.fromarray(colours()).save(buffer, "JPEG", exif=exif)
    content = encode(colours(), kind, metadata=read_metadata(buffer.getvalue()))
    assert "Frédéric".encode() in content
    assert "grüß".encode("utf-16-le") in content
    again = read_metadata(content)
    assert again.exif[ExifTags.Base.Rating] == 4 and again.lost == ()


def test_metadata_behind_the_pixels_of_a_png_are_read() -> None:
    content = encode(colours(), "png", metadata=metadata())
    (packet,) = re.findall(rb"....iTXt.*?(?=....iCCP|....eXIf|....pHYs|....tEXt|....zTXt|....IDAT)", content, re.DOTALL)
    behind = content.replace(packet, b"").replace(content[-12:], packet + content[-12:])
    assert Image.open(io.BytesIO(behind)).info.get("xmp") is None, "not before the pixels are read"
    found = read_metadata(behind)
    assert found.xmp is not None and b"Album 7" in found.xmp


@pytest.mark.parametrize(("kind", "width"), [("jpeg", 70_000), ("webp", 17_000)])
def test_a_picture_that_is_too_wide_for_a_format_is_refused(kind: str, width: int) -> None:
    with pytest.raises(EncodingError, match=f"cannot be written as {kind.upper()}: "):
        encode(np.zeros((1, width, 3), np.uint8), kind)
