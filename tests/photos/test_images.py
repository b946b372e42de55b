"""Reading image files: every mode, orientation and profile is read correctly, and hostile files are refused."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from huebands.photos.limits import PixelLimitError
from huebands.photos.read import ImageError, read_photo
from huebands.photos.write import encode_png, write_png

GREY_RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)


def colours(height: int = 12, width: int = 20) -> np.ndarray:
    """Random colours from a fixed seed."""
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    """Encode with Pillow."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """Write a PNG by hand: Pillow cannot write every depth that it reads."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    middle = b"".join(chunk(item[:4], item[4:]) for item in extra)
    return b"\x89PNG\r\n\x1a\n" + header + middle + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def retag(tiff: bytes, tag: int, old: int, new: int) -> bytes:
    """Change the value of a TIFF tag that Pillow always writes the same way."""
    old_entry, new_entry = (struct.pack("<HHIHH", tag, 3, 1, value, 0) for value in (old, new))
    assert tiff.count(old_entry) == 1
    return tiff.replace(old_entry, new_entry)


def png_rows(values: np.ndarray) -> bytes:
    """Lay unfiltered PNG rows, 16 bits big-endian when the values are uint16."""
    samples = values.astype(">u2") if values.dtype == np.uint16 else values
    return b"".join(b"\0" + row.tobytes() for row in samples)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "PPM"])
def test_lossless_rgb_is_read_unchanged(kind: str) -> None:
    rgb = colours()
    photo = read_photo(encode(Image.fromarray(rgb), kind))
    assert photo.dtype == np.uint8
    np.testing.assert_array_equal(photo, rgb)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "MPO"])
def test_lossy_formats_are_read(kind: str) -> None:
    rgb = np.full((16, 24, 3), (200, 80, 40), dtype=np.uint8)
    photo = read_photo(encode(Image.fromarray(rgb), kind, quality=95))
    assert photo.shape == (16, 24, 3)
    assert np.abs(photo.astype(int) - rgb).max() <= 4


def test_eight_bit_grey_gives_equal_channels() -> None:
    photo = read_photo(encode(Image.fromarray(GREY_RAMP), "PNG"))
    np.testing.assert_array_equal(photo, np.stack([GREY_RAMP] * 3, axis=-1))


def test_one_bit_images_are_black_and_white() -> None:
    bits = colours()[..., 0] > 127
    for kind in ("PNG", "TIFF", "BMP", "PPM"):
        photo = read_photo(encode(Image.fromarray(bits), kind))
        np.testing.assert_array_equal(photo[..., 1], np.where(bits, 255, 0))


def test_palette_images_have_the_colours_of_the_palette() -> None:
    image = Image.fromarray(colours() // 64 * 64).quantize(32)
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        np.testing.assert_array_equal(read_photo(encode(image, kind)), np.array(image.convert("RGB")))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_scales_by_257(kind: str) -> None:
    deep = np.linspace(0, 65535, 1024).astype(np.uint16).reshape(32, 32)
    photo = read_photo(encode(Image.fromarray(deep), kind))
    np.testing.assert_array_equal(photo[..., 0], np.rint(deep / 257).astype(np.uint8))
    assert (photo[..., 0] == photo[..., 1]).all() and (photo[..., 0] == photo[..., 2]).all()


def test_sixteen_bit_grey_with_white_as_zero_is_inverted() -> None:
    deep = (GREY_RAMP.astype(np.uint16)) * 257
    content = encode(Image.fromarray(deep), "TIFF", tiffinfo={262: 0})
    assert Image.open(io.BytesIO(content)).tag_v2[262] == 0
    np.testing.assert_array_equal(read_photo(content)[..., 0], 255 - GREY_RAMP)


def test_sixteen_bit_rgb_and_alpha_scale() -> None:
    rgb = colours()
    deep = rgb.astype(np.uint16) * 257
    np.testing.assert_array_equal(read_photo(png(20, 12, 16, 2, png_rows(deep))), rgb)
    opaque = np.concatenate([deep, np.full((12, 20, 1), 65535, np.uint16)], axis=-1)
    np.testing.assert_array_equal(read_photo(png(20, 12, 16, 6, png_rows(opaque))), rgb)
    grey_alpha = np.stack([deep[..., 0], np.full((12, 20), 65535, np.uint16)], axis=-1)
    photo = read_photo(png(20, 12, 16, 4, png_rows(grey_alpha)))
    np.testing.assert_array_equal(photo, np.stack([rgb[..., 0]] * 3, axis=-1))


def test_thirty_two_bit_integers_scale_by_their_range() -> None:
    signed = (GREY_RAMP.astype(np.float64) / 255 * (2**31 - 1)).astype(np.int32)
    photo = read_photo(encode(Image.fromarray(signed), "TIFF"))
    np.testing.assert_array_equal(photo[..., 0], GREY_RAMP)
    unsigned = GREY_RAMP.astype(np.uint32) * np.uint32(2**24 + 2**16 + 2**8 + 1)
    content = retag(encode(Image.fromarray(unsigned.view(np.int32)), "TIFF"), 339, 2, 1)
    np.testing.assert_array_equal(read_photo(content)[..., 0], GREY_RAMP)


def test_floats_must_lie_in_zero_to_one() -> None:
    unit = (GREY_RAMP / 255).astype(np.float32)
    photo = read_photo(encode(Image.fromarray(unit), "TIFF"))
    np.testing.assert_array_equal(photo[..., 2], GREY_RAMP)
    for wrong in (unit * 255, unit - 1, np.full((2, 2), np.nan, np.float32)):
        with pytest.raises(ImageError, match=r"hot\.tif: has float samples .* must lie in \[0, 1\]"):
            read_photo(encode(Image.fromarray(wrong), "TIFF"), "hot.tif")


def test_cmyk_becomes_rgb() -> None:
    flat = {(0, 0, 0, 0): (255, 255, 255), (0, 255, 255, 0): (255, 0, 0), (0, 0, 0, 255): (0, 0, 0)}
    for ink, expected in flat.items():
        image = Image.new("CMYK", (16, 16), ink)
        for kind in ("TIFF", "JPEG"):
            photo = read_photo(encode(image, kind))
            assert np.abs(photo.astype(int) - expected).max() <= 3, (kind, ink)


def test_transparent_pixels_are_blended_with_white() -> None:
    rgba = np.array([[(10, 20, 30, 0), (10, 20, 30, 255), (0, 0, 0, 51)]], dtype=np.uint8)
    expected = [[(255, 255, 255), (10, 20, 30), (204, 204, 204)]]
    for kind in ("PNG", "TIFF"):
        np.testing.assert_array_equal(read_photo(encode(Image.fromarray(rgba), kind)), expected)
    grey = Image.fromarray(np.array([[(90, 0), (90, 255)]], dtype=np.uint8), "LA")
    np.testing.assert_array_equal(read_photo(encode(grey, "PNG")), [[(255,) * 3, (90,) * 3]])


def test_transparent_key_colours_are_white() -> None:
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    palette.putpalette([200, 0, 0, 0, 0, 200])
    expected = [[(255, 255, 255), (0, 0, 200)]]
    np.testing.assert_array_equal(read_photo(encode(palette, "PNG", transparency=0)), expected)
    np.testing.assert_array_equal(read_photo(encode(palette, "PNG", transparency=b"\x00\xff")), expected)
    np.testing.assert_array_equal(read_photo(encode(palette, "GIF", transparency=0)), expected)
    rgb = Image.fromarray(np.array([[(9, 9, 9), (0, 0, 200)]], dtype=np.uint8))
    np.testing.assert_array_equal(read_photo(encode(rgb, "PNG", transparency=(9, 9, 9))), expected)
    deep = np.array([[1000, 65535, 0]], dtype=np.uint16)
    photo = read_photo(png(3, 1, 16, 0, png_rows(deep), b"tRNS" + struct.pack(">H", 0)))
    np.testing.assert_array_equal(photo[0, :, 0], [4, 255, 255])


def test_premultiplied_alpha_is_divided_out() -> None:
    rgba = Image.fromarray(np.array([[(100, 50, 0, 255), (200, 100, 0, 128)]], dtype=np.uint8))
    premultiplied = Image.frombytes("RGBA", rgba.size, rgba.convert("RGBa").tobytes())
    content = retag(encode(premultiplied, "TIFF"), 338, 2, 1)
    assert np.abs(read_photo(content).astype(int) - read_photo(encode(rgba, "PNG"))).max() <= 2
    grey = Image.fromarray(np.array([[(100, 255), (100, 128)]], dtype=np.uint8), "LA")
    premultiplied = Image.frombytes("LA", grey.size, grey.convert("La").tobytes())
    content = retag(encode(premultiplied, "TIFF"), 338, 2, 1)
    assert np.abs(read_photo(content).astype(int) - read_photo(encode(grey, "PNG"))).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    upright = np.zeros((32, 48, 3), dtype=np.uint8)
    upright[:16, :24] = (250, 40, 40)
    upright[16:, 24:] = (40, 40, 250)
    # How a camera that was held in this orientation stores the upright scene.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[274] = orientation
    photo = read_photo(encode(Image.fromarray(np.ascontiguousarray(stored)), kind, exif=exif, quality=95))
    assert photo.shape == upright.shape
    assert np.abs(photo.astype(int) - upright)[4:12, 4:44].mean() < 6


def test_an_unknown_orientation_is_ignored() -> None:
    exif = Image.Exif()
    exif[274] = 77
    rgb = colours()
    np.testing.assert_array_equal(read_photo(encode(Image.fromarray(rgb), "PNG", exif=exif)), rgb)


def linear_profile(grey: bool = False) -> bytes:
    """Take LittleCMS's sRGB profile and give it a linear response (its three curves share one tag's data)."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    for tag in range(count):
        name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * tag)
        if name in (b"rTRC", b"gTRC", b"bTRC"):
            profile[offset : offset + size] = struct.pack(">4s4xI", b"curv", 0).ljust(size, b"\0")
        if name == b"desc":
            description = "flat".encode("utf-16-be")
            body = struct.pack(">4s4xII4sII", b"mluc", 1, 12, b"enUS", len(description), 28) + description
            profile[offset : offset + size] = body.ljust(size, b"\0")
    if grey:
        profile[16:20] = b"GRAY"
        for tag in range(count):
            if profile[132 + 12 * tag : 136 + 12 * tag] == b"rTRC":
                profile[132 + 12 * tag : 136 + 12 * tag] = b"kTRC"
    return bytes(profile)


def srgb_of_linear(linear: np.ndarray) -> np.ndarray:
    """Apply sRGB's transfer curve to bytes."""
    unit = linear / 255
    return 255 * np.where(unit <= 0.0031308, 12.92 * unit, 1.055 * unit ** (1 / 2.4) - 0.055)


def test_icc_profiles_are_converted_to_srgb() -> None:
    rgb = colours()
    for kind in ("PNG", "TIFF"):
        photo = read_photo(encode(Image.fromarray(rgb), kind, icc_profile=linear_profile()))
        assert np.abs(photo - srgb_of_linear(rgb)).max() <= 1.5, kind


def test_icc_profiles_keep_grey_neutral_and_alpha_apart() -> None:
    expected = srgb_of_linear(GREY_RAMP)
    for profile in (linear_profile(), linear_profile(grey=True)):
        photo = read_photo(encode(Image.fromarray(GREY_RAMP), "PNG", icc_profile=profile))
        assert np.abs(photo[..., 0] - expected).max() <= 1.5
        assert (photo[..., 0] == photo[..., 1]).all() and (photo[..., 0] == photo[..., 2]).all()
    deep = np.stack([GREY_RAMP.astype(np.uint16) * 257, np.full((16, 16), 65535, np.uint16)], axis=-1)
    embedded = b"iCCPflat\0\0" + zlib.compress(linear_profile(grey=True))
    photo = read_photo(png(16, 16, 16, 4, png_rows(deep), embedded))
    assert np.abs(photo[..., 0] - expected).max() <= 1.5
    rgba = np.array([[(64, 64, 64, 0), (64, 64, 64, 255)]], dtype=np.uint8)
    photo = read_photo(encode(Image.fromarray(rgba), "PNG", icc_profile=linear_profile()))
    assert photo[0, 0].tolist() == [255, 255, 255]
    assert abs(int(photo[0, 1, 0]) - srgb_of_linear(np.array(64))) <= 1.5


def test_an_embedded_srgb_profile_changes_nothing() -> None:
    rgb = colours(64, 64)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    np.testing.assert_array_equal(read_photo(encode(Image.fromarray(rgb), "PNG", icc_profile=profile)), rgb)


def test_unusable_icc_profiles_are_named() -> None:
    image = Image.fromarray(colours())
    with pytest.raises(ImageError, match=r"a\.png: has an ICC profile that cannot be used"):
        read_photo(encode(image, "PNG", icc_profile=b"not a profile at all"), "a.png")
    with pytest.raises(ImageError, match=r"a\.png: has RGB pixels but an ICC profile for GRAY"):
        read_photo(encode(image, "PNG", icc_profile=linear_profile(grey=True)), "a.png")


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 37), (53, 1)])
def test_thin_photos_are_read(height: int, width: int) -> None:
    rgb = colours(height, width)
    np.testing.assert_array_equal(read_photo(encode(Image.fromarray(rgb), "PNG")), rgb)


def frames(kind: str) -> bytes:
    """Three different pictures in one file."""
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    return encode(pictures[0], kind, save_all=True, append_images=pictures[1:])


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_several_frames_are_refused(kind: str) -> None:
    with pytest.raises(ImageError, match="clip: has more than one frame"):
        read_photo(frames(kind), "clip")


def test_of_a_phone_photo_with_helper_pictures_the_first_is_read() -> None:
    photo = read_photo(frames("MPO"))
    assert photo[4, 4, 0] > 240 and photo[4, 4, 2] < 15


HOSTILE = {
    "no palette": (png(5, 5, 8, 3, bytes(30)), "has palette indices but no palette"),
    "empty": (b"", "is empty"),
    "zeros": (bytes(5000), "is not an image"),
    "text": (b"Dear photo,\n" * 50, "is not an image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "is not an image"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is not an image"),
    "bomb": (png(100_000, 100_000, 8, 2, b""), "pixels"),
    "large": (png(9_000, 9_000, 8, 2, b""), "has 9000 x 9000 pixels, 81.0 megapixels, and the limit is 50"),
    "flat": (png(0, 5, 8, 2, b""), ""),
    "header": (png(5, 5, 8, 2, b"")[:33], ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bytes_are_refused_with_name_and_reason(name: str) -> None:
    content, reason = HOSTILE[name]
    with pytest.raises(ImageError) as caught:
        read_photo(content, f"{name}.jpg")
    assert str(caught.value) == f"{caught.value.name}: {caught.value.reason}"
    assert caught.value.name == f"{name}.jpg"
    assert reason in caught.value.reason and caught.value.reason.strip()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM"])
def test_truncated_files_are_refused(kind: str) -> None:
    content = encode(Image.fromarray(colours(64, 64)), kind)
    for share in (0.02, 0.3, 0.6, 0.9):
        with pytest.raises(ImageError, match=r"^cut: "):
            read_photo(content[: int(len(content) * share)], "cut")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM"])
def test_corrupt_files_give_a_photo_or_an_image_error(kind: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    options = {} if kind in ("BMP", "GIF", "PPM") else {"exif": exif, "icc_profile": linear_profile()}
    content = encode(Image.fromarray(colours(24, 24)), kind, **options)
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(150):
        corrupt = bytearray(content)
        for position in random.integers(0, min(len(content), 400), random.integers(1, 12)):
            corrupt[position] = random.integers(0, 256)
        try:
            photo = read_photo(bytes(corrupt), "hurt", max_pixels=1_000_000)
        except ImageError as error:
            refused += 1
            assert str(error).startswith("hurt: ") and error.reason
            # A warning would reach the user's terminal, where warnings are not errors.
            assert not isinstance(error.__cause__, Warning), error
        else:
            assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
    assert refused > 0


def test_the_limit_of_pixels_is_a_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    content = encode(Image.fromarray(colours(1000, 1001)), "PNG")
    assert read_photo(content, max_pixels=1_001_000).shape == (1000, 1001, 3)
    refusal = (
        r"has 1001 x 1000 pixels, 1\.0 megapixels, and the limit is 1; raise it by --max-megapixels of the command"
    )
    with pytest.raises(ImageError, match=refusal):
        read_photo(content, max_pixels=1_000_000)
    monkeypatch.setenv("HUEBANDS_MAX_MEGAPIXELS", "1")
    with pytest.raises(ImageError, match=refusal + ", or by HUEBANDS_MAX_MEGAPIXELS"):
        read_photo(content)
    for wrong in ("many", "0", "-3", "nan"):
        monkeypatch.setenv("HUEBANDS_MAX_MEGAPIXELS", wrong)
        with pytest.raises(PixelLimitError, match=rf"HUEBANDS_MAX_MEGAPIXELS \(='{wrong}'\) must be a positive number"):
            read_photo(content)


def test_paths_are_read_and_named(tmp_path: Path) -> None:
    rgb = colours()
    write_png(tmp_path / "photo.jpg", rgb)  # recognised by content, not by suffix
    np.testing.assert_array_equal(read_photo(tmp_path / "photo.jpg"), rgb)
    missing = tmp_path / "missing.png"
    with pytest.raises(ImageError) as caught:
        read_photo(missing)
    assert str(caught.value) == f"{missing}: no such file"
    for odd in (tmp_path, tmp_path / "pipe"):
        if odd.name == "pipe":
            os.mkfifo(odd)
        with pytest.raises(ImageError, match="is not a file"):
            read_photo(odd)


def test_png_is_written_losslessly(tmp_path: Path) -> None:
    rgb = colours()
    np.testing.assert_array_equal(read_photo(encode_png(rgb)), rgb)
    write_png(tmp_path / "grey.png", GREY_RAMP)
    np.testing.assert_array_equal(read_photo(tmp_path / "grey.png")[..., 0], GREY_RAMP)
    for wrong in (rgb.astype(np.float32), rgb[..., :2], rgb[:0]):
        with pytest.raises(ValueError, match="must be uint8"):
            encode_png(wrong)
