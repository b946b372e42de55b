"""Parameters as `dvc exp run` composes them from conf/."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from huebands.data.composition import digest_of

CONF = Path(__file__).parents[1] / "conf"


def composed(*overrides: str) -> Any:
    """The values of params.yaml, with overrides such as `train=small`, whether or not there are photos."""
    OmegaConf.register_new_resolver("digest_of_data", _digest, replace=True)
    with initialize_config_dir(str(CONF), version_base=None):
        return OmegaConf.to_container(compose("config", overrides=list(overrides)), resolve=True)


def _digest(_root_: DictConfig) -> str:
    return digest_of(_root_.data.name, CONF / "data")
