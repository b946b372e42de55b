"""The error of an image that cannot be read."""


class ImageError(ValueError):
    """An image cannot be read; the message names it and says why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        """Pass from one process to another: an exception is made anew from its arguments."""
        return type(self), (self.name, self.reason)
