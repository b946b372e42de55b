"""Tells what becomes of the photos of a run, while it goes on. Heavy modules are imported when it runs."""

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from huebands.colorize.complaint import INTERRUPTED, complain, printable
from huebands.colorize.processes import UnpreparedError

if TYPE_CHECKING:
    from huebands.colorize.batch import Outcome
    from huebands.colorize.manifest import Record


def cores() -> int:
    """The processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def follow(
    outcomes: "Iterator[Outcome]", photos: int, folder: Path | None, unlike_p_value: float, may_be_tinted: bool = False
) -> int:
    """Print a line for each photo, with a bar below them on a terminal; gives the exit code.

    Args:
        outcomes: as they come.
        photos: their number.
        folder: of the results; None: they go to standard output.
        unlike_p_value: at and below which a photo is unlike the calibration photos.
        may_be_tinted: whether nothing is said of tinted photos.

    Raises:
        OSError: without a file's name, when standard output cannot be written.
    """
    from tqdm import tqdm

    code, ended, done_before, megapixels, started = 0, 0, 0, 0.0, time.monotonic()
    try:
        with tqdm(total=photos, unit="photo", disable=not (sys.stdout.isatty() and sys.stderr.isatty())) as bar:
            for outcome in outcomes:
                ended += 1
                if outcome.error is not None:
                    with tqdm.external_write_mode(file=sys.stderr):
                        code = complain(outcome.error, outcome.photo)
                elif outcome.record is None:
                    done_before += 1
                else:
                    megapixels += (outcome.record.width or 0) * (outcome.record.height or 0) / 1e6
                    with tqdm.external_write_mode(file=sys.stdout):
                        print(printable(_describe(outcome.record, folder, unlike_p_value, may_be_tinted)), flush=True)
                bar.set_postfix_str(f"{megapixels / (time.monotonic() - started):.2f} MP/s", refresh=False)
                bar.update()
    except KeyboardInterrupt:
        print(f"huebands: interrupted after {ended} of {photos} photos; the same command goes on", file=sys.stderr)
        return INTERRUPTED
    except (OSError, UnpreparedError) as error:
        if isinstance(error, OSError) and error.filename is None:  # of standard output
            raise
        code = complain(error, addition=f"; stopped after {ended} of {photos} photos, the same command goes on")
    if done_before:
        print(f"done before: {done_before} of {photos} photos; --overwrite does them again")
    return code


def _describe(record: "Record", folder: Path | None, unlike_p_value: float, may_be_tinted: bool) -> str:
    head = f"{record.photo} -> {'standard output' if folder is None else folder / record.files[0]}"
    if record.mean_width is None or record.likeness is None:  # of a rehearsal
        return head
    error = "" if record.expected_error is None else f", expected error {record.expected_error:.1f}"
    samples = ""
    if record.samples_outside:
        shares = ", ".join(f"{share:.1%}" for share in record.samples_outside)
        unit = "pixels" if record.settings["mode"] == "joint" else "channel values"
        samples = f"; outside the bands: {shares} of the samples' {unit}"
    caveat = "" if record.caveat is None else "; the guarantee does not reach this photo"
    caveat += "" if record.law is None else "; the guarantee needs hints of true colours"
    hints = f"; {record.unusual_hints}" if record.unusual_hints else ""
    unlike = ""
    if record.likeness <= unlike_p_value:
        unlike = f"; unlike the calibration photos, p = {record.likeness:.3f}"
        unlike += ": it may be a page of text or a drawing" if record.looks_drawn else ""
    own = "".join(f"; {words}" for words in record.lost)
    if record.own_colour == "colour":
        own += "; has colour of its own, which was not used"
    elif record.own_colour == "tinted" and not may_be_tinted:
        own += "; is tinted, and was taken as grey"
    if record.border is not None:
        is_cropped = record.settings["crop_border"]
        own += f"; {record.border} {'was left out' if is_cropped else 'stays grey, --crop-border leaves it out'}"
    size = f"{record.width} x {record.height}"
    return (
        f"{head} ({size}, bands {record.mean_width:.1f} of 255 levels wide{error}{samples}{caveat}{hints}{own}{unlike})"
    )
