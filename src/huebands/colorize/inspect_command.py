"""The command `huebands inspect`. Heavy modules are imported when it runs."""

import argparse
import json
from pathlib import Path

from huebands.colorize.complaint import complain, printable

HELP = "say what a colorized picture states of itself, and whether it still is what was written"
DESCRIPTION = (
    "Read the model, the promise and the photo that a colorized picture states, and compare its pixels with the hash"
    " that it states. The exit code is 0 where all pictures are as they were written, 1 where one was changed."
)
CHANGED = 1  # the exit code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.add_argument("pictures", nargs="+", type=Path, metavar="FILE", help="a colorized picture")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each")


def run(options: argparse.Namespace) -> int:
    """Inspect the pictures; gives the exit code."""
    from huebands.colorize.statement import StatementError, read_statement

    code = 0
    for path in options.pictures:
        try:
            statement = read_statement(path)
        except (StatementError, OSError) as error:
            code = max(code, complain(error, path))
            continue
        code = max(code, 0 if statement.is_as_written else CHANGED)
        if options.json:
            print(
                json.dumps(
                    {
                        "file": str(path),
                        "as_written": statement.is_as_written,
                        "credentials": statement.credentials,
                        **statement.facts,
                    }
                )
            )
            continue
        print(printable(f"{path}: {statement.in_words}"))
        if statement.credentials is not None:
            print(printable(f"  Content Credentials: {statement.credentials}"))
        for name, value in statement.facts.items():
            print(printable(f"  {name}: {value}"))
    return code
