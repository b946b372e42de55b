"""The distribution of a pixel's true colour given the grey photo: the bands take their shape from it."""
