"""Borders: found whatever their tone, also at a skew or at one side; and skies, walls and horizons stay."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from huebands.metrics.steadiness import TONES, draw_border
from huebands.photos.borders import find_picture

HEIGHT, WIDTH = 240, 320
WHOLE = (slice(0, HEIGHT), slice(0, WIDTH))


def picture(seed: int = 0) -> NDArray[np.uint8]:
    """Patches of many tones, with texture."""
    random = np.random.default_rng(seed)
    patches = gaussian_filter(random.standard_normal((HEIGHT, WIDTH)), 12) * 12 * 120
    return (127 + patches + 6 * random.standard_normal((HEIGHT, WIDTH))).clip(0, 255).astype(np.uint8)


def as_jpeg(levels: NDArray[np.uint8], quality: int = 75) -> NDArray[np.uint8]:
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("share", [0.03, 0.08, 0.15])
@pytest.mark.parametrize("tone", TONES)
def test_a_border_of_any_tone_is_found(tone: str, share: float) -> None:
    for seed in range(3):
        bordered = draw_border(picture(seed), tone, share, np.random.default_rng(seed))
        found = find_picture(bordered.levels_HW)
        slack = 0.03 * WIDTH if tone == "paper" else 0  # its skewed edge is cut off
        for inside, expected in zip(found, bordered.picture, strict=True):
            assert 0 <= inside.start - expected.start <= slack, (tone, share, seed)
            assert 0 <= expected.stop - inside.stop <= slack, (tone, share, seed)


@pytest.mark.parametrize("tone", [0, 128, 255])
def test_a_border_is_found_through_the_noise_of_jpeg(tone: int) -> None:
    levels = np.pad(picture(), 20, constant_values=tone)
    for inside, size in zip(find_picture(as_jpeg(levels)), levels.shape, strict=True):
        assert 18 <= inside.start <= 23 and 18 <= size - inside.stop <= 23


@pytest.mark.parametrize("degrees", [0.5, -0.5])
def test_a_print_at_a_skew_is_found(degrees: float) -> None:
    photo = Image.fromarray(picture())
    mask = Image.new("L", photo.size, 255)
    turned, mask = (image.rotate(degrees, Image.Resampling.BICUBIC, expand=True) for image in (photo, mask))
    sheet = Image.new("L", (turned.width + 40, turned.height + 40), 235)
    sheet.paste(turned, (20, 20), mask)
    for inside, size in zip(find_picture(np.asarray(sheet)), sheet.size[::-1], strict=True):
        assert 20 <= inside.start <= 28 and 20 <= size - inside.stop <= 28


@pytest.mark.parametrize("side", range(4))
def test_a_border_at_one_side_is_found(side: int) -> None:
    widths = [0, 0, 0, 0]
    widths[side] = 16
    levels = np.pad(picture(), (widths[:2], widths[2:]), constant_values=250)
    rows, columns = find_picture(levels)
    height, width = levels.shape
    assert [rows.start, height - rows.stop, columns.start, width - columns.stop] == widths


def test_a_side_where_the_picture_has_the_borders_tone_is_found_by_the_others() -> None:
    photo, columns = picture(), np.arange(WIDTH)
    horizon = 40 + (30 * np.sin(columns / 25)).astype(np.int64) - 20 * (columns < 40)
    photo[np.arange(HEIGHT)[:, None] < horizon] = 255
    rows, columns = find_picture(np.pad(photo, 20, constant_values=255))
    assert (rows, columns) == (slice(20, 20 + HEIGHT), slice(20, 20 + WIDTH))


def test_a_photo_without_a_border_stays_whole() -> None:
    for seed in range(10):
        assert find_picture(picture(seed)) == WHOLE


def sky(horizon: NDArray[np.int64], slope: float) -> NDArray[np.uint8]:
    """A clear sky, brighter by `slope` levels a row towards what stands before it."""
    photo = picture()
    above = np.arange(HEIGHT)[:, None] < horizon
    return np.where(above, (200 + slope * np.arange(HEIGHT))[:, None], photo).astype(np.uint8)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_a_clear_sky_over_hills_or_roofs_is_no_border(slope: float) -> None:
    columns = np.arange(WIDTH)
    hills = 40 + (15 * np.sin(columns / 25)).astype(np.int64)
    roofs = np.repeat([30, 55, 41, 62, 35, 48, 57, 33], WIDTH // 8)
    for horizon in (hills, roofs):
        assert find_picture(sky(horizon, slope)) == WHOLE


def test_a_sky_with_a_gradient_over_a_straight_horizon_is_no_border() -> None:
    assert find_picture(sky(np.full(WIDTH, 40), slope=0.6)) == WHOLE


def test_a_wall_that_fades_into_the_picture_is_no_border() -> None:
    ramp = np.clip(np.arange(WIDTH) * 1.5, 0, 160).astype(np.uint8)
    assert find_picture(np.tile(ramp, (HEIGHT, 1))) == WHOLE


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (31, 400), (32, 32), (400, 33)])
@pytest.mark.parametrize("level", [0, 255])
def test_a_tiny_thin_or_blank_photo_stays_whole(size: tuple[int, int], level: int) -> None:
    assert find_picture(np.full(size, level, np.uint8)) == (slice(0, size[0]), slice(0, size[1]))
