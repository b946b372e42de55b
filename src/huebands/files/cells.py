"""The cells of tables that people open: a spreadsheet takes none of them for a formula."""

from typing import TypeVar

Value = TypeVar("Value")
# Spreadsheets compute what begins like this, or cut it off and then do; some read the full-width signs likewise.
_FORMULA = tuple("=+-@\t\r\n＝＋－＠")


def cell(value: Value) -> Value | str:
    """Put an apostrophe, which marks text, before a text that begins like a formula; numbers stay as they are."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
