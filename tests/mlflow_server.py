"""A real MLflow server, as a team has it: a process of its own, with its database and artifacts in a folder."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

PATIENCE = 120  # seconds


class Server:
    """The process; it can be stopped and started again at the same address."""

    def __init__(
        self, folder: Path, command: Sequence[str] | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a server.

        Args:
            folder: of its log, and of database and artifacts where the command does not say where they are.
            command: the arguments of `mlflow`, with PORT in place of the port; None: a server on SQLite.
            environment: variables beside this process's.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.folder = folder
        self.address = f"http://127.0.0.1:{self.port}"
        plain = (
            "server", "--host", "127.0.0.1", "--port", "PORT", "--workers", "1",
            "--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}",
            "--artifacts-destination", str(folder / "artifacts"),
        )  # fmt: skip
        self._arguments = [word.replace("PORT", str(self.port)) for word in (command or plain)]
        self._environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(environment or {})}
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = [sys.executable, "-m", "mlflow", *self._arguments]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.folder,
                env=os.environ | self._environment,
            )
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.2)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Kill it with all of its processes."""
        if self._process.returncode is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()

    def restart(self) -> None:
        """Start it again, where it was stopped."""
        if self._process.returncode is not None:
            self.start()
