"""The registry, asked by short-lived processes, so that no answer of the service waits for it."""

import asyncio
import json
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huebands.fetch.secrets import without_secrets
from huebands.serving.served_model import ServedModel

_PROGRAM = "huebands.serving.following.registry_process"
_REASON = 600  # characters


class FollowError(Exception):
    """The registry did not answer or lacks the version, or the version cannot be served.

    Attributes:
        lasting: whether trying again soon gives the same.
        answered: whether the registry did answer.
    """

    def __init__(self, reason: str, lasting: bool = False, answered: bool = False) -> None:
        super().__init__(without_secrets(" ".join(reason.split()))[:_REASON])
        self.lasting, self.answered = lasting, answered


@dataclass(frozen=True)
class Version:
    """The version that an alias points at.

    Attributes:
        model: registered name.
        number: in the registry.
        package_sha256: hash of its package; None: not registered by huebands.
    """

    model: str
    number: int
    package_sha256: str | None


class Registry:
    """Asks for the version behind an alias, and fetches versions.

    Args:
        address: "models:/NAME@ALIAS".
        folder: gets a folder for each fetched package; it is removed with the service.
        environment: environment variables of the processes.
        find_timeout: seconds until the registry must have said the version.
        fetch_timeout: seconds until a package must be fetched and verified.
        program: module that is run.
    """

    def __init__(
        self,
        address: str,
        folder: Path,
        environment: Mapping[str, str],
        find_timeout: float = 120,
        fetch_timeout: float = 900,
        program: str = _PROGRAM,
    ) -> None:
        self.address, self.folder, self.environment = address, folder, environment
        self.find_timeout, self.fetch_timeout, self.program = find_timeout, fetch_timeout, program

    async def find(self) -> Version:
        """Ask which version the alias points at.

        Raises:
            FollowError: when the registry does not answer, or has no such version.
        """
        found = await self._ask(self.find_timeout, "find", self.address)
        return Version(found["model"], found["version"], found["package_sha256"])

    async def fetch(self, version: Version) -> ServedModel:
        """Fetch a version into a folder of its own, verified: hash, format, that it loads, and what it promises.

        Raises:
            FollowError: when it cannot be fetched, or is not fit to be served.
        """
        if version.package_sha256 is None:
            raise FollowError(f"version {version.number} has no hash in the registry; register it anew", lasting=True)
        folder = self.folder / f"version-{version.number}-{secrets.token_hex(4)}"
        try:
            await self._ask(self.fetch_timeout, "fetch", f"models:/{version.model}/{version.number}", str(folder))
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            raise
        return ServedModel(
            folder=str(folder),
            source=self.address,
            model=version.model,
            version=version.number,
            alias=self.address.partition("@")[2],
            package_sha256=version.package_sha256,
        )

    async def _ask(self, timeout: float, *arguments: str) -> dict[str, Any]:
        """Run the program, and give its answer."""
        # What it downloads lies in a folder for temporary files of its own, which is removed even where it is killed.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="registry-", ignore_cleanup_errors=True) as scratch:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", self.program, *arguments),
                env={**self.environment, "TMPDIR": scratch},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            assert process.stdout is not None and process.stderr is not None
            try:
                async with asyncio.timeout(timeout):
                    # Not `communicate`, which would close standard input: the program ends with it.
                    output, errors = await asyncio.gather(process.stdout.read(), process.stderr.read())
                    code = await process.wait()
            except TimeoutError as error:
                raise FollowError(f"no answer of the registry within {timeout:g} s: {arguments[0]}") from error
            finally:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        last = errors.decode(errors="replace").strip().rpartition("\n")[2]
        if code:
            raise FollowError(f"the process that asks the registry has ended with code {code}: {last}")
        try:
            answer: dict[str, Any] = json.loads(output)
        except ValueError as error:
            raise FollowError(f"the process that asks the registry has given no answer: {last}") from error
        if "failure" in answer:
            raise FollowError(answer["failure"], answer["lasting"], answer["answered"])
        return answer
