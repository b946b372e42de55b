"""The command `huebands compare`: from candidates and photos to files and MLflow runs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from huebands.colorize.targets import Targets
from huebands.comparison.candidates import Candidate, check_names, default_candidates, find_candidate
from huebands.comparison.compare import Comparison, compare
from huebands.comparison.external import outside_candidate
from huebands.comparison.guided import helped_candidates
from huebands.comparison.own_photos import SPLITS, ComparisonError, PhotoSet, read_folder, read_prepared
from huebands.comparison.report import NAMES, is_report, write_report
from huebands.comparison.table import summary
from huebands.fetch.pypi import FetchError
from huebands.metrics.report import METRICS, PhotoScorer
from huebands.package.lineage import Dataset, git_commit

if TYPE_CHECKING:
    from huebands.registry.runs import FinishedRun

PREPARED, SIZE = Path("data/prepared"), 256


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to compare, and where to write the results.

    Attributes:
        candidates: as `find_candidate` takes them; the default ones when there are none.
        commands: outside colorizers, NAME=COMMAND.
        timeout: seconds a photo, for outside colorizers.
        train: the prepared dataset whose training split teaches the baselines, and has the references.
        hints: of each photo, for models that take hints: see `guided.helped_candidates`; 0: none.
        references: whether models that take a reference photo get one.
        overwrite: whether files that are not of an earlier comparison as it was written may be replaced.
        output: folder, made if need be.
        experiment: name of the MLflow experiment; None logs nothing.
    """

    candidates: Sequence[str]
    commands: Sequence[str]
    timeout: float
    train: Path
    output: Path
    experiment: str | None
    hints: int = 0
    references: bool = False
    overwrite: bool = False


def read_photos(folder: Path | None, size: int | None, split: str | None = None) -> PhotoSet:
    """Read the photos to compare on: a folder's, or a split of data/prepared, by default the test split.

    Raises:
        ShardError, ImageError, ComparisonError: when there are none.
    """
    if folder is not None and split is not None:
        raise ComparisonError(f"split (={split!r}) is one of {PREPARED}; leave it out with --photos")
    if folder is not None:
        return read_folder(folder, SIZE if size is None else size)
    if size is not None:
        raise ComparisonError(f"size (={size}) needs --photos; the splits of {PREPARED} have a size of their own")
    return read_prepared(PREPARED, split or SPLITS[0])


def run(request: Request, photos: PhotoSet, print_line: Callable[[str], None]) -> Comparison:
    """Compare, write the files and log the runs.

    Raises:
        ValueError, OSError: with what was wrong and what to do.
    """
    for name in photos.colourless:
        print_line(f"{name}: has no colour and is left out: a grey result would be perfect")
    for name in photos.tinted:
        print_line(f"{name}: is left out, and is tinted: its colours follow its lightness, as in a sepia print")
    candidates = [find_candidate(text, request.train) for text in request.candidates]
    candidates = candidates or default_candidates(request.train)
    candidates += helped_candidates(candidates, photos.photos, request.hints, request.references, request.train)
    candidates += [outside_candidate(text, photos.photos, request.timeout) for text in request.commands]
    check_names(candidates)
    targets = Targets(request.output, overwrite=request.overwrite, is_own=is_report)
    targets.make_folders([])
    for name in NAMES:
        targets.check(request.output / name)
    try:
        scorer = PhotoScorer()
    except FetchError as error:
        raise ComparisonError(str(error)) from error
    comparison = compare(photos, candidates, scorer, print_line)
    paths = write_report(comparison, request.output, targets.check)
    print_line(f"{photos.name}, {summary(comparison)} -> {', '.join(map(str, paths))}")
    if request.experiment is not None:
        print_line(f"MLflow run {_log(comparison, request.experiment, paths)}, experiment {request.experiment}")
    return comparison


def _log(comparison: Comparison, experiment: str, reports: Sequence[Path]) -> str:
    from huebands.registry.connection import TrackingError, waiting
    from huebands.registry.runs import FinishedRun, log_runs

    photos = comparison.photos
    try:
        parent = FinishedRun(
            name=f"compare {photos.name}, {summary(comparison)}",
            params={"photos": len(photos.photos)},
            metrics={},
            tags={"git_commit": git_commit()},
            datasets=[_dataset(photos)],
            reports=reports,
        )
        with waiting("run it again, or with --no-tracking"):
            return log_runs(
                experiment, parent, [_candidate_run(candidate, comparison) for candidate in comparison.candidates]
            )
    except TrackingError as error:
        raise ComparisonError(f"{reports[0].parent} is written, but not logged: {error}") from error


def _candidate_run(candidate: Candidate, comparison: Comparison) -> "FinishedRun":
    from huebands.registry.runs import FinishedRun

    estimates = comparison.estimates[candidate.name]
    figures = {
        f"{metric.key}{ending}": value
        for metric in METRICS
        if metric.key in estimates
        for ending, value in (
            ("", estimates[metric.key].value),
            ("_low", estimates[metric.key].low),
            ("_high", estimates[metric.key].high),
        )
    }
    return FinishedRun(
        name=candidate.name,
        params={"kind": candidate.kind, **candidate.params},
        metrics={name: value for name, value in figures.items() if math.isfinite(value)},
        tags={"git_commit": git_commit()},
        datasets=[_dataset(comparison.photos)],
    )


def _dataset(photos: PhotoSet) -> Dataset:
    return Dataset(photos.name, photos.sha256, photos.source, "comparison")
