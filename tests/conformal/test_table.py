"""Losses of photos, by brute force, and their table: equal to the bit in any order, by any number of processes."""

import subprocess
import sys
from dataclasses import replace
from functools import reduce

import numpy as np
import pytest

from huebands.conformal.bands import STEPS
from huebands.conformal.groups import GROUPS
from huebands.conformal.scores import JOINT, KINDS, joint_first_steps, photo_losses
from huebands.conformal.table import CalibrationError, LossTable
from toy_calibration import toy_losses, toy_photo, toy_table

UNIT = 2.0**-40
STEPS_TRIED = (0, 1, 17, 100, 250, STEPS - 2, STEPS - 1)


def outside(first_steps, offsets, step):
    """Which values (H, W, 3) and pixels (H, W) are outside the bands at a step, by the definition of both modes."""
    of_pixels = [first_steps[..., channel] > min(step + offsets[channel], STEPS - 1) for channel in range(3)]
    return first_steps > step, np.any(of_pixels, axis=0)


@pytest.fixture(scope="module")
def losses():
    """Of 24 photos."""
    return toy_losses(3, 24, (5, 7))


class TestLosses:
    @pytest.mark.parametrize("offsets", [(0, 0, 0), (0, 6, 0), (48, 0, 7)])
    @pytest.mark.parametrize("size", [(1, 1), (5, 7), (40, 60)])
    def test_losses_are_the_shares_outside_the_bands(self, offsets, size):
        first_steps, groups = toy_photo(np.random.default_rng(size[0]), size)
        losses = photo_losses(first_steps, groups, offsets)
        assert losses.overall.shape == (KINDS, STEPS) and losses.pixels == size[0] * size[1]
        for step in STEPS_TRIED:
            values, pixels = outside(first_steps, offsets, step)
            assert losses.overall[:JOINT, step] == pytest.approx(values.mean(axis=(0, 1)), abs=UNIT)
            assert losses.overall[JOINT, step] == pytest.approx(pixels.mean(), abs=UNIT)

    def test_losses_of_a_group_are_the_shares_of_its_pixels_outside_the_bands(self):
        first_steps, groups = toy_photo(np.random.default_rng(1), (30, 40))
        losses = photo_losses(first_steps, groups, (0, 6, 0))
        for group in range(len(GROUPS)):
            members = (groups == group).any(axis=0)
            assert losses.shares[group] == members.mean() and losses.present[group] == members.any()
            for step in STEPS_TRIED if members.any() else ():
                values, pixels = outside(first_steps, (0, 6, 0), step)
                assert losses.groups[group, :JOINT, step] == pytest.approx(values[members].mean(axis=0), abs=UNIT)
                assert losses.groups[group, JOINT, step] == pytest.approx(pixels[members].mean(), abs=UNIT)
        assert not losses.groups[~losses.present].any() and losses.present.sum() == 7

    def test_a_photo_with_too_few_pixels_of_a_group_does_not_count_for_it(self):
        first_steps = np.full((20, 100, 3), 50, np.uint16)
        groups = np.stack([np.full((20, 100), group, np.uint8) for group in (0, 25, 28)])
        groups[0].flat[:10], groups[0].flat[10:19] = 3, 4
        losses = photo_losses(first_steps, groups, (0, 0, 0))
        assert np.flatnonzero(losses.present).tolist() == [0, 3, 25, 28]
        assert losses.shares[[3, 4]].tolist() == [10 / 2000, 9 / 2000]
        assert (losses.groups[3, :, 49] == 1).all() and not losses.groups[4].any()

    def test_losses_are_multiples_of_a_unit_never_rise_and_end_at_0(self):
        for losses in toy_losses(2, 20, (7, 9)):
            for table in (losses.overall, losses.groups):
                assert np.array_equal(table, np.rint(table / UNIT) * UNIT)
                assert (np.diff(table) <= 0).all() and not table[..., -1].any()
                assert table.min() >= 0 and table.max() <= 1
        # Never less than the share itself: rounding keeps the promise.
        first_steps, groups = np.zeros((1, 3, 3), np.uint16), np.array([[[0] * 3], [[25] * 3], [[28] * 3]], np.uint8)
        first_steps[0, 0] = 9
        assert (photo_losses(first_steps, groups, (0, 0, 0)).overall[:, 8] * 3 >= 1).all()

    def test_a_joint_step_is_the_first_whose_bands_hold_all_three_values(self):
        first_steps = np.array([[[10, 20, 5], [0, 3, 0], [0, 3, 9]]], np.uint16)
        assert joint_first_steps(first_steps, (0, 0, 0)).tolist() == [[20, 3, 9]]
        assert joint_first_steps(first_steps, (0, 12, 0)).tolist() == [[10, 0, 9]]
        assert joint_first_steps(first_steps, (0, 12, 2)).dtype == np.uint16


class TestTally:
    def shard(self, losses, rows):
        table = LossTable.empty(len(losses))
        for row in rows:
            table.add(row, losses[row], float(row))
        return table

    def assert_same(self, mine, theirs):
        for name, table in theirs.tables().items():
            assert mine.tables()[name].tobytes() == table.tobytes(), name

    def test_photos_are_counted_each_and_by_group(self, losses):
        table = toy_table(losses)
        for row, photo in enumerate(losses):
            assert np.array_equal(table.losses[row], photo.overall) and table.atypicality[row] == row
        assert np.array_equal(table.group_photos, np.sum([photo.present for photo in losses], axis=0))
        assert table.group_sums == pytest.approx(np.sum([photo.groups for photo in losses], axis=0), abs=1e-12)
        table.check()

    def test_shards_merge_to_the_same_bits_in_any_order_and_split(self, losses):
        expected, random = toy_table(losses), np.random.default_rng(4)
        for count in (2, 3, 7, 24):
            rows = random.permutation(len(losses))
            shards = [self.shard(losses, shard) for shard in np.array_split(rows, count)]
            self.assert_same(reduce(LossTable.__add__, shards), expected)
            self.assert_same(reduce(LossTable.__add__, reversed(shards)), expected)
        empty = LossTable.empty(len(losses))
        self.assert_same(empty + expected + empty, expected)

    def test_processes_merge_their_shards_to_the_same_bits(self, losses, tmp_path):
        for rank in range(2):
            np.savez(tmp_path / f"part-{rank}.npz", **self.shard(losses, range(rank, len(losses), 2)).tables())
        (tmp_path / "merge.py").write_text(MERGE)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "merge.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        for rank in range(2):
            with np.load(tmp_path / f"merged-{rank}.npz") as tables:
                self.assert_same(LossTable(**tables), toy_table(losses))

    def test_a_table_of_photos_passes_its_check_and_an_empty_one_fails(self, losses):
        toy_table(losses[:1]).check()
        with pytest.raises(CalibrationError, match="at least one photo, got none"):
            LossTable.empty(0).check()

    @pytest.mark.parametrize(
        ("name", "change", "message"),
        [
            (
                "losses",
                lambda table: table[..., :-1],
                r"losses must be float64 \(24, 4, 289\); got float64 \(24, 4, 288\)",
            ),
            ("losses", lambda table: table.astype(np.float32), "losses must be float64 .*; got float32"),
            ("losses", lambda table: np.array(0.5), "losses must be float64"),
            ("losses", lambda table: table[..., ::-1], "losses must hold shares in .* that never rise and end at 0"),
            ("losses", lambda table: table * 1.5, "losses must hold shares"),
            ("losses", lambda table: table - 0.1, "losses must hold shares"),
            ("losses", lambda table: np.maximum(table, 0.01), "losses must hold shares"),
            ("losses", lambda table: np.where(table > 0.5, np.nan, table), "losses must hold shares"),
            ("group_sums", lambda table: table[1:], "group_sums must be float64"),
            ("group_sums", lambda table: table[..., ::-1], "group_sums must hold shares"),
            ("group_sums", lambda table: table * 10, "group_sums must hold shares"),
            ("group_photos", lambda table: table.astype(np.int32), "group_photos must be int64 .*; got int32"),
            ("group_photos", lambda table: table + 24, r"group_photos must lie in 0\.\.24"),
            ("group_photos", lambda table: -table, r"group_photos must lie in 0\.\.24"),
            ("atypicality", lambda table: table[:-1], r"atypicality must be float64 \(24,\); got float64 \(23,\)"),
            ("atypicality", lambda table: table * np.inf, "atypicality must be finite"),
        ],
    )
    @pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the changes themselves
    def test_impossible_losses_are_refused(self, losses, name, change, message):
        table = toy_table(losses)
        with pytest.raises(CalibrationError, match=message):
            replace(table, **{name: change(getattr(table, name))}).check()


MERGE = """
import numpy as np, torch
from huebands.conformal.table import LossTable
from huebands.training.distributed import World

world = World.join("cpu")
assert world.size == 2
with np.load(f"part-{world.rank}.npz") as tables:
    np.savez(f"merged-{world.rank}.npz", **LossTable(**tables).all_reduce(world.device).tables())
world.leave()
"""
