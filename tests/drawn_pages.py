"""Pages of text and drawings, made on the spot."""

import re
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

_FONTS = Path(matplotlib.__file__).parent / "mpl-data/fonts/ttf"
_WORDS = re.findall(r"\w+", "The light falls on a grey wall; nobody knows which colours were there at that moment.")


def typeset(font="DejaVuSerif.ttf", size=24, paper=235, shade=0.0, seed=0):
    """A scanned page of text, uint8 (1600, 1200): with grain, and darker towards the right by a share."""
    random = np.random.default_rng(seed)
    page, letters = Image.new("L", (1200, 1600), paper), ImageFont.truetype(str(_FONTS / font), size)
    draw = ImageDraw.Draw(page)
    for top in range(100, 1480, int(1.5 * size)):
        line = " ".join(random.choice(_WORDS, 60))
        while draw.textlength(line, font=letters) > 1000:
            line = line.rsplit(" ", 1)[0]
        draw.text((100, top), line, fill=30, font=letters)
    levels = np.asarray(page) * (1 - shade * np.arange(1200) / 1200) + random.normal(0, 5, (1600, 1200))
    return levels.clip(0, 255).astype(np.uint8)


def outlined(photo_HW):
    """The edges of a photo in ink, uint8 (H, W)."""
    edges = ndimage.gaussian_gradient_magnitude(photo_HW.astype(float), 1.5)
    return np.where(edges > np.percentile(edges, 92), 20, 245).astype(np.uint8)


def plotted(seed=0):
    """A diagram: two axes and three curves, uint8 (900, 1200)."""
    random, page = np.random.default_rng(seed), Image.new("L", (1200, 900), 255)
    draw = ImageDraw.Draw(page)
    draw.line([(80, 40), (80, 840), (1160, 840)], fill=0, width=3)
    for _ in range(3):
        heights = 440 + np.cumsum(random.normal(0, 18, 100)).clip(-380, 380)
        draw.line(list(zip(np.linspace(80, 1160, 100), heights, strict=True)), fill=0, width=3)
    return np.asarray(page)
