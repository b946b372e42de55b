"""Fits the colour distribution by maximum likelihood on the training photos' true colours.

Truth is predicted from lightness alone, never from a generator's colours: the generator has learned the training
photos, so its errors on them are smaller than on new photos. The encoder is frozen: its features are computed once, and
kept on disk.
The weights are an exponential moving average, of the epoch at which the validation photos are likeliest.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from huebands import color
from huebands.density import joint
from huebands.density.network import DensityNetwork
from huebands.density.params import DensityParams
from huebands.density.views import Photos, ViewedPhotos, draw_views
from huebands.models.feature_store import Features, FeatureStore

_LEARNING_RATE = 2e-3
_WEIGHT_DECAY = 1e-2
_AVERAGED = 1 / 8  # of all steps: how far back the average of the weights reaches


class FitError(RuntimeError):
    """The fit gave values that are not finite."""


@dataclass(frozen=True)
class FitPhotos:
    """Views of photos as the network learns from them.

    Attributes:
        features: of the encoder, of every view.
        viewed: the same views.
    """

    features: Features
    viewed: ViewedPhotos

    def __len__(self) -> int:
        return len(self.features)

    def batch(self, rows: Tensor) -> tuple[list[Tensor], Tensor]:
        """Features and true colours, uint8 (B, 3, S, S), of the rows in 0..len."""
        return [part.float() for part in self.features[rows]], self.viewed.colours(rows.tolist())


@dataclass(frozen=True)
class Epoch:
    """The result of one pass over the photos: mean negative log-likelihood of a colour's cell, in nats."""

    epoch: int
    train: float
    val: float

    @property
    def sentence(self) -> str:
        """Such as "epoch 1: 3.4462 nats a value on train, 3.4623 on val"."""
        return f"epoch {self.epoch}: {self.train:.4f} nats a value on train, {self.val:.4f} on val"


def history_table(history: Sequence[Epoch]) -> str:
    """The content of history.csv: a row an epoch."""
    rows = (f"{epoch.epoch},{round(epoch.train, 4)},{round(epoch.val, 4)}\n" for epoch in history)
    return "epoch,train,val\n" + "".join(rows)


def prepare(
    network: DensityNetwork, photos: Photos, size: int, views: int, store: FeatureStore, data: Mapping[str, Any]
) -> FitPhotos:
    """Compute the encoder's features of photos, at the lightness that `Density.estimate` uses, or find them on disk.

    Args:
        network: with its encoder's ImageNet weights, in evaluation.
        photos: read when they are needed.
        size: of the network, pixels.
        views: of each photo, see `draw_views`.
        store: of the features.
        data: plain values that identify the photos.
    """
    viewed = ViewedPhotos(photos, draw_views(views, len(photos)), size)
    what = {**data, "of": "density", "size": size, "views": views}
    return FitPhotos(store.features(network.encoder, what, len(viewed), viewed.lightness), viewed)


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
        train: photos in all of their views.
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
    """Mean over pixels, in nats: one pixel of each square that the network gives one histogram, drawn at random.

    Values are spread evenly over their 8-bit level: bins may be finer than levels.
    """
    stride = network.stride
    down, right = (int(torch.randint(stride, (), generator=random)) for _ in range(2))
    rgb_B3HW = rgb_B3SS[..., down::stride, right::stride]
    values = rgb_B3HW.float() + torch.rand(rgb_B3HW.shape, generator=random) - 0.5
    cells = joint.cells_of(values, color.grey_levels(rgb_B3HW), network.bins)
    device = next(network.histograms.parameters()).device
    log_probabilities = network.decode([part.to(device) for part in features])
    return F.nll_loss(log_probabilities, cells.to(device))


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
