"""Files and folders as a whole: written in one step, read once, and held against their hashes."""
