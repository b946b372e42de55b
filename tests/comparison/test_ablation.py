"""The ablation: its variants have valid parameters and were trained on the data that they are compared on."""

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


def test_generators_that_were_trained_on_other_data_are_refused(tmp_path: Path) -> None:
    write_trained(tmp_path / "other")
    data = write_prepared(tmp_path / "prepared", {"val": [tiny_photo(0)]})
    with pytest.raises(
        experiments.ExperimentError, match=r"other: trained on the data 111111111111, while .*prepared is "
    ):
        ablation.judge([tmp_path / "other"], data)
