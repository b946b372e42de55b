"""CIEDE2000 and the other figures of a batch of photos, on the device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from huebands.color import from_bytes, from_units, lab_to_srgb, srgb_to_lab


def figures(rgb_B3SS: Tensor, L_unit_B1SS: Tensor, ab_unit_B2ss: Tensor) -> dict[str, Tensor]:
    """Compare colours with the truth; one value a photo.

    Args:
        rgb_B3SS: the truth, uint8.
        L_unit_B1SS: its lightness.
        ab_unit_B2ss: colours at any size; upsampled bilinearly.
    """
    ab_unit = F.interpolate(ab_unit_B2ss, L_unit_B1SS.shape[-2:], mode="bilinear")
    rgb = (lab_to_srgb(from_units(L_unit_B1SS, ab_unit)).clamp(0, 1) * 255).round() / 255
    truth = from_bytes(rgb_B3SS)
    lab, lab_truth = srgb_to_lab(rgb), srgb_to_lab(truth)
    result_colourfulness, true_colourfulness = colourfulness(rgb), colourfulness(truth)
    return {
        "ciede2000": ciede2000(lab, lab_truth).mean(dim=(1, 2)),
        "psnr": -10 * torch.log10((rgb - truth).square().mean(dim=(1, 2, 3)).clamp_min(1e-10)),
        "ab_error": (lab - lab_truth)[:, 1:].norm(dim=1).mean(dim=(1, 2)),
        "colourfulness": result_colourfulness,
        "colourfulness_error": (result_colourfulness - true_colourfulness).abs(),
    }


def colourfulness(rgb_B3SS: Tensor) -> Tensor:
    """Colourfulness M3 of Hasler & Suesstrunk 2003, (B,); RGB in [0, 1]."""
    red, green, blue = (255 * rgb_B3SS).flatten(2).unbind(1)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = torch.hypot(red_green.std(dim=1, correction=0), yellow_blue.std(dim=1, correction=0))
    return spread + 0.3 * torch.hypot(red_green.mean(dim=1), yellow_blue.mean(dim=1))


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 of each pixel (..., 3, H, W) -> (..., H, W).

    Source: Sharma, Wu & Dalal, 2005, The CIEDE2000 color-difference formula.
    """
    L1, a1, b1 = lab1.unbind(-3)
    L2, a2, b2 = lab2.unbind(-3)
    mean_C7 = ((torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2) ** 7
    G = 0.5 * (1 - torch.sqrt(mean_C7 / (mean_C7 + 25.0**7)))
    a1, a2 = (1 + G) * a1, (1 + G) * a2
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = torch.atan2(b1, a1) % (2 * torch.pi), torch.atan2(b2, a2) % (2 * torch.pi)
    coloured = C1 * C2 > 0
    dh = torch.where(coloured, torch.remainder(h2 - h1 + torch.pi, 2 * torch.pi) - torch.pi, 0.0)
    dH = 2 * torch.sqrt(C1 * C2) * torch.sin(dh / 2)
    is_far = (h1 - h2).abs() > torch.pi
    h = torch.where(is_far & coloured, (h1 + h2 + 2 * torch.pi) / 2 % (2 * torch.pi), (h1 + h2) / 2)
    h = torch.where(coloured, h, h1 + h2)
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    degree = torch.pi / 180
    T = 1 - 0.17 * torch.cos(h - 30 * degree) + 0.24 * torch.cos(2 * h) + 0.32 * torch.cos(3 * h + 6 * degree)
    T = T - 0.20 * torch.cos(4 * h - 63 * degree)
    S_L = 1 + 0.015 * (L - 50) ** 2 / torch.sqrt(20 + (L - 50) ** 2)
    S_C, S_H = 1 + 0.045 * C, 1 + 0.015 * C * T
    turn = 60 * degree * torch.exp(-(((h / degree - 275) / 25) ** 2))
    R_T = -torch.sin(turn) * 2 * torch.sqrt(C**7 / (C**7 + 25.0**7))
    terms = ((L2 - L1) / S_L, (C2 - C1) / S_C, dH / S_H)
    squared = sum(term**2 for term in terms) + R_T * terms[1] * terms[2]
    return torch.sqrt(squared.clamp_min(0))
