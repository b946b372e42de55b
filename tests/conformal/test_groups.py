"""Groups of pixels: each pixel is in one group of each partition, and small groups are merged."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from huebands import color
from huebands.conformal import groups
from huebands.conformal.groups import (
    CHROMA_EDGES,
    GROUPS,
    LEAST_PHOTOS,
    LIGHTNESS_EDGES,
    PARTITIONS,
    TEXTURE_EDGES,
    UNMERGED,
    Grouping,
    choose_grouping,
    presence_of,
    texture_of,
)

GROUPING = Grouping(UNMERGED, (3.0, 4.0))
CELLS, TEXTURES, PHOTOS = range(25), range(25, 28), range(28, 31)


def random_photo(seed, size=(30, 40)):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (*size, 3), dtype=np.uint8), random.integers(0, 256, size, dtype=np.uint8)


def everywhere(value, side=8):
    return torch.full((side, side), value)


class TestPixels:
    def test_there_are_25_cells_3_textures_and_3_kinds_of_photos_with_different_names(self):
        assert [len(names) for names in PARTITIONS.values()] == [25, 3, 3]
        assert len(set(GROUPS)) == len(GROUPS) == 31
        assert GROUPS[0] == "L below 20, chroma below 5" and GROUPS[7] == "L 20 to 40, chroma 10 to 20"
        assert GROUPS[24] == "L from 80, chroma from 35" and GROUPS[25:28] == ("smooth", "textured", "rough")

    @pytest.mark.parametrize("size", [(30, 40), (1, 1), (1, 50), (50, 1), (3, 5)])
    def test_each_pixel_is_in_one_group_of_each_partition(self, size):
        shown, grey = random_photo(0, size)
        texture = torch.rand(8, 8, generator=torch.Generator().manual_seed(0)) * 10
        groups_PHW = GROUPING.of_pixels(shown, grey, texture, 3.5)
        assert groups_PHW.dtype == np.uint8 and groups_PHW.shape == (3, *size)
        for groups_HW, indices in zip(groups_PHW, (CELLS, TEXTURES, PHOTOS), strict=True):
            assert indices.start <= groups_HW.min() and groups_HW.max() < indices.stop

    def test_cells_follow_lightness_of_the_photo_and_chroma_of_the_colour_shown(self):
        shown, grey = random_photo(1)
        L = rgb2lab(np.repeat(grey[..., None], 3, axis=2))[..., 0]
        chroma = np.hypot(*np.moveaxis(rgb2lab(shown)[..., 1:], 2, 0))
        expected = 5 * sum((edge <= L).astype(int) for edge in LIGHTNESS_EDGES)
        expected += sum((edge <= chroma).astype(int) for edge in CHROMA_EDGES)
        cells = GROUPING.of_pixels(shown, grey, everywhere(0.0), 3.5)[0]
        is_clear = np.abs(chroma[..., None] - CHROMA_EDGES).min(axis=-1) > 1e-3
        assert np.array_equal(cells[is_clear], expected[is_clear]) and is_clear.mean() > 0.99
        assert len(np.unique(cells)) > 15

    def test_lightness_changes_cell_at_its_edges(self):
        greys = np.arange(256, dtype=np.uint8)[None]
        rows = GROUPING.of_pixels(np.repeat(greys[..., None], 3, axis=2), greys, everywhere(0.0), 3.5)[0, 0] // 5
        lightness = color.lightness_of_grey(torch.arange(256)).numpy()
        first = [int(np.argmax(rows == row)) for row in range(1, 5)]
        for level, edge in zip(first, LIGHTNESS_EDGES, strict=True):
            assert lightness[level - 1] < edge <= lightness[level]

    def test_texture_and_entropy_belong_to_the_group_above_their_edge(self):
        shown, grey = random_photo(2, (4, 4))
        low, high = TEXTURE_EDGES
        for value, group in ((0.0, 0), (low - 0.01, 0), (low, 1), (high - 0.01, 1), (high, 2), (60.0, 2)):
            assert (GROUPING.of_pixels(shown, grey, everywhere(value), 3.5)[1] == TEXTURES[group]).all(), value
        for value, group in ((-1.0, 0), (2.99, 0), (3.0, 1), (3.99, 1), (4.0, 2), (9.0, 2)):
            assert (GROUPING.of_pixels(shown, grey, everywhere(0.0), value)[2] == PHOTOS[group]).all(), value

    @pytest.mark.parametrize("times", [0.5, 1, 3])
    def test_a_pixel_has_the_texture_of_the_sample_that_it_lies_in(self, times):
        height, width = int(8 * times), int(16 * times)
        texture, rough = torch.zeros(8, 8), np.zeros((height, width), bool)
        texture[2:4, 6:] = 9.0
        rough[height // 4 : height // 2, width * 3 // 4 :] = True
        textures = GROUPING.of_pixels(*random_photo(3, (height, width)), texture, 3.5)[1]
        assert np.array_equal(textures == TEXTURES[2], rough)

    def test_the_size_of_slices_does_not_change_the_groups(self, monkeypatch):
        shown, grey = random_photo(4)
        texture = torch.rand(8, 8, generator=torch.Generator().manual_seed(4)) * 10
        expected = GROUPING.of_pixels(shown, grey, texture, 3.5)
        monkeypatch.setattr(groups, "_SLICE", 100)
        assert np.array_equal(GROUPING.of_pixels(shown, grey, texture, 3.5), expected)

    def test_texture_is_the_spread_of_lightness_in_a_window_of_5_by_5(self):
        L = torch.rand(9, 9, generator=torch.Generator().manual_seed(5)) * 100
        texture = texture_of(L)
        assert texture.shape == (9, 9)
        for y, x in ((4, 4), (2, 6), (0, 0), (8, 3)):
            window = L[max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
            assert float(texture[y, x]) == pytest.approx(float(window.std(correction=0)), abs=1e-3)
        assert (texture_of(everywhere(42.0)) < 0.05).all()


def test_a_photo_shows_a_group_from_half_a_percent_of_its_pixels():
    photo = np.zeros((3, 20, 100), np.uint8)
    photo[0].flat[:10], photo[0].flat[10:19] = 3, 4
    photo[1], photo[2] = TEXTURES[0], PHOTOS[2]
    assert np.flatnonzero(presence_of(photo)).tolist() == [0, 3, TEXTURES[0], PHOTOS[2]]


class TestMerging:
    CALIBRATING = 100

    def choose(self, shares, photos=CALIBRATING):
        """Choose a grouping when each group is shown by the given share of 100 validation photos."""
        shares = np.broadcast_to(shares, len(GROUPS))
        presence = np.arange(100)[:, None] < np.rint(shares * 100)
        return choose_grouping(presence, np.linspace(2, 5, 100), photos)

    def test_none_is_merged_when_all_are_large(self):
        grouping = self.choose(1.0)
        assert grouping.merged_into == UNMERGED and grouping.merged() == {}
        assert self.choose(LEAST_PHOTOS / self.CALIBRATING).merged_into == UNMERGED, "just large enough"

    def test_a_small_calibration_merges_each_partition_into_one_group(self):
        for grouping in (self.choose(1.0, photos=LEAST_PHOTOS - 1), self.choose(0.29)):
            merged = np.array(grouping.merged_into)
            for indices in (CELLS, TEXTURES, PHOTOS):
                assert len(set(merged[indices.start : indices.stop])) == 1 and merged[indices.start] in indices

    def test_a_small_group_is_merged_into_the_one_before_it_and_listed(self):
        shares = np.ones(len(GROUPS))
        shares[[7, 8]] = 0.1
        grouping = self.choose(shares)
        assert {index for index, target in enumerate(grouping.merged_into) if target != index} == {7, 8}
        assert grouping.merged() == {GROUPS[7]: GROUPS[6], GROUPS[8]: GROUPS[6]}
        assert GROUPS[6:9] == tuple(f"L 20 to 40, chroma {chroma}" for chroma in ("5 to 10", "10 to 20", "20 to 35"))

    def test_the_first_of_a_partition_is_merged_into_the_next_one(self):
        shares = np.ones(len(GROUPS))
        shares[[0, 25]] = 0.1
        grouping = self.choose(shares)
        assert grouping.merged() == {GROUPS[0]: GROUPS[1], "smooth": "textured"}

    def test_every_remaining_group_is_large_or_the_only_one(self):
        random = np.random.default_rng(0)
        for _ in range(200):
            presence = random.random((40, len(GROUPS))) < random.random(len(GROUPS)) ** 2
            grouping = choose_grouping(presence, random.normal(size=40), self.CALIBRATING)
            merged = np.array(grouping.merged_into)
            assert np.array_equal(merged[merged], merged), "the target of a merged group is not merged itself"
            for indices in (CELLS, TEXTURES, PHOTOS):
                remaining = set(merged[indices.start : indices.stop])
                assert remaining <= set(indices), "groups merge within their partition"
                for group in remaining:
                    shown_by = presence[:, np.flatnonzero(merged == group)].any(axis=1).mean() * self.CALIBRATING
                    assert shown_by >= LEAST_PHOTOS or len(remaining) == 1

    def test_merging_replaces_groups_by_their_targets(self):
        shares = np.ones(len(GROUPS))
        shares[[7, 26]] = 0.0
        grouping = self.choose(shares)
        photo = np.stack([np.full((2, 2), group, np.uint8) for group in (7, 26, 30)])
        merged = grouping.merge(photo)
        assert merged.dtype == np.uint8 and merged[:, 0, 0].tolist() == [6, 25, 30]
        assert np.array_equal(grouping.merge(merged), merged)

    def test_entropy_divides_photos_into_thirds(self):
        low, high = self.choose(1.0).photo_edges
        entropies = np.linspace(2, 5, 100)
        assert type(low) is type(high) is float
        assert (entropies < low).mean() == pytest.approx(1 / 3, abs=0.01)
        assert (entropies >= high).mean() == pytest.approx(1 / 3, abs=0.01)

    def test_choosing_groups_needs_validation_photos(self):
        with pytest.raises(ValueError, match="at least one validation photo, got none"):
            choose_grouping(np.zeros((0, len(GROUPS)), bool), [], 100)
