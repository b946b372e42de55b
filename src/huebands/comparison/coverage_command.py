"""The command `huebands coverage`. Heavy modules are imported when it runs."""

import argparse

from huebands.colorize.arguments import add_alpha, add_mode, add_model, add_photos
from huebands.colorize.complaint import complain, printable

PROMISE_BROKEN = 1  # the exit code
HELP = "measure on your own colour photos whether the bands keep their promise"
DESCRIPTION = (
    "Make colour photos grey, colorize them, and test whether their true colours lie in the bands as often as promised."
    " Grey and tinted photos are left out. Give photos that are independent of each other: a hundred frames of one"
    " scene are one photo. Exit code 1 when the promise does not hold on them."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_photos(parser, "FOLDER", "a folder of photos, or photos")
    add_alpha(parser, "share that may leave its band")
    add_mode(parser, "what may leave its band: a channel's value, or a pixel by any of its channels")
    add_model(parser, "as for colorize")


def run(options: argparse.Namespace) -> int:
    """Measure the photos and print the verdict; gives the exit code."""
    import numpy as np

    from huebands.colorize.colorizer import Colorizer
    from huebands.colorize.search import search_photos
    from huebands.comparison.coverage_check import guarantee_holds, measure, verdict, why_left_out
    from huebands.conformal.guarantee import Guarantee
    from huebands.photos.read import ImageError, read_photo

    try:
        colorizer = Colorizer.load(options.model)
        guarantee = Guarantee(alpha=options.alpha, mode=options.mode)
        colorizer.calibration.check(guarantee)
    except (ValueError, OSError) as error:
        return complain(error)
    print(f"model: {colorizer.source} ({colorizer.package.config['name']})")
    measurements, left_out, random = [], 0, np.random.default_rng(0)
    search, code = search_photos(options.photos)
    for photo in (photo.path for photo in search.photos):
        try:
            true_HW3 = read_photo(photo)
        except (ImageError, OSError) as error:
            code = complain(error, photo)
            continue
        if reason := why_left_out(true_HW3, colorizer.calibration.min_chroma):
            print(printable(f"{photo}: left out: {reason}"), flush=True)
            left_out += 1
            continue
        measured = measure(colorizer, true_HW3, guarantee, random)
        measurements.append(measured)
        figures = f"{measured.coverage:.1%} covered, width {measured.width:.1f}, likeness p = {measured.likeness:.3f}"
        print(f"{printable(photo)}: {figures}", flush=True)
    for line in search.report():
        print(printable(line))
    if left_out:
        print(f"left out: {left_out} of {left_out + len(measurements)} photos, whose true colours are not known")
    if not measurements:
        return complain(ValueError("no photo could be measured; give photos in colour"))
    for line in verdict(colorizer, measurements, guarantee):
        print(line)
    return code or (0 if guarantee_holds(measurements, guarantee.alpha) else PROMISE_BROKEN)
