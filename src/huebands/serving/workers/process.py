"""One process that colorizes, as the process that speaks HTTP sees it."""

import asyncio
import pickle
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from huebands.serving.workers.messages import LENGTH, Failed, Ready, Reply, Task, encode


class ProcessEndedError(Exception):
    """The process has ended, or could not start; says how."""


class Process:
    """A process that answers tasks one by one; it ends when this one does, however this one ends.

    Args:
        make_command: gives the command that runs `channel.serve`, whenever the process is started; in a thread.
        environment: of the process.
    """

    def __init__(self, make_command: Callable[[], Sequence[str]], environment: Mapping[str, str]) -> None:
        self.make_command = make_command
        self.environment = environment
        self._popen: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._thread = ThreadPoolExecutor(1)  # megabytes are copied there, so that the event loop goes on meanwhile

    async def start(self) -> None:
        """Start it, and wait until it is ready.

        Raises:
            ProcessEndedError: when it ends before it is, or `make_command` says so.
        """
        command = await asyncio.to_thread(self.make_command)
        self._link, theirs = socket.socketpair()
        with theirs:
            # Descriptors are not inherited: neither the socket that the service listens on, nor links to the others.
            self._popen = subprocess.Popen(command, stdin=theirs.fileno(), env=self.environment)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        threading.Thread(target=self._watch, args=(self._popen, asyncio.get_running_loop()), daemon=True).start()
        reply = await self._in_thread(None)
        if isinstance(reply, Failed):
            raise ProcessEndedError(reply.reason)
        assert isinstance(reply, Ready)

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._popen is not None, "not started"
        return self._popen.pid

    async def ask(self, task: Task) -> Reply:
        """Have a task done.

        Raises:
            ProcessEndedError: when it ends before it answers.
        """
        return await self._in_thread(task)

    async def close(self) -> None:
        """End it at once."""
        if self._popen is not None:
            self._popen.kill()
            await asyncio.shield(self.ended)
        if self._link is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._link.close)
        self._thread.shutdown()

    async def _in_thread(self, task: Task | None) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, task)

    def _exchange(self, task: Task | None) -> Reply:
        try:
            assert self._link is not None, "not started"
            if task is not None:
                self._link.sendall(encode(task))
            reply: Reply = pickle.loads(self._read(*LENGTH.unpack(self._read(LENGTH.size))))
        except (OSError, EOFError) as error:
            raise ProcessEndedError(f"process {self.pid} has ended") from error
        return reply

    def _read(self, size: int) -> bytearray:
        content = bytearray(size)
        missing = memoryview(content)
        assert self._link is not None, "not started"
        while missing:
            count = self._link.recv_into(missing)
            if not count:
                raise EOFError
            missing = missing[count:]
        return content

    def _watch(self, popen: "subprocess.Popen[bytes]", loop: asyncio.AbstractEventLoop) -> None:
        popen.wait()
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(self.ended.set_result, None)
