"""What a canvas of the page shows."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from playwright.sync_api import Page


def pixels_of(page: "Page", view: str) -> np.ndarray:
    """The pixels of a canvas on the stage, uint8 (H, W, 3)."""
    address = page.locator(f".{view} canvas").evaluate("(canvas) => canvas.toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.split(",")[1]))).convert("RGB"))
