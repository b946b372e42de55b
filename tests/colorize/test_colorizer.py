import io
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2lab

from huebands import color
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.result_files import save
from huebands.conformal.guarantee import AlphaError, Guarantee
from huebands.density.atypicality import p_value
from huebands.density.model import grey_of_lightness
from huebands.models.views import VIEWS, average_over_views
from huebands.package.schema import PackageError
from huebands.photos import resize
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import ImageError
from huebands.photos.write import encode_png
from huebands.statistics.losses import RiskError
from tiny_package import write_trained


@pytest.fixture(scope="module")
def colorizer(tiny_package):
    return Colorizer.load(tiny_package)


def random_grey(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def stacked(result):
    """Bands of R, G and B, uint8 (H, W, 3, 2)."""
    return np.stack([result.bands[name] for name in "RGB"], axis=2)


def assert_holds(wide_HW32, narrow_HW32):
    assert (wide_HW32[..., 0] <= narrow_HW32[..., 0]).all()
    assert (wide_HW32[..., 1] >= narrow_HW32[..., 1]).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 1), (2, 3), (16, 16), (33, 47), (1, 3000), (700, 900)])
def test_the_result_has_the_photos_size(colorizer, size):
    result = colorizer.colorize(random_grey(*size))
    assert result.rgb.shape == (*size, 3)
    assert result.rgb.dtype == np.uint8
    assert {name: band.shape for name, band in result.bands.items()} == dict.fromkeys("RGB", (*size, 2))
    assert result.width.shape == size
    assert result.width.dtype == np.float32
    assert result.uncertainty.shape == (*size, 3)


def test_lightness_is_kept_at_every_pixel(colorizer):
    grey = random_grey(600, 600)
    grey[:16, :16] = np.arange(256).reshape(16, 16)  # all levels at least once
    rgb = colorizer.colours.predict(GreyPhoto(grey))
    chroma = np.hypot(*np.moveaxis(rgb2lab(rgb)[..., 1:], -1, 0))
    assert chroma.mean() > 15, "the test needs vivid colours"
    expected = rgb2lab(np.repeat(grey[..., None], 3, axis=2))[..., 0]
    assert np.abs(rgb2lab(rgb)[..., 0] - expected).max() <= 0.6


def test_the_size_of_tiles_does_not_change_the_result(colorizer, monkeypatch):
    grey = random_grey(40, 50)
    results = [colorizer.colorize(grey, 0.3, mode, grouped=True) for mode in ("per_channel", "joint")]
    monkeypatch.setattr("huebands.colorize.paint._TILE", 77)
    monkeypatch.setattr("huebands.conformal.photo_bands._SLICE", 77)
    monkeypatch.setattr("huebands.photos.grey._SLICE", 77)
    monkeypatch.setattr("huebands.conformal.bands._TILE", 77)
    for expected in results:
        result = colorizer.colorize(grey, 0.3, expected.guarantee.mode, grouped=True)
        assert np.array_equal(result.rgb, expected.rgb)
        assert np.array_equal(stacked(result), stacked(expected))
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    levels = color.grey_levels(torch.from_numpy(rgb).permute(2, 0, 1).contiguous()).numpy()
    assert np.array_equal(GreyPhoto.of_rgb(rgb).levels_HW, levels)


@pytest.mark.parametrize("size", [(3000, 2), (2, 3000)])
def test_a_thin_strip_has_no_large_intermediate_image(colorizer, monkeypatch, size):
    grey, intermediate_sizes = random_grey(*size), []

    def spy(image_BCHW, target, kernel):
        intermediate_sizes.append(image_BCHW.shape[2] * target[1])  # pixels between the two directions
        return interpolate(image_BCHW, target, kernel)

    usual = colorizer.colorize(grey).rgb
    interpolate = resize._interpolate
    monkeypatch.setattr(resize, "_MOST", 10_000)
    monkeypatch.setattr(resize, "_interpolate", spy)
    strip = colorizer.colorize(grey).rgb
    assert max(intermediate_sizes) <= 10_000
    assert np.abs(strip.astype(int) - usual).max() <= 2, "the order of the two directions must not matter"


def test_grey_and_colour_of_the_same_lightness_are_colorized_alike(colorizer):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(colorizer.colorize(rgb).rgb, colorizer.colorize(GreyPhoto.of_rgb(rgb).levels_HW).rgb)


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_bands_of_a_smaller_alpha_hold_those_of_a_larger_one_and_the_colour_shown(colorizer, mode):
    grey = random_grey(50, 60)
    inner, width = None, 0.0
    for alpha in (0.9, 0.5, 0.2, 0.1, 0.05):
        result = colorizer.colorize(grey, alpha, mode)
        bands = stacked(result)
        assert_holds(bands, np.repeat(result.rgb[..., None], 2, axis=-1))
        if inner is not None:
            assert_holds(bands, inner)
        assert result.width.mean() > width
        inner, width = bands, result.width.mean()


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_bands_stay_within_what_srgb_can_show_at_the_grey_level(colorizer, mode):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    result = colorizer.colorize(grey, 0.05, mode)
    gamut = color.gamut_table().numpy()[grey]
    bands = stacked(result)
    # The colour shown is rounded channel by channel, so its grey level may be the next one.
    lower, upper = (np.stack((gamut[..., end], result.rgb)) for end in (0, 1))
    assert (bands[..., 0] >= lower.min(axis=0)).all()
    assert (bands[..., 1] <= upper.max(axis=0)).all()
    assert result.width[0, 0] < 5 < result.width[8].mean(), "black leaves little room"


def test_joint_bands_tighten_each_other_and_keep_every_colour_of_the_grey_level(colorizer):
    true = np.random.default_rng(0).integers(0, 256, (60, 50, 3), dtype=np.uint8)
    grey = GreyPhoto.of_rgb(true)
    result = colorizer.colorize(true, 0.3, "joint")
    bands = stacked(result)
    loose = colorizer.predict(grey).bands.nested.at(result.steps)
    assert_holds(loose, bands)
    assert (bands[..., 1] - bands[..., 0]).mean() < (loose[..., 1] - loose[..., 0]).mean()
    inside = [((bounds[..., 0] <= true) & (true <= bounds[..., 1])).all(axis=-1) for bounds in (loose, bands)]
    assert np.array_equal(*inside)
    assert 0 < inside[0].mean() < 1, "the test needs pixels inside and outside"


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_a_stronger_guarantee_gives_bands_that_are_not_narrower(colorizer, mode):
    grey, calibration = random_grey(40, 30), colorizer.calibration
    usual = colorizer.colorize(grey, 0.5, mode)
    sure = colorizer.colorize(grey, 0.5, mode, delta=0.1)
    assert (usual.guarantee.delta, sure.guarantee.delta) == (None, 0.1)
    assert (sure.steps > usual.steps).all()
    assert_holds(stacked(sure), stacked(usual))
    grouped = colorizer.colorize(grey, 0.5, mode, grouped=True)
    assert (usual.guarantee.grouped, grouped.guarantee.grouped) == (False, True)
    assert np.array_equal(grouped.steps, usual.steps), "the steps that every pixel has at least"
    assert_holds(stacked(grouped), stacked(usual))
    nested = colorizer.predict(GreyPhoto(grey)).bands
    widest = calibration.group_steps(Guarantee(alpha=0.5, mode=mode))[nested.groups].max(axis=0)
    assert np.array_equal(stacked(grouped), nested.at(widest, mode))
    both = colorizer.colorize(grey, 0.5, mode, delta=0.1, grouped=True)
    assert_holds(stacked(both), stacked(sure))
    assert_holds(stacked(both), stacked(grouped))


@pytest.mark.parametrize("delta", [0, 1, -1, float("nan"), 1e-9])
def test_a_delta_that_is_not_supported_is_refused(colorizer, delta):
    with pytest.raises(RiskError, match=r"delta|19 photos"):
        colorizer.colorize(random_grey(2, 2), 0.5, delta=delta)


def test_likeness_counts_the_calibration_photos_that_are_as_atypical(colorizer):
    table = colorizer.calibration.table
    for seed in range(3):
        grey = random_grey(30, 40, seed)
        result = colorizer.colorize(grey)
        density = colorizer.density.estimate(GreyPhoto(grey))
        assert result.likeness == p_value(density.atypicality, table.atypicality)
        assert 0 < result.likeness <= 1
        assert result.likeness * 20 == pytest.approx(round(result.likeness * 20)), "of 19 photos and this one"


def test_the_same_photo_gives_the_same_result_in_any_thread(colorizer):
    photos = [random_grey(90, 70, seed) for seed in range(4)]
    alone = [colorizer.colorize(photo) for photo in photos]
    together = {}

    def work(number):
        together[number] = colorizer.colorize(photos[number % 4])

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(together) == 8
    for number, result in together.items():
        assert np.array_equal(result.rgb, alone[number % 4].rgb)
        assert np.array_equal(stacked(result), stacked(alone[number % 4]))
        assert result.likeness == alone[number % 4].likeness


def test_every_kind_of_source_gives_the_same_result(colorizer, tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "photo.png"
    path.write_bytes(encode_png(rgb))
    results = [
        colorizer.colorize(source).rgb
        for source in (rgb, path, str(path), path.read_bytes(), Image.fromarray(rgb), Image.open(path))
    ]
    assert all(np.array_equal(result, results[0]) for result in results)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_a_pillow_image_of_any_common_mode_is_read_like_its_file(colorizer, mode):
    image = Image.fromarray(random_grey(12, 10)).convert("I" if mode == "I;16" else mode)
    if mode == "I;16":
        image = Image.fromarray(random_grey(12, 10).astype(np.uint16) * 257)
    buffer = io.BytesIO()
    image.save(buffer, "TIFF")
    expected = GreyPhoto.read(buffer.getvalue()).levels_HW
    assert np.array_equal(colorizer.colorize(image).grey, expected)


def test_a_pillow_images_orientation_is_applied(colorizer):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(random_grey(8, 12)).save(buffer, "JPEG", exif=exif)
    assert colorizer.colorize(Image.open(buffer)).rgb.shape == (12, 8, 3)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        Image.new("HSV", (2, 2)),
        b"no image",
        b"",
        "nowhere.jpg",
    ],
)
def test_an_input_that_is_no_photo_is_refused_by_name(colorizer, image):
    with pytest.raises(ImageError, match=r"^\S+: \w+"):
        colorizer.colorize(image)


@pytest.mark.parametrize("alpha", [0, -1, 1, 2, 1e-9, 0.049, float("nan"), float("inf"), "x", None, True])
def test_an_alpha_that_is_not_supported_is_refused_with_the_range(colorizer, alpha):
    with pytest.raises(AlphaError, match=r"\[0\.05, 1\)"):
        colorizer.colorize(random_grey(2, 2), alpha)


def test_an_unknown_mode_is_refused(colorizer):
    with pytest.raises(ValueError, match="pixelwise"):
        colorizer.colorize(random_grey(2, 2), mode="pixelwise")


def test_without_calibration_there_are_colours_but_no_bands(tmp_path):
    write_trained(tmp_path / "trained")
    colorizer = Colorizer.load(tmp_path / "trained")
    assert colorizer.colours.predict(GreyPhoto(random_grey(3, 4))).shape == (3, 4, 3)
    with pytest.raises(PackageError, match="no calibration"):
        colorizer.colorize(random_grey(3, 4))
    with pytest.raises(PackageError, match="no colour density"):
        _ = colorizer.density


def test_the_three_files_hold_the_result(colorizer, tmp_path):
    result = colorizer.colorize(random_grey(9, 11), alpha=0.2)
    paths = save(result, tmp_path / "new" / "folder", "cat")
    assert [path.name for path in paths] == ["cat.colorized.png", "cat.bands.npz", "cat.uncertainty.png"]
    assert np.array_equal(np.asarray(Image.open(paths[0])), result.rgb)
    assert np.array_equal(np.asarray(Image.open(paths[2]).convert("RGB")), result.uncertainty)
    with np.load(paths[1], allow_pickle=False) as archive:
        assert set(archive.files) == {"R", "G", "B", "alpha"}
        assert archive["alpha"] == 0.2
        assert all(np.array_equal(archive[name], result.bands[name]) for name in "RGB")
    saved_again = save(result, tmp_path / "again", "cat")
    assert [path.read_bytes() for path in saved_again] == [path.read_bytes() for path in paths]


def test_the_width_is_the_mean_over_the_channels(colorizer):
    result = colorizer.colorize(random_grey(30, 30))
    widths = sum(result.bands[name][..., 1].astype(float) - result.bands[name][..., 0] for name in "RGB") / 3
    assert np.allclose(result.width, widths)


def bordered(border: int = 20, tone: int = 250) -> tuple[np.ndarray, np.ndarray, tuple[slice, slice]]:
    """A picture, the same with a border, and where it lies there."""
    picture = np.clip(random_grey(90, 120) / 3 + np.add.outer(np.arange(90), np.arange(120)) / 2, 0, 255)
    inside = np.s_[border : border + 90, border : border + 120]
    return picture.astype(np.uint8), np.pad(picture.astype(np.uint8), border, constant_values=tone), inside


def test_a_border_stays_grey_and_changes_nothing_inside(colorizer):
    picture, framed, inside = bordered()
    rgb = colorizer.colours.predict(GreyPhoto(framed))
    assert np.array_equal(rgb[inside], colorizer.colours.predict(GreyPhoto(picture)))
    rgb[inside] = 250
    assert (rgb == 250).all()


def test_the_density_looks_at_the_picture_inside_a_border_alone(colorizer):
    picture, framed, _ = bordered()
    alone, estimate = (colorizer.density.estimate(GreyPhoto(levels)) for levels in (picture, framed))
    assert (estimate.entropy, estimate.atypicality) == (alone.entropy, alone.atypicality)
    histograms = {tuple(row) for row in estimate.log_probabilities_3BSS.flatten(2)[0].T.tolist()}
    assert histograms <= {tuple(row) for row in alone.log_probabilities_3BSS.flatten(2)[0].T.tolist()}


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
def test_the_bands_of_a_border_hold_its_grey(colorizer, mode):
    _, framed, inside = bordered()
    result = colorizer.colorize(framed, 0.3, mode)
    bands = stacked(result)
    assert_holds(bands, np.repeat(result.rgb[..., None], 2, axis=-1))
    bands[inside] = (0, 255)
    assert ((bands[..., 0] <= 250) & (bands[..., 1] >= 250)).all()


def test_what_networks_see_of_a_photo_without_a_border_lies_where_it_lay(colorizer):
    for size in ((1, 1), (33, 47), (640, 481), (100, 700)):
        samples = torch.arange(48.0).view(1, 6, 8)
        assert torch.equal(GreyPhoto(random_grey(*size)).spread(samples), samples)


def test_a_long_photo_is_coloured_like_its_parts(colorizer):
    """Far from the seams: a tall photo of four squares that are equal has four equal parts, as windows see them."""
    square = np.kron(random_grey(12, 12), np.ones((20, 20), np.uint8))
    tall, alone = np.tile(square, (4, 1)), square
    rgb, expected = (colorizer.colours.predict(GreyPhoto(levels)).astype(int) for levels in (tall, alone))
    assert np.abs(rgb[:60] - expected[:60]).mean() < 3, "the first window alone has this"
    wide = colorizer.colorize(tall.T)
    assert wide.rgb.shape == (240, 960, 3)
    assert_holds(stacked(wide), np.repeat(wide.rgb[..., None], 2, axis=-1))


def test_views_are_averaged_and_moved_back(colorizer):
    L_11SS = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for views in (1, *VIEWS):
        unchanged = average_over_views(lambda L: torch.cat((L, -L), dim=1), L_11SS, views)
        inside = np.s_[..., 8:-8, 8:-8]
        torch.testing.assert_close(unchanged[inside], torch.cat((L_11SS, -L_11SS), dim=1)[inside])
        assert len(VIEWS.get(views, [0])) == views
        ramp_11SS = torch.arange(32.0).expand(1, 1, 32, 32) + 2 * torch.arange(32.0)[:, None]
        coarse = average_over_views(lambda L: torch.nn.functional.avg_pool2d(L, 4), ramp_11SS, views)
        inside = np.s_[..., 2:-2, 2:-2]
        torch.testing.assert_close(coarse[inside], torch.nn.functional.avg_pool2d(ramp_11SS, 4)[inside])
    grey = random_grey(90, 120)
    one, eight = (replace(colorizer.colours, views=views).predict(GreyPhoto(grey)) for views in (1, 8))
    assert not np.array_equal(one, eight)


def test_in_two_steps_a_photo_is_seen_as_it_is_at_a_smaller_size(colorizer):
    one = colorizer.colours
    two, side = replace(one, resize="bicubic-then-bilinear-antialias"), one.image_size
    large = GreyPhoto(random_grey(9 * side, 6 * side))
    assert two.first_size(large) == (2 * side, round(4 / 3 * side), "bicubic")
    assert two.first_size(GreyPhoto(random_grey(2 * side, side))) == (side, side, "bilinear")
    assert two.first_size(GreyPhoto(random_grey(12 * side, 3 * side))) == (8 * side, 2 * side, "bicubic")
    (L_11HW,) = large.lightness(two.first_size(large))
    small = GreyPhoto(grey_of_lightness(L_11HW[0, 0]).numpy())
    seen_apart = [float((colours.canvas(large) - colours.canvas(small)).abs().mean()) for colours in (one, two)]
    assert seen_apart[1] < 0.2 < seen_apart[0]
