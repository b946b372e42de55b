"""evaluate: metrics and pictures of the trained generator on the test split."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from huebands import params
from huebands.colorize.colours import ColourModel
from huebands.data.shards import LabShard, ShardError, read_manifest
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.metrics.report import METRICS, OF_TRUTH, PhotoScorer, ScoredPhoto, in_words, summarise
from huebands.package.generator import read_generator
from huebands.package.schema import PackageError
from huebands.photos.grey import GreyPhoto
from huebands.plots.pictures import Strip, draw_sheet

PREPARED, TRAINED, REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/evaluate")


def main() -> None:
    """Read data/prepared and models/trained, write reports/evaluate."""
    try:
        settings = params.load().evaluate
        evaluate(PREPARED, TRAINED, REPORT, settings.sheet_rows, settings.seed)
    except (params.ParamsError, ShardError, PackageError, FetchError) as error:
        raise SystemExit(f"evaluate: {error}") from error


def evaluate(prepared: Path, trained: Path, report: Path, sheet_rows: int, seed: int) -> None:
    """Replace the report: metrics.json, photos.csv and sheet.png of the test split."""
    shard, colours = LabShard(prepared, "test"), colours_of(trained)
    manifest = read_manifest(prepared)
    photos = manifest[manifest["split"] == "test"].sort_values("row")
    if photos.empty:
        raise ShardError(f"{prepared}: the test split is empty; add photos or enlarge prepare.fractions.test")
    scorer, scores = PhotoScorer(), []
    for row in photos["row"]:
        truth = shard.rgb([row])[0].permute(1, 2, 0).numpy()
        photo = GreyPhoto.of_rgb(truth)
        scores.append(scorer.score(truth, {"model": colours.predict(photo), "grey": photo.rgb}))
    table = pd.DataFrame(
        [
            {"id": photo.id, "name": photo.name, **_row(score)}
            for photo, score in zip(photos.itertuples(), scores, strict=True)
        ]
    )
    summary = _summary(scores, seed)
    text = json.dumps({**summary, "photos": len(scores)}, indent=2, allow_nan=False)
    with atomic.replace_folder(report) as new:
        atomic.write_text(new / "photos.csv", table.round(4).to_csv(index=False, lineterminator="\n"))
        atomic.write_text(new / "metrics.json", text + "\n")
        _draw(new / "sheet.png", table.assign(title=photos["title"].to_numpy()), shard, colours, sheet_rows)
    for name, values in summary.items():
        print(f"evaluate: {name} " + ", ".join(f"{of} {in_words(value)}" for of, value in values.items()))


def colours_of(trained: Path) -> ColourModel:
    """Read the trained generator."""
    generator = read_generator(trained)
    return ColourModel.build(generator.network, generator.config)


def _row(score: ScoredPhoto) -> dict[str, float]:
    """Name a photo's figures for the table: <metric>_model, <metric>_grey and, where it has one, <metric>_truth."""
    of = {**score.results, "truth": score.truth}
    return {
        f"{metric.key}_{name}": one.figures[metric.key]
        for metric in METRICS
        for name, one in of.items()
        if metric.key in one.figures
    }


def _summary(scores: Sequence[ScoredPhoto], seed: int) -> dict[str, dict[str, float | None]]:
    """Sum up over photos: {metric: {"model", "low", "high", "grey"}}, with the truth or KID's standard error beside."""
    truths = [score.truth for score in scores]
    model, grey = (summarise(truths, [score.results[name] for score in scores], seed) for name in ("model", "grey"))
    summary: dict[str, dict[str, float | None]] = {}
    for metric in METRICS:
        if metric.key not in model:
            continue
        estimate = model[metric.key]
        values = {"model": estimate.value, "low": estimate.low, "high": estimate.high, "grey": grey[metric.key].value}
        if metric.key in OF_TRUTH:
            values["truth"] = float(np.mean([truth.figures[metric.key] for truth in truths]))
        if metric.key == "kid":
            values["standard_error"] = estimate.standard_error
        summary[metric.key] = {name: metric.rounded(value) for name, value in values.items()}
    return summary


def _draw(path: Path, table: pd.DataFrame, shard: LabShard, colours: ColourModel, count: int) -> None:
    """Draw the best, median and worst photos by CIEDE2000."""
    order = table["ciede2000_model"].sort_values(kind="stable").index
    count = min(count, len(order))
    middle = (len(order) - count) // 2
    picks = {"best": order[:count], "median": order[middle : middle + count], "worst": order[-count:]}
    rows = []
    for label, indices in picks.items():
        strips = []
        for index in indices:
            truth = shard.rgb([index])[0].permute(1, 2, 0).numpy()
            photo = GreyPhoto.of_rgb(truth)
            caption = f"CIEDE2000 {table['ciede2000_model'][index]:.1f} · {_title(table.loc[index])}"
            strips.append(Strip(caption, (photo.levels_HW, colours.predict(photo), truth)))
        rows.append((label, strips))
    draw_sheet(path, rows, ("grey", "colorized", "truth"))


def _title(photo: pd.Series) -> str:
    return str(photo["title"] or photo["name"])


if __name__ == "__main__":
    main()
