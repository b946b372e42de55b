"""Files and folders as a whole: written in one step, read once, and checked against their hashes."""
