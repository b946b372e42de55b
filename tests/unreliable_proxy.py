"""A proxy in front of an MLflow server, which loses answers, hangs or breaks connections as a test tells it."""

import http.client
import threading
from collections.abc import Callable
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

# What to do with a request, by method and path.
Behaviour = Callable[[str, str], str]
PASS, BREAK, LOSE, HANG = "pass", "break", "lose", "hang"
_PASSED_ON = ("content-type", "content-length", "authorization", "range")


def passes(method: str, path: str) -> str:
    """Answer every request."""
    return PASS


class Proxy:
    """Forwards requests to a server.

    `behaviour` decides of each: "pass" forwards it, "break" ends the connection, "lose" forwards it and ends the
    connection before the answer, "hang" keeps the connection without an answer until the proxy is closed.
    """

    def __init__(self, address: str) -> None:
        self.behaviour: Behaviour = passes
        self.sign_ins = list[str | None]()  # of the requests, in their order
        self.requests = list[tuple[str, str]]()
        self.closed = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, urlsplit(address).netloc))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.address = f"http://{self.host}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(proxy: Proxy, target: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def forward(self) -> None:
            proxy.sign_ins.append(self.headers["Authorization"])
            path = urlsplit(self.path).path
            proxy.requests.append((self.command, path))
            todo = proxy.behaviour(self.command, path)
            if todo == HANG:
                proxy.closed.wait()
            self.close_connection = True
            if todo in (HANG, BREAK):
                return
            try:
                body = self._read()
                headers = {name: value for name, value in self.headers.items() if name.lower() in _PASSED_ON}
                with closing(http.client.HTTPConnection(target, timeout=60)) as connection:
                    connection.request(self.command, self.path, body, headers | {"Content-Length": str(len(body))})
                    answer = connection.getresponse()
                    content = answer.read()
            except (OSError, http.client.HTTPException):  # the server is gone
                return
            if todo == LOSE:
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _read(self) -> bytes:
            if self.headers["Transfer-Encoding"] != "chunked":
                return self.rfile.read(int(self.headers["Content-Length"] or 0))
            content = b""
            while size := int(self.rfile.readline(), 16):
                content += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return content

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = forward

    return Handler
