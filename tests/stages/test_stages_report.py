"""The stages evaluate, fit-density and calibrate on a tiny dataset and networks that were hardly trained."""

import io
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.distributed as dist
from PIL import Image

from huebands.colorize.calibration import calibrate, choose_bands, count_split, laws, measure, measure_all
from huebands.colorize.colorizer import Colorizer
from huebands.colorize.params import CalibrateParams
from huebands.colorize.result_files import files_of_result
from huebands.conformal.bands import STEPS
from huebands.conformal.guarantee import MODES
from huebands.conformal.scores import photo_losses
from huebands.conformal.summary import metrics_of
from huebands.data.originals import Originals
from huebands.data.params import SPLITS
from huebands.data.preparation import prepare_photo
from huebands.data.shards import MANIFEST_COLUMNS, LabShard, data_sha256, read_manifest, write_manifest, write_shard
from huebands.density.description import CHANNELS_FORMAT
from huebands.density.model import read_density
from huebands.density.network import ChannelDensityNetwork
from huebands.density.params import DensityParams
from huebands.fetch.pypi import FetchError
from huebands.metrics.report import METRICS, OF_SETS
from huebands.metrics.steadiness import KEYS
from huebands.models.encoders.encoder import Encoder
from huebands.models.interface import Network
from huebands.package.generator import write_generator
from huebands.package.read import read_package
from huebands.photos.grey import GreyPhoto
from huebands.photos.read import read_photo
from huebands.photos.write import encode_png
from huebands.registry.reports import StageFolders, find_hints_report
from huebands.stages import calibrate as stage
from huebands.stages import evaluate, fit_density
from huebands.statistics.risk_control import first_step
from joint_density import with_joint_density
from painted_hints import with_hints
from tiny_package import network_of, seal, tiny_config, write_tiny_density
from toy_calibration import read_calibration

COUNTS = {"train": 3, "val": 2, "calibration": 9, "test": 3}
SIZE = 16
ALPHAS = (0.1, 0.2, 0.3, 0.5)  # of nine photos
SETTINGS = CalibrateParams(
    adaptivity=0.5, alphas=(0.01, *ALPHAS), report_alpha=0.2, unlike_p_value=0.05, heatmaps=2, hints=False, seed=0
)
REPORTED = (("coverage", "csv"), ("coverage", "png"), ("heatmaps", "png"))
FIT = DensityParams(
    encoder="efficientnet-lite0",
    filters=2,
    dropout=0.1,
    bins=8,
    image_size=32,
    epochs=2,
    batch_size=4,
    views=2,
    averaged_views=1,
    feature_gib=0.1,
    seed=0,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A working folder as prepare and train leave it: photos of several sizes, shards, manifest, weights."""
    tmp_path = tmp_path_factory.mktemp("trained")
    generator, rows = np.random.default_rng(0), []
    (tmp_path / "data/raw/photos").mkdir(parents=True)
    (tmp_path / "data/prepared").mkdir()
    for split in SPLITS:
        squares = []
        for row in range(COUNTS[split]):
            coarse = Image.fromarray(generator.integers(0, 256, (4, 4, 3), dtype=np.uint8))
            photo = coarse.resize((24 + 3 * row, 40 - row), Image.Resampling.BICUBIC)
            file = f"photos/{split}{row}.png"
            photo.save(tmp_path / "data/raw" / file)
            squares.append(prepare_photo(np.asarray(photo), SIZE).lab)
            known = {
                "id": f"{split}{row}",
                "group": f"{split}{row}",
                "name": file,
                "file": file,
                "split": split,
                "row": row,
                "title": "",
                "source": ("meadow==1.0", "data/photos")[row % 2],
            }
            rows.append({**dict.fromkeys(MANIFEST_COLUMNS, ""), **known})
        write_shard(tmp_path / "data/prepared", split, squares, len(squares), SIZE)
    write_manifest(tmp_path / "data/prepared", pd.DataFrame(rows))
    torch.manual_seed(0)
    config = tiny_config()
    network = network_of(config["network"], SIZE)
    write_generator(tmp_path / "models/trained", network.state_dict(), config)
    write_tiny_density(tmp_path / "models/density")
    return tmp_path


@pytest.fixture
def folder(trained, tmp_path):
    """A copy of `trained`, to be changed."""
    return shutil.copytree(trained, tmp_path, dirs_exist_ok=True)


def colorizer_of(folder):
    package = read_package(folder / "models/trained")
    return Colorizer(replace(package, density=read_density(folder / "models/density")), "tiny")


def photos_of(folder, kind=Originals):
    return kind(folder / "data/raw", read_manifest(folder / "data/prepared"))


def run_calibrate(folder, settings=SETTINGS):
    colorizer, photos = colorizer_of(folder), photos_of(folder)
    calibration = calibrate(colorizer, photos, settings, "d" * 64, 4.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage, "CALIBRATION", folder / "models/calibration")
        patch.setattr(stage, "REPORT", folder / "reports")
        stage.write([measure(colorizer, photos, calibration, settings)], colorizer.package)
    return read_calibration(folder / "models/calibration")


@pytest.fixture(scope="module")
def calibrated(trained, tmp_path_factory):
    """A copy of `trained` in which calibrate has run as `SETTINGS` say; to be read or copied, never changed."""
    folder = shutil.copytree(trained, tmp_path_factory.mktemp("calibrated"), dirs_exist_ok=True)
    run_calibrate(folder)
    return folder


@pytest.fixture
def run_evaluate(folder, photo_scorer, monkeypatch):
    monkeypatch.setattr(evaluate, "PhotoScorer", lambda: photo_scorer)

    def run(report="reports"):
        raw, prepared, trained = (folder / name for name in ("data/raw", "data/prepared", "models/trained"))
        evaluate.evaluate(raw, prepared, trained, folder / report, sheet_rows=2, seed=0)
        return folder / report

    return run


def test_evaluate_writes_metrics_table_and_sheet(run_evaluate, capsys):
    report = run_evaluate()
    metrics = json.loads((report / "metrics.json").read_text())
    table = pd.read_csv(report / "photos.csv")
    by_source = metrics.pop("sources")
    assert metrics.pop("photos") == len(table) == COUNTS["test"]
    assert table["id"].tolist() == ["test0", "test1", "test2"]
    steadiness = {key: metrics.pop(key) for key in KEYS if key != "steadiness_size"}
    assert list(metrics) == [metric.key for metric in METRICS]
    for key, figures in steadiness.items():
        assert (list(figures), figures["photos"]) == (["model", "low", "high", "photos"], COUNTS["test"])
        assert figures["model"] == pytest.approx(table[key].mean(), abs=1e-3)
    for name, figures in metrics.items():
        beside = {"colourfulness": {"truth"}, "clipped": {"truth"}, "kid": {"standard_error"}}.get(name, set())
        assert set(figures) == {"model", "low", "high", "grey"} | beside
        if name not in OF_SETS:
            for of in {"model", "grey", "truth"} & set(figures):
                assert figures[of] == pytest.approx(table[f"{name}_{of}"].mean(), abs=1e-3)
    assert metrics["colourfulness"]["truth"] > 10 and metrics["colourfulness"]["grey"] == 0
    assert {name: figures["photos"] for name, figures in by_source.items()} == {"data/photos": 1, "meadow": 2}
    second = table.iloc[1]  # the only one from the folder
    for key in ("ciede2000", "colourfulness_error"):
        expected = {of: pytest.approx(second[f"{key}_{of}"], abs=1e-4) for of in ("model", "grey")}
        assert by_source["data/photos"][key] == expected
    assert metrics["kid"]["low"] <= metrics["kid"]["model"] <= metrics["kid"]["high"]
    # Three photos are too few for an interval of a mean.
    assert (metrics["psnr"]["low"], metrics["psnr"]["high"]) == (0, None)
    assert read_photo(report / "sheet.png").shape[1] > 500
    assert "ciede2000 model" in capsys.readouterr().out


def test_evaluate_leaves_out_what_would_flatter_an_encoder_and_says_so(run_evaluate, monkeypatch, capsys):
    monkeypatch.setattr(Network, "judged_by_inception", classmethod(lambda cls, params: False))
    metrics = json.loads((run_evaluate() / "metrics.json").read_text())
    beside = {"photos", "sources", *KEYS}
    assert [key for key in metrics if key not in beside] == [m.key for m in METRICS if m.key not in OF_SETS]
    assert "evaluate: FID and KID are left out: they look through Inception v3" in capsys.readouterr().out


def test_evaluate_gives_the_same_files_again(run_evaluate):
    first, second = run_evaluate("first"), run_evaluate("second")
    names = sorted(path.name for path in first.iterdir())
    assert names == ["metrics.json", "photos.csv", "sheet.png"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.fixture
def fit(folder, monkeypatch):
    """Run the stage fit-density around a random encoder: ImageNet's weights take a download."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(Encoder, "load_imagenet", lambda self: None)
    shutil.rmtree("models/density")

    def run(settings=FIT):
        fit_density.fit_density(settings)
        return read_density(folder / "models/density")

    return run


def test_the_fit_of_the_density_writes_a_model_and_its_history(fit, folder, capsys):
    model = fit()
    assert (model.image_size, model.network.bins) == (32, 8)
    assert asdict(model.description.network) == FIT.network()
    assert model.description.lineage.data_sha256 == data_sha256(folder / "data/prepared")
    assert model.description.lineage.params == asdict(FIT)
    history = pd.read_csv(folder / "reports/density/history.csv")
    assert list(history.columns) == ["epoch", "train", "val"]
    assert history["epoch"].tolist() == [1, 2]
    assert (history[["train", "val"]] < 10).all(axis=None), "nats"
    assert f"fit-density: epoch 2: {history['train'][1]:.4f} nats a value on train" in capsys.readouterr().out


def test_the_fit_of_the_density_gives_the_same_files_again(fit, folder):
    sha256, path = fit().sha256, folder / "reports/density/history.csv"
    history = path.read_bytes()
    assert fit().sha256 == sha256
    assert path.read_bytes() == history
    assert fit(replace(FIT, seed=1)).sha256 != sha256


def test_the_fit_of_the_density_looks_at_training_and_validation_photos_alone(fit, monkeypatch):
    opened = []

    class Spy(LabShard):
        def __init__(self, folder, split):
            opened.append(split)
            super().__init__(folder, split)

    monkeypatch.setattr(fit_density, "LabShard", Spy)
    fit()
    assert sorted(opened) == ["train", "val"]


def test_the_fit_of_the_density_ends_with_one_line_that_says_what_to_do(fit, folder, monkeypatch):
    class Loaded:
        density = FIT

    def refuse(encoder):
        raise FetchError("pip cannot fetch it")

    monkeypatch.setattr(fit_density.params, "load", lambda: Loaded)
    with monkeypatch.context() as patch:
        patch.setattr(Encoder, "load_imagenet", refuse)
        with pytest.raises(SystemExit, match=r"^fit-density: pip cannot fetch it$"):
            fit_density.main()
    write_shard(folder / "data/prepared", "train", [], 0, SIZE)
    with pytest.raises(SystemExit, match=r"^fit-density: data/prepared: the train split is empty; enlarge prepare\."):
        fit_density.main()


def test_calibrate_writes_a_calibration_of_both_networks(calibrated, tmp_path, monkeypatch):
    calibration = read_calibration(calibrated / "models/calibration")
    package = read_package(calibrated / "models/trained")
    assert calibration.photos == 9 and calibration.data_sha256 == "d" * 64
    assert calibration.weights_sha256 == package.weights_sha256
    assert calibration.distribution_sha256 == read_density(calibrated / "models/density").sha256
    assert calibration.preprocessing_sha256 == package.preprocessing_sha256
    assert (calibration.min_chroma, calibration.unlike_p_value) == (4.0, 0.05)
    certificate = calibration.certificate
    assert [(row["mode"], row["alpha"]) for row in certificate["curve"]] == [(m, a) for m in MODES for a in ALPHAS]
    assert [(row["mode"], row["alpha"]) for row in certificate["grouped"]] == [(mode, 0.2) for mode in MODES]
    assert (certificate["alpha"], certificate["test_photos"]) == (0.2, 3)
    page = (calibrated / "models/calibration/certificate.html").read_text()
    assert "tiny" in page and calibration.weights_sha256 in page
    remark = "It learned from copies."
    config = {**package.config, "lineage": {**package.config["lineage"], "remark": remark}}
    monkeypatch.chdir(tmp_path)
    stage.write([(calibration, [])], replace(package, config=config))
    assert remark in (tmp_path / "models/calibration/certificate.html").read_text() and remark not in page


def test_calibrate_reports_photos_with_hints_beside_those_without(calibrated, tmp_path, monkeypatch):
    """Where the network takes hints; the whole stage but for its files' names."""
    photos, colorizer = photos_of(calibrated), with_hints(colorizer_of(calibrated))
    calibrations = [
        calibrate(colorizer, photos, SETTINGS, "d" * 64, 4.0, law=law) for law in laws(colorizer, photos, SETTINGS)
    ]
    monkeypatch.chdir(tmp_path)
    stage.write(measure_all(colorizer, photos, calibrations, SETTINGS), colorizer.package)
    metrics = json.loads((tmp_path / "reports/calibrate/metrics.json").read_text())
    assert set(metrics["hints"]) - set(metrics) == {"nearest_to_hints"}
    assert metrics["hints"]["photos"] == metrics["photos"]
    assert {path.name for path in (tmp_path / "reports/calibrate").iterdir()} == {
        "metrics.json",
        *(f"{name}{of}.{kind}" for name, kind in REPORTED for of in ("", "-hints")),
    }
    names = {"calibration.npz", "calibration.json", "calibration-hints.npz", "calibration-hints.json"}
    assert {path.name for path in (tmp_path / "models/calibration").iterdir()} == {*names, "certificate.html"}
    folders = StageFolders(calibration=tmp_path / "models/calibration")
    assert find_hints_report(folders)["law"]["mean"] == 8
    assert find_hints_report(StageFolders(calibration=calibrated / "models/calibration")) is None


def test_reading_the_photos_tells_now_and_then_how_many_were_read(calibrated, capsys, monkeypatch):
    monkeypatch.setattr("huebands.data.progress._LOG_SECONDS", 0.0)
    read = list(photos_of(calibrated).read("test", 1, 2))
    lines = capsys.readouterr().err.splitlines()
    assert lines == [f"test: {number} of {len(read)} photos" for number in range(1, len(read) + 1)] != []


def test_what_shapes_the_bands_comes_from_the_validation_photos_alone(calibrated):
    """A family of bands that calibration or test photos had shaped would void the promise."""

    class OnlyVal(Originals):
        def read(self, split, part=0, parts=1):
            assert split == "val"
            return super().read(split, part, parts)

    calibration = read_calibration(calibrated / "models/calibration")
    chosen = choose_bands(colorizer_of(calibrated), photos_of(calibrated, OnlyVal), SETTINGS)
    assert (calibration.shape, calibration.error_curve) == chosen


def test_the_expected_error_is_calibrated_on_the_validation_photos_and_measured_on_the_test_photos(calibrated):
    """As for the bands, calibration and test photos must not decide it."""

    class Spied(Originals):
        def read(self, split, part=0, parts=1):
            reads.append(split)
            return super().read(split, part, parts)

    reads = []
    joint, photos = with_joint_density(colorizer_of(calibrated)), photos_of(calibrated, Spied)
    calibration = calibrate(joint, photos, SETTINGS, "d" * 64, 4.0)
    assert reads == ["val", "calibration"]
    shape, curve = choose_bands(joint, photos_of(calibrated), SETTINGS)
    assert (calibration.shape, calibration.error_curve) == (shape, curve)
    assert curve is not None and len(curve.expected) > 2
    measured, strips = measure(joint, photos, calibration, SETTINGS)
    maps = measured.certificate["maps"]
    assert {row["map"] for row in maps["rows"]} == {"expected-error", "width"}
    assert {row["photos"] for row in maps["rows"]} == {COUNTS["test"]}
    assert len(maps["reliability"]) > 2
    assert all(strip.expected_error.shape == strip.grey.shape for strip in strips)
    metrics = metrics_of(measured)
    assert metrics["expected_error"]["calibration_error"] == maps["calibration_error"]
    for name in ("expected_error", "width"):
        for figure in ("sparsification", "rank_correlation"):
            assert set(metrics[name][figure]) == {"ab", "ciede2000"}


def test_a_model_without_a_joint_density_reports_its_widths_alone(calibrated):
    colorizer, photos = colorizer_of(calibrated), photos_of(calibrated)
    density = colorizer.density
    by_channel = replace(
        density,
        network=ChannelDensityNetwork(**asdict(density.description.network)).eval(),
        description=replace(density.description, format=CHANNELS_FORMAT),
    )
    old = Colorizer(replace(colorizer.package, density=by_channel), colorizer.source)
    calibration = calibrate(old, photos, SETTINGS, "d" * 64, 4.0)
    assert calibration.error_curve is None
    measured, strips = measure(old, photos, calibration, SETTINGS)
    assert all(strip.expected_error is None for strip in strips)
    metrics = metrics_of(measured)
    assert "expected_error" not in metrics
    assert set(metrics["width"]) == {"sparsification", "rank_correlation"}


def test_the_joint_offsets_are_those_of_the_narrowest_bands(folder, monkeypatch):
    settings, photos, colorizer = replace(SETTINGS, report_alpha=0.5), photos_of(folder), colorizer_of(folder)
    candidates, widths = ((0, 0, 0), (0, 96, 0), (96, 0, 96)), {}
    for offsets in candidates:
        monkeypatch.setattr("huebands.conformal.shape._JOINT_OFFSETS", (offsets,))
        shape, _ = choose_bands(colorizer, photos, settings)
        assert shape.joint_offsets == offsets
        photo_bands = [(photo, colorizer.predict(photo.grey, shape).bands) for photo in photos.read("val")]
        losses = [
            photo_losses(bands.nested.first_steps(photo.rgb), bands.groups, offsets).overall
            for photo, bands in photo_bands
        ]
        step = int(first_step(np.stack(losses)[:, 3], 0.5))
        steps = np.minimum(step + np.array(offsets), STEPS - 1)
        bands = [of.at(steps, "joint").astype(int) for _, of in photo_bands]
        widths[offsets] = np.mean([(of[..., 1] - of[..., 0]).mean() for of in bands])
    monkeypatch.setattr("huebands.conformal.shape._JOINT_OFFSETS", candidates)
    assert len(set(widths.values())) == 3, "they must differ to tell"
    assert choose_bands(colorizer, photos, settings)[0].joint_offsets == min(widths, key=widths.get)


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
@pytest.mark.parametrize("upload", ["colour", "grey"])
def test_what_was_calibrated_is_what_a_user_gets(calibrated, tmp_path, mode, upload):
    """Counted in the bands' files, photos miss what the calibration says, whether sent in colour or as grey."""
    folder = shutil.copytree(calibrated, tmp_path, dirs_exist_ok=True)
    for part in ("calibration", "density"):
        shutil.copytree(folder / "models" / part, folder / "models/trained", dirs_exist_ok=True)
    seal(folder / "models/trained")
    colorizer = Colorizer.load(folder / "models/trained")
    losses = colorizer.calibration.table.losses
    kinds = range(3) if mode == "per_channel" else range(3, 4)
    steps = first_step(losses[:, kinds], 0.3)
    for row in range(COUNTS["calibration"]):
        path = folder / f"data/raw/photos/calibration{row}.png"
        true = read_photo(path)
        content = path.read_bytes() if upload == "colour" else encode_png(GreyPhoto.of_rgb(true).levels_HW)
        files = dict(files_of_result(colorizer.colorize(content, 0.3, mode), "photo"))
        with np.load(io.BytesIO(bytes(files["photo.bands.npz"]))) as band:
            pairs = np.stack([band[name] for name in "RGB"], axis=2)
        outside = (true < pairs[..., 0]) | (true > pairs[..., 1])
        missed = outside.mean(axis=(0, 1)) if mode == "per_channel" else [outside.any(axis=-1).mean()]
        assert missed == pytest.approx(losses[row, kinds, steps], abs=1e-11)  # shares are rounded to 2^-40


@pytest.fixture
def gloo():
    """A group of this process alone: what it reduces stays as it is."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_the_counts_of_many_processes_add_up_to_that_of_one_to_the_bit(folder, gloo):
    photos, colorizer = photos_of(folder), colorizer_of(folder)
    shape, _ = choose_bands(colorizer, photos, SETTINGS)
    whole = count_split(colorizer, photos, shape)
    first, second = (
        count_split(colorizer, photos, shape, None, rank, 2).all_reduce(torch.device("cpu")) for rank in (0, 1)
    )
    for name, table in whole.tables().items():
        assert np.array_equal((first + second).tables()[name], table)
        assert not np.array_equal(first.tables()[name], table)


def test_near_duplicates_count_as_one_photo(folder):
    manifest = read_manifest(folder / "data/prepared")
    for split in ("calibration", "test"):
        near = manifest["id"].isin([f"{split}1", f"{split}2"])
        manifest.loc[near, "group"] = f"{split}1"
    write_manifest(folder / "data/prepared", manifest)
    assert run_calibrate(folder, replace(SETTINGS, report_alpha=0.5)).smallest_alpha == 1 / 9
    assert json.loads((folder / "reports/metrics.json").read_text())["photos"] == {"calibration": 8, "test": 2}


def test_calibrate_reports_every_supported_alpha(calibrated):
    metrics = json.loads((calibrated / "reports/metrics.json").read_text())
    table = pd.read_csv(calibrated / "reports/coverage.csv")
    assert metrics["photos"] == {"calibration": 9, "test": 3}
    assert list(table.columns) == [
        "alpha", "mode", "nominal", "coverage", "low", "high", "width", "width_R", "width_G", "width_B",
    ]  # fmt: skip
    for mode in ("per_channel", "joint"):
        rows = table[table["mode"] == mode]
        assert rows["alpha"].tolist() == list(ALPHAS)
        assert rows["coverage"].is_monotonic_decreasing and rows["width"].is_monotonic_decreasing
        at_report = rows[rows["alpha"] == 0.2].iloc[0]
        assert metrics[mode]["coverage"] == pytest.approx(at_report["coverage"], abs=1e-3)
        assert metrics[mode]["width"] == pytest.approx(at_report["width"], abs=1e-2)
        assert metrics["grouped"][mode]["width"] >= metrics[mode]["width"]
        assert metrics["grouped"][mode]["coverage"] >= metrics[mode]["coverage"]
    assert {name: figures["photos"] for name, figures in metrics["sources"].items()} == {"data/photos": 1, "meadow": 2}
    for figures in metrics["sources"].values():
        for mode in ("per_channel", "joint"):
            assert set(figures[mode]) == {"coverage", "width", "p_value", "p_holm"}
    assert set(metrics["worst_stratum"]) == {"group", "coverage", "standard_error", "grouped_coverage"}
    assert 0 <= metrics["unlike"] <= 1
    for name in ("coverage.png", "heatmaps.png"):
        assert read_photo(calibrated / "reports" / name).shape[1] > 500


def test_calibrate_gives_the_same_files_again(calibrated, folder):
    run_calibrate(folder)
    paths = [p for place in ("models/calibration", "reports") for p in sorted((calibrated / place).iterdir())]
    again = [(folder / path.relative_to(calibrated)).read_bytes() for path in paths]
    assert len(paths) == 7 and again == [path.read_bytes() for path in paths]


def test_a_stage_ends_with_one_line_that_says_what_to_do(folder, monkeypatch):
    class Loaded:
        calibrate = replace(SETTINGS, report_alpha=0.01)
        prepare = evaluate.params.load(Path(__file__).parents[2] / "params.yaml").prepare

    monkeypatch.chdir(folder)
    monkeypatch.setattr(stage.params, "load", lambda: Loaded)
    with pytest.raises(SystemExit, match=r"calibrate: alpha \(=0\.01\) must be in \[0\.1, 1\): 9 calibration"):
        stage.main()
    (folder / "models/density/distribution.json").unlink()
    with pytest.raises(SystemExit, match=r"calibrate: models/density/distribution\.json: missing; `dvc repro`"):
        stage.main()
    (folder / "data/prepared/test.npy").unlink()
    Loaded.evaluate = evaluate.params.EvaluateParams(sheet_rows=1, seed=0)
    with pytest.raises(SystemExit, match=r"evaluate: .*test\.npy: not found; run the prepare stage"):
        evaluate.main()
