"""A step of a conditional GAN's discriminator, and the term that its generator learns from it.

The losses are the binary cross-entropies of Goodfellow et al., 2014, https://arxiv.org/abs/1406.2661.
"""

from torch import Tensor, nn

from huebands.models.interface import Learners
from huebands.models.parts.losses import adversarial_loss


def discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Half the sum of the losses on real and made-up photos: the half slows D down, as in pix2pix."""
    losses = (
        adversarial_loss(discriminator(fake).float(), 0.0),
        adversarial_loss(discriminator(real).float(), 1.0),
    )
    return (losses[0] + losses[1]) / 2


def judge(learners: Learners, name: str, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
    """Update a discriminator, and give its figures and its generator's term, "adversarial".

    The discriminator's weights ask for no gradient afterwards, until `unfreeze`.

    Args:
        learners: of the training.
        name: of the discriminator among the helpers.
        real: true photos, as it takes them.
        fake: made-up photos, with their gradient.
    """
    discriminator = learners.helpers[name]
    with learners.autocast():
        loss = discriminator_loss(discriminator.parallel, real, fake.detach())
    gradient = discriminator.update(loss)
    discriminator.network.requires_grad_(False)
    with learners.autocast():
        adversarial = adversarial_loss(discriminator.network(fake).float(), 1.0)
    return {"discriminator": loss, "discriminator_gradient": gradient, "adversarial": adversarial}


def unfreeze(learners: Learners) -> None:
    """Let all helpers that learn do so again."""
    for helper in learners.helpers.values():
        helper.network.requires_grad_(True)
