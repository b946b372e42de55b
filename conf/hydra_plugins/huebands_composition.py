"""What Hydra imports before it composes conf/ into params.yaml: the resolver `digest_of_data` of config.yaml."""

import contextlib
import copy
import sys
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

ROOT = Path(__file__).parents[2]


def digest_of_data(_root_: DictConfig) -> str:
    """Check the data that are composed, and give the digest of their file; else end with one line that says why.

    DVC has not written params.yaml yet, and leaves it as it is. OmegaConf would wrap an error in four lines, and DVC
    would call it unexpected.
    """
    composed = copy.deepcopy(_root_)
    composed.data.composed_from = ""
    data, preparation = (OmegaConf.to_container(composed[section], resolve=True) for section in ("data", "prepare"))
    sys.path.insert(0, str(ROOT / "src"))  # the code of this tree, as in stages
    from huebands.data import readiness

    try:
        with contextlib.chdir(ROOT):
            return readiness.compose_digest(data, preparation)
    except readiness.REFUSALS as error:
        raise SystemExit(f"{error}; params.yaml stays as it was") from error


OmegaConf.register_new_resolver("digest_of_data", digest_of_data, replace=True)
