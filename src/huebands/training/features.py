"""VGG16's features of the true photos: computed once, where every epoch sees the same pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from huebands.color import to_units
from huebands.params import TrainParams
from huebands.training.data import Photos, Views
from huebands.training.step import real_features

_BATCH = 16


class RealFeatures:
    """The features of a split's photos, as they are and mirrored, kept on the device where `cache_features` says so."""

    def __init__(self, vgg: nn.Module | None, photos: Photos, params: TrainParams) -> None:
        """Compute what is kept.

        Args:
            vgg: the frozen network; None keeps nothing.
            photos: of the size that the network sees.
            params: `cache_features`, `flip` and the precision.
        """
        self._layers: list[Tensor] | None = None
        self._sides = 2 if params.flip else 1
        if vgg is None or not params.cache_features:
            return
        autocast = torch.autocast(
            photos.hundredths_NSS3.device.type, torch.bfloat16, enabled=params.precision == "bfloat16"
        )
        dtype = torch.bfloat16 if params.precision == "bfloat16" else torch.float32
        batches: list[list[Tensor]] = []
        for start in range(0, len(photos.ids), _BATCH):
            L_unit, ab_unit = to_units(photos.lab(slice(start, start + _BATCH)))
            with autocast:
                seen = [real_features(vgg, L_unit, ab_unit)]
                if params.flip:
                    seen.append(real_features(vgg, L_unit.flip(-1), ab_unit.flip(-1)))
            batches.append([torch.stack(sides, dim=1).to(dtype) for sides in zip(*seen, strict=True)])
        self._layers = [torch.cat(layer).flatten(0, 1) for layer in zip(*batches, strict=True)]

    def of(self, views: Views) -> Sequence[Tensor] | None:
        """The features of a batch, float32; None where they are not kept."""
        if self._layers is None:
            return None
        rows = views.rows * self._sides + views.mirrored
        return [layer[rows].float() for layer in self._layers]
