"""Hints: a painted pixel keeps its colour, colour spreads over surfaces, and the guarantee is not claimed."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from huebands.color import grey_levels, srgb_to_lab
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.hints import MAX_POINTS, HintRequest, HintsError, Point, point_radius
from huebands.models.interface import Condition
from huebands.photos.grey import GreyPhoto
from painted_hints import with_hints
from several_colourings import with_samples
from tiny_package import network_of

RED, BLUE = (200, 60, 60), (60, 60, 200)


def two_surfaces(height: int = 64, width: int = 96) -> np.ndarray:
    """A dark and a light surface side by side, uint8 (H, W)."""
    photo = np.full((height, width), 70, np.uint8)
    photo[:, width // 2 :] = 190
    return photo


def png(rgba_HW4: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgba_HW4).save(buffer, "PNG")
    return buffer.getvalue()


def ab_of(rgb_N3: np.ndarray) -> np.ndarray:
    return srgb_to_lab(torch.from_numpy(np.atleast_2d(rgb_N3).T[:, None].copy()).float() / 255)[1:, 0].T.numpy()


@pytest.fixture(scope="module")
def colorizer(tiny_package: Path) -> Colorizer:
    return with_hints(tiny_package)


def test_a_hinted_pixel_keeps_its_colour_and_the_photos_lightness(colorizer: Colorizer) -> None:
    photo = np.random.default_rng(0).integers(90, 160, (40, 50), dtype=np.uint8)
    points = (Point(20, 10, (150, 110, 100)), Point(5, 30, (90, 110, 140)))
    result = colorizer.colorize(photo, hints=HintRequest(points))
    for point in points:
        # 8-bit colours have steps of about half a unit of a and b.
        np.testing.assert_allclose(ab_of(result.rgb[point.y, point.x]), ab_of(np.array(point.rgb, np.uint8)), atol=1.0)
    levels = grey_levels(torch.from_numpy(result.rgb).permute(2, 0, 1)).numpy().reshape(photo.shape)
    assert np.abs(levels.astype(int) - photo).max() <= 1
    for band in zip(result.bands.values(), np.moveaxis(result.rgb, 2, 0), strict=True):
        assert (band[0][..., 0] <= band[1]).all() and (band[1] <= band[0][..., 1]).all()


def test_colour_spreads_over_a_surface_and_stops_at_its_edge(colorizer: Colorizer) -> None:
    hints = HintRequest((Point(10, 10, RED), Point(80, 50, BLUE)))
    result = colorizer.colorize(two_surfaces(), hints=hints)
    ab = ab_of(result.rgb.reshape(-1, 3)).reshape(64, 96, 2)
    dark, light = ab[8:-8, 8:40], ab[8:-8, 56:-8]
    assert dark[..., 0].min() > 20 and dark[..., 1].min() > 5, "all of the dark surface is red"
    assert light[..., 1].max() < -10, "all of the light surface is blue"


def test_without_hints_the_method_leaves_a_photo_grey(colorizer: Colorizer) -> None:
    photo = two_surfaces()
    result = colorizer.colorize(photo)
    np.testing.assert_array_equal(result.rgb, np.repeat(photo[..., None], 3, axis=2))
    assert result.hints is None


def test_the_spread_is_the_minimum_of_its_energy() -> None:
    network = network_of({"name": "variational", "variance_share": 0.6, "least_deviation": 0.02}, 12)
    random = torch.Generator().manual_seed(0)
    L_unit = 2 * torch.rand(1, 1, 12, 12, generator=random) - 1
    hinted = torch.rand(1, 1, 12, 12, generator=random) < 0.1
    hints = torch.cat((0.4 * torch.randn(1, 2, 12, 12, generator=random) * hinted, hinted.float()), dim=1)
    ab_unit = network.colours(Condition(L_unit_B1SS=L_unit, hints_B3SS=hints), random)
    weights = torch.from_numpy(network.weights(L_unit[0, 0].double().numpy()).toarray())
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(144, dtype=torch.float64))
    u_2N = ab_unit.view(2, -1).double()
    residual = u_2N - u_2N @ weights.T
    free = ~hinted.view(-1)
    torch.testing.assert_close(ab_unit[hinted.expand(-1, 2, -1, -1)], hints[:, :2][hinted.expand(-1, 2, -1, -1)])
    # Every free place is the weighted mean of its neighbours, so its term of the energy is 0; float32 rounds.
    assert residual[:, free].abs().max() < 1e-6


def test_a_picture_of_hints_equals_points(colorizer: Colorizer) -> None:
    photo, points = two_surfaces(), (Point(10, 10, RED), Point(80, 50, BLUE))
    radius = point_radius(photo.shape)
    rgba = np.zeros((*photo.shape, 4), np.uint8)
    rows, columns = np.indices(photo.shape)
    for point in points:
        rgba[(rows - point.y) ** 2 + (columns - point.x) ** 2 <= radius**2] = (*point.rgb, 255)
    rgba[0, :5] = (*BLUE, 127)  # more transparent than not
    of_points, of_picture = (
        colorizer.colorize(photo, hints=hints) for hints in (HintRequest(points), HintRequest(picture=png(rgba)))
    )
    np.testing.assert_array_equal(of_points.rgb, of_picture.rgb)
    assert of_points.hints == of_picture.hints


def test_points_cover_the_picture_and_later_points_earlier_ones(colorizer: Colorizer) -> None:
    photo = np.full((32, 32), 120, np.uint8)
    rgba = np.zeros((32, 32, 4), np.uint8)
    rgba[4:20, 4:20] = (*RED, 255)
    points = (Point(10, 10, (60, 140, 60)), Point(10, 10, (70, 70, 190)))
    hints = HintRequest(points, png(rgba)).on(GreyPhoto(photo))
    ab = {(row, column): ab for row, column, ab in zip(hints.rows_N, hints.columns_N, hints.ab_N2, strict=True)}
    assert len(ab) == 16 * 16
    np.testing.assert_allclose(ab[10, 10], ab_of(np.array((70, 70, 190), np.uint8))[0], atol=1e-3)
    np.testing.assert_allclose(ab[15, 15], ab_of(np.array(RED, np.uint8))[0], atol=1e-3)
    assert (10, 10) in hints.spots and len(hints.spots) == 2


def test_a_network_gets_the_mean_of_the_hints_on_each_place() -> None:
    photo = GreyPhoto(np.random.default_rng(0).integers(0, 256, (40, 80), dtype=np.uint8))
    rgba = np.zeros((40, 80, 4), np.uint8)
    rgba[0:10, 0:10] = (*RED, 255)
    rgba[0:10, 10:20] = (*BLUE, 255)
    hints = HintRequest(picture=png(rgba)).on(photo)
    canvas = hints.on_canvas(photo, (4, 4))[0].numpy()
    assert canvas[2].tolist() == [[1, 0, 0, 0], *([[0] * 4] * 3)]
    mean = (ab_of(np.array(RED, np.uint8)) + ab_of(np.array(BLUE, np.uint8)))[0] / 2
    np.testing.assert_allclose(110 * canvas[:2, 0, 0], mean, atol=1e-3)
    assert (canvas[:2, canvas[2] == 0] == 0).all()


def test_hints_on_a_border_stay_and_reach_no_network() -> None:
    levels = np.full((60, 60), 250, np.uint8)
    levels[12:-12, 12:-12] = np.random.default_rng(0).integers(0, 200, (36, 36), dtype=np.uint8)
    photo = GreyPhoto(levels)
    assert photo.picture_shape != photo.shape, "the photo has a border"
    hints = HintRequest((Point(2, 2, RED),)).on(photo)
    assert not hints.on_canvas(photo, (8, 8)).any()


def test_an_unusual_hint_is_told_and_a_usual_one_is_not(tiny_package: Path) -> None:
    colorizer = with_hints(tiny_package)
    photo = np.random.default_rng(0).integers(100, 150, (48, 48), dtype=np.uint8)
    plain = colorizer.colorize(photo)
    bands = np.stack(list(plain.bands.values()), axis=2)[20, 20]  # (3, 2)
    grey = (int(photo[20, 20]),) * 3
    result = colorizer.colorize(photo, hints=HintRequest((Point(20, 20, grey), Point(40, 8, (255, 0, 0)))))
    assert result.hints is not None
    assert ((bands[:, 0] <= grey[0]) & (grey[0] <= bands[:, 1])).all()
    shown = result.rgb[8, 40]
    outside = [(shown[i] < band[8, 40, 0]) | (shown[i] > band[8, 40, 1]) for i, band in enumerate(plain.bands.values())]
    assert any(outside) == ((40, 8) in result.hints.unusual)
    assert (20, 20) not in result.hints.unusual


def test_the_guarantee_is_not_claimed_for_hints(colorizer: Colorizer) -> None:
    result = colorizer.colorize(two_surfaces(), hints=HintRequest((Point(10, 10, RED),)))
    assert result.caveat is not None
    assert result.caveat.startswith("The guarantee does not reach this photo: the calibration photos had no hints.")
    assert colorizer.colorize(two_surfaces()).caveat is None


def test_a_model_without_hints_refuses_by_name(tiny_package: Path) -> None:
    message = r"hints must be left out: \S+tiny has the network unet, which takes none"
    with pytest.raises(HintsError, match=message):
        Colorizer.load(tiny_package).colorize(two_surfaces(), hints=HintRequest((Point(1, 1, RED),)))


def test_hints_join_samples_where_a_network_takes_both(tiny_package: Path) -> None:
    both = with_samples(tiny_package)
    both.package.generator.__class__ = type("Both", (type(both.package.generator),), {"takes_hints": True})
    samples = both.colorize(two_surfaces(), samples=2, hints=HintRequest((Point(10, 10, RED),))).samples
    for sample in samples:
        np.testing.assert_array_equal(sample[10, 10], samples[0][10, 10])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1,2,red", r"hint \(='1,2,red'\) must have the form X,Y,#RRGGBB, such as 120,45,#a03c28"),
        ("-1,2,#ffffff", r"hint \(='-1,2,#ffffff'\) must have the form"),
        ("1,2,#ffff", r"must have the form"),
        ("1,2", r"must have the form"),
        ("", r"must have the form"),
        ("1,2,#ffffff\n", r"must have the form"),
        ("١,2,#ffffff", r"must have the form"),
    ],
)
def test_a_point_of_another_form_is_refused(text: str, problem: str) -> None:
    with pytest.raises(HintsError, match=problem):
        Point.parse(text)


def test_what_does_not_fit_the_photo_is_refused(tmp_path: Path) -> None:
    photo = GreyPhoto(two_surfaces())
    clear, full = np.zeros((64, 96, 4), np.uint8), np.full((64, 96, 4), 255, np.uint8)
    jpeg = io.BytesIO()
    Image.fromarray(full[..., :3]).save(jpeg, "JPEG")
    cases: list[tuple[HintRequest, str]] = [
        (HintRequest((Point(96, 0, RED),)), r"hint \(=96,0\) must lie on the photo: x in \[0, 95\], y in \[0, 63\]"),
        (HintRequest((Point(0, 64, RED),)), r"hint \(=0,64\) must lie on the photo"),
        (HintRequest(picture=png(clear[:, :90])), r"hints: is 90 x 64, and must be 96 x 64 as the photo is"),
        (HintRequest(picture=png(clear)), r"hints must have a painted pixel: the picture is transparent all over"),
        (HintRequest(picture=png(full)), r"hints: must be transparent where no colour is given"),
        (HintRequest(picture=jpeg.getvalue()), r"hints: cannot be read as a PNG"),
        (HintRequest(picture=png(full)[:200]), r"hints: cannot be read as a PNG"),
        (HintRequest(picture=b""), r"hints: cannot be read as a PNG"),
        (HintRequest(picture=tmp_path / "none.png"), r"none\.png: No such file or directory"),
    ]
    for request, problem in cases:
        with pytest.raises(HintsError, match=problem):
            request.on(photo)
    with pytest.raises(HintsError, match=rf"hints \(={MAX_POINTS + 1} points\) must be at most {MAX_POINTS}"):
        HintRequest((Point(1, 1, RED),) * (MAX_POINTS + 1))


def test_a_huge_picture_of_hints_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    # A PNG's size stands in its first bytes: one that announces 100,000 x 100,000 pixels is never decoded.
    content = bytearray(png(np.zeros((2, 2, 4), np.uint8)))
    content[16:24] = (100_000).to_bytes(4, "big") * 2
    monkeypatch.setattr(Image.Image, "convert", lambda *_: pytest.fail("was decoded"))
    with pytest.raises(HintsError, match=r"hints: (cannot be read as a PNG|is 100000 x 100000)"):
        HintRequest(picture=bytes(content)).on(GreyPhoto(two_surfaces()))
