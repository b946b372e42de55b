"""The objectives, one file each: an objective is found by the name of its file."""
