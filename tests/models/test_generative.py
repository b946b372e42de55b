"""The parts of vae, diffusion and parallel that have a formula of their own."""

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from composition import composed
from huebands import params
from huebands.models.networks.diffusion import DEVIATION, STRIDE, schedule
from huebands.models.networks.diffusion import Network as Diffusion
from huebands.models.networks.parallel import saliency
from huebands.models.networks.vae import Mixture, log_normal
from huebands.models.registry import build_network

SIDE = 64


def mixture(photos: int = 3, components: int = 4, latent: int = 5) -> Mixture:
    random = torch.Generator().manual_seed(0)
    shape = (photos, components, latent)
    means, log_deviations = torch.randn(shape, generator=random), 0.5 * torch.randn(shape, generator=random)
    return Mixture(torch.randn(photos, components, generator=random), means, log_deviations)


def test_the_density_of_a_mixture_is_that_of_torch() -> None:
    prior, z = mixture(), torch.randn(3, 5, generator=torch.Generator().manual_seed(1))
    gaussians = Independent(Normal(prior.mean_BKZ, prior.log_deviation_BKZ.exp()), 1)
    reference = MixtureSameFamily(Categorical(logits=prior.logits_BK), gaussians)
    torch.testing.assert_close(prior.log_density(z), reference.log_prob(z))


def test_noise_of_zeros_gives_the_mean_of_the_likeliest_component() -> None:
    prior = mixture()
    drawn = prior.draw(torch.zeros(3, 4), torch.zeros(3, 5))
    likeliest = prior.logits_BK.argmax(dim=1)
    torch.testing.assert_close(drawn, prior.mean_BKZ[torch.arange(3), likeliest])


def test_draws_have_the_mixtures_mean_and_deviation() -> None:
    one, draws = mixture(photos=1), 20_000
    prior = Mixture(*(part.expand(draws, *part.shape[1:]) for part in one))
    random = torch.Generator().manual_seed(2)
    uniform = torch.rand(draws, 4, generator=random).clamp_min(1e-30)
    drawn = prior.draw(-(-uniform.log()).log(), torch.randn(draws, 5, generator=random))
    gaussians = Independent(Normal(one.mean_BKZ, one.log_deviation_BKZ.exp()), 1)
    reference = MixtureSameFamily(Categorical(logits=one.logits_BK), gaussians)
    # The mean of 20,000 draws strays by 0.7% of a deviation of about 1.5; five of these.
    torch.testing.assert_close(drawn.mean(dim=0), reference.mean[0], rtol=0, atol=0.055)
    torch.testing.assert_close(drawn.var(dim=0), reference.variance[0], rtol=0.06, atol=0)


def test_the_divergence_of_equal_gaussians_is_zero() -> None:
    mean, log_deviation = torch.zeros(2, 1, 5), torch.full((2, 1, 5), -0.3)
    prior, z = Mixture(torch.zeros(2, 1), mean, log_deviation), torch.randn(2, 5)
    posterior = log_normal(z, mean[:, 0], log_deviation[:, 0])
    torch.testing.assert_close(posterior - prior.log_density(z), torch.zeros(2), rtol=0, atol=1e-5)


class Exact(nn.Module):
    """The denoiser that knows the colours: v of any noisy colours that hold them."""

    def __init__(self, colours: Tensor) -> None:
        super().__init__()
        self.colours = colours

    def forward(self, x: Tensor, noisy: Tensor, time: Tensor) -> Tensor:
        alpha, sigma = schedule(float(time[0]))
        noise = (noisy - alpha * self.colours) / sigma
        return alpha * noise - sigma * self.colours


@pytest.mark.parametrize("steps", [1, 2, 10])
def test_with_an_exact_denoiser_ddim_ends_at_the_colours(steps: int) -> None:
    values = composed("model=diffusion", "experiment=small", f"model.network.steps={steps}")
    network = build_network(params.from_mapping(values).model.network, SIDE).eval()
    assert isinstance(network, Diffusion)
    colours = 0.5 * torch.randn(2, 2, SIDE // STRIDE, SIDE // STRIDE, generator=torch.Generator().manual_seed(0))
    network.denoiser = Exact(colours)  # type: ignore[assignment]
    noise = torch.randn(colours.shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        ab_unit = network.denoise(torch.zeros(2, 1, SIDE, SIDE), noise)
    torch.testing.assert_close(ab_unit, DEVIATION * colours, rtol=0, atol=1e-5)


def test_the_shares_of_colours_and_noise_are_those_of_a_unit_vector() -> None:
    for time in (0.0, 0.3, 1.0):
        alpha, sigma = schedule(time)
        assert alpha**2 + sigma**2 == pytest.approx(1)
    assert schedule(0.0) == (1.0, 0.0)


def test_what_differs_in_lightness_and_lies_in_the_middle_is_foreground() -> None:
    L_unit = torch.full((1, 1, SIDE, SIDE), -0.6)
    L_unit[..., 24:40, 24:40] = 0.7
    L_unit[..., :8, :8] = 0.7
    mask = saliency(L_unit)[0, 0]
    assert mask[28:36, 28:36].min() > 0.9 and mask[45:, 45:].max() < 0.5
    assert mask[28:36, 28:36].mean() > mask[:8, :8].mean(), "the middle counts more than a corner"
    torch.testing.assert_close(saliency(torch.zeros(1, 1, 8, 8)), torch.full((1, 1, 8, 8), 0.5))
