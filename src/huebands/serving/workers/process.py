"""One worker process, seen from the HTTP process: it is started, given tasks one by one, and killed."""

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
    """The worker process has ended, or could not start; says why."""


class WorkerProcess:
    """A process that runs tasks one by one; it ends when this process does, even when this one is killed.

    Args:
        make_command: gives the command that runs `worker_loop.run`; called in a thread at every start.
        environment: environment variables of the process.
    """

    def __init__(self, make_command: Callable[[], Sequence[str]], environment: Mapping[str, str]) -> None:
        self.make_command = make_command
        self.environment = environment
        self._popen: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._thread = ThreadPoolExecutor(1)  # copies megabytes, so that the event loop is not blocked

    async def start(self) -> None:
        """Start the process, and wait until it is ready.

        Raises:
            ProcessEndedError: when it ends before it is ready, or from `make_command`.
        """
        command = await asyncio.to_thread(self.make_command)
        self._connection, other_end = socket.socketpair()
        with other_end:
            # Descriptors are not inherited: neither the socket that the service listens on, nor those of other workers.
            self._popen = subprocess.Popen(command, stdin=other_end.fileno(), env=self.environment)
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        threading.Thread(target=self._wait_for_end, args=(self._popen, loop), daemon=True).start()
        reply = await self._in_thread(None)
        if isinstance(reply, Failed):
            raise ProcessEndedError(reply.reason)
        assert isinstance(reply, Ready)

    @property
    def pid(self) -> int:
        """The process ID."""
        assert self._popen is not None, "not started"
        return self._popen.pid

    async def run(self, task: Task) -> Reply:
        """Send a task, and wait for the reply.

        Raises:
            ProcessEndedError: when the process ends before it replies.
        """
        return await self._in_thread(task)

    async def kill(self) -> None:
        """End the process at once."""
        closing = None
        try:
            if self._popen is not None:
                self._popen.kill()
                await asyncio.shield(self.ended)
        finally:  # also where the pool ends meanwhile
            if self._connection is not None:
                closing = self._thread.submit(self._connection.close)
            self._thread.shutdown(wait=False)
        if closing is not None:
            await asyncio.shield(asyncio.wrap_future(closing))

    async def _in_thread(self, task: Task | None) -> Reply:
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._exchange, task)

    def _exchange(self, task: Task | None) -> Reply:
        """Send a task, if there is one, and read a reply."""
        try:
            assert self._connection is not None, "not started"
            if task is not None:
                self._connection.sendall(encode(task))
            reply: Reply = pickle.loads(self._read(*LENGTH.unpack(self._read(LENGTH.size))))
        except (OSError, EOFError) as error:
            raise ProcessEndedError(f"worker process {self.pid} has ended") from error
        return reply

    def _read(self, size: int) -> bytearray:
        assert self._connection is not None, "not started"
        content = bytearray(size)
        remaining = memoryview(content)
        while remaining:
            count = self._connection.recv_into(remaining)
            if not count:
                raise EOFError
            remaining = remaining[count:]
        return content

    def _wait_for_end(self, popen: "subprocess.Popen[bytes]", loop: asyncio.AbstractEventLoop) -> None:
        popen.wait()
        with suppress(RuntimeError):  # the loop was closed
            loop.call_soon_threadsafe(self.ended.set_result, None)
