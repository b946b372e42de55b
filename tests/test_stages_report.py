"""The stages evaluate and calibrate on a tiny dataset and a network that was never trained."""

import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from huebands.colorizer import Colorizer, grey_of
from huebands.conformal.calibration import Calibration
from huebands.conformal.scores import choose_scale, photo_losses
from huebands.data.preparation import prepare_photo
from huebands.data.shards import MANIFEST_COLUMNS, write_manifest, write_shard
from huebands.images import encode_png, read_photo
from huebands.metrics.report import METRICS, OF_SETS
from huebands.networks import build_generator
from huebands.package import read_package, write_generator
from huebands.params import SPLITS, CalibrateParams
from huebands.stages import calibrate, evaluate

COUNTS = {"train": 0, "val": 2, "calibration": 9, "test": 3}
SIZE = 16
SETTINGS = CalibrateParams(alpha_min=0.01, alpha_max=0.5, alpha_step=0.01, report_alpha=0.2, heatmaps=2, seed=0)


@pytest.fixture
def folder(tmp_path):
    """A working folder as prepare and train leave it: photos of several sizes, shards, manifest, weights."""
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
            }
            rows.append({**dict.fromkeys(MANIFEST_COLUMNS, ""), **known})
        write_shard(tmp_path / "data/prepared", split, squares, len(squares), SIZE)
    write_manifest(tmp_path / "data/prepared", pd.DataFrame(rows))
    torch.manual_seed(0)
    network = {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0}
    config = {
        "format": 1,
        "name": "tiny",
        "network": network,
        "preprocessing": {
            "image_size": SIZE,
            "lightness": "cielab-d65-8bit-grey",
            "resize": "bilinear-antialias",
            "ab_scale": 110.0,
        },
        "lineage": {"git_commit": "", "data_sha256": "", "data": "", "params": {}},
    }
    write_generator(tmp_path / "models/trained", build_generator(network).state_dict(), config)
    return tmp_path


def photos_of(folder):
    return calibrate.Photos(
        folder / "data/raw",
        calibrate.read_manifest(folder / "data/prepared"),
        calibrate.Colorizer.load(folder / "models/trained"),
    )


def run_calibrate(folder, settings=SETTINGS):
    calibrate.calibrate(photos_of(folder), "d" * 64, folder / "models/calibration", folder / "reports", settings)


@pytest.fixture
def run_evaluate(folder, photo_scorer, monkeypatch):
    monkeypatch.setattr(evaluate, "PhotoScorer", lambda: photo_scorer)

    def run(report="reports"):
        evaluate.evaluate(folder / "data/prepared", folder / "models/trained", folder / report, sheet_rows=2, seed=0)
        return folder / report

    return run


def test_evaluate_writes_metrics_table_and_sheet(run_evaluate, capsys):
    report = run_evaluate()
    metrics = json.loads((report / "metrics.json").read_text())
    table = pd.read_csv(report / "photos.csv")
    assert metrics.pop("photos") == len(table) == COUNTS["test"]
    assert table["id"].tolist() == ["test0", "test1", "test2"]
    assert list(metrics) == [metric.key for metric in METRICS]
    for name, figures in metrics.items():
        beside = {"colourfulness": {"truth"}, "clipped": {"truth"}, "kid": {"standard_error"}}.get(name, set())
        assert set(figures) == {"model", "low", "high", "grey"} | beside
        if name not in OF_SETS:
            for of in {"model", "grey", "truth"} & set(figures):
                assert figures[of] == pytest.approx(table[f"{name}_{of}"].mean(), abs=1e-3)
    assert metrics["colourfulness"]["truth"] > 10 and metrics["colourfulness"]["grey"] == 0
    assert metrics["kid"]["low"] <= metrics["kid"]["model"] <= metrics["kid"]["high"]
    # Three photos are too few for an interval of a mean.
    assert (metrics["psnr"]["low"], metrics["psnr"]["high"]) == (0, None)
    assert read_photo(report / "sheet.png").shape[1] > 500
    assert "ciede2000 model" in capsys.readouterr().out


def test_evaluate_gives_the_same_files_again(run_evaluate):
    first, second = run_evaluate("first"), run_evaluate("second")
    names = sorted(path.name for path in first.iterdir())
    assert names == ["metrics.json", "photos.csv", "sheet.png"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_calibrate_writes_a_calibration_of_the_trained_generator(folder):
    run_calibrate(folder)
    calibration = Calibration.load(folder / "models/calibration")
    package = read_package(folder / "models/trained")
    assert calibration.photos == 9 and calibration.data_sha256 == "d" * 64
    assert calibration.weights_sha256 == package.weights_sha256
    assert calibration.preprocessing_sha256 == package.preprocessing_sha256
    assert len(calibration.certificate) == 2 * 41  # alphas 0.10, 0.11, ... 0.50 in both modes


def test_the_joint_scale_comes_from_the_validation_photos_alone(folder):
    """A family of bands that calibration or test photos had shaped would void the promise."""
    run_calibrate(folder)
    scale = Calibration.load(folder / "models/calibration").scale
    photos, scales = photos_of(folder), {}
    for split in ("val", "calibration", "test"):
        losses = [photo_losses(photo.true, photo.shown, np.ones(3)) for photo in photos.split(split)]
        scales[split] = choose_scale(losses).tolist()
    assert scale.tolist() == scales["val"]
    assert scale.tolist() not in (scales["calibration"], scales["test"]), "the splits must differ to tell"


@pytest.mark.parametrize("mode", ["per_channel", "joint"])
@pytest.mark.parametrize("upload", ["colour", "grey"])
def test_what_was_calibrated_is_what_a_user_gets(folder, mode, upload):
    """Counted in the bands' files, photos miss what the calibration says, whether sent in colour or as grey."""
    run_calibrate(folder)
    for path in (folder / "models/calibration").iterdir():
        shutil.copy(path, folder / "models/trained")
    colorizer = Colorizer.load(folder / "models/trained")
    step = colorizer.calibration.steps(0.3, mode)
    for row in range(COUNTS["calibration"]):
        path = folder / f"data/raw/photos/calibration{row}.png"
        true = read_photo(path)
        content = path.read_bytes() if upload == "colour" else encode_png(grey_of(true))
        with np.load(io.BytesIO(colorizer.colorize(content, 0.3, mode).encode("photo")["photo.bands.npz"])) as band:
            pairs = np.stack([band[name] for name in "RGB"], axis=2)
        outside = (true < pairs[..., 0]) | (true > pairs[..., 1])
        if mode == "per_channel":
            table = colorizer.calibration.per_channel[row, range(3), step]
            assert outside.mean(axis=(0, 1)) == pytest.approx(table, abs=1e-12)
        else:
            assert outside.any(axis=-1).mean() == pytest.approx(colorizer.calibration.joint[row, step[0]], abs=1e-12)


def test_near_duplicates_count_as_one_photo(folder):
    manifest = calibrate.read_manifest(folder / "data/prepared")
    for split in ("calibration", "test"):
        near = manifest["id"].isin([f"{split}1", f"{split}2"])
        manifest.loc[near, "group"] = f"{split}1"
    write_manifest(folder / "data/prepared", manifest)
    run_calibrate(folder)
    assert Calibration.load(folder / "models/calibration").smallest_alpha == 1 / 9
    assert json.loads((folder / "reports/metrics.json").read_text())["photos"] == {"calibration": 8, "test": 2}


def test_calibrate_reports_every_supported_alpha_and_equals_mapie(folder):
    run_calibrate(folder)
    metrics = json.loads((folder / "reports/metrics.json").read_text())
    table = pd.read_csv(folder / "reports/coverage.csv")
    assert metrics["photos"] == {"calibration": 9, "test": 3}
    assert metrics["one_pixel"]["mapie"] == metrics["one_pixel"]["huebands"]
    assert metrics["one_pixel"]["alphas_compared"] > 0
    assert list(table.columns) == [
        "alpha", "mode", "nominal", "coverage", "low", "high", "width", "width_R", "width_G", "width_B",
    ]  # fmt: skip
    for mode in ("per_channel", "joint"):
        rows = table[table["mode"] == mode]
        assert rows["alpha"].tolist() == [round(a / 100, 2) for a in range(10, 51)]
        assert rows["coverage"].is_monotonic_decreasing and rows["width"].is_monotonic_decreasing
        at_report = rows[rows["alpha"] == 0.2].iloc[0]
        assert metrics[mode]["coverage"] == pytest.approx(at_report["coverage"], abs=1e-3)
        assert metrics[mode]["width"] == pytest.approx(at_report["width"], abs=1e-2)
    for name in ("coverage.png", "heatmaps.png"):
        assert read_photo(folder / "reports" / name).shape[1] > 500


def test_calibrate_gives_the_same_files_again(folder):
    run_calibrate(folder)
    paths = [p for place in ("models/calibration", "reports") for p in sorted((folder / place).iterdir())]
    first = [path.read_bytes() for path in paths]
    run_calibrate(folder)
    assert len(paths) == 6 and first == [path.read_bytes() for path in paths]


def test_a_stage_ends_with_one_line_that_says_what_to_do(folder, monkeypatch):
    settings = {"alpha_min": 0.01, "report_alpha": 0.05}
    few = CalibrateParams(**{**vars(SETTINGS), **settings})

    class Loaded:
        calibrate = few

    monkeypatch.chdir(folder)
    monkeypatch.setattr(calibrate.params, "load", lambda: Loaded)
    with pytest.raises(SystemExit, match=r"calibrate: alpha \(=0\.05\) must be in \[0\.1, 1\): 9 calibration"):
        calibrate.main()
    (folder / "data/prepared/test.npy").unlink()
    Loaded.evaluate = evaluate.params.EvaluateParams(sheet_rows=1, seed=0)
    with pytest.raises(SystemExit, match=r"evaluate: .*test\.npy: not found; run the prepare stage"):
        evaluate.main()
