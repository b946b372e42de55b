"""Several colourings of one photo: drawn from a seed, with the photo's lightness, and measured against the bands."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from huebands.color import lightness_of_grey, srgb_to_lab
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.sampling import MAX_PIXELS, MAX_SAMPLES, SamplesError, Sampling
from huebands.models.interface import Condition
from huebands.models.parts import ab_bins
from huebands.models.parts.dropout import Dropout, drawing
from huebands.photos.grey import GreyPhoto
from several_colourings import with_samples
from tiny_package import network_of

PHOTO = np.random.default_rng(0).integers(0, 256, (24, 30), dtype=np.uint8)


@pytest.fixture(scope="module")
def colorizer(tiny_package: Path) -> Colorizer:
    return with_samples(tiny_package)


def test_equal_seeds_give_equal_samples_and_other_seeds_others(colorizer: Colorizer) -> None:
    first, again, other = (colorizer.colorize(PHOTO, samples=3, seed=seed).samples for seed in (0, 0, 1))
    for one, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, same)
    for one, another in itertools.combinations([*first, *other], 2):
        assert (one != another).any()


def test_samples_change_neither_the_colours_nor_the_bands(colorizer: Colorizer) -> None:
    plain, sampled = colorizer.colorize(PHOTO), colorizer.colorize(PHOTO, samples=2)
    assert plain.samples == () and len(sampled.samples) == 2
    np.testing.assert_array_equal(plain.rgb, sampled.rgb)
    for channel, band in plain.bands.items():
        np.testing.assert_array_equal(band, sampled.bands[channel])


def test_a_sample_has_the_lightness_of_the_photo(colorizer: Colorizer) -> None:
    (sample,) = colorizer.colorize(PHOTO, samples=1).samples
    assert sample.shape == (*PHOTO.shape, 3) and sample.dtype == np.uint8
    lightness = srgb_to_lab(torch.from_numpy(sample).permute(2, 0, 1)[None] / 255)[0, 0]
    # 8-bit colours have steps of at most half a unit of lightness.
    assert (lightness - lightness_of_grey(torch.from_numpy(PHOTO))).abs().max() < 0.6


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_the_share_outside_the_bands_is_counted(colorizer: Colorizer, mode: str) -> None:
    result = colorizer.colorize(PHOTO, alpha=0.5, mode=mode, samples=2)
    bands = np.stack(list(result.bands.values()), axis=2)  # (H, W, 3, 2)
    for sample, share in zip(result.samples, result.samples_outside, strict=True):
        outside = (sample < bands[..., 0]) | (sample > bands[..., 1])
        assert share == (outside.any(axis=2) if mode == "joint" else outside).mean()
        assert 0 < share < 1
    assert result.share_outside(result.rgb) == 0, "the colours that are shown lie in their bands"


@pytest.mark.parametrize("shape", [(40, 600), (600, 40)])
def test_the_windows_of_a_long_photo_share_their_noise(colorizer: Colorizer, shape: tuple[int, int]) -> None:
    # A flat photo looks the same in every window; where windows had noise of their own, its colour would change.
    (sample,) = colorizer.colorize(np.full(shape, 120, np.uint8), samples=1, seed=3).samples
    middle = sample[10:-10, 10:-10].reshape(-1, 3).astype(int)
    assert np.ptp(middle, axis=0).max() <= 8 and np.ptp(middle.mean(axis=0)) > 4


def test_a_sample_is_the_same_without_the_compiled_network(colorizer: Colorizer) -> None:
    # What another machine computes differs by float32's rounding, as the compiled network does from the plain one.
    photo, sampling = GreyPhoto(PHOTO), Sampling(count=3)
    eager = replace(colorizer.colours)
    eager.__dict__["compiled"] = eager.network
    for one, another in zip(colorizer.colours.samples(photo, sampling), eager.samples(photo, sampling), strict=True):
        difference = np.abs(one.astype(int) - another)
        assert difference.max() <= 2 and (difference > 0).mean() < 0.01


def test_a_model_of_one_colouring_refuses_by_name(tiny_package: Path) -> None:
    colorizer = Colorizer.load(tiny_package)
    assert not colorizer.abilities.samples
    message = r"samples \(=2\) must be left out: \S+tiny has the network unet, which knows one colouring only"
    with pytest.raises(SamplesError, match=message):
        colorizer.colorize(PHOTO, samples=2)


@pytest.mark.parametrize(
    ("count", "seed", "message"),
    [
        (MAX_SAMPLES + 1, 0, rf"samples \(=9\) must be an integer in \[1, {MAX_SAMPLES}\]"),
        (-1, 0, r"samples \(=-1\) must be"),
        (True, 0, r"samples \(=True\) must be"),
        (2.0, 0, r"samples \(=2\.0\) must be"),
        (2, -1, r"seed \(=-1\) must be an integer in \[0, 2\*\*63\)"),
        (2, 2**63, r"seed \(=\d+\) must be"),
    ],
)
def test_other_numbers_are_refused(colorizer: Colorizer, count: int, seed: int, message: str) -> None:
    with pytest.raises(SamplesError, match=message):
        colorizer.colorize(PHOTO, samples=count, seed=seed)


def test_so_many_samples_of_a_large_photo_are_refused_with_the_number_that_fits() -> None:
    side = int((MAX_PIXELS / 3) ** 0.5)
    photo = GreyPhoto(np.zeros((side, side), np.uint8))
    Sampling(count=3).check(photo)
    message = r"samples \(=4\) of a photo of 21\.3 megapixels must be at most 3"
    with pytest.raises(SamplesError, match=message):
        Sampling(count=4).check(photo)


def test_near_temperature_0_bins_are_drawn_with_their_probabilities() -> None:
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    logits = torch.full((1, ab_bins.BINS, 1, 1), -100.0)
    logits[0, :3, 0, 0] = probabilities.log()
    draws = 4000
    ab_unit = ab_bins.draw(logits, draws, 1e-3, torch.Generator().manual_seed(0))
    drawn = ab_bins.nearest(ab_unit.flatten(0, 1)).flatten()
    shares = torch.bincount(drawn, minlength=ab_bins.BINS)[:3] / draws
    # The deviation of a share is at most 0.5 / sqrt(4000) = 0.008; four of them.
    torch.testing.assert_close(shares, probabilities, rtol=0, atol=0.032)


def test_equal_places_get_equal_bins() -> None:
    logits = torch.randn(1, ab_bins.BINS, 1, 1, generator=torch.Generator().manual_seed(1)).expand(-1, -1, 5, 7)
    ab_unit = ab_bins.draw(logits, 2, 0.1, torch.Generator().manual_seed(0))
    assert torch.equal(ab_unit, ab_unit[..., :1, :1].expand_as(ab_unit))
    assert not torch.equal(ab_unit[0], ab_unit[1])


def test_dropout_drops_in_evaluation_only_where_it_is_told_to() -> None:
    layer, x = Dropout(0.25).eval(), torch.ones(4, 1000)
    assert torch.equal(layer(x), x)
    with drawing(torch.Generator().manual_seed(0)):
        dropped = layer(x)
    torch.testing.assert_close(dropped.unique(), torch.tensor([0.0, 1 / 0.75]))
    # Of 4,000 values a quarter is dropped; the deviation of the share is 0.007, and this allows four.
    assert (dropped == 0).float().mean().item() == pytest.approx(0.25, abs=0.028)
    assert torch.equal(layer(x), x)


@pytest.mark.parametrize("name", ["dropout", "depth"])
def test_a_u_net_without_noise_gives_no_samples(name: str) -> None:
    values = {"name": "unet", "filters": 2, "depth": 5, "dropout": 0.5, "norm": "batch"}
    condition = Condition(L_unit_B1SS=torch.zeros(1, 1, 32, 32))
    assert network_of(values, 32).gives_samples
    network = network_of(values | {"dropout": {"dropout": 0.0}, "depth": {"depth": 3}}[name], 32).eval()
    assert not network.gives_samples
    with pytest.raises(NotImplementedError, match=r"network \(=unet\) gives one colouring, and no samples"):
        network.samples(condition, 2, torch.Generator())
