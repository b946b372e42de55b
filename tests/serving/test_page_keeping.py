"""What is taken away from the page, and other ways to see it: kept files, print, no script, and the model in words."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from test_page import choose, explore, noise, page, ramp, visit

from page_pixels import pixels_of

__all__ = ["page", "visit"]  # fixtures


def keep(page, name):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.suggested_filename, download.value.path().read_bytes()


def test_before_and_after_are_kept_as_one_picture(page):
    explore(page, ramp(200, 300))
    name, content = keep(page, "One picture")
    picture = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    assert name == "cat.before-and-after.png"
    np.testing.assert_array_equal(picture[16:216, 16:316], pixels_of(page, "grey"))
    np.testing.assert_array_equal(picture[16:216, -316:-16], pixels_of(page, "colorized"))
    assert (picture[232:] < 100).any(), "a line says what they are"


def test_the_kept_page_needs_nothing_else_and_shows_names_as_text(visit, browser, tmp_path):
    page, name = visit(), "<b>cat</b>.png"
    explore(page, ramp(), name)
    _, content = keep(page, "One page")
    (tmp_path / "kept.html").write_bytes(content)
    context = browser.new_context()
    kept, requests = context.new_page(), []
    kept.on("request", lambda request: requests.append(request.url.split(":")[0]))
    kept.goto((tmp_path / "kept.html").as_uri())
    expect(kept.locator("h1")).to_have_text(name)
    expect(kept.locator("body")).to_contain_text("they are not a record of the true ones")
    assert kept.locator("img").evaluate_all("(all) => all.every(({ naturalWidth }) => naturalWidth > 0)")
    kept.get_by_role("slider").press("Home")
    assert kept.locator(".pair").evaluate("(pair) => pair.style.getPropertyValue('--border')") == "0%"
    assert set(requests) <= {"file", "data"}
    context.close()


def test_print_has_the_pictures_and_no_controls(page):
    explore(page, ramp())
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    for control in ("#arrangement", "#drop", "#photos", "#files", "#keepsakes", "#confidence", "#only-sure"):
        expect(page.locator(control)).to_be_hidden()
    for view in ("grey", "colorized", "heat"):
        assert page.locator(f".{view} canvas").evaluate("(canvas) => getComputedStyle(canvas).clipPath") == "none"
    for bar in (".track .band", "#scale", ".tile.first"):
        adjust = "(element) => getComputedStyle(element).printColorAdjust"
        assert page.locator(bar).first.evaluate(adjust) == "exact"
    assert page.locator(".card").evaluate_all(
        "(all) => all.every((card) => getComputedStyle(card).breakInside === 'avoid')"
    )
    expect(page.locator("#readout .channel").first).to_be_visible()
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(page.locator("#readout .channel").first).to_be_hidden()


def test_forced_colours_keep_the_colours_of_the_photo_and_the_choices(page):
    explore(page, noise())
    page.emulate_media(forced_colors="active")
    adjust = "(element) => getComputedStyle(element).forcedColorAdjust"
    for shown in (".tile.first", ".track .band", ".choice input:checked + span"):
        assert page.locator(shown).first.evaluate(adjust) == "none"


def test_without_script_a_form_sends_the_photo(visit, url):
    page = visit(java_script_enabled=False)
    expect(page.locator(".examples")).to_be_hidden()
    choose(page, ramp())
    expect(page.locator("#file")).to_be_visible()
    with page.expect_response(f"{url}/colorize") as response:
        page.get_by_role("button", name="Colorize").click()
    expected = httpx.post(f"{url}/colorize", files={"image": ("cat.png", ramp())}, timeout=60)
    assert (response.value.status, response.value.body()) == (200, expected.content)


def test_without_script_a_refusal_is_a_page_with_the_reason(visit, url):
    page = visit(java_script_enabled=False)
    page.locator("#file").set_input_files({"name": "<b>.png", "mimeType": "image/png", "buffer": b"no picture"})
    with page.expect_response(f"{url}/colorize") as response:
        page.get_by_role("button", name="Colorize").click()
    assert response.value.status == 415
    reason = httpx.post(f"{url}/colorize", files={"image": ("<b>.png", b"no picture")}).json()["error"]
    expect(page.get_by_role("alert")).to_have_text(reason)
    page.get_by_role("link", name="Back to the photos").click()
    expect(page.locator("#file")).to_be_visible()


@pytest.mark.parametrize(("path", "back"), [("nothing", "./"), ("page/no/such.js", "../../")])
def test_a_missing_path_is_a_page_for_a_browser_and_json_for_programs(url, path, back):
    page = httpx.get(f"{url}/{path}", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f'<a href="{back}">Back to the photos</a>' in page.text and "default-src 'none'" in str(page.headers)
    for accept in ("*/*", "application/json", "application/json, text/html"):
        assert httpx.get(f"{url}/{path}", headers={"Accept": accept}).json() == {"error": "Not Found"}


def test_the_model_is_told_in_words(page, url):
    page.locator("footer").get_by_role("link", name="Model").click()
    model = httpx.get(f"{url}/model").json()
    expect(page.locator("#about")).to_contain_text(model["version"])
    expect(page.locator("#about")).to_contain_text("19 photos")
    curve = [point for point in model["certificate"]["curve"] if point["mode"] == "per_channel"]
    rows = page.locator("#coverage tbody tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        [f"{round(100 * (1 - point['alpha']))}%", f"{100 * point['coverage']:.1f}%", f"{point['width']:.0f}"]
        for point in curve
    ]
    expect(page.locator("#alarms")).to_contain_text("No alarm")
    expect(page.locator("#error")).to_be_empty()
