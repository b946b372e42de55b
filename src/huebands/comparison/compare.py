"""Every candidate colours every photo, and every result is scored."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from huebands.comparison.candidates import TRUTH, Candidate, check_names
from huebands.comparison.own_photos import PhotoSet
from huebands.metrics.report import OF_TRUTH, Estimate, PhotoScore, ScoredPhoto, summarise
from huebands.photos.write import encode_webp

INPUT = "grey"  # the picture that candidates are given
SEED = 0  # of the bootstrap over photos
_PROGRESS = "ciede2000"  # the figure in the line of each photo


class Scorer(Protocol):
    """Scores the results on one photo."""

    def score(self, truth: np.ndarray, results: Mapping[str, np.ndarray]) -> ScoredPhoto:
        """Score uint8 (H, W, 3) results, by name, against their truth."""
        ...


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Candidates on the same photos.

    Attributes:
        photos: photos that the candidates coloured.
        candidates: in the order of the tables.
        truths: a score for each photo.
        results: {candidate: a score for each photo}.
        pictures: for each photo {"grey", each candidate, "truth": WebP}.
        estimates: {candidate: {metric: estimate}}.
    """

    photos: PhotoSet
    candidates: tuple[Candidate, ...]
    truths: tuple[PhotoScore, ...]
    results: dict[str, tuple[PhotoScore, ...]]
    pictures: tuple[dict[str, bytes], ...]
    estimates: dict[str, dict[str, Estimate]]

    @property
    def truth(self) -> dict[str, float]:
        """The truths' own figures, means over photos."""
        return {key: float(np.mean([score.figures[key] for score in self.truths])) for key in OF_TRUTH}


def compare(
    photos: PhotoSet, candidates: Sequence[Candidate], scorer: Scorer, print_line: Callable[[str], None]
) -> Comparison:
    """Colour and score photo by photo: only one is decoded at a time.

    Args:
        photos: at least one.
        candidates: at least one, with different names.
        scorer: such as `metrics.report.PhotoScorer`.
        print_line: called with a line for every photo that is done.

    Raises:
        ComparisonError: when names clash, or an outside colorizer fails.
        ValueError: when a result is not of its photo's size.
    """
    check_names(candidates)
    scores, pictures = [], []
    for number, photo in enumerate(photos.photos, 1):
        truth, grey = photo.truth, photo.grey
        results = {candidate.name: candidate.colorize(photo.name, grey) for candidate in candidates}
        scored = scorer.score(truth, results)
        scores.append(scored)
        named_pictures = {INPUT: np.repeat(grey[..., None], 3, axis=2), **results, TRUTH: truth}
        pictures.append({name: encode_webp(rgb) for name, rgb in named_pictures.items()})
        figures = ", ".join(f"{name} {score.figures[_PROGRESS]:.1f}" for name, score in scored.results.items())
        print_line(f"photo {number} of {len(photos.photos)}, {photo.name}: CIEDE2000 {figures}")
    truths = tuple(scored.truth for scored in scores)
    results_of = {
        candidate.name: tuple(scored.results[candidate.name] for scored in scores) for candidate in candidates
    }
    return Comparison(
        photos=photos,
        candidates=tuple(candidates),
        truths=truths,
        results=results_of,
        pictures=tuple(pictures),
        estimates={
            candidate.name: summarise(truths, results_of[candidate.name], SEED, candidate.judged_by_inception)
            for candidate in candidates
        },
    )
