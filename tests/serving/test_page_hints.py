"""Colour hints on the page, in a real browser; the answers of a model that takes hints are made here."""

import functools
import io
import json
import re
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect
from test_page import (
    PHONE,
    count_pixels,
    explore,
    noise,
    page,
    pixels_of,
    ramp,
    reading,
    set_confidence,
    visit,
    wait_until_drawn,
)

from huebands.colorize.hints import HintRequest
from huebands.colorize.sampling import Sampling
from huebands.conformal.guarantee import Guarantee
from huebands.photos.write import encode_png
from huebands.serving.answers import model_headers
from huebands.serving.workers.jobs import Job
from huebands.serving.workers.worker import work
from page_maps import assert_maps, shares_of
from painted_hints import calibrate_with_hints, draw_photo, with_calibrations, with_hints, without_calibration
from several_colourings import with_samples

__all__ = ["page", "visit"]  # fixtures

RADIUS = 3
CAVEAT = "Where a hint was given, nothing is promised."
RED, GREEN, BLUE = "#ff0000", "#00ff00", "#0000ff"
PART = re.compile(rb'\r\n.*; name="(\w+)"(?:; filename="([^"]*)")?\r\n(?:Content-Type: [^\r]*\r\n)?\r\n')


def form_of(request):
    """The fields of a multipart form: texts, and bytes of files."""
    boundary = request.header_value("content-type").split("boundary=")[1].encode()
    fields = {}
    for part in request.post_data_buffer.split(b"--" + boundary)[1:-1]:
        head = PART.match(part)
        content = part[head.end() : -2]
        fields[head[1].decode()] = content.decode() if head[2] is None else content
    return fields


def points_of(form):
    """The dots of a form: [((x, y), colour)]."""
    points = [point.split(",") for point in form["hint"].split(" ")] if "hint" in form else []
    return [((int(x), int(y)), colour) for x, y, colour in points]


def paint(form, height, width):
    """The hints of a form as a picture, RGBA."""
    painted = np.zeros((height, width, 4), np.uint8)
    if "hints" in form:
        painted = np.array(Image.open(io.BytesIO(form["hints"])))
    rows, columns = np.ogrid[:height, :width]
    for (x, y), colour in points_of(form):
        painted[(rows - y) ** 2 + (columns - x) ** 2 <= RADIUS**2] = (*bytes.fromhex(colour[1:]), 255)
    return painted


class Service:
    """Answers /explore as if a model painted each hint as it was sent, and remembers the forms."""

    def __init__(self, colorizer):
        self.headers = model_headers(colorizer.package)
        self.work = functools.cache(lambda **job: work(colorizer, Job(name="cat.png", **job)).body)
        self.forms = []
        self.unusual = set()
        self.refusal = None

    def explore(self, route):
        form = form_of(route.request)
        self.forms.append(form)
        if self.refusal is None:
            route.fulfill(body=self.answer(form), headers=self.headers, content_type="application/zip")
        else:
            route.fulfill(status=422, json={"error": self.refusal})

    def answer(self, form):
        sampling = Sampling(count=int(form["samples"]), seed=int(form["seed"])) if "samples" in form else None
        archive = self.work(kind="explore", content=form["image"], guarantee=Guarantee(), sampling=sampling)
        with zipfile.ZipFile(io.BytesIO(archive)) as source:
            entries = {name: source.read(name) for name in source.namelist()}
        description = json.loads(entries["exploration.json"])
        description |= {"hints": None, "caveat": None}
        if {"hint", "hints"} & form.keys():
            unusual = [{"x": x, "y": y} for (x, y), _ in points_of(form) if (x, y) in self.unusual]
            description |= {"hints": {"radius": RADIUS, "unusual": unusual}, "caveat": CAVEAT}
            entries["colorized.png"] = self.colorize(entries["colorized.png"], form, description)
        entries["exploration.json"] = json.dumps(description).encode()
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target:
            for name, content in entries.items():
                target.writestr(name, content)
        return buffer.getvalue()

    @staticmethod
    def colorize(png, form, description):
        stride = description["stride"]
        colours = np.array(Image.open(io.BytesIO(png)))
        painted = paint(form, description["height"], description["width"])[::stride, ::stride]
        return encode_png(np.where(painted[..., 3:] > 0, painted[..., :3], colours))


@pytest.fixture(scope="module")
def several(tiny_package):
    return with_samples(tiny_package)


@pytest.fixture
def service(several):
    return Service(several)


def offer_hints(page, url, service):
    """Let the page believe that the served model takes hints."""
    model = httpx.get(f"{url}/model").json()
    page.route("**/model", lambda route: route.fulfill(json={**model, "hints": True, "samples": 8}))
    page.route("**/explore", service.explore)
    page.reload()


@pytest.fixture
def painting(page, url, service):
    """A page with a photo, of 30 x 24 pixels, that is ready to be painted on."""
    offer_hints(page, url, service)
    explore(page, noise())
    page.get_by_role("button", name="Paint hints").click()
    return page


def on_screen(page, column, row, view="grey"):
    """Where a pixel of the picture that is shown lies on the screen."""
    page.locator("#stage").scroll_into_view_if_needed()
    frame = page.locator(f".{view} canvas").bounding_box()
    width, height = page.locator(f".{view} canvas").evaluate("(canvas) => [canvas.width, canvas.height]")
    return frame["x"] + (column + 0.5) / width * frame["width"], frame["y"] + (row + 0.5) / height * frame["height"]


def read_at(page, column, row):
    """The intervals that the readout shows at a pixel under the mouse."""
    page.mouse.move(*on_screen(page, column, row))
    place, _, intervals = reading(page)
    assert place == (column, row)
    return intervals


def click_at(page, column, row, view="grey"):
    """Click a pixel of the picture that is shown, by mouse or by finger."""
    place = on_screen(page, column, row, view)
    if page.evaluate("navigator.maxTouchPoints") > 0:
        page.touchscreen.tap(*place)
    else:
        page.mouse.click(*place)


def dot(page, column, row, colour=RED, view="grey"):
    """Add a dot, and wait for the colours."""
    page.get_by_label("Colour of the hints").fill(colour)
    click_at(page, column, row, view)
    wait_for_answer(page)


def wait_for_answer(page):
    expect(page.locator("#hints .status")).not_to_contain_text("…")


def rings(page, view="grey"):
    """The dots that are shown over a picture: [(place in percent, colour, whether dashed)]."""
    return page.locator(f".{view} .dots i").evaluate_all(
        """(rings) => rings.map((ring) => [
          [parseFloat(ring.style.left), parseFloat(ring.style.top)], ring.style.borderColor,
          getComputedStyle(ring).borderTopStyle === "dashed"])"""
    )


def choose_hints(page, picture, name="strokes.png"):
    file = {"name": name, "mimeType": "image/png", "buffer": picture}
    page.get_by_label("Upload hints").set_input_files(file)


def upload(page, picture, name="strokes.png"):
    """Upload a picture of hints, and wait for the colours."""
    with page.expect_request("**/explore"):
        choose_hints(page, picture, name)
    wait_for_answer(page)


def strokes(height=24, width=30):
    """A picture of hints: a yellow stroke, else transparent."""
    rgba = np.zeros((height, width, 4), np.uint8)
    rgba[2:5, 1:20] = (250, 220, 10, 255)
    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, "png")
    return buffer.getvalue()


def explore_another(page):
    explore(page, noise(20, 20))
    expect(page.locator("#photo")).to_have_text("cat.png, 20 × 20")


def test_a_model_that_takes_no_hints_offers_none(page):
    explore(page, noise())
    expect(page.locator("#hints")).to_be_hidden()
    expect(page.get_by_role("button", name="Paint hints")).to_have_count(0)


@pytest.mark.parametrize(("content", "stride"), [(noise(), 1), (ramp(1300, 1301), 2)])
def test_a_dot_is_sent_with_its_place_and_colour_and_the_colours_follow(page, url, service, content, stride):
    offer_hints(page, url, service)
    explore(page, content)
    page.get_by_role("button", name="Paint hints").click()
    dot(page, 7, 15, GREEN)
    assert points_of(service.forms[-1]) == [((7 * stride, 15 * stride), GREEN)]
    assert service.forms[-1]["image"] == content
    expect(page.locator("#hints .status")).to_have_text("Shown with 1 dot.")
    assert pixels_of(page, "colorized")[15, 7].tolist() == [0, 255, 0]
    [(place, colour, is_dashed)] = rings(page)
    height, width = pixels_of(page, "grey").shape[:2]
    assert place == pytest.approx([100 * 7.5 / width, 100 * 15.5 / height], abs=0.001)
    assert (colour, is_dashed) == ("rgb(0, 255, 0)", False)


def test_a_dot_recolours_its_surface_and_narrows_the_bands_there(page, url, tiny_package):
    """With a model that takes hints and is calibrated under them, and the worker that serves it."""
    colorizer = without_calibration(tiny_package)
    colorizer = with_calibrations(colorizer, calibrate_with_hints(colorizer))
    photo = draw_photo(0, "page")
    content = encode_png(photo.grey.levels_HW)

    def answer(route):
        hints = HintRequest.asked(form_of(route.request).get("hint", "").split(), None)
        job = Job(kind="explore", content=content, name="cat.png", guarantee=Guarantee(), hints=hints)
        route.fulfill(body=work(colorizer, job).body, content_type="application/zip")

    model = httpx.get(f"{url}/model").json()
    page.route("**/model", lambda route: route.fulfill(json={**model, "hints": True}))
    page.route("**/explore", answer)
    page.reload()
    explore(page, content)
    before, bands = pixels_of(page, "colorized"), read_at(page, 20, 24)
    page.get_by_role("button", name="Paint hints").click()
    dot(page, 6, 28, "#{:02x}{:02x}{:02x}".format(*photo.rgb[28, 6]))
    after, narrowed = pixels_of(page, "colorized"), read_at(page, 20, 24)
    far = np.hypot(*(np.indices((32, 32)) - np.array([28, 6])[:, None, None])) > 6
    lower = (np.indices((32, 32))[0] > 17) & far
    error_before, error_after = (np.abs(shown.astype(int) - photo.rgb)[lower].mean() for shown in (before, after))
    assert error_after < 0.5 * error_before, "the surface gets the hint's colour, beyond the dot"
    assert sum(high - low for low, high in narrowed) < 0.8 * sum(high - low for low, high in bands)
    expect(page.locator("#promise")).to_contain_text("At 90%: over many photos")
    expect(page.locator("#promise")).to_contain_text("it does not reach a hint that is a guess")


def test_all_three_pictures_take_dots_and_show_them(painting, service):
    painting.get_by_role("radio", name="Side by side").check()
    places = {"grey": (3, 4), "colorized": (10, 12), "heat": (29, 23)}
    for view, place in places.items():
        dot(painting, *place, view=view)
    assert [place for place, _ in points_of(service.forms[-1])] == list(places.values())
    assert len(rings(painting)) == 3
    assert rings(painting, "grey") == rings(painting, "colorized") == rings(painting, "heat")
    painting.locator(".heat figcaption").click()
    assert len(rings(painting)) == 3, "the caption is no picture"


def test_a_click_paints_only_while_painting_is_on(page, url, service):
    offer_hints(page, url, service)
    explore(page, noise())
    click_at(page, 3, 4)
    page.locator("#stage").press("Enter")
    assert rings(page) == []
    assert len(service.forms) == 1
    button = page.get_by_role("button", name="Paint hints")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#stage")).to_have_accessible_description(re.compile("Enter adds one at the crosshair"))
    dot(page, 3, 4)
    button.click()
    click_at(page, 10, 12)
    assert len(rings(page)) == 1


def test_undo_takes_the_newest_dot_and_clear_all(painting, service):
    dot(painting, 3, 4, RED)
    dot(painting, 10, 12, GREEN)
    dot(painting, 20, 20, BLUE)
    painting.get_by_role("button", name="Undo").click()
    wait_for_answer(painting)
    assert points_of(service.forms[-1]) == [((3, 4), RED), ((10, 12), GREEN)]
    painting.keyboard.press("Control+z")
    wait_for_answer(painting)
    assert points_of(service.forms[-1]) == [((3, 4), RED)]
    dot(painting, 5, 5, BLUE)
    painting.get_by_role("button", name="Clear").click()
    wait_for_answer(painting)
    assert service.forms[-1].keys() == {"image"}
    assert rings(painting) == []
    expect(painting.locator("#hints .status")).to_be_empty()
    count = len(service.forms)
    painting.get_by_role("button", name="Undo").click(force=True)
    assert len(service.forms) == count, "nothing is left to take back"


def test_ctrl_z_is_left_to_numbers_and_to_times_without_painting(painting, service):
    dot(painting, 3, 4)
    painting.locator("#confidence-number").press("Control+z")
    painting.get_by_role("button", name="Paint hints").click()
    painting.keyboard.press("Control+z")
    assert len(rings(painting)) == 1
    assert len(service.forms) == 2


def test_unusual_hints_are_told_and_dashed(painting, service):
    service.unusual = {(10, 12), (20, 20)}
    dot(painting, 3, 4)
    dot(painting, 10, 12)
    expect(painting.locator("#hints").get_by_role("status")).to_have_text("Hint at 10, 12: unusual here.")
    dot(painting, 20, 20)
    expect(painting.locator("#hints .status")).to_have_text(
        "Hint at 10, 12: unusual here. Hint at 20, 20: unusual here."
    )
    assert [is_dashed for _, _, is_dashed in rings(painting)] == [False, True, True]
    painting.get_by_role("button", name="Undo").click()
    expect(painting.locator("#hints .status")).to_have_text("Hint at 10, 12: unusual here.")


def test_what_holds_under_hints_replaces_the_promise(painting):
    dot(painting, 3, 4)
    expect(painting.locator("#promise")).to_have_text(CAVEAT)
    set_confidence(painting, 70)
    expect(painting.locator("#promise")).to_have_text(CAVEAT)
    painting.get_by_role("button", name="Undo").click()
    expect(painting.locator("#promise")).to_contain_text("At 70%: over many photos")


def test_all_that_was_set_stays(painting):
    painting.locator("#stage").focus()
    painting.keyboard.press("Shift+ArrowLeft")
    painting.get_by_role("slider", name="Border between grey").press("ArrowRight")
    set_confidence(painting, 70)
    count_pixels(painting)
    dot(painting, 20, 20)
    assert reading(painting)[0] == (5, 12), "the crosshair is pinned"
    expect(painting.get_by_role("slider", name="Border between grey")).to_have_attribute("aria-valuenow", "1")
    expect(painting.locator("#confidence-number")).to_have_value("70")
    expect(painting.get_by_role("radio", name="a pixel with any channel outside")).to_be_checked()
    expect(painting.get_by_role("button", name="Paint hints")).to_have_attribute("aria-pressed", "true")
    painting.get_by_role("radio", name="Side by side").check()
    dot(painting, 5, 12, BLUE)
    expect(painting.get_by_role("radio", name="Side by side")).to_be_checked()
    assert reading(painting)[:2] == ((5, 12), [0, 0, 255]), "the readout follows the colours"


def test_a_newer_dot_ends_the_request_of_an_older_one(painting, service):
    waiting, ended = [], []
    painting.on("requestfailed", lambda request: ended.append(request))
    painting.route("**/explore", lambda route: waiting.append(route), times=1)
    click_at(painting, 3, 4)
    expect(painting.locator("#hints .status")).to_have_text("Colorizing with 1 dot…")
    dot(painting, 10, 12, BLUE)
    assert ended == [route.request for route in waiting]
    assert len(ended) == 1
    assert len(points_of(service.forms[-1])) == 2
    expect(painting.locator("#hints .status")).to_have_text("Shown with 2 dots.")


def test_a_busy_service_is_asked_again(painting):
    busy = {"status": 503, "headers": {"Retry-After": "1"}, "json": {"error": "busy"}}
    painting.route("**/explore", lambda route: route.fulfill(**busy), times=1)
    click_at(painting, 3, 4)
    expect(painting.locator("#hints .status")).to_have_text("The service is busy; next try in 1 s…")
    expect(painting.locator("#hints .status")).to_have_text("Shown with 1 dot.")


def test_dots_that_are_refused_are_dropped_with_the_reason(painting, service):
    dot(painting, 3, 4)
    service.refusal = "field 'hint' must be left out"
    dot(painting, 10, 12)
    expect(painting.get_by_role("alert")).to_have_text("field 'hint' must be left out")
    assert len(rings(painting)) == 1
    service.refusal = None
    dot(painting, 20, 20)
    expect(painting.get_by_role("alert")).to_be_empty()
    assert [place for place, _ in points_of(service.forms[-1])] == [(3, 4), (20, 20)]


def test_a_photo_takes_no_more_dots_than_the_service(painting, service):
    painting.locator("#stage").focus()
    painting.route("**/explore", lambda route: None)
    for _ in range(201):
        painting.keyboard.press("Enter")
    expect(painting.locator("#hints .status")).to_have_text("A photo takes at most 200 dots.")
    assert len(rings(painting)) == 200


def test_the_hints_are_downloaded_as_a_picture(painting, service):
    upload(painting, strokes())
    dot(painting, 3, 4, RED)
    dot(painting, 5, 5, BLUE)
    dot(painting, 29, 23, GREEN)
    with painting.expect_download() as download:
        painting.get_by_role("button", name="Download hints").click()
    assert download.value.suggested_filename == "cat.hints.png"
    picture = Image.open(download.value.path())
    assert picture.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(picture), paint(service.forms[-1], 24, 30))


def test_the_picture_of_hints_has_the_full_size_of_the_photo(page, url, service):
    offer_hints(page, url, service)
    explore(page, ramp(1300, 1301))
    page.get_by_role("button", name="Paint hints").click()
    dot(page, 400, 300)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download hints").click()
    picture = np.asarray(Image.open(download.value.path()))
    np.testing.assert_array_equal(picture, paint(service.forms[-1], 1300, 1301))


def test_nothing_is_downloaded_without_hints(painting):
    button = painting.get_by_role("button", name="Download hints")
    expect(button).to_have_attribute("aria-disabled", "true")
    downloads = []
    painting.on("download", lambda download: downloads.append(download))
    button.click(force=True)
    dot(painting, 3, 4)
    expect(button).to_have_attribute("aria-disabled", "false")
    assert downloads == []


def test_an_uploaded_picture_is_sent_with_the_dots(painting, service):
    upload(painting, strokes())
    expect(painting.locator("#hints .status")).to_have_text("Shown with strokes.png.")
    assert service.forms[-1] == {"image": noise(), "hints": strokes()}
    assert pixels_of(painting, "colorized")[3, 10].tolist() == [250, 220, 10]
    dot(painting, 20, 20)
    expect(painting.locator("#hints .status")).to_have_text("Shown with 1 dot and strokes.png.")
    assert service.forms[-1] == {"image": noise(), "hint": f"20,20,{RED}", "hints": strokes()}
    for fields in ({"image", "hints"}, {"image"}):
        painting.get_by_role("button", name="Undo").click()
        wait_for_answer(painting)
        assert service.forms[-1].keys() == fields


@pytest.mark.parametrize("arrangement", ["All in one", "Side by side"])
def test_an_uploaded_picture_is_shown_over_the_grey_one(painting, arrangement):
    painting.get_by_role("radio", name=arrangement).check()
    painting.mouse.move(*on_screen(painting, 8, 20))  # the crosshair is out of the way

    def seen(column, row):
        x, y = on_screen(painting, column, row)
        clip = {"x": round(x), "y": round(y), "width": 1, "height": 1}
        return np.asarray(Image.open(io.BytesIO(painting.screenshot(clip=clip))).convert("RGB"))[0, 0].tolist()

    grey_under, grey_beside = seen(3, 3), seen(3, 10)
    upload(painting, strokes())
    assert seen(3, 3) == [250, 220, 10]
    assert seen(3, 10) == grey_beside
    painting.get_by_role("button", name="Undo").click()
    wait_for_answer(painting)
    assert seen(3, 3) == grey_under
    upload(painting, strokes())
    explore_another(painting)
    assert painting.locator("#stage").evaluate("(stage) => stage.style.getPropertyValue('--overlay')") == "none"


def test_an_upload_that_is_no_picture_or_is_refused_is_dropped(painting, service):
    dot(painting, 3, 4)
    choose_hints(painting, b"just a text", "notes.png")
    expect(painting.get_by_role("alert")).to_have_text("notes.png: is not a picture that this browser can read.")
    assert len(service.forms) == 2
    service.refusal = "field 'hints' (5 x 4) must have the photo's size (30 x 24)"
    upload(painting, strokes(4, 5))
    expect(painting.get_by_role("alert")).to_have_text(service.refusal)
    service.refusal = None
    dot(painting, 10, 12)
    assert service.forms[-1].keys() == {"image", "hint"}
    expect(painting.get_by_role("alert")).to_be_empty()


def test_a_hinted_photo_is_shown_as_the_service_colorizes_it(painting, tiny_package):
    colorizer, archives = with_hints(tiny_package), []

    def answer(route):
        form = form_of(route.request)
        hints = HintRequest.asked(form["hint"].split(), form["hints"])
        job = Job(kind="explore", content=form["image"], name="cat.png", guarantee=Guarantee(), hints=hints)
        archives.append(work(colorizer, job).body)
        route.fulfill(body=archives[-1], content_type="application/zip")

    dot(painting, 20, 20, BLUE)
    painting.route("**/explore", answer)
    upload(painting, strokes())
    wait_until_drawn(painting)
    result = colorizer.colorize(noise(), hints=HintRequest.asked([f"20,20,{BLUE}"], strokes()))
    np.testing.assert_array_equal(pixels_of(painting, "colorized"), result.rgb)
    assert_maps(painting, "width", shares_of(result))
    description = json.loads(zipfile.ZipFile(io.BytesIO(archives[-1])).read("exploration.json"))
    expect(painting.locator("#promise")).to_have_text(description["caveat"])
    told = " ".join(f"Hint at {place['x']}, {place['y']}: unusual here." for place in description["hints"]["unusual"])
    expect(painting.locator("#hints .status")).to_have_text(told or "Shown with 1 dot and strokes.png.")


def test_alternatives_are_drawn_with_the_hints(painting, service):
    upload(painting, strokes())
    dot(painting, 3, 4)
    painting.get_by_role("button", name="Draw alternatives").click()
    strip = painting.get_by_role("group", name="Colourings of this photo")
    expect(strip.get_by_role("radio")).to_have_count(5)
    assert service.forms[-1].keys() == {"image", "alpha", "mode", "samples", "seed", "hint", "hints"}
    assert points_of(service.forms[-1]) == [((3, 4), RED)]
    assert service.forms[-1]["hints"] == strokes()
    dot(painting, 10, 12)
    expect(strip).to_be_hidden()
    expect(painting.get_by_role("button", name="Draw alternatives")).to_be_visible()


def test_the_downloads_are_made_with_the_hints_that_are_shown(painting, service):
    forms = []

    def answer(route):
        forms.append(form_of(route.request))
        bands = service.work(kind="bands", content=noise(), guarantee=Guarantee())
        route.fulfill(body=bands, headers=service.headers, content_type="application/zip")

    def save():
        with painting.expect_download():
            painting.get_by_role("button", name="Colours").click()

    painting.route("**/bands", answer)
    save()
    upload(painting, strokes())
    dot(painting, 3, 4)
    save()
    save()
    dot(painting, 10, 12)
    save()
    assert [len(points_of(form)) for form in forms] == [0, 1, 2], "the files of one set of hints come together"
    assert [form.get("hints") for form in forms] == [None, strokes(), strokes()]


def test_hints_survive_a_reload_and_another_photo(painting, service):
    upload(painting, strokes())
    dot(painting, 3, 4)
    painting.reload()
    expect(painting.locator("#hints .status")).to_have_text("Shown with 1 dot and strokes.png.")
    assert len(rings(painting)) == 1
    explore(painting, noise(20, 20), "dog.png")
    painting.locator("#photos .photo").filter(has_text="cat.png").click()
    expect(painting.locator("#hints .status")).to_have_text("Shown with 1 dot and strokes.png.")
    painting.get_by_role("button", name="Paint hints").click()
    dot(painting, 10, 12, BLUE)
    assert [place for place, _ in points_of(service.forms[-1])] == [(3, 4), (10, 12)]
    assert service.forms[-1]["hints"] == strokes()


def test_another_photo_begins_without_hints(painting, service):
    upload(painting, strokes())
    dot(painting, 3, 4)
    explore_another(painting)
    assert rings(painting) == []
    expect(painting.get_by_role("button", name="Paint hints")).to_have_attribute("aria-pressed", "false")
    expect(painting.locator("#hints .status")).to_be_empty()
    expect(painting.locator("#promise")).to_contain_text("At 90%")
    painting.get_by_role("button", name="Paint hints").click()
    service.refusal = "not now"
    dot(painting, 10, 12)
    expect(painting.get_by_role("alert")).to_have_text("not now")
    assert rings(painting) == [], "the hints of the photo before do not come back"
    service.refusal = None
    dot(painting, 10, 12)
    assert service.forms[-1] == {"image": noise(20, 20), "hint": f"10,12,{RED}"}


def test_another_photo_ends_the_request_of_the_one_before(painting):
    waiting, ended = [], []
    painting.on("requestfailed", lambda request: ended.append(request))
    painting.route("**/explore", lambda route: waiting.append(route), times=1)
    click_at(painting, 3, 4)
    expect(painting.locator("#hints .status")).to_have_text("Colorizing with 1 dot…")
    explore_another(painting)
    for _ in range(100):  # the browser tells of it a little later
        if not ended:
            painting.wait_for_timeout(50)
    assert ended == [route.request for route in waiting]
    assert len(ended) == 1
    assert rings(painting) == []
    expect(painting.locator("#hints .status")).to_be_empty()


def test_hints_need_no_pointer(page, url, service):
    offer_hints(page, url, service)
    explore(page, noise())
    page.locator("#stage").focus()
    for _ in range(4):  # the two borders and a switch come first
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Paint hints")).to_be_focused()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Colour of the hints")).to_be_focused()
    for _ in range(5):
        page.keyboard.press("Shift+Tab")
    expect(page.locator("#stage")).to_be_focused()
    scrolled = page.evaluate("scrollY")
    page.keyboard.press("Shift+ArrowLeft")
    for _ in range(3):
        page.keyboard.down("Enter")  # held, it adds one dot
    page.keyboard.up("Enter")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Space")
    wait_for_answer(page)
    assert [place for place, _ in points_of(service.forms[-1])] == [(5, 12), (5, 11)]
    assert page.evaluate("scrollY") == scrolled, "Space does not scroll"
    expect(page.locator("#stage")).to_be_focused()
    page.keyboard.press("Control+z")
    wait_for_answer(page)
    for _ in range(6):
        page.keyboard.press("Tab")
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    wait_for_answer(page)
    assert service.forms[-1].keys() == {"image"}
    expect(undo).to_be_focused()
    page.locator("#stage").press("ArrowLeft")
    assert reading(page)[0] == (4, 11), "the crosshair stays where it was"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_paints_on_a_phone_without_scrolling_sideways(visit, url, service, scheme):
    page = visit(viewport=PHONE, color_scheme=scheme, has_touch=True, is_mobile=True)
    offer_hints(page, url, service)
    explore(page, ramp())
    page.get_by_role("button", name="Paint hints").tap()
    click_at(page, 5, 30)
    wait_for_answer(page)
    upload(page, strokes(40, 60), "a-long-name-" * 8 + ".png")
    service.unusual = {(5, 30), (50, 30)}
    click_at(page, 50, 30)
    wait_for_answer(page)
    assert [place for place, _ in points_of(service.forms[-1])] == [(5, 30), (50, 30)]
    assert reading(page)[0] == (50, 30), "a touch moves the crosshair too"
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
