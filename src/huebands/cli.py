"""The `huebands` command. Heavy modules are imported once the arguments are known: help comes at once."""

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from huebands.colorize.result import Colorization

MODES = ("per_channel", "joint")
PROMISE_BROKEN, BAD_INPUT = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code, 2 where any input was bad."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a photo may have a name that cannot be printed here
    options = _parser().parse_args(arguments)
    code: int = options.run(options)
    return code


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line, without the usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="huebands", description="Colorization that knows what it does not know.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_colorize(commands)
    _add_coverage(commands)
    _add_compare(commands)
    return parser


def _add_colorize(commands: "argparse._SubParsersAction[_Parser]") -> None:
    colorize = commands.add_parser(
        "colorize",
        help="colorize photos and give bands for their true colours",
        description="Write STEM.colorized.png, STEM.bands.npz and STEM.uncertainty.png for every photo.",
    )
    colorize.set_defaults(run=_colorize)
    colorize.add_argument("photos", nargs="+", type=Path, metavar="PHOTO", help="a photo, or a folder of photos")
    colorize.add_argument(
        "--alpha",
        type=_number,
        default=0.1,
        help="share that may leave its band, on average over photos: of the channels' values, or with --mode joint of"
        " the pixels (default: 0.1)",
    )
    colorize.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="what leaves: a channel's value, or a pixel by any of its channels (default: per_channel)",
    )
    colorize.add_argument(
        "--delta",
        type=_number,
        default=None,
        help="chance that the draw of the calibration photos may have to break the promise; wider bands (default: the"
        " promise holds on average over calibrations)",
    )
    colorize.add_argument(
        "--grouped",
        action="store_true",
        help="keep the promise in each group of pixels too: by lightness and chroma, texture, photo; wider bands",
    )
    colorize.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to write (default: the current folder)",
    )
    colorize.add_argument(
        "--model",
        metavar="PATH|models:/...",
        help="a model package, or its address in the registry, such as models:/huebands-generator@champion"
        " (default: the best of models/release, else models/generator)",
    )


def _add_coverage(commands: "argparse._SubParsersAction[_Parser]") -> None:
    coverage = commands.add_parser(
        "coverage",
        help="measure on your own photos in colour whether the bands keep their promise there",
        description="Grey photos in colour, colorize them, and test whether their true colours lie in the bands as"
        " often as promised. Give photos that are independent of each other: a hundred frames of one scene are one"
        " photo. Exit code 1 when the promise does not hold on them.",
    )
    coverage.set_defaults(run=_coverage)
    coverage.add_argument("photos", nargs="+", type=Path, metavar="FOLDER", help="a folder of photos, or photos")
    coverage.add_argument("--alpha", type=_number, default=0.1, help="share that may leave its band (default: 0.1)")
    coverage.add_argument(
        "--mode",
        choices=MODES,
        default=MODES[0],
        help="what leaves: a channel's value or a pixel (default: per_channel)",
    )
    coverage.add_argument("--model", metavar="PATH|models:/...", help="as for colorize")


def _add_compare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    compare = commands.add_parser(
        "compare",
        help="compare models, baselines and outside colorizers on the same photos",
        description="Let every candidate colour the same grey photos, and write metrics.json, photos.csv, table.md,"
        " a page (index.html) with the pictures under a slider, and one MLflow run a candidate.",
    )
    compare.set_defaults(run=_compare)
    compare.add_argument(
        "candidates",
        nargs="*",
        metavar="CANDIDATE",
        help="grey; lightness (mean colour by lightness); neighbours (colour transfer from the nearest training"
        " pixels); seed (models/seed, the project's first generator, without guided upsampling); or a model package,"
        " PATH or models:/...; NAME=CANDIDATE"
        " gives it a name (default: all four, models/generator and the best of models/release)",
    )
    compare.add_argument(
        "--command",
        action="append",
        default=[],
        dest="outside",
        metavar="NAME=COMMAND",
        help="add an outside colorizer: a command, run without a shell, that reads the PNG file {grey} and writes the"
        " PNG file {colour} of the same size, once a photo; or reads the folder {greys} and writes files of the same"
        " names into the folder {colours}, once for all; may be repeated",
    )
    compare.add_argument(
        "--timeout", type=float, default=600, metavar="SECONDS", help="for an outside colorizer, a photo (default: 600)"
    )
    compare.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help="photos in colour to compare on (default: a split of data/prepared)",
    )
    compare.add_argument(
        "--split",
        metavar="NAME",
        help="of data/prepared: test, or val to choose between candidates without looking at test (default: test)",
    )
    compare.add_argument(
        "--size",
        type=int,
        metavar="PIXELS",
        help="side of the squares that the photos of --photos are squashed to (default: 256)",
    )
    compare.add_argument(
        "--train",
        type=Path,
        default=Path("data/prepared"),
        metavar="DIR",
        help="prepared dataset whose training split teaches the baselines (default: data/prepared)",
    )
    compare.add_argument(
        "--output",
        type=Path,
        default=Path("reports/compare"),
        metavar="DIR",
        help="where to write (default: reports/compare)",
    )
    compare.add_argument(
        "--experiment",
        default="huebands-compare",
        metavar="NAME",
        help="MLflow's experiment (default: huebands-compare)",
    )
    compare.add_argument("--no-tracking", action="store_true", help="log no MLflow runs")


def _colorize(options: argparse.Namespace) -> int:
    from huebands.colorize.batch import colorize_photos
    from huebands.colorize.colorizer import Colorizer
    from huebands.conformal.guarantee import Guarantee

    try:
        colorizer = Colorizer.load(options.model)
        guarantee = Guarantee(alpha=options.alpha, mode=options.mode, delta=options.delta, grouped=options.grouped)
        colorizer.calibration.check(guarantee)
        options.output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        return _complain(error)
    package = colorizer.package
    print(f"model: {colorizer.source} ({package.config['name']}, package {package.package_sha256[:12]})")

    photos, code = _expand(options.photos)
    for photo, colorized, result in colorize_photos(colorizer, photos, guarantee, options.output):
        if isinstance(result, Exception):
            code = _complain(result, photo)
        else:
            print(f"{photo} -> {colorized} ({_describe(result, colorizer.calibration.unlike_p_value)})", flush=True)
    return code


def _describe(result: "Colorization", unlike_p_value: float) -> str:
    height, width = result.grey.shape
    is_unlike = result.likeness <= unlike_p_value
    unlike = f"; unlike the calibration photos, p = {result.likeness:.3f}" if is_unlike else ""
    return f"{width} x {height}, bands {result.width.mean():.1f} of 255 levels wide{unlike}"


def _expand(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """The photos of folders and files, and the exit code; paths without photos are named on stderr."""
    from huebands.colorize.batch import photos_below
    from huebands.photos.errors import ImageError

    photos, code = list[Path](), 0
    for path in paths:
        try:
            photos += photos_below(path)
        except (ImageError, OSError) as error:
            code = _complain(error)
    return photos, code


def _coverage(options: argparse.Namespace) -> int:
    import numpy as np

    from huebands.colorize.colorizer import Colorizer
    from huebands.comparison.coverage_check import guarantee_holds, measure, verdict
    from huebands.conformal.guarantee import Guarantee
    from huebands.photos.read import ImageError, read_photo

    try:
        colorizer = Colorizer.load(options.model)
        guarantee = Guarantee(alpha=options.alpha, mode=options.mode)
        colorizer.calibration.check(guarantee)
    except (ValueError, OSError) as error:
        return _complain(error)
    print(f"model: {colorizer.source} ({colorizer.package.config['name']})")
    measured, random = [], np.random.default_rng(0)
    photos, code = _expand(options.photos)
    for photo in photos:
        try:
            one = measure(colorizer, read_photo(photo), guarantee, random, str(photo))
        except (ImageError, OSError) as error:
            code = _complain(error, photo)
            continue
        measured.append(one)
        print(
            f"{photo}: {one.coverage:.1%} covered, width {one.width:.1f}, likeness p = {one.likeness:.3f}", flush=True
        )
    if not measured:
        return _complain(ValueError("no photo in colour could be measured"))
    for line in verdict(colorizer, measured, guarantee):
        print(line)
    return code or (0 if guarantee_holds(measured, guarantee.alpha) else PROMISE_BROKEN)


def _compare(options: argparse.Namespace) -> int:
    from huebands.comparison.command import Request, read_photos, run

    request = Request(
        candidates=options.candidates,
        commands=options.outside,
        timeout=options.timeout,
        train=options.train,
        output=options.output,
        experiment=None if options.no_tracking else options.experiment,
    )
    try:
        photos = read_photos(options.photos, options.size, options.split)
        code = max((_complain(error) for error in photos.unreadable), default=0)
        run(request, photos, lambda line: print(line, flush=True))
    except (ValueError, OSError) as error:
        return _complain(error)
    return code


def _number(text: str) -> float | str:
    """Read a number; what is none is left to the calibration, which says what alpha may be."""
    try:
        return float(text)
    except ValueError:
        return text


def _complain(error: Exception, photo: Path | None = None) -> int:
    """Say what was wrong in one line on stderr; an error that names no file names the photo it happened to."""
    if isinstance(error, OSError):
        name = error.filename or photo
        text = f"{name}: {error.strerror}" if name else str(error)
    else:
        text = str(error)
    print(f"huebands: {' '.join(text.split())}", file=sys.stderr)
    return BAD_INPUT
