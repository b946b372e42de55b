"""The page, in a real browser and from a running service."""

import base64
import io
import json
import re
import zipfile

import httpx
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from drawn_pages import typeset
from huebands.colorize.sampling import Sampling
from huebands.conformal.guarantee import Guarantee
from huebands.conformal.luminance import propagate
from huebands.photos.grey import GreyPhoto
from huebands.photos.write import encode_png
from huebands.serving.answers import model_headers
from huebands.serving.workers.exploration import MAX_SHOWN, describe_tables
from huebands.serving.workers.jobs import Job
from huebands.serving.workers.worker import work
from joint_density import with_joint_density
from page_maps import assert_maps, shares_of
from page_pixels import pixels_of
from several_colourings import with_samples

DESKTOP, PHONE = {"width": 1400, "height": 900}, {"width": 360, "height": 740}
MOST = 95  # percent: the highest confidence that 19 calibration photos allow

BANDS = """async ([bytes, promises]) => {
  const { readExploration, stepsAt } = await import("/page/exploration.js");
  const form = new FormData();
  form.append("image", new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "photo.png"));
  const answer = await fetch("explore", { method: "POST", body: form });
  const { nestedBands, description } = await readExploration(await answer.arrayBuffer());
  const columns = Array.from({ length: nestedBands.width }, (_, column) => column);
  const all = promises.map(([confidence, mode]) => {
    const computed = nestedBands.at(stepsAt(description, confidence, mode), mode, columns);
    const bands = new Uint8Array(6 * nestedBands.width * nestedBands.height);
    for (let row = 0; row < nestedBands.height; row += 1) bands.set(computed.row(row), 6 * nestedBands.width * row);
    return bands;
  });
  const reader = new FileReader();
  await new Promise((done) => { reader.onload = done; reader.readAsDataURL(new Blob(all)); });
  return [description.stride, reader.result.split(",")[1]];
}"""
PROPAGATE = """async ([tables, bounds, grey]) => {
  const { Luminance } = await import("/page/luminance.js");
  const luminance = new Luminance(tables);
  const tightened = Uint8Array.from(bounds);
  grey.forEach((level, index) => luminance.propagate(tightened, 6 * index, level));
  return Array.from(tightened);
}"""
DROP = """(bytes) => {
  const data = new DataTransfer();
  data.items.add(new File([Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0))], "dropped.png"));
  for (const kind of ["dragenter", "dragover", "drop"]) {
    document.getElementById("drop").dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true }));
  }
}"""


@pytest.fixture
def visit(browser, url):
    """Opens the page; afterwards checks that it sent no request to another host and logged no error."""
    contexts, foreign, errors = [], [], []

    def record_error(message):
        # The browser itself logs answers such as 415, which the page explains to the user.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    def record_foreign(request):
        if not request.url.startswith((f"{url}/", f"blob:{url}/")):
            foreign.append(request.url)

    def open_page(**options):
        context = browser.new_context(**{"viewport": DESKTOP, **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("request", record_foreign)
        page.on("console", record_error)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert (foreign, errors) == ([], [])


@pytest.fixture
def page(visit):
    return visit()


def noise(height=24, width=30):
    """A photo like the calibration photos of the tiny package."""
    return encode_png(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def ramp(height=40, width=60):
    """A photo unlike the calibration photos of the tiny package."""
    return encode_png(np.linspace(0, 240, height * width).reshape(height, width).astype(np.uint8))


def choose(page, content, name="cat.png", kind="image/png"):
    page.locator("#file").set_input_files({"name": name, "mimeType": kind, "buffer": content})


def wait_until_drawn(page):
    """Wait for the map, and for the mean width of the bands of all pixels."""
    page.locator(".heat canvas[data-drawn]").wait_for(state="attached")
    page.locator("#mean[data-complete=true]").wait_for(state="attached")


def explore(page, content, name="cat.png"):
    choose(page, content, name)
    expect(page.locator("#photo")).to_contain_text(name)
    wait_until_drawn(page)


def set_confidence(page, percent):
    page.locator("#confidence-number").fill(str(percent))
    page.locator("#confidence-number").press("Enter")
    wait_until_drawn(page)


def count_pixels(page):
    """Count a pixel as a miss where any of its channels is outside."""
    page.get_by_text("For statisticians").click()
    page.get_by_role("radio", name="a pixel with any channel outside").check()


def bands_of(url, content, alpha, mode="per_channel"):
    """The archive of /bands, and the bands (H, W, 3, 2) in it."""
    files, data = {"image": ("cat.png", content)}, {"alpha": str(alpha), "mode": mode}
    archive = zipfile.ZipFile(io.BytesIO(httpx.post(f"{url}/bands", files=files, data=data, timeout=60).content))
    bands = np.load(io.BytesIO(archive.read("cat.bands.npz")))
    return archive, np.stack([bands[channel] for channel in "RGB"], axis=2)


def reading(page):
    """Position, values and intervals in the readout: ((x, y), [value], [[lower, upper]])."""
    x, y = map(int, re.findall(r"\b[xy] (\d+)", page.locator("#readout .place").text_content()))
    values = [int(text) for text in page.locator("#readout .value").all_text_contents()]
    return (x, y), values, [json.loads(text) for text in page.locator("#readout .interval").all_text_contents()]


def assert_reads(page, archive, bands, stem="cat"):
    """Check that the readout shows the values and bands of the service at that pixel."""
    (x, y), values, intervals = reading(page)
    colours = np.asarray(Image.open(io.BytesIO(archive.read(f"{stem}.colorized.png"))))
    assert (values, intervals) == (colours[y, x].tolist(), bands[y, x].tolist())


def test_the_page_and_its_parts_are_served_with_a_strict_policy(url):
    page = httpx.get(url)
    assert page.headers["content-type"].startswith("text/html")
    for path in ("", *re.findall(r'(?:src|href)="(page/[^"]+)"', page.text)):
        answer = httpx.get(f"{url}/{path}")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-cache"
    assert httpx.get(f"{url}/page/page.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["page", "page/", "page/none.js", "page/..%2fapp.py", "page/%2e%2e/app.py"])
def test_nothing_else_is_served_as_part_of_the_page(url, path):
    assert httpx.get(f"{url}/{path}", follow_redirects=True).status_code == 404


@pytest.mark.parametrize(
    ("content", "stride", "confidences"),
    [
        (noise(), 1, (50, 64, 77, 90, MOST)),
        (ramp(37, 301), 1, (50, 77, MOST)),
        (noise(9, 8), 1, (50, 90)),
        (ramp(1300, 1301), 2, (85,)),
    ],
)
def test_the_page_computes_the_same_bands_as_the_service(page, url, content, stride, confidences):
    promises = [(confidence, mode) for confidence in confidences for mode in ("per_channel", "joint")]
    stride_of_answer, packed = page.evaluate(BANDS, [base64.b64encode(content).decode(), promises])
    assert stride_of_answer == stride
    computed = np.frombuffer(base64.b64decode(packed), np.uint8)
    for part, (confidence, mode) in zip(np.split(computed, len(promises)), promises, strict=True):
        _, bands = bands_of(url, content, (100 - confidence) / 100, mode)
        expected = bands[::stride, ::stride]
        np.testing.assert_array_equal(part.reshape(expected.shape), expected, f"{confidence}% {mode}")


def test_the_page_tightens_bounds_as_the_service_does(page):
    random = np.random.default_rng(0)
    true = random.integers(0, 256, (20_000, 3))
    width = random.choice([0, 3, 30, 300], (2, 20_000, 3))
    lower, upper = (true - width[0]).clip(0).astype(np.uint8), (true + width[1]).clip(max=255).astype(np.uint8)
    grey = random.permutation(GreyPhoto.of_rgb(true[None].astype(np.uint8)).levels_HW[0])
    grey[::2] = GreyPhoto.of_rgb(true[None, ::2].astype(np.uint8)).levels_HW[0]
    expected = np.stack(propagate(lower, upper, grey), axis=-1)
    assert (expected != np.stack((lower, upper), axis=-1)).mean() > 0.1
    sent = [describe_tables(), np.stack((lower, upper), axis=-1).ravel().tolist(), grey.tolist()]
    tightened = np.array(page.evaluate(PROPAGATE, sent)).reshape(expected.shape)
    np.testing.assert_array_equal(tightened, expected)


def test_the_page_shows_its_limits_and_the_model(page, url):
    model = httpx.get(f"{url}/model").json()
    expect(page.locator("#limits")).to_contain_text("JPEG, PNG")
    expect(page.locator("#limits")).to_contain_text(f"up to {model['limits']['pixels'] // 10**6} megapixels")
    expect(page.locator("#model")).to_have_text(f"Model {model['name']}, version {model['version']}.")
    for path in ("page/model.html", "certificate"):
        expect(page.locator(f'footer a[href="{path}"]')).to_be_visible()


def test_an_example_is_colorized(page):
    for example in page.locator(".example").all():
        example.click()
        expect(page.locator("#photo")).to_contain_text(example.get_attribute("data-photo"))
        wait_until_drawn(page)
    grey, colorized, heat = (pixels_of(page, view) for view in ("grey", "colorized", "heat"))
    assert grey.shape == colorized.shape == heat.shape == (300, 451, 3)
    assert (grey == grey[..., :1]).all()
    assert np.ptp(grey) > 100
    assert not (colorized == colorized[..., :1]).all()
    assert len(np.unique(heat.reshape(-1, 3), axis=0)) > 10


def test_a_dropped_file_shows_the_pictures_of_the_service(page, url):
    page.evaluate(DROP, base64.b64encode(ramp()).decode())
    expect(page.locator("#photo")).to_have_text("dropped.png, 60 × 40")
    expect(page.locator("#done")).to_have_text("dropped.png is colorized.")
    wait_until_drawn(page)
    archive, bands = bands_of(url, ramp(), 0.1)
    picture = np.asarray(Image.open(io.BytesIO(archive.read("cat.colorized.png"))).convert("RGB"))
    np.testing.assert_array_equal(pixels_of(page, "colorized"), picture)
    mean = (bands[..., 1].astype(float) - bands[..., 0]).mean()
    expect(page.locator("#mean")).to_have_text(f"{mean:.1f}")


def test_the_readout_shows_the_pixel_under_the_pointer(page, url):
    explore(page, noise())
    archive, bands = bands_of(url, noise(), 0.1)
    page.locator("#stage").scroll_into_view_if_needed()
    frame = page.locator(".grey canvas").bounding_box()
    for x, y in ((0, 0), (29, 23), (7, 15)):
        page.mouse.move(frame["x"] + (x + 0.5) / 30 * frame["width"], frame["y"] + (y + 0.5) / 24 * frame["height"])
        assert reading(page)[0] == (x, y)
        assert_reads(page, archive, bands)
    page.mouse.down()
    page.mouse.up()
    page.mouse.move(frame["x"], frame["y"])
    assert reading(page)[0] == (7, 15), "a click pins the crosshair"
    page.locator("#stage").press("Escape")
    page.mouse.move(frame["x"] + 1, frame["y"] + 1)
    assert reading(page)[0] == (0, 0)


def test_the_crosshair_moves_by_keys_and_is_announced(page, url):
    explore(page, noise())
    page.locator("#stage").focus()
    for key in ("ArrowLeft", "ArrowDown", "Shift+ArrowRight", "ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    assert reading(page)[0] == (15 - 1 + 10 + 1, 12 + 1 - 10)
    assert_reads(page, *bands_of(url, noise(), 0.1))
    _, values, intervals = reading(page)
    spoken = "Column 25, row 3: ", f"red {values[0]}, between {intervals[0][0]} and {intervals[0][1]};"
    expect(page.locator("#readout .spoken")).to_contain_text(
        re.compile(re.escape(spoken[0]) + ".*" + re.escape(spoken[1]))
    )
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert reading(page)[0] == (29, 3), "it stays inside"


def test_a_touch_moves_the_crosshair(visit):
    page = visit(viewport=PHONE, has_touch=True, is_mobile=True)
    explore(page, noise())
    page.locator("#stage").scroll_into_view_if_needed()
    frame = page.locator(".grey canvas").bounding_box()
    page.touchscreen.tap(frame["x"] + 3.5 / 30 * frame["width"], frame["y"] + 20.5 / 24 * frame["height"])
    assert reading(page)[0] == (3, 20)
    page.touchscreen.tap(frame["x"] + 0.5 / 30 * frame["width"], frame["y"] + 0.5 / 24 * frame["height"])
    assert reading(page)[0] == (0, 0)


def test_the_borders_between_the_pictures_move_by_keys_and_by_pointer(page):
    explore(page, noise())
    first, second = page.get_by_role("slider", name="Border").all()

    def border_positions():
        return [int(handle.get_attribute("aria-valuenow")) for handle in (first, second)]

    assert border_positions() == [0, 100], "the whole colorized photo comes first"
    page.get_by_role("radio", name="All in one").check()
    assert border_positions() == [33, 67]
    first.press("ArrowRight")
    second.press("Shift+ArrowLeft")
    assert border_positions() == [34, 57]
    first.press("End")
    assert border_positions() == [57, 57], "a border stops at the other one"
    first.press("Home")
    second.press("End")
    assert border_positions() == [0, 100]
    frame, grip = page.locator("#stage").bounding_box(), second.bounding_box()
    page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + 0.62 * grip["height"])
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + 10)
    page.mouse.up()
    assert border_positions() == [0, 25]
    page.get_by_role("radio", name="Side by side").check()
    lefts = [page.locator(f".{view} canvas").bounding_box()["x"] for view in ("grey", "colorized", "heat")]
    assert lefts[0] < lefts[1] < lefts[2]


def test_the_bands_follow_confidence_and_mode_at_once(page, url):
    explore(page, ramp())

    def mean():
        return float(page.locator("#mean").text_content())

    requests = []
    page.on("request", lambda request: requests.append(request.url))
    expect(page.locator("#confidence")).to_have_value("90")
    usual = mean()
    page.locator("#confidence").press("Home")
    wait_until_drawn(page)
    expect(page.locator("#confidence-number")).to_have_value("50")
    assert mean() < usual
    assert_reads(page, *bands_of(url, ramp(), 0.5))
    expect(page.locator("#promise")).to_contain_text("At 50%: over many photos")
    set_confidence(page, 84)
    expect(page.locator("#confidence")).to_have_value("84")
    assert_reads(page, *bands_of(url, ramp(), 0.16))
    count_pixels(page)
    wait_until_drawn(page)
    assert_reads(page, *bands_of(url, ramp(), 0.16, "joint"))
    expect(page.locator("#promise")).to_contain_text("at least 84 of 100 of their pixels")
    assert requests == [], "the service was asked again"


def test_confidence_is_limited_to_what_the_calibration_supports(page):
    explore(page, noise())
    set_confidence(page, 99)
    expect(page.locator("#confidence-number")).to_have_value(str(MOST))
    expect(page.locator("#confidence")).to_have_attribute("max", str(MOST))
    expect(page.locator("#support")).to_contain_text(f"19 calibration photos support at most {MOST}%")


def test_the_files_are_downloaded_for_the_chosen_promise(page, url, tmp_path):
    explore(page, ramp())
    set_confidence(page, 80)
    count_pixels(page)
    expected, bands = bands_of(url, ramp(), 0.2, "joint")
    requests, contents = [], {}
    page.on("request", lambda request: requests.append(request.method))
    for button in page.locator("#files button").all():
        with page.expect_download() as download:
            button.click()
        download.value.save_as(tmp_path / download.value.suggested_filename)
        contents[download.value.suggested_filename] = (tmp_path / download.value.suggested_filename).read_bytes()
    assert requests.count("POST") == 1, "the files of one promise come together"
    assert list(contents) == ["cat.colorized.png", "cat.bands.npz", "cat.uncertainty.png", "cat.huebands.zip"]
    for name in list(contents)[:3]:
        assert contents[name] == expected.read(name)
    np.testing.assert_array_equal(np.load(io.BytesIO(contents["cat.bands.npz"]))["B"], bands[:, :, 2])
    report = json.loads(zipfile.ZipFile(io.BytesIO(contents["cat.huebands.zip"])).read("report.json"))
    assert (report["alpha"], report["mode"]) == (0.2, "joint")


def test_the_page_warns_of_a_photo_unlike_the_calibration_photos(page):
    explore(page, ramp())
    expect(page.locator("#warning")).to_contain_text("of 100 such photos, only about 5 would be as unusual")
    choose(page, b"just a text")
    expect(page.get_by_role("alert")).to_contain_text("is not an image")
    expect(page.locator("#result")).to_be_hidden()
    expect(page.locator("#warning")).to_be_empty()
    explore(page, noise(), "dog.png")
    expect(page.locator("#warning")).not_to_contain_text("unlike")


def test_the_page_tells_an_unusual_page_of_text(page):
    explore(page, encode_png(typeset(size=30)[:450, :600]), "letter.png")
    expect(page.locator("#warning")).to_contain_text("as unusual")
    expect(page.locator("#warning")).to_contain_text("It may be a page of text or a drawing.")
    explore(page, ramp())
    expect(page.locator("#warning")).to_contain_text("as unusual")
    expect(page.locator("#warning")).not_to_contain_text("drawing")


def test_a_file_that_is_no_photo_is_refused_with_a_reason_and_the_next_photo_is_shown(page):
    choose(page, b"just a text", "notes.txt", "text/plain")
    expect(page.get_by_role("alert")).to_contain_text("notes.txt: is not an image")
    expect(page.locator("#result")).to_be_hidden()
    explore(page, noise())
    expect(page.get_by_role("alert")).to_be_empty()


def test_the_page_tries_again_when_the_service_is_busy(page):
    tries = []

    def answer(route):
        tries.append(1)
        if len(tries) == 1:
            route.fulfill(status=503, headers={"Retry-After": "1"}, json={"error": "busy"})
        else:
            route.continue_()

    page.route("**/explore", answer)
    choose(page, noise())
    expect(page.locator("#progress-text")).to_have_text("The service is busy; next try in 1 s…")
    expect(page.locator("#photo")).to_contain_text("cat.png")
    assert len(tries) == 2


def test_waiting_can_be_cancelled(page):
    page.route("**/explore", lambda route: None)
    choose(page, noise())
    expect(page.locator("#progress-text")).to_have_text("Colorizing cat.png…")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#progress")).to_be_hidden()
    expect(page.get_by_role("alert")).to_be_empty()


def test_the_page_says_when_the_service_cannot_be_reached(page):
    page.route("**/explore", lambda route: route.abort())
    choose(page, noise())
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


def test_every_kth_pixel_of_a_large_photo_is_shown(page, url):
    content = ramp(1300, 1301)
    explore(page, content)
    expect(page.locator("#photo")).to_contain_text("1301 × 1300")
    expect(page.locator("#stride")).to_contain_text("Every 2nd pixel")
    assert pixels_of(page, "heat").shape == (650, 651, 3)
    assert 650 * 651 < MAX_SHOWN < 1300 * 1301
    page.locator("#stage").press("ArrowRight")
    assert reading(page)[0] == (2 * 326, 2 * 325)
    assert_reads(page, *bands_of(url, content, 0.1))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_everything_without_scrolling_sideways(visit, scheme):
    page = visit(viewport=PHONE, color_scheme=scheme)

    def assert_fits():
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]

    assert_fits()
    explore(page, ramp(), "a-long-name-" * 8 + ".png")
    assert_fits()
    page.get_by_role("radio", name="Side by side").check()
    assert_fits()


@pytest.fixture(scope="module")
def joint(tiny_package):
    return with_joint_density(tiny_package)


def explore_joint(page, joint, content, name="cat.png"):
    """Show a photo whose exploration a model with an expected error has made; gives that model's result."""
    archive = work(joint, Job(kind="explore", content=content, name=name, guarantee=Guarantee())).body
    page.route("**/explore", lambda route: route.fulfill(body=archive, content_type="application/zip"))
    explore(page, content, name)
    return joint.colorize(content)


def error_read(page):
    """Position and expected error in the readout."""
    text = page.locator("#readout .place").text_content()
    return reading(page)[0], float(re.search(r"expected error ([\d.]+) CIEDE2000", text)[1])


@pytest.mark.parametrize(("content", "stride"), [(noise(), 1), (ramp(37, 301), 1), (ramp(1300, 1301), 2)])
def test_the_expected_error_is_shown_first_and_drawn_as_the_service_draws_it(page, joint, content, stride):
    result = explore_joint(page, joint, content)
    expect(page.get_by_role("radio", name="Likely error")).to_be_checked()
    assert_maps(page, "expected-error", result.expected_error[::stride, ::stride])
    expect(page.locator(".heat figcaption")).to_have_text("Likely error")
    expect(page.locator("#mean")).to_have_text(f"{result.width[::stride, ::stride].mean():.1f}")


def test_the_widths_are_a_switch_away_by_keyboard_and_the_choice_stays(page, joint):
    result = explore_joint(page, joint, noise())
    page.get_by_role("radio", name="Likely error").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Range of colours")).to_be_checked()
    wait_until_drawn(page)
    assert_maps(page, "width", shares_of(result))
    expect(page.get_by_role("group", name="Grey, colorized and range of colours")).to_be_visible()
    explore_joint(page, joint, noise(), "dog.png")
    expect(page.get_by_role("radio", name="Range of colours")).to_be_checked()
    page.get_by_role("radio", name="Likely error").check()
    assert_maps(page, "expected-error", result.expected_error)
    expect(page.get_by_role("slider", name="Border between colorized and likely error")).to_be_attached()


def test_the_expected_error_stays_when_the_confidence_changes(page, joint):
    result = explore_joint(page, joint, noise())
    set_confidence(page, 60)
    assert_maps(page, "expected-error", result.expected_error)
    wider = joint.colorize(noise(), alpha=0.4)
    expect(page.locator("#mean")).to_have_text(f"{wider.width.mean():.1f}")


def test_the_readout_says_the_expected_error_of_the_pixel(page, joint):
    result = explore_joint(page, joint, noise())
    page.locator("#stage").focus()
    for key in ("ArrowLeft", "Shift+ArrowUp", "Shift+ArrowRight"):
        page.keyboard.press(key)
        (x, y), error = error_read(page)
        assert error == pytest.approx(result.expected_error[y, x], abs=0.51 if error >= 10 else 0.051)
    expect(page.locator("#readout .spoken")).to_contain_text(f"Column {x}, row {y}: ")


def test_the_downloads_show_the_chosen_map(page, joint):
    explore_joint(page, joint, noise())
    forms = []

    def refuse(route):
        forms.append(re.findall(r'name="(\w+)"\r\n\r\n([\w.-]+)', route.request.post_data_buffer.decode("latin-1")))
        route.fulfill(status=422, json={"error": "not now"})

    page.route("**/bands", refuse)
    for name, map_name in (("Likely error", "expected-error"), ("Range of colours", "width")):
        page.get_by_role("radio", name=name).check()
        page.get_by_role("button", name="Map PNG").click()
        expect(page.locator("#files-status")).to_be_empty()
        expect(page.get_by_role("alert")).to_have_text("not now")
        assert dict(forms[-1])["map"] == map_name


@pytest.fixture(scope="module")
def several(tiny_package):
    return with_samples(tiny_package)


def offer_samples(page, url, several):
    """Let the page believe that the served model is one of several colourings; gives the fields of its requests."""
    requests = []

    def explore(route):
        texts = re.findall(r'name="(\w+)"\r\n\r\n([\w.-]+)', route.request.post_data_buffer.decode("latin-1"))
        fields = dict(texts)
        requests.append(fields)
        count = int(fields.get("samples", 0))
        sampling = Sampling(count=count, seed=int(fields["seed"])) if count else None
        guarantee = Guarantee(alpha=float(fields.get("alpha", 0.1)), mode=fields.get("mode", "per_channel"))
        job = Job(kind="explore", content=noise(), name="cat.png", guarantee=guarantee, sampling=sampling)
        headers = model_headers(several.package)
        route.fulfill(body=work(several, job).body, headers=headers, content_type="application/zip")

    model = httpx.get(f"{url}/model").json()
    page.route("**/model", lambda route: route.fulfill(json={**model, "samples": 8}))
    page.route("**/explore", explore)
    page.reload()
    return requests


def test_alternatives_are_drawn_chosen_and_compared_with_the_bands(page, url, several):
    requests = offer_samples(page, url, several)
    explore(page, noise())
    page.get_by_role("button", name="Draw alternatives").click()
    strip = page.get_by_role("group", name="Colourings of this photo")
    expect(strip.get_by_role("radio")).to_have_count(5)
    result = several.colorize(noise(), samples=4, seed=0)
    np.testing.assert_array_equal(pixels_of(page, "colorized"), result.rgb)
    strip.get_by_role("radio", name="Alternative 2").check(force=True)
    np.testing.assert_array_equal(pixels_of(page, "colorized"), result.samples[1])
    share = f"{100 * round(result.samples_outside[1], 4):.1f}%"
    note = f"Alternative 2: {share} of its colour values lie outside the ranges at 90%."
    expect(page.locator("#alternatives .hint")).to_contain_text(note)
    expect(page.locator("#alternatives .hint")).to_contain_text("the downloads are of the first colouring")
    expect(page.locator(".colorized figcaption")).to_have_text("Alternative 2")
    strip.get_by_role("radio", name="Colorized").check(force=True)
    expect(page.locator(".colorized figcaption")).to_have_text("Colorized")
    np.testing.assert_array_equal(pixels_of(page, "colorized"), result.rgb)
    with page.expect_response("**/explore"):
        page.get_by_role("button", name="Draw others").click()
    expect(page.locator("#alternatives .hint")).to_be_empty()
    expect(strip.get_by_role("radio", name="Colorized")).to_be_checked()
    strip.get_by_role("radio", name="Alternative 1").check(force=True)
    np.testing.assert_array_equal(pixels_of(page, "colorized"), several.colorize(noise(), samples=1, seed=1).samples[0])
    assert [fields.get("seed") for fields in requests] == [None, "0", "1"]


def test_another_photo_begins_without_alternatives(page, url, several):
    offer_samples(page, url, several)
    explore(page, noise())
    page.get_by_role("button", name="Draw alternatives").click()
    expect(page.locator("#alternatives .strip")).to_be_visible()
    explore(page, noise())
    expect(page.locator("#alternatives .strip")).to_be_hidden()
    expect(page.get_by_role("button", name="Draw alternatives")).to_be_visible()


def test_a_model_of_one_colouring_offers_no_alternatives(page):
    explore(page, noise())
    expect(page.locator("#alternatives")).to_be_hidden()


def test_a_model_without_an_expected_error_offers_no_choice(page):
    explore(page, noise())
    expect(page.locator("#map")).to_be_hidden()
    expect(page.locator("#map-name")).to_have_text("Range of colours")
    expect(page.locator("#readout .place")).not_to_contain_text("expected error")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_room_for_the_choice_of_the_map(visit, joint, scheme):
    page = visit(viewport=PHONE, color_scheme=scheme)
    explore_joint(page, joint, ramp())
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    expect(page.locator("#map")).to_be_visible()
