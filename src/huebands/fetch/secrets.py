"""Texts without secrets: passwords and tokens come from the environment, and no message or record repeats them."""

import os
import re
from collections.abc import Iterator
from urllib.parse import unquote

HIDDEN = "***"
_SHORTEST = 4  # characters; a shorter value would be found in words that are no secret
_NAMES = re.compile(r"password|passwd|secret|token|credential|signature", re.IGNORECASE)
# Environment variables that hold a secret, whatever their program is.
_VARIABLE = re.compile(r"(?:PASSWORD|PASSWD|SECRET|TOKEN|SECRET_ACCESS_KEY)$")
_ADDRESS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<user>[^:/@\s]*)(?::(?P<password>\S*))?@")
_TOKEN_LENGTH = 12  # characters; a name to sign in with that is as long may be a token
_SIGN_IN = re.compile(r"(://)[^/\s]*@")
_QUERY = re.compile(rf"([?&][^=&\s]*(?:{_NAMES.pattern})[^=&\s]*=)[^&\s'\"]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Leave out the names and passwords of addresses, and whatever the environment keeps secret.

    Args:
        text: such as an error of a library, which may quote an address or a header.
    """
    for value in sorted(_values(), key=len, reverse=True):
        text = text.replace(value, HIDDEN)
    return _QUERY.sub(rf"\g<1>{HIDDEN}", _SIGN_IN.sub(r"\1", text))


def holds_secret(address: str) -> bool:
    """Whether an address holds a password, a token or a name to sign in with; git's `git@host:` is no secret."""
    return bool(_QUERY.search(address)) or bool(re.match(r"https?://[^/\s]*@|[a-z+]+://[^/\s:]*:[^/\s]*@", address))


def names_secret(key: str) -> bool:
    """Whether something of this name is likely a secret, which no message should quote."""
    return bool(_NAMES.search(key))


def _values() -> Iterator[str]:
    """The secrets of the environment: of variables named so, and of addresses in any variable."""
    for name, value in os.environ.items():
        if _VARIABLE.search(name):
            yield from (form for form in {value, value.strip()} if len(form) >= _SHORTEST)
        for address in _ADDRESS.finditer(value):
            secret = address["password"]
            if secret is None and address["scheme"].startswith("http") and len(address["user"]) >= _TOKEN_LENGTH:
                secret = address["user"]
            yield from (form for form in {secret or "", unquote(secret or "")} if len(form) >= _SHORTEST)
