"""The worker pool, with fake worker processes that the content of a job controls."""

import asyncio
import functools
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

import fake_workers
from fake_workers import fake_process, job
from huebands.serving.admission.limits import LimitError, Limits, usable_cores
from huebands.serving.workers.jobs import UnservedError
from huebands.serving.workers.pool import WorkerPool
from huebands.serving.workers.process import ProcessEndedError
from huebands.serving.workers.slot import Slot

WITHIN = 20  # seconds to wait for anything; it takes less than one
TEST_WITHIN = 60  # seconds for a whole test; one takes a few
INTERNAL_ERROR = "internal error, request ID 0123abcd; see the server's log"


@pytest.fixture(autouse=True)
def no_fake_process_is_left():
    """Kill the fake worker processes that a test leaves behind, and fail: they keep this process from ending."""
    yield
    remaining = [child for child in psutil.Process().children() if fake_workers.__file__ in command_of(child)]
    for process in remaining:
        process.kill()
    assert not remaining


def command_of(process):
    """Of a process that is alive, else nothing."""
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:  # a zombie is one too
        return []


@asynccontextmanager
async def running(start="succeed", processes=1, queue=4, timeout=WITHIN):
    pool = WorkerPool(lambda: fake_process(start), processes=processes, queue=queue, timeout=timeout)
    pool.start()
    try:
        if start == "succeed":
            await until(lambda: pool.ready)
        yield pool
    finally:
        await close(pool)


async def close(pool):
    async with asyncio.timeout(WITHIN):
        await pool.close()


async def until(condition):
    """Wait until a condition is true."""
    async with asyncio.timeout(WITHIN):
        while not condition():
            await asyncio.sleep(0.01)


async def end_of(pid):
    def has_ended():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(has_ended)


def submit(pool, content):
    return asyncio.ensure_future(pool.submit(job(content)))


def in_loop(test):
    """Run a test in an event loop, and fail if it takes too long or a task is left afterwards."""

    @functools.wraps(test)
    def run(**fixtures):
        async def watched():
            try:
                async with asyncio.timeout(TEST_WITHIN) as limit:
                    await test(**fixtures)
            except TimeoutError:
                if limit.expired():
                    pytest.fail(f"the test takes longer than {TEST_WITHIN} s; it waits for something that never comes")
                raise
            remaining = asyncio.all_tasks() - {asyncio.current_task()}
            assert not remaining, remaining

        asyncio.run(watched())

    return run


async def refusal(outcome):
    with pytest.raises(UnservedError) as error:
        await outcome
    return error.value


def logged(caplog):
    """The messages of the log that carry the request ID."""
    return [record.message for record in caplog.records if getattr(record, "request", None) == "0123abcd"]


@in_loop
async def test_jobs_run_in_the_requested_number_of_processes():
    async with running(processes=2) as pool:
        answers = await asyncio.gather(*(pool.submit(job(b"sleep 0.1")) for _ in range(6)))
        assert {pid for _, pid in answers} == set(pool.pids)
        assert len(pool.pids) == 2


@in_loop
async def test_megabytes_are_sent_and_received_unchanged():
    async with running() as pool:
        content = b"echo " + os.urandom(3_000_000)
        assert (await pool.submit(job(content)))[0] == content


@in_loop
async def test_jobs_beyond_the_queue_are_refused_at_once_and_all_others_are_finished():
    async with running(queue=3) as pool:
        jobs = [submit(pool, b"sleep 0.05") for _ in range(20)]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, UnservedError)]
        assert len(refused) == 20 - 4  # one is processed, three wait
        assert all(answer.status == 503 and answer.retry_after >= 1 for answer in refused)
        assert pool.counts["busy"] == 16
        assert (pool.waiting, pool.working) == (0, 0)


@in_loop
async def test_the_time_to_wait_follows_from_the_queue_and_the_seconds_of_a_job():
    async with running(queue=3) as pool:
        pool._queue.mean_seconds = 10.0
        jobs = [submit(pool, b"sleep 0.2") for _ in range(4)]
        await until(lambda: pool.waiting == 3)
        assert (await refusal(pool.submit(job(b"echo")))).retry_after == 40
        await asyncio.gather(*jobs)
        assert pool._queue.mean_seconds < 10.0


@in_loop
async def test_a_job_whose_process_is_killed_is_retried_and_other_jobs_are_unaffected(tmp_path):
    async with running(processes=2) as pool:
        before = set(pool.pids)
        others = [submit(pool, b"sleep 0.2") for _ in range(3)]
        content = b"once " + os.fsencode(tmp_path / "died")
        answer, _ = await pool.submit(job(content))
        assert answer == content and (tmp_path / "died").exists()
        assert all(answer == b"sleep 0.2" for answer, _ in await asyncio.gather(*others))
        await until(lambda: len(pool.pids) == 2)
        assert len(before & set(pool.pids)) == 1
        assert pool.counts == {"retries": 1, "restarts": 1}


@in_loop
async def test_a_job_that_ends_two_processes_is_an_internal_error_that_the_log_explains(caplog):
    async with running() as pool:
        deadly, other = submit(pool, b"die"), submit(pool, b"echo")
        error = await refusal(deadly)
        assert (error.status, error.cause, error.retry_after) == (500, "died", None)
        assert error.reason == INTERNAL_ERROR
        assert logged(caplog) == ["2 worker processes ended while they had the photo"]
        assert (await other)[0] == b"echo"


@in_loop
async def test_a_process_that_is_killed_while_idle_is_replaced():
    async with running() as pool:
        (before,) = pool.pids
        os.kill(before, signal.SIGKILL)
        await until(lambda: pool.pids and pool.pids != [before])
        assert (await pool.submit(job(b"echo")))[1] == pool.pids[0]
        assert pool.counts == {"restarts": 1}


@in_loop
async def test_jobs_wait_for_a_process_that_is_being_replaced():
    async with running() as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        await until(lambda: not pool.pids)
        assert not pool.ready
        assert (await pool.submit(job(b"echo")))[0] == b"echo"


@in_loop
async def test_a_job_that_takes_too_long_ends_its_process_and_no_other_job(caplog):
    async with running(processes=1, timeout=0.3) as pool:
        (before,) = pool.pids
        error = await refusal(pool.submit(job(b"sleep 60")))
        assert (error.status, error.cause) == (504, "timeout")
        assert error.reason == "the photo took longer than 0.3 s, request ID 0123abcd; see the server's log"
        assert logged(caplog) == ["the photo took longer than 0.3 s"]
        await end_of(before)
        await until(lambda: pool.ready)
        assert (await pool.submit(job(b"echo")))[0] == b"echo"


@in_loop
async def test_a_job_that_waits_too_long_is_refused():
    async with running(timeout=0.4) as pool:
        first = submit(pool, b"sleep 0.3")
        await asyncio.sleep(0.05)
        second = submit(pool, b"sleep 0.3")
        third = submit(pool, b"sleep 0.3")
        error = await refusal(third)
        assert (error.status, error.cause) == (503, "busy") and "within 0.4 s" in error.reason
        await asyncio.gather(first, second)


@in_loop
async def test_a_job_that_fails_is_an_internal_error_and_its_process_continues(capfd):
    async with running() as pool:
        before = pool.pids
        error = await refusal(pool.submit(job(b"raise")))
        assert (error.status, error.cause, error.reason) == (500, "failed", INTERNAL_ERROR)
        assert (await pool.submit(job(b"echo")))[1] == before[0]
    (line,) = map(json.loads, capfd.readouterr().out.splitlines())
    assert (line["event"], line["request"]) == ("a photo could not be colorized", "0123abcd")
    assert "no luck" in line["traceback"]


@in_loop
async def test_a_job_is_cancelled_when_its_client_disconnects():
    async with running() as pool:
        first, second = submit(pool, b"sleep 0.3"), submit(pool, b"sleep 60")
        await until(lambda: pool.waiting == 1)
        second.cancel()
        await until(lambda: pool.waiting == 0)
        assert (await first)[0] == b"sleep 0.3"
        in_work = submit(pool, b"sleep 0.1")
        await until(lambda: pool.working == 1)
        in_work.cancel()
        assert (await pool.submit(job(b"echo")))[0] == b"echo"
        assert (pool.working, pool.counts) == (0, {"hung up": 2})


@in_loop
async def test_large_photos_are_processed_one_at_a_time_and_small_ones_overtake_them():
    async with running(processes=2, queue=8) as pool:
        start = time.monotonic()
        large = [submit(pool, b"large 0.3") for _ in range(3)]
        await until(lambda: pool.working == 1 and pool.waiting == 2)
        assert (await pool.submit(job(b"echo")))[0] == b"echo"
        assert not large[1].done()
        await asyncio.gather(*large)
        assert time.monotonic() - start > 0.9


@in_loop
@pytest.mark.parametrize(("start", "reason"), [("fail", "the package is not sound"), ("end", "has ended")])
async def test_processes_that_do_not_start_are_started_again_and_the_log_says_why(start, reason, caplog, capfd):
    async with running(start) as pool:
        assert (await refusal(pool.submit(job(b"echo")))).cause == "starting"
        await until(lambda: pool.counts["restarts"] == 3)
        assert not pool.ready
        error = await refusal(pool.submit(job(b"echo")))
        assert (error.status, error.cause) == (503, "starting") and error.retry_after >= 1
    assert reason in caplog.text


@in_loop
async def test_a_pool_is_warm_once_every_process_is_ready():
    pool = WorkerPool(fake_process, processes=2, queue=4, timeout=WITHIN)
    pool.start()
    try:
        await pool.wait_until_warm()
        assert len(pool.pids) == 2 and pool.ready
    finally:
        await close(pool)


@in_loop
@pytest.mark.parametrize(("start", "reason"), [("fail", "the package is not sound"), ("end", "has ended")])
async def test_waiting_for_a_pool_ends_with_the_first_process_that_does_not_start(start, reason, capfd):
    async with running(start, processes=2) as pool:
        with pytest.raises(ProcessEndedError, match=reason):
            await pool.wait_until_warm()


def test_the_pause_before_a_start_doubles_with_each_failure():
    slot, pauses = Slot(), []
    for slot.failures in (0, 1, 2, 3, 4, 50, 5000):
        pauses.append(slot.pause)
    assert pauses == [0, 0, 1, 2, 4, 60, 60]


@in_loop
async def test_a_stop_finishes_what_was_accepted_and_refuses_more():
    async with running() as pool:
        jobs = [submit(pool, b"sleep 0.1") for _ in range(3)]
        await until(lambda: pool.working == 1)
        pool.refuse_more()
        assert not pool.ready
        error = await refusal(pool.submit(job(b"echo")))
        assert (error.status, error.cause) == (503, "stopping") and error.retry_after >= 1
        assert all(answer == b"sleep 0.1" for answer, _ in await asyncio.gather(*jobs))


@in_loop
async def test_a_stop_gives_up_after_its_limit_and_leaves_no_process():
    async with running() as pool:
        pids, jobs = pool.pids, [submit(pool, b"sleep 60") for _ in range(2)]
        await until(lambda: pool.working == 1)
        pool.refuse_more(timeout=0.1)
        assert [(await refusal(outcome)).cause for outcome in jobs] == ["stopping"] * 2
    await end_of(pids[0])


@in_loop
async def test_jobs_are_refused_when_the_pool_ends():
    async with running() as pool:
        jobs = [submit(pool, b"sleep 60") for _ in range(2)]
        await until(lambda: pool.working == 1)
    assert [(await refusal(outcome)).cause for outcome in jobs] == ["stopping"] * 2


@in_loop
async def test_a_worker_process_ignores_sigint_and_sigterm():
    async with running() as pool:
        outcome = submit(pool, b"sleep 0.3")
        await until(lambda: pool.working == 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pool.pids[0], number)
        assert (await outcome)[0] == b"sleep 0.3"
        assert not pool.counts, "the process ended, and another one ran the job"


def test_worker_processes_end_with_their_parent_even_during_a_job():
    code = (
        "import asyncio, sys; sys.path[:0] = sys.argv[1:];"
        "from test_pool import running, submit, until\n"
        "async def main():\n"
        "    async with running(processes=2) as pool:\n"
        "        outcome = submit(pool, b'sleep 60'); await until(lambda: pool.working == 1)\n"
        "        print(*pool.pids, flush=True); await outcome\n"
        "asyncio.run(main())"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", code, Path(__file__).parent, Path(__file__).parents[1]],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.kill()
    assert len(pids) == 2
    for pid in pids:
        asyncio.run(end_of(pid))


@in_loop
async def test_an_error_of_any_kind_replaces_the_process_and_answers_the_photo(caplog):
    async with running(processes=2) as pool:
        before = set(pool.pids)
        answer = await refusal(submit(pool, lambda: "no pickle holds this"))
        assert (answer.status, answer.cause) == (500, "died")
        assert pool.counts["retries"] == 1
        await until(lambda: len(pool.pids) == 2 and not before & set(pool.pids))
        assert pool.ready and pool.counts["restarts"] == 2
        assert (await pool.submit(job(b"echo again")))[0] == b"echo again"
    assert "Traceback" in caplog.text and "pickle" in caplog.text


@pytest.mark.parametrize("step", ["make", "start", "kill"])
@in_loop
async def test_a_slot_outlives_an_error_in_each_step_of_replacing_its_process(step, caplog):
    broken = False

    def make():
        if broken and step == "make":
            raise MemoryError("no memory")
        process = fake_process()
        if step in ("start", "kill"):
            original = getattr(process, step)

            async def failing():
                if step == "kill":
                    await original()
                if broken:
                    raise LookupError(f"no {step}")
                if step == "start":
                    await original()

            setattr(process, step, failing)
        return process

    pool = WorkerPool(make, processes=1, queue=4, timeout=WITHIN)
    pool.start()
    try:
        await until(lambda: pool.ready)
        broken = True
        assert (await refusal(submit(pool, b"die"))).cause in ("died", "starting")
        await until(lambda: pool.counts["restarts"] >= 2)
        broken = False
        await until(lambda: pool.ready)
        assert (await pool.submit(job(b"echo again")))[0] == b"echo again"
    finally:
        await close(pool)
    assert {"make": "no memory", "start": "no start", "kill": "no kill"}[step] in caplog.text


@in_loop
async def test_a_pool_whose_supervisor_has_ended_is_not_ready():
    async with running() as pool:
        pool._supervisors[0].cancel()
        await until(lambda: pool._supervisors[0].done())
        assert not pool.ready


def test_limits_are_read_from_the_environment():
    limits = Limits.from_environment(
        {"HUEBANDS_PROCESSES": "1", "HUEBANDS_QUEUE": "0", "HUEBANDS_HELD_MEGABYTES": "64"}
    )
    assert (limits.processes, limits.threads) == (1, usable_cores())
    assert (limits.queue, limits.timeout, limits.held_bytes) == (0, 300, 64 * 2**20)
    usual = Limits.from_environment({"HUEBANDS_QUEUE": ""})
    assert (usual.processes, usual.threads, usual.queue) == (usable_cores(), 1, 16)


@pytest.mark.parametrize(
    "name", ["HUEBANDS_PROCESSES", "HUEBANDS_QUEUE", "HUEBANDS_TIMEOUT", "HUEBANDS_HELD_MEGABYTES"]
)
@pytest.mark.parametrize("value", ["x", "-1", "1.5", "99999999999", "\u0662"])
def test_a_limit_that_is_not_allowed_is_refused_by_name_and_value(name, value):
    with pytest.raises(LimitError, match=name) as error:
        Limits.from_environment({name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(("quota", "cores"), [("100000 100000", 1), ("1 100000", 1), ("max 100000", None), ("", None)])
def test_usable_cores_follow_the_quota_of_the_container(quota, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == (cores or usable_cores(tmp_path / "no file"))
