"""Loops over pixels as machine code, each with a function elsewhere that says what it is for."""

from huebands.loops.colours import shown_levels as shown_levels
from huebands.loops.grey import grey_levels as grey_levels
from huebands.loops.luminance import propagate as propagate
from huebands.loops.samples import bands as bands
from huebands.loops.samples import error_map as error_map
from huebands.loops.samples import first_steps as first_steps
