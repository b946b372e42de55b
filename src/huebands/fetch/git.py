"""Files of a git repository at one pinned revision, without fetching the rest of it.

A repository of photos often holds far larger files too, which a mirror may lack. So only the revision's trees are
fetched first (a partial clone of depth 1), then the wanted files, in one request.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from huebands.fetch.secrets import without_secrets
from huebands.files import atomic

_FULL_HASH = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# A local repository serves partial clones only with these settings; a hosted one needs none.
_LOCAL_SERVER = "git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true upload-pack"


class GitError(RuntimeError):
    """A pinned revision cannot be fetched or read; names the repository and the revision, and quotes git."""


class PinnedRepository:
    """One revision of a repository, kept in a bare partial clone; several processes may share it."""

    def __init__(self, url: str, revision: str, folder: Path) -> None:
        """Fetch the revision's commit and trees, unless the folder holds them already.

        Args:
            url: as `git fetch` takes it; the user's own `insteadOf` rules apply.
            revision: full commit hash, lower-case hex: a branch or tag moves, so it is refused.
            folder: folder of the clone; made when missing.

        Raises:
            GitError: when the revision is not a full hash or cannot be fetched.
        """
        self._url, self._revision, self._folder = url, revision, folder
        if not _FULL_HASH.fullmatch(revision):
            raise self._error("the revision must be a full commit hash in lower-case hex")
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.locked(folder):
            if not self._holds_revision():
                self._clone()

    def list_files(self) -> dict[str, str]:
        """List the revision's regular files: path -> object id, sorted by path."""
        listing = self._git("ls-tree", "-r", "-z", "--full-tree", self._revision).decode("utf-8", "surrogateescape")
        files = {}
        for entry in listing.split("\0")[:-1]:
            description, path = entry.split("\t", 1)
            mode, _, object_id = description.split()
            if mode in ("100644", "100755"):  # neither symbolic links nor submodules
                files[path] = object_id
        return dict(sorted(files.items()))

    def fetch_objects(self, object_ids: Iterable[str]) -> None:
        """Fetch the files that are not here yet, all in one request."""
        with atomic.locked(self._folder):
            listed = self._git("rev-list", "--objects", "--missing=print", self._revision).decode("utf-8", "replace")
            missing_ids = {line[1:] for line in listed.splitlines() if line.startswith("?")}
            fetched_ids = sorted(missing_ids.intersection(object_ids))
            if fetched_ids:
                self._fetch(["--no-write-fetch-head", "--stdin", "origin"], "\n".join(fetched_ids).encode())

    def read_objects(self, object_ids: Iterable[str]) -> Iterator[bytes]:
        """Read fetched files' contents, all by one process of git."""
        wanted = list(object_ids)
        output = self._git("cat-file", "--batch", stdin="\n".join(wanted).encode())
        start = 0
        for object_id in wanted:
            end = output.index(b"\n", start)
            answered, _, size = output[start:end].decode().partition(" blob ")
            if answered != object_id or not size:
                raise self._error(f"git says {output[start:end].decode()!r} of the file {object_id}")
            start = end + 1 + int(size) + 1  # a line end follows each content
            yield output[end + 1 : start - 1]

    def _clone(self) -> None:
        """Fetch commit and trees; a clone that a killed process left incomplete is completed."""
        self._git("init", "--quiet", "--bare", ".")
        for key, value in {
            "remote.origin.url": self._url,
            "remote.origin.promisor": "true",
            "remote.origin.partialclonefilter": "blob:none",
        }.items():
            self._git("config", key, value)
        self._fetch(["--depth=1", "origin", self._revision])

    def _holds_revision(self) -> bool:
        process = self._run(["rev-list", "--objects", "--missing=print", "--max-count=1", self._revision])
        return process.returncode == 0

    def _fetch(self, arguments: list[str], stdin: bytes = b"") -> None:
        resolved = self._git("ls-remote", "--get-url", "origin").decode().strip()
        is_local = resolved.startswith("file://") or Path(resolved).is_absolute()
        server = ["-c", f"remote.origin.uploadpack={_LOCAL_SERVER}"] if is_local else []
        options = ["--quiet", "--no-tags", "--recurse-submodules=no", "--filter=blob:none"]
        # There is no history to negotiate about.
        no_history = ["-c", "fetch.negotiationAlgorithm=noop"]
        self._git(*server, *no_history, "fetch", *options, *arguments, stdin=stdin)

    def _git(self, *arguments: str, stdin: bytes = b"") -> bytes:
        process = self._run(list(arguments), stdin)
        if process.returncode != 0:
            raise self._error(process.stderr.decode("utf-8", "replace").strip())
        return process.stdout

    def _run(self, arguments: list[str], stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        # Nobody is there to type a password, and git's messages must not depend on the user's language.
        environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        command = ["git", "-C", str(self._folder), f"--git-dir={self._folder.resolve()}", *arguments]
        try:
            return subprocess.run(command, input=stdin, capture_output=True, env=environment, check=False)
        except FileNotFoundError as error:
            raise self._error("the program git is not installed") from error

    def _error(self, reason: str) -> GitError:
        # git quotes the address that it has tried, with what the user's `insteadOf` rules have added.
        return GitError(f"cannot read {self._url} at revision {self._revision}: {without_secrets(reason)}")
