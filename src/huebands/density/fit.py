"""Fits the colour distribution by maximum likelihood on the training photos' true colours.

Truth is predicted from lightness alone, never from a generator's colours: the generator has learned the training
photos, so its errors on them are smaller than on new photos. The encoder is frozen, so its features are computed once.
The weights are an exponential moving average, of the epoch at which the validation photos are likeliest.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from huebands import color
from huebands.density import coordinate
from huebands.density.network import DensityNetwork
from huebands.density.params import DensityParams
from huebands.photos.grey import GreyPhoto, Size
from huebands.photos.resize import resize

_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_AVERAGED = 1 / 8  # of all steps: how far back the average of the weights reaches


class FitError(RuntimeError):
    """The fit gave values that are not finite."""


@dataclass(frozen=True)
class FitPhotos:
    """Photos as the network learns from them.

    Attributes:
        features: of the encoder, finest first, float16 (N, C, S', S') each; photos, then the same mirrored.
        rgb_N3SS: uint8, true colours at the network's size.
    """

    features: list[Tensor]
    rgb_N3SS: Tensor

    def __len__(self) -> int:
        return len(self.features[0])

    def batch(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features and true colours, uint8 (B, 3, S, S), of the rows in 0..len."""
        count = len(self.rgb_N3SS)
        rgb_B3SS = self.rgb_N3SS[rows % count]
        mirrored = (rows >= count)[:, None, None, None]
        return [part[rows].float() for part in self.features], torch.where(mirrored, rgb_B3SS.flip(3), rgb_B3SS)


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the photos: mean negative log-likelihood of a channel's value, in nats."""

    epoch: int
    train: float
    val: float


def prepare(network: DensityNetwork, rgb: Iterator[Tensor], size: int, mirror: bool) -> FitPhotos:
    """Compute the encoder's features of photos, uint8 (3, H, W), at the lightness that `Density.estimate` uses."""
    originals, lightness, features = list[Tensor](), list[Tensor](), list[list[Tensor]]()
    for rgb_3HW in rgb:
        photo = GreyPhoto.of_rgb(rgb_3HW.permute(1, 2, 0).numpy())
        scaled_13SS = resize(color.from_bytes(rgb_3HW[:, *photo.picture])[None], (size, size))
        originals.append(color.to_bytes(scaled_13SS)[0])
        lightness += photo.lightness(Size(size, size))
    views = [lightness, [L_11SS.flip(3) for L_11SS in lightness]] if mirror else [lightness]
    with torch.inference_mode():
        for view in views:
            for L_11SS in view:
                features.append([part.half() for part in network.encoder(L_11SS / 50 - 1)])
    return FitPhotos([torch.cat(parts).clone() for parts in zip(*features, strict=True)], torch.stack(originals))


def fit(
    network: DensityNetwork,
    train: FitPhotos,
    val: FitPhotos,
    params: DensityParams,
    log: Callable[[Epoch], None],
) -> list[Epoch]:
    """Fit the decoder, and give it the weights of the best epoch.

    Args:
        network: with its encoder's ImageNet weights.
        train: photos, then the same mirrored.
        val: photos that decide which epoch is best.
        params: of the fit.
        log: is called after each epoch.

    Raises:
        FitError: when the likelihood is not finite.
    """
    random = torch.Generator().manual_seed(params.seed)
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    steps = params.epochs * -(-len(train) // params.batch_size)
    optimiser = torch.optim.AdamW(parameters, _LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    average = AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(1 - 1 / max(_AVERAGED * steps, 1)), use_buffers=True
    )
    averaged = cast(DensityNetwork, average.module)
    # The rise must not take exactly one step: PyTorch would divide by 0.
    rise = min(max(0.1, 1.5 / steps), 0.4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _LEARNING_RATE, total_steps=steps, pct_start=rise)
    history, best = list[Epoch](), dict[str, Tensor]()
    for epoch in range(1, params.epochs + 1):
        network.train()
        losses = []
        for rows in torch.randperm(len(train), generator=random).split(params.batch_size):
            loss = negative_log_likelihood(network, *train.batch(rows), random)
            if not torch.isfinite(loss):
                raise FitError(f"epoch {epoch}: the likelihood is not finite; check the data")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            losses.append(loss.item())
        history.append(Epoch(epoch, sum(losses) / len(losses), _evaluate(averaged, val, params)))
        if not math.isfinite(history[-1].val):
            raise FitError(f"epoch {epoch}: the likelihood of the validation photos is not finite; check the data")
        log(history[-1])
        if history[-1].val <= min(past.val for past in history):
            best = {name: tensor.clone() for name, tensor in averaged.state_dict().items()}
    network.load_state_dict(best)
    network.eval()
    return history


def negative_log_likelihood(
    network: DensityNetwork, features: list[Tensor], rgb_B3SS: Tensor, random: torch.Generator
) -> Tensor:
    """Mean over pixels and channels, in nats: one pixel of each 2 x 2, drawn at random.

    Values are spread evenly over their 8-bit level: bins may be finer than levels.
    """
    down, right = (int(torch.randint(2, (), generator=random)) for _ in range(2))
    rgb_B3HW = rgb_B3SS[..., down::2, right::2]
    values = rgb_B3HW.float() + torch.rand(rgb_B3HW.shape, generator=random) - 0.5
    u = coordinate.encode(values, color.grey_levels(rgb_B3HW))
    bins = ((u + 1) / 2 * network.bins).long().clamp_max(network.bins - 1)
    return F.nll_loss(network.decode(features).transpose(1, 2), bins)


@torch.inference_mode()
def _evaluate(network: DensityNetwork, photos: FitPhotos, params: DensityParams) -> float:
    """Mean negative log-likelihood of photos, with the same random draws at each epoch."""
    network.eval()
    random = torch.Generator().manual_seed(params.seed)
    rows = torch.arange(len(photos))
    parts = [
        negative_log_likelihood(network, *photos.batch(part), random).item() * len(part)
        for part in rows.split(params.batch_size)
    ]
    return sum(parts) / len(photos)
