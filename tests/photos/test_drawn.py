"""Pages and drawings are told from photos."""

import numpy as np
import pytest
from skimage import data

from drawn_pages import outlined, plotted, typeset
from huebands.photos.drawn import is_drawn
from huebands.photos.grey import grey_of

PHOTOS = {name: grey_of(getattr(data, name)()) for name in ("astronaut", "coffee", "chelsea", "rocket", "camera")}
PAGES = {
    "text": typeset(),
    "small text on shaded paper": typeset("DejaVuSans.ttf", 18, shade=0.25),
    "large typescript on grey paper": typeset("DejaVuSansMono.ttf", 40, paper=190),
    "a photographed page": data.page(),
    "a diagram": plotted(),
    **{f"outlines of {name}": outlined(photo) for name, photo in PHOTOS.items()},
}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_drawn(name):
    assert is_drawn(PAGES[name])


@pytest.mark.parametrize("name", PHOTOS)
def test_a_photo_is_not_drawn(name):
    assert not is_drawn(PHOTOS[name])


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (1, 5000), (5000, 1), (600, 800)], ids=str)
@pytest.mark.parametrize("level", [0, 128, 255])
def test_an_empty_page_is_not_drawn(shape, level):
    assert not is_drawn(np.full(shape, level, np.uint8))


def test_an_object_on_white_is_not_drawn():
    rows, columns = np.mgrid[0:600, 0:800]
    disc = np.hypot(rows - 300, columns - 400) < 200
    assert not is_drawn(np.where(disc, 60, 250).astype(np.uint8))
