"""The steps that a calibration gives at an alpha: for all pixels, with delta, and by group."""

from dataclasses import replace

import numpy as np
import pytest

from huebands.conformal.bands import STEPS
from huebands.conformal.calibration import Calibration
from huebands.conformal.groups import GROUPS, UNMERGED, Grouping
from huebands.conformal.guarantee import MODES, AlphaError, Guarantee, ModeError
from huebands.conformal.scores import JOINT, photo_losses
from huebands.conformal.shape import Shape
from huebands.conformal.table import CalibrationError
from huebands.models.parameters import ParamsError
from huebands.statistics.losses import RiskError
from huebands.statistics.risk_control import rcps_step
from toy_calibration import HASHES, LIMITS, SHAPE, toy_calibration, toy_losses, toy_table

ALPHAS = (1 / 31, 0.05, 0.1, 0.3, 0.7, 0.99)


@pytest.fixture(scope="module")
def losses():
    """Of 30 photos."""
    return toy_losses(1, 30)


@pytest.fixture(scope="module")
def calibration(losses):
    return toy_calibration(losses)


def uniform_photo(scores, shape=SHAPE):
    """Losses of a photo of one pixel with these first steps, or of a row of pixels with one of them each."""
    first_steps = np.array(scores, np.uint16).reshape(1, -1, 3)
    groups = np.stack([np.full(first_steps.shape[:2], group, np.uint8) for group in (0, 25, 28)])
    return photo_losses(first_steps, groups, shape.joint_offsets)


class TestSteps:
    def test_with_one_pixel_a_photo_a_step_is_the_quantile_of_the_first_steps(self):
        """Of 9 photos the ceil(10 (1 - alpha))-th smallest first step."""
        calibration = toy_calibration(uniform_photo([10 * rank, 100 + rank, 288 - rank]) for rank in range(1, 10))
        for alpha, rank in ((0.1, 9), (0.15, 9), (0.2, 8), (0.5, 5), (0.9, 1)):
            assert calibration.steps(Guarantee(alpha=alpha)).tolist() == [10 * rank, 100 + rank, 288 - (10 - rank)], (
                alpha
            )

    def test_steps_of_four_photos_equal_those_worked_out_by_hand(self):
        """4 photos of 4 pixels: at a step the sum of their losses must be at most 5 alpha - 1."""
        rows = [[0, 0, 0, 10], [0, 0, 20, 20], [0, 30, 30, 30], [40, 40, 40, 40]]
        calibration = toy_calibration(uniform_photo(np.repeat(row, 3)) for row in rows)
        # The sum is 2.5 from step 0 on, 2.25 from 10, 1.75 from 20, 1 from 30 and 0 from 40.
        for alpha, step in ((0.2, 40), (0.39, 40), (0.4, 30), (0.54, 30), (0.55, 20), (0.65, 10), (0.7, 0), (0.9, 0)):
            assert calibration.steps(Guarantee(alpha=alpha)).tolist() == [step] * 3, alpha

    def test_joint_steps_of_channels_are_ahead_by_their_offsets(self):
        rows = [[50 + rank, 30, 20] for rank in range(1, 10)]
        calibration = toy_calibration(uniform_photo(row) for row in rows)
        assert SHAPE.joint_offsets == (0, 6, 20)
        assert calibration.steps(Guarantee(alpha=0.1, mode="joint")).tolist() == [59, 65, 79]
        late = toy_calibration(uniform_photo([280, 0, 0]) for _ in range(9))
        assert late.steps(Guarantee(alpha=0.1, mode="joint")).tolist() == [280, 286, STEPS - 1], (
            "no step comes after the last"
        )

    @pytest.mark.parametrize("mode", MODES)
    def test_no_earlier_step_keeps_the_promise(self, calibration, losses, mode):
        for alpha in ALPHAS:
            steps = calibration.steps(Guarantee(alpha=alpha, mode=mode))
            kinds = range(3) if mode == "per_channel" else [JOINT]
            for kind, step in zip(kinds, steps, strict=False):
                bounds = [(sum(photo.overall[kind, index] for photo in losses) + 1) / 31 for index in (step - 1, step)]
                assert bounds[1] <= alpha + 1e-9 and (step == 0 or bounds[0] > alpha + 1e-9)

    @pytest.mark.parametrize("mode", MODES)
    def test_steps_fall_as_alpha_grows(self, calibration, mode):
        steps = np.array(
            [calibration.steps(Guarantee(alpha=alpha, mode=mode)) for alpha in np.linspace(1 / 31, 0.99, 60)]
        )
        assert (np.diff(steps, axis=0) <= 0).all() and steps[0].max() > steps[-1].max()
        assert steps.dtype == np.int64 and steps.shape == (60, 3)

    def test_at_the_smallest_alpha_no_calibration_value_is_outside(self, calibration, losses):
        steps = calibration.steps(Guarantee(alpha=calibration.smallest_alpha))
        assert all(photo.overall[kind, steps[kind]] == 0 for photo in losses for kind in range(3))


class TestRefusals:
    @pytest.mark.parametrize("alpha", [0.0322, 0, -0.1, 1, 1.5, float("nan"), float("inf"), "0.1", None, True])
    def test_an_alpha_that_the_photos_do_not_support_is_refused_with_the_allowed_range(self, calibration, alpha):
        message = r"alpha \(=.*\) must be in \[0\.032259, 1\): 30 calibration photos support no alpha below 1/31"
        for ask in (calibration.steps, calibration.group_steps):
            with pytest.raises(AlphaError, match=message):
                ask(Guarantee(alpha=alpha))
        assert not calibration.supports(alpha)

    @pytest.mark.parametrize("photos", [1, 6, 28, 36, 999])
    def test_the_smallest_alpha_that_a_message_names_is_accepted(self, photos):
        smallest = float(str(AlphaError(0.0, photos)).split("[")[1].split(",")[0])
        assert 1 / (photos + 1) <= smallest < 1 / (photos + 1) + 1e-6
        calibration = toy_calibration([uniform_photo([9, 9, 9])] * photos)
        for alpha in (smallest, calibration.smallest_alpha, np.float32(0.6)):
            assert calibration.supports(alpha) and calibration.steps(Guarantee(alpha=alpha)).tolist() in (
                [9, 9, 9],
                [0, 0, 0],
            )

    def test_an_unknown_mode_is_refused(self):
        with pytest.raises(ModeError, match=r"mode \(='both'\) must be one of 'per_channel', 'joint'"):
            Guarantee(mode="both")

    @pytest.mark.parametrize("mode", MODES)
    @pytest.mark.parametrize("delta", [0, 1, -0.1, 1.5, 2.9, float("nan")])
    def test_a_delta_that_is_no_probability_is_refused(self, calibration, mode, delta):
        with pytest.raises(RiskError, match=rf"^delta \(={delta!r}\) must be in \(0, 1\)$"):
            calibration.steps(Guarantee(alpha=0.3, mode=mode, delta=delta))

    @pytest.mark.parametrize(
        ("mode", "promise"),
        [("per_channel", r"delta \(=0\.1\), shared by 3 promises: 30"), ("joint", r"delta \(=0\.1\): 30")],
    )
    def test_an_alpha_that_too_few_photos_support_with_delta_is_refused(self, calibration, mode, promise):
        with pytest.raises(
            RiskError, match=rf"alpha \(=0\.05\) must be at least 0\.[0-9]+ for {promise} photos"
        ) as caught:
            calibration.steps(Guarantee(alpha=0.05, mode=mode, delta=0.1))
        smallest = float(str(caught.value).split("at least ")[1].split(" ")[0])
        toy_calibration([uniform_photo([9, 9, 9])] * 30).steps(Guarantee(alpha=smallest, mode=mode, delta=0.1))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"adaptivity": 1.1}, r"adaptivity \(=1\.1\) must lie in \[0, 1\]"),
            ({"adaptivity": "0"}, "adaptivity"),
            ({"joint_offsets": (0, 0)}, r"joint_offsets \(=\(0, 0\)\) must be 3 integers in 0\.\.288, the least 0"),
            ({"joint_offsets": (1, 2, 3)}, "joint_offsets"),
            ({"joint_offsets": (0, -1, 0)}, "joint_offsets"),
            ({"joint_offsets": (0, 0.5, 0)}, "joint_offsets"),
            ({"joint_offsets": (0, STEPS, 0)}, "joint_offsets"),
            ({"grouping": Grouping(UNMERGED[1:], (1.0, 2.0))}, r"merged_into \(=.*\) must be 31 integers in 0\.\.30"),
            ({"grouping": Grouping((31, *UNMERGED[1:]), (1.0, 2.0))}, "merged_into .* must be 31 integers"),
            ({"grouping": Grouping((1, 2, *UNMERGED[2:]), (1.0, 2.0))}, "merged_into .* must name groups that are not"),
            ({"grouping": Grouping(UNMERGED, (2.0, 1.0))}, r"photo_edges \(=\(2\.0, 1\.0\)\) must be 2 rising numbers"),
            ({"grouping": Grouping(UNMERGED, (1.0,))}, "photo_edges"),
            ({"grouping": Grouping(UNMERGED, (1, 2.0))}, "photo_edges"),
            ({"grouping": Grouping(UNMERGED, (float("nan"), 2.0))}, "photo_edges"),
        ],
    )
    def test_a_shape_that_no_family_has_is_refused(self, losses, change, message):
        with pytest.raises(ParamsError, match=message):
            toy_calibration(losses[:1], replace(SHAPE, **change))

    def test_a_calibration_without_photos_is_refused(self):
        with pytest.raises(CalibrationError, match="at least one photo, got none"):
            toy_calibration([])


class TestDelta:
    @pytest.mark.parametrize("mode", MODES)
    def test_a_smaller_delta_gives_later_steps(self, mode):
        calibration = toy_calibration(toy_losses(2, 120))
        for alpha in (0.1, 0.2, 0.5):
            steps = [
                calibration.steps(Guarantee(alpha=alpha, mode=mode, delta=delta)) for delta in (None, 0.2, 0.1, 0.01)
            ]
            assert (np.diff(steps, axis=0) >= 0).all(), alpha
            assert (steps[-1] > steps[0]).all()

    def test_channels_share_delta(self):
        losses = toy_losses(3, 60)
        calibration, order = toy_calibration(losses), np.random.default_rng(0).permutation(60)
        table = np.stack([photo.overall for photo in losses])[order]
        assert calibration.steps(Guarantee(alpha=0.3, delta=0.3)).tolist() == [
            rcps_step(table[:, kind], 0.3, 0.1) for kind in range(3)
        ]
        joint = rcps_step(table[:, JOINT], 0.3, 0.3)
        assert calibration.steps(Guarantee(alpha=0.3, mode="joint", delta=0.3)).tolist() == [
            joint,
            joint + 6,
            joint + 20,
        ]


class TestGroupSteps:
    @pytest.mark.parametrize("mode", MODES)
    def test_each_group_has_the_first_step_that_keeps_its_guarantee_and_that_of_all_pixels(
        self, calibration, losses, mode
    ):
        group_steps = calibration.group_steps(Guarantee(alpha=0.3, mode=mode))
        common = calibration.steps(Guarantee(alpha=0.3, mode=mode))
        assert group_steps.shape == (len(GROUPS), 3)
        assert (group_steps >= common).all() and (group_steps > common).any()
        offsets = (0, 0, 0) if mode == "per_channel" else SHAPE.joint_offsets
        for group in range(len(GROUPS)):
            members = [photo.groups[group] for photo in losses if photo.present[group]]
            for channel in range(3):
                sums = np.sum([loss[channel if mode == "per_channel" else JOINT] for loss in members], axis=0)
                first = int(np.argmax((sums + 1) / (len(members) + 1) <= 0.3 + 1e-12)) + offsets[channel]
                step = first if members else 0
                assert group_steps[group, channel] == min(max(step, common[channel]), STEPS - 1)

    def test_with_delta_they_keep_the_guarantee_over_all_pixels_too(self, calibration):
        assert (
            calibration.group_steps(Guarantee(alpha=0.3, delta=0.1))
            >= calibration.steps(Guarantee(alpha=0.3, delta=0.1))
        ).all()

    def test_merged_groups_have_the_steps_of_their_target(self):
        merged_into = list(UNMERGED)
        merged_into[12], merged_into[26] = 6, 25
        shape = replace(SHAPE, grouping=Grouping(tuple(merged_into), (3.0, 4.0)))
        calibration = toy_calibration(toy_losses(4, 40, shape=shape), shape)
        steps = calibration.group_steps(Guarantee(alpha=0.3))
        assert np.array_equal(steps[12], steps[6]) and np.array_equal(steps[26], steps[25])
        assert (steps[6] > calibration.steps(Guarantee(alpha=0.3))).all(), "these two have the hardest pixels"
        assert set(calibration.groups()) == {GROUPS[group] for group in (0, 6, 25, 27, 28, 29, 30)}
        assert calibration.groups()[GROUPS[6]] == 40

    def test_too_few_photos_of_a_group_are_named(self, losses):
        counts = np.array([photo.present[28:31] for photo in losses]).sum(axis=0)
        smallest, name = counts.min(), GROUPS[28 + counts.argmin()]
        message = rf"{smallest} calibration photos of the group '{name}' support no alpha below 1/{smallest + 1}"
        with pytest.raises(AlphaError, match=rf"alpha \(=0\.05\) must be in \[.*, 1\): {message}"):
            toy_calibration(losses).group_steps(Guarantee(alpha=0.05))
        toy_calibration(losses).group_steps(Guarantee(alpha=1 / (smallest + 1)))

    def test_a_group_that_no_photo_shows_has_the_steps_of_all_pixels(self, calibration):
        absent = [group for group, name in enumerate(GROUPS) if name not in calibration.groups()]
        assert (
            absent
            and (calibration.group_steps(Guarantee(alpha=0.3))[absent] == calibration.steps(Guarantee(alpha=0.3))).all()
        )


def test_a_calibration_knows_its_photos_and_the_alphas_that_they_support(calibration):
    assert calibration.photos == 30 and calibration.smallest_alpha == 1 / 31
    assert calibration.supports(1 / 31) and calibration.supports(0.5) and not calibration.supports(0.03)
    assert Calibration(Shape(0, (0, 0, 0), SHAPE.grouping), toy_table(toy_losses(5, 1)), **HASHES, **LIMITS).photos == 1
