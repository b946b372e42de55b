"""The command `huebands rollback`. Heavy modules are imported when it runs."""

import argparse

from huebands.colorize.complaint import complain, printable

HELP = "make the champion of before champion again"
DESCRIPTION = (
    "Make the version that the champion has replaced champion again, or another one that was champion before. Its files"
    " are copied and checked first. `huebands promote` takes the version that gives way again only with `--reason`."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--to", type=int, metavar="N", help="the version; default: the one that the champion replaced")
    parser.add_argument("--dry-run", action="store_true", help="check the version, and write nothing")
    parser.add_argument("--reason", default="", metavar="TEXT", help="why; kept as a tag of the version that gives way")


def run(options: argparse.Namespace) -> int:
    """Move the champion back; gives the exit code."""
    from huebands import params
    from huebands.promotion.promote import ERRORS
    from huebands.promotion.rollback import roll_back
    from huebands.registry.connection import waiting

    try:
        settings = params.load()
        with waiting("`huebands registry list` shows whether the champion has changed"):
            line = roll_back(settings, options.to, options.reason.strip(), options.dry_run)
    except (params.ParamsError, *ERRORS) as error:
        return complain(error)
    print(printable(line))
    return 0
