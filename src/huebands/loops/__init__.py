"""Loops over pixels as machine code, each with a function elsewhere that says what it is for."""

from huebands.loops.levels import grey_levels as grey_levels
from huebands.loops.levels import propagate as propagate
from huebands.loops.levels import shown_levels as shown_levels
from huebands.loops.samples import bands as bands
from huebands.loops.samples import error_map as error_map
from huebands.loops.samples import first_steps as first_steps
