"""The study of bands: its own way is that of a package, and its tables hold the right figures."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

import band_pixels
from band_pixels import Measured, Pixels, dropout_deviation, expected_distance, quantiles, sample_pixels
from band_scores import ALPHA, MAPIE, OURS, Symmetric, first_steps, make_scores, quantile_shares
from bands import measure, tabulate
from huebands.colorize.colorizer import Colorizer
from huebands.conformal.bands import STEPS
from huebands.conformal.calibration import Calibration
from huebands.conformal.coverage import measure_bands
from huebands.conformal.guarantee import MODES, Guarantee
from huebands.conformal.scores import photo_losses
from huebands.conformal.table import LossTable
from huebands.density import coordinate
from huebands.photos.grey import GreyPhoto
from tiny_package import write_tiny_package

CALIBRATING, TESTING, SIDE = 12, 3, 12
ROWS = np.arange(CALIBRATING)


@pytest.fixture(scope="module")
def colorizer(tmp_path_factory):
    return Colorizer(write_tiny_package(tmp_path_factory.mktemp("bands") / "package"), "tiny")


@pytest.fixture(scope="module")
def photos():
    """True colours of the photos that calibrate and of those that are measured."""
    random = np.random.default_rng(5)
    grey = random.integers(40, 216, (CALIBRATING + TESTING, SIDE, SIDE, 1))
    return (grey + random.integers(-40, 41, (*grey.shape[:-1], 3))).astype(np.uint8)


@pytest.fixture(scope="module")
def pixels(colorizer, photos):
    """Every pixel of all photos."""
    return Pixels.join([sample_pixels(colorizer, photo, 1, (0.0, 0.5, 1.0), quantile_shares(), 0) for photo in photos])


@pytest.fixture(scope="module")
def shape(colorizer):
    """With offsets large enough to matter."""
    return replace(colorizer.calibration.shape, joint_offsets=(12, 0, 36))


@pytest.fixture(scope="module")
def scores(pixels, shape):
    return make_scores(pixels, pixels, shape, dropout=False)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [OURS, "8 ours, each group"])
def test_our_bands_in_the_study_are_those_of_a_package(colorizer, photos, shape, scores, name, mode):
    shaped = [colorizer.predict(GreyPhoto.of_rgb(photo), shape).bands for photo in photos]
    table = LossTable.empty(CALIBRATING)
    for row in ROWS:
        groups = shape.grouping.merge(shaped[row].groups)
        table.add(row, photo_losses(shaped[row].nested.first_steps(photos[row]), groups, shape.joint_offsets), 0.0)
    calibration = Calibration(shape, table, "", "", "", "", min_chroma=5.0, unlike_p_value=0.05)
    reached = scores[name](ROWS, mode)
    for row in range(CALIBRATING, CALIBRATING + TESTING):
        steps = calibration.steps(Guarantee(alpha=ALPHA, mode=mode))
        if name != OURS:
            steps = shaped[row].widest_steps(calibration.group_steps(Guarantee(alpha=ALPHA, mode=mode)))
        expected = measure_bands(shaped[row].at(steps, mode), photos[row], shaped[row].groups, mode)
        assert reached.widths[row] == pytest.approx(expected.widths)
        assert reached.covered[row].mean() == pytest.approx(expected.coverage)
        cells = reached.cells[row].mean(axis=-1) / SIDE**2
        assert cells == pytest.approx(expected.covered[: len(cells)])


def test_a_table_has_all_scores_and_is_relative_to_mapie(pixels, scores):
    study = {
        (name, mode): measure(scores[name], mode, pixels, CALIBRATING, [np.arange(15)])
        for name in scores
        for mode in MODES
    }
    rows = {row["score"]: row for row in tabulate("own split", study)}
    assert list(rows) == list(scores) and rows[MAPIE]["joint_relative"] == 0
    for name, row in rows.items():
        assert row["refused"] == "" or name.startswith("9"), row["refused"]
    assert rows["2 the same, cut to the gamut"]["joint_coverage"] == rows[MAPIE]["joint_coverage"]
    assert rows["7 ours, no luminance"]["joint_coverage"] == pytest.approx(rows[OURS]["joint_coverage"], abs=0.02)
    assert rows["7 ours, no luminance"]["joint_width"] >= rows[OURS]["joint_width"]


def test_a_mean_over_resplits_counts_each_photo_as_often_as_it_was_measured(pixels, scores):
    measured = Measured(pixels)
    reached = scores[OURS](ROWS, "per_channel")
    measured.add(reached, np.array([0, 1]))
    measured.add(reached, np.array([1, 2]))
    widths = reached.widths.mean(axis=1)
    assert measured.figures()["width"] == pytest.approx((widths[0] + 2 * widths[1] + widths[2]) / 4)
    assert measured.coverage == pytest.approx((reached.covered[[0, 1, 1, 2]]).mean())


def test_a_score_is_the_first_step_that_holds_the_true_value(pixels):
    nested = Symmetric(pixels, np.maximum(pixels.expected_HW3, 0.25), np.geomspace(0.1, 10, STEPS))
    bands = np.stack([nested.at(np.full(3, step)) for step in range(STEPS)])
    is_held = (bands[..., 0] <= pixels.true_HW3) & (pixels.true_HW3 <= bands[..., 1])
    assert is_held[-1].all()
    assert np.array_equal(first_steps(nested.at, pixels.true_HW3), is_held.argmax(axis=0))
    ours = pixels.nested["0.5"]
    assert np.array_equal(first_steps(ours.at, pixels.true_HW3), ours.first_steps(pixels.true_HW3))


def test_quantiles_and_expected_distance_are_those_of_draws():
    random = torch.Generator().manual_seed(0)
    log_probabilities = torch.randn(3, 8, 1, 1, generator=random).log_softmax(dim=1)
    grey = torch.full((1, 1), 90, dtype=torch.uint8)
    bins = torch.multinomial(log_probabilities[..., 0, 0].exp(), 200_000, replacement=True, generator=random)
    positions_3N = (bins + torch.rand(bins.shape, generator=random)) / 8 * 2 - 1
    shares = torch.tensor([0.05, 0.5, 0.9])
    assert torch.allclose(
        quantiles(log_probabilities, shares)[..., 0, 0], torch.quantile(positions_3N, shares, dim=1), atol=0.01
    )
    values_3N = coordinate.decode(positions_3N[:, None], grey.expand(1, 200_000))[:, 0]
    shown = torch.tensor([[[100, 80, 140]]], dtype=torch.uint8)
    drawn = (values_3N - shown[0, 0, :, None]).abs().mean(dim=1)
    # Here values are uniform within a bin, in the draws positions are. With eight bins the difference is small.
    assert torch.allclose(expected_distance(log_probabilities.exp(), shown, grey)[:, 0, 0], drawn, rtol=0.03)


@pytest.fixture(scope="module")
def dropping(colorizer):
    """The same colorizer with dropout in its generator."""
    generator = copy.deepcopy(colorizer.package.generator)
    for layer in generator.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.5
    return Colorizer(replace(colorizer.package, generator=generator), "with dropout")


def test_the_deviation_under_dropout_is_that_of_samples(dropping, photos):
    grey, generator = GreyPhoto.of_rgb(photos[0]), dropping.package.generator
    shown, state = dropping.colours.predict(grey), copy.deepcopy(generator.state_dict())
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    deviation = dropout_deviation(dropping, grey, seed=0)
    assert deviation.shape == (*grey.shape, 3) and (deviation > 0).mean() > 0.5
    assert np.array_equal(deviation, dropout_deviation(dropping, grey, seed=0))
    assert not np.array_equal(deviation, dropout_deviation(dropping, grey, seed=1))
    assert torch.equal(torch.rand(1), expected), "the random state of others stays"
    assert np.array_equal(dropping.colours.predict(grey), shown)
    assert all(torch.equal(tensor, state[name]) for name, tensor in generator.state_dict().items())


def test_only_dropout_layers_are_in_training_mode(dropping, photos):
    sampling = band_pixels.sampler(dropping)
    training = {type(layer).__name__ for layer in sampling.package.generator.modules() if layer.training}
    assert training == {"Dropout"}
    for layer in band_pixels.dropouts(sampling):
        layer.eval()
    eager, compiled = (model.colours.predict(GreyPhoto.of_rgb(photos[0])).astype(int) for model in (sampling, dropping))
    assert abs(eager - compiled).max() <= 1, "without dropout the colours are equal up to rounding"


def test_a_sample_is_of_one_look_at_the_photo(dropping):
    averaging = Colorizer(dropping.package, "with dropout")
    vars(averaging)["colours"] = replace(averaging.colours, views=8)
    assert band_pixels.sampler(averaging).colours.views == 1 and averaging.colours.views == 8


def test_samples_that_are_equal_are_an_error(dropping, photos, monkeypatch):
    monkeypatch.setattr(band_pixels, "sampler", lambda colorizer: colorizer)  # compiled, as evaluation traced it
    with pytest.raises(RuntimeError, match="with dropout: 8 samples with dropout are equal: it is not at work"):
        dropout_deviation(dropping, GreyPhoto.of_rgb(photos[0]), seed=0)


def test_without_dropout_the_deviation_is_zero(colorizer, photos):
    assert not dropout_deviation(colorizer, GreyPhoto.of_rgb(photos[0]), seed=0).any()
