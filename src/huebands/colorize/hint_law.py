"""Hints of true colours on photos whose colours are known, and the fit of how far they reach."""

import hashlib
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from huebands import color
from huebands.colorize.hints import HintRequest, Point, disk_of
from huebands.conformal.law import HintLaw
from huebands.data.originals import Original
from huebands.density import hinted, joint
from huebands.density.hinted import HintedPlaces, HintKernel
from huebands.density.model import Density

_PHOTOS = 128  # at most, of which the fit looks at places
_PLACES = 128  # of each photo
_STEPS = 40
_START = HintKernel(
    closeness=2.0, reach=0.15, nearness=1.0, evenness=30.0, likeness=10.0, prior=0.3, shares=(0.4, 0.4, 0.2)
)
START = HintLaw(kernel=_START)


def draw_hints(law: HintLaw, photo: Original) -> HintRequest:
    """Draw points of a photo's true colours; each has the mean colour of its disk. Equal photos get equal points."""
    seed = int.from_bytes(hashlib.sha256(photo.id.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    shape = photo.rgb.shape[0], photo.rgb.shape[1]
    count = min(int(random.geometric(1 / law.mean)), law.most)
    places_N2 = np.clip(0.5 + law.deviation * random.standard_normal((count, 2)), 0, 1)
    points = []
    for down, right in places_N2:
        y, x = min(int(down * shape[0]), shape[0] - 1), min(int(right * shape[1]), shape[1] - 1)
        rows, columns, disk = disk_of(x, y, shape)
        red, green, blue = photo.rgb[rows, columns][disk].mean(axis=0).round().astype(int).tolist()
        points.append(Point(x, y, (red, green, blue)))
    return HintRequest(tuple(points))


def fit_law(density: Density, photos: Iterable[Original]) -> HintLaw:
    """Fit how far hints reach: the likelihood of true colours at places of photos with drawn hints is greatest.

    Args:
        density: with a joint histogram.
        photos: that the density has not learned from; the first `_PHOTOS` are looked at.
    """
    looked_at = [_look(density, photo) for photo, _ in zip(photos, range(_PHOTOS), strict=False)]
    with torch.inference_mode(False), torch.enable_grad():
        logs_6 = torch.tensor([getattr(_START, name) for name in hinted.WEIGHTS]).log()
        scores_P = torch.tensor(_START.shares).log()
        logs_6.requires_grad_(True)
        scores_P.requires_grad_(True)
        optimiser = torch.optim.LBFGS([logs_6, scores_P], max_iter=_STEPS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimiser.zero_grad()
            total = torch.zeros(())
            for places, likely_NQ, cells_N in looked_at:
                followed_NQ = hinted.follow(likely_NQ, places, logs_6.exp(), torch.softmax(scores_P, dim=0))
                total = total - followed_NQ.gather(1, cells_N[:, None]).clamp_min(1e-12).log().mean()
            mean = total / len(looked_at)
            mean.backward()
            return mean

        optimiser.step(loss)
        weights = dict(zip(hinted.WEIGHTS, logs_6.detach().exp().tolist(), strict=True))
        shares = torch.softmax(scores_P.detach(), dim=0).tolist()
    return HintLaw(kernel=HintKernel(**weights, shares=tuple(shares)))


def _look(density: Density, photo: Original) -> tuple[HintedPlaces, Tensor, Tensor]:
    """What hints tell of some places of a photo, the places' own densities (N, Q), and their true cells (N,)."""
    estimate = density.estimate(photo.grey)
    hints_3SS = draw_hints(START, photo).on(photo.grey).on_samples(photo.grey, estimate.size)
    rows, columns = (
        (np.arange(samples) * 2 + 1) * length // (2 * samples)
        for samples, length in zip(estimate.size, photo.grey.shape, strict=True)
    )
    true_3SS = torch.from_numpy(photo.rgb[np.ix_(rows, columns)]).permute(2, 0, 1)  # of the pixel at each sample
    cells_N = joint.cells_of(true_3SS[None].float(), color.grey_levels(true_3SS)[None], density.network.bins).flatten()
    random = np.random.default_rng(len(cells_N))
    chosen_N = torch.from_numpy(random.choice(len(cells_N), min(_PLACES, len(cells_N)), replace=False))
    places = HintedPlaces.of(estimate.joint, estimate.grey_SS, hints_3SS, estimate.side, chosen_N)
    return places, estimate.joint.flatten(1).T[chosen_N], cells_N[chosen_N]
