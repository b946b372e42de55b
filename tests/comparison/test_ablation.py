"""The ablation: what it lists can be trained, and what was trained is found again."""

import subprocess
from pathlib import Path

import pytest
import yaml

from composition import composed
from huebands import params
from huebands.comparison import ablation
from tiny_package import write_trained
from tiny_photos import tiny_photo, write_prepared

ROOT = Path(__file__).parents[2]


def variants() -> dict[str, list[str]]:
    listed: dict[str, list[str]] = yaml.safe_load((ROOT / ablation.CONF).read_text())
    return listed


@pytest.mark.parametrize("name", variants())
def test_every_variant_differs_from_the_full_training_in_valid_parameters(name: str) -> None:
    full, varied = (params.from_mapping(composed(*ablation.BASE, *more)) for more in ((), variants()[name]))
    assert ((varied.model, varied.train) == (full.model, full.train)) == (name == "full")


def test_a_generator_is_taken_out_of_its_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*arguments: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@localhost")
        subprocess.run(["git", *identity, *arguments], check=True, capture_output=True)

    monkeypatch.chdir(tmp_path)
    git("init")
    trained = tmp_path / "models/trained"
    trained.mkdir(parents=True)
    (trained / "generator.safetensors").write_bytes(b"weights\0")
    git("add", ".")
    git("commit", "-m", "trained")
    git("update-ref", "refs/exps/ab/cdef/ablation-full", "HEAD")
    ablation.take_generator("ablation-full", tmp_path / "full")
    assert (tmp_path / "full/generator.safetensors").read_bytes() == b"weights\0"
    with pytest.raises(ablation.AblationError, match=r"0 experiments are called ablation-other.*dvc queue logs"):
        ablation.take_generator("ablation-other", tmp_path / "other")
    git("update-ref", "refs/exps/12/3456/ablation-full", "HEAD")
    with pytest.raises(ablation.AblationError, match="2 experiments are called ablation-full"):
        ablation.take_generator("ablation-full", tmp_path / "full")


def test_generators_of_other_data_are_not_judged(tmp_path: Path) -> None:
    write_trained(tmp_path / "other")
    data = write_prepared(tmp_path / "prepared", {"val": [tiny_photo(0)]})
    with pytest.raises(ablation.AblationError, match=r"other: trained on the data 111111111111, while .*prepared is "):
        ablation.judge([tmp_path / "other"], data)
