import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from huebands.colorize.colorizer import Colorizer
from huebands.package.choose import default_package, released_sha256
from huebands.package.generator import write_generator
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.package.write import assemble
from huebands.photos.grey import GreyPhoto
from huebands.serving import served_model
from tiny_package import (
    calibrate_tiny,
    network_of,
    seal,
    tiny_config,
    write_tiny_density,
    write_trained,
    write_uncalibrated,
)

BANDS = (
    "distribution.safetensors", "distribution.json", "calibration.npz", "calibration.json", "certificate.html",
)  # fmt: skip
FEW = {"photos": 3, "alphas": (0.5,)}


@pytest.fixture
def package(tiny_package, tmp_path):
    return shutil.copytree(tiny_package, tmp_path / "package")


def change_config(folder: Path, key: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    *path, last = key.split(".")
    section = config
    for name in path:
        section = section[name]
    section[last] = value
    (folder / "config.json").write_text(json.dumps(config))
    seal(folder)


def age(folder: Path, config: dict) -> None:
    """Give a package the configuration of an earlier format."""
    (folder / "config.json").write_text(json.dumps(config))
    seal(folder)


def test_a_package_is_read_as_it_was_written(tmp_path):
    written = write_trained(tmp_path / "a")
    write_generator(tmp_path / "b", written.generator.state_dict(), tiny_config())
    read = read_package(tmp_path / "b")
    assert read.config == tiny_config()
    assert read.calibration is None
    assert read.package_sha256 == written.package_sha256
    L_unit = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    assert torch.equal(read.generator(L_unit), written.generator(L_unit))


def test_a_package_of_format_2_has_a_unet_with_batch_normalisation(tmp_path):
    written = write_trained(tmp_path)
    age(tmp_path, tiny_config() | {"format": 2, "network": {"name": "unet", "filters": 4, "depth": 3, "dropout": 0.0}})
    L_unit = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    assert torch.equal(read_package(tmp_path).generator(L_unit), written.generator(L_unit))


def test_a_training_of_an_earlier_format_is_not_assembled(tmp_path):
    trained = write_trained(tmp_path / "trained")
    write_tiny_density(tmp_path / "distribution")
    calibrate_tiny(tmp_path / "calibration", trained, tmp_path / "distribution")
    age(tmp_path / "trained", tiny_config() | {"format": 3})
    with pytest.raises(PackageError, match=r"trained/config\.json: format \(=3\) must be 4; train again"):
        assemble(tmp_path / "new", *(tmp_path / name for name in ("trained", "distribution", "calibration")), "card")
    assert not (tmp_path / "new").exists()


ENCODER_UNET = {"name": "encoder_unet", "encoder": "efficientnet-lite0", "filters": 4, "dropout": 0.0, "norm": "batch"}


@pytest.mark.parametrize(("format_", "name"), [(3, "encoder-unet"), (4, "encoder_unet")])
def test_a_package_of_an_encoder_unet_is_read_without_fetching_its_weights(tmp_path, monkeypatch, format_, name):
    def refuse(*arguments):
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr("huebands.models.encoders.encoder.fetch_package", refuse)
    config = tiny_config() | {"format": format_, "network": {**ENCODER_UNET, "name": name}}
    config["preprocessing"]["image_size"] = 64
    torch.manual_seed(0)
    generator = network_of(ENCODER_UNET, 64).eval()
    write_generator(tmp_path, generator.state_dict(), config)
    L_unit = torch.linspace(-1, 1, 4096).reshape(1, 1, 64, 64)
    # Kernels are stored in float16: 11 bits, and a network deep.
    torch.testing.assert_close(read_package(tmp_path).generator(L_unit), generator(L_unit), rtol=0, atol=5e-3)
    for key, value in (("network.encoder", "resnet50"), ("preprocessing.image_size", 80), ("network.depth", 5)):
        change_config(tmp_path, key, value)
        with pytest.raises(PackageError, match=key):
            read_package(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(config))
        seal(tmp_path)


def test_the_generator_is_in_eval_mode_and_needs_no_gradients(tiny_package):
    generator = read_package(tiny_package).generator
    assert not any(module.training for module in generator.modules())
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_a_complete_package_has_nine_files_and_no_pickle(tiny_package):
    names = {path.name for path in tiny_package.iterdir()}
    assert names == {"generator.safetensors", "config.json", *BANDS, "MODEL_CARD.md", "manifest.json"}
    package = read_package(tiny_package)
    assert package.calibration is not None
    assert package.density is not None
    assert package.calibration.distribution_sha256 == package.density.sha256


def test_the_network_of_the_distribution_is_in_eval_mode_and_needs_no_gradients(tiny_package):
    network = read_package(tiny_package).density.network
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_a_package_without_calibration_gives_colours_but_no_bands(tmp_path):
    package = write_uncalibrated(tmp_path / "earlier")
    assert (package.calibration, package.density) == (None, None)
    colorizer = Colorizer.load(tmp_path / "earlier")
    assert colorizer.colours.predict(GreyPhoto(np.zeros((3, 4), np.uint8))).shape == (3, 4, 3)
    with pytest.raises(PackageError, match=r"earlier: has no calibration, so no bands"):
        _ = colorizer.calibration


@pytest.mark.parametrize("number", [0, 5, "1", None])
def test_a_calibration_of_an_unknown_format_is_refused(package, number):
    description = json.loads((package / "calibration.json").read_text())
    (package / "calibration.json").write_text(json.dumps(description | {"format": number}))
    seal(package)
    with pytest.raises(PackageError, match=r"calibration\.json: format \(=.*must be one of 2, 3, 4"):
        read_package(package)


@pytest.mark.parametrize("name", ["MODEL_CARD.md", "certificate.html"])
def test_equal_packages_have_equal_hashes_and_any_change_gives_another(tiny_package, package, name):
    assert read_package(tiny_package).package_sha256 == read_package(package).package_sha256
    (package / name).write_text("# Another\n")
    seal(package)
    assert read_package(tiny_package).package_sha256 != read_package(package).package_sha256


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 1),
        ("format", 5),
        ("format", True),
        ("name", ""),
        ("network.name", "transformer"),
        ("network", "unet"),
        ("network.filters", 4.0),
        ("network.filters", 0),
        ("network.depth", 99),
        ("network.dropout", 1.0),
        ("network.norm", "layer"),
        ("network.colour", "red"),
        ("preprocessing.image_size", 20),
        ("preprocessing.image_size", True),
        ("preprocessing.lightness", "luma"),
        ("preprocessing.resize", "nearest"),
        ("preprocessing.ab_scale", 128.0),
        ("preprocessing.upsampling", "guided"),
        ("preprocessing.upsampling.name", "nearest"),
        ("preprocessing.upsampling.radius", 0),
        ("preprocessing.upsampling.radius", 9),
        ("preprocessing.upsampling.epsilon", 0),
        ("preprocessing.upsampling.epsilon", float("inf")),
        ("preprocessing.upsampling.sigma", 1.0),
        ("lineage.git_commit", None),
        ("lineage.params", []),
        ("lineage.precision", "auto"),
        ("extra", 1),
    ],
)
def test_every_value_of_the_configuration_is_checked(package, key, value):
    change_config(package, key, value)
    with pytest.raises(PackageError, match=key) as error:
        read_package(package)
    assert str(package) in str(error.value)


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json", *BANDS])
def test_a_missing_file_is_named(package, name):
    (package / name).unlink()
    with pytest.raises(PackageError, match=f"{name}: missing"):
        read_package(package)


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json", *BANDS[:-1]])
def test_a_damaged_file_is_named_even_if_the_manifest_lists_its_hash(package, name):
    content = (package / name).read_bytes()
    (package / name).write_bytes(content[: len(content) // 2])
    seal(package)
    with pytest.raises(PackageError, match=name):
        read_package(package)


@pytest.mark.parametrize("name", ["config.json", "distribution.json", "calibration.json"])
def test_a_file_nested_too_deep_is_named(package, name):
    (package / name).write_text("[" * 100_000)
    seal(package)
    with pytest.raises(PackageError, match=name):
        read_package(package)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(PackageError, match="nowhere"):
        read_package(tmp_path / "nowhere")


def test_weights_of_another_network_are_refused(package):
    change_config(package, "network.filters", 8)
    with pytest.raises(PackageError, match=r"generator\.safetensors"):
        read_package(package)


def test_weights_that_are_not_finite_are_refused(tmp_path):
    state = write_trained(tmp_path / "a").generator.state_dict()
    state["down.weight"][0, 0, 0, 0] = float("nan")
    write_generator(tmp_path / "b", state, tiny_config())
    with pytest.raises(PackageError, match=r"down\.weight"):
        read_package(tmp_path / "b")


def test_a_calibration_of_other_weights_is_refused(tiny_package, package, tmp_path):
    other = write_trained(tmp_path / "other", seed=1)
    calibrate_tiny(tmp_path / "calibration", other, tiny_package, **FEW)
    shutil.copytree(tmp_path / "calibration", package, dirs_exist_ok=True)
    seal(package)
    with pytest.raises(PackageError, match="weights_sha256"):
        read_package(package)


def test_a_calibration_of_another_distribution_is_refused(package, tmp_path):
    write_tiny_density(tmp_path / "other", seed=1)
    shutil.copytree(tmp_path / "other", package, dirs_exist_ok=True)
    seal(package)
    with pytest.raises(PackageError, match=r"calibration\.json: distribution_sha256 .* belongs to another model"):
        read_package(package)


def test_a_calibration_of_other_preprocessing_is_refused(package):
    change_config(package, "preprocessing.image_size", 32)
    with pytest.raises(PackageError, match="preprocessing_sha256"):
        read_package(package)


def test_assembling_replaces_a_package_completely_or_not_at_all(package, tmp_path):
    before = read_package(package).package_sha256
    trained, distribution = write_trained(tmp_path / "trained", seed=2), tmp_path / "distribution"
    write_tiny_density(distribution, seed=2)
    calibrate_tiny(tmp_path / "foreign", write_trained(tmp_path / "other", seed=3), distribution, **FEW)
    with pytest.raises(PackageError, match="weights_sha256"):
        assemble(package, trained.folder, distribution, tmp_path / "foreign", "# New\n")
    calibrate_tiny(tmp_path / "own", trained, distribution, **FEW)
    for folder, name in ((distribution, "distribution.json"), (tmp_path / "own", "certificate.html")):
        moved = (folder / name).rename(tmp_path / name)
        with pytest.raises(PackageError, match=rf"{folder.name}/{name}: missing; `dvc repro` makes it"):
            assemble(package, trained.folder, distribution, tmp_path / "own", "# New\n")
        moved.rename(folder / name)
    assert read_package(package).package_sha256 == before

    (package / "stray.txt").touch()
    new = assemble(package, trained.folder, distribution, tmp_path / "own", "# New\n")
    assert new.weights_sha256 == trained.weights_sha256
    assert not (package / "stray.txt").exists()
    assert not list(tmp_path.glob(".*")), "temporary folders are left behind"


def test_the_default_is_the_best_release_else_the_pipelines_own(tiny_package, tmp_path):
    with pytest.raises(PackageError, match="make repro"):
        default_package((tmp_path,))
    shutil.copytree(tiny_package, tmp_path / "models/generator")
    assert default_package((tmp_path / "elsewhere", tmp_path)) == tmp_path / "models/generator"
    assert released_sha256(tmp_path / "models/generator") is None
    for name in ("first", "second"):
        shutil.copytree(tiny_package, tmp_path / "models/release" / name)
    write_index(tmp_path, "second", "ab" * 32)
    assert default_package((tmp_path,)) == tmp_path / "models/release/second"
    assert released_sha256(tmp_path / "models/release/second") == "ab" * 32
    assert released_sha256(tmp_path / "models/release/first") is None


def write_index(tree: Path, best: str, package_sha256: str) -> None:
    index = {"best": best, "packages": {best: {"package_sha256": package_sha256}}}
    (tree / "models/release/index.json").write_text(json.dumps(index))


def test_a_released_package_that_was_changed_is_refused(tiny_package, tmp_path, monkeypatch):
    """Also one whose manifest lists the changed hash."""
    monkeypatch.chdir(tmp_path)
    released = shutil.copytree(tiny_package, tmp_path / "models/release/tiny")
    write_index(tmp_path, "tiny", read_package(released).package_sha256)
    loads = (
        Colorizer.load,
        lambda: Colorizer.load("models/release/tiny"),
        lambda: served_model.choose(None, tmp_path).load(),
        lambda: served_model.choose("models/release/tiny").load(),
    )
    for load in loads:
        assert load().package.folder.resolve() == released
    description = json.loads((released / "calibration.json").read_text())
    description["certificate"]["curve"][0]["coverage"] = 0.99
    (released / "calibration.json").write_text(json.dumps(description))
    seal(released)
    for load in loads:
        with pytest.raises(PackageError, match=r"release/tiny: package_sha256 .* must be .*; take the folder from its"):
            load()


def test_a_released_package_without_a_manifest_is_read_in_its_place_alone(tiny_package, tmp_path):
    released = shutil.copytree(tiny_package, tmp_path / "models/release/tiny")
    (released / "manifest.json").unlink()
    write_index(tmp_path, "tiny", read_package(tiny_package).package_sha256)
    assert Colorizer.load(released).package.package_sha256 == read_package(tiny_package).package_sha256
    copied = shutil.copytree(released, tmp_path / "models/release/copied")
    for folder in (copied, shutil.copytree(released, tmp_path / "tiny")):
        with pytest.raises(PackageError, match=r"/manifest\.json: missing; take the folder from its source again"):
            Colorizer.load(folder)


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"best": "gone"}', '{"best": "gone", "packages": {"gone": {}}}'])
def test_an_index_that_names_no_package_is_an_error(tmp_path, content):
    (tmp_path / "models/release").mkdir(parents=True)
    (tmp_path / "models/release/index.json").write_text(content)
    with pytest.raises(PackageError, match=r"release.index\.json"):
        default_package((tmp_path,))


def test_an_index_without_the_hash_of_the_best_package_is_an_error(tiny_package, tmp_path):
    shutil.copytree(tiny_package, tmp_path / "models/release/tiny")
    (tmp_path / "models/release/index.json").write_text('{"best": "tiny", "packages": {"tiny": {"lpips": 0.2}}}')
    with pytest.raises(PackageError, match=r"packages\.tiny\.package_sha256 is missing; take it from git again$"):
        default_package((tmp_path,))
