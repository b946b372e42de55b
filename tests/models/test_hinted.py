"""The network `hinted`: its colours follow hints by regression, whatever it has learned."""

import pytest
import torch

from composition import composed
from huebands import params
from huebands.models.interface import Condition
from huebands.models.networks.hinted import STRIDE, Network
from huebands.models.registry import build_network

SIDE, COLOUR = 64, (0.4, -0.2)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    values = composed("model=hints", "experiment=small")
    network = build_network(params.from_mapping(values).model.network, SIDE).eval().requires_grad_(False)
    assert isinstance(network, Network)
    return network


def two_surfaces() -> torch.Tensor:
    L_unit = torch.full((1, 1, SIDE, SIDE), -0.6)
    L_unit[..., SIDE // 2 :] = 0.6
    return L_unit


def hint_at(row: int, column: int) -> torch.Tensor:
    hints = torch.zeros(1, 3, SIDE, SIDE)
    hints[0, :, row : row + STRIDE, column : column + STRIDE] = torch.tensor([*COLOUR, 1.0])[:, None, None]
    return hints


def colours(network: Network, hints: torch.Tensor | None) -> torch.Tensor:
    condition = Condition(L_unit_B1SS=two_surfaces(), hints_B3SS=hints)
    return network.colours(condition, torch.Generator())[0]


def test_a_hint_moves_its_surroundings_most_and_less_what_is_far(network: Network) -> None:
    plain, hinted = colours(network, None), colours(network, hint_at(32, 12))
    wanted = torch.tensor(COLOUR)[:, None, None]
    left = [(wanted - ab).norm(dim=0) for ab in (plain, hinted)]
    share = 1 - left[1] / left[0]
    assert share[33, 13] > 0.7, "the hinted place"
    assert share[33, 13] > share[33, 24] > share[33, 60]
    assert share.min() > -0.2, "nothing moves away from the hint"


def test_two_hints_pull_each_to_its_own_side(network: Network) -> None:
    second = hint_at(32, 52)
    second[:, :2] *= -1
    hinted = colours(network, hint_at(32, 12) + second)
    assert hinted[0, 33, 13] > 0.15 and hinted[0, 33, 53] < -0.15


def test_shares_add_up_to_less_than_one_and_to_none_without_hints(network: Network) -> None:
    for hints, most in ((hint_at(32, 12), 1.0), (torch.zeros(1, 3, SIDE, SIDE), 0.0)):
        _, _, hinted, shares = network(two_surfaces(), hints)
        assert shares.shape == (1, (SIDE // STRIDE) ** 2, hinted.shape[1])
        assert shares.min() >= 0 and shares.sum(dim=2).max() <= most


def test_samples_follow_the_hints_too(network: Network) -> None:
    condition = Condition(L_unit_B1SS=two_surfaces(), hints_B3SS=hint_at(32, 12))
    samples = network.samples(condition, 3, torch.Generator().manual_seed(0))[:, 0]
    assert (samples[:, :, 33, 13] - torch.tensor(COLOUR)).norm(dim=1).max() < 0.2
