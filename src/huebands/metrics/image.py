"""Metrics of one photo's colours. All take uint8 (H, W, 3) sRGB: truth, then result."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from huebands.color import grey_levels

_FARTHEST_AB = 150.0  # where Zhang et al. (2016) end their sweep of thresholds


def psnr(truth: np.ndarray, result: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all values; infinite for equal photos."""
    with np.errstate(divide="ignore"):  # the error of equal photos is 0
        return float(peak_signal_noise_ratio(truth, result, data_range=255))


def ssim(truth: np.ndarray, result: np.ndarray) -> float:
    """Structural similarity (Wang et al. 2004), windows of 7x7, mean of the channels; at most 1."""
    return float(structural_similarity(truth, result, data_range=255, channel_axis=-1))


def ciede2000(truth: np.ndarray, result: np.ndarray) -> float:
    """Mean CIEDE2000 colour difference; about 1 can just be seen, 0 is equal."""
    return _ciede2000(rgb2lab(truth), rgb2lab(result))


def ab_mae(truth: np.ndarray, result: np.ndarray) -> float:
    """Mean absolute error of a and b, in CIELAB units."""
    return _ab_mae(rgb2lab(truth), rgb2lab(result))


def ab_auc(truth: np.ndarray, result: np.ndarray) -> float:
    """Area under the cumulative distribution of the error in ab, in [0, 1]; 1 is equal.

    The share of pixels whose colour lies within a distance of the true one, in the plane of a and b, averaged over
    distances from 0 to 150 CIELAB units (Zhang et al. 2016, https://arxiv.org/abs/1603.08511). Their sweep in steps of
    1 approximates it.
    """
    return _ab_auc(rgb2lab(truth), rgb2lab(result))


def colourfulness(rgb: np.ndarray) -> float:
    """Colourfulness M3 of Hasler & Suesstrunk 2003: 0 for grey, about 30 moderate, above 80 extreme."""
    red, green, blue = np.moveaxis(rgb.astype(float), -1, 0)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def clipped(rgb: np.ndarray) -> float:
    """Share of pixels whose colour was pushed to the edge of sRGB: a channel is 0 or 255, the grey level is neither.

    Black and white cannot be otherwise, and do not count.
    """
    grey = grey_levels(torch.tensor(rgb).movedim(-1, 0)).numpy()
    at_edge = ((rgb == 0) | (rgb == 255)).any(axis=-1)
    return float(np.mean(at_edge & (grey != 0) & (grey != 255)))


@dataclass(frozen=True)
class Photo:
    """A photo, converted to CIELAB once for all metrics."""

    rgb: np.ndarray

    @cached_property
    def lab(self) -> np.ndarray:
        """CIELAB, float (H, W, 3)."""
        return np.asarray(rgb2lab(self.rgb))


def own_figures(photo: Photo) -> dict[str, float]:
    """Measure what needs no truth: colourfulness and clipped."""
    return {"colourfulness": colourfulness(photo.rgb), "clipped": clipped(photo.rgb)}


def error_figures(truth: Photo, result: Photo) -> dict[str, float]:
    """Measure how far a result is from its truth: psnr, ssim, ciede2000, ab_mae, ab_auc and colourfulness_error."""
    figures = {"psnr": psnr(truth.rgb, result.rgb), "ssim": ssim(truth.rgb, result.rgb)}
    figures |= {name: error(truth.lab, result.lab) for name, error in _OF_LAB.items()}
    figures["colourfulness_error"] = abs(colourfulness(truth.rgb) - colourfulness(result.rgb))
    return figures


def _ciede2000(truth_lab: np.ndarray, result_lab: np.ndarray) -> float:
    return float(np.mean(deltaE_ciede2000(truth_lab, result_lab)))


def _ab_mae(truth_lab: np.ndarray, result_lab: np.ndarray) -> float:
    return float(np.mean(np.abs(truth_lab[..., 1:] - result_lab[..., 1:])))


def _ab_auc(truth_lab: np.ndarray, result_lab: np.ndarray) -> float:
    distance = np.linalg.norm(truth_lab[..., 1:] - result_lab[..., 1:], axis=-1)
    # A pixel at distance d is counted from the threshold d on: it adds the share of thresholds above d.
    return float(np.mean(np.maximum(0, 1 - distance / _FARTHEST_AB)))


_OF_LAB: Mapping[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "ciede2000": _ciede2000,
    "ab_mae": _ab_mae,
    "ab_auc": _ab_auc,
}
