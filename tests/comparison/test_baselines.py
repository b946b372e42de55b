"""The baselines learn from the training split alone, and keep a photo's lightness."""

import numpy as np
import pytest
import torch

from huebands import color
from huebands.comparison import baselines
from huebands.comparison.baselines import Grey, Lightness, Neighbours
from huebands.data.shards import ShardError
from huebands.photos.grey import GreyPhoto
from tiny_photos import SIZE, tiny_photo, write_prepared

DARK, LIGHT = (90, 40, 40), (150, 170, 220)
GRADIENT = np.tile(np.arange(40, 200, 10, dtype=np.uint8), (SIZE, 1))


def stripes(*colours):
    """Stripes of the given colours, uint8 (SIZE, SIZE, 3)."""
    return np.repeat(np.array(colours, np.uint8), SIZE // len(colours), axis=0)[None].repeat(SIZE, axis=0)


def ab_of(rgb):
    lab = color.srgb_to_lab(torch.tensor(rgb, dtype=torch.float64).reshape(1, 1, 3).permute(2, 0, 1) / 255)
    return lab[1:, 0, 0].numpy()


@pytest.fixture
def prepared(tmp_path):
    return write_prepared(tmp_path / "prepared", {"train": [stripes(DARK, LIGHT)], "test": [tiny_photo(0)]})


def test_grey_leaves_a_photo_grey():
    rgb = Grey().predict(GRADIENT)
    assert rgb.shape == (SIZE, SIZE, 3)
    assert all((rgb[..., channel] == GRADIENT).all() for channel in range(3))


@pytest.mark.parametrize("learn", [Lightness.learn, Neighbours], ids=["lightness", "neighbours"])
def test_a_training_photo_gets_its_own_colours_again(prepared, learn):
    photo = stripes(LIGHT, DARK)
    assert (
        np.abs(learn(prepared).predict(GreyPhoto.of_rgb(photo).levels_HW).astype(int) - photo)[:, [0, -1]].max() <= 12
    )


def test_levels_without_training_pixels_get_interpolated_colours(prepared):
    colours_by_level = {
        int(GreyPhoto.of_rgb(stripes(colour)).levels_HW[0, 0]): ab_of(colour) for colour in (DARK, LIGHT)
    }
    (low, dark), (high, light) = sorted(colours_by_level.items())
    middle = (low + high) // 2
    share = (middle - low) / (high - low)
    rgb = Lightness.learn(prepared).predict(np.full((2, 2), middle, np.uint8))[0, 0]
    np.testing.assert_allclose(ab_of(rgb), (1 - share) * dark + share * light, atol=1)
    outer = [Lightness.learn(prepared).predict(np.full((2, 2), level, np.uint8))[0, 0] for level in (high, high + 9)]
    np.testing.assert_allclose(ab_of(outer[0]), ab_of(outer[1]), atol=1)


def test_a_level_gets_the_mean_over_the_pixels_of_all_photos(tmp_path):
    grey = int(GreyPhoto.of_rgb(stripes((130, 100, 60))).levels_HW[0, 0])
    neutral, coloured = stripes((grey,) * 3), stripes((130, 100, 60))
    prepared = write_prepared(tmp_path / "prepared", {"train": [neutral, neutral, coloured]})
    rgb = Lightness.learn(prepared).predict(np.full((2, 2), grey, np.uint8))[0, 0]
    np.testing.assert_allclose(ab_of(rgb), ab_of(coloured[0, 0]) / 3, atol=0.8)


@pytest.mark.parametrize("learn", [Lightness.learn, Neighbours], ids=["lightness", "neighbours"])
def test_a_photos_lightness_is_kept(prepared, learn):
    rgb = learn(prepared).predict(np.ascontiguousarray(GRADIENT[:7]))
    assert rgb.shape == (7, SIZE, 3)
    assert np.ptp(rgb.astype(int), axis=2).max() > 10, "it has colour"
    assert np.abs(GreyPhoto.of_rgb(rgb).levels_HW.astype(int) - GRADIENT[:7]).max() <= 1


@pytest.mark.parametrize("learn", [Lightness.learn, Neighbours], ids=["lightness", "neighbours"])
def test_baselines_learn_from_the_training_split_alone(prepared, tmp_path, learn):
    other_test = write_prepared(tmp_path / "other", {"train": [stripes(DARK, LIGHT)], "test": [tiny_photo(7)] * 3})
    assert (learn(prepared).predict(GRADIENT) == learn(other_test).predict(GRADIENT)).all()


def test_neighbours_distinguish_surfaces_of_the_same_lightness(tmp_path, monkeypatch):
    """A smooth and a rough surface of the same lightness get different colours."""
    monkeypatch.setattr(baselines, "NEIGHBOURS", 10)
    grey, size = 120, baselines.SIDE
    calm, rough = np.full((size, size), grey), np.full((size, size), grey)
    rough[::2] += 50
    photos = []
    for levels, ab in ((calm, (25.0, 10.0)), (rough, (-15.0, -20.0))):
        L = color.lightness_of_grey(torch.from_numpy(levels.astype(np.uint8)))
        lab = torch.stack((L, torch.full_like(L, ab[0]), torch.full_like(L, ab[1])))
        photos.append(color.to_bytes(color.lab_to_srgb(lab)).permute(1, 2, 0).numpy())
    neighbours = Neighbours(write_prepared(tmp_path / "prepared", {"train": photos}, size))
    for photo in photos:
        assert np.abs(neighbours.predict(GreyPhoto.of_rgb(photo).levels_HW).astype(int) - photo).mean() < 3


def test_neighbours_give_the_same_colours_every_time(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "SAMPLES", 200)
    prepared = write_prepared(tmp_path / "prepared", {"train": [tiny_photo(seed) for seed in range(3)]})
    assert (Neighbours(prepared).predict(GRADIENT) == Neighbours(prepared).predict(GRADIENT)).all()


@pytest.mark.parametrize("learn", [Lightness.learn, Neighbours], ids=["lightness", "neighbours"])
def test_an_error_about_missing_training_photos_names_the_remedy(tmp_path, learn):
    with pytest.raises(ShardError, match=r"nowhere/train\.npy: not found; .*dvc repro prepare"):
        learn(tmp_path / "nowhere")
    empty = write_prepared(tmp_path / "empty", {"test": [tiny_photo(0)]})
    with pytest.raises(ShardError, match=r"empty: the training split is empty; .*dvc repro prepare"):
        learn(empty)
