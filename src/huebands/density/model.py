"""The conditional colour density as a part of a model package: its files, and its estimate for a photo."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from huebands import color
from huebands.density import joint
from huebands.density.atypicality import Reference, statistics_of
from huebands.density.description import CHANNELS_FORMAT, Description, encode_description, parse_description
from huebands.density.intervals import NestedIntervals, entropy_of
from huebands.density.network import ChannelDensityNetwork, DensityNetwork
from huebands.files import atomic
from huebands.models.compiled import CompiledNetwork
from huebands.models.parameters import ParamsError
from huebands.models.views import average_over_views
from huebands.models.weights import WeightsError, encode_weights, parse_weights
from huebands.models.windows import blend, canvas_size, run_in_windows
from huebands.photos.resize import Size, resize

if TYPE_CHECKING:
    from huebands.photos.grey import GreyPhoto

if TYPE_CHECKING:  # the fit of the density does not depend on it
    from huebands.density.hinted import HintedPlaces, HintKernel

WEIGHTS, DESCRIPTION = "distribution.safetensors", "distribution.json"  # names of the package's format


class DensityError(ValueError):
    """The files of a colour distribution lack something or hold something that is not allowed."""


_LEAST = 1e-8  # a probability: its logarithm is finite


@dataclass(frozen=True)
class PhotoDensity:
    """The estimated densities of one photo, at samples spread evenly over it.

    Attributes:
        probabilities_QSS: of the Q cells of a joint histogram; None in packages that know each channel by itself.
        log_probabilities_3BSS: histograms over the positions of each channel.
        grey_SS: uint8, grey levels of the samples.
        entropy: mean of the channels' entropies, nats.
        L_SS: lightness at the network's size; (H, W) where the photo is long, see `models.windows`.
        atypicality: distance from the training photos.
        side: samples on a side of the square that the network sees.
    """

    probabilities_QSS: Tensor | None
    log_probabilities_3BSS: Tensor
    grey_SS: Tensor
    entropy: float
    L_SS: Tensor
    atypicality: float
    side: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the grid of samples."""
        height, width = self.grey_SS.shape
        return height, width

    def intervals(self, adaptivity: float) -> NestedIntervals:
        """The nested intervals of each channel by itself, see `NestedIntervals.grow`."""
        return NestedIntervals.grow(self.log_probabilities_3BSS, self.grey_SS, adaptivity)

    def ab(self, levels: tuple[int, ...]) -> Tensor:
        """A and b of the cells' colours at K grey levels, CIELAB units, (K, Q, 2).

        Raises:
            ValueError: when there is no joint histogram.
        """
        _ = self.joint
        return joint.ab_of_cells(levels, self.log_probabilities_3BSS.shape[1])

    @property
    def joint(self) -> Tensor:
        """`probabilities_QSS`.

        Raises:
            ValueError: when there is no joint histogram.
        """
        if self.probabilities_QSS is None:
            raise ValueError("this density has no joint histogram; fit it again")
        return self.probabilities_QSS

    def given(self, places: "HintedPlaces", kernel: "HintKernel") -> "PhotoDensity":
        """The densities of the same photo with hints.

        Args:
            places: what the hints tell of all samples.
            kernel: how far they reach.

        Raises:
            ValueError: when there is no joint histogram.
        """
        probabilities_QSS = kernel.follow(self.joint, places)
        log_probabilities_3BSS = _log_channels(probabilities_QSS, self.grey_SS, self.log_probabilities_3BSS.shape[1])
        return replace(
            self,
            probabilities_QSS=probabilities_QSS,
            log_probabilities_3BSS=log_probabilities_3BSS,
            entropy=float(entropy_of(log_probabilities_3BSS, self.grey_SS).mean()),
        )


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
        return CompiledNetwork(DensityWithFeatures(self.network), [(1, self.image_size, self.image_size)])

    @torch.inference_mode()
    def estimate(self, photo: "GreyPhoto") -> PhotoDensity:
        """Estimate the densities of a photo's pixels; those of a border are the nearest of the picture."""
        canvas = canvas_size(photo.picture_shape, self.image_size)
        (L_11HW,) = photo.lightness(Size(*canvas))
        windows = run_in_windows(self._look, L_11HW / 50 - 1)
        probabilities = blend([likely for likely, _ in windows], canvas)[0]
        height, width = probabilities.shape[-2:]
        grey_SS = grey_of_lightness(resize(L_11HW, (height, width))[0, 0])
        log_probabilities = (
            _log_channels(probabilities, grey_SS, self.network.bins)
            if self.is_joint
            else probabilities.clamp_min(_LEAST).log()
        )
        statistics_F = torch.stack([statistics_F for _, statistics_F in windows]).mean(dim=0)
        return PhotoDensity(
            photo.spread(probabilities) if self.is_joint else None,
            photo.spread(log_probabilities),
            photo.spread(grey_SS),
            float(entropy_of(log_probabilities, grey_SS).mean()),
            photo.spread(L_11HW[0, 0]),
            self.reference.atypicality(statistics_F),
            self.image_size // self.network.stride,
        )

    def _look(self, L_unit_11SS: Tensor) -> tuple[Tensor, Tensor]:
        """The probabilities in a square, and the statistics of its features; both are averaged over views."""
        statistics = []

        def run(L_unit_11SS: Tensor) -> Tensor:
            log_probabilities, *features = self.run(L_unit_11SS)
            statistics.append(statistics_of(features))
            return log_probabilities.exp()

        probabilities = average_over_views(run, L_unit_11SS, self.description.averaged_views)
        return probabilities, torch.stack(statistics).mean(dim=0)

    @property
    def is_joint(self) -> bool:
        """Whether it knows the joint distribution of the channels, rather than each channel's."""
        return self.description.format != CHANNELS_FORMAT


class DensityWithFeatures(nn.Module):
    """Gives the log probabilities, and the features that `statistics_of` uses."""

    def __init__(self, network: DensityNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, L_unit_B1SS: Tensor) -> tuple[Tensor, ...]:
        """Map L_unit (B, 1, S, S) to the log probabilities and the encoder's maps."""
        features = self.network.encoder(L_unit_B1SS)
        return self.network.decode(features), *features


def _log_channels(probabilities_QSS: Tensor, grey_SS: Tensor, bins: int) -> Tensor:
    """Logarithms of each channel's histogram, (3, bins, S, S), of a joint one."""
    return joint.channel_histograms(probabilities_QSS, grey_SS, bins).clamp_min(_LEAST).log()


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
    kind = ChannelDensityNetwork if description.format == CHANNELS_FORMAT else DensityNetwork
    network = kind(**asdict(description.network))
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
