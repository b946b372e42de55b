"""What the page says of the certainty of colours: the map's scale, the sure colours, and the extremes of a pixel."""

import numpy as np
import pytest
from playwright.sync_api import expect
from test_page import explore, explore_joint, joint, noise, page, ramp, set_confidence, visit, wait_until_drawn

from huebands.color import grey_levels
from huebands.conformal.error_map import ErrorCurve
from huebands.photos.heatmap import magma
from joint_density import with_joint_density
from page_maps import assert_maps, levels_of, shares_of
from page_pixels import pixels_of

__all__ = ["joint", "page", "visit"]  # fixtures

EXTREMES = """async ([tables, pixels]) => {
  const { extremesOf } = await import("/page/extremes.js");
  const { Luminance } = await import("/page/luminance.js");
  const luminance = new Luminance(tables);
  return pixels.map(([bounds, grey, shown]) => {
    const { first, second } = extremesOf(Uint8Array.from(bounds), grey, shown, luminance);
    return [first, second];
  });
}"""
NAMES = """async (colours) => {
  const { nameOf } = await import("/page/colours.js");
  return colours.map(nameOf);
}"""


@pytest.mark.parametrize("name", ["expected-error", "width"])
def test_a_scale_rises_over_all_colours_and_spreads_frequent_values(page, name):
    # By the model photos-large, the middle 90% of the pixels of 126 validation photos had these values.
    frequent = {"expected-error": (3.1, 13.5), "width": (0.19, 0.49)}[name]
    levels, unsure = levels_of(page, name, np.linspace(0, 20 if name == "expected-error" else 1, 500))
    assert (np.diff(levels) >= 0).all() and levels[0] == 0 and levels[-1] == 255
    (low, high), _ = levels_of(page, name, np.array(frequent))
    assert high - low > 150
    assert low < unsure < high


def test_the_map_has_words_at_its_ends_and_no_unit(page, joint):
    explore_joint(page, joint, noise())
    expect(page.locator(".legend")).to_have_text("SureA guess", use_inner_text=False)
    expect(page.locator("#map-meaning")).to_contain_text("dark is sure and bright is a guess")
    scale = page.locator("#scale").evaluate(
        "(canvas) => Array.from(canvas.getContext('2d').getImageData(0, 0, 256, 1).data)"
    )
    np.testing.assert_array_equal(np.array(scale).reshape(256, 4)[:, :3], magma())


def test_the_map_of_widths_stays_when_the_confidence_changes(page, joint):
    result = explore_joint(page, joint, ramp())
    page.get_by_role("radio", name="Range of colours").check()
    wait_until_drawn(page)
    assert_maps(page, "width", shares_of(result))
    set_confidence(page, 60)
    assert_maps(page, "width", shares_of(result))


def test_only_sure_colours_are_left_on_request(page, tiny_package):
    sometimes_sure = with_joint_density(tiny_package, ErrorCurve((0.0, 40.0), (0.0, 12.0)))
    result = explore_joint(page, sometimes_sure, noise())
    levels, unsure = levels_of(page, "expected-error", result.expected_error)
    switch = page.get_by_role("switch", name="Only colours that are sure")
    switch.check()
    is_sure = levels < unsure
    assert 0.02 < is_sure.mean() < 0.98, "the photo has both"
    expected = np.where(is_sure[..., None], result.rgb, result.grey[..., None])
    np.testing.assert_array_equal(pixels_of(page, "colorized"), expected)
    expect(page.locator("#sure-share")).to_contain_text(f"{100 * is_sure.mean():.0f}% of the photo keeps its colour")
    switch.uncheck()
    np.testing.assert_array_equal(pixels_of(page, "colorized"), result.rgb)


def test_the_extremes_lie_in_the_band_with_the_grey_of_the_pixel(page):
    from huebands.serving.workers.exploration import describe_tables

    random = np.random.default_rng(0)
    shown = random.integers(0, 256, (300, 3))
    grey = grey_of(shown)
    bounds = np.stack(
        (shown - random.integers(0, 90, shown.shape), shown + random.integers(0, 90, shown.shape)), axis=-1
    )
    bounds = bounds.clip(0, 255)
    sent = [
        [one.ravel().tolist(), int(level), colour.tolist()]
        for one, level, colour in zip(bounds, grey, shown, strict=True)
    ]
    extremes = np.array(page.evaluate(EXTREMES, [describe_tables(), sent]))
    assert ((extremes >= bounds[:, None, :, 0]) & (extremes <= bounds[:, None, :, 1])).all()
    for side in range(2):
        assert np.abs(grey_of(extremes[:, side]).astype(int) - grey).max() <= 1
    spread = np.abs(extremes[:, 0] - extremes[:, 1]).sum(axis=1)
    assert np.median(spread) > 60, "a wide band has extremes far apart"


def grey_of(colours):
    import torch

    return grey_levels(torch.from_numpy(colours.astype(np.uint8).T[:, None].copy()))[0].numpy()


def test_the_readout_names_the_extremes_and_shows_the_photo_in_them(page):
    explore(page, noise())
    page.locator("#stage").press("ArrowRight")
    expect(page.locator("#readout .extremes")).to_contain_text("possible.")
    patches = page.locator("#readout .patch").evaluate_all("(all) => all.map((patch) => patch.toDataURL())")
    assert len(set(patches)) == 2
    sizes = page.locator("#readout .patch").evaluate_all("(all) => all.map(({ width, height }) => [width, height])")
    assert sizes == [[30, 24], [30, 24]], "a patch ends where the photo does"


def test_colours_have_plain_names(page):
    names = page.evaluate(
        NAMES, [[0, 0, 0], [255, 255, 255], [128, 128, 128], [200, 30, 30], [40, 90, 200], [110, 70, 40]]
    )
    assert names == ["black", "white", "grey", "red", "blue", "brown"]


def test_g_m_and_c_show_one_picture_whole(page):
    explore(page, noise())
    shown = {"g": (100, 100), "m": (0, 0), "c": (0, 100)}
    for key, positions in shown.items():
        page.keyboard.press(key)
        handles = page.get_by_role("slider", name="Border").all()
        assert tuple(int(handle.get_attribute("aria-valuenow")) for handle in handles) == positions
    page.locator("#confidence-number").press("m")
    expect(page.get_by_role("radio", name="Colours", exact=True)).to_be_checked()


def test_no_term_of_statistics_is_outside_a_fold(page):
    explore(page, ramp())
    text = page.locator("main").inner_text()
    for term in ("1 − 1/(n + 1)", "p =", "channel", "CIEDE2000", "calibration", "exchangeable"):
        assert term not in text
