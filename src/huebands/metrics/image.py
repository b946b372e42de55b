"""Metrics of one colorization against its truth. All take uint8 (H, W, 3) sRGB: truth, then result."""

import numpy as np
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import structural_similarity


def psnr(truth: np.ndarray, result: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all values; infinite for equal photos."""
    error = np.mean((truth.astype(float) - result) ** 2)
    return float(10 * np.log10(255**2 / error)) if error > 0 else float("inf")


def ssim(truth: np.ndarray, result: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004), windows of 7x7, mean of the channels; at most 1."""
    return float(structural_similarity(truth, result, data_range=255, channel_axis=-1))


def ciede2000(truth: np.ndarray, result: np.ndarray) -> float:
    """Mean CIEDE2000 colour difference; about 1 can just be seen, 0 is equal."""
    return float(np.mean(deltaE_ciede2000(rgb2lab(truth), rgb2lab(result))))


def ab_mae(truth: np.ndarray, result: np.ndarray) -> float:
    """Mean absolute error of a and b, in CIELAB units."""
    return float(np.mean(np.abs(rgb2lab(truth)[..., 1:] - rgb2lab(result)[..., 1:])))


def colourfulness(rgb: np.ndarray) -> float:
    """Colourfulness M3 of Hasler & Suesstrunk 2003: 0 for grey, about 30 moderate, above 80 extreme."""
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))
