"""Checkpoints: everything that a run needs to go on as if it had never stopped, in any number of processes.

Randomness is a function of seed, epoch and process, and checkpoints lie between epochs: with the step they hold all of
it, so that no generator's state is tied to one device or number of processes.
"""

import os
import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch


class CheckpointError(RuntimeError):
    """A checkpoint belongs to another run, or cannot be read."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint beside its place and move it there, so that a kill never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


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
        found = str(state["fingerprint"])
    except (EOFError, RuntimeError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: is no checkpoint ({reason}); delete it to start anew") from error
    if found not in fingerprints:
        known = " or ".join(fingerprint[:12] for fingerprint in fingerprints)
        raise CheckpointError(
            f"{path} belongs to a run with other parameters or data (fingerprint {found[:12]}, this run has {known});"
            f" delete {path} to start anew, or restore params.yaml to go on"
        )
    return state
