"""Views of the training photos that are drawn once, with the features of a frozen encoder on disk.

A network whose encoder stays as it is computes the same features again and again. Here every photo has a few views,
drawn as those of an epoch are, and each epoch uses one of them. What an epoch draws anew is the order of the photos,
and how often each is seen.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from huebands.color import to_units
from huebands.models.encoders.encoder import Encoder
from huebands.models.encoders.encoder_decoder import EncoderDecoder
from huebands.models.feature_store import Features, FeatureStore
from huebands.models.interface import Network
from huebands.training.augment import Photos, Views, augment, draw_views
from huebands.training.distributed import World
from huebands.training.params import TrainParams

_DECIDING = ("seed", "flip", "jitter", "border_share", "lightness_jitter", "feature_views")  # for the views


@dataclass(frozen=True)
class StoredViews:
    """Views of photos and their features.

    Attributes:
        encoder: frozen.
        views: all photos in their first view, then all in their second, and so on.
        features: of these views.
        photos: how many there are.
    """

    encoder: Encoder
    views: Views
    features: Features
    photos: int

    @classmethod
    def prepare(
        cls, network: Network, photos: Photos, image_size: int, params: TrainParams, data_sha256: str, world: World
    ) -> Self | None:
        """Compute the features, or find them on disk; None where views are drawn anew in each epoch.

        That is where `params.feature_views` is 0, and where the encoder learns or there is none.

        Args:
            network: on the device.
            photos: on the device.
            image_size: side of the crops, pixels.
            params: how much is varied.
            data_sha256: of the prepared dataset.
            world: the leading process computes, the others wait for it.
        """
        if params.feature_views == 0 or not isinstance(network, EncoderDecoder) or not network.encoder_is_frozen:
            return None
        count, margin = len(photos.ids), photos.hundredths_NSS3.shape[1] - image_size
        views = _draw(count, margin, params).to(world.device)
        encoder, store = network.encoder, FeatureStore(params.feature_gib)
        what = {name: getattr(params, name) for name in _DECIDING}
        what |= {"of": "training", "data": data_sha256, "size": image_size, "photos": count}

        def lightness(rows: Sequence[int]) -> Tensor:
            part = views.at(torch.tensor(list(rows), device=world.device))
            return to_units(augment(photos, part, image_size))[0]

        def features() -> Features:
            return store.features(encoder, what, len(views), lightness, network.finest)

        computed = features() if world.leads else None
        world.wait()
        return cls(encoder, views, computed or features(), count)

    def of_epoch(self, drawn: Views, epoch: int) -> Views:
        """The views that stand for those that an epoch has drawn: of the same photos, in the same order."""
        return self.views.at(self._rows(drawn, epoch))

    def known(self, L_unit_B1SS: Tensor, drawn: Views, epoch: int) -> AbstractContextManager[None]:
        """Let the encoder take the features of these views from the disk when it is given this tensor."""
        rows = self._rows(drawn, epoch).cpu()
        maps = [part.to(L_unit_B1SS.device).float() for part in self.features[rows]]
        return self.encoder.known(L_unit_B1SS, maps)

    def _rows(self, drawn: Views, epoch: int) -> Tensor:
        return drawn.rows + (epoch - 1) % (len(self.views) // self.photos) * self.photos


def known_features(
    stored: StoredViews | None, L_unit_B1SS: Tensor, drawn: Views, epoch: int
) -> AbstractContextManager[None]:
    """`StoredViews.known` where views are stored."""
    return nullcontext() if stored is None else stored.known(L_unit_B1SS, drawn, epoch)


def _draw(photos: int, margin: int, params: TrainParams) -> Views:
    """All views: of each round, one a photo, in the photos' order."""
    rounds = []
    for number in range(params.feature_views):
        seed = np.random.SeedSequence([params.seed, number]).generate_state(1, np.uint64)[0]
        random = torch.Generator().manual_seed(int(seed >> 1))
        views = draw_views(photos, margin, params, random)
        rounds.append(views.at(views.rows.argsort()))
    return Views.join(rounds)
