"""The plain reference: pix2pix's training loop as textbooks have it, for the objective of `huebands.training`.

Photos are files, which Pillow decodes and scikit-image converts anew whenever they are looked at. Everything is float32
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
from huebands.params import TrainParams


class PhotoFiles(Dataset[Tensor]):
    """Image files as Lab (3, S, S), float32: scaled, cropped at random, and mirrored at random."""

    def __init__(self, files: Sequence[Path], params: TrainParams) -> None:
        """Name the files.

        Args:
            files: that Pillow can read.
            params: `image_size`, `jitter` and `flip`.
        """
        self.files, self.size, self.flip = files, params.image_size, params.flip
        self.load_size = params.load_size

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

    def __init__(self, generator: nn.Module, discriminator: nn.Module, vgg: nn.Module, params: TrainParams) -> None:
        """Take networks over.

        Args:
            generator: maps L to ab.
            discriminator: maps L and ab to logits of patches.
            vgg: frozen; maps sRGB to features.
            params: weights of the terms, and the optimisation.
        """
        self.generator, self.discriminator, self.vgg, self.params = generator, discriminator, vgg, params
        betas = (params.beta1, 0.999)
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), params.learning_rate, betas)
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), params.learning_rate, betas)

    def step(self, lab_B3HW: Tensor) -> dict[str, float]:
        """Update the discriminator, then the generator.

        Args:
            lab_B3HW: CIELAB, on the networks' device.

        Returns:
            The terms, unweighted, with the names of `huebands.training.step.TERMS`.
        """
        params, loss = self.params, self.params.loss
        L, ab_real = lab_B3HW[:, :1] / 50 - 1, (lab_B3HW[:, 1:] / 110).clamp(-1, 1)
        ab_fake = self.generator(L)

        self.discriminator_optimizer.zero_grad()
        on_fake = self._adversarial(self.discriminator(torch.cat((L, ab_fake.detach()), dim=1)), params.label_smoothing)
        on_real = self._adversarial(self.discriminator(torch.cat((L, ab_real), dim=1)), 1 - params.label_smoothing)
        discriminator_loss = 0.5 * (on_fake + on_real)
        discriminator_loss.backward()
        self._clip(self.discriminator)
        self.discriminator_optimizer.step()

        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        adversarial = self._adversarial(self.discriminator(torch.cat((L, ab_fake), dim=1)), 1.0)
        error = (ab_fake - ab_real).abs()
        quadratic, linear = error**2 / 2, loss.huber_delta * (error - loss.huber_delta / 2)
        huber = torch.where(error <= loss.huber_delta, quadratic, linear).mean()
        features = zip(self.vgg(self._rgb(L, ab_fake)), self.vgg(self._rgb(L, ab_real)), strict=True)
        perceptual = torch.stack([(fake - real).abs().mean() for fake, real in features]).sum()
        chroma = torch.sqrt(ab_fake[:, 0] ** 2 + ab_fake[:, 1] ** 2 + loss.chroma_epsilon).mean()
        generator_loss = (
            loss.lambda_adversarial * adversarial
            + loss.lambda_huber * huber
            + loss.lambda_perceptual * perceptual
            - loss.lambda_chroma * chroma
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
        if self.params.gradient_clip > 0:
            nn.utils.clip_grad_norm_(network.parameters(), self.params.gradient_clip)

    @staticmethod
    def _adversarial(logits: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))

    @staticmethod
    def _rgb(L: Tensor, ab: Tensor) -> Tensor:
        """What VGG16 sees: sRGB, clamped to what its ImageNet photos could be."""
        return lab_to_srgb(torch.cat(((L + 1) * 50, ab * 110), dim=1)).clamp(0, 1)
