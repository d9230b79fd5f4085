"""`kling-async retry` of a run in a database: its workers run the jobs again, and each retry is paid at most once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar

import anyio
import pytest

from kling_async import Client, ImageInput, Job
from kling_async.journal.hidden_url import HiddenUrl
from kling_async.journal.postgres import PostgresJournal
from kling_async.journal.queued_chunks import QueuedChunks
from kling_async.journal.queued_retries import retry_jobs
from kling_async.journal.queued_runs import QueuedRuns
from kling_async.runs.queued_retry import failed_jobs, retried_job
from kling_async.runs.queued_run import RunSettings, ended_job, job_of
from kling_async.testing import Fixed, Sandbox
from kling_async.types.jobs import Outcome

from ..postgres import PostgresServer
from .test_workers import enqueue, outcomes, statuses
from .workers import Machines

pytest.importorskip("dbos")

T = TypeVar("T")

Start = Callable[..., Machines]


@pytest.fixture
def there(postgres: PostgresServer, tmp_path: Path) -> Iterator[Machines]:
    """Serve a sandbox whose images take a moment, and make an empty database."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.2))
    with ExitStack() as stack:
        yield stack.enter_context(Machines.running(postgres.url(postgres.database()), tmp_path, sandbox))


def jobs(prompts: dict[str, str]) -> list[Job]:
    """Make jobs."""
    return [Job(ImageInput(prompt), key=key) for key, prompt in prompts.items()]


def shown(there: Machines, key: str) -> dict[str, Any]:
    """Return what is known of a job."""
    found: dict[str, Any] = json.loads(there.run("get", "spring", key, "--json").out)
    return found


MIXED = {"a": "a cat", "b": "a dog [[failed:no luck]]", "c": "an owl [[refused]]", "d": "a fox"}


def test_what_failed_is_run_again_and_the_job_file_still_fits(there: Machines) -> None:
    """Without keys all that failed; an edited job has its new input, also when the first jobs are enqueued again."""
    enqueue(there, jobs(MIXED))
    worker = there.start("one", "--rate", "20")
    assert {"a": True, "b": False, "c": False, "d": True} == {one.job.key: one.ok for one in outcomes(there)}
    assert {"succeeded": 2, "failed": 2} == statuses(there)
    assert "Retry what failed (billed again) with: kling-async retry spring" in there.run("status", "spring").err
    done = there.run("retry", "spring")
    assert (0, True) == (done.code, "Workers run 2 jobs of the run spring again." in done.err), done.err
    assert {"a": True, "b": False, "c": False, "d": True} == {one.job.key: one.ok for one in outcomes(there)}
    assert 6 == there.sandbox.submits
    assert 0 == there.run("retry", "spring", "b", "--set", "prompt=a wolf").code
    assert {"a": True, "b": True, "c": False, "d": True} == {one.job.key: one.ok for one in outcomes(there)}
    assert {"succeeded": 3, "failed": 1} == statuses(there)
    job = shown(there, "b")
    assert ("a wolf", "succeeded", 3, 3) == (job["prompt"], job["status"], job["attempts"], len(job["submissions"]))
    assert 1 == there.sandbox.billed("a wolf")
    before = there.sandbox.submits
    assert not enqueue(there, jobs(MIXED)).is_new
    assert 0 == there.run("resume", "spring").code
    assert 4 == len(outcomes(there))
    assert before == there.sandbox.submits == 7
    assert 0 == worker.terminate()
    assert "a wolf" in (there.run("report", "spring"), (there.folder / "spring" / "results.jsonl").read_text())[1]


def test_what_cannot_be_retried_is_refused(there: Machines) -> None:
    """A success without a change, an unknown key and a job that is not sent yet are named before anything is sent."""
    enqueue(there, jobs(MIXED))
    open_now = there.run("retry", "spring", "a", "nothing")
    assert (2, True, True) == (open_now.code, "has not ended" in open_now.err, "is not in that run" in open_now.err)
    worker = there.start("one", "--rate", "20")
    outcomes(there)
    assert 0 == worker.terminate()
    for words in (("a",), ("a", "b"), ("a", "--set", "prompt=a cat")):
        done = there.run("retry", "spring", *words)
        assert (2, True) == (done.code, "has succeeded with this input" in done.err), done.err
    for words, told in (
        (("b", "--set", "model=nothing"), "nothing"),
        (("b", "--set", "images=nothing.png"), "nothing.png"),
        (("b", "--max-cost", "1"), "--price kling-image-o1=USD"),
        (("b", "--retry-failed"), "retry-failed"),
    ):
        done = there.run("retry", "spring", *words)
        assert (2, True) == (done.code, told in done.err), done.err
    assert {"succeeded": 2, "failed": 2} == statuses(there)
    last = there.run("retry", "spring", "c", "--set", "prompt=an owl")
    assert "No worker is living" in last.err
    assert {"succeeded": 2, "failed": 1, "planned": 1} == statuses(there)
    again = there.run("retry", "spring", "c")
    assert (2, True) == (again.code, "has not ended" in again.err)
    assert 4 == there.sandbox.submits


class Twice(QueuedRuns):
    """The runs of a database whose answer to each commit is lost once, so that each transaction is run twice."""

    def in_transaction(self, work: Callable[[Any], T]) -> T:
        """Run it, and run it again as after a lost answer."""
        super().in_transaction(work)
        return super().in_transaction(work)


@pytest.fixture
def failed(there: Machines) -> Machines:
    """Run a job that fails, to its end, as a worker does that is stopped afterwards."""
    given = jobs({"b": MIXED["b"]})
    enqueue(there, given)
    runs = QueuedRuns(HiddenUrl(there.url))
    runs.open()
    chunks = QueuedChunks(runs, worker="zero", providers=["gptproto"])
    [chunk] = chunks.waiting(ahead=9)
    assert 1 == len(chunks.take(chunk) or [])
    ended = ended_job(anyio.run(worked, there, given[0], "zero"), chunk=chunk.number)
    chunks.mark_ended("spring", [] if ended is None else [ended])
    chunks.close(chunk)
    runs.close()
    assert {"failed": 1} == statuses(there)
    return there


async def worked(there: Machines, job: Job, name: str) -> Outcome:
    """Do a job as a worker of this name does."""
    journal = PostgresJournal(there.url, run="spring", worker=name)
    key, url = {"gptproto": there.sandbox.key}, {"gptproto": there.origin}
    async with (
        Client("gptproto", api_keys=key, base_urls=url) as client,
        client.batch([job], journal=journal) as batch,
    ):
        [outcome] = [outcome async for outcome in batch]
    return outcome


def retry(there: Machines, runs: QueuedRuns) -> list[str]:
    """Retry all that failed, with another prompt."""
    runs.open()
    settings = RunSettings.from_json(runs.get("spring").settings)
    given = [
        retried_job(Job(ImageInput("a wolf"), key=found.job.key), found.newest, settings, at=1.0)
        for found in failed_jobs(runs, "spring")
    ]
    try:
        return retry_jobs(runs, "spring", given)
    finally:
        runs.close()


def test_a_retry_whose_answer_is_lost_is_one(failed: Machines) -> None:
    """A transaction that is run again changes nothing more, and the job is paid once."""
    assert [] == retry(failed, Twice(HiddenUrl(failed.url)))
    failed.start("one", "--rate", "20")
    assert [True] == [one.ok for one in outcomes(failed)]
    assert (1, 2) == (failed.sandbox.billed("a wolf"), failed.sandbox.submits)


def test_of_two_retries_at_once_one_is_done(failed: Machines) -> None:
    """What another command has changed since it was looked at is left alone, and named."""
    one, two = QueuedRuns(HiddenUrl(failed.url)), QueuedRuns(HiddenUrl(failed.url))
    two.open()
    settings = RunSettings.from_json(two.get("spring").settings)
    [seen] = [
        retried_job(job_of(found.job.body), found.newest, settings, at=2.0) for found in failed_jobs(two, "spring")
    ]
    assert [] == retry(failed, one)
    assert ["b"] == retry_jobs(two, "spring", [seen])
    two.close()
    assert "a wolf" == shown(failed, "b")["prompt"]


@pytest.mark.anyio
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_retry_is_one_submission(failed: Machines, at_once: bool) -> None:
    """Two workers that have the job, at once or one after the other, submit it once, and both get the answer."""
    assert [] == retry(failed, QueuedRuns(HiddenUrl(failed.url)))
    ends: list[bool] = []

    async def work(name: str) -> None:
        ends.append((await worked(failed, Job(ImageInput("a wolf"), key="b"), name)).ok)

    if at_once:
        async with anyio.create_task_group() as group:
            group.start_soon(work, "one")
            group.start_soon(work, "two")
    else:
        await work("one")
        await work("two")
    assert [True, True] == ends
    assert (1, 2) == (failed.sandbox.billed("a wolf"), failed.sandbox.submits)
