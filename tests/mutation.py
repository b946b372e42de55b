"""Mutates image files: bits, lengths, dimensions, and whole blocks of their structure."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from corpus import corpus

_EXTREMES = (0, 1, 2, 127, 255, 256, 7071, 32767, 32768, 50_000, 65500, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
_MAX_SIZE = 200_000  # bytes: repetitions must not grow without limit
_PNG = b"\x89PNG\r\n\x1a\n"


def mutants(seed: int) -> Iterator[tuple[str, bytes]]:
    """An endless stream of mutated files, each with a name that identifies it; equal for equal seeds."""
    files = list(corpus().items())
    for number in count():
        random = np.random.default_rng((seed, number))
        name, content = files[random.integers(len(files))]
        for _ in range(1 + random.geometric(0.6)):
            mutation = _MUTATIONS[random.integers(len(_MUTATIONS))]
            content = mutation(content, random)[:_MAX_SIZE]
        yield f"mutant {number} of {name}", content


def _flip_bits(content: bytes, random: np.random.Generator) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    reach = len(changed) if random.random() < 0.5 else min(len(changed), 200)  # headers are at the front
    for offset in random.integers(0, reach, 1 + random.integers(12)):
        changed[offset] ^= 1 << random.integers(8)
    return bytes(changed)


def _set_bytes(content: bytes, random: np.random.Generator) -> bytes:
    if not content:
        return content
    changed = bytearray(content)
    for offset in random.integers(0, len(changed), 1 + random.integers(6)):
        changed[offset] = (0, 255, random.integers(256))[random.integers(3)]
    return bytes(changed)


def _truncate(content: bytes, random: np.random.Generator) -> bytes:
    return content[: random.integers(len(content) + 1)]


def _splice(content: bytes, random: np.random.Generator) -> bytes:
    """Put a piece of another file over or between the bytes."""
    files = list(corpus().values())
    donor = files[random.integers(len(files))]
    first = random.integers(len(donor))
    piece = donor[first : first + random.integers(1, 300)]
    offset = random.integers(len(content) + 1)
    return content[:offset] + piece + content[offset + len(piece) * random.integers(2) :]


def _repeat(content: bytes, random: np.random.Generator) -> bytes:
    first = random.integers(len(content) + 1)
    piece = content[first : first + random.integers(1, 200)]
    return content[:first] + piece * random.integers(2, 100) + content[first:]


def _set_number(content: bytes, random: np.random.Generator) -> bytes:
    """Write an extreme number over any 1, 2 or 4 bytes: lengths, offsets, counts, sizes."""
    width = (1, 2, 4)[random.integers(3)]
    if len(content) < width:
        return content
    value = _EXTREMES[random.integers(len(_EXTREMES))] % 256**width
    reach = len(content) if random.random() < 0.5 else min(len(content), 120)
    offset = random.integers(max(reach - width, 0) + 1)
    number = value.to_bytes(width, "big" if random.random() < 0.5 else "little")
    return content[:offset] + number + content[offset + width :]


def _set_dimensions(content: bytes, random: np.random.Generator) -> bytes:
    """Announce another width or height, at the position that the format has for it."""
    fields = _dimension_fields(content)
    if not fields:
        return _set_number(content, random)
    offset, form = fields[random.integers(len(fields))]
    if offset + struct.calcsize(form) > len(content):
        return content
    value = _EXTREMES[random.integers(len(_EXTREMES))] % 256 ** struct.calcsize(form)
    return content[:offset] + struct.pack(form, value) + content[offset + struct.calcsize(form) :]


def _rearrange(content: bytes, random: np.random.Generator) -> bytes:
    """Swap, drop, repeat or move whole blocks, or take some of another file; lengths stay right."""
    head, blocks = _split(content)
    files = list(corpus().values())
    _, foreign = _split(files[random.integers(len(files))])
    if not blocks:
        return content
    first, second = random.integers(len(blocks), size=2)
    match random.integers(5):
        case 0:
            blocks[first], blocks[second] = blocks[second], blocks[first]
        case 1:
            del blocks[first]
        case 2:
            blocks[first:first] = [blocks[first]] * random.integers(1, 60)
        case 3:
            blocks[first:first] = foreign[: random.integers(len(foreign) + 1)]
        case _:
            blocks[first] = _flip_bits(blocks[first], random)
    return head + b"".join(blocks)


def _seal(content: bytes, random: np.random.Generator) -> bytes:
    """Mutate the inside of a PNG's chunks and set their checksums right, so that a decoder sees it."""
    head, blocks = _split(content)
    if head != _PNG or not blocks:
        return _flip_bits(content, random)
    sealed = []
    for block in blocks:
        kind, data = block[4:8], block[8:-4]
        if random.random() < 0.4:
            if kind == b"IDAT" and random.random() < 0.6:
                data = zlib.compress(_set_bytes(_inflate(data), random) * random.integers(1, 3))
            else:
                data = _set_number(_flip_bits(data, random), random)
        sealed.append(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))
    return head + b"".join(sealed)


_MUTATIONS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    _flip_bits,
    _set_bytes,
    _truncate,
    _splice,
    _repeat,
    _set_number,
    _set_number,
    _set_dimensions,
    _rearrange,
    _rearrange,
    _seal,
)


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MAX_SIZE)
    except zlib.error:
        return data


def _dimension_fields(content: bytes) -> list[tuple[int, str]]:
    """The positions of width and height, and their formats."""
    if content.startswith(_PNG):
        return [(16, ">I"), (20, ">I")]
    if content.startswith(b"GIF8"):
        return [(6, "<H"), (8, "<H")]
    if content.startswith(b"BM"):
        return [(18, "<I"), (22, "<I")]
    if content.startswith(b"RIFF"):
        return [(26, "<H"), (28, "<H"), (24, "<H"), (27, "<H"), (21, "<I")]
    if content.startswith((b"II*\0", b"II+\0")):
        tags = re.finditer(rb"[\x00-\x17]\x01[\x03\x04]\x00", content)  # 256 to 279: sizes, samples, strips
        return [(tag.start() + 8, "<I") for tag in tags]
    if content.startswith(b"\xff\xd8"):
        frames = [start.start() for start in re.finditer(rb"\xff[\xc0-\xc2]\0", content)]
        return [(start + offset, ">H") for start in frames for offset in (5, 7)]
    return []


def _split(content: bytes) -> tuple[bytes, list[bytes]]:
    """The signature and the blocks of a file: chunks, segments, tags, or lines where there are none."""
    if content.startswith(_PNG):
        return _PNG, _chunks(content, 8, lambda at: 12 + int.from_bytes(content[at : at + 4], "big"))
    if content.startswith(b"RIFF"):
        return content[:12], _chunks(content, 12, lambda at: 8 + int.from_bytes(content[at + 4 : at + 8], "little"))
    if content.startswith(b"\xff\xd8"):
        segments = re.split(rb"(?=\xff[\xc0-\xc4\xda-\xef\xfe])", content[2:])
        return content[:2], [segment for segment in segments if segment]
    if content.startswith(b"II*\0"):
        directory = int.from_bytes(content[4:8], "little")
        return content[: directory + 2], _chunks(content, directory + 2, lambda at: 12)
    if content.startswith(b"GIF8"):
        return content[:13], re.split(rb"(?<=\0)(?=[,!;])", content[13:])
    return content[:2], re.split(rb"(?<=\n)", content[2:]) if content.startswith(b"P") else [content[2:]]


def _chunks(content: bytes, first: int, size: Callable[[int], int]) -> list[bytes]:
    chunks = []
    while first < len(content):
        chunks.append(content[first : first + size(first)])
        first += size(first)
    return chunks
