"""The command `huebands registry`. Heavy modules are imported when it runs."""

import argparse
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from huebands.colorize.complaint import complain, printable

if TYPE_CHECKING:
    from huebands.params import Params

HELP = "list, show and compare the versions of the registered model"
DESCRIPTION = "What the registry holds of the model that params.yaml names."
# Columns of the list: heading, and the figure of the run.
_FIGURES = {
    "CIEDE2000": "test.ciede2000",
    "LPIPS": "test.lpips",
    "coverage": "test.coverage.joint",
    "width": "test.width.joint",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", dest="action")
    actions.add_parser("list", help="all versions, the newest first, with figures of their test photos")
    show = actions.add_parser("show", help="all that is known of a version")
    show.add_argument("version", type=int, metavar="N")
    diff = actions.add_parser("diff", help="the parameters, figures and tags in which two versions differ")
    diff.add_argument("first", type=int, metavar="N")
    diff.add_argument("second", type=int, metavar="M")
    suite = actions.add_parser("suite", help="the photos on which versions are judged")
    suite.add_argument("--new", action="store_true", help="take the test photos of data/prepared from now on")


def run(options: argparse.Namespace) -> int:
    """Print what was asked for; gives the exit code."""
    from huebands import params
    from huebands.promotion.promote import ERRORS
    from huebands.registry.connection import waiting

    try:
        settings = params.load()
        with waiting("run it again"):
            lines = list(_suite(settings, options.new) if options.action == "suite" else _versions(settings, options))
    except (params.ParamsError, *ERRORS) as error:
        return complain(error)
    for line in lines:
        print(printable(line))
    return 0


def _versions(settings: "Params", options: argparse.Namespace) -> Iterable[str]:
    from huebands.registry.listing import find_version, list_versions

    versions = list_versions(settings.register.model_name)
    if options.action == "list":
        rows = [("version", "registered", "data", *_FIGURES, "verdict", "aliases")]
        for version in versions:
            figures = [f"{version.metrics[name]:.4g}" if name in version.metrics else "-" for name in _FIGURES.values()]
            data = version.params.get("data", "-")
            verdict = version.tags.get("verdict.outcome", "-")
            registered = f"{version.registered:%Y-%m-%d %H:%M}"
            rows.append((str(version.number), registered, data, *figures, verdict, ", ".join(version.aliases)))
        yield from _columns(rows)
    elif options.action == "show":
        yield from _columns(list(find_version(versions, options.version).values()))
    else:
        first, second = (dict(find_version(versions, number).values()) for number in (options.first, options.second))
        names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
        heading = ("", f"version {options.first}", f"version {options.second}")
        yield from _columns([heading, *((name, first.get(name, "-"), second.get(name, "-")) for name in names)])


def _suite(settings: "Params", new: bool) -> Iterable[str]:
    from huebands.promotion.stored_suite import new_suite, read_stored
    from huebands.registry.suites import find_suite

    name = settings.register.model_name
    stored = new_suite(name, settings) if new else find_suite(name)
    if stored is None:
        yield "no suite yet; the first promotion, or `huebands registry suite --new`, makes one"
        return
    suite = read_stored(stored)
    yield (
        f"suite {stored.number}: {len(suite)} test photos of {suite.data!r} ({suite.data_sha256[:12]}), sha256"
        f" {suite.sha256[:12]}, files of run {stored.run_id}"
    )
    yield from _columns(
        [("photo", "source", "licence"), *((photo.id, photo.source, photo.licence) for photo in suite.photos)]
    )


def _columns(rows: Sequence[Sequence[str]]) -> Iterable[str]:
    """Align the cells of rows of equal length."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
