"""The `huebands` command: its parser, and the choice of the command that runs."""

import argparse
import errno
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from huebands import __version__
from huebands.colorize import command as colorize
from huebands.colorize import inspect_command as inspect
from huebands.colorize.complaint import BAD_INPUT, INTERRUPTED, complain
from huebands.comparison import compare_command as compare
from huebands.comparison import coverage_command as coverage
from huebands.promotion import lineage_command as lineage
from huebands.promotion import promote_command as promote
from huebands.promotion import registry_command as registry
from huebands.promotion import rollback_command as rollback

BROKEN_PIPE = 141  # the exit code where nobody reads the output any more, as shells give it
# Errors that name no file and have one of these numbers come of standard output; those of the network have others.
_OF_OUTPUT = frozenset((errno.EPIPE, errno.ENOSPC, errno.EDQUOT, errno.EIO))
COMMANDS = {
    "colorize": colorize,
    "inspect": inspect,
    "coverage": coverage,
    "compare": compare,
    "promote": promote,
    "rollback": rollback,
    "registry": registry,
    "lineage": lineage,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; gives its exit code, 2 where any input was bad, or the output cannot be written."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a photo may have a name that cannot be printed here
    options = _parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("huebands: interrupted", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if error.filename is not None or error.errno not in _OF_OUTPUT:
            raise
        _drop_output()
        return BROKEN_PIPE if isinstance(error, BrokenPipeError) else complain(error, Path("standard output"))
    return code


def _drop_output() -> None:
    """Let what is still to be written go nowhere: the interpreter would fail on it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with one line, without the usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="huebands", description="Colorization that knows what it does not know.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}", help="print it and exit")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        subparser = commands.add_parser(name, help=command.HELP, description=command.DESCRIPTION)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
