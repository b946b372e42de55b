"""The command `huebands promote`. Heavy modules are imported when it runs."""

import argparse

from huebands.colorize.complaint import complain, printable

REFUSED = 3  # the exit code; 1 is Python's own, after a fault of the program
HELP = "judge a registered model, and make it champion when it is better"
DESCRIPTION = (
    "Judge the challenger of the registry, or another version, on the model's suite of photos, and make it champion"
    " when it is better than grey and than the champion. The verdict becomes tags of the version, and a page beside its"
    " package. Exit code 3 when it is not champion afterwards."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("--version", type=int, metavar="N", help="of the registered model; default: the challenger")
    parser.add_argument("--dry-run", action="store_true", help="say what would be decided, and write nothing")
    parser.add_argument(
        "--reason", default="", metavar="TEXT", help="promote it without a comparison with the champion, and keep why"
    )


def run(options: argparse.Namespace) -> int:
    """Judge, print the verdict; gives the exit code."""
    from huebands import params
    from huebands.promotion.promote import ERRORS, challenger_of, promote
    from huebands.promotion.trial import ColourScorer
    from huebands.registry.connection import waiting
    from huebands.registry.models import find_package

    try:
        settings, number = params.load(), options.version
        name = settings.register.model_name
        with waiting("run it again, which completes it"):
            version = challenger_of(name) if number is None else find_package(f"models:/{name}/{number}")
            decision = promote(version, settings, ColourScorer(), options.reason.strip(), options.dry_run)
    except (params.ParamsError, *ERRORS) as error:
        return complain(error)
    for line in decision.report(options.dry_run):
        print(printable(line))
    return 0 if decision.promoted else REFUSED
