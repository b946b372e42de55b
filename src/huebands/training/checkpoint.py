"""Checkpoints: everything that a run needs to go on as if it had never stopped, in any number of processes.

Random numbers depend on seed, epoch and process alone, and checkpoints are written between epochs. So a checkpoint
needs no generator's state, which would tie it to one device and one number of processes.
"""

import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from huebands.files import atomic


class CheckpointError(RuntimeError):
    """A checkpoint belongs to another run, or cannot be read."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Replace the last checkpoint, in a folder made if need be; a kill leaves the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic.writing(path) as file:
        torch.save(state, file)


def load_checkpoint(path: Path, fingerprints: Collection[str]) -> dict[str, Any] | None:
    """Read the last checkpoint onto the CPU, or None when there is none.

    Only tensors and plain values are admitted (`weights_only`).

    Args:
        path: of the checkpoint.
        fingerprints: of the runs that may go on from it.

    Raises:
        CheckpointError: when it was made with other parameters or data, or is no checkpoint.
    """
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        fingerprint = str(state["fingerprint"])
    except (EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: is no checkpoint ({reason}); delete it to start anew") from error
    if fingerprint not in fingerprints:
        expected = " or ".join(possible[:12] for possible in fingerprints)
        raise CheckpointError(
            f"{path} belongs to a run with other parameters or data (fingerprint {fingerprint[:12]}, this run has"
            f" {expected}); delete {path} to start anew, or restore params.yaml to go on"
        )
    return state
