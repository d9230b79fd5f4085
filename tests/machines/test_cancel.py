"""`kling-async cancel` of a run in a database: workers submit no more of it, and providers cancel what they can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kling_async import ImageInput, Job, KlingError, NotSent
from kling_async.journal.hidden_url import HiddenUrl
from kling_async.journal.queued_cancels import end_jobs
from kling_async.runs.queued_run import ended_job
from kling_async.testing import Fixed, Sandbox
from kling_async.types.jobs import Outcome

from ..postgres import PostgresServer
from .test_retry import Twice
from .test_workers import enqueue, outcomes, statuses, wait_for_tasks
from .workers import Machines

pytest.importorskip("dbos")

Serve = Callable[[float], Machines]


@pytest.fixture
def serve(postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Serve a sandbox whose images take so many seconds, at fal, which can cancel, and at GPTProto, which cannot."""
    with ExitStack() as stack:

        def serving(seconds: float) -> Machines:
            sandbox = Sandbox(strict=True, image_latency=Fixed(seconds))
            place = postgres.url(postgres.database())
            there = stack.enter_context(Machines.running(place, tmp_path, sandbox))
            monkeypatch.setenv("FAL_BASE_URL", there.origin)
            monkeypatch.setenv("FAL_KEY", sandbox.key_for("fal"))
            return there

        yield serving


def jobs(count: int, provider: str) -> list[Job]:
    """Make jobs."""
    return [Job(ImageInput(f"a cat {number}"), key=f"cat-{number}", provider=provider) for number in range(count)]


def test_a_run_is_cancelled(serve: Serve) -> None:
    """Its worker submits no more, what was accepted is cancelled there, and a resume submits the rest."""
    there = serve(60.0)
    enqueue(there, jobs(30, "fal"))
    worker = there.start("one", "--rate", "3")
    wait_for_tasks(there, 2)
    done = there.run("cancel", "spring")
    assert 0 == done.code, done.err
    submitted = there.sandbox.submits
    assert submitted < 20
    assert f"{30 - submitted} jobs not submitted; kling-async resume spring would submit them." in done.err
    assert f"{submitted} job" in done.err
    with pytest.raises(KlingError, match="it was cancelled"):
        outcomes(there)
    assert {"cancelled": submitted, "planned": 30 - submitted} == statuses(there)
    worker.wait_for("spring: it is cancelled")
    shown = there.run("status", "spring")
    assert "Not running" in shown.err
    assert "it was cancelled" in shown.err
    again = there.run("cancel", "spring")
    assert (0, True) == (again.code, "Nothing is running at a provider" in again.err)
    assert 0 == there.run("resume", "spring").code
    wait_for_tasks(there, submitted + 2)
    assert 0 == there.run("cancel", "spring").code
    assert {0, 1} == {there.sandbox.billed(f"a cat {number}") for number in range(30)}
    assert 0 == worker.terminate()


def test_what_a_provider_cannot_cancel_is_finished(serve: Serve) -> None:
    """It is told, the code is 1, and the worker saves the files of what is paid for."""
    there = serve(3.0)
    enqueue(there, jobs(30, "gptproto"))
    there.start("one", "--rate", "3")
    wait_for_tasks(there, 2)
    done = there.run("cancel", "spring")
    assert (1, True) == (done.code, "still running" in done.err), done.err
    with pytest.raises(KlingError, match="it was cancelled"):
        outcomes(there)
    found = statuses(there)
    assert {"succeeded", "planned"} == set(found)
    assert found["succeeded"] == there.sandbox.submits == len(list((there.folder / "out").iterdir()))


def test_jobs_that_no_worker_has_are_cancelled_by_themselves(serve: Serve) -> None:
    """They end as cancelled, the others are done, a resume leaves them alone, and a retry runs one of them."""
    there = serve(0.2)
    enqueue(there, jobs(4, "gptproto"))
    done = there.run("cancel", "spring", "cat-1", "cat-3")
    assert 0 == done.code, done.err
    assert "2 jobs cancelled before being submitted" in done.err
    assert {"cancelled": 2, "planned": 2} == statuses(there)
    worker = there.start("one", "--rate", "20")
    errors = {one.job.key: one.error for one in outcomes(there)}
    assert {"cat-0", "cat-2"} == {key for key, error in errors.items() if error is None}
    error = errors["cat-3"]
    assert isinstance(error, NotSent)
    assert ("cancelled", "cat-3") == (error.reason, error.key)
    assert 0 == there.run("resume", "spring").code
    assert 0 == there.run("cancel", "spring", "cat-1").code  # has ended
    assert {"cancelled": 2, "succeeded": 2} == statuses(there)
    assert "cancelled" in there.run("get", "spring", "cat-3").out
    assert 0 == there.run("retry", "spring", "cat-3").code
    assert 3 == sum(one.ok for one in outcomes(there))
    assert {"cancelled": 1, "succeeded": 3} == statuses(there)
    assert 3 == there.sandbox.submits
    assert 0 == worker.terminate()


def test_a_cancel_whose_answer_is_lost_is_one(serve: Serve) -> None:
    """A transaction that is run again changes nothing more, and what it has done is not told as left alone."""
    there = serve(0.2)
    enqueue(there, jobs(3, "gptproto"))
    runs = Twice(HiddenUrl(there.url))
    runs.open()
    error = NotSent("It was cancelled", reason="cancelled")
    ended = [ended_job(Outcome(job=one, error=error), chunk=0) for one in jobs(2, "gptproto")]
    assert [] == end_jobs(runs, "spring", [one for one in ended if one is not None], only_unsent=True)
    runs.close()
    assert {"cancelled": 2, "planned": 1} == statuses(there)


def test_a_job_of_a_chunk_that_a_worker_has(serve: Serve) -> None:
    """One that is running is cancelled there; one that may be submitted at any moment is not, and the way is told."""
    there = serve(60.0)
    enqueue(there, jobs(2, "fal"))
    there.start("one", "--rate", "0.02")
    wait_for_tasks(there, 1)
    [waiting] = (number for number in range(2) if not there.sandbox.billed(f"a cat {number}"))
    done = there.run("cancel", "spring", "cat-0", "cat-1")
    assert 1 == done.code
    assert f"1 job not cancelled, since a worker has them: cat-{waiting}" in done.err
    assert "kling-async cancel spring" in done.err
    assert "1 job cancelled" in done.err
    assert {"cancelled": 1, "planned": 1} == statuses(there)


def test_a_run_whose_worker_is_gone_is_cancelled(serve: Serve) -> None:
    """What its providers have accepted is cancelled there, and ends as cancelled without a worker."""
    there = serve(60.0)
    enqueue(there, jobs(3, "fal"))
    worker = there.start("one", "--rate", "20")
    wait_for_tasks(there, 3)
    worker.wait_for(" accepted ", count=3)
    worker.kill()
    done = there.run("cancel", "spring")
    assert (0, True) == (done.code, "3 jobs cancelled" in done.err), done.err
    assert {"cancelled": 3} == statuses(there)
    assert 3 == there.sandbox.submits
