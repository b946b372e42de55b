"""How densities follow hints: by their formula, only where a place is like a hinted one, and always as densities."""

import math

import numpy as np
import pytest
import torch

from huebands.density.hinted import MOST, SPREADS, HintedPlaces, HintKernel, around, positions_of
from huebands.models.parameters import ParamsError

BINS, SIDE = 8, 6
KERNEL = HintKernel(
    closeness=1.5, reach=0.2, nearness=2.0, evenness=50.0, likeness=10.0, prior=0.1, shares=(0.5, 0.3, 0.2)
)


def densities(seed: int = 0) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.softmax(torch.randn(BINS * BINS, SIDE, SIDE, generator=random), dim=0)


def two_greys() -> torch.Tensor:
    """A dark half beside a light one."""
    grey_HW = torch.full((SIDE, SIDE), 60, dtype=torch.uint8)
    grey_HW[:, SIDE // 2 :] = 200
    return grey_HW


def hint_at(*places: tuple[int, int], ab_unit: tuple[float, float] = (0.3, 0.2)) -> torch.Tensor:
    hints_3HW = torch.zeros(3, SIDE, SIDE)
    for row, column in places:
        hints_3HW[:, row, column] = torch.tensor((*ab_unit, 1.0))
    return hints_3HW


def test_densities_with_hints_are_those_of_the_formula() -> None:
    likely, grey, hints = densities(), two_greys(), hint_at((1, 1), (4, 2))
    hints[:2, 4, 2] = torch.tensor((-0.2, 0.1))
    followed = KERNEL.follow(likely, HintedPlaces.of(likely, grey, hints, SIDE))
    L = (116 * np.cbrt(((grey.double().numpy() / 255 + 0.055) / 1.055) ** 2.4) - 16) / 100
    u_2N = positions_of(hints, grey)
    for row, column in ((0, 0), (3, 5), (4, 2)):
        weights, towards = [], []
        for hinted in ((1, 1), (4, 2)):
            squared = ((row - hinted[0]) ** 2 + (column - hinted[1]) ** 2) / SIDE**2
            bhattacharyya = (likely[:, row, column] * likely[:, *hinted]).sqrt().sum().item()
            lightness = (L[row, column] - L[hinted]) ** 2
            close = 1.5 * math.exp(-squared / 0.2**2)
            weights.append(math.exp(close - 2 * squared - 50 * lightness - 10 * (1 - bhattacharyya)))
            place = u_2N[:, hinted[0] * SIDE + hinted[1]]
            towards.append((torch.tensor(KERNEL.shares)[:, None] * around(place[None], BINS)[:, 0]).sum(dim=0))
        total = sum(weights)
        hint = sum(w / total * q for w, q in zip(weights, towards, strict=True)) + 1e-4 / BINS**2
        agreed = likely[:, row, column] * hint
        told = total / (total + 0.1)
        expected = (1 - told) * likely[:, row, column] + told * agreed / agreed.sum()
        torch.testing.assert_close(followed[:, row, column], expected, rtol=1e-4, atol=1e-7)


def test_each_place_keeps_a_density() -> None:
    likely = densities()
    followed = KERNEL.follow(likely, HintedPlaces.of(likely, two_greys(), hint_at((0, 0), (5, 5)), SIDE))
    assert (followed >= 0).all()
    torch.testing.assert_close(followed.sum(dim=0), torch.ones(SIDE, SIDE), rtol=0, atol=1e-5)


def test_what_is_around_a_hint_is_a_density_with_the_hint_in_its_middle() -> None:
    place = torch.tensor([[0.31, -0.56]])
    parts_P1Q = around(place, 40)
    torch.testing.assert_close(parts_P1Q.sum(dim=2), torch.ones(len(SPREADS), 1), rtol=0, atol=1e-5)
    centres = (torch.arange(40) + 0.5) / 40 * 2 - 1
    for part_NN, spread in zip(parts_P1Q[:, 0].unflatten(1, (40, 40)), SPREADS, strict=True):
        if spread < 0.2:  # the widest one is cut at the edges
            mean = torch.stack((part_NN.sum(1) @ centres, part_NN.sum(0) @ centres))
            torch.testing.assert_close(mean, place[0], rtol=0, atol=0.01)


def test_a_hint_changes_what_is_like_it_and_leaves_the_rest() -> None:
    # All places have one density, so lightness alone tells the halves apart.
    likely = densities()[:, :1, :1].expand(-1, SIDE, SIDE).contiguous()
    kernel = HintKernel(
        closeness=0.0, reach=1.0, nearness=0.0, evenness=1e4, likeness=10.0, prior=0.01, shares=(1.0, 0.0, 0.0)
    )
    hints = hint_at((2, 1))
    followed = kernel.follow(likely, HintedPlaces.of(likely, two_greys(), hints, SIDE))
    cell = around(positions_of(hints, two_greys()).T, BINS)
    hinted_cell = cell[0, 2 * SIDE + 1].argmax()
    dark, light = followed[:, :, : SIDE // 2], followed[:, :, SIDE // 2 :]
    assert (dark[hinted_cell] > 10 * likely[hinted_cell, 0, 0]).all()
    torch.testing.assert_close(light, likely[:, :, SIDE // 2 :], rtol=0, atol=1e-6)


def test_values_spread_by_the_same_weights_with_a_prior_of_nothing() -> None:
    likely, grey, hints = densities(), two_greys(), hint_at((1, 1), (4, 4))
    places = HintedPlaces.of(likely, grey, hints, SIDE)
    assert places.hinted_K.tolist() == [1 * SIDE + 1, 4 * SIDE + 4]
    spread = KERNEL.spread(torch.tensor([[10.0, -10.0], [1.0, 1.0]]), places).view(2, SIDE, SIDE)
    assert spread[0, 1, 1] > 0 > spread[0, 4, 4]
    # At a hint that has no like, its weight is exp(1.5): the prior of 0.1 leaves 10 / (1 + 0.1 / exp(1.5)).
    assert spread[0, 1, 1] == pytest.approx(10 / (1 + 0.1 / math.exp(1.5)), abs=0.2)
    assert ((spread[1] >= 0) & (spread[1] < 1)).all()


def test_so_many_hints_that_some_are_left_out_are_still_followed() -> None:
    side = 20
    likely = torch.full((BINS * BINS, side, side), 1 / BINS**2)
    grey, hints = torch.full((side, side), 128, dtype=torch.uint8), torch.zeros(3, side, side)
    hints[0], hints[2] = 0.3, 1.0
    places = HintedPlaces.of(likely, grey, hints, side)
    assert places.squared_NK.shape == (side * side, MOST) and side * side > MOST
    followed = KERNEL.follow(likely, places)
    entropy = -(followed * followed.clamp_min(1e-12).log()).sum(dim=0)
    assert (entropy < math.log(BINS**2) - 0.5).all(), "every place is told of its colour"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"nearness": -1.0}, r"nearness \(=-1\.0\) must be a number from 0 on"),
        ({"evenness": math.inf}, r"evenness \(=inf\) must be a number from 0 on"),
        ({"likeness": math.nan}, r"likeness \(=nan\) must be a number from 0 on"),
        ({"closeness": 31.0}, r"closeness \(=31\.0\) must be a number in \[0, 30\]"),
        ({"reach": 0.0}, r"reach \(=0\.0\) must be a number above 0"),
        ({"prior": 0.0}, r"prior \(=0\.0\) must be a number above 0"),
        ({"shares": (0.5, 0.5)}, r"shares \(=\(0\.5, 0\.5\)\) must be 3 numbers in \[0, 1\] that add up to 1"),
        ({"shares": (0.5, 0.5, 0.5)}, r"must be 3 numbers"),
        ({"shares": (1.5, -0.5, 0.0)}, r"must be 3 numbers"),
    ],
)
def test_a_kernel_checks_itself(changed: dict, problem: str) -> None:
    values = {
        "closeness": 1.0,
        "reach": 1.0,
        "nearness": 1.0,
        "evenness": 1.0,
        "likeness": 1.0,
        "prior": 1.0,
        "shares": (1.0, 0.0, 0.0),
    }
    with pytest.raises(ParamsError, match=problem):
        HintKernel(**(values | changed))
