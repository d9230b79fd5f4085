"""Runs in a database: what is written of them, what is refused before anything is, and what their outcomes are."""

from __future__ import annotations

import secrets
import tracemalloc
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from kling_async import DownloadError, ImageInput, InputError, Job, JournalError, KlingError, PredictionFailed, machines
from kling_async.journal.hidden_url import HiddenUrl
from kling_async.journal.postgres import PostgresJournal
from kling_async.journal.queue_values import Chunk, EndedJob
from kling_async.journal.queued_chunks import QueuedChunks
from kling_async.journal.queued_runs import QueuedRuns
from kling_async.journal.submission import Submission
from kling_async.runs.queued_run import RunSettings, ended_job, job_of
from kling_async.types.jobs import Outcome
from kling_async.types.prediction import Failure, FailureKind, Prediction, Status
from kling_async.types.status import JobStatus

from ..postgres import PASSWORD, PostgresServer
from ..s3 import Bucket

pytestmark = pytest.mark.anyio

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


@pytest.fixture
def anyio_backend() -> str:
    """Run these on one backend; what differs between the two is tested on both."""
    return "asyncio"


@pytest.fixture
def run() -> str:
    """Name a run that no other test has."""
    return f"run-{secrets.token_hex(4)}"


@pytest.fixture
def runs(postgres: PostgresServer) -> Iterator[QueuedRuns]:
    """Open the runs of the database."""
    opened = QueuedRuns(HiddenUrl(postgres.url()))
    opened.open()
    yield opened
    opened.close()


def jobs(count: int, word: str = "cat") -> Iterator[Job]:
    """Make jobs one by one."""
    return (Job(ImageInput(f"a {word} {number}"), key=f"{word}-{number}") for number in range(count))


async def enqueue(postgres: PostgresServer, run: str, given: Any, **settings: Any) -> machines.EnqueuedRun:
    """Enqueue jobs for GPTProto."""
    return await machines.enqueue(given, database=postgres.url(), run=run, **{"provider": "gptproto"} | settings)


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_all_jobs_are_written_with_their_whole_inputs(
    postgres: PostgresServer, runs: QueuedRuns, run: str
) -> None:
    """What is enqueued is what a worker reads: also signed addresses, lone surrogates and labels, in its order."""
    given = [
        Job(ImageInput("a cat", images=["https://x.example/a.png?X-Amz-Signature=abc"]), key="one", labels={"a": "b"}),
        Job(ImageInput("lone \ud800, nul \x00, \U0001f600"), key="two \U0001f600"),
    ]
    done = await enqueue(postgres, run, given)
    assert (2, True) == (done.jobs, done.is_new)
    assert given == [job_of(job.body) for job, _ in runs.jobs(run)]
    assert [{"a": "b"}, {}] == [job_of(job.body).labels for job, _ in runs.jobs(run)]


async def test_the_same_jobs_again_change_nothing_but_the_settings(
    postgres: PostgresServer, runs: QueuedRuns, run: str
) -> None:
    """Enqueueing twice is like once, and the second time a limit may be raised."""
    await enqueue(postgres, run, jobs(30), max_cost=1, prices={"kling-image-o1": 0.01})
    again = await enqueue(postgres, run, jobs(30), max_cost=Decimal("2.50"), prices={"kling-image-o1": 0.01})
    assert (30, False) == (again.jobs, again.is_new)
    assert Decimal("2.50") == runs.get(run).max_cost
    assert {JobStatus.PLANNED: 30} == runs.counts(run).statuses


@pytest.mark.parametrize("other", ["another prompt", "one job fewer", "another provider"])
async def test_a_run_with_other_jobs_is_refused(
    postgres: PostgresServer, runs: QueuedRuns, run: str, other: str
) -> None:
    """A name that is taken by other jobs is refused, naming the setting, and the run stays as it was."""
    await enqueue(postgres, run, jobs(3))
    changed = {"another prompt": jobs(3, "dog"), "one job fewer": jobs(2), "another provider": jobs(3)}[other]
    provider = "apiinone" if other == "another provider" else "gptproto"
    with pytest.raises(InputError, match="--run") as caught:
        await enqueue(postgres, run, changed, provider=provider)
    assert ["run"] == [fault.field for fault in caught.value.faults]
    assert ["cat-0", "cat-1", "cat-2"] == [job.key for job, _ in runs.jobs(run)]


@pytest.mark.parametrize(
    ("given", "settings", "field"),
    [
        ([Job(ImageInput("a"), key="x"), Job(ImageInput("b"), key="x")], {}, "key"),
        ([ImageInput("a", images=["https://x.example/a.png"] * 99)], {}, "images"),
        ([ImageInput("a", images=[PIXEL])], {}, "images[0]"),
        ([ImageInput("a")], {"max_cost": 1}, "prices"),
        ([ImageInput("a")], {"max_cost": -1}, "max_cost"),
        ([ImageInput("a")], {"run": "a/"}, "run"),
        ([ImageInput("a")], {"run": ""}, "run"),
        ([ImageInput("a")], {"save_to": "s3:///nothing"}, "url"),
        ([ImageInput("a")], {"provenance": "embed"}, "provenance"),
        ([ImageInput("a")], {"database": "mysql://x"}, "database"),
        (["a cat"], {}, "jobs[0]"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_wrong_is_refused_before_anything_is_written(
    postgres: PostgresServer, runs: QueuedRuns, given: Any, settings: dict[str, Any], field: str
) -> None:
    """Each fault names its setting, and leaves no run behind."""
    run = f"run-{secrets.token_hex(4)}"
    call: dict[str, Any] = {"database": postgres.url(), "run": run, "provider": "gptproto"} | settings
    with pytest.raises(InputError) as caught:
        await machines.enqueue(given, **call)
    assert [field] == [fault.field for fault in caught.value.faults]
    assert runs.find(run) is None


async def test_a_failing_iterator_leaves_no_run(postgres: PostgresServer, runs: QueuedRuns, run: str) -> None:
    """A run is there with all of its jobs or not at all."""

    def failing() -> Iterator[Job]:
        yield from jobs(500)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="the disk is gone"):
        await enqueue(postgres, run, failing())
    assert runs.find(run) is None


async def test_local_media_are_put_into_the_bucket(
    postgres: PostgresServer, runs: QueuedRuns, run: str, bucket: Bucket, tmp_path: Path
) -> None:
    """Each content is put there once, and what is stored of it names no path of this machine."""
    (tmp_path / "a.png").write_bytes(PIXEL)
    given = [Job(ImageInput("a", images=[tmp_path / "a.png"]), key="a"), Job(ImageInput("b", images=[PIXEL]), key="b")]
    await enqueue(postgres, run, given, storage=bucket.url)
    bodies = [job.body for job, _ in runs.jobs(run)]
    assert 1 == len(bucket.objects())
    assert [] == [body for body in bodies if str(tmp_path) in body or "base64" in body]
    assert {"image/png"} == {media.mime for body in bodies for media in job_of(body).input.images}  # type: ignore[union-attr]


async def test_a_run_is_cut_into_chunks_of_one_provider_each(
    postgres: PostgresServer, runs: QueuedRuns, run: str
) -> None:
    """A chunk has at most a hundred jobs, all for the same providers, and a worker finds those that it has keys for."""
    mixed = [Job(ImageInput("a"), key=f"{n}", provider=("gptproto", "wavespeed")[n % 2]) for n in range(13_000)]
    done = await enqueue(postgres, run, mixed)
    assert {"gptproto", "wavespeed"} == set(done.missing_keys)
    chunks = QueuedChunks(runs, worker="w", providers=["wavespeed"])
    found = [one for one in chunks.waiting(ahead=50) if one.run == run]
    assert 50 == len(found)
    assert {("wavespeed",)} == {one.providers for one in found}
    taken = chunks.take(found[0]) or []
    assert 100 == len(taken)
    assert {"wavespeed"} == {job_of(body).provider for body in taken}


async def test_a_run_is_not_held_in_memory(postgres: PostgresServer, run: str) -> None:
    """Ten times the jobs take no more than the hashes of their keys."""
    peaks: list[int] = []
    for count in (1_000, 10_000):
        tracemalloc.start()
        await enqueue(postgres, f"{run}-{count}", jobs(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 10_000 * 100


def taken(runs: QueuedRuns, run: str) -> tuple[QueuedChunks, list[Chunk]]:
    """Take all chunks of a run."""
    chunks = QueuedChunks(runs, worker="w", providers=["gptproto"])
    found = [Chunk(run, number, 1) for number in range(1, 200)]
    return chunks, [one for one in found if chunks.take(one) is not None]


async def submitted(postgres: PostgresServer, run: str, key: str, prediction: Prediction) -> None:
    """Write a submission that has ended into the journal."""
    journal = PostgresJournal(postgres.url(), run=run)
    await journal.open()
    facts: dict[str, Any] = {"provider": "gptproto", "model": "m", "fingerprint": "", "input": {"kind": "image"}}
    await journal.write(Submission(key=key, **facts).sent(1.0).accepted(prediction, 2.0))
    await journal.aclose()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_outcomes_are_those_of_the_run(postgres: PostgresServer, runs: QueuedRuns, run: str) -> None:
    """Each outcome has its job, its prediction, its files and its error, in the order in which jobs ended."""
    await enqueue(postgres, run, jobs(4))
    chunks, every = taken(runs, run)
    facts: dict[str, Any] = {"provider": "gptproto", "model": "m"}
    good = Prediction(**facts, id="1", key="cat-0", status=Status.SUCCEEDED)
    bad = Prediction(
        **facts, id="2", key="cat-1", status=Status.FAILED, failure=Failure(kind=FailureKind.CANCELLED, message="no")
    )
    given = list(jobs(4))
    chunk_of = {f"cat-{number}": number + 1 for number in range(4)}  # a small run has a chunk for each job
    ended = [
        Outcome(job=given[0], prediction=good, files=(Path("/out/cat-0-0.png"), "s3://bucket/b.png")),
        Outcome.from_job(given[1], bad, None),
        Outcome(job=given[2], prediction=good, error=DownloadError("no space", advice="free some")),
        Outcome(job=given[3], error=InputError("no such model")),
    ]
    for key, prediction in (("cat-0", good), ("cat-1", bad), ("cat-2", good)):
        await submitted(postgres, run, key, prediction)
    for outcome in reversed(ended):
        one = ended_job(outcome, chunk=chunk_of[outcome.job.key])
        assert isinstance(one, EndedJob)
        other = evolve(one, status=JobStatus.PLANNED, result="{}")
        chunks.mark_ended(run, [evolve(other, chunk=99)])  # is late with a chunk that the job has left
        chunks.mark_ended(run, [one])
        chunks.mark_ended(run, [other])  # is known to have ended
    for chunk in every:
        chunks.close(chunk)
    found = [one async for one in machines.outcomes(database=postgres.url(), run=run)]
    assert list(reversed(given)) == [one.job for one in found]
    refused, unsaved, failed, succeeded = found
    assert isinstance(refused.error, InputError)
    assert isinstance(unsaved.error, DownloadError)
    assert ("no space", "free some") == (unsaved.error.message, unsaved.error.advice)
    assert isinstance(failed.error, PredictionFailed)
    assert "2" == failed.error.prediction.id
    assert succeeded.ok
    assert (Path("/out/cat-0-0.png"), "s3://bucket/b.png") == succeeded.files
    assert {JobStatus.SUCCEEDED: 2, JobStatus.FAILED: 2} == runs.counts(run).statuses


async def test_outcomes_of_a_run_that_is_stopped_say_why(postgres: PostgresServer, runs: QueuedRuns, run: str) -> None:
    """A run that no worker goes on with does not wait for ever, and `resume` lets it go on."""
    await enqueue(postgres, run, jobs(2))
    chunks, every = taken(runs, run)
    for chunk in every:
        chunks.close(chunk, reason="max_cost is spent")
    with pytest.raises(KlingError, match="max_cost is spent"):
        [one async for one in machines.outcomes(database=postgres.url(), run=run)]
    assert len(every) == runs.resume(run, saves=True)
    assert runs.chunks(run).is_open
    assert [None] * len(every) == [chunks.take(one) for one in every]  # a worker of an earlier round leaves it alone


async def test_an_unknown_run_names_those_there_are(postgres: PostgresServer, run: str) -> None:
    """A name that is wrong is answered with the right ones."""
    await enqueue(postgres, run, jobs(1))
    with pytest.raises(InputError, match=run):
        [one async for one in machines.outcomes(database=postgres.url(), run="nothing")]


async def test_a_database_that_cannot_be_used_is_refused(postgres: PostgresServer, run: str) -> None:
    """No server, a wrong password, no rights and a later schema are errors that name the setting and no password."""
    if not postgres.is_ours:
        pytest.skip("the server that was given has no user of ours")
    later, foreign = postgres.database(), postgres.database()
    await machines.enqueue(jobs(1), database=postgres.url(later), run=run, provider="gptproto")
    postgres.execute("UPDATE kling_async.version SET version = 99", database=later)
    urls = {
        "cannot be reached": "postgresql://kling:pg-wrong-1@127.0.0.1:1/none",
        "password authentication failed": postgres.user_url(later, password="pg-wrong-2"),
        "right to create a schema": postgres.user_url(foreign),
        "by a later kling_async": postgres.url(later),
    }
    for reason, url in urls.items():
        with pytest.raises(JournalError, match=reason) as caught:
            await machines.enqueue(jobs(1), database=url, run=run, provider="gptproto")
        assert "database" in str(caught.value)
        assert "journal" not in str(caught.value)
        assert not any(word in str(caught.value) for word in (PASSWORD, "pg-wrong"))


def test_settings_are_read_as_they_were_written() -> None:
    """Whatever the settings of a run are, workers follow the same ones."""
    every = RunSettings(
        providers=("fal", "kling"),
        prefer="cheapest",
        failover=True,
        save_to="s3://bucket/x",
        provenance="embed",
        storage="s3://media",
        prices={"m": Decimal("0.10")},
        wait_timeout=9.0,
        presign=60.0,
    )
    assert every == RunSettings.from_json(every.to_json())
    with pytest.raises(InputError, match="cannot be read"):
        RunSettings.from_json("{}")
