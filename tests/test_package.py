import json
import shutil
from pathlib import Path

import pytest
import torch

from huebands.default_package import default_package
from huebands.networks import build_generator
from huebands.package import PackageError, assemble, read_package, write_generator
from tiny_package import tiny_config, write_calibration, write_trained


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


def test_what_was_written_is_read_back(tmp_path):
    written = write_trained(tmp_path / "a")
    write_generator(tmp_path / "b", written.generator.state_dict(), tiny_config())
    read = read_package(tmp_path / "b")
    assert read.config == tiny_config()
    assert read.calibration is None
    assert read.package_sha256 == written.package_sha256
    L_unit = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    assert torch.equal(read.generator(L_unit), written.generator(L_unit))


def test_a_package_of_format_1_brings_colours_to_size_bilinearly(tmp_path):
    written = write_trained(tmp_path)
    assert written.upsampling == {"name": "guided", "radius": 1, "epsilon": 2.0}
    config = tiny_config() | {"format": 1}
    del config["preprocessing"]["upsampling"], config["network"]["norm"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_package(tmp_path).upsampling == {"name": "bilinear"}


def test_a_package_of_format_2_has_a_unet_with_batch_normalisation(tmp_path):
    written = write_trained(tmp_path)
    config = tiny_config() | {"format": 2}
    del config["network"]["norm"]
    (tmp_path / "config.json").write_text(json.dumps(config))
    L_unit = torch.linspace(-1, 1, 256).reshape(1, 1, 16, 16)
    assert torch.equal(read_package(tmp_path).generator(L_unit), written.generator(L_unit))


def test_a_package_of_an_encoder_unet_is_read_without_fetching_its_weights(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("nothing is fetched")

    monkeypatch.setattr("huebands.networks.encoders.fetch_package", refuse)
    network = {"name": "encoder-unet", "encoder": "efficientnet-lite0", "filters": 4, "dropout": 0.0, "norm": "batch"}
    config = tiny_config() | {"network": network}
    config["preprocessing"]["image_size"] = 32
    torch.manual_seed(0)
    generator = build_generator(network).eval()
    write_generator(tmp_path, generator.state_dict(), config)
    L_unit = torch.linspace(-1, 1, 1024).reshape(1, 1, 32, 32)
    # Kernels are stored in float16: 11 bits, and a network deep.
    torch.testing.assert_close(read_package(tmp_path).generator(L_unit), generator(L_unit), rtol=0, atol=5e-3)
    for key, value in (("network.encoder", "resnet50"), ("preprocessing.image_size", 48), ("network.depth", 5)):
        change_config(tmp_path, key, value)
        with pytest.raises(PackageError, match=key if key != "network.depth" else "network"):
            read_package(tmp_path)
        (tmp_path / "config.json").write_text(json.dumps(config))


def test_the_generator_is_in_eval_mode_and_needs_no_gradients(tiny_package):
    generator = read_package(tiny_package).generator
    assert not any(module.training for module in generator.modules())
    assert not any(parameter.requires_grad for parameter in generator.parameters())


def test_a_complete_package_has_five_files_and_no_pickle(tiny_package):
    names = {path.name for path in tiny_package.iterdir()}
    assert names == {
        "generator.safetensors",
        "config.json",
        "calibration.npz",
        "calibration.json",
        "MODEL_CARD.md",
    }
    assert read_package(tiny_package).calibration is not None


def test_equal_packages_have_equal_hashes_and_any_change_shows(tiny_package, package):
    assert read_package(tiny_package).package_sha256 == read_package(package).package_sha256
    (package / "MODEL_CARD.md").write_text("# Another\n")
    assert read_package(tiny_package).package_sha256 != read_package(package).package_sha256


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 4),
        ("format", True),
        ("name", ""),
        ("network.name", "transformer"),
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
        ("extra", 1),
    ],
)
def test_every_value_of_the_configuration_is_checked(package, key, value):
    change_config(package, key, value)
    name = {
        "extra": "the content",
        "network.colour": "network",
        "network.name": "transformer",
        "preprocessing.upsampling.sigma": "preprocessing.upsampling",
    }.get(key, key)
    with pytest.raises(PackageError, match=name) as error:
        read_package(package)
    assert str(package) in str(error.value)


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json", "calibration.npz", "calibration.json"])
def test_a_missing_file_is_named(package, name):
    (package / name).unlink()
    with pytest.raises(PackageError, match=name):
        read_package(package)


@pytest.mark.parametrize("name", ["generator.safetensors", "config.json", "calibration.npz"])
def test_a_damaged_file_is_named(package, name):
    content = (package / name).read_bytes()
    (package / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(PackageError, match=name):
        read_package(package)


@pytest.mark.parametrize("name", ["config.json", "calibration.json"])
def test_a_file_nested_too_deep_is_named(package, name):
    (package / name).write_text("[" * 100_000)
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


def test_a_calibration_of_other_weights_is_refused(tiny_package, tmp_path):
    other = write_trained(tmp_path / "other", seed=1)
    write_calibration(tmp_path / "calibration", other)
    shutil.copytree(tiny_package, tmp_path / "mixed")
    for name in ("calibration.npz", "calibration.json"):
        shutil.copy(tmp_path / "calibration" / name, tmp_path / "mixed")
    with pytest.raises(PackageError, match="weights_sha256"):
        read_package(tmp_path / "mixed")


def test_a_calibration_of_other_preprocessing_is_refused(package):
    change_config(package, "preprocessing.image_size", 32)
    with pytest.raises(PackageError, match="preprocessing_sha256"):
        read_package(package)


def test_assembling_replaces_a_package_whole_or_not_at_all(package, tmp_path):
    before = read_package(package).package_sha256
    trained = write_trained(tmp_path / "trained", seed=2)
    write_calibration(tmp_path / "foreign", write_trained(tmp_path / "other", seed=3))
    with pytest.raises(PackageError, match="weights_sha256"):
        assemble(package, trained.folder, tmp_path / "foreign", "# New\n")
    assert read_package(package).package_sha256 == before

    write_calibration(tmp_path / "own", trained)
    (package / "stray.txt").touch()
    new = assemble(package, trained.folder, tmp_path / "own", "# New\n")
    assert new.weights_sha256 == trained.weights_sha256
    assert not (package / "stray.txt").exists()
    assert not list(tmp_path.glob(".*")), "temporary folders are left behind"


def test_the_default_is_the_best_release_else_the_pipelines_own(tiny_package, tmp_path):
    with pytest.raises(PackageError, match="make repro"):
        default_package((tmp_path,))
    shutil.copytree(tiny_package, tmp_path / "models/generator")
    assert default_package((tmp_path / "elsewhere", tmp_path)) == tmp_path / "models/generator"
    for name in ("first", "second"):
        shutil.copytree(tiny_package, tmp_path / "models/release" / name)
    index = tmp_path / "models/release/index.json"
    index.write_text('{"best": "second"}')
    assert default_package((tmp_path,)) == tmp_path / "models/release/second"


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"best": "gone"}'])
def test_an_index_that_names_no_package_is_an_error(tmp_path, content):
    (tmp_path / "models/release").mkdir(parents=True)
    (tmp_path / "models/release/index.json").write_text(content)
    with pytest.raises(PackageError, match=r"release.index\.json"):
        default_package((tmp_path,))
