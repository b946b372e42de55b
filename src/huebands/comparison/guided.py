"""Candidates that are helped: by hints of the true colours, or by the nearest training photo as a reference."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar
from huebands.colorize.guidance import Guidance
from huebands.colorize.hints import MAX_POINTS, HintRequest, Point
from huebands.comparison.candidates import Candidate
from huebands.comparison.own_photos import ComparisonError, Photo
from huebands.data.shards import LabShard, in_batches, open_shard, read_split
from huebands.models.encoders.encoder import Encoder
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import resize

_SEED = 0  # of the hints' places


def helped_candidates(
    candidates: Sequence[Candidate], photos: Sequence[Photo], hints: int, references: bool, prepared: Path
) -> list[Candidate]:
    """Make a further candidate of each that can be helped.

    Args:
        candidates: of the comparison.
        photos: of the comparison.
        hints: for each photo, at places drawn at random, with their true colours; 0: none.
        references: whether those that take one get the training photo that is nearest in an encoder's features.
        prepared: the dataset with these training photos.

    Raises:
        ComparisonError: when so many hints are not possible, or no candidate can be helped.
        ShardError: when there is no training split.
    """
    if not 0 <= hints <= MAX_POINTS:
        raise ComparisonError(f"hints (={hints}) must be in [0, {MAX_POINTS}]")
    models = [(candidate, candidate.colorizer) for candidate in candidates if candidate.colorizer is not None]
    helped = []
    if hints:
        helped += [_with_hints(one, model, photos, hints) for one, model in models if model.abilities.hints]
        if not helped:
            raise ComparisonError(f"hints (={hints}) need a model that takes hints; none of the candidates does")
    if references:
        helped_by_references = [
            _with_reference(one, model, prepared) for one, model in models if model.abilities.exemplar
        ]
        if not helped_by_references:
            raise ComparisonError("references need a model that takes a reference photo; none of the candidates does")
        helped += helped_by_references
    return helped


def _with_hints(candidate: Candidate, model: Colorizer, photos: Sequence[Photo], count: int) -> Candidate:
    places = {photo.name: (row, photo) for row, photo in enumerate(photos)}

    def colorize(name: str, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        row, photo = places[name]
        grey, request = GreyPhoto(grey_HW), HintRequest(_draw_points(photo.truth, count, row))
        if model.package.generator.takes_hints:  # which needs no bands
            return model.colours.predict(grey, Guidance(hints=request.on(grey)))
        return model.predict(grey, hints=request).rgb

    return dataclasses.replace(
        candidate,
        name=f"{candidate.name}+hints",
        description=f"{candidate.description} {count} random points of each photo were given in their true colours.",
        params={**candidate.params, "hints": count},
        colorize=colorize,
    )


def _draw_points(truth_HW3: NDArray[np.uint8], count: int, row: int) -> tuple[Point, ...]:
    """Points of a photo's true colours; of the same photo and seed the same."""
    random, (height, width, _) = np.random.default_rng([_SEED, row]), truth_HW3.shape
    points = []
    for y, x in zip(random.integers(0, height, count).tolist(), random.integers(0, width, count).tolist(), strict=True):
        red, green, blue = truth_HW3[y, x].tolist()
        points.append(Point(x, y, (red, green, blue)))
    return tuple(points)


def _with_reference(candidate: Candidate, model: Colorizer, prepared: Path) -> Candidate:
    network = model.package.generator
    encoder = getattr(network, "encoder", None)
    if not isinstance(encoder, Encoder):
        raise ComparisonError(f"{candidate.name}: has no encoder by which a reference could be chosen")
    read_split(prepared, "train")  # an error that says what to do, where it is empty
    shard, features = LabShard(prepared, "train"), list[Tensor]()
    for _, batch in in_batches(open_shard(prepared, "train")):
        features += [_features(encoder, torch.from_numpy(lab[:1] / 100.0).float(), network.image_size) for lab in batch]
    known_NF = torch.stack(features)

    def colorize(name: str, grey_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        grey = GreyPhoto(grey_HW)
        L_1SS = model.colours.canvas(grey)[0]
        nearest = int((known_NF @ _features(encoder, L_1SS, network.image_size)).argmax())
        reference_HW3 = shard.rgb([nearest])[0].permute(1, 2, 0).numpy()
        return model.colours.predict(grey, Guidance(exemplar=Exemplar.read(reference_HW3)))

    return dataclasses.replace(
        candidate,
        name=f"{candidate.name}+reference",
        description=f"{candidate.description} Its reference is the training photo with the nearest features.",
        params={**candidate.params, "reference": "nearest training photo"},
        colorize=colorize,
    )


@torch.inference_mode()
def _features(encoder: Encoder, L_1HW: Tensor, side: int) -> Tensor:
    """The mean of an encoder's coarsest map over the photo, of length 1: (F,)."""
    L_unit_11SS = resize(L_1HW[None], (side, side)) / 50 - 1
    return F.normalize(encoder(L_unit_11SS)[-1].mean(dim=(2, 3)), dim=1)[0]
