"""The `huebands` command: its parser, and the choice of the command that runs."""

import argparse
import io
import sys
from collections.abc import Sequence
from typing import NoReturn

from huebands.colorize import command as colorize
from huebands.colorize.complaint import BAD_INPUT
from huebands.comparison import compare_command as compare
from huebands.comparison import coverage_command as coverage

COMMANDS = {"colorize": colorize, "coverage": coverage, "compare": compare}


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
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.HELP, description=command.DESCRIPTION)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
