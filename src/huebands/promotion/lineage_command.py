"""The command `huebands lineage`. Heavy modules are imported when it runs."""

import argparse

from huebands.colorize.complaint import complain, printable

HELP = "say which registered models saw a photo, and what must be trained again if it has to go"
DESCRIPTION = (
    "Look for a photo, by the sha256 of its bytes, and for its near-duplicates, by perceptual hash: in the remembered"
    " splits (data/splits), in the photos of each registered version, and in the suites of photos on which versions are"
    " judged. Say in which split a version saw it, and what removes it. A version that keeps no list of its photos is"
    " said to be unknown. The exit code is 2 when a list cannot be read, so that the answer is not complete."
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

    try:
        lines, problems = trace(options.photo, options.distance)
    except (ValueError, OSError) as error:
        return complain(error)
    for line in lines:
        print(printable(line))
    return max([complain(problem) for problem in problems], default=0)
