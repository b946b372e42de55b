"""The colour distribution: its network, its estimate for a photo, and its two files."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch

from huebands import color
from huebands.density.atypicality import statistics_of
from huebands.density.intervals import KNOTS
from huebands.density.model import DensityError, grey_of_lightness, read_density, write_density
from huebands.density.network import ChannelDensityNetwork, DensityNetwork
from huebands.models.parameters import ParamsError
from huebands.models.views import average_over_views
from huebands.models.weights import read_weights, write_weights
from huebands.photos.grey import GreyPhoto
from tiny_package import write_tiny_density

NETWORK = {"encoder": "efficientnet-lite0", "filters": 2, "dropout": 0.5, "bins": 5}
WEIGHTS, DESCRIPTION = "distribution.safetensors", "distribution.json"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return DensityNetwork(**NETWORK).eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A distribution's folder, to be read or copied, never changed."""
    folder = tmp_path_factory.mktemp("distribution")
    write_tiny_density(folder)
    return folder


@pytest.fixture
def folder(written, tmp_path):
    return shutil.copytree(written, tmp_path / "copy")


class TestNetwork:
    @pytest.mark.parametrize("size", [(32, 32), (64, 32)])
    def test_each_pixel_of_a_quarter_of_the_size_gets_a_joint_histogram(self, network, size):
        with torch.inference_mode():
            log_probabilities = network(torch.rand(2, 1, *size) * 2 - 1)
        assert log_probabilities.shape == (2, 25, size[0] // 4, size[1] // 4)
        torch.testing.assert_close(log_probabilities.exp().sum(dim=1), torch.ones(2, size[0] // 4, size[1] // 4))

    def test_a_network_of_format_1_gives_each_channel_a_histogram_at_half_the_size(self):
        with torch.inference_mode():
            log_probabilities = ChannelDensityNetwork(**NETWORK).eval()(torch.rand(2, 1, 64, 32) * 2 - 1)
        assert log_probabilities.shape == (2, 3, 5, 32, 16)
        torch.testing.assert_close(log_probabilities.exp().sum(dim=2), torch.ones(2, 3, 32, 16))

    def test_the_encoder_learns_nothing_and_stays_in_evaluation(self, network):
        try:
            assert network.train().decoder.training and not network.encoder.training
            assert not any(module.training for module in network.encoder.modules())
            learned = {name.partition(".")[0] for name, weight in network.named_parameters() if weight.requires_grad}
            assert learned == {"decoder", "histograms"}
        finally:
            network.eval()

    def test_dropout_is_for_fitting_alone(self, network):
        features = [part.detach() for part in network.encoder(torch.rand(1, 1, 32, 32))]
        with torch.no_grad():
            assert torch.equal(network.decode(features), network.decode(features))
            try:
                network.train()
                assert not torch.equal(network.decode(features), network.decode(features))
            finally:
                network.eval()

    def test_an_unknown_encoder_is_refused(self):
        with pytest.raises(ValueError, match=r"encoder \(='lenet'\) must be one of efficientnet-lite0"):
            DensityNetwork(**NETWORK | {"encoder": "lenet"})


class TestEstimate:
    def test_grey_levels_and_their_lightness_are_one(self):
        greys = torch.arange(256).to(torch.uint8)
        lightness = color.lightness_of_grey(greys)
        assert torch.equal(grey_of_lightness(lightness), greys)
        assert torch.equal(grey_of_lightness(lightness[1:] - 1e-3), greys[1:]), "the nearest level"

    @pytest.mark.parametrize(
        ("size", "seen"), [((1, 1), (32, 32)), ((1, 70), (32, 256)), ((20, 33), (32, 32)), ((95, 40), (80, 32))]
    )
    def test_a_photo_of_any_size_is_seen_at_the_networks_size(self, written, size, seen):
        model = read_density(written)
        estimate = model.estimate(GreyPhoto(np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)))
        quarter = (seen[0] // 4, seen[1] // 4)
        assert estimate.probabilities_QSS.shape == (64, *quarter) and estimate.ab((3, 200)).shape == (2, 64, 2)
        assert estimate.log_probabilities_3BSS.shape == (3, 8, *quarter) and estimate.grey_SS.shape == quarter
        assert estimate.grey_SS.dtype == torch.uint8 and estimate.L_SS.shape == seen and estimate.size == quarter
        assert torch.allclose(estimate.probabilities_QSS.sum(dim=0), torch.ones(1), atol=1e-5)
        assert torch.allclose(estimate.log_probabilities_3BSS.exp().sum(dim=1), torch.ones(1), atol=1e-5)
        assert estimate.atypicality >= 0 and np.isfinite(estimate.entropy)
        for ends in estimate.intervals(0.5).knots(0, KNOTS + 1, 0):
            assert ends.shape == (KNOTS + 1, *quarter)

    def test_what_is_seen_is_what_network_and_reference_say(self, written):
        model = read_density(written)
        grey = np.full((32, 32), 100, np.uint8)
        grey[:16] = 30
        estimate = model.estimate(GreyPhoto(grey))
        L_11SS = color.lightness_of_grey(torch.from_numpy(grey))[None, None]
        with torch.inference_mode():
            expected = model.network(L_11SS / 50 - 1)[0]
            features = model.network.encoder(L_11SS / 50 - 1)
        torch.testing.assert_close(estimate.probabilities_QSS, expected.exp(), rtol=0, atol=1e-5)
        assert estimate.atypicality == pytest.approx(model.reference.atypicality(statistics_of(features)), rel=1e-5)
        assert set(estimate.grey_SS[[0, -1]].unique().tolist()) == {30, 100}

    def test_views_are_averaged_as_probabilities_where_the_description_says_so(self, written):
        plain = read_density(written)
        torch.nn.init.normal_(plain.network.histograms[-1].weight, std=1e5)  # else all colours are equally likely
        model = replace(plain, description=replace(plain.description, averaged_views=4))
        grey = np.random.default_rng(0).integers(0, 256, (32, 32), dtype=np.uint8)
        seen = []

        def run(L_unit_11SS):
            seen.append(statistics_of(plain.network.encoder(L_unit_11SS)))
            return plain.network(L_unit_11SS).exp()

        with torch.inference_mode():
            L_11SS = color.lightness_of_grey(torch.from_numpy(grey))[None, None]
            expected = average_over_views(run, L_11SS / 50 - 1, 4)[0]
        estimate = model.estimate(GreyPhoto(grey))
        torch.testing.assert_close(estimate.probabilities_QSS, expected, rtol=0, atol=1e-3)
        assert (estimate.probabilities_QSS - plain.estimate(GreyPhoto(grey)).probabilities_QSS).abs().max() > 0.05
        mean = torch.stack(seen).mean(dim=0)
        assert estimate.atypicality == pytest.approx(model.reference.atypicality(mean), rel=1e-4)


class TestFiles:
    def test_a_distribution_survives_the_round_trip_with_kernels_in_half_precision(self, written, tmp_path):
        model = read_density(written)
        assert model.image_size == 32 and model.description.lineage.params == {"epochs": 1}
        assert not model.network.training and not any(weight.requires_grad for weight in model.network.parameters())
        description = asdict(model.description)
        write_density(tmp_path / "again", model.network, model.reference, description)
        for name in (WEIGHTS, DESCRIPTION):
            assert (tmp_path / "again" / name).read_bytes() == (written / name).read_bytes()
        stored = read_weights(written / WEIGHTS)
        assert stored["network.histograms.2.weight"].dtype == torch.float16
        assert stored["network.histograms.2.bias"].dtype == torch.float32

    def test_the_hash_is_that_of_both_files(self, folder):
        before = read_density(folder).sha256
        contents = [(folder / name).read_bytes() for name in (WEIGHTS, DESCRIPTION)]
        hashes = "".join(hashlib.sha256(content).hexdigest() for content in contents)
        assert before == hashlib.sha256(hashes.encode()).hexdigest()
        (folder / DESCRIPTION).write_bytes(contents[1] + b"\n")
        assert read_density(folder).sha256 != before

    @pytest.mark.parametrize("name", [WEIGHTS, DESCRIPTION])
    def test_a_missing_file_is_named(self, folder, name):
        (folder / name).unlink()
        with pytest.raises(DensityError, match=rf"{name}: missing; `dvc repro` makes it"):
            read_density(folder)

    @pytest.mark.parametrize("text", ["", "{", "[" * 100_000], ids=["empty", "cut", "deep"])
    def test_a_description_that_is_no_json_is_refused(self, folder, text):
        (folder / DESCRIPTION).write_text(text)
        with pytest.raises(DensityError, match=r"distribution\.json: not JSON \(.*\); fit it again"):
            read_density(folder)

    @pytest.mark.parametrize(
        ("key", "value", "must"),
        [
            ("", [], "the content (=[]) must be a mapping"),
            ("extra", 1, "extra (=1) must be left out: known keys are format, network, image_size, lineage"),
            ("format", 3, "format (=3) must be 1 or 2"),
            ("network", None, "network (=None) must be a mapping"),
            (
                "network.norm",
                "batch",
                "network.norm (='batch') must be left out: known keys are encoder, filters, dropout, bins",
            ),
            (
                "network.encoder",
                "lenet",
                "network.encoder (='lenet') must be one of 'efficientnet-lite0', 'efficientnet-lite1', ",
            ),
            ("network.encoder", ["vgg16"], "network.encoder (=['vgg16']) must be one of"),
            ("network.filters", 0, "network.filters (=0) must be an integer in [1, 1024]"),
            ("network.filters", 1025, "network.filters (=1025) must be an integer in [1, 1024]"),
            ("network.filters", True, "network.filters (=True) must be of type int"),
            ("network.bins", 1, "network.bins (=1) must be an integer in [2, 1024]"),
            ("network.bins", 8.0, "network.bins (=8.0) must be of type int"),
            ("network.dropout", 1, "network.dropout (=1.0) must be in [0, 1)"),
            ("network.dropout", -0.1, "network.dropout (=-0.1) must be in [0, 1)"),
            ("network.dropout", float("nan"), "network.dropout (=nan) must be finite"),
            ("network.dropout", "0", "network.dropout (='0') must be of type float"),
            ("image_size", 16, "image_size (=16) must be an integer in [32, 4096]"),
            ("image_size", 8192, "image_size (=8192) must be an integer in [32, 4096]"),
            ("image_size", 48, "image_size (=48) must be a multiple of 32"),
            ("averaged_views", 3, "averaged_views (=3) must be 1, 4 or 8"),
            ("lineage", {}, "lineage.git_commit is missing"),
            ("lineage.params", [], "lineage.params (=[]) must be a mapping"),
        ],
    )
    def test_a_value_that_is_not_allowed_is_named(self, folder, key, value, must):
        description = json.loads((folder / DESCRIPTION).read_text())
        *inner, last = key.split(".")
        (description[inner[0]] if inner else description)[last] = value
        (folder / DESCRIPTION).write_text(json.dumps(description if key else value))
        with pytest.raises(DensityError) as caught:
            read_density(folder)
        assert str(caught.value).startswith(f"{folder / DESCRIPTION}: {must}")
        assert str(caught.value).endswith("; fit it again")

    def test_what_could_not_be_read_is_not_written(self, written, tmp_path):
        model = read_density(written)
        description = asdict(model.description) | {"image_size": 48}
        with pytest.raises(ParamsError, match=r"image_size \(=48\) must be a multiple of 32"):
            write_density(tmp_path / "new", model.network, model.reference, description)
        assert not (tmp_path / "new").exists()

    def change(self, folder, **tensors):
        """Replace tensors by name, or leave them out; `__` stands for a dot."""
        state = read_weights(folder / WEIGHTS) | {name.replace("__", "."): tensor for name, tensor in tensors.items()}
        write_weights(folder / WEIGHTS, {name: tensor for name, tensor in state.items() if tensor is not None})

    @pytest.mark.parametrize(
        ("tensors", "reason"),
        [
            ({"network__histograms__2__bias": None}, "Missing key.*histograms.2.bias"),
            ({"network__histograms__2__bias": torch.zeros(3)}, "size mismatch for histograms.2.bias"),
            ({"network__other": torch.zeros(3)}, "Unexpected key.*other"),
            ({"reference__mean_F": None}, "reference.mean_F"),
            ({"reference__spread_F": None}, "reference.spread_F"),
        ],
    )
    def test_weights_of_another_network_are_refused(self, folder, tensors, reason):
        self.change(folder, **tensors)
        with pytest.raises(DensityError, match=rf"{WEIGHTS}: does not hold the weights of .*bins=8\): .*{reason}"):
            read_density(folder)

    def test_what_is_no_weights_file_is_refused(self, folder):
        (folder / WEIGHTS).write_bytes(b"no weights")
        with pytest.raises(DensityError, match=rf"{WEIGHTS}: does not hold the weights of"):
            read_density(folder)

    @pytest.mark.parametrize("name", ["network__histograms__2__bias", "reference__mean_F"])
    def test_weights_that_are_not_finite_are_refused(self, folder, name):
        tensor = read_weights(folder / WEIGHTS)[name.replace("__", ".")]
        tensor[0] = torch.nan
        self.change(folder, **{name: tensor})
        with pytest.raises(DensityError, match=r": (network|reference)\..* holds values that are not finite; fit"):
            read_density(folder)

    @pytest.mark.parametrize("tensors", [{"mean_F": torch.zeros(7)}, {"spread_F": torch.ones(4, 7)}])
    def test_a_reference_to_other_features_is_refused(self, folder, tensors):
        model = read_density(folder)
        reference = replace(model.reference, **tensors)
        description = asdict(model.description)
        write_density(folder, model.network, reference, description)
        with pytest.raises(DensityError, match=r": (mean_F|spread_F) has shape \(.*7.*\), not \(384,\); fit"):
            read_density(folder)
