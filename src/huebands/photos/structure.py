"""Limits on the structure of an image file, beside its number of pixels.

A file of some megabytes can hold millions of tiny blocks, or code the same pixels many times. It then takes minutes or
gigabytes to decode, whatever its size in pixels. No camera and no program writes such files.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO

MAX_BLOCKS = 100_000  # takes Pillow a second or two, and some 20 MB
MAX_ENTRIES = 300_000  # of all directories of a TIFF, which takes Pillow seconds
MAX_PAGES = 10_000  # of a TIFF, and other pictures in it
MAX_TILES = 10_000  # of a JPEG 2000, whose decoder keeps all of them
MAX_SCANS = 200  # of a JPEG, which decodes all pixels in each; programs write ten or so

_MANY_BLOCKS = f"is made of more than {MAX_BLOCKS:,} blocks"
_CHUNK = 2**20  # bytes
_START_OF_SCAN = b"\xff\xda"
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))
_CODE_STREAM = b"\xff\x4f\xff\x51"  # of JPEG 2000: its start and its size
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


class StructureError(ValueError):
    """An image file is made of too many blocks; the message says how many are allowed."""


def check_structure(file: IO[bytes]) -> None:
    """Walk through the blocks of a JPEG, PNG, GIF, TIFF or JPEG 2000 file; others have none, or are read in one go.

    Damage is no error here: the walk ends where it makes no sense.

    Raises:
        StructureError: when there are too many.
    """
    file.seek(0)
    signature = file.read(12)
    if signature.startswith((b"II", b"MM")):
        _check_tiff(file)
        return
    if signature.startswith((_CODE_STREAM, b"\0\0\0\x0cjP  ")):
        _check_jpeg2000(file)
        return
    walk = next((walk for start, walk in _WALKS.items() if signature.startswith(start)), None)
    if walk is None:
        return
    file.seek(0)
    _check_blocks(walk(file))
    if walk is _jpeg and _count(file, _START_OF_SCAN) > MAX_SCANS:
        raise StructureError(f"codes its pixels in more than {MAX_SCANS} scans")


def _check_blocks(blocks: Iterable[None]) -> None:
    if sum(1 for _ in islice(blocks, MAX_BLOCKS + 1)) > MAX_BLOCKS:
        raise StructureError(_MANY_BLOCKS)


def _jpeg(file: IO[bytes]) -> Iterator[None]:
    """The segments before the first scan; a byte of padding or junk counts as one."""
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker != _START_OF_SCAN:
        yield
        if marker[0] != 0xFF or marker[1] in (0, 0xFF):
            file.seek(-1, 1)
        elif marker[1] not in _WITHOUT_LENGTH:
            file.seek(max(int.from_bytes(file.read(2), "big") - 2, 0), 1)


def _png(file: IO[bytes]) -> Iterator[None]:
    """The chunks."""
    file.seek(8)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        yield
        file.seek(int.from_bytes(head[:4], "big") + 4, 1)


def _gif(file: IO[bytes]) -> Iterator[None]:
    """The blocks of extensions, whose data Pillow puts together; a byte of junk counts as one."""
    file.seek(10)
    flags = file.read(1)
    file.seek(13 + _colour_bytes(flags))
    while block_type := file.read(1):
        yield
        if block_type == b";":
            return
        if block_type == b"!":
            file.seek(1, 1)
            yield from _gif_data(file)
        elif block_type == b",":
            file.seek(8, 1)
            file.seek(_colour_bytes(file.read(1)) + 1, 1)
            for _ in _gif_data(file):
                pass


def _gif_data(file: IO[bytes]) -> Iterator[None]:
    while size := file.read(1):
        if size == b"\0":
            return
        yield
        file.seek(size[0], 1)


def _colour_bytes(flags: bytes) -> int:
    return 3 * 2 ** (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0


def _check_tiff(file: IO[bytes]) -> None:
    """Check the strips or tiles of each page, as announced, and the number of pages."""
    file.seek(0)
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    offset, number, entry = ("Q", "Q", "HHQ8x") if b"+" in start[2:4] else ("I", "H", "HHI4x")
    known, entries = set[int](), 0
    try:
        (place,) = struct.unpack_from(order + offset, start, 8 if offset == "Q" else 4)
        while place and place not in known:
            known.add(place)
            if len(known) > MAX_PAGES:
                raise StructureError(f"has more than {MAX_PAGES:,} pages")
            file.seek(place)
            (count,) = _unpack(order + number, file)
            entries += count
            if entries > MAX_ENTRIES:
                raise StructureError(f"has more than {MAX_ENTRIES:,} entries in its directories")
            if sum(_tiff_blocks(file, count, order + entry)) > MAX_BLOCKS:
                raise StructureError(_MANY_BLOCKS)
            (place,) = _unpack(order + offset, file)
    except (struct.error, OverflowError, OSError):
        return


def _tiff_blocks(file: IO[bytes], entries: int, entry: str) -> Iterator[int]:
    """The blocks that each entry of a directory announces."""
    for _ in range(entries):
        tag, _type, count = _unpack(entry, file)
        yield 1 + (count if tag in (_STRIP_OFFSETS, _TILE_OFFSETS) else 0)


def _unpack(form: str, file: IO[bytes]) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _check_jpeg2000(file: IO[bytes]) -> None:
    """Check the number of tiles by each header of a code stream, which a file may hold at any place."""
    file.seek(0)
    rest = b""
    while chunk := file.read(_CHUNK):
        content = rest + chunk
        for found in re.finditer(re.escape(_CODE_STREAM), content):
            size = content[found.end() + 4 : found.end() + 36]
            if len(size) < 32:
                continue  # it stands again in the next piece
            width, height, _left, _top, tile_width, tile_height, tile_left, tile_top = struct.unpack(">8I", size)
            across = -(-max(width - tile_left, 0) // max(tile_width, 1))
            if across * -(-max(height - tile_top, 0) // max(tile_height, 1)) > MAX_TILES:
                raise StructureError(f"is made of more than {MAX_TILES:,} tiles")
        rest = content[-64:]


def _count(file: IO[bytes], marker: bytes) -> int:
    """Count a marker of two bytes in a file."""
    file.seek(0)
    count, last_byte = 0, b""
    while chunk := file.read(_CHUNK):
        count += (last_byte + chunk).count(marker)
        last_byte = chunk[-1:]
    return count


_WALKS: dict[bytes, Callable[[IO[bytes]], Iterator[None]]] = {
    b"\xff\xd8": _jpeg,
    b"\x89PNG": _png,
    b"GIF8": _gif,
}
