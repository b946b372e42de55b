"""Simulated hints: as many as stated, of the colours that they cover."""

import pytest
import torch

from huebands.models.networks.hinted import pool_hints
from huebands.models.objectives.hinted import simulate_hints

SIDE = 112  # squares of up to 4 x 4


@pytest.fixture(scope="module")
def truth() -> torch.Tensor:
    """400 photos, each of one colour that no other has."""
    return torch.linspace(-0.5, 0.5, 800).view(400, 2, 1, 1).expand(-1, -1, SIDE, SIDE).contiguous()


def test_hints_have_the_colours_of_their_photo_and_are_zero_elsewhere(truth: torch.Tensor) -> None:
    hints = simulate_hints(truth, torch.Generator().manual_seed(0))
    painted = hints[:, 2:] == 1
    assert hints.shape == (400, 3, SIDE, SIDE) and ((hints[:, 2:] == 0) | painted).all()
    torch.testing.assert_close(hints[:, :2], truth * painted)


def test_a_hint_shows_the_mean_of_what_it_covers() -> None:
    noise = torch.randn(40, 2, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    hints = simulate_hints(noise, torch.Generator().manual_seed(0))
    painted = (hints[:, 2:] == 1).expand(-1, 2, -1, -1)
    # Squares have up to 16 places, whose mean strays less than one place does.
    assert hints[:, :2][painted].std() < 0.8 * noise[painted].std()


def test_an_eighth_of_the_photos_gets_none_and_squares_have_the_sizes_stated(truth: torch.Tensor) -> None:
    painted = simulate_hints(truth, torch.Generator().manual_seed(0))[:, 2].sum(dim=(1, 2))
    # Of 400 photos; the deviation of the share is 0.017, and this allows four.
    assert (painted == 0).float().mean().item() == pytest.approx(1 / 8, abs=0.066)
    # 7 hints on average, of (1 + 4 + 9 + 16) / 4 places, some of which overlap; the deviation of the mean is 3.
    assert 35 < painted.mean() < 7 * 7.5 + 12


def test_equal_seeds_give_equal_hints(truth: torch.Tensor) -> None:
    first, again, other = (simulate_hints(truth, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_coarse_map_has_the_mean_of_the_hints_on_each_place() -> None:
    hints = torch.zeros(1, 3, 8, 8)
    hints[0, :, 0, 0], hints[0, :, 1, 3], hints[0, :, 7, 7] = (
        torch.tensor([0.2, -0.4, 1.0]), torch.tensor([0.4, 0.0, 1.0]), torch.tensor([-0.1, 0.1, 1.0])
    )  # fmt: skip
    pooled = pool_hints(hints, 4)
    torch.testing.assert_close(pooled[0, :, 0, 0], torch.tensor([0.3, -0.2, 1.0]))
    torch.testing.assert_close(pooled[0, :, 1, 1], torch.tensor([-0.1, 0.1, 1.0]))
    assert not pooled[0, :, 0, 1].any() and not pooled[0, :, 1, 0].any()
