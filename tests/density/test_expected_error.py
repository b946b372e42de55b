"""The expected error of what is shown, against scikit-image's CIEDE2000 and against its definition."""

import numpy as np
import pytest
import torch
from skimage.color import deltaE_ciede2000, rgb2lab

from huebands import color
from huebands.conformal.error_map import upsample
from huebands.density import joint
from huebands.density.expected_error import (
    LEAST_PROBABILITY,
    LEVELS,
    between_levels,
    equal_lightness_ciede2000,
    expected_error,
    expected_errors,
    mean_ab,
)


def random_ab(*shape: int, seed: int = 0, reach: float = 100.0) -> torch.Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1) * reach


def errors_of(colours_Q2: torch.Tensor, shown_2N: torch.Tensor) -> torch.Tensor:
    """CIEDE2000 between each of the colours and each of those shown, (Q, N)."""
    size = (len(colours_Q2), shown_2N.shape[1])
    return equal_lightness_ciede2000(*(part[:, None].expand(size) for part in colours_Q2.T), *(
        part.expand(size) for part in shown_2N
    ))  # fmt: skip


def reference(L: np.ndarray, pairs_4N: torch.Tensor) -> np.ndarray:
    first, second = (np.stack((L, *part.double().numpy()), axis=-1) for part in pairs_4N.split(2))
    return np.asarray(deltaE_ciede2000(first, second))


@pytest.mark.parametrize("reach", [1.0, 10.0, 100.0])
def test_the_colour_difference_is_that_of_scikit_image_at_any_lightness(reach: float) -> None:
    pairs = random_ab(4, 50_000, reach=reach)
    pairs[2:, :100] = 0  # one colour is grey
    pairs[:2, 50:150] = 0  # both are, or the other
    pairs[2:, 150:250] = pairs[:2, 150:250]  # both are alike
    L = np.random.default_rng(0).uniform(0, 100, pairs.shape[1])
    assert np.abs(equal_lightness_ciede2000(*pairs).numpy() - reference(L, pairs)).max() < 1e-3


def test_the_colour_difference_keeps_its_digits_where_hues_are_nearly_opposite() -> None:
    degrees, off = torch.rand(2, 20_000, generator=torch.Generator().manual_seed(0)) * torch.tensor([[360.0], [2.0]])
    hues = torch.deg2rad(torch.stack((degrees, degrees + 180 + off + 0.01)))
    pairs = torch.stack((hues[0].cos(), hues[0].sin(), hues[1].cos(), hues[1].sin())) * 60
    error = np.abs(equal_lightness_ciede2000(*pairs).numpy() - reference(np.full(pairs.shape[1], 50.0), pairs))
    # Chroma is stretched along a, which may move the hues across the jump at 180 degrees.
    assert np.quantile(error, 0.999) < 1e-3


def test_the_expected_error_is_the_mean_over_the_density() -> None:
    probabilities = torch.softmax(random_ab(60, 12, seed=1, reach=3.0), dim=0)
    colours, shown = random_ab(60, 2, seed=2), random_ab(2, 12, seed=3)
    errors = errors_of(colours, shown)
    likely = torch.where(probabilities > LEAST_PROBABILITY, probabilities, 0)
    expected = (likely * errors).sum(dim=0) / likely.sum(dim=0)
    torch.testing.assert_close(expected_error(probabilities, colours, shown), expected, atol=1e-4, rtol=0)


def test_rare_colours_are_left_out_and_change_little() -> None:
    probabilities = torch.softmax(random_ab(400, 64, seed=1, reach=12.0), dim=0)
    colours, shown = random_ab(400, 2, seed=2), random_ab(2, 64, seed=3)
    errors = errors_of(colours, shown)
    assert (probabilities <= LEAST_PROBABILITY).float().mean() > 0.5, "the test needs rare colours"
    exact = (probabilities * errors).sum(dim=0)
    torch.testing.assert_close(expected_error(probabilities, colours, shown), exact, atol=0.2, rtol=0)


def test_a_certain_density_expects_the_error_itself_and_none_where_it_is_right() -> None:
    probabilities = torch.zeros(3, 4)
    probabilities[1] = 1
    colours, shown = random_ab(3, 2), random_ab(2, 4, seed=1)
    shown[:, 0] = colours[1]
    error = expected_error(probabilities, colours, shown)
    assert error[0] == 0
    torch.testing.assert_close(error, errors_of(colours, shown)[1])


def test_the_number_of_threads_changes_no_bit() -> None:
    probabilities = torch.softmax(random_ab(300, 256, seed=1, reach=4.0), dim=0)
    colours, shown = random_ab(300, 2, seed=2), random_ab(2, 256, seed=3)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 3):
            torch.set_num_threads(count)
            results.append(expected_error(probabilities, colours, shown))
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*results)


@pytest.mark.parametrize("size", [(8, 8), (24, 40), (23, 41), (200, 17)])
def test_the_mean_colour_of_a_cell_is_that_of_its_pixels(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ab = mean_ab(rgb, (8, 8))
    assert ab.shape == (2, 8, 8)
    for row, column in ((0, 0), (3, 7), (7, 2)):
        rows, columns = (
            slice(place * pixels // 8, (place + 1) * pixels // 8)
            for place, pixels in zip((row, column), size, strict=True)
        )
        mean = rgb[rows, columns].mean(axis=(0, 1)) / 255
        np.testing.assert_allclose(ab[:, row, column], rgb2lab(mean)[1:], atol=2e-3)


def test_of_a_large_photo_some_pixels_give_nearly_the_same_mean() -> None:
    levels = np.linspace(0, 255, 900)
    rgb = np.stack(np.broadcast_arrays(levels[:, None], 128.0, levels[None, ::-1]), axis=-1).astype(np.uint8)
    rows = slice(3 * 900 // 8, 4 * 900 // 8)
    expected = rgb2lab(rgb[rows, rows].mean(axis=(0, 1)) / 255)[1:]
    np.testing.assert_allclose(mean_ab(rgb, (8, 8))[:, 3, 3], expected, atol=1.0)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 3000)])
def test_a_photo_smaller_than_the_grid_gives_each_cell_a_pixel(size: tuple[int, int]) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    ab = mean_ab(rgb, (8, 8))
    if size[1] < 8:
        np.testing.assert_allclose(ab[:, 7, 7], rgb2lab(rgb[-1, -1] / 255)[1:], atol=2e-3)


def test_every_grey_level_lies_between_two_levels() -> None:
    before, weight = between_levels()
    levels = torch.tensor(LEVELS, dtype=torch.float32)
    torch.testing.assert_close(levels[before] * (1 - weight) + levels[before + 1] * weight, torch.arange(256.0))
    assert weight.min() == 0 and weight.max() == 1


def colourful(size: tuple[int, int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random colours with large areas, and their grey levels."""
    random = np.random.default_rng(seed)
    areas = random.integers(0, 256, (3, 4, 3)).repeat(-(-size[0] // 3), axis=0).repeat(-(-size[1] // 4), axis=1)
    rgb = np.clip(areas[: size[0], : size[1]] + random.integers(-20, 21, (*size, 3)), 0, 255).astype(np.uint8)
    return rgb, color.grey_levels(torch.from_numpy(rgb).movedim(-1, 0)).numpy()


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (1, 300), (40, 60), (61, 33), (300, 200)])
def test_each_pixel_gets_what_it_would_get_if_every_sample_had_the_error_of_every_level(size: tuple[int, int]) -> None:
    rgb, grey = colourful(size, seed=0)
    probabilities = torch.softmax(random_ab(25, 16, 11, seed=1, reach=3.0), dim=0)
    ab_KQ2 = joint.ab_of_cells(LEVELS, 5)
    errors = expected_errors(probabilities, ab_KQ2, rgb, grey)
    shown, pooled = mean_ab(rgb, (8, 6)), torch.nn.functional.adaptive_avg_pool2d(probabilities, (8, 6))
    every = torch.empty_like(errors)
    for place, level in enumerate(LEVELS):
        L_11 = color.lightness_of_grey(torch.tensor([[level]], dtype=torch.uint8))
        shown_at_level = color.fit_to_gamut(torch.cat((L_11.expand(1, 8, 6), shown)))[1:].flatten(1)
        every[place] = expected_error(pooled.flatten(1), ab_KQ2[place], shown_at_level).view(8, 6)
    is_computed = errors > 0
    assert torch.equal(errors[is_computed], every[is_computed])
    assert np.array_equal(upsample(errors.numpy(), grey), upsample(every.numpy(), grey))
    if size == (300, 200):
        assert is_computed.float().mean() < 0.9, "the test needs levels that are not computed"


def test_the_error_is_that_of_the_pixels_own_grey_level() -> None:
    """At black and at white all colours are nearly alike, so the same density expects a small error there."""
    grey = np.repeat(np.array([2, 128, 253], np.uint8), 20)[None].repeat(60, axis=0)
    probabilities = torch.full((100, 4, 4), 0.01)
    shown = np.repeat(grey[..., None], 3, axis=-1)
    error = upsample(expected_errors(probabilities, joint.ab_of_cells(LEVELS, 10), shown, grey).numpy(), grey)
    assert error[:, 20:40].min() > 4 * max(error[:, :20].max(), error[:, 40:].max()) > 0
