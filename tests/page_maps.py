"""The maps of uncertainty as the page draws them: values by its scale, in the colours of the heat map."""

from typing import TYPE_CHECKING

import numpy as np

from huebands import color
from huebands.colorize.result import Colorization
from huebands.photos.heatmap import magma
from page_pixels import pixels_of

if TYPE_CHECKING:
    from playwright.sync_api import Page

LEAST_REACH = 120  # levels, as in heat.js
LEVELS = """async ([map, values]) => {
  const { Scale } = await import("/page/scale.js");
  const scale = new Scale(map);
  return [values.map((value) => scale.level(value)), scale.unsureLevel];
}"""


def levels_of(page: "Page", name: str, values: np.ndarray) -> tuple[np.ndarray, int]:
    """The levels of a map's values, and the first level that is not sure."""
    levels, unsure = page.evaluate(LEVELS, [name, values.astype(float).ravel().tolist()])
    return np.array(levels).reshape(values.shape), unsure


def shares_of(result: Colorization) -> np.ndarray:
    """Of the levels that sRGB can show at each pixel's grey, the share that its bands hold."""
    ends = color.gamut_table().numpy().astype(np.int64)
    grey = np.arange(256)[:, None]
    reach = ((grey - ends[..., 0]).clip(0) + (ends[..., 1] - grey).clip(0)).sum(axis=1)
    shares: np.ndarray = 3 * result.width / np.maximum(reach, LEAST_REACH)[result.grey]
    return shares


def assert_maps(page: "Page", name: str, values: np.ndarray) -> None:
    """Check that the page shows this map of these values."""
    levels, _ = levels_of(page, name, values)
    shown = pixels_of(page, "heat")
    difference = np.abs(shown.astype(int) - magma()[levels]).max(axis=-1)
    # A value between two levels may be rounded either way.
    assert shown.shape[:2] == values.shape
    assert (difference <= 6).all() and (difference > 0).mean() < 0.01
