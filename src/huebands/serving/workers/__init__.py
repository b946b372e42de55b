"""The worker pool: a queue of photos, and the processes that colorize them."""
