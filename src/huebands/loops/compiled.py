"""Compiles loops over pixels by Numba for the processor at hand.

No sum is reordered and no product fused with a sum, so every processor gives the same bits. Arithmetic stays in float32
where both operands are float32; with an integer or one of Python's own numbers it would be in float64.

The machine code is kept, and made anew when its file changes. So a compiled function calls those of its own file only.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """Compile a function of arrays and numbers when it is first called, once for each combination of their types.

    It then runs without Python's lock. The machine code is kept beside the source, or in the user's folder for caches.
    Where neither can be written, each process compiles anew, which takes about a second.
    """
    options = {"nogil": True, "error_model": "numpy"}  # no checks for divisions by zero
    try:
        made: Function = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # there is no folder that can be written
        made = numba.njit(**options)(function)
    return made
