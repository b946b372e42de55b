"""A reference photo on the page, in a real browser: chosen or dropped, shown, sent with the downloads, and removed."""

import base64
import re

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect
from test_page import explore, pixels_of, ramp, visit  # noqa: F401  # visit is a fixture

from huebands.colorize.exemplar import Exemplar
from huebands.conformal.guarantee import Guarantee
from huebands.photos.write import encode_png
from huebands.serving.workers.jobs import Job, Refusal
from huebands.serving.workers.worker import work
from reference_colours import with_reference

REFERENCE = encode_png(np.random.default_rng(3).integers(0, 256, (20, 24, 3), dtype=np.uint8))
DROP = """([bytes, selector]) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "like.png", { type: "image/png" }));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.querySelector(selector).dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true }));
  }
}"""


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return with_reference(tiny_package)


@pytest.fixture
def page(visit, url, colorizer):  # noqa: F811
    """The page of a model that takes a reference; every photo is the same ramp."""
    page = visit()

    def answer(route):
        like = part_of(route.request, "like")
        outcome = work(colorizer, Job(kind="explore", content=ramp(), name="cat.png", guarantee=Guarantee(), like=like))
        if isinstance(outcome, Refusal):
            route.fulfill(status=outcome.status, json={"error": outcome.reason})
        else:
            route.fulfill(body=outcome.body, content_type="application/zip")

    model = httpx.get(f"{url}/model").json()
    page.route("**/model", lambda route: route.fulfill(json={**model, "like": True}))
    page.route("**/explore", answer)
    page.reload()
    explore(page, ramp())
    return page


def part_of(request, name):
    """The file of a form's field, None where it is missing."""
    body, boundary = request.post_data_buffer, request.headers["content-type"].partition("boundary=")[2].encode()
    for part in body.split(b"--" + boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if re.search(rb'name="%b"' % name.encode(), head):
            return content.removesuffix(b"\r\n")
    return None


def choose(page, content=REFERENCE, name="like.png"):
    page.locator("#reference .choose").set_input_files({"name": name, "mimeType": "image/png", "buffer": content})


def is_like(page, colorizer):
    expect(page.locator("#reference .status")).to_have_text("Colours like like.png.")
    expected = colorizer.colorize(ramp(), like=Exemplar.read(REFERENCE))
    np.testing.assert_array_equal(pixels_of(page, "colorized"), expected.rgb)
    expect(page.locator("#promise")).to_have_text(expected.caveat)


def test_a_chosen_reference_gives_its_colours_and_replaces_the_promise(page, colorizer):
    choose(page)
    is_like(page, colorizer)
    expect(page.locator("#reference img")).to_be_visible()


def test_a_dropped_reference_does_too_and_a_photo_dropped_elsewhere_is_a_photo(page, colorizer):
    content = base64.b64encode(REFERENCE).decode()
    page.evaluate(DROP, [content, "#reference .hint"])
    is_like(page, colorizer)
    page.evaluate(DROP, [content, "#drop"])
    expect(page.locator("#reference img")).to_be_hidden()
    expect(page.locator("#promise")).to_contain_text("over many photos")


def test_it_can_be_removed(page):
    choose(page)
    expect(page.locator("#reference img")).to_be_visible()
    page.get_by_role("button", name="Remove the reference").click()
    expect(page.locator("#reference img")).to_be_hidden()
    np.testing.assert_array_equal(pixels_of(page, "colorized"), pixels_of(page, "grey"))
    expect(page.locator("#promise")).to_contain_text("over many photos")


def test_the_downloads_send_it(page):
    sent = []

    def refuse(route):
        sent.append(part_of(route.request, "like"))
        route.fulfill(status=422, json={"error": "not now"})

    page.route("**/bands", refuse)
    choose(page)
    expect(page.locator("#reference img")).to_be_visible()
    page.get_by_role("button", name="All, with report").click()
    expect(page.get_by_role("alert")).to_have_text("not now")
    assert sent == [REFERENCE]


def test_a_refused_reference_is_explained_and_leaves_the_page_as_it_was(page, colorizer):
    choose(page)
    is_like(page, colorizer)
    choose(page, ramp(), "grey.png")
    expect(page.get_by_role("alert")).to_contain_text("has no colours to take")
    is_like(page, colorizer)


def test_another_model_offers_none(visit):  # noqa: F811
    page = visit()
    explore(page, ramp())
    expect(page.locator("#reference")).to_be_hidden()
