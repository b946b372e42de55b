"""The command `huebands lineage`. Heavy modules are imported when it runs."""

import argparse

from huebands.colorize.complaint import complain, printable

HELP = "say which registered models saw a photo, and what must be trained again if it has to go"
DESCRIPTION = (
    "Look for a photo, by the sha256 of its bytes, and for its near-duplicates, by perceptual hash: in the remembered"
    " splits (data/splits) and in the photos of each registered version. Say in which split a version saw it, and which"
    " stages undo that. A version that keeps no list of its photos is said to be unknown."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("photo", metavar="PHOTO|SHA", help="a file, or 16 to 64 hexadecimal digits of its sha256")
    parser.add_argument(
        "--distance",
        type=int,
        default=10,
        metavar="BITS",
        help="of 64 in which the perceptual hashes of near-duplicates differ at most, as prepare.group_distance"
        " (default: 10)",
    )


def run(options: argparse.Namespace) -> int:
    """Look for the photo and print what is known; gives the exit code."""
    from huebands.promotion.photo_lineage import trace
    from huebands.registry.connection import TrackingError

    try:
        lines = trace(options.photo, options.distance)
    except (ValueError, TrackingError, OSError) as error:
        return complain(error)
    for line in lines:
        print(printable(line))
    return 0
