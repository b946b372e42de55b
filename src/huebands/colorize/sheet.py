"""A sheet of a model's best, median and worst photos."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from huebands.colorize.colours import ColourModel
from huebands.data.shards import LabShard
from huebands.metrics.evaluation import best_median_worst
from huebands.photos.grey import GreyPhoto
from huebands.plots.pictures import Strip, draw_sheet


def draw_best_median_worst(
    path: Path, photos: pd.DataFrame, errors: Sequence[float], shard: LabShard, colours: ColourModel, count: int
) -> None:
    """Draw the best, median and worst photos by their errors in CIEDE2000, `count` of each: grey, colorized, truth.

    Args:
        path: of the picture.
        photos: rows of the split's manifest, in the shard's order.
        errors: of the same photos.
        shard: of the split.
        colours: the model.
        count: of photos a group.
    """
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
