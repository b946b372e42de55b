"""Steadiness: nothing for a colorizer that looks at pixels alone, and what was put in for one that does not."""

import numpy as np
import pytest
from numpy.typing import NDArray

from huebands.metrics.steadiness import (
    KEYS,
    TONES,
    WIDTHS,
    draw_border,
    measure_photos,
    measure_steadiness,
    summarise_steadiness,
)

HEIGHT, WIDTH = 260, 300


def photo(height: int = HEIGHT, width: int = WIDTH) -> NDArray[np.uint8]:
    ramp = np.add.outer(np.linspace(40, 120, height), np.linspace(0, 90, width))
    return ramp.astype(np.uint8)


def grey(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(levels_HW[..., None], 3, axis=2)


def tinted(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Orange, whatever the photo shows."""
    return np.stack((levels_HW, levels_HW * 0.8, levels_HW * 0.6), axis=-1).astype(np.uint8)


def colour_by_height(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey for an even number of rows, orange for an odd one."""
    return tinted(levels_HW) if len(levels_HW) % 2 else grey(levels_HW)


def measure(colour, levels=None, seed: int = 0) -> dict[str, float]:
    return measure_steadiness(photo() if levels is None else levels, colour, np.random.default_rng(seed))


def test_colours_that_depend_on_each_pixel_alone_are_steady() -> None:
    figures = measure(tinted)
    assert tuple(figures) == KEYS
    assert figures["steadiness_row"] == figures["steadiness_border"] == 0
    assert figures["steadiness_size"] < 0.3, "levels are rounded"
    assert figures["border_chroma"] > 10, "the border is coloured too"
    assert measure(grey)["border_chroma"] < 0.1


def test_a_row_less_that_changes_all_colours_is_told() -> None:
    assert measure(colour_by_height)["steadiness_row"] > 5
    assert measure(colour_by_height, photo(HEIGHT + 1))["steadiness_row"] > 5


def test_another_size_that_changes_all_colours_is_told() -> None:
    def by_size(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return tinted(levels_HW) if levels_HW.shape[1] == WIDTH else grey(levels_HW)

    assert measure(by_size)["steadiness_size"] > 5


def test_a_border_that_changes_the_colours_inside_is_told_and_its_own_colour_is_not_counted() -> None:
    def by_border(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return grey(levels_HW) if levels_HW.shape[1] > WIDTH else tinted(levels_HW)

    figures = measure(by_border)
    assert figures["steadiness_border"] > 5 and figures["border_chroma"] < 0.1


def test_a_small_photo_has_no_smaller_version_and_one_row_cannot_lose_one() -> None:
    assert set(measure(grey, photo(40, 256))) == {*KEYS} - {"steadiness_size"}
    assert set(measure(grey, photo(1, 40))) == {"steadiness_border", "border_chroma"}


@pytest.mark.parametrize("share", WIDTHS)
@pytest.mark.parametrize("tone", TONES)
def test_a_border_lies_around_the_photo(tone: str, share: float) -> None:
    levels = photo()
    bordered = draw_border(levels, tone, share, np.random.default_rng(0))
    width = round(share * WIDTH)
    assert bordered.levels_HW.shape == (HEIGHT + 2 * width, WIDTH + 2 * width)
    inside = ~bordered.is_border_HW
    assert np.array_equal(
        bordered.levels_HW[bordered.picture][inside[bordered.picture]], levels[inside[bordered.picture]]
    )
    covered = bordered.is_border_HW[bordered.picture]
    border = bordered.levels_HW[bordered.is_border_HW].astype(float)
    assert abs(border.mean() - TONES[tone]) < 1
    if tone == "paper":
        assert 0 < covered.mean() < 0.1 and 1 < border.std() < 6
    else:
        assert not covered.any() and border.std() == 0


def test_the_same_seed_gives_the_same_figures_and_another_one_other_widths() -> None:
    photos = [("first", photo()), ("second", photo(200, 280))]

    def shade(levels_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return tinted(levels_HW) if levels_HW.mean() > 100 else grey(levels_HW)

    first, again, other = (measure_photos(photos, shade, seed) for seed in (0, 0, 1))
    assert first == again and list(first) == ["first", "second"]
    assert first != other


def test_the_summary_counts_the_photos_that_have_a_figure() -> None:
    photos = [{"steadiness_row": 0.1, "border_chroma": 0.0}, {"steadiness_row": 0.3, "border_chroma": 0.0}]
    summary = summarise_steadiness([*photos, {"border_chroma": 0.0}], seed=0)
    assert list(summary) == ["steadiness_row", "border_chroma"]
    assert summary["steadiness_row"]["model"] == 0.2 and summary["steadiness_row"]["photos"] == 2
    assert summary["border_chroma"] == {"model": 0.0, "low": 0.0, "high": 0.0, "photos": 3}
