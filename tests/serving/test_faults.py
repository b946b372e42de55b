"""Faults of processes, disks and clients, with a service whose package is deleted once it is ready."""

import errno
import os
import select
import shutil
import signal
import socket
import stat
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
import pytest

from bento_server import serve_package
from huebands.package.read import read_package
from huebands.package.schema import PackageError
from huebands.photos.write import encode_png
from huebands.serving import served_model
from huebands.serving.workers.package_copy import PrivateCopy, copy_privately
from in_process import Client, build_in_process

WITHIN = 60  # seconds to wait for anything; it takes a few
TIMEOUT = 8  # seconds that a photo may take
PROCESSES, QUEUE = 2, 2


def photo(seed=0, height=24, width=30):
    return encode_png(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def until(condition):
    """Wait until a condition is true, and return its value."""
    end = time.monotonic() + WITHIN
    while not (value := condition()):
        assert time.monotonic() < end, "it has not become true"
        time.sleep(0.05)
    return value


@dataclass
class Service:
    """A running service and its processes."""

    url: str

    @property
    def supervisor(self):
        port = str(httpx.URL(self.url).port)
        return next(child for child in psutil.Process().children() if port in child.cmdline())

    @property
    def http(self):
        return _running(self.supervisor.children(), "_bentoml_impl.worker.service")[0]

    @property
    def workers(self):
        """The worker processes."""
        return _running(self.http.children(), "huebands.serving.workers.worker")

    def post(self, content, path="/bands"):
        return httpx.post(self.url + path, files={"image": ("cat.png", content)}, timeout=WITHIN)

    def metric(self, name):
        rows = httpx.get(f"{self.url}/metrics", timeout=WITHIN).text.splitlines()
        return next((float(row.split()[-1]) for row in rows if row.startswith(name)), 0.0)

    def is_ready(self):
        try:
            return httpx.get(f"{self.url}/readyz", timeout=WITHIN).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def stopped(self):
        """Suspend the worker processes."""
        workers = self.workers
        try:
            for process in workers:
                process.suspend()
            yield workers
        finally:
            for process in workers:
                if process.is_running():
                    process.resume()

    @contextmanager
    def stopped_and_full(self):
        """Stop the workers while every worker has a photo and the queue is full; gives them and the future answers."""
        with ThreadPoolExecutor(PROCESSES + QUEUE) as threads, self.stopped() as workers:
            answers = [threads.submit(self.post, photo(seed)) for seed in range(PROCESSES + QUEUE)]
            until(lambda: self.metric("huebands_jobs_waiting") == QUEUE)
            assert self.metric("huebands_jobs_in_work") == PROCESSES
            yield workers, answers


def _running(processes, module):
    return [process for process in processes if module in _command(process)]


def _command(process):
    """The command of a process; an empty list if the process has ended."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # also raised for a zombie
        return []


@contextmanager
def serve(package, folder):
    """Serve a package that is deleted once the service is ready."""
    source = folder / "source" / "tiny"
    shutil.copytree(package, source)
    limits = {"PROCESSES": PROCESSES, "QUEUE": QUEUE, "TIMEOUT": TIMEOUT, "HELD_MEGABYTES": 64}
    variables = {f"HUEBANDS_{name}": str(value) for name, value in limits.items()}
    with serve_package(source, folder, **variables) as url:
        shutil.rmtree(source)
        yield Service(url)


@pytest.fixture(scope="module")
def shared(tiny_package, tmp_path_factory):
    with serve(tiny_package, tmp_path_factory.mktemp("faults")) as service:
        yield service


@pytest.fixture
def service(shared):
    """The service, with all its worker processes ready."""
    until(lambda: shared.metric("huebands_processes_ready") == PROCESSES)
    return shared


@pytest.fixture(scope="module")
def expected(shared):
    """The answers without faults, by seed."""
    answers = [shared.post(photo(seed)) for seed in range(PROCESSES + QUEUE)]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    return [answer.content for answer in answers]


def test_every_client_is_answered_when_a_process_is_killed_during_a_photo(service, expected):
    with service.stopped_and_full() as (workers, answers):
        workers[0].kill()
    assert [answer.result().content for answer in answers] == expected
    until(lambda: service.metric("huebands_processes_ready") == PROCESSES)
    assert len({process.pid for process in service.workers} | {process.pid for process in workers}) == PROCESSES + 1


def test_photos_beyond_the_queue_are_refused_at_once_and_accepted_ones_are_answered(service, expected):
    with service.stopped_and_full() as (_, answers):
        start = time.monotonic()
        response = service.post(photo())
        assert time.monotonic() - start < TIMEOUT / 2
        assert response.status_code == 503 and int(response.headers["retry-after"]) >= 1
        assert "2 photos are waiting already" in response.json()["error"]
    assert [answer.result().content for answer in answers] == expected


def test_a_photo_that_takes_too_long_gets_504_and_the_next_one_is_served(service, expected):
    with service.stopped():
        response = service.post(photo())
    assert response.status_code == 504
    request_id = response.headers["x-request-id"]
    reason = f"the photo took longer than {TIMEOUT} s, request ID {request_id}; see the server's log"
    assert response.json() == {"error": reason}
    assert service.post(photo()).content == expected[0]


def test_clients_that_hang_up_free_their_places_in_the_queue_and_their_memory(service, expected):
    hung_up = 'huebands_request_seconds_count{path="/bands",status="499"}'
    before = service.metric(hung_up)
    request = httpx.Request("POST", service.url + "/bands", files={"image": ("cat.png", photo())})
    head = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    upload = f"POST /bands HTTP/1.1\r\n{head}\r\n".encode() + request.read()
    with service.stopped():
        connections = [_connect(service) for _ in range(PROCESSES + QUEUE)]
        for connection in connections:
            connection.sendall(upload)
        until(lambda: service.metric("huebands_jobs_waiting") == QUEUE)
        for connection in connections:
            connection.close()
        until(lambda: service.metric(hung_up) == before + PROCESSES + QUEUE)
        assert service.metric("huebands_jobs_waiting") == 0
    until(lambda: service.metric("huebands_jobs_in_work") == 0)
    assert service.metric("huebands_held_bytes") == 0
    assert service.post(photo()).content == expected[0]


HEAD = b"POST /bands HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
ANNOUNCED = HEAD + b"Content-Length: %d\r\n\r\n--x\r\n" % (64 * 2**20)
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--x\r\n\r\n"


@pytest.mark.parametrize("start", [ANNOUNCED, CHUNKED], ids=["announced", "chunked"])
def test_slow_uploads_do_not_block_other_clients(service, expected, start):
    slow_count = 4 * (PROCESSES + QUEUE)
    with ExitStack() as stack:
        slow_clients = [stack.enter_context(_connect(service)) for _ in range(slow_count)]
        for slow_client in slow_clients:
            slow_client.sendall(start)
        # A client that announces more bytes than the free memory is refused at once, unless it is the only one.
        until(lambda: service.metric("huebands_admitted_requests") >= (slow_count if start == CHUNKED else 1))
        assert service.metric("huebands_held_bytes") < 2**16
        for seed in range(3):
            assert service.post(photo(seed)).content == expected[seed]
        evicted = until(lambda: [slow_client for slow_client in slow_clients if _answered(slow_client)])
        assert all(b"503" in slow_client.recv(4096).split(b"\r\n")[0] for slow_client in evicted)
    until(lambda: service.metric("huebands_admitted_requests") == 0)
    assert service.metric("huebands_held_bytes") == 0


def _answered(connection):
    return bool(select.select([connection], [], [], 0)[0])


def _connect(service):
    return socket.create_connection(("127.0.0.1", httpx.URL(service.url).port))


def test_the_service_recovers_from_the_end_of_its_http_process_and_a_stop_answers_accepted_photos(
    tiny_package, tmp_path
):
    with serve(tiny_package, tmp_path) as service:
        answer_before, supervisor, http, orphans = (
            service.post(photo()).content,
            service.supervisor,
            service.http,
            service.workers,
        )
        http.kill()
        until(lambda: not http.is_running() or http.status() == psutil.STATUS_ZOMBIE)
        until(lambda: not any(_running(_alive([orphan]), "huebands.serving.workers.worker") for orphan in orphans))
        until(service.is_ready)
        assert service.http.pid != http.pid
        with ThreadPoolExecutor(1) as threads, service.stopped() as workers:
            answer = threads.submit(service.post, photo())
            until(lambda: service.metric("huebands_jobs_in_work") == 1)
            supervisor.send_signal(signal.SIGTERM)
            time.sleep(0.5)
        assert answer.result().content == answer_before
        supervisor.wait(WITHIN)
        until(lambda: not _alive(workers))


def _alive(processes):
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_uploads_need_no_disk(tiny_package, monkeypatch):
    content = photo(height=700, width=1000)
    assert len(content) > 2**20  # other form parsers write larger files to a disk
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    client = Client(build_in_process(tiny_package))
    assert client.post("/colorize", files={"image": ("cat.png", content)}).status_code == 200


def test_processes_start_anew_after_a_cleaner_has_removed_the_private_copy(service, expected):
    folder = Path(service.workers[0].cmdline()[-2])
    assert folder.is_dir()
    shutil.rmtree(folder.parent)
    restarts = service.metric('huebands_troubles_total{cause="restarts"}')
    for process in service.workers:
        process.kill()
    until(lambda: service.metric('huebands_troubles_total{cause="restarts"}') >= restarts + PROCESSES)
    until(lambda: service.metric("huebands_processes_ready") == PROCESSES)
    assert [service.post(photo(seed)).content for seed in range(2)] == expected[:2]
    assert service.is_ready()
    http = service.http
    http.terminate()
    until(lambda: not _alive([http]))
    until(service.is_ready)
    assert [service.post(photo(seed)).content for seed in range(2)] == expected[:2]


@pytest.fixture
def copied(tiny_package, monkeypatch, tmp_path):
    """A private copy below tmp_path: its folder and the copy."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    sha256 = read_package(tiny_package).package_sha256
    folder = copy_privately(tiny_package, sha256)
    return folder, PrivateCopy(folder, sha256)


def full(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_at_the_start_is_an_error_with_the_folder(tiny_package, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PackageError, match=f"copied to {tmp_path}.*No space left.*TMPDIR"):
        copy_privately(tiny_package, read_package(tiny_package).package_sha256)
    assert not list(tmp_path.iterdir())


def test_another_package_than_was_chosen_is_not_copied(tiny_package):
    with pytest.raises(PackageError, match=r"package_sha256 .* must be '0000"):
        copy_privately(tiny_package, "0" * 64)


@pytest.mark.parametrize("damage", ["file", "folder", "parent", "changed"])
def test_a_damaged_copy_is_restored(damage, copied):
    folder, copy = copied
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    match damage:
        case "file":
            (folder / "generator.safetensors").unlink()
        case "folder":
            shutil.rmtree(folder)
        case "parent":
            shutil.rmtree(folder.parent)
        case "changed":
            (folder / "MODEL_CARD.md").write_text("# Another\n")
    restored = copy.restore()
    assert {path.name: path.read_bytes() for path in restored.iterdir()} == before
    assert copy.fault is None


def test_a_copy_is_restored_where_the_choice_of_the_first_process_names_it(copied):
    folder, copy = copied
    choice = served_model.ServedModel(folder=str(folder), source="tiny", package_sha256=copy.package_sha256).encode()
    shutil.rmtree(folder.parent)
    copy.restore()
    assert served_model.decode(choice).load().package.package_sha256 == copy.package_sha256
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_a_copy_is_not_restored_where_another_user_could_change_it(kind, copied, tmp_path, monkeypatch):
    folder, copy = copied
    parent, taken = folder.parent, tmp_path / "taken"
    parent.rename(taken)
    match kind:
        case "folder":  # whole, but another user's
            taken.rename(parent)
            monkeypatch.setattr(os, "geteuid", lambda: parent.stat().st_uid + 1)
        case "link":
            parent.symlink_to(taken)
        case "file":
            parent.touch()
    with pytest.raises(PackageError, match=rf"{parent}: is a {kind} of user \d+, and must be a folder of user \d+"):
        copy.restore()
    assert "remove it" in copy.fault


def test_a_copy_that_cannot_be_restored_is_a_fault_until_it_can(copied, monkeypatch):
    folder, copy = copied
    shutil.rmtree(folder.parent)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(PackageError, match="No space left"):
            copy.restore()
        assert "No space left" in copy.fault
    assert copy.restore().is_dir() and copy.fault is None


def test_a_restored_copy_never_looks_old(copied):
    folder, copy = copied
    for path in (folder, *folder.iterdir()):
        os.utime(path, (0, 0))
    copy.restore()
    assert all(time.time() - path.stat().st_mtime < WITHIN for path in (folder, *folder.iterdir()))
