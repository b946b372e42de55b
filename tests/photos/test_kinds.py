"""Every kind of file that scanners, phones and archives write has the right values."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms
from pillow_heif import from_bytes, from_pillow

from corpus import png_chunk
from huebands.photos.errors import ImageError
from huebands.photos.formats import open_image
from huebands.photos.grey import grey_of
from huebands.photos.read import read_photo, read_picture
from huebands.photos.structure import MAX_TILES

HEIGHT, WIDTH = 40, 64


def smooth(bits: int = 8, channels: int = 3) -> np.ndarray:
    """A smooth picture whose levels fill the range, (H, W, C) or (H, W)."""
    down, right = np.mgrid[0:HEIGHT, 0:WIDTH]
    unit = np.stack([(down * WIDTH + right) / (HEIGHT * WIDTH - 1), right / (WIDTH - 1), down / (HEIGHT - 1)], axis=-1)
    levels = np.rint(unit * (2**bits - 1)).astype(np.uint8 if bits == 8 else np.uint16)
    return levels if channels == 3 else np.ascontiguousarray(levels[..., 0])


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def by_vips(levels: np.ndarray, suffix: str, interpretation: str | None = None, **options: object) -> bytes:
    image = pyvips.Image.new_from_array(levels)
    if interpretation is not None:
        image = image.copy(interpretation=interpretation)
    return bytes(image.write_to_buffer(suffix, **options))


def heif_bytes(levels: np.ndarray, mode: str = "RGB", **options: object) -> bytes:
    buffer = io.BytesIO()
    heif = from_bytes(mode, (levels.shape[1], levels.shape[0]), levels.tobytes())
    heif.save(buffer, quality=-1, chroma=444, matrix_coefficients=0, **options)
    return buffer.getvalue()


def big_endian(levels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, levels, byteorder=">", photometric="rgb")
    return buffer.getvalue()


TIFFS: dict[str, Callable[[np.ndarray], bytes]] = {
    "tiled": lambda rgb: by_vips(rgb, ".tif", tile=True, tile_width=16, tile_height=16),
    "BigTIFF": lambda rgb: by_vips(rgb, ".tif", bigtiff=True),
    "LZW": lambda rgb: encode(Image.fromarray(rgb), "TIFF", compression="tiff_lzw"),
    "PackBits": lambda rgb: encode(Image.fromarray(rgb), "TIFF", compression="packbits"),
    "deflate": lambda rgb: encode(Image.fromarray(rgb), "TIFF", compression="tiff_adobe_deflate"),
    "big-endian": big_endian,
}


@pytest.mark.parametrize("kind", TIFFS)
def test_tiffs_of_all_kinds_are_read_unchanged(kind: str) -> None:
    content = TIFFS[kind](smooth())
    assert kind != "BigTIFF" or content[2:4] == b"\x2b\0"
    assert kind != "big-endian" or content[:2] == b"MM"
    np.testing.assert_array_equal(read_photo(content), smooth())


def test_fax_pages_are_black_and_white() -> None:
    bits = smooth(channels=1) > 127
    photo = read_photo(encode(Image.fromarray(bits), "TIFF", compression="group4"))
    np.testing.assert_array_equal(photo[..., 0], np.where(bits, 255, 0))


def test_jpeg_2000_is_read_unchanged() -> None:
    for options in ({}, {"no_jp2": True}, {"tile_size": (32, 32)}):
        np.testing.assert_array_equal(read_photo(encode(Image.fromarray(smooth()), "JPEG2000", **options)), smooth())


def test_jpeg_2000_of_very_many_tiles_is_refused() -> None:
    content = bytearray(encode(Image.fromarray(smooth()), "JPEG2000", no_jp2=True))
    struct.pack_into(">II", content, 8, 50_000, 900)
    struct.pack_into(">II", content, 24, 1, 1)
    with pytest.raises(ImageError, match=rf"more than {MAX_TILES:,} tiles"):
        read_photo(bytes(content))


def test_heic_is_read_unchanged() -> None:
    np.testing.assert_array_equal(read_photo(heif_bytes(smooth())), smooth())


def test_avif_is_read() -> None:
    photo = read_photo(encode(Image.fromarray(smooth()), "AVIF", quality=100, subsampling="4:4:4"))
    assert np.abs(photo.astype(int) - smooth()).max() <= 3


@pytest.mark.parametrize("kind", ["HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_the_orientation_of_phones_is_applied_once(kind: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(smooth())
    buffer = io.BytesIO()
    if kind == "AVIF":
        image.save(buffer, "AVIF", quality=100, exif=exif)
    else:
        from_pillow(image).save(buffer, quality=95, exif=exif.tobytes())
        if b"irot" not in buffer.getvalue():
            pytest.skip("this encoder writes no rotation")
    upright = np.rot90(smooth(), {3: 2, 6: 3, 8: 1}[orientation])
    photo = read_photo(buffer.getvalue())
    assert photo.shape == upright.shape
    assert np.abs(photo.astype(int) - upright).mean() < 8


def thumbnailed(first: np.ndarray) -> bytes:
    """A TIFF whose second directory is a copy of a quarter of the size, as scanners write it."""
    image, copy = Image.fromarray(first), Image.fromarray(first[::4, ::4].copy())
    copy.encoderinfo = {"tiffinfo": {254: 1}}
    return encode(image, "TIFF", save_all=True, append_images=[copy])


def test_a_small_copy_in_a_tiff_is_no_page() -> None:
    content = thumbnailed(smooth())
    with Image.open(io.BytesIO(content)) as image:
        assert image.n_frames == 2
    np.testing.assert_array_equal(read_photo(content), smooth())


def paged() -> bytes:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    return encode(pictures[0], "TIFF", save_all=True, append_images=pictures[1:])


def test_a_page_is_chosen_by_its_number() -> None:
    for page, colour in enumerate([(255, 0, 0), (0, 128, 0), (0, 0, 255)], start=1):
        assert tuple(read_picture(paged(), page=page).on_white()[4, 4]) == colour
    with pytest.raises(ImageError, match="scan: has 3 pages; choose one by --page"):
        read_photo(paged(), "scan")
    with pytest.raises(ImageError, match="scan: has no page 4: the last one is 3"):
        read_picture(paged(), "scan", page=4)


SIXTEEN_BITS: dict[str, Callable[[np.ndarray], bytes]] = {
    "TIFF": lambda levels: by_vips(levels, ".tif", "rgb16"),
    "LZW": lambda levels: by_vips(levels, ".tif", "rgb16", compression="lzw", predictor="horizontal"),
    "tiled": lambda levels: by_vips(levels, ".tif", "rgb16", tile=True, tile_width=16, tile_height=16),
    "big-endian": big_endian,
    "PNG": lambda levels: by_vips(levels, ".png", "rgb16"),
    "interlaced": lambda levels: by_vips(levels, ".png", "rgb16", interlace=True),
}


@pytest.mark.parametrize("kind", SIXTEEN_BITS)
def test_sixteen_bit_colour_keeps_its_depth(kind: str) -> None:
    levels = smooth(16)
    picture = read_picture(SIXTEEN_BITS[kind](levels))
    assert picture.is_deep
    np.testing.assert_array_equal(picture.levels, levels)
    np.testing.assert_array_equal(picture.on_white(), np.rint(levels / 257).astype(np.uint8))


@pytest.mark.parametrize("kind", ["TIFF", "PNG", "PPM", "JPEG2000"])
def test_sixteen_bit_grey_keeps_all_its_levels(kind: str) -> None:
    levels = smooth(16, channels=1)
    grey = grey_of(read_picture(encode(Image.fromarray(levels), kind)).levels)
    np.testing.assert_array_equal(grey, levels)
    assert len(np.unique(grey)) == HEIGHT * WIDTH


def test_sixteen_bit_grey_with_alpha_keeps_both() -> None:
    levels = np.stack([smooth(16, channels=1), np.full((HEIGHT, WIDTH), 32768, np.uint16)], axis=-1)
    for content in (by_vips(levels, ".png", "grey16"), by_vips(levels, ".tif", "grey16")):
        picture = read_picture(content)
        np.testing.assert_array_equal(picture.levels, levels[..., 0])
        assert picture.alpha_HW is not None and (picture.alpha_HW == 32768).all()
        half = np.rint((levels[..., 0].astype(float) * 32768 / 65535 + 32767) / 257)
        assert np.abs(picture.on_white()[..., 1] - half).max() <= 1


def test_ten_bit_heic_keeps_its_depth() -> None:
    levels = (smooth(16) >> 6 << 6).astype(np.uint16)  # 10 bits, at the top of 16
    picture = read_picture(heif_bytes(levels, "RGB;16"))
    assert picture.is_deep
    assert np.abs(picture.levels.astype(int) - levels / 65472 * 65535).max() <= 64  # one level of 10 bits
    assert len(np.unique(grey_of(picture.levels))) > 256


def test_ten_bit_avif_keeps_its_depth() -> None:
    content = by_vips(smooth(16), ".avif", "rgb16", bitdepth=10, lossless=True)
    picture = read_picture(content)
    assert picture.is_deep
    assert np.abs(picture.levels.astype(int) - smooth(16)).max() <= 256
    assert picture.levels.max() == 65535
    assert len(np.unique(grey_of(picture.levels))) > 256


def of_lab(L_HW: np.ndarray, interpretation: str) -> bytes:
    lab = np.zeros((*L_HW.shape, 3), np.float32)
    lab[..., 0], lab[..., 1] = L_HW, 10
    image = pyvips.Image.new_from_array(lab).copy(interpretation="lab")
    if interpretation == "labq":  # 8 bits
        return encode(
            Image.fromarray(np.dstack((np.rint(L_HW * 2.55), np.full((*L_HW.shape, 2), 138))).astype(np.uint8), "LAB"),
            "TIFF",
        )
    return bytes(image.colourspace(interpretation).tiffsave_buffer())


# Files of 16 bits hold L in steps of 100/32767, those of 8 bits in steps of 100/255.
@pytest.mark.parametrize(("interpretation", "tolerance"), [("lab", 3.0), ("labs", 12.0), ("labq", 450.0)])
def test_lab_files_keep_their_lightness(interpretation: str, tolerance: float) -> None:
    L_HW = np.linspace(15, 85, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    y = ((L_HW + 16) / 116) ** 3
    srgb = np.where(y > 0.0031308, 1.055 * y ** (1 / 2.4) - 0.055, 12.92 * y)
    grey = grey_of(read_picture(of_lab(L_HW, interpretation)).levels)
    assert np.abs(grey - srgb * 65535).max() <= tolerance


def test_float_colour_lies_in_zero_to_one() -> None:
    unit = (smooth(16) / 65535).astype(np.float32)
    np.testing.assert_array_equal(read_picture(by_vips(unit, ".tif", "scrgb")).levels, smooth(16))
    with pytest.raises(ImageError, match=r"scan: has float samples from 0 to 255; they must lie in \[0, 1\]: scale"):
        read_photo(by_vips(unit * 255, ".tif", "scrgb"), "scan")


def test_the_range_of_32_bit_samples_is_told() -> None:
    dark = Image.fromarray(smooth(16, channels=1).astype(np.int32))
    with pytest.raises(
        ImageError, match=r"has 32-bit samples up to 65535 of 2.14748e\+09, which are black: scale them"
    ):
        read_photo(encode(dark, "TIFF"))
    negative = Image.fromarray(smooth(16, channels=1).astype(np.int32) - 5)
    with pytest.raises(ImageError, match=r"has 32-bit samples from -5 to 65530; they must lie in"):
        read_photo(encode(negative, "TIFF"))


def grey_profile(curve: bytes) -> bytes:
    """The smallest ICC profile of grey: its curve and its white point."""
    tags = {b"kTRC": curve, b"wtpt": struct.pack(">4s4xiii", b"XYZ ", 63190, 65536, 54061)}
    place, table, contents = 132 + 12 * len(tags), b"", b""
    for tag, content in tags.items():
        table += struct.pack(">4sII", tag, place + len(contents), len(content))
        contents += content + bytes(-len(content) % 4)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    header = struct.pack(">I", place + len(contents)) + srgb[4:16] + b"GRAYXYZ " + srgb[24:128]
    return header + struct.pack(">I", len(tags)) + table + contents


GAMMA_2_2 = struct.pack(">4s4xIH", b"curv", 1, round(2.2 * 256))


def dot_gain_20() -> tuple[bytes, np.ndarray]:
    """A curve of ink whose dots of half the area print as 70% of it, and its luminance at 8-bit levels."""
    grey = np.arange(256) / 255
    ink = 1 - grey
    luminance = 1 - (ink + 0.8 * ink * (1 - ink))
    samples = np.rint(luminance * 65535).astype(">u2")
    return struct.pack(">4s4xI", b"curv", 256) + samples.tobytes(), luminance


def srgb_of(luminance: np.ndarray) -> np.ndarray:
    return np.where(luminance > 0.0031308, 1.055 * luminance ** (1 / 2.4) - 0.055, 12.92 * luminance)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("curve", ["gamma 2.2", "dot gain 20%"])
def test_profiles_of_grey_are_honoured(curve: str, bits: int) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    levels = grey if bits == 8 else grey.astype(np.uint16) * 257
    content, luminance = dot_gain_20() if curve == "dot gain 20%" else (GAMMA_2_2, (np.arange(256) / 255) ** 2.2)
    expected = srgb_of(luminance).reshape(16, 16) * 255
    for kind in ("PNG", "TIFF"):
        picture = read_picture(encode(Image.fromarray(levels), kind, icc_profile=grey_profile(content)))
        shown = grey_of(picture.levels) / (257 if bits == 16 else 1)
        errors = np.abs(shown - expected)
        assert errors.max() <= (0.55 if bits == 8 else 1.0), kind  # LittleCMS interpolates in the deepest shadows
        assert bits == 8 or errors[1:].max() <= 0.2, kind


def png_with_gamma(levels: np.ndarray, gamma: float, *chunks: bytes) -> bytes:
    """A grey PNG that states its gamma."""
    deep = levels.dtype == np.uint16
    rows = b"".join(b"\0" + row.astype(">u2" if deep else np.uint8).tobytes() for row in levels)
    header = struct.pack(">IIBBBBB", levels.shape[1], levels.shape[0], 16 if deep else 8, 0, 0, 0, 0)
    stated = png_chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    middle = b"".join(chunks) + stated + png_chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + middle + png_chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [8, 16])
def test_the_gamma_of_a_png_is_honoured(bits: int) -> None:
    levels, full = smooth(bits, channels=1), 2**bits - 1
    linear = grey_of(read_picture(png_with_gamma(levels, 1.0)).levels)
    np.testing.assert_array_equal(linear, np.rint(srgb_of(levels / full) * full))
    np.testing.assert_array_equal(grey_of(read_picture(png_with_gamma(levels, 0.45455)).levels), levels)
    as_srgb = png_with_gamma(levels, 1.0, png_chunk(b"sRGB", b"\0"))
    np.testing.assert_array_equal(grey_of(read_picture(as_srgb).levels), levels)


def test_transparency_is_kept_beside_the_colours() -> None:
    rgba = np.dstack([smooth(), np.full((HEIGHT, WIDTH), 100, np.uint8)])
    picture = read_picture(encode(Image.fromarray(rgba), "PNG"))
    assert picture.alpha_HW is not None and (picture.alpha_HW == 100).all()
    np.testing.assert_array_equal(picture.levels, smooth())


@pytest.mark.parametrize("kind", ["HEIF", "AVIF", "JPEG2000", "sixteen"])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.97])
def test_cut_files_are_refused(kind: str, share: float) -> None:
    content = {
        "HEIF": lambda: heif_bytes(smooth()),
        "AVIF": lambda: encode(Image.fromarray(smooth()), "AVIF"),
        "JPEG2000": lambda: encode(Image.fromarray(smooth()), "JPEG2000"),
        "sixteen": lambda: by_vips(smooth(16), ".png", "rgb16"),
    }[kind]()
    with pytest.raises(ImageError):
        read_photo(content[: int(share * len(content))])


def test_formats_are_told_by_content() -> None:
    assert open_image(io.BytesIO(heif_bytes(smooth()))).format == "HEIF"
    assert open_image(io.BytesIO(encode(Image.fromarray(smooth()), "AVIF"))).format == "AVIF"


def test_the_limit_is_ours_and_not_pillows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    content = encode(Image.fromarray(smooth()), "PNG")
    np.testing.assert_array_equal(read_photo(content), smooth())
    assert Image.MAX_IMAGE_PIXELS == 100
