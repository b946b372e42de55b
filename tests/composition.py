"""Parameters as `dvc exp run` composes them from conf/."""

from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

CONF = Path(__file__).parents[1] / "conf"


def composed(*overrides: str) -> Any:
    """The values of params.yaml, with overrides such as `train=small`."""
    with initialize_config_dir(str(CONF), version_base=None):
        return OmegaConf.to_container(compose("config", overrides=list(overrides)))
