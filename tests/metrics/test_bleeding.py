"""The bleeding score puts artificially bled photos in their order, and depends on nothing else."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab
from skimage.data import astronaut, coffee

from huebands import color
from huebands.metrics.bleeding import bleeding, bleeding_of_lab


def squashed(photo: np.ndarray) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).resize((256, 256), Image.Resampling.LANCZOS))


def shapes() -> np.ndarray:
    """Discs of several colours on a ground of another lightness and colour."""
    y, x = np.mgrid[:256, :256]
    lab = np.full((256, 256, 3), (40.0, 10.0, -25.0))
    for number, (row, column) in enumerate(((70, 70), (70, 180), (180, 70), (180, 190))):
        lab[(y - row) ** 2 + (x - column) ** 2 < 35**2] = (75.0, 30.0 - 15 * number, 35.0)
    return shown(lab)


def shown(lab: np.ndarray) -> np.ndarray:
    fitted = color.fit_to_gamut(torch.from_numpy(lab).movedim(-1, 0).float())
    return color.to_bytes(color.lab_to_srgb(fitted)).movedim(0, -1).numpy()


PHOTOS = {"astronaut": squashed(astronaut()), "coffee": squashed(coffee()), "shapes": shapes()}


def with_ab(photo: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Change a photo's a and b, not its L; (H, W) float each."""
    lab = rgb2lab(photo)
    for channel in (1, 2):
        lab[..., channel] = change(lab[..., channel])
    return shown(lab)


def shrunk(channel: np.ndarray, factor: int) -> np.ndarray:
    small = Image.fromarray(channel.astype(np.float32)).resize((256 // factor,) * 2, Image.Resampling.BOX)
    return np.asarray(small.resize((256, 256), Image.Resampling.BILINEAR))


BLEEDS = {
    "blurred": (lambda x, s: gaussian_filter(x, s), (0.5, 1, 2, 4)),
    "shifted": (lambda x, s: np.roll(x, s, axis=1), (1, 2, 4, 8)),
    "shrunk": (shrunk, (2, 4, 8)),
}


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize("kind", BLEEDS)
def test_more_bleeding_scores_higher(photo: str, kind: str) -> None:
    truth, (bleed, degrees) = PHOTOS[photo], BLEEDS[kind]
    scores = [0.0] + [bleeding(truth, with_ab(truth, lambda x, s=s: bleed(x, s))) for s in degrees]
    assert scores == sorted(scores) and len(set(scores)) == len(scores), scores
    assert scores[-1] > 0.05


@pytest.mark.parametrize("photo", PHOTOS)
def test_the_truth_and_a_grey_result_do_not_bleed(photo: str) -> None:
    truth = PHOTOS[photo]
    assert bleeding(truth, truth) == 0
    assert bleeding(truth, with_ab(truth, np.zeros_like)) == 0


def test_pale_and_strong_colours_are_judged_alike() -> None:
    lab = rgb2lab(PHOTOS["astronaut"])
    blurred = np.stack((lab[..., 0], *(gaussian_filter(lab[..., channel], 3) for channel in (1, 2))), axis=-1)
    pale = blurred * (1, 0.3, 0.3)
    assert bleeding_of_lab(lab, pale) == pytest.approx(bleeding_of_lab(lab, blurred), abs=1e-9)


def test_a_wrong_colour_that_ends_at_the_edge_does_not_bleed() -> None:
    """Other hues within the same outlines are errors, for other metrics to count."""
    truth = PHOTOS["shapes"]
    lab = rgb2lab(truth)
    swapped = lab[..., [0, 2, 1]]
    blurred = np.stack((lab[..., 0], *(gaussian_filter(swapped[..., channel], 4) for channel in (1, 2))), axis=-1)
    assert bleeding_of_lab(lab, swapped) < 0.1 * bleeding_of_lab(lab, blurred)


def test_without_a_strong_edge_nothing_is_crossed() -> None:
    flat = np.full((64, 64, 3), 120, np.uint8)
    coloured = flat.copy()
    coloured[:, 32:] = (140, 115, 100)
    assert bleeding(flat, coloured) == 0
