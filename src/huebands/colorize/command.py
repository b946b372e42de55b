"""The command `huebands colorize`. Heavy modules are imported when it runs."""

import argparse
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from huebands.colorize.arguments import (
    MAPS,
    add_alpha,
    add_hints,
    add_like,
    add_mode,
    add_model,
    add_photos,
    add_samples,
    number,
)
from huebands.colorize.complaint import complain, printable, search_photos

if TYPE_CHECKING:
    from huebands.colorize.result import Colorization
    from huebands.colorize.targets import Targets

HELP = "colorize photos and give bands for their true colours"
DESCRIPTION = "Write STEM.colorized.png, STEM.bands.npz and STEM.uncertainty.png for every photo."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_photos(parser, "PHOTO", "a photo, or a folder of photos")
    add_alpha(
        parser,
        "share that may leave its band, on average over photos: of the channels' values, or with --mode joint of"
        " the pixels",
    )
    add_mode(parser, "what may leave its band: a channel's value, or a pixel by any of its channels")
    parser.add_argument(
        "--delta",
        type=number,
        default=None,
        help="chance that the draw of the calibration photos may have to break the promise; wider bands (default: the"
        " promise holds on average over calibrations)",
    )
    parser.add_argument(
        "--grouped",
        action="store_true",
        help="keep the promise in each group of pixels too: by lightness and chroma, texture, photo; wider bands",
    )
    parser.add_argument(
        "--map",
        choices=MAPS,
        help="what STEM.uncertainty.png shows: the expected error of the colours, in CIEDE2000, or the width of the"
        " bands (default: the expected error where the model gives one, else the width)",
    )
    add_samples(parser)
    add_hints(parser)
    add_like(parser)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(),
        metavar="DIR",
        help="where to write (default: the current folder); the results of a folder's photos keep its folders",
    )
    parser.add_argument("--flat", action="store_true", help="write all results into DIR itself")
    parser.add_argument(
        "--full-names",
        action="store_true",
        help="keep the photos' endings in the names of the results, as in cat.jpg.colorized.png",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and write nothing; no model is loaded"
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace files that are not results of this command as it wrote them, too; a photo that is read is never"
        " replaced",
    )
    add_model(
        parser,
        "a model package, or its address in the registry, such as models:/huebands-generator@champion"
        " (default: the best of models/release, else models/generator)",
    )


def run(options: argparse.Namespace) -> int:
    """Colorize the photos; gives the exit code."""
    from huebands.colorize.names import name_results
    from huebands.colorize.targets import Targets

    search, code = search_photos(options.photos)
    paths, clashes = name_results(search.photos, options.flat, options.full_names)
    for clash in clashes:
        code = complain(clash)
    inputs = [Path(path) for path in (*paths, options.hints, options.like) if path is not None]
    targets = Targets(options.output, inputs, options.overwrite)
    if paths:
        code = (_rehearse if options.dry_run else _colorize)(options, paths, targets) or code
    for line in search.report():
        print(printable(line))
    return code


def _rehearse(options: argparse.Namespace, paths: Mapping[Path, PurePath], targets: "Targets") -> int:
    """Say what would be done; gives the exit code."""
    from huebands.colorize.result import file_names

    code = 0
    for photo, path in paths.items():
        names = [targets.folder / name for name in file_names(str(path), options.samples)]
        try:
            for name in names:
                targets.check(name)
        except (ValueError, OSError) as error:
            code = complain(error, photo)
        else:
            print(f"{printable(photo)} -> {printable(names[0])}")
    return code


def _colorize(options: argparse.Namespace, paths: Mapping[Path, PurePath], targets: "Targets") -> int:
    """Colorize the photos; gives the exit code."""
    from huebands.colorize.batch import colorize_photos
    from huebands.colorize.colorizer import Colorizer
    from huebands.colorize.exemplar import Exemplar
    from huebands.colorize.hints import HintRequest, HintsError
    from huebands.colorize.sampling import Sampling
    from huebands.conformal.error_map import choose_map
    from huebands.conformal.guarantee import Guarantee

    try:
        colorizer = Colorizer.load(options.model)
        guarantee = Guarantee(alpha=options.alpha, mode=options.mode, delta=options.delta, grouped=options.grouped)
        sampling = Sampling.asked(options.samples, options.seed)
        colorizer.abilities.check_samples(sampling)
        hints = HintRequest.asked(options.hint, options.hints)
        colorizer.abilities.check_hints(hints)
        if hints is not None and len(paths) > 1:
            raise HintsError(f"hints are for one photo, and {len(paths)} are given")
        colorizer.abilities.check_exemplar(options.like)
        colorizer.calibration_given(hints, options.like).check(guarantee)
        like = None if options.like is None else Exemplar.read(options.like)
        map_name = choose_map(options.map, colorizer.calibration.maps)
        targets.make_folders(path.parent for path in paths.values())
    except (ValueError, OSError) as error:
        return complain(error)
    package = colorizer.package
    model = f"{colorizer.source} ({package.config['name']}, package {package.package_sha256[:12]})"
    print(printable(f"model: {model}; uncertainty.png shows the {map_name.replace('-', ' ')}"))

    code = 0
    for photo, colorized, result in colorize_photos(
        colorizer, paths, guarantee, targets, map_name, sampling, hints, like
    ):
        if isinstance(result, Exception):
            code = complain(result, photo)
        else:
            description = _describe(result, colorizer.calibration.unlike_p_value)
            print(f"{printable(photo)} -> {printable(colorized)} ({description})", flush=True)
    return code


def _describe(result: "Colorization", unlike_p_value: float) -> str:
    height, width = result.grey.shape
    is_unlike = result.likeness <= unlike_p_value
    unlike = f"; unlike the calibration photos, p = {result.likeness:.3f}" if is_unlike else ""
    expected_error = result.expected_error
    error = "" if expected_error is None else f", expected error {expected_error.mean():.1f}"
    samples = ""
    if result.samples:
        shares = ", ".join(f"{share:.1%}" for share in result.samples_outside)
        samples = f"; outside the bands: {shares} of the samples' {result.guarantee.unit}"
    caveat = "" if result.caveat is None else "; the guarantee does not reach this photo"
    caveat += "" if result.law is None else "; the guarantee needs hints of true colours"
    hints = f"; {result.hints.in_words}" if result.hints is not None and result.hints.unusual else ""
    return (
        f"{width} x {height}, bands {result.width.mean():.1f} of 255 levels wide{error}{samples}{caveat}{hints}{unlike}"
    )
