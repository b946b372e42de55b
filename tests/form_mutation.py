"""Mutates multipart forms: their boundaries, parts, headers, charsets and ends."""

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np

from corpus import corpus

BOUNDARY = b"limit"
_CHARSETS = ("utf-8", "utf-7", "utf-16", "latin-1", "hex", "rot13", "idna", "punycode", "unicode_escape", "none", "\0")
_NAMES = (
    b"image",
    b"alpha",
    b"mode",
    b"delta",
    b"grouped",
    b"crop_border",
    b"map",
    b"other",
    b"",
    b"\xff\xfe",
    b"im\0age",
    b'a"b',
    b"i" * 3000,
)
_VALUES = (b"0.1", b"nan", b"inf", b"-0", b"1e-9", b"2", b"x", b"", b"\xff", b"9" * 2000, b"true", b"joint", b"0x1p-3")
_KINDS = (
    b"image/png",
    b"text/plain; charset=utf-7",
    b'message/external-body; access-type=URL; URL="http://127.0.0.1:9/cat.png"',
    b"multipart/mixed; boundary=inner",
    b"application/json",
    b"\xff\xff",
)

Form = tuple[str, bytes]  # content type, body


def forms(seed: int) -> Iterator[tuple[str, Form]]:
    """An endless stream of mutated forms, each with a name that identifies it; equal for equal seeds."""
    for number in count():
        random = np.random.default_rng((seed, number))
        parts = [_image(random), *(_field(random) for _ in range(random.integers(4)))]
        form = f"multipart/form-data; boundary={BOUNDARY.decode()}", _join(parts)
        for _ in range(1 + random.integers(3)):
            form = _MUTATIONS[random.integers(len(_MUTATIONS))](form, random)
        yield f"form {number}", form


def _part(name: bytes, value: bytes, filename: bytes | None = None, *headers: bytes) -> bytes:
    disposition = b'Content-Disposition: form-data; name="' + name + b'"'
    if filename is not None:
        disposition += b'; filename="' + filename + b'"'
    return b"\r\n".join((disposition, *headers, b"", value))


def _image(random: np.random.Generator) -> bytes:
    files = list(corpus().values())
    return _part(b"image", files[random.integers(len(files))], b"cat.png", b"Content-Type: image/png")


def _field(random: np.random.Generator) -> bytes:
    name = _NAMES[random.integers(len(_NAMES))]
    filename = b"http://127.0.0.1:9/cat.png" if random.random() < 0.2 else None
    kind = (b"Content-Type: " + _KINDS[random.integers(len(_KINDS))],) if random.random() < 0.4 else ()
    return _part(name, _VALUES[random.integers(len(_VALUES))], filename, *kind)


def _join(parts: list[bytes], boundary: bytes = BOUNDARY) -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"


def _parts(body: bytes) -> list[bytes]:
    return [part.removeprefix(b"\r\n").removesuffix(b"\r\n") for part in body.split(b"--" + BOUNDARY)[1:-1]]


def _flip(form: Form, random: np.random.Generator) -> Form:
    changed = bytearray(form[1])
    reach = min(len(changed), 300) if random.random() < 0.7 else len(changed)
    for offset in random.integers(0, max(reach, 1), 1 + random.integers(6)):
        if offset < len(changed):
            changed[offset] ^= 1 << random.integers(8)
    return form[0], bytes(changed)


def _cut(form: Form, random: np.random.Generator) -> Form:
    return form[0], form[1][: random.integers(len(form[1]) + 1)]


def _change_boundary(form: Form, random: np.random.Generator) -> Form:
    values = ("", "limi", "limit ", '"limit"', "limit" * 60, "--", "\\", "\x7f", "l" * 3000, "limit; boundary=other")
    return f"multipart/form-data; boundary={values[random.integers(len(values))]}", form[1]


def _change_charset(form: Form, random: np.random.Generator) -> Form:
    return f"{form[0]}; charset={_CHARSETS[random.integers(len(_CHARSETS))]}", form[1]


def _change_type(form: Form, random: np.random.Generator) -> Form:
    values = ("", "multipart/mixed", "application/x-www-form-urlencoded", "application/json", "image/png", "MULTIPART")
    return f"{values[random.integers(len(values))]}; boundary={BOUNDARY.decode()}", form[1]


def _nest(form: Form, random: np.random.Generator) -> Form:
    body = form[1]
    for depth in range(random.integers(1, 30)):
        inner = b"inner%d" % depth
        body = _join([_part(b"image", body, None, b"Content-Type: multipart/mixed; boundary=" + inner)], inner)
    return form[0], _join([_part(b"image", body, b"nest.png")])


def _add_many(form: Form, random: np.random.Generator) -> Form:
    parts = _parts(form[1]) or [_field(random)]
    return form[0], _join(parts + [parts[random.integers(len(parts))]] * random.integers(1, 2000))


def _add_headers(form: Form, random: np.random.Generator) -> Form:
    kinds = (
        b"X-Long: " + b"y" * 20_000,
        b"\r\n".join(b"X-%d: y" % number for number in range(500)),
        b"No colon",
        b": a",
    )
    header = kinds[random.integers(len(kinds))]
    return form[0], _join([header + b"\r\n" + part for part in _parts(form[1])] or [header])


def _change_name(form: Form, random: np.random.Generator) -> Form:
    name = _NAMES[random.integers(len(_NAMES))]
    return form[0], form[1].replace(b'name="image"', b'name="' + name + b'"', 1)


def _change_filename(form: Form, random: np.random.Generator) -> Form:
    names = (
        b"",
        b"../../etc/passwd",
        b"\r\nX: y",
        b"a\0b",
        b"\xed\xa0\x80",
        b"+2AA-",
        b"n" * 5000,
        b"file:///etc/passwd",
    )
    starred = b"filename*=utf-16''%ff%fe"
    name = names[random.integers(len(names))]
    new = starred if random.random() < 0.2 else b'filename="' + name + b'"'
    return form[0], form[1].replace(b'filename="cat.png"', new, 1)


def _change_line_ends(form: Form, random: np.random.Generator) -> Form:
    ends = (b"\n", b"\r", b"\n\r", b"\r\n\r\n", b"")
    return form[0], form[1].replace(b"\r\n", ends[random.integers(len(ends))], random.integers(1, 20))


_MUTATIONS: tuple[Callable[[Form, np.random.Generator], Form], ...] = (
    _flip,
    _flip,
    _cut,
    _change_boundary,
    _change_charset,
    _change_type,
    _nest,
    _add_many,
    _add_headers,
    _change_name,
    _change_filename,
    _change_line_ends,
)
