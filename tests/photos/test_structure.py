"""Files of very many blocks are refused before Pillow reads them; sound ones never are."""

import io
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from corpus import corpus, encode, photo, png, png_chunk
from huebands.photos.read import ImageError, announced_pixels, read_photo
from huebands.photos.structure import MAX_BLOCKS, MAX_ENTRIES, MAX_SCANS

MANY = MAX_BLOCKS + 10


def jpeg_with(segments: bytes) -> bytes:
    content = encode(photo(), "JPEG")
    return content[:2] + segments + content[2:]


def gif_with(blocks: bytes) -> bytes:
    content = encode(photo("P"), "GIF")
    first = 13 + 3 * 2 ** (content[10] % 8 + 1)
    return content[:first] + blocks + content[first:]


def tiff_of_strips(rows: int, signature: bytes = b"II*\0") -> bytes:
    """One column of pixels, each row a strip of its own, all strips the same byte."""
    order, is_big_tiff = "<" if signature[:2] == b"II" else ">", b"+" in signature
    offset, entry, number = ("Q", "HHQQ", "Q") if is_big_tiff else ("I", "HHII", "H")
    data = 400
    tags = [(256, 1, 1), (257, 1, rows), (258, 1, 8), (259, 1, 1), (262, 1, 1), (273, rows, data), (277, 1, 1)]
    tags += [(278, 1, 1), (279, rows, data + 4 * rows)]
    start = signature + (struct.pack(order + "HHQ", 8, 0, 16) if is_big_tiff else struct.pack(order + "I", 8))
    entries = []
    for tag, count, value in tags:
        # A short value stands at the front of its field, whatever the order of bytes.
        inline_value = struct.pack(order + "I", value).ljust(8 if is_big_tiff else 4, b"\0") if count == 1 else b""
        packed = struct.pack(order + entry, tag, 4, count, 0 if inline_value else value)
        entries.append(packed[: -len(inline_value)] + inline_value if inline_value else packed)
    head = start + struct.pack(order + number, len(tags)) + b"".join(entries) + bytes(struct.calcsize(offset))
    return head.ljust(data, b"\0") + struct.pack(order + "I", 0) * rows + struct.pack(order + "I", 1) * rows


def progressive(repeats: int) -> bytes:
    """A progressive JPEG whose last scan is repeated."""
    content = encode(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * repeats + content[-2:]


BOMBS = {
    "segments": lambda: jpeg_with(b"\xff\xe5\0\4ab" * MANY),
    "padding": lambda: jpeg_with(b"\xff" * MANY),
    "junk": lambda: jpeg_with(b"\xff\0" * MANY),
    "chunks": lambda: png(2, 2, 2, zlib.compress(bytes(14)), png_chunk(b"prVt", b"") * MANY),
    "comments": lambda: gif_with(b"!\xfe\1x\0" * MANY),
    "comment": lambda: gif_with(b"!\xfe" + b"\1x" * MANY + b"\0"),
    "trailing comments": lambda: encode(photo("P"), "GIF")[:-1] + b"!\xfe\1x\0" * MANY + b";",
    "strips": lambda: tiff_of_strips(MANY),
    "strips, big endian": lambda: tiff_of_strips(MANY, b"MM\0*"),
    "strips, 64 bits": lambda: tiff_of_strips(MANY, b"II+\0"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_files_of_very_many_blocks_are_refused(name: str) -> None:
    content = BOMBS[name]()
    with pytest.raises(ImageError, match="is made of more than 100,000 blocks"):
        read_photo(content)
    assert announced_pixels(content) == 0


def test_a_jpeg_of_very_many_scans_is_refused() -> None:
    assert read_photo(progressive(MAX_SCANS // 2)).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="in more than 200 scans"):
        read_photo(progressive(MAX_SCANS + 1))


@pytest.mark.parametrize("signature", [b"II*\0", b"MM\0*", b"II+\0"])
def test_many_blocks_are_read(signature: bytes) -> None:
    assert read_photo(tiff_of_strips(1000, signature)).shape == (1000, 1, 3)


@pytest.mark.parametrize("name", [name for name in corpus() if not name.startswith("moving")])
def test_sound_files_are_read(name: str) -> None:
    photo = read_photo(corpus()[name])
    assert photo.shape[2] == 3 and photo.std() > 0


def test_samples_of_a_pixel_are_counted_before_they_are_decoded() -> None:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((40, 40, 600), np.uint16), photometric="minisblack", planarconfig="contig")
    with pytest.raises(ImageError, match="has 600 samples a pixel; at most 4 are supported"):
        read_photo(buffer.getvalue())


def test_entries_of_all_directories_are_counted() -> None:
    """Many directories of many entries take Pillow long, however small the file."""
    entries = 600
    content = b"II*\0" + struct.pack("<I", 8)
    tags = b"".join(struct.pack("<HHII", 256 + number, 4, 1, 1) for number in range(entries))
    size = 2 + len(tags) + 4
    for number in range(entries):
        following = len(content) + size if number < entries - 1 else 0
        content += struct.pack("<H", entries) + tags + struct.pack("<I", following)
    with pytest.raises(ImageError, match=f"has more than {MAX_ENTRIES:,} entries in its directories"):
        read_photo(content)
