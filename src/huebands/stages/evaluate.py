"""Stage evaluate: metrics and pictures of the trained generator on the test split."""

import json
from pathlib import Path

import pandas as pd

from huebands import params
from huebands.colorize.colours import ColourModel
from huebands.data.originals import Originals
from huebands.data.shards import LabShard, ShardError, read_manifest, read_split
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.metrics.evaluation import GREY, MODEL, best_median_worst, figures_of_photo, summarise_beside_grey
from huebands.metrics.report import PhotoScorer, in_words
from huebands.metrics.steadiness import measure_photos, summarise_steadiness
from huebands.package.generator import read_generator
from huebands.package.schema import PackageError
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto
from huebands.plots.pictures import Strip, draw_sheet

RAW, PREPARED = Path("data/raw"), Path("data/prepared")
TRAINED, REPORT = Path("models/trained"), Path("reports/evaluate")
STEADINESS_PHOTOS = 100  # at most, as each is coloured seven times at its own size


def main() -> None:
    """Read the photos and models/trained, write reports/evaluate."""
    try:
        settings = params.load().evaluate
        evaluate(RAW, PREPARED, TRAINED, REPORT, settings.sheet_rows, settings.seed)
    except (params.ParamsError, ShardError, PackageError, FetchError, ImageError) as error:
        raise SystemExit(f"evaluate: {error}") from error


def evaluate(raw: Path, prepared: Path, trained: Path, report: Path, sheet_rows: int, seed: int) -> None:
    """Replace the report: metrics.json, photos.csv and sheet.png of the test split."""
    photos, shard, generator = read_split(prepared, "test"), LabShard(prepared, "test"), read_generator(trained)
    colours = ColourModel.build(generator.network, generator.config)
    scorer, scores = PhotoScorer(), []
    for row in photos["row"]:
        truth_HW3 = shard.rgb([row])[0].permute(1, 2, 0).numpy()
        photo = GreyPhoto.of_rgb(truth_HW3)
        scores.append(scorer.score(truth_HW3, {MODEL: colours.predict(photo), GREY: photo.rgb}))
    figures = pd.DataFrame([figures_of_photo(score) for score in scores])
    table = pd.concat([photos[["id", "name"]].reset_index(drop=True), figures], axis=1)
    sample = Originals(raw, read_manifest(prepared)).sample("test", STEADINESS_PHOTOS)
    levels = ((photo.id, photo.grey.levels_HW) for photo in sample)
    steadiness = measure_photos(levels, lambda grey_HW: colours.predict(GreyPhoto(grey_HW)), seed)
    table = table.join(pd.DataFrame.from_dict(steadiness, orient="index"), on="id")
    summary = summarise_beside_grey(scores, seed) | summarise_steadiness(list(steadiness.values()), seed)
    with atomic.replace_folder(report) as new:
        atomic.write_text(new / "photos.csv", table.round(4).to_csv(index=False, lineterminator="\n"))
        text = json.dumps({**summary, "photos": len(scores)}, indent=2, allow_nan=False)
        atomic.write_text(new / "metrics.json", text + "\n")
        draw(new / "sheet.png", photos, table["ciede2000_model"].tolist(), shard, colours, sheet_rows)
    for name, values in summary.items():
        print(f"evaluate: {name} " + ", ".join(f"{key} {in_words(value)}" for key, value in values.items()))


def draw(
    path: Path, photos: pd.DataFrame, errors: list[float], shard: LabShard, colours: ColourModel, count: int
) -> None:
    """Draw the best, median and worst photos by their errors in CIEDE2000."""
    rows = []
    for label, positions in best_median_worst(errors, count).items():
        strips = []
        for position in positions:
            truth_HW3, photo = shard.rgb([position])[0].permute(1, 2, 0).numpy(), photos.iloc[position]
            grey = GreyPhoto.of_rgb(truth_HW3)
            caption = f"CIEDE2000 {errors[position]:.1f} · {photo['title'] or photo['name']}"
            strips.append(Strip(caption, (grey.levels_HW, colours.predict(grey), truth_HW3)))
        rows.append((label, strips))
    draw_sheet(path, rows, ("grey", "colorized", "truth"))


if __name__ == "__main__":
    main()
