"""evaluate: metrics and pictures of the trained generator on the test split."""

import json
from pathlib import Path
from typing import Any

import pandas as pd

from huebands import params
from huebands.colorizer import Colorizer, grey_of
from huebands.data.shards import LabShard, ShardError, read_manifest
from huebands.metrics.report import score_photo, summarise
from huebands.package import PackageError
from huebands.pictures import Strip, draw_sheet

PREPARED, TRAINED, REPORT = Path("data/prepared"), Path("models/trained"), Path("reports/evaluate")


def main() -> None:
    """Read data/prepared and models/trained, write reports/evaluate."""
    try:
        evaluate(PREPARED, TRAINED, REPORT, params.load().evaluate.sheet_rows)
    except (params.ParamsError, ShardError, PackageError) as error:
        raise SystemExit(f"evaluate: {error}") from error


def evaluate(prepared: Path, trained: Path, report: Path, sheet_rows: int) -> None:
    """Write metrics.json, photos.csv and sheet.png of the test split."""
    shard, colorizer = LabShard(prepared, "test"), Colorizer.load(trained)
    manifest = read_manifest(prepared)
    photos = manifest[manifest["split"] == "test"].sort_values("row")
    if photos.empty:
        raise ShardError(f"{prepared}: the test split is empty; add photos or enlarge prepare.fractions.test")
    rows = []
    for photo in photos.itertuples():
        truth = shard.rgb(slice(photo.row, photo.row + 1))[0].permute(1, 2, 0).numpy()
        grey = grey_of(truth)
        rows.append({"id": photo.id, "name": photo.name, **score_photo(truth, colorizer.predict(grey), grey)})
    table = pd.DataFrame(rows)
    report.mkdir(parents=True, exist_ok=True)
    table.round(4).to_csv(report / "photos.csv", index=False, lineterminator="\n")
    summary: dict[str, Any] = summarise(table.drop(columns=["id", "name"]).to_dict("records"))
    text = json.dumps({**summary, "photos": len(table)}, indent=2, allow_nan=False)
    (report / "metrics.json").write_text(text + "\n", encoding="utf-8")
    _draw(report / "sheet.png", table.assign(title=photos["title"].to_numpy()), shard, colorizer, sheet_rows)
    for name, values in summary.items():
        print(f"evaluate: {name} " + ", ".join(f"{of} {value:.4g}" for of, value in values.items()))


def _draw(path: Path, table: pd.DataFrame, shard: LabShard, colorizer: Colorizer, count: int) -> None:
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
            grey = grey_of(truth)
            caption = f"CIEDE2000 {table['ciede2000_model'][index]:.1f} · {_title(table.loc[index])}"
            strips.append(Strip(caption, (grey, colorizer.predict(grey), truth)))
        rows.append((label, strips))
    draw_sheet(path, rows, ("grey", "colorized", "truth"))


def _title(photo: pd.Series) -> str:
    return str(photo["title"] or photo["name"])


if __name__ == "__main__":
    main()
