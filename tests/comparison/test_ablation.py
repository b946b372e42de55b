"""The ablation: its variants have valid parameters, and their outputs are taken from DVC experiments."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from composition import composed
from huebands import params
from huebands.comparison import ablation, experiments
from tiny_package import write_trained
from tiny_photos import tiny_photo, write_prepared

ROOT = Path(__file__).parents[2]


def variants() -> dict[str, list[str]]:
    listed: dict[str, list[str]] = yaml.safe_load((ROOT / ablation.CONF).read_text())
    return listed


@pytest.mark.parametrize("name", variants())
def test_every_variant_differs_from_the_full_training_in_valid_parameters(name: str) -> None:
    full, varied = (params.from_mapping(composed(*ablation.BASE, *overrides)) for overrides in ((), variants()[name]))
    assert ((varied.model, varied.train) == (full.model, full.train)) == (name == "full")


def test_an_output_is_taken_out_of_its_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    run("git", "init")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    trained = tmp_path / "models/trained"
    trained.mkdir(parents=True)
    (trained / "generator.safetensors").write_bytes(b"weights\0")
    run("git", "add", ".")
    run("git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-m", "trained")
    run("git", "update-ref", "refs/exps/ab/" + "c" * 38 + "/ablation-full", "HEAD")
    (tmp_path / "out/full").mkdir(parents=True)
    (tmp_path / "out/full/stale").touch()
    experiments.take_output("ablation-full", ablation.TRAINED, tmp_path / "out/full")
    assert [path.name for path in (tmp_path / "out/full").iterdir()] == ["generator.safetensors"]
    assert (tmp_path / "out/full/generator.safetensors").read_bytes() == b"weights\0"
    with pytest.raises(
        experiments.ExperimentError, match=r"^ablation-other: models/trained cannot be taken .*dvc queue"
    ):
        experiments.take_output("ablation-other", ablation.TRAINED, tmp_path / "out/other")
    with pytest.raises(experiments.ExperimentError, match=r"^ablation-full: data/prepared cannot be taken"):
        experiments.take_output("ablation-full", ablation.PREPARED, tmp_path / "out/full")
    assert [str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*")] == [
        "out/full",
        "out/full/generator.safetensors",
    ], "the earlier output stays, and nothing half made lies about"


def test_an_experiment_of_an_earlier_commit_counts_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*command: str) -> str:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def commit(name: str) -> str:
        (tmp_path / name).touch()
        run("git", "add", ".")
        run("git", "-c", "user.name=x", "-c", "user.email=x@localhost", "commit", "-m", name)
        return run("git", "rev-parse", "HEAD")

    monkeypatch.chdir(tmp_path)
    run("git", "init")
    run(sys.executable, "-m", "dvc", "init", "--quiet")
    baseline, trained = commit("baseline"), commit("trained")
    run("git", "update-ref", f"refs/exps/{baseline[:2]}/{baseline[2:]}/family-vae", trained)
    commit("later")
    experiments.run_missing({"family-vae": ["model=vae"]}, ["train"])  # no pipeline is here that could run
    assert capsys.readouterr().out == "family-vae has run; `dvc exp remove family-vae` lets it run again\n"
    with pytest.raises(experiments.ExperimentError, match=r"dvc exp run --queue --name family-hints"):
        experiments.run_missing({"family-hints": ["model=hints"]}, ["train"])


def test_generators_that_were_trained_on_other_data_are_refused(tmp_path: Path) -> None:
    write_trained(tmp_path / "other")
    data = write_prepared(tmp_path / "prepared", {"val": [tiny_photo(0)]})
    with pytest.raises(
        experiments.ExperimentError, match=r"other: trained on the data 111111111111, while .*prepared is "
    ):
        ablation.judge([tmp_path / "other"], data)
