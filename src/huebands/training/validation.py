"""How far the network is from the truth on the validation split, and the pictures that show it."""

import numpy as np
import torch
from torch import Tensor

from huebands.color import fit_to_gamut, from_units, lab_to_srgb, to_bytes, to_units
from huebands.models.interface import Condition, Network
from huebands.models.parts.losses import clipped_share
from huebands.training.augment import Photos

PICTURES = 8
_BATCH = 16


@torch.no_grad()
def validate(network: Network, photos: Photos) -> dict[str, float]:
    """Measure the network on whole photos.

    Args:
        network: in eval mode, on the photos' device.
        photos: of the network's size.

    Returns:
        Means over all pixels: ab MAE, Delta E 1976 (here the Euclidean distance in ab), chroma and true chroma, in
        CIELAB units; share of the pixels that sRGB cannot show.
    """
    sums: dict[str, Tensor] = {}
    for start in range(0, len(photos.ids), _BATCH):
        lab = photos.lab(slice(start, start + _BATCH))
        predicted = _predict(network, lab)
        error = predicted[:, 1:] - lab[:, 1:]
        figures = {
            "val_ab_mae": error.abs().mean(),
            "val_delta_e76": error.norm(dim=1).mean(),
            "val_chroma": predicted[:, 1:].norm(dim=1).mean(),
            "val_chroma_truth": lab[:, 1:].norm(dim=1).mean(),
            "val_clipped": clipped_share(lab_to_srgb(predicted)),
        }
        for name, figure in figures.items():
            sums[name] = sums.get(name, 0) + figure * len(lab)
    return {name: total.item() / len(photos.ids) for name, total in sums.items()}


@torch.no_grad()
def sample_grid(network: Network, photos: Photos) -> np.ndarray:
    """Show the first photos as columns of grey, colorized and truth; uint8 (3 S, B S, 3)."""
    truth = photos.lab(slice(0, PICTURES))
    grey = torch.cat((truth[:, :1], torch.zeros_like(truth[:, 1:])), dim=1)
    rows = [to_bytes(lab_to_srgb(lab)) for lab in (grey, fit_to_gamut(_predict(network, truth)), truth)]
    grid = torch.cat([torch.cat(tuple(row), dim=2) for row in rows], dim=1)
    picture: np.ndarray = grid.permute(1, 2, 0).cpu().numpy()
    return picture


def _predict(network: Network, lab_N3HW: Tensor) -> Tensor:
    L_unit, _ = to_units(lab_N3HW)
    random = torch.Generator(L_unit.device).manual_seed(0)
    return from_units(L_unit, network.colours(Condition(L_unit_B1SS=L_unit), random))
