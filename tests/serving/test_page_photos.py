"""Several photos on the page: the strip, refused files, advice, and what is there after a reload."""

import base64

import httpx
import numpy as np
from playwright.sync_api import expect
from test_page import choose, explore, noise, page, ramp, set_confidence, visit, wait_until_drawn

from huebands.photos.write import encode_png
from page_pixels import pixels_of

__all__ = ["page", "visit"]  # fixtures

FRAMED = encode_png(np.pad(np.random.default_rng(0).integers(0, 200, (60, 80), dtype=np.uint8), 6, constant_values=250))
DROP = """(files) => {
  const data = new DataTransfer();
  for (const [name, bytes] of files) {
    data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], name));
  }
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
}"""


def file(name, content):
    return {"name": name, "mimeType": "image/png", "buffer": content}


def choose_all(page, **photos):
    """Choose photos together, and wait until the service has answered for all."""
    page.locator("#file").set_input_files([file(f"{name}.png", content) for name, content in photos.items()])
    wait_for_all(page)


def wait_for_all(page):
    expect(page.locator("#photos li:is([data-state=waiting], [data-state=working])")).to_have_count(0)
    expect(page.locator("#progress")).to_be_hidden()


def in_strip(page, name):
    return page.locator("#photos .photo").filter(has_text=name)


def test_all_dropped_photos_are_colorized_and_the_first_is_shown(page):
    files = [(f"{name}.png", base64.b64encode(noise(20, width)).decode()) for name, width in (("one", 21), ("two", 22))]
    page.evaluate(DROP, files)
    wait_for_all(page)
    expect(page.locator("#photo")).to_have_text("one.png, 21 × 20")
    expect(in_strip(page, "one.png")).to_have_attribute("aria-current", "true")
    in_strip(page, "two.png").click()
    expect(page.locator("#photo")).to_have_text("two.png, 22 × 20")
    wait_until_drawn(page)
    assert pixels_of(page, "colorized").shape == (20, 22, 3)


def test_a_refused_file_is_told_beside_the_others(page):
    choose_all(page, one=noise(), notes=b"just a text", two=ramp())
    expect(page.locator("#photo")).to_contain_text("one.png")
    expect(page.get_by_role("alert")).to_contain_text("notes.png: is not an image")
    expect(in_strip(page, "notes.png")).to_contain_text("refused; is not an image")
    expect(in_strip(page, "two.png")).to_contain_text("unusual photo")


def test_where_the_first_file_is_refused_the_next_is_shown(page):
    choose_all(page, notes=b"just a text", two=noise())
    expect(page.locator("#photo")).to_contain_text("two.png")
    in_strip(page, "notes.png").click()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.get_by_role("alert")).to_contain_text("is not an image")


def test_a_refused_file_leaves_no_other_photo_on_show(page):
    explore(page, noise())
    choose(page, b"just a text", "notes.png")
    expect(page.get_by_role("alert")).to_contain_text("notes.png: is not an image")
    expect(page.locator("#result")).to_be_hidden()
    in_strip(page, "cat.png").click()
    expect(page.locator("#photo")).to_contain_text("cat.png")
    expect(page.get_by_role("alert")).to_be_empty()


def test_a_photo_that_someone_has_chosen_stays_when_others_arrive(page):
    explore(page, noise())
    page.route("**/explore", lambda route: None, times=1)
    choose(page, ramp(), "slow.png")
    in_strip(page, "cat.png").click()
    wait_until_drawn(page)
    page.get_by_role("button", name="Cancel").click()
    expect(in_strip(page, "slow.png")).to_have_count(0)
    expect(page.locator("#photo")).to_contain_text("cat.png")


def test_the_result_gets_the_focus_when_it_comes(page):
    explore(page, noise())
    expect(page.locator("#photo")).to_be_focused()


def test_a_border_is_cut_off_by_one_click(page):
    explore(page, FRAMED)
    expect(page.locator("#photo")).to_have_text("cat.png, 92 × 72")
    expect(in_strip(page, "cat.png")).to_contain_text("has a border")
    page.get_by_role("button", name="Crop the border").click()
    expect(page.locator("#photo")).to_have_text("cat.png, 80 × 60")
    expect(page.locator("#warning")).not_to_contain_text("border")
    expect(page.locator("#photos li")).to_have_count(1)
    forms = []

    def refuse(route):
        forms.append(route.request.post_data_buffer)
        route.fulfill(status=422, json={"error": "not now"})

    page.route("**/bands", refuse)
    page.get_by_role("button", name="All, with report").click()
    expect(page.get_by_role("alert")).to_have_text("not now")
    assert b'name="crop_border"\r\n\r\ntrue' in forms[0], "the downloads are of the picture too"


def test_a_photo_with_colour_of_its_own_is_told(page):
    explore(page, noise(64, 64))
    expect(page.locator("#warning")).to_contain_text("has colour of its own")
    expect(in_strip(page, "cat.png")).to_contain_text("has colour")


def test_photos_and_settings_survive_a_reload(page):
    choose_all(page, one=noise(), two=ramp())
    in_strip(page, "two.png").click()
    set_confidence(page, 70)
    colours = pixels_of(page, "colorized")
    requests = []
    page.on("request", lambda request: requests.append(request.method))
    page.reload()
    expect(page.locator("#photo")).to_have_text("two.png, 60 × 40")
    wait_until_drawn(page)
    expect(page.locator("#confidence-number")).to_have_value("70")
    np.testing.assert_array_equal(pixels_of(page, "colorized"), colours)
    expect(page.locator("#photos li")).to_have_count(2)
    assert "POST" not in requests


def test_a_removed_photo_is_gone_after_a_reload_too(page):
    choose_all(page, one=noise(), two=ramp())
    page.get_by_role("button", name="Remove one.png").click()
    expect(page.locator("#photo")).to_contain_text("two.png")
    page.reload()
    expect(page.locator("#photo")).to_contain_text("two.png")
    expect(page.locator("#photos li")).to_have_count(1)
    page.get_by_role("button", name="Remove two.png").click()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#photos")).to_be_hidden()


def test_a_browser_that_keeps_nothing_says_so(visit):
    page = visit()
    page.add_init_script("IDBFactory.prototype.open = () => { throw new Error('forbidden'); };")
    page.reload()
    explore(page, noise())
    expect(page.locator("#unkept")).to_have_text(
        "This browser keeps no photos for later (forbidden): save what you need."
    )


def test_a_kept_result_of_another_model_is_told_and_made_again_by_one_click(page, url):
    explore(page, noise())
    expect(page.locator("#warning")).not_to_contain_text("model")
    model = httpx.get(f"{url}/model").json()
    page.route("**/model", lambda route: route.fulfill(json={**model, "version": "0" * 12}))
    page.reload()
    expect(page.locator("#warning")).to_contain_text("Another model, tiny, made these colours.")
    with page.expect_response("**/explore"):
        page.get_by_role("button", name="Colorize again").click()


def test_a_file_name_is_shown_as_text(page):
    name = "<img src=x onerror=alert(1)>.png"
    choose(page, noise(), name)
    expect(page.locator("#photo")).to_contain_text(name)
    expect(page.locator("#photos .name")).to_have_text(name)


def pretend(page, path, version):
    """Let the answers of a path name another version of the model."""

    def answer(route):
        response = route.fetch()
        headers = response.headers | {"huebands-version": version}
        if path == "model":
            route.fulfill(response=response, headers=headers, json=response.json() | {"version": version})
        else:
            route.fulfill(response=response, headers=headers)

    page.route(f"**/{path}", answer)


def test_a_photo_of_a_model_that_came_into_use_while_the_page_was_open_is_no_others(visit, url):
    version = httpx.get(f"{url}/model").json()["version"]
    page = visit()
    pretend(page, "model", "0" * 12)
    page.reload()
    expect(page.locator("#model")).to_contain_text("version 000000000000")
    page.unroute("**/model")
    explore(page, noise())
    expect(page.locator("#model")).to_contain_text(f"version {version}")
    expect(page.locator("#warning")).not_to_contain_text("Another model")


def test_files_of_another_model_than_the_one_on_show_are_not_taken(page):
    explore(page, noise())
    expect(page.locator("#warning")).not_to_contain_text("Another model")
    for path in ("bands", "model"):
        pretend(page, path, "0" * 12)
    page.locator("#files button").first.click()
    expect(page.get_by_role("alert")).to_contain_text("The service has another model now")
    expect(page.locator("#warning")).to_contain_text("Another model, tiny, made these colours.")
    expect(page.get_by_role("button", name="Colorize again")).to_be_visible()
