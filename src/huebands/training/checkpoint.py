"""Checkpoints: everything that a run needs to go on as if it had never stopped."""

from pathlib import Path
from typing import Any

import torch


class CheckpointError(RuntimeError):
    """A checkpoint belongs to another run."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint beside its place and move it there, so that a kill never leaves half a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(path)


def load_checkpoint(path: Path, fingerprint: str) -> dict[str, Any] | None:
    """Read the last checkpoint, or None when there is none.

    Only tensors and plain values are admitted (`weights_only`).

    Raises:
        CheckpointError: when it was made with other parameters or data.
    """
    if not path.exists():
        return None
    state: dict[str, Any] = torch.load(path, weights_only=True)
    if state["fingerprint"] != fingerprint:
        raise CheckpointError(
            f"{path} belongs to a run with other parameters or data (fingerprint {state['fingerprint'][:12]}, this "
            f"run has {fingerprint[:12]}); delete {path} to start anew, or restore params.yaml to go on"
        )
    return state
