"""The fit of the colour distribution: it learns what colours are likely, the same way each time, and keeps the best."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from huebands import color
from huebands.density.fit import Epoch, FitError, fit, history_table, negative_log_likelihood, prepare
from huebands.density.network import DensityNetwork
from huebands.density.params import DensityParams
from huebands.models.feature_store import FeatureStore

PARAMS = DensityParams(
    encoder="efficientnet-lite0",
    filters=2,
    dropout=0.1,
    bins=8,
    image_size=32,
    epochs=20,
    batch_size=2,
    views=2,
    averaged_views=1,
    feature_gib=1.0,
    seed=3,
)


def tinted(seed, red, blue):
    """A photo of grey noise with some red and blue added: uint8 (3, 40, 24)."""
    grey = np.random.default_rng(seed).integers(60, 160, (40, 24))
    return torch.from_numpy(np.stack([grey + red, grey, grey + blue]).astype(np.uint8))


def new_network(seed=0):
    torch.manual_seed(seed)
    return DensityNetwork(**PARAMS.network()).eval()


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return FeatureStore(PARAMS.feature_gib, tmp_path_factory.mktemp("features"))


def prepared(store, seeds, views, red=60, blue=-30):
    """Tinted photos in their views, with the features of a new network."""
    photos = [tinted(seed, red, blue) for seed in seeds]
    return prepare(new_network(), photos, PARAMS.image_size, views, store, {"seeds": list(seeds), "tint": [red, blue]})


@pytest.fixture(scope="module")
def photos(store):
    """Reddish photos to train on and to validate with."""
    return prepared(store, range(6), 2), prepared(store, (10, 11), 1)


def fitted(photos, params=PARAMS):
    """A network fitted from the same start: itself and its history."""
    network, epochs = new_network(), []
    history = fit(network, *photos, params, epochs.append)
    assert epochs == history
    return network, history


@pytest.fixture(scope="module")
def once(photos):
    return fitted(photos)


def likelihood(network, photos, params=PARAMS):
    """Mean negative log-likelihood as an epoch's end measures it; the photos fit into a batch."""
    with torch.inference_mode():
        rows = torch.arange(len(photos))
        return negative_log_likelihood(network, *photos.batch(rows), torch.Generator().manual_seed(params.seed)).item()


def test_photos_are_shown_to_the_encoder_as_they_are_and_mirrored(photos):
    train, val = photos
    assert len(train) == 12 and len(val) == 2
    features, rgb_B3SS = train.batch(torch.tensor([0, 6]))
    assert rgb_B3SS.shape == (2, 3, 32, 32) and torch.equal(rgb_B3SS[1], rgb_B3SS[0].flip(2))
    L_B1SS = color.lightness_of_grey(color.grey_levels(rgb_B3SS))[:, None]
    with torch.inference_mode():
        expected = new_network().encoder(L_B1SS / 50 - 1)
    for part, expected_part in zip(features, expected, strict=True):
        assert part.dtype == torch.float32
        torch.testing.assert_close(part, expected_part, rtol=1e-2, atol=1e-2)


def test_rows_of_a_batch_keep_their_order(photos):
    train, rows = photos[0], torch.tensor([7, 2, 11, 0])
    features, rgb_B3SS = train.batch(rows)
    for place, row in enumerate(rows):
        features_of_row, rgb_13SS = train.batch(row[None])
        assert torch.equal(rgb_B3SS[place], rgb_13SS[0])
        for part, part_of_row in zip(features, features_of_row, strict=True):
            assert torch.equal(part[place], part_of_row[0])


def test_of_even_histograms_each_value_costs_the_logarithm_of_the_bins(photos):
    network = new_network()
    torch.nn.init.zeros_(network.histograms[-1].weight)
    # In float32: bfloat16, which many processors only imitate, would know the logarithm to 3 digits.
    assert likelihood(network, photos[1]) == pytest.approx(math.log(8**2), rel=1e-6)


def test_fitting_makes_the_true_colours_likelier(photos, once):
    network, history = once
    assert [epoch.epoch for epoch in history] == list(range(1, 21))
    assert history[-1].train < 0.9 * history[0].train
    assert likelihood(network, photos[1]) < 0.9 * likelihood(new_network(), photos[1])


def test_the_weights_of_the_best_epoch_are_kept(photos, once):
    network, history = once
    assert not network.training
    assert likelihood(network, photos[1]) == min(epoch.val for epoch in history)


def test_the_last_epoch_is_not_kept_when_an_earlier_one_is_better(photos, store):
    # Photos of other colours than those of the training grow less likely.
    bluish = prepared(store, (10, 11), 1, red=-50, blue=60)
    network, history = fitted((photos[0], bluish))
    best = min(epoch.val for epoch in history)
    assert history[-1].val > best + 0.01
    assert likelihood(network, bluish) == best


def test_the_encoder_stays_as_it_was(once):
    before, after = new_network().encoder.state_dict(), once[0].encoder.state_dict()
    for name, tensor in before.items():
        assert torch.equal(after[name], tensor), name


def test_a_fit_follows_its_seed(photos):
    brief, runs = replace(PARAMS, epochs=2), []
    for params, elsewhere in ((brief, 1), (brief, 2), (replace(brief, seed=4), 1)):
        network = new_network()
        network.dropout = 0.0  # which torch draws from its own generator, seeded by the stage
        for module in network.decoder.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        torch.manual_seed(elsewhere)
        runs.append((fit(network, *photos, params, lambda epoch: None), network.state_dict()))
    (history, state), (history_again, state_again), (other_history, _) = runs
    assert history == history_again != other_history
    for name, tensor in state.items():
        assert torch.equal(state_again[name], tensor), name


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 15])
def test_a_fit_may_take_however_few_steps(photos, steps):
    _, history = fitted(photos, replace(PARAMS, batch_size=12, epochs=steps))
    assert len(history) == steps


class Broken:
    """Features of which the coarsest are not finite."""

    def __init__(self, features):
        self.features = features

    def __len__(self):
        return len(self.features)

    def __getitem__(self, rows):
        *finer, coarsest = self.features[rows]
        return [*finer, coarsest * torch.nan]


@pytest.mark.parametrize(("which", "message"), [(0, "epoch 1: the likelihood is not"), (1, "validation photos is not")])
def test_a_likelihood_that_is_not_finite_ends_the_fit(photos, which, message):
    broken = list(photos)
    broken[which] = replace(broken[which], features=Broken(broken[which].features))
    with pytest.raises(FitError, match=message):
        fit(new_network(), *broken, PARAMS, lambda epoch: None)


def test_the_history_is_a_row_an_epoch():
    history = [Epoch(1, 3.46789, 3.4), Epoch(2, 3.1, 3.21234)]
    assert history_table(history) == "epoch,train,val\n1,3.4679,3.4\n2,3.1,3.2123\n"
