"""Toned prints lie on one tone curve, photos in colour do not, also where they have few hues."""

import io

import numpy as np
import pytest
from PIL import Image

from huebands import params
from huebands.data.preparation import encode_square, squash
from huebands.data.tone import tone_spread
from huebands.params import PrepareParams

SIDE = 160
THRESHOLD = 1.05
# The colour of black, of middle grey and of white.
TONES = {
    "sepia": ((20, 10, 5), (150, 115, 80), (255, 245, 220)),
    "cyanotype": ((5, 20, 50), (60, 115, 165), (235, 245, 250)),
    "selenium": ((15, 10, 15), (130, 105, 120), (245, 240, 242)),
    "gold": ((18, 14, 12), (145, 122, 92), (250, 246, 235)),
    "duotone": ((20, 20, 70), (150, 110, 120), (255, 235, 190)),
    "yellowed": ((30, 25, 12), (140, 130, 100), (240, 228, 190)),
}


def photo(seed: int, height: int = 240, width: int = 320) -> np.ndarray:
    """Coloured shapes with texture, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3))
    for cells, strength in ((5, 200), (20, 80), (80, 40)):
        coarse = Image.fromarray(rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8))
        picture += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), float) / 255 * strength
    return (picture - 30).clip(0, 255).astype(np.uint8)


def toned(rgb: np.ndarray, tone: str) -> np.ndarray:
    grey = np.asarray(Image.fromarray(rgb).convert("L"))
    channels = [np.interp(grey, (0, 128, 255), levels) for levels in zip(*TONES[tone], strict=True)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def few_hues(scene: str) -> np.ndarray:
    """Two regions, each of one hue that shading makes lighter and darker, uint8 (240, 320, 3)."""
    upper, lower = {
        "blue sea under a blue sky": ((110, 170, 235), (20, 75, 120)),
        "rose among its leaves": ((190, 20, 45), (50, 80, 35)),
        "forest": ((95, 130, 40), (40, 75, 45)),
        "sunset": ((250, 150, 60), (120, 40, 60)),
    }[scene]
    regions = np.concatenate([np.full((120, 320, 3), upper), np.full((120, 320, 3), lower)]).astype(float)
    shading = np.asarray(Image.fromarray(photo(0)).convert("L"), float)[..., None]
    return (regions * np.interp(shading, (30, 220), (0.2, 1.6))).clip(0, 255).astype(np.uint8)


def as_jpeg(rgb: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer))


def spread(rgb: np.ndarray, side: int = SIDE) -> float:
    return tone_spread(encode_square(squash(rgb, side)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("tone", TONES)
def test_a_toned_print_is_below_the_threshold_in_spite_of_jpeg(tone: str, seed: int) -> None:
    print_HW3 = as_jpeg(toned(photo(seed), tone))
    assert all(spread(print_HW3, side) < THRESHOLD for side in (128, SIDE, 256))
    assert spread(as_jpeg(photo(seed))) > 5 * THRESHOLD


@pytest.mark.parametrize("scene", ["blue sea under a blue sky", "rose among its leaves", "forest", "sunset"])
def test_a_photo_of_few_hues_is_kept(scene: str) -> None:
    assert spread(as_jpeg(few_hues(scene))) > THRESHOLD


def test_a_small_square_has_no_curve_that_follows_its_objects() -> None:
    assert all(spread(photo(seed), 16) > THRESHOLD for seed in range(10))


def test_a_weak_blue_needs_a_cleaner_curve_than_a_strong_one() -> None:
    """Haze over mountains nearly follows a curve; the same distances in sepia are a print's."""
    rng = np.random.default_rng(0)
    noise = np.kron(rng.normal(0, 0.6, (2, 16, 16)), np.ones((10, 10)))
    L = np.tile(np.linspace(20, 80, SIDE), (SIDE, 1))
    weak, strong = 7.0, 28.0
    for a, b, measured in ((0, -weak, 3), (0, -strong, 1), (0, weak, 1)):
        lab = np.stack([L, a + noise[0], b + noise[1]])
        assert tone_spread((lab * 100).round().astype(np.int16)) == pytest.approx(0.6 * 2**0.5 * measured, rel=0.25)


def test_the_default_threshold_is_the_one_tested() -> None:
    settings: PrepareParams = params.load().prepare
    assert settings.min_tone_spread == THRESHOLD


def test_grey_has_no_spread() -> None:
    assert spread(np.full((20, 20, 3), 128, dtype=np.uint8)) < 0.01
    assert tone_spread(np.zeros((3, 8, 8), dtype=np.int16)) == 0
