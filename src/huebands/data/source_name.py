"""The name of a photo's source for tables and metrics, shorter than the manifest's."""

import re

_GIT = re.compile(r"\w+://[^/]*/(?P<name>.+?)(?:\.git)?@[0-9a-f]{40}")
_PACKAGE = re.compile(r"(?P<name>[\w.-]+)==\S+")


def source_name(source: str) -> str:
    """Give owner/repository of a git source, the name of a package, and a folder as it is.

    Args:
        source: of a photo, as the manifest has it, such as "https://github.com/BIDS/BSDS500@a04b...".
    """
    match = _GIT.fullmatch(source) or _PACKAGE.fullmatch(source)
    return match["name"] if match else source
