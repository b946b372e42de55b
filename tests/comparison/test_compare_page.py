"""The comparison's page: it needs no other file, and no text of a photo is read as HTML."""

import base64
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from huebands.comparison.compare import compare
from huebands.comparison.page import to_html
from huebands.photos.read import read_photo
from huebands.photos.write import encode_webp
from tiny_photos import SIZE, PlainScorer, painter, photo_set, tiny_photo

HOSTILE = "</script><script>alert(1)</script> & \"quotes\" 'and' <!-- {{ content }} {% raw %} {# \u2028 größe"


def page_of(titles=None, names=("warm",)):
    candidates = [painter("grey", 0, "grey"), *(painter(name, 30 + 5 * i) for i, name in enumerate(names))]
    return to_html(compare(photo_set(2, titles=titles), candidates, PlainScorer(), lambda line: None))


def content_of(page):
    text = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)[1]
    assert "<" not in text, "no text can end the script"
    return json.loads(text)


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def test_the_page_needs_no_other_file_or_host():
    page = page_of()
    addresses = [
        value for _, attributes in Tags(page).tags for key, value in attributes.items() if key in ("src", "href")
    ]
    assert addresses == ["table.md"], "a link for those without JavaScript"
    assert not re.search(r"https?:|url\(|@import|fetch\(", page)


def test_every_picture_of_every_photo_is_in_the_page():
    content = content_of(page_of())
    assert content["pictures"] == ["grey", "warm", "truth"]
    for index, photo in enumerate(content["photos"]):
        assert set(photo["pictures"]) == {"grey", "warm", "truth"}
        header, data = photo["pictures"]["truth"].split(",")
        assert header == "data:image/webp;base64"
        rgb = read_photo(base64.b64decode(data)).astype(int)
        assert rgb.shape == (SIZE, SIZE, 3)
        assert np.abs(rgb - tiny_photo(index)).mean() < 25
        assert photo["aspect"] == 1.5


def test_the_figures_of_photos_and_all_photos_are_in_the_page():
    content = content_of(page_of())
    keys = [metric["key"] for metric in content["metrics"]]
    assert set(content["overall"]) == set(keys) and {"fid", "kid"} <= set(keys)
    assert content["overall"]["ciede2000"]["warm"]["spread"].count(" to ") == 1
    assert content["summary"].startswith("2 photos of ")
    for photo in content["photos"]:
        assert set(photo["cells"]) == set(keys) - {"fid", "kid"}
        assert [name for name, cell in photo["cells"]["ciede2000"].items() if cell["best"]]
        assert set(photo["figures"]) == {"grey", "warm"}


@pytest.mark.parametrize("field", ["title", "name"])
def test_no_text_is_read_as_html_or_as_a_template(field):
    expected = Tags(page_of()).tags
    hostile = page_of({0: HOSTILE}) if field == "title" else page_of(names=(HOSTILE,))
    assert Tags(hostile).tags == expected
    content = content_of(hostile)
    assert HOSTILE in (content["photos"][0]["title"], content["candidates"][-1]["name"])


def test_controls_have_labels():
    tags = Tags(page_of()).tags
    page = page_of()
    for tag, attributes in tags:
        if tag == "button":
            assert attributes["aria-label"]
        if tag == "select":
            assert re.search(rf'<label>\s*\w+\s*<select id="{attributes["id"]}"', page)
    assert any(attributes.get("type") == "range" for _, attributes in tags)


def test_webp_pictures_are_close_to_the_photo():
    rgb = tiny_photo(0, 64)
    assert np.abs(read_photo(encode_webp(rgb)).astype(int) - rgb).mean() < 15
    assert len(encode_webp(rgb, 20)) < len(encode_webp(rgb, 95))
    with pytest.raises(ValueError, match="must be uint8"):
        encode_webp(rgb.astype(float))
