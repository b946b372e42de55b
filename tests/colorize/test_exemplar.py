"""A reference photo: its colours are taken by lightness or by correspondence, and the guarantee is not claimed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huebands.color import srgb_to_lab, to_units
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.exemplar import Exemplar, ExemplarError
from huebands.colorize.hints import HintRequest, HintsError, Point
from huebands.models.interface import Condition
from huebands.models.networks.exemplar import match_lightness
from reference_colours import with_reference
from tiny_package import network_of

DARK_RED, LIGHT_BLUE = (120, 40, 40), (150, 180, 230)


def two_tones(height: int = 48, width: int = 64) -> np.ndarray:
    """A dark red and a light blue half, uint8 (H, W, 3)."""
    photo = np.empty((height, width, 3), np.uint8)
    photo[:, : width // 2], photo[:, width // 2 :] = DARK_RED, LIGHT_BLUE
    return photo


def grey_tones(height: int = 60, width: int = 40) -> np.ndarray:
    """A light upper and a dark lower half, uint8 (H, W)."""
    photo = np.full((height, width), 60, np.uint8)
    photo[: height // 2] = 190
    return photo


def ab_of(rgb_HW3: np.ndarray) -> np.ndarray:
    return srgb_to_lab(torch.from_numpy(np.array(rgb_HW3)).permute(2, 0, 1)[None].float() / 255)[0, 1:].numpy()


@pytest.fixture(scope="module")
def colorizer(tiny_package: Path) -> Colorizer:
    return with_reference(tiny_package)


def test_places_take_the_colours_of_like_lightness(colorizer: Colorizer) -> None:
    result = colorizer.colorize(grey_tones(), like=Exemplar.read(two_tones()))
    a, b = ab_of(result.rgb)
    assert b[5:25].max() < -10, "the light half is blue"
    assert a[35:-5].min() > 15 and b[35:-5].min() > 5, "the dark half is red"
    np.testing.assert_array_equal(colorizer.colorize(grey_tones()).rgb[..., 0], grey_tones())


def test_equal_references_give_equal_colours_and_a_size_matters_little(colorizer: Colorizer) -> None:
    small, large = two_tones(), np.repeat(np.repeat(two_tones(), 20, axis=0), 20, axis=1)
    of_small, of_large = (colorizer.colorize(grey_tones(), like=Exemplar.read(photo)).rgb for photo in (small, large))
    assert max(Exemplar.read(large).rgb_HW3.shape) <= 512
    assert np.abs(of_small.astype(int) - of_large).max() <= 3


def test_lightness_is_matched_by_rank_and_not_by_level() -> None:
    ramp = torch.linspace(-1, 1, 64).view(1, 1, 8, 8)
    reference = torch.cat((ramp, 0.3 * ramp, -0.2 * ramp), dim=1)
    darker = 0.3 * ramp - 0.5  # half the contrast, and darker: standardised, it is the ramp again
    torch.testing.assert_close(match_lightness(darker, reference), match_lightness(ramp, reference), rtol=0, atol=0.01)
    # The mean over like lightness is flat at the ends, where it has neighbours on one side alone.
    torch.testing.assert_close(match_lightness(ramp, reference), reference[:, 1:], rtol=0, atol=0.04)


def test_a_flat_photo_and_a_flat_reference_are_finite() -> None:
    flat = torch.zeros(1, 1, 8, 8)
    for L_unit, exemplar in ((flat, torch.rand(1, 3, 8, 8)), (torch.rand(1, 1, 8, 8), torch.zeros(1, 3, 8, 8))):
        assert match_lightness(L_unit, exemplar).isfinite().all()


def test_correspondence_finds_a_shifted_pattern() -> None:
    values = {"name": "exemplar", "encoder": "efficientnet-lite0", "temperature": 0.02, "doubted": 0.3}
    torch.manual_seed(0)
    network = network_of(values | {"method": "correspondence"}, 64).eval()
    network.load_pretrained()
    random = np.random.default_rng(0)
    # Discs and squares of one lightness: statistics cannot tell them apart, features can.
    photo, colours = np.full((64, 64), 90, np.uint8), np.full((64, 64, 3), 90, np.uint8)
    rows, columns = np.indices((64, 64))
    disc, square = (rows - 16) ** 2 + (columns - 16) ** 2 <= 100, (abs(rows - 46) <= 9) & (abs(columns - 46) <= 9)
    photo[disc | square] = 180
    colours[disc], colours[square] = (230, 150, 150), (150, 170, 230)
    noise = random.integers(-3, 4, (64, 64)).astype(np.uint8)
    L_unit, _ = to_units(
        srgb_to_lab(
            torch.from_numpy(np.repeat((photo + noise)[..., None], 3, axis=2)).permute(2, 0, 1)[None].float() / 255
        )
    )
    exemplar = Exemplar(np.ascontiguousarray(colours[:, ::-1])).on_square(64)  # mirrored
    ab_unit = network.colours(Condition(L_unit_B1SS=L_unit, exemplar_B3SS=exemplar), torch.Generator())[0].numpy()
    assert ab_unit[0][disc].mean() > ab_unit[0][square].mean() + 0.02
    assert ab_unit[1][disc].mean() > ab_unit[1][square].mean() + 0.02


def test_the_guarantee_is_not_claimed(colorizer: Colorizer) -> None:
    result = colorizer.colorize(grey_tones(), like=Exemplar.read(two_tones()))
    assert result.caveat is not None
    assert result.caveat.startswith(
        "The guarantee does not reach this photo: the calibration photos had no reference photo."
    )


def test_a_model_without_references_refuses_by_name(tiny_package: Path, colorizer: Colorizer) -> None:
    message = r"the reference photo must be left out: \S+tiny has the network unet, which takes none"
    with pytest.raises(ExemplarError, match=message):
        Colorizer.load(tiny_package).colorize(grey_tones(), like=Exemplar.read(two_tones()))
    with pytest.raises(HintsError, match=r"hints must be left out: \S+tiny has the network exemplar"):
        colorizer.colorize(grey_tones(), hints=HintRequest((Point(1, 1, (200, 0, 0)),)))


def test_what_has_no_colour_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    Image.fromarray(grey_tones()).save(tmp_path / "grey.png")
    (tmp_path / "text.jpg").write_text("no picture")
    for name, problem in (
        ("grey.png", r"reference \S*grey\.png: has no colours to take; give a photo in colour"),
        ("text.jpg", r"reference \S*text\.jpg: "),
        ("none.jpg", r"reference \S*none\.jpg: "),
    ):
        with pytest.raises(ExemplarError, match=problem):
            Exemplar.read(str(tmp_path / name))
