"""The command `huebands compare`. Heavy modules are imported when it runs."""

import argparse
from pathlib import Path

from huebands.colorize.complaint import complain

HELP = "compare models, baselines and outside colorizers on the same photos"
DESCRIPTION = (
    "Let every candidate colour the same grey photos, and write metrics.json, photos.csv, table.md, a page (index.html)"
    " with the pictures under a slider, and one MLflow run a candidate."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument(
        "candidates",
        nargs="*",
        metavar="CANDIDATE",
        help="grey; lightness (mean colour by lightness); neighbours (colour transfer from the nearest training"
        " pixels); seed (models/seed, the project's first generator, without guided upsampling); or a model package,"
        " PATH or models:/...; NAME=CANDIDATE"
        " gives it a name (default: all four, models/generator and the best of models/release)",
    )
    parser.add_argument(
        "--command",
        action="append",
        default=[],
        dest="outside",
        metavar="NAME=COMMAND",
        help="add an outside colorizer: a command, run without a shell, that reads the PNG file {grey} and writes the"
        " PNG file {colour} of the same size, once a photo; or reads the folder {greys} and writes files of the same"
        " names into the folder {colours}, once for all; may be repeated",
    )
    parser.add_argument(
        "--hints",
        type=int,
        default=0,
        metavar="N",
        help="compare each model that takes hints once more, with N random points of each photo in their true colours",
    )
    parser.add_argument(
        "--references",
        action="store_true",
        help="compare each model that takes a reference photo once more, with the nearest training photo as reference",
    )
    parser.add_argument(
        "--timeout", type=float, default=600, metavar="SECONDS", help="for an outside colorizer, a photo (default: 600)"
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photos in colour to compare on (default: a split of data/prepared)",
    )
    parser.add_argument(
        "--split",
        metavar="NAME",
        help="of data/prepared: test, or val to choose between candidates without looking at test (default: test)",
    )
    parser.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the squares that the photos of --photos are squashed to (default: 256)",
    )
    parser.add_argument(
        "--train",
        type=Path,
        default=Path("data/prepared"),
        metavar="DIR",
        help="prepared dataset whose training split teaches the baselines (default: data/prepared)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("reports/compare"),
        metavar="DIR",
        help="where to write (default: reports/compare)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files there that are not of an earlier comparison as it was written, too",
    )
    parser.add_argument(
        "--experiment",
        default="huebands-compare",
        metavar="NAME",
        help="MLflow's experiment (default: huebands-compare)",
    )
    parser.add_argument("--no-tracking", action="store_true", help="log no MLflow runs")


def run(options: argparse.Namespace) -> int:
    """Compare, and write files and MLflow runs; gives the exit code."""
    from huebands.comparison import command

    request = command.Request(
        candidates=options.candidates,
        commands=options.outside,
        timeout=options.timeout,
        train=options.train,
        hints=options.hints,
        references=options.references,
        output=options.output,
        overwrite=options.overwrite,
        experiment=None if options.no_tracking else options.experiment,
    )
    try:
        photos = command.read_photos(options.photos, options.size, options.split)
        code = max((complain(error) for error in photos.unreadable), default=0)
        command.run(request, photos, lambda line: print(line, flush=True))
    except (ValueError, OSError) as error:
        return complain(error)
    return code
