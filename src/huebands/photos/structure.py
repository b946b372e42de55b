"""Limits on the structure of an image file, beside its number of pixels.

A file of some megabytes can hold millions of tiny blocks, or code the same pixels many times. It then takes minutes or
gigabytes to decode, whatever its size in pixels. No camera and no program writes such files.
"""

import struct
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from typing import IO

MAX_BLOCKS = 100_000  # takes Pillow a second or two, and some 20 MB
MAX_SCANS = 200  # of a JPEG, which decodes all pixels in each; programs write ten or so

_CHUNK = 2**20  # bytes
_START_OF_SCAN = b"\xff\xda"
_WITHOUT_LENGTH = frozenset((0x01, *range(0xD0, 0xDA)))
_STRIP_OFFSETS, _TILE_OFFSETS = 273, 324


class StructureError(ValueError):
    """An image file is made of too many blocks; the message says how many are allowed."""


def check_structure(file: IO[bytes]) -> None:
    """Walk through the blocks of a JPEG, PNG, GIF or TIFF file; others have none, or are read in one go.

    Damage is no error here: the walk ends where it makes no sense.

    Raises:
        StructureError: when there are too many.
    """
    file.seek(0)
    signature = file.read(4)
    walk = next((walk for start, walk in _WALKS.items() if signature.startswith(start)), None)
    if walk is None:
        return
    file.seek(0)
    if sum(1 for _ in islice(walk(file), MAX_BLOCKS + 1)) > MAX_BLOCKS:
        raise StructureError(f"is made of more than {MAX_BLOCKS:,} blocks")
    if walk is _jpeg and _count(file, _START_OF_SCAN) > MAX_SCANS:
        raise StructureError(f"codes its pixels in more than {MAX_SCANS} scans")


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


def _tiff(file: IO[bytes]) -> Iterator[None]:
    """The strips or tiles of the first picture, as announced."""
    start = file.read(16)
    order = "<" if start[:2] == b"II" else ">"
    offset, number, entry = ("Q", "Q", "HHQ8x") if b"+" in start[2:4] else ("I", "H", "HHI4x")
    offset_start = 8 if offset == "Q" else 4
    try:
        file.seek(*struct.unpack_from(order + offset, start, offset_start))
        entries = struct.unpack(order + number, file.read(struct.calcsize(order + number)))[0]
        for _ in range(entries):
            yield
            tag, _type, count = struct.unpack(order + entry, file.read(struct.calcsize(order + entry)))
            if tag in (_STRIP_OFFSETS, _TILE_OFFSETS):
                yield from repeat(None, count)
    except (struct.error, OverflowError, ValueError):
        return


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
    b"II": _tiff,
    b"MM": _tiff,
}
