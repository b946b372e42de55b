"""The plain reference: pix2pix's training loop as textbooks have it, for the objective `cgan`.

Photos are files, which Pillow decodes and scikit-image converts anew at every access. Everything is float32
and contiguous, VGG16 sees the true photo in every step, and the host reads every loss in every step.

Source: Isola et al., 2017, https://arxiv.org/abs/1611.07004, and the order of its authors' code: the discriminator
first, on the made-up photo and then the real one, and frozen while the generator learns.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from skimage.color import rgb2lab
from torch import Tensor, nn
from torch.utils.data import Dataset

from huebands.color import lab_to_srgb
from huebands.models.objectives import cgan
from huebands.training.params import TrainParams

TERMS = ("generator", "discriminator", "adversarial", "huber", "perceptual", "chroma")


class PhotoFiles(Dataset[Tensor]):
    """Image files as Lab (3, S, S), float32: scaled, cropped at random, and mirrored at random."""

    def __init__(self, files: Sequence[Path], image_size: int, params: TrainParams) -> None:
        """Name the files.

        Args:
            files: files that Pillow can read.
            image_size: side of the crops, pixels.
            params: `jitter` and `flip`.
        """
        self.files, self.size, self.flip = files, image_size, params.flip
        self.load_size = params.load_size(image_size)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        with Image.open(self.files[index]) as image:
            photo = np.asarray(image.convert("RGB").resize((self.load_size, self.load_size), Image.Resampling.BICUBIC))
        top, left = torch.randint(self.load_size - self.size + 1, (2,)).tolist()
        photo = photo[top : top + self.size, left : left + self.size]
        if self.flip and torch.rand(()) < 0.5:
            photo = photo[:, ::-1]
        return torch.from_numpy(rgb2lab(photo).transpose(2, 0, 1).astype(np.float32))


class PlainPix2Pix:
    """Both networks, their optimisers, and the step that trains them."""

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        vgg: nn.Module,
        objective: cgan.Params,
        params: TrainParams,
    ) -> None:
        """Take networks over.

        Args:
            generator: maps L to ab.
            discriminator: maps L and ab to logits of patches.
            vgg: frozen; maps sRGB to features.
            objective: weights of the terms.
            params: the optimisation.
        """
        self.generator, self.discriminator, self.vgg = generator, discriminator, vgg
        self.objective, self.gradient_clip = objective, params.gradient_clip
        betas = (params.beta1, 0.999)
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), params.learning_rate, betas)
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), params.learning_rate, betas)

    def step(self, lab_B3HW: Tensor) -> dict[str, float]:
        """Update the discriminator, then the generator.

        Args:
            lab_B3HW: CIELAB, on the networks' device.

        Returns:
            `TERMS`, unweighted.
        """
        objective = self.objective
        L, ab_real = lab_B3HW[:, :1] / 50 - 1, (lab_B3HW[:, 1:] / 110).clamp(-1, 1)
        ab_fake = self.generator(L)

        self.discriminator_optimizer.zero_grad()
        on_fake = self._adversarial(self.discriminator(torch.cat((L, ab_fake.detach()), dim=1)), 0.0)
        on_real = self._adversarial(self.discriminator(torch.cat((L, ab_real), dim=1)), 1.0)
        discriminator_loss = 0.5 * (on_fake + on_real)
        discriminator_loss.backward()
        self._clip(self.discriminator)
        self.discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        adversarial = self._adversarial(self.discriminator(torch.cat((L, ab_fake), dim=1)), 1.0)
        error = (ab_fake - ab_real).abs()
        quadratic, linear = error**2 / 2, objective.huber_delta * (error - objective.huber_delta / 2)
        huber = torch.where(error <= objective.huber_delta, quadratic, linear).mean()
        features = zip(self.vgg(self._rgb(L, ab_fake)), self.vgg(self._rgb(L, ab_real)), strict=True)
        perceptual = torch.stack([(fake - real).abs().mean() for fake, real in features]).sum()
        chroma = torch.sqrt(ab_fake[:, 0] ** 2 + ab_fake[:, 1] ** 2 + objective.chroma_epsilon).mean()
        generator_loss = (
            objective.lambda_adversarial * adversarial
            + objective.lambda_huber * huber
            + objective.lambda_perceptual * perceptual
            - objective.lambda_chroma * chroma
        )
        generator_loss.backward()
        self._clip(self.generator)
        self.generator_optimizer.step()
        self.discriminator.requires_grad_(True)
        return {
            "generator": generator_loss.item(),
            "discriminator": discriminator_loss.item(),
            "adversarial": adversarial.item(),
            "huber": huber.item(),
            "perceptual": perceptual.item(),
            "chroma": chroma.item(),
        }

    def _clip(self, network: nn.Module) -> None:
        if self.gradient_clip > 0:
            nn.utils.clip_grad_norm_(network.parameters(), self.gradient_clip)

    @staticmethod
    def _adversarial(logits: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    @staticmethod
    def _rgb(L: Tensor, ab: Tensor) -> Tensor:
        """What VGG16 sees: sRGB, clamped to what its ImageNet photos could be."""
        return lab_to_srgb(torch.cat(((L + 1) * 50, ab * 110), dim=1)).clamp(0, 1)
