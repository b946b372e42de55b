"""The queue before the processes that colorize, with processes that do as they are told."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fake_workers import fake_process
from huebands.serving.admission.limits import LimitError, Limits, usable_cores
from huebands.serving.workers.pool import Pool, UnservedError, _pause

WITHIN = 20  # seconds; what is waited for takes less than one


@asynccontextmanager
async def running(start="fine", processes=1, queue=4, timeout=WITHIN):
    pool = Pool(lambda: fake_process(start), processes=processes, queue=queue, timeout=timeout)
    pool.start()
    try:
        if start == "fine":
            await until(lambda: pool.ready)
        yield pool
    finally:
        await pool.close()


async def until(holds):
    """Wait until something holds."""
    async with asyncio.timeout(WITHIN):
        while not holds():
            await asyncio.sleep(0.01)


async def ended(pid):
    def gone():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        return False

    await until(gone)


def submit(pool, job):
    return asyncio.ensure_future(pool.submit(job))


def in_loop(test):
    """Run a test in an event loop; a task that it leaves behind is a failure."""

    @functools.wraps(test)
    def run(**fixtures):
        async def watched():
            await test(**fixtures)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

        asyncio.run(watched())

    return run


async def refusal(job):
    with pytest.raises(UnservedError) as error:
        await job
    return error.value


@in_loop
async def test_jobs_are_done_by_as_many_processes_as_were_asked_for():
    async with running(processes=2) as pool:
        answers = await asyncio.gather(*(pool.submit(b"sleep 0.1") for _ in range(6)))
        assert {pid for _, pid in answers} == set(pool.pids)
        assert len(pool.pids) == 2


@in_loop
async def test_megabytes_go_there_and_back_as_they_are():
    async with running() as pool:
        content = b"echo " + os.urandom(3_000_000)
        assert (await pool.submit(content))[0] == content


@in_loop
async def test_jobs_beyond_the_queue_are_refused_at_once_and_all_others_are_done():
    async with running(queue=3) as pool:
        jobs = [submit(pool, b"sleep 0.05") for _ in range(20)]
        answers = await asyncio.gather(*jobs, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, UnservedError)]
        assert len(refused) == 20 - 4  # one in work, three wait
        assert all(answer.status == 503 and answer.retry_after >= 1 for answer in refused)
        assert pool.counts["busy"] == 16
        assert (pool.waiting, pool.working) == (0, 0)


@in_loop
async def test_the_time_to_wait_follows_from_the_queue_and_the_seconds_of_a_job():
    async with running(queue=3) as pool:
        pool._mean = 10.0
        jobs = [submit(pool, b"sleep 0.2") for _ in range(4)]
        await until(lambda: pool.waiting == 3)
        assert (await refusal(pool.submit(b"echo"))).retry_after == 40
        await asyncio.gather(*jobs)
        assert pool._mean < 10.0


@in_loop
async def test_a_job_whose_process_is_killed_is_done_by_another_and_the_others_are_unharmed(tmp_path):
    async with running(processes=2) as pool:
        before = set(pool.pids)
        others = [submit(pool, b"sleep 0.2") for _ in range(3)]
        job = b"once " + os.fsencode(tmp_path / "died")
        answer, _ = await pool.submit(job)
        assert answer == job and (tmp_path / "died").exists()
        assert all(answer == b"sleep 0.2" for answer, _ in await asyncio.gather(*others))
        await until(lambda: len(pool.pids) == 2)
        assert len(before & set(pool.pids)) == 1
        assert pool.counts == {"retries": 1, "restarts": 1}


@in_loop
async def test_a_job_that_ends_two_processes_is_given_up_with_a_reason():
    async with running() as pool:
        job, other = submit(pool, b"die"), submit(pool, b"echo")
        error = await refusal(job)
        assert (error.status, error.cause, error.retry_after) == (500, "died", None)
        assert "2 processes ended" in error.reason
        assert (await other)[0] == b"echo"


@in_loop
async def test_a_process_that_is_killed_while_idle_is_replaced():
    async with running() as pool:
        (before,) = pool.pids
        os.kill(before, signal.SIGKILL)
        await until(lambda: pool.pids and pool.pids != [before])
        assert (await pool.submit(b"echo"))[1] == pool.pids[0]
        assert pool.counts == {"restarts": 1}


@in_loop
async def test_jobs_wait_for_a_process_that_is_being_replaced():
    async with running() as pool:
        os.kill(pool.pids[0], signal.SIGKILL)
        await until(lambda: not pool.pids)
        assert not pool.ready
        assert (await pool.submit(b"echo"))[0] == b"echo"


@in_loop
async def test_a_job_that_takes_too_long_costs_its_process_and_no_other_job():
    async with running(processes=1, timeout=0.3) as pool:
        (before,) = pool.pids
        error = await refusal(pool.submit(b"sleep 60"))
        assert (error.status, error.reason) == (504, "the photo took longer than 0.3 s")
        await ended(before)
        await until(lambda: pool.ready)
        assert (await pool.submit(b"echo"))[0] == b"echo"


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
async def test_a_job_that_fails_is_answered_and_its_process_works_on(capfd):
    async with running() as pool:
        before = pool.pids
        error = await refusal(pool.submit(b"raise"))
        assert (error.status, error.cause) == (500, "failed") and "RuntimeError" in error.reason
        assert (await pool.submit(b"echo"))[1] == before[0]
    assert "no luck" in capfd.readouterr().err


@in_loop
async def test_a_sender_that_goes_away_takes_a_waiting_job_along_and_leaves_nothing():
    async with running() as pool:
        first, second = submit(pool, b"sleep 0.3"), submit(pool, b"sleep 60")
        await until(lambda: pool.waiting == 1)
        second.cancel()
        await until(lambda: pool.waiting == 0)
        assert (await first)[0] == b"sleep 0.3"
        in_work = submit(pool, b"sleep 0.1")
        await until(lambda: pool.working == 1)
        in_work.cancel()
        assert (await pool.submit(b"echo"))[0] == b"echo"
        assert (pool.working, pool.counts) == (0, {"hung up": 2})


@in_loop
async def test_large_photos_are_worked_on_one_at_a_time_and_small_ones_pass_them():
    async with running(processes=2, queue=8) as pool:
        start = time.monotonic()
        large = [submit(pool, b"large 0.3") for _ in range(3)]
        await until(lambda: pool.working == 1 and pool.waiting == 2)
        assert (await pool.submit(b"echo"))[0] == b"echo"
        assert not large[1].done()
        await asyncio.gather(*large)
        assert time.monotonic() - start > 0.9


@in_loop
@pytest.mark.parametrize(("start", "reason"), [("fail", "the package is not sound"), ("end", "has ended")])
async def test_processes_that_do_not_start_are_tried_ever_more_rarely_and_said_so(start, reason, caplog, capfd):
    async with running(start) as pool:
        assert (await refusal(pool.submit(b"echo"))).cause == "starting"
        await until(lambda: pool.counts["restarts"] == 3)
        assert not pool.ready
        error = await refusal(pool.submit(b"echo"))
        assert (error.status, error.cause) == (503, "starting") and error.retry_after >= 1
    assert reason in caplog.text
    assert [_pause(failures) for failures in (0, 1, 2, 3, 4, 50, 5000)] == [0, 0, 1, 2, 4, 60, 60]


@in_loop
async def test_a_stop_finishes_what_was_accepted_and_refuses_more():
    async with running() as pool:
        jobs = [submit(pool, b"sleep 0.1") for _ in range(3)]
        await until(lambda: pool.working == 1)
        pool.refuse_more()
        assert not pool.ready
        error = await refusal(pool.submit(b"echo"))
        assert (error.status, error.cause) == (503, "stopping") and error.retry_after >= 1
        assert all(answer == b"sleep 0.1" for answer, _ in await asyncio.gather(*jobs))


@in_loop
async def test_a_stop_gives_up_after_its_limit_and_leaves_no_process():
    async with running() as pool:
        pids, jobs = pool.pids, [submit(pool, b"sleep 60") for _ in range(2)]
        await until(lambda: pool.working == 1)
        pool.refuse_more(within=0.1)
        assert [(await refusal(job)).cause for job in jobs] == ["stopping"] * 2
    await ended(pids[0])


@in_loop
async def test_the_end_refuses_what_is_left():
    async with running() as pool:
        jobs = [submit(pool, b"sleep 60") for _ in range(2)]
        await until(lambda: pool.working == 1)
    assert [(await refusal(job)).cause for job in jobs] == ["stopping"] * 2


@in_loop
async def test_a_process_ignores_the_signals_of_a_stop():
    async with running() as pool:
        job = submit(pool, b"sleep 0.3")
        await until(lambda: pool.working == 1)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pool.pids[0], number)
        assert (await job)[0] == b"sleep 0.3"
        assert not pool.counts, "it ended, and another did the job"


def test_processes_end_with_the_one_that_started_them_even_in_the_middle_of_work():
    code = (
        "import asyncio, sys; sys.path[:0] = sys.argv[1:];"
        "from test_pool import running, submit, until\n"
        "async def main():\n"
        "    async with running(processes=2) as pool:\n"
        "        job = submit(pool, b'sleep 60'); await until(lambda: pool.working == 1)\n"
        "        print(*pool.pids, flush=True); await job\n"
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
        asyncio.run(ended(pid))


@in_loop
async def test_an_error_of_any_kind_replaces_the_process_and_answers_the_photo(caplog):
    async with running(processes=2) as pool:
        before = set(pool.pids)
        answer = await refusal(submit(pool, lambda: "no pickle holds this"))
        assert (answer.status, answer.cause) == (500, "died")
        assert pool.counts["retries"] == 1
        await until(lambda: len(pool.pids) == 2 and not before & set(pool.pids))
        assert pool.ready and pool.counts["restarts"] == 2
        assert (await pool.submit(b"echo again"))[0] == b"echo again"
    assert "Traceback" in caplog.text and "pickle" in caplog.text


@pytest.mark.parametrize("step", ["make", "start", "close"])
@in_loop
async def test_a_place_outlives_an_error_in_each_step_of_replacing_its_process(step, caplog):
    broken = False

    def make():
        if broken and step == "make":
            raise MemoryError("no memory")
        process = fake_process()
        if step in ("start", "close"):
            right = getattr(process, step)

            async def wrong():
                if step == "close":
                    await right()
                if broken:
                    raise LookupError(f"no {step}")
                if step == "start":
                    await right()

            setattr(process, step, wrong)
        return process

    pool = Pool(make, processes=1, queue=4, timeout=WITHIN)
    pool.start()
    try:
        await until(lambda: pool.ready)
        broken = True
        assert (await refusal(submit(pool, b"die"))).cause in ("died", "starting")
        await until(lambda: pool.counts["restarts"] >= 2)
        broken = False
        await until(lambda: pool.ready)
        assert (await pool.submit(b"echo again"))[0] == b"echo again"
    finally:
        await pool.close()
    assert {"make": "no memory", "start": "no start", "close": "no close"}[step] in caplog.text


@in_loop
async def test_a_service_whose_keeper_has_ended_is_not_ready():
    async with running() as pool:
        pool._tasks[0].cancel()
        await until(lambda: pool._tasks[0].done())
        assert not pool.ready


def test_limits_are_read_from_the_environment():
    limits = Limits.of({"HUEBANDS_PROCESSES": "1", "HUEBANDS_QUEUE": "0", "HUEBANDS_HELD_MEGABYTES": "64"})
    assert (limits.processes, limits.threads) == (1, usable_cores())
    assert (limits.queue, limits.timeout, limits.held_bytes) == (0, 300, 64 * 2**20)
    usual = Limits.of({"HUEBANDS_QUEUE": ""})
    assert (usual.processes, usual.threads, usual.queue) == (usable_cores(), 1, 16)


@pytest.mark.parametrize(
    "name", ["HUEBANDS_PROCESSES", "HUEBANDS_QUEUE", "HUEBANDS_TIMEOUT", "HUEBANDS_HELD_MEGABYTES"]
)
@pytest.mark.parametrize("value", ["x", "-1", "1.5", "99999999999", "\u0662"])
def test_a_limit_that_is_none_is_refused_by_name_and_value(name, value):
    with pytest.raises(LimitError, match=name) as error:
        Limits.of({name: value})
    assert repr(value) in str(error.value)


@pytest.mark.parametrize(("quota", "cores"), [("100000 100000", 1), ("1 100000", 1), ("max 100000", None), ("", None)])
def test_usable_cores_follow_the_containers_share(quota, cores, tmp_path):
    (tmp_path / "cpu.max").write_text(quota)
    assert usable_cores(tmp_path / "cpu.max") == (cores or usable_cores(tmp_path / "no file"))
