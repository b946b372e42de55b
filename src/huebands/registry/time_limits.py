"""How long an answer of MLflow's server is waited for, and whether a request is sent again.

By default MLflow waits 120 seconds for an answer, eight times over. The limits are environment variables of MLflow.
What the environment sets stays, apart from what `asked_once` and `answered_soon` need.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_RETRIES, _TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
_MANY, _FEW, _ONE, _NONE = "5", "2", "1", "0"  # times that a request is sent again
_SHORT, _LONG = "10", "120"  # seconds
_set_here = dict[str, str]()  # what this module has set


@contextmanager
def short_timeouts() -> Iterator[None]:
    """Give up on a server that hangs after about 35 seconds; also a decorator."""
    with _limits({_RETRIES: _FEW, _TIMEOUT: _SHORT}):
        yield


@contextmanager
def a_minute() -> Iterator[None]:
    """Give up on a server that is down after about a minute, in which it may restart; also a decorator."""
    with _limits({_RETRIES: _MANY, _TIMEOUT: _SHORT}):
        yield


@contextmanager
def long_answers() -> Iterator[None]:
    """Wait longer for an answer, which a server gives when it has kept or found a file; also a decorator.

    A server that hangs is given up after about four minutes.
    """
    retries = _NONE if os.environ.get(_RETRIES) == _NONE else _ONE
    with _limits({_TIMEOUT: _LONG, _RETRIES: retries}):
        yield


@contextmanager
def asked_once() -> Iterator[None]:
    """Send each request once, whatever the environment sets; also a decorator.

    MLflow sends a request again when its answer does not come, and a server that was only slow then has two of what was
    to be created.
    """
    with _limits({_RETRIES: _NONE}, even_those_of_the_environment=True):
        yield


@contextmanager
def answered_soon() -> Iterator[None]:
    """Send each request once and give up after 10 seconds, whatever the environment sets; also a decorator.

    A program that must be done by a certain time does not leave it to the environment how long that is.
    """
    with _limits({_RETRIES: _NONE, _TIMEOUT: _SHORT}, even_those_of_the_environment=True):
        yield


@contextmanager
def _limits(limits: Mapping[str, str], even_those_of_the_environment: bool = False) -> Iterator[None]:
    """Set environment variables of MLflow, but none that this module has not set itself."""
    earlier = {name: os.environ.get(name) for name in limits}
    chosen = {
        name: value
        for name, value in limits.items()
        if even_those_of_the_environment or earlier[name] in (None, _set_here.get(name))
    }
    kept = dict(_set_here)
    os.environ.update(chosen)
    _set_here.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            if earlier[name] is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = str(earlier[name])
        _set_here.clear()
        _set_here.update(kept)
