"""Arguments that several commands take; nothing heavy is imported, so that help comes at once."""

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path

MODES = ("per_channel", "joint")
FADED = 128.0  # levels: the width of bands at which colour is gone
FORMATS = ("png", "tiff", "jpeg", "webp")
MAPS = ("expected-error", "width")


def add_photos(parser: argparse.ArgumentParser, metavar: str, text: str, path: Callable[[str], Path] = Path) -> None:
    """Add the photos, files or folders."""
    parser.add_argument("photos", nargs="+", type=path, metavar=metavar, help=text)


def add_alpha(parser: argparse.ArgumentParser, text: str) -> None:
    """Add alpha, 0.1 by default."""
    parser.add_argument("--alpha", type=share, default=0.1, help=f"{text}, such as 0.1 or 10%% (default: 0.1)")


def add_mode(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the mode, the first of `MODES` by default."""
    parser.add_argument("--mode", choices=MODES, default=MODES[0], help=f"{text} (default: {MODES[0]})")


def add_model(parser: argparse.ArgumentParser, text: str) -> None:
    """Add the model, None by default."""
    parser.add_argument("--model", metavar="PATH|models:/...", help=text)


def add_samples(parser: argparse.ArgumentParser) -> None:
    """Add the number of samples, 0 by default, and their seed."""
    parser.add_argument(
        "--samples",
        type=int,
        default=0,
        metavar="N",
        help="write N further colourings, STEM.sample-1.png and so on, of a model that knows several (default: none)",
    )
    parser.add_argument(
        "--seed", type=int, default=None, help="of the samples: equal seeds give equal samples (default: 0)"
    )


def add_hints(parser: argparse.ArgumentParser) -> None:
    """Add hints, points and a picture, none by default."""
    parser.add_argument(
        "--hint",
        action="append",
        default=[],
        metavar="X,Y,#RRGGBB",
        help="colour the photo at this pixel, counted from 0 at the left and the top, with a model that takes hints;"
        " may be repeated; for one photo",
    )
    parser.add_argument(
        "--hints",
        type=Path,
        metavar="PNG",
        help="likewise, by a picture of the photo's size that is transparent where no colour is given",
    )


def add_like(parser: argparse.ArgumentParser) -> None:
    """Add a reference photo, none by default."""
    parser.add_argument(
        "--like",
        metavar="PHOTO",
        help="take the colours from this photo, with a model that takes a reference",
    )


def share(text: str) -> float:
    """Read a share between 0 and 1, such as 0.1 or 10%; which shares are supported is left to the calibration."""
    try:
        value = Decimal(text.removesuffix("%")).scaleb(-2 if text.endswith("%") else 0)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and 0 < value < 1):
        raise argparse.ArgumentTypeError(f"(={text!r}) must be a share between 0 and 1, written as 0.1 or as 10%")
    return float(value)


def page(text: str) -> int | str:
    """Read the number of a page, from 1, or "all"."""
    return text if text == "all" else positive(text)


def positive(text: str) -> int:
    """Read an integer of at least 1."""
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"(={text!r}) must be an integer of at least 1")
    return int(text)
