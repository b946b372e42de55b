"""The command `huebands colorize`. Heavy modules are imported when it runs."""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from huebands.colorize.arguments import (
    FADED,
    FORMATS,
    MAPS,
    add_alpha,
    add_hints,
    add_like,
    add_mode,
    add_model,
    add_photos,
    add_samples,
    page,
    positive,
    share,
)
from huebands.colorize.complaint import INTERRUPTED, complain, printable
from huebands.colorize.follow import cores, follow
from huebands.colorize.standard_streams import (
    STDIN,
    STDOUT,
    StreamError,
    output_path,
    photo_path,
    picture_to_standard_output,
    standard_input,
)

if TYPE_CHECKING:
    from huebands.colorize.manifest import Manifest
    from huebands.colorize.search import Photo
    from huebands.colorize.targets import Targets

HELP = "colorize photos and give bands for their true colours"
DESCRIPTION = (
    "Write the colorized picture STEM.colorized.SUFFIX, STEM.bands.npz, STEM.uncertainty.png and STEM.report.json for"
    " every photo, and what was done into huebands.jsonl. A later run with the same settings goes on from there."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_photos(parser, "PHOTO", "a photo, or a folder of photos; - reads a photo from standard input", photo_path)
    add_alpha(
        parser,
        "share that may leave its band, on average over photos: of the channels' values, or with --mode joint of"
        " the pixels",
    )
    add_mode(parser, "what may leave its band: a channel's value, or a pixel by any of its channels")
    parser.add_argument(
        "--delta",
        type=share,
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
        "--page",
        type=page,
        metavar="N|all",
        help="of files with several pages, such as TIFFs of scanners: this one, from 1, or all, a result for each",
    )
    parser.add_argument(
        "--max-megapixels",
        metavar="N",
        help="refuse larger photos (default: HUEBANDS_MAX_MEGAPIXELS, else 50)",
    )
    parser.add_argument(
        "--output",
        type=output_path,
        default=Path(),
        metavar="DIR",
        help="where to write (default: the current folder); the results of a folder's photos keep its folders; - writes"
        " the picture of one photo to standard output, and nothing else",
    )
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="of the pictures (default: the photo's own, or PNG where that is none of these); 16 bits and transparency"
        " are kept where the photo and the format have them",
    )
    parser.add_argument(
        "--strength",
        type=float,
        default=1.0,
        metavar="S",
        help="how much colour pictures have, from 0, grey, to 1 (default: 1)",
    )
    parser.add_argument(
        "--show-uncertainty",
        type=float,
        nargs="?",
        const=FADED,
        metavar="WIDTH",
        help="write STEM.faded.SUFFIX too, in which colour fades to grey where the bands are wide, and is gone at this"
        f" mean width in 8-bit levels (default: {FADED:g})",
    )
    parser.add_argument(
        "--c2pa",
        type=Path,
        nargs=2,
        metavar=("CERTIFICATE", "KEY"),
        help="sign pictures with Content Credentials: certificates in PEM, the signer's first, and its private key;"
        " needs huebands[c2pa]",
    )
    parser.add_argument("--flat", action="store_true", help="write all results into DIR itself")
    parser.add_argument(
        "--full-names",
        action="store_true",
        help="keep the photos' endings in the names of the results, as in cat.jpg.colorized.jpg",
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and write nothing")
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="do again what huebands.jsonl says is done, and replace files that are not results of this command as it"
        " wrote them, too; a photo that is read is never replaced",
    )
    parser.add_argument(
        "--tinted", action="store_true", help="say nothing of photos that are tinted, such as sepia prints"
    )
    parser.add_argument(
        "--crop-border",
        action="store_true",
        help="leave out the border that a scan has around its picture: the result is the picture inside",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="make a contact sheet of all that huebands.jsonl lists, huebands.html: photos most worth a look first",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="photos side by side, each in a process of its own (default: as many as there are cores)",
    )
    add_model(
        parser,
        "a model package, or its address in the registry, such as models:/huebands-generator@champion"
        " (default: the best of models/release, else models/generator)",
    )


def run(options: argparse.Namespace) -> int:
    """Colorize the photos; gives the exit code."""
    try:
        with standard_input(options.photos) as spool:
            if options.output is STDOUT:
                return picture_to_standard_output(options, partial(_run, options, spool))
            return _run(options, spool, options.output)
    except StreamError as error:
        return complain(error)


def _run(options: argparse.Namespace, spool: Path | None, folder: Path) -> int:
    """Colorize the photos into a folder; `spool` is the file of that from standard input."""
    from huebands.colorize.names import name_results
    from huebands.colorize.search import search_photos
    from huebands.colorize.targets import Targets

    search, code = search_photos(options.photos, options.page)
    paths, clashes = name_results(search.photos, options.flat, options.full_names)
    for clash in clashes:
        code = complain(clash)
    if options.output is STDOUT and len(search.photos) > 1:
        raise StreamError(f"--output - is for one photo, and {len(search.photos)} are given")
    read = [*(photo.path for photo in paths), options.hints, options.like, *(options.c2pa or ())]
    inputs = [Path("/dev/stdin") if path is STDIN else Path(path) for path in read if path is not None]
    if paths:
        code = _colorize(options, paths, spool, Targets(folder, inputs, options.overwrite)) or code
    for line in search.report():
        print(printable(line))
    return code


def _colorize(
    options: argparse.Namespace, paths: Mapping["Photo", PurePath], spool: Path | None, targets: "Targets"
) -> int:
    """Colorize the photos, or with --dry-run say what would be done; gives the exit code."""
    from huebands.colorize.batch import colorize_photos, rehearse
    from huebands.colorize.colorizer import Colorizer
    from huebands.colorize.credentials import Credentials
    from huebands.colorize.exemplar import Exemplar
    from huebands.colorize.fading import Fading
    from huebands.colorize.hints import HintRequest, HintsError
    from huebands.colorize.manifest import Manifest
    from huebands.colorize.sampling import Sampling
    from huebands.colorize.task import Task
    from huebands.conformal.error_map import choose_map
    from huebands.conformal.guarantee import Guarantee
    from huebands.photos.limits import pixel_limit

    try:
        colorizer = Colorizer.load(options.model)
        guarantee = Guarantee(alpha=options.alpha, mode=options.mode, delta=options.delta, grouped=options.grouped)
        sampling = Sampling.asked(options.samples, options.seed)
        colorizer.abilities.check_samples(sampling)
        hints = HintRequest.asked(options.hint, options.hints)
        colorizer.abilities.check_hints(hints)
        if hints is not None and len(paths) > 1:
            raise HintsError(f"hints are for one photo, and {len(paths)} are given")
        if hints is not None and options.crop_border:
            raise HintsError("hints lie on the whole photo, which --crop-border cuts; crop the photo first")
        colorizer.abilities.check_exemplar(options.like)
        colorizer.calibration_given(hints, options.like).check(guarantee)
        like = None if options.like is None else Exemplar.read(options.like)
        max_pixels = pixel_limit(options.max_megapixels)
        map_name = choose_map(options.map, colorizer.calibration.maps)
        task = Task(
            guarantee=guarantee,
            map_name=map_name,
            sampling=sampling,
            hints=hints,
            like=like,
            max_pixels=max_pixels,
            crop_border=options.crop_border,
            format=options.format,
            credentials=None if options.c2pa is None else Credentials.read(*options.c2pa),
            fading=Fading(strength=options.strength, width=options.show_uncertainty),
            standard_input=spool,
        )
        manifest = Manifest.read(targets.folder)
        if not options.dry_run:
            targets.make_folders(path.parent for path in paths.values())
    except (ValueError, OSError) as error:
        return complain(error)
    package = colorizer.package
    model = f"{colorizer.source} ({package.config['name']}, package {package.package_sha256[:12]})"
    print(printable(f"model: {model}; uncertainty.png shows the {map_name.replace('-', ' ')}"))
    if options.dry_run:
        outcomes = rehearse(colorizer, paths, task, targets, manifest)
    else:
        outcomes = colorize_photos(colorizer, paths, task, targets, manifest, options.jobs, cores())
    unlike_p_value = colorizer.calibration.unlike_p_value
    shown = None if options.output is STDOUT else targets.folder
    code = follow(outcomes, len(paths), shown, unlike_p_value, options.tinted)
    if options.report and not options.dry_run and code != INTERRUPTED:
        code = max(code, _write_sheet(manifest, targets, unlike_p_value))
    return code


def _write_sheet(manifest: "Manifest", targets: "Targets", unlike_p_value: float) -> int:
    from huebands.colorize.contact_sheet import NAME, make_sheet
    from huebands.files import atomic

    path = targets.folder / NAME
    try:
        targets.check(path)
        atomic.write_text(path, make_sheet(manifest, unlike_p_value))
    except (ValueError, OSError) as error:
        return complain(error)
    print(printable(f"contact sheet: {path}"))
    return 0
