"""How well atypicality scores separate photos of another kind from photos like the training's, without true colours.

    python studies/bands/atypicality.py [--model FOLDER] [--prepared FOLDER] [--other FOLDER]

A score is the distance of a photo's statistics from the training photos. These statistics are compared: of lightness
(mean, spread, skewness and the shares of eight bands), of the entropy of the colour distributions (which band widths
follow), and of the encoder's feature maps: means of the coarsest, and means and standard deviations of all others
(which the package uses). Photos of another kind are the test photos inverted, blurred, noisy, flat and upside down, and
the test split of another prepared dataset. Printed are the area under the ROC curve against the unchanged test photos,
and the share with a conformal p-value of at most 0.05 against the calibration photos. It should be 5% of the test
photos.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from huebands.colorize.colorizer import Colorizer
from huebands.data.shards import LabShard
from huebands.density.atypicality import Reference, p_value, statistics_of
from huebands.photos.grey import GreyPhoto
from huebands.photos.resize import resize

STATISTICS = ("lightness", "entropy", "coarsest", "others")


def main() -> None:
    """Print a row for each kind of photos."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=Path("models/generator"))
    parser.add_argument("--prepared", type=Path, default=Path("data/prepared"))
    parser.add_argument("--other", type=Path, help="another prepared dataset, whose test photos are of another kind")
    options = parser.parse_args()
    torch.set_num_threads(1)
    statistics = PhotoStatistics(Colorizer.load(options.model))
    train = np.array([statistics(grey) for grey in greys(options.prepared, "train")], dtype=object)
    references = {name: Reference.fit(torch.stack(list(train[:, index]))) for index, name in enumerate(STATISTICS)}

    def distances(photos: Iterator[np.ndarray]) -> np.ndarray:
        return np.array(
            [
                [
                    references[name].atypicality(values)
                    for name, values in zip(STATISTICS, statistics(photo), strict=True)
                ]
                for photo in photos
            ]
        )

    calibration = distances(greys(options.prepared, "calibration"))
    test_scores = distances(greys(options.prepared, "test"))
    scores_by_kind: dict[str, np.ndarray] = {"test photos": test_scores}
    for name, change in CHANGES.items():
        scores_by_kind[name] = distances(change(grey) for grey in greys(options.prepared, "test"))
    if options.other:
        scores_by_kind[f"test split of {options.other}"] = distances(greys(options.other, "test"))
    print(
        f"{len(train)} training, {len(calibration)} calibration, {len(test_scores)} test photos;"
        " AUC (share with p <= 0.05)"
    )
    print(f"{'':36}" + "".join(f"{name:>18}" for name in STATISTICS))
    for name, scores in scores_by_kind.items():
        cells = []
        for index in range(len(STATISTICS)):
            share = np.mean([p_value(score, calibration[:, index]) <= 0.05 for score in scores[:, index]])
            cells.append(f"{area_under_curve(test_scores[:, index], scores[:, index]):.3f} ({share:5.1%})")
        print(f"{name:36}" + "".join(f"{cell:>18}" for cell in cells))


class PhotoStatistics:
    """Takes the statistics of a grey photo."""

    def __init__(self, colorizer: Colorizer) -> None:
        self.density = colorizer.density

    @torch.inference_mode()
    def __call__(self, grey_HW: np.ndarray) -> list[torch.Tensor]:
        estimate = self.density.estimate(GreyPhoto(grey_HW))
        L = estimate.L_SS.flatten() / 100
        skewness = ((L - L.mean()) / L.std().clamp_min(1e-6)).pow(3).mean()
        shares = torch.histc(L, 8, 0, 1)[:-1] / len(L)
        lightness = torch.cat((torch.stack((L.mean(), L.std(), skewness)), shares))
        features = self.density.network.encoder(estimate.L_SS[None, None] / 50 - 1)
        return [lightness, torch.tensor([estimate.entropy]), features[-1].mean(dim=(0, 2, 3)), statistics_of(features)]


def greys(prepared: Path, split: str) -> Iterator[np.ndarray]:
    """The photos of a split as the model sees them."""
    shard = LabShard(prepared, split)
    for row in range(len(shard)):
        yield GreyPhoto.of_rgb(shard.rgb([row])[0].permute(1, 2, 0).numpy()).levels_HW


def _blurred(grey_HW: np.ndarray) -> np.ndarray:
    photo = torch.from_numpy(grey_HW.astype(np.float32))[None, None]
    reduced = resize(photo, (grey_HW.shape[0] // 16, grey_HW.shape[1] // 16))
    return resize(reduced, grey_HW.shape)[0, 0].round().numpy().astype(np.uint8)


def _noisy(grey_HW: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 40, grey_HW.shape)
    return np.clip(grey_HW + noise, 0, 255).astype(np.uint8)


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "inverted": lambda grey: 255 - grey,
    "blurred 16 times": _blurred,
    "noise of 40 levels": _noisy,
    "contrast at a fifth": lambda grey: (100 + grey // 5).astype(np.uint8),
    "upside down": lambda grey: grey[::-1].copy(),
}


def area_under_curve(test_scores: np.ndarray, scores: np.ndarray) -> float:
    """The chance that a score is larger than that of a test photo; ties count half."""
    difference = scores[:, None] - test_scores[None]
    return float((difference > 0).mean() + (difference == 0).mean() / 2)


if __name__ == "__main__":
    main()
