"""The error of an image that cannot be read."""


class ImageError(ValueError):
    """An image cannot be read; says which one and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason
