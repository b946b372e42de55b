"""The conditional colour density as a part of a model package: its files, and its estimate for a photo."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from huebands import color
from huebands.density.atypicality import Reference, statistics_of
from huebands.density.description import Description, encode_description, parse_description
from huebands.density.intervals import NestedIntervals, entropy_of
from huebands.density.network import DensityNetwork
from huebands.files import atomic
from huebands.models.compiled import CompiledNetwork
from huebands.models.parameters import ParamsError
from huebands.models.weights import WeightsError, encode_weights, parse_weights
from huebands.models.windows import blend, canvas_size, run_in_windows
from huebands.photos.grey import GreyPhoto, Size
from huebands.photos.resize import resize

WEIGHTS, DESCRIPTION = "distribution.safetensors", "distribution.json"  # names of the package's format


class DensityError(ValueError):
    """The files of a colour distribution lack something or hold something that is not allowed."""


@dataclass(frozen=True)
class PhotoDensity:
    """The estimated densities of one photo, on a grid that lies evenly over it.

    Attributes:
        log_probabilities_3BHW: histograms over positions at half the network's size.
        grey_HW: uint8, grey levels at that size.
        L_SS: lightness at the network's size; (H, W) where the photo is long, see `models.windows`.
        entropy: mean of the histograms' entropies, nats.
        atypicality: distance from the training photos.
    """

    log_probabilities_3BHW: Tensor
    grey_HW: Tensor
    L_SS: Tensor
    entropy: float
    atypicality: float

    def intervals(self, adaptivity: float) -> NestedIntervals:
        """The nested intervals, see `NestedIntervals.grow`."""
        return NestedIntervals.grow(self.log_probabilities_3BHW, self.grey_HW, adaptivity)


@dataclass(frozen=True)
class Density:
    """A fitted colour distribution, ready to use."""

    network: DensityNetwork  # in eval mode
    reference: Reference
    image_size: int
    sha256: str  # of both files
    description: Description

    @cached_property
    def run(self) -> CompiledNetwork:
        """Maps L_unit (B, 1, S, S) to what `DensityWithFeatures` gives, compiled."""
        return CompiledNetwork(DensityWithFeatures(self.network), self.image_size)

    @torch.inference_mode()
    def estimate(self, photo: GreyPhoto) -> PhotoDensity:
        """Estimate the densities of a photo's pixels; those of a border are the nearest of the picture."""
        canvas = canvas_size(photo.picture_shape, self.image_size)
        (L_11HW,) = photo.lightness(Size(*canvas))
        windows = run_in_windows(self.run, L_11HW / 50 - 1)
        log_probabilities_3BHW = _mixture([window[0][0] for window in windows], canvas)
        height, width = log_probabilities_3BHW.shape[-2:]
        grey_small_HW = grey_of_lightness(resize(L_11HW, (height, width))[0, 0])
        entropy = entropy_of(log_probabilities_3BHW, grey_small_HW).mean()
        statistics_F = torch.stack([statistics_of(features) for _, *features in windows]).mean(dim=0)
        return PhotoDensity(
            photo.spread(log_probabilities_3BHW),
            photo.spread(grey_small_HW),
            photo.spread(L_11HW[0, 0]),
            float(entropy),
            self.reference.atypicality(statistics_F),
        )


def _mixture(windows_3BSS: Sequence[Tensor], canvas: tuple[int, int]) -> Tensor:
    """Blend the histograms of a canvas's windows: log probabilities (3, B, h, w)."""
    if len(windows_3BSS) == 1:
        return windows_3BSS[0]
    return blend([log_probabilities.exp() for log_probabilities in windows_3BSS], canvas).log()


class DensityWithFeatures(nn.Module):
    """Gives the log probabilities, and the features that `statistics_of` uses."""

    def __init__(self, network: DensityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, L_unit_B1SS: Tensor) -> tuple[Tensor, ...]:
        """Map L_unit (B, 1, S, S) to log probabilities (B, 3, bins, S/2, S/2) and the encoder's maps."""
        features = self.network.encoder(L_unit_B1SS)
        return self.network.decode(features), *features


def grey_of_lightness(L: Tensor) -> Tensor:
    """The grey level nearest to a lightness in [0, 100], uint8."""
    levels = color.lightness_of_grey(torch.arange(256))
    return torch.bucketize(L, (levels[1:] + levels[:-1]) / 2).to(torch.uint8)


def write_density(folder: Path, network: DensityNetwork, reference: Reference, description: Mapping[str, Any]) -> None:
    """Write both files; kernels are stored in float16.

    Args:
        folder: replaced as a whole.
        network: fitted.
        reference: of the training photos.
        description: plain values of a `Description`, without the format.

    Raises:
        ParamsError: when the description is not allowed.
    """
    text = encode_description(description)
    state = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    state |= {f"reference.{name}": tensor for name, tensor in asdict(reference).items()}
    weights = encode_weights(
        folder / WEIGHTS, {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in state.items()}
    )
    with atomic.replace_folder(folder) as new:
        atomic.write_bytes(new / WEIGHTS, weights)
        atomic.write_text(new / DESCRIPTION, text)


def read_density(folder: Path) -> Density:
    """Read both files; raises like `parse_density`."""
    files = {}
    for name in (WEIGHTS, DESCRIPTION):
        if not (folder / name).is_file():
            raise DensityError(f"{folder / name}: missing; `dvc repro` makes it")
        files[name] = (folder / name).read_bytes()
    return parse_density(folder, files)


def parse_density(folder: Path, files: Mapping[str, bytes]) -> Density:
    """Make the colour distribution of its files' contents.

    Args:
        folder: of the files, for the error.
        files: content by name, of both files and maybe others.

    Raises:
        DensityError: names the file, the value and what to do.
    """
    try:
        description = parse_description(files[DESCRIPTION])
    except ParamsError as error:
        raise DensityError(f"{folder / DESCRIPTION}: {error}; fit it again") from error
    except (ValueError, RecursionError) as error:
        raise DensityError(f"{folder / DESCRIPTION}: not JSON ({error}); fit it again") from error
    network = DensityNetwork(**asdict(description.network))
    try:
        state = parse_weights(folder / WEIGHTS, files[WEIGHTS])
        prefix = "network."
        network.load_state_dict(
            {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}
        )
        reference = Reference(*(state[f"reference.{name}"].float() for name in ("mean_F", "spread_F")))
    except (WeightsError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:300]
        raise DensityError(
            f"{folder / WEIGHTS}: does not hold the weights of {description.network}: {reason}"
        ) from error
    for name, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise DensityError(f"{folder / WEIGHTS}: {name} holds values that are not finite; fit it again")
    expected = (2 * sum(network.encoder.channels[:-1]),)  # what `statistics_of` gives
    for name, tensor in asdict(reference).items():
        if (shape := tuple(tensor.shape)) != expected:
            raise DensityError(f"{folder / WEIGHTS}: {name} has shape {shape}, not {expected}; fit it again")
    hashes = [hashlib.sha256(files[name]).hexdigest() for name in (WEIGHTS, DESCRIPTION)]
    sha256 = hashlib.sha256("".join(hashes).encode()).hexdigest()
    network.eval().requires_grad_(False)
    return Density(network, reference, description.image_size, sha256, description)
