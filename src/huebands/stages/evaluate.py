"""Stage evaluate: metrics and pictures of the trained generator on the test split."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from huebands import params
from huebands.colorize.colours import ColourModel
from huebands.colorize.sheet import draw_best_median_worst
from huebands.data.originals import Originals
from huebands.data.shards import LabShard, ShardError, read_manifest, read_split
from huebands.data.source_name import source_name
from huebands.fetch.pypi import FetchError
from huebands.files import atomic
from huebands.files.cells import cell
from huebands.metrics.evaluation import (
    GREY,
    MODEL,
    figures_of_photo,
    summarise_beside_grey,
    summarise_by_source,
)  # fmt: skip
from huebands.metrics.report import PhotoScorer, in_words
from huebands.metrics.steadiness import measure_photos, summarise_steadiness
from huebands.package.generator import read_generator
from huebands.package.schema import PackageError
from huebands.photos.errors import ImageError
from huebands.photos.grey import GreyPhoto

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
    judged_by_inception = generator.network.judged_by_inception(generator.network.params)
    summary: dict[str, Mapping[str, float | None]] = {
        **summarise_beside_grey(scores, seed, judged_by_inception),
        **summarise_steadiness(list(steadiness.values()), seed),
    }
    by_source = summarise_by_source(scores, [source_name(source) for source in photos["source"]])
    with atomic.replace_folder(report) as new:
        atomic.write_text(new / "photos.csv", table.round(4).map(cell).to_csv(index=False, lineterminator="\n"))
        text = json.dumps({**summary, "photos": len(scores), "sources": by_source}, indent=2, allow_nan=False)
        atomic.write_text(new / "metrics.json", text + "\n")
        draw_best_median_worst(new / "sheet.png", photos, table["ciede2000_model"].tolist(), shard, colours, sheet_rows)
    if not judged_by_inception:
        print("evaluate: FID and KID are left out: they look through Inception v3, this generator's encoder")
    for name, values in summary.items():
        print(f"evaluate: {name} " + ", ".join(f"{key} {in_words(value)}" for key, value in values.items()))


if __name__ == "__main__":
    main()
