"""Coverage and widths on test photos, by brute force, and the certificate that summarises them."""

from dataclasses import replace

import numpy as np
import pytest

from huebands.conformal.calibration_files import write_calibration
from huebands.conformal.coverage import PhotoCoverage, certify, count_widths, measure_bands
from huebands.conformal.groups import GROUPS, PARTITIONS
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.statistics.broken_promise import broken_p
from toy_calibration import read_calibration, toy_calibration, toy_losses, toy_photo

ALPHA = 0.2


@pytest.fixture(scope="module")
def calibration():
    return toy_calibration(toy_losses(1, 30))


def random_photo(random, size=(8, 9)):
    """Bands, true colours and groups of a photo; the coverage differs by photo."""
    shown = random.integers(0, 256, (*size, 3))
    true = np.clip(shown + random.normal(0, random.gamma(2, 15), shown.shape), 0, 255).astype(np.uint8)
    reach_down, reach_up = random.integers(0, 60, (2, *size, 3))
    bands = np.stack((shown - reach_down, shown + reach_up), axis=-1).clip(0, 255).astype(np.uint8)
    return bands, true, toy_photo(random, size)[1]


def measured(photo, name="photo", atypicality=0.0, source="noise"):
    """A photo whose bands are the same at each alpha, and one level wider in each direction by group."""
    bands, true, groups = photo
    wider = np.stack((np.maximum(bands[..., 0], 1) - 1, np.minimum(bands[..., 1], 254) + 1), axis=-1)
    ungrouped = {(mode, alpha): measure_bands(bands, true, groups, mode) for mode in MODES for alpha in (ALPHA, 0.4)}
    grouped = {mode: measure_bands(wider, true, groups, mode) for mode in MODES}
    shares = np.bincount(groups.ravel(), minlength=len(GROUPS)) / true[..., 0].size
    return PhotoCoverage(name, name.title(), source, ungrouped, grouped, shares, count_widths(bands), atypicality)


def inside(bands, true):
    return (bands[..., 0] <= true) & (true <= bands[..., 1])


class TestMeasuredBands:
    @pytest.mark.parametrize("size", [(1, 1), (8, 9), (40, 30)])
    def test_coverage_is_the_share_inside_the_bands(self, size):
        bands, true, groups = photo = random_photo(np.random.default_rng(size[0]), size)
        is_inside = inside(bands, true)
        of_values, of_pixels = measure_bands(*photo, "per_channel"), measure_bands(*photo, "joint")
        assert of_values.coverage == pytest.approx(is_inside.mean())
        assert of_pixels.coverage == pytest.approx(is_inside.all(axis=-1).mean())
        widths = bands[..., 1].astype(int) - bands[..., 0]
        for measured_bands, covered in ((of_values, is_inside.mean(axis=-1)), (of_pixels, is_inside.all(axis=-1))):
            assert measured_bands.widths == pytest.approx(widths.mean(axis=(0, 1)))
            for group in range(len(GROUPS)):
                members = (groups == group).any(axis=0)
                assert measured_bands.covered[group] == pytest.approx((covered * members).mean())

    def test_widths_are_counted_in_bins_of_8_levels(self):
        bands, *_ = random_photo(np.random.default_rng(2), (20, 30))
        bands[0, 0], bands[0, 1] = (0, 255), (7, 7)
        counts = count_widths(bands)
        widths = bands[..., 1].astype(int) - bands[..., 0]
        expected = [[(widths[..., channel] // 8 == index).mean() for index in range(32)] for channel in range(3)]
        assert counts == pytest.approx(np.array(expected))


class TestCertificate:
    @pytest.fixture
    def photos(self):
        """12 photos of very different sizes."""
        random = np.random.default_rng(3)
        sizes = [(1, 1), (2, 30), (20, 20)] * 4
        return [random_photo(random, size) for size in sizes]

    @pytest.fixture
    def certificate(self, calibration, photos):
        return certify(
            calibration, [measured(photo, f"photo {row}") for row, photo in enumerate(photos)], ALPHA, seed=0
        )

    def test_all_photos_have_the_same_weight(self, calibration, photos, certificate):
        assert certificate["test_photos"] == 12 and certificate["alpha"] == ALPHA
        assert [(row["mode"], row["alpha"]) for row in certificate["curve"]] == [
            (mode, alpha) for mode in MODES for alpha in (ALPHA, 0.4)
        ]
        for row in certificate["curve"]:
            photos_inside = [inside(*photo[:2]) for photo in photos]
            shares = [
                is_inside.mean() if row["mode"] == "per_channel" else is_inside.all(axis=-1).mean()
                for is_inside in photos_inside
            ]
            widths = [(bands[..., 1].astype(int) - bands[..., 0]).mean(axis=(0, 1)) for bands, *_ in photos]
            assert row["coverage"] == pytest.approx(np.mean(shares), abs=1e-4)
            assert row["width"] == pytest.approx(np.mean(widths), abs=0.01)
            assert row["widths"] == pytest.approx(np.mean(widths, axis=0), abs=0.01)
            assert row["steps"] == calibration.steps(Guarantee(alpha=row["alpha"], mode=row["mode"])).tolist()
            by_size = np.average(shares, weights=[is_inside[..., 0].size for is_inside in photos_inside])
            assert abs(by_size - np.mean(shares)) > 0.01, "weighting by pixels gives another figure"

    def test_both_intervals_hold_the_mean(self, certificate):
        for row in certificate["curve"] + certificate["grouped"]:
            assert 0 <= row["coverage_low"] <= row["coverage"] <= row["coverage_high"] <= 1
            assert 0 <= row["exact_low"] <= row["coverage"] <= row["exact_high"] <= 1

    def test_the_p_value_is_that_of_the_exact_test(self, photos, certificate):
        for row in certificate["curve"]:
            photos_inside = [inside(*photo[:2]) for photo in photos]
            losses = [
                1 - (is_inside if row["mode"] == "per_channel" else is_inside.all(axis=-1)).mean()
                for is_inside in photos_inside
            ]
            assert row["p_value"] == pytest.approx(broken_p(np.array(losses), row["alpha"]), rel=1e-3)
            assert row["p_value"] > 0.025 or row["exact_high"] < 1 - row["alpha"], "test and interval agree"

    def test_the_interval_of_many_photos_is_about_two_standard_errors(self, calibration):
        random = np.random.default_rng(4)
        photos = [measured(random_photo(random, (3, 3))) for _ in range(400)]
        row = certify(calibration, photos, ALPHA, seed=0)["curve"][0]
        error = np.std([photo.ungrouped["per_channel", ALPHA].coverage for photo in photos]) / np.sqrt(400)
        # 2000 resamples leave each end uncertain by about 0.05 standard errors.
        assert row["coverage_high"] - row["coverage_low"] == pytest.approx(2 * 1.96 * error, rel=0.1)

    def test_the_certificate_has_the_bands_by_group_too(self, photos, certificate):
        assert [row["mode"] for row in certificate["grouped"]] == list(MODES)
        for row, ungrouped in zip(certificate["grouped"], certificate["curve"][::2], strict=True):
            assert row["alpha"] == ALPHA and row["coverage"] >= ungrouped["coverage"]
            assert row["width"] > ungrouped["width"]

    def test_strata_have_the_coverage_of_their_pixels_with_equal_weights_of_photos(self, photos, certificate):
        groups_shown = [group for group in range(len(GROUPS)) if any((groups == group).any() for *_, groups in photos)]
        for mode in MODES:
            strata = [row for row in certificate["strata"] if row["mode"] == mode]
            assert [row["group"] for row in strata] == [GROUPS[group] for group in groups_shown]
            for group, row in zip(groups_shown, strata, strict=True):
                members = [(groups == group).any(axis=0) for *_, groups in photos]
                shares = [member.mean() for member in members]
                photos_inside = [inside(*photo[:2]) for photo in photos]
                covered = [
                    (is_inside.mean(axis=-1) if mode == "per_channel" else is_inside.all(axis=-1))
                    for is_inside in photos_inside
                ]
                expected = sum((c * m).mean() for c, m in zip(covered, members, strict=True)) / sum(shares)
                assert row["coverage"] == pytest.approx(expected, abs=1e-4)
                assert row["low"] <= row["coverage"] <= row["high"] and row["grouped_coverage"] >= row["coverage"]
                assert row["share"] == pytest.approx(np.mean(shares), abs=1e-5) and row["photos"] == np.count_nonzero(
                    shares
                )
                assert row["group"] in PARTITIONS[row["partition"]]

    def test_sources_have_the_figures_of_their_photos(self, calibration, photos):
        sources = ["shelf", "street", "street"] * 4
        tests = [measured(photo, source=source) for photo, source in zip(photos, sources, strict=True)]
        rows = certify(calibration, tests, ALPHA, seed=0)["sources"]
        assert [(row["mode"], row["source"], row["photos"]) for row in rows] == [
            (mode, source, count) for mode in MODES for source, count in (("shelf", 4), ("street", 8))
        ]
        for row in rows:
            members = [test.ungrouped[row["mode"], ALPHA] for test in tests if test.source == row["source"]]
            covered = np.array([bands.coverage for bands in members])
            assert row["coverage"] == pytest.approx(covered.mean(), abs=1e-4)
            assert row["exact_low"] <= row["coverage"] <= row["exact_high"]
            assert row["width"] == pytest.approx(np.mean([bands.widths.mean() for bands in members]), abs=0.01)
            assert row["p_value"] == pytest.approx(broken_p(1 - covered, ALPHA), rel=1e-3)
            assert row["p_holm"] >= row["p_value"]

    def test_photos_of_one_source_have_one_row_for_each_mode_with_the_figures_of_all(self, certificate):
        for row, of_all in zip(certificate["sources"], certificate["curve"][::2], strict=True):
            assert (row["source"], row["photos"], row["mode"]) == ("noise", 12, of_all["mode"])
            for key in ("coverage", "exact_low", "exact_high", "width", "p_value"):
                assert row[key] == of_all[key]
            assert row["p_holm"] == row["p_value"]

    def test_the_worst_photos_come_first(self, photos, certificate):
        coverages = {f"photo {row}": inside(*photo[:2]).mean() for row, photo in enumerate(photos)}
        worst_photos = certificate["worst_photos"]
        assert [row["coverage"] for row in worst_photos] == pytest.approx(sorted(coverages.values())[:10], abs=1e-4)
        assert worst_photos[0]["coverage"] == pytest.approx(coverages[worst_photos[0]["id"]], abs=1e-4)
        assert worst_photos[0]["title"] == worst_photos[0]["id"].title()

    def test_photos_unlike_the_calibration_photos_are_counted(self, calibration, photos):
        """The calibration photos have scores 0, 1, ... 29: above them p is 1/31, at 29 it is 2/31."""
        scores = [30.0] * 3 + [29.0] * 9
        tests = [measured(photo, atypicality=score) for photo, score in zip(photos, scores, strict=True)]
        assert certify(calibration, tests, ALPHA, seed=0)["likeness"] == {"below": 0.05, "share": 0.25}

    def test_widths_are_averaged_over_photos(self, photos, certificate):
        distribution = certificate["width_distribution"]
        assert len(distribution["edges"]) == 33
        for channel, name in enumerate(("R", "G", "B")):
            expected = np.mean([count_widths(bands)[channel] for bands, *_ in photos], axis=0)
            assert distribution[name] == pytest.approx(expected, abs=1e-5)

    def test_the_certificate_depends_on_its_seed(self, calibration, photos, certificate):
        tests = [measured(photo, f"photo {row}") for row, photo in enumerate(photos)]
        assert certify(calibration, tests, ALPHA, seed=0) == certificate != certify(calibration, tests, ALPHA, seed=1)

    def test_a_certificate_can_be_stored_with_its_calibration(self, calibration, certificate, tmp_path):
        write_calibration(tmp_path, replace(calibration, certificate=certificate))
        assert read_calibration(tmp_path).certificate == certificate

    def test_the_exact_interval_of_a_single_photo_is_almost_the_whole_range(self, calibration, photos):
        row = certify(calibration, [measured(photos[2])], ALPHA, seed=0)["curve"][0]
        assert row["coverage_low"] == row["coverage"] == row["coverage_high"]
        assert row["exact_high"] - row["exact_low"] > 0.9

    def test_without_photos_there_is_no_certificate(self, calibration):
        with pytest.raises(ValueError, match="at least one test photo, got none"):
            certify(calibration, [], ALPHA, seed=0)
