"""The average of the generator: its recursion, and what it leaves alone."""

import pytest
import torch
from torch import Tensor, nn

from huebands.training.ema import ExponentialMovingAverage


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))


def draw(net: nn.Module, seed: int) -> None:
    """Put other weights and statistics in, and count one batch more."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in net.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(torch.randn(tensor.shape, generator=random))
            else:
                tensor.add_(1)


def copied(net: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


@pytest.mark.parametrize("decay", [0.25, 0.999])
def test_the_average_is_the_weighted_sum_of_all_it_has_seen(decay: float) -> None:
    net = network()
    average, seen = ExponentialMovingAverage(net, decay), [copied(net)]
    for step in range(1, 21):
        draw(net, step)
        average.update(net, step)
        seen.append(copied(net))
    # Unrolled: what was seen at step t has the share 1 - d_t, times the decays of all later steps.
    decays = [0.0, *(min(decay, (1 + step) / (10 + step)) for step in range(1, 21))]
    shares = [(1 - decays[step]) * torch.tensor(decays[step + 1 :]).double().prod().item() for step in range(21)]
    assert sum(shares) == pytest.approx(1)
    for name, tensor in average.state_dict().items():
        if tensor.is_floating_point():
            expected = sum(share * at[name].double() for share, at in zip(shares, seen, strict=True))
            torch.testing.assert_close(tensor, expected.float(), msg=lambda message, name=name: f"{name}: {message}")


def test_the_decay_warms_up_to_its_value() -> None:
    for step, decay in ((1, 2 / 11), (8, 0.5), (9, 0.5), (1000, 0.5)):
        net = nn.Linear(1, 1, bias=False)
        nn.init.zeros_(net.weight)
        average = ExponentialMovingAverage(net, 0.5)
        nn.init.ones_(net.weight)
        average.update(net, step)
        assert average.network.weight.item() == pytest.approx(1 - decay), step


def test_statistics_are_averaged_and_counters_copied() -> None:
    net = network()
    average = ExponentialMovingAverage(net, 0.9)
    before = copied(average.network)
    draw(net, 1)
    draw(net, 2)
    average.update(net, 1)
    state = average.state_dict()
    assert state["1.num_batches_tracked"] == 2
    for name in ("1.running_mean", "1.running_var"):
        assert not torch.equal(state[name], before[name]) and not torch.equal(state[name], net.state_dict()[name])


def test_the_network_itself_is_left_alone() -> None:
    net = network().train()
    average = ExponentialMovingAverage(net, 0.9)
    draw(net, 1)
    before = copied(net)
    average.update(net, 1)
    average.load_state_dict({name: torch.zeros_like(tensor) for name, tensor in before.items()})
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(module.training for module in net.modules())
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert not any(module.training for module in average.network.modules())
    assert not any(parameter.requires_grad for parameter in average.network.parameters())


def test_without_decay_it_is_the_network() -> None:
    net = network()
    average = ExponentialMovingAverage(net, 0.0)
    for step in range(1, 4):
        draw(net, step)
        average.update(net, step)
        assert all(torch.equal(tensor, net.state_dict()[name]) for name, tensor in average.state_dict().items())


def test_taken_up_again_it_goes_on_as_before() -> None:
    net = network()
    uninterrupted = ExponentialMovingAverage(net, 0.9)
    draw(net, 1)
    uninterrupted.update(net, 1)
    resumed = ExponentialMovingAverage(network(), 0.9)
    resumed.load_state_dict(copied(uninterrupted.network))
    draw(net, 2)
    for average in (uninterrupted, resumed):
        average.update(net, 2)
    assert all(torch.equal(tensor, uninterrupted.state_dict()[name]) for name, tensor in resumed.state_dict().items())
