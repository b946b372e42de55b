"""The networks, one file each: a network is found by the name of its file."""
