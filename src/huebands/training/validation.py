"""How far the generator is from the truth on the validation split, and the pictures that show it."""

import numpy as np
import torch
from torch import Tensor, nn

from huebands.color import fit_to_gamut, from_units, lab_to_srgb, to_bytes, to_units
from huebands.training.data import Photos

PICTURES = 8


@torch.no_grad()
def validate(generator: nn.Module, photos: Photos) -> dict[str, float]:
    """Measure ab MAE, mean Delta E 1976 (here the Euclidean distance in ab) and mean chroma, in CIELAB units."""
    ab_unit, truth = _predict(generator, photos.lab_N3HW)[:, 1:], photos.lab_N3HW[:, 1:]
    error = ab_unit - truth
    return {
        "val_ab_mae": error.abs().mean().item(),
        "val_delta_e76": error.norm(dim=1).mean().item(),
        "val_chroma": ab_unit.norm(dim=1).mean().item(),
        "val_chroma_truth": truth.norm(dim=1).mean().item(),
    }


@torch.no_grad()
def sample_grid(generator: nn.Module, photos: Photos) -> np.ndarray:
    """Show the first photos as columns of grey, colorized and truth; uint8 (3 S, B S, 3)."""
    truth = photos.lab_N3HW[:PICTURES]
    grey = torch.cat((truth[:, :1], torch.zeros_like(truth[:, 1:])), dim=1)
    rows = [to_bytes(lab_to_srgb(lab)) for lab in (grey, fit_to_gamut(_predict(generator, truth)), truth)]
    grid: np.ndarray = torch.cat([torch.cat(tuple(row), dim=2) for row in rows], dim=1).permute(1, 2, 0).numpy()
    return grid


def _predict(generator: nn.Module, lab_N3HW: Tensor) -> Tensor:
    L_unit, _ = to_units(lab_N3HW)
    training = generator.training
    ab_unit = generator.eval()(L_unit)
    generator.train(training)
    return from_units(L_unit, ab_unit)
