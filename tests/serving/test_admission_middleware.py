"""The middleware of admission control: what a client sees that is refused, evicted, or slow to take its answer."""

from types import SimpleNamespace

import anyio
import pytest
from starlette.exceptions import HTTPException

from huebands.serving.admission import middleware
from huebands.serving.admission.control import AdmissionControl
from huebands.serving.admission.middleware import AdmissionMiddleware
from huebands.serving.workers.jobs import UnservedError
from huebands.serving.workers.pool import WorkerPool

PIECES = [b"x" * 100, b"y" * 100, b"z" * 100]
WITHIN = 10  # seconds; a test takes far less than one


@pytest.fixture
def control(monkeypatch):
    pool = WorkerPool(lambda: None, processes=1, queue=4, timeout=1)
    monkeypatch.setattr(pool, "check", lambda: None)
    return AdmissionControl(pool, max_bytes=1_000, max_requests=1, clock=lambda: 0.0)


class Client:
    """A client that sends a body in pieces, and keeps the messages of its answer.

    Args:
        control: of the middleware.
        headers: of the request.
        error: raised where the body should go on after the pieces; None: the body ends with them.
    """

    def __init__(self, control, headers=(), error=None):
        self.control, self.headers, self.error = control, list(headers), error
        self.remaining, self.answer = list(PIECES), []

    def ask(self, app, max_stall=WITHIN):
        """Send the request to an application behind the middleware."""
        state = SimpleNamespace(state=SimpleNamespace(admission=self.control))
        scope = {"type": "http", "headers": self.headers, "app": state}

        async def run():
            with anyio.fail_after(WITHIN):
                await AdmissionMiddleware(app, max_stall)(scope, self.receive, self.send)

        anyio.run(run)

    async def receive(self):
        if not self.remaining:
            raise self.error or AssertionError("the body has ended")
        piece = self.remaining.pop(0)
        return {"type": "http.request", "body": piece, "more_body": bool(self.remaining) or self.error is not None}

    async def send(self, message):
        self.answer.append(message)


async def unreachable(scope, receive, send):
    pytest.fail("a refused request must not reach the application")


def answer_of(body):
    """An application that reads the whole request, and answers with a body; a refusal is answered by 503."""

    async def app(scope, receive, send):
        status = 200
        try:
            while (await receive())["more_body"]:
                pass
        except UnservedError:
            status = 503
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize("error", [None, HTTPException(408)], ids=["to its end", "to the limit of a body"])
def test_the_body_of_a_refused_request_is_read_since_clients_look_for_an_answer_after_it(control, error):
    client = Client(control, error=error)
    with control.admit(), pytest.raises(UnservedError, match="too many photos"):
        client.ask(unreachable)
    assert not client.remaining


def test_the_body_of_a_refused_request_is_not_read_forever(control, monkeypatch):
    monkeypatch.setattr(middleware, "_DISCARD_TIME", 0.05)
    client = Client(control)
    monkeypatch.setattr(client, "receive", anyio.sleep_forever)
    with control.admit(), pytest.raises(UnservedError, match="too many photos"):
        client.ask(unreachable)


def test_a_refused_client_that_asks_first_never_sends_its_body(control):
    client = Client(control, headers=[(b"expect", b"100-Continue")])
    with control.admit(), pytest.raises(UnservedError, match="too many photos"):
        client.ask(unreachable)
    assert client.remaining == PIECES


def test_an_evicted_upload_is_read_to_its_end_and_its_connection_closes_after_the_answer(control):
    control.max_bytes = 150
    client = Client(control)
    client.ask(answer_of(b"busy"))
    assert not client.remaining
    start, body = client.answer
    assert (start["status"], start["headers"]) == (503, [(b"connection", b"close")])
    assert (body["body"], body["more_body"]) == (b"busy", False)


def test_an_answer_is_sent_in_pieces(control):
    content = bytes(range(256)) * 3000
    client = Client(control)
    client.ask(answer_of(content))
    start, *pieces = client.answer
    assert (start["status"], start["headers"]) == (200, [])
    assert b"".join(piece["body"] for piece in pieces) == content
    assert max(len(piece["body"]) for piece in pieces) == 2**18
    assert [piece["more_body"] for piece in pieces] == [True, True, False]
    assert (control.requests, control.held_bytes) == (0, 0)


def test_after_a_piece_that_is_not_taken_in_time_no_more_is_sent(control, monkeypatch):
    client, taken = Client(control), []

    async def take_one(message):
        taken.append(message)
        if len(taken) > 2:  # the start and one piece
            await anyio.sleep_forever()

    monkeypatch.setattr(client, "send", take_one)
    client.ask(answer_of(bytes(2**20)), max_stall=0.05)
    assert len(taken) == 3
    assert control.requests == 0
