"""Jobs that move on to another provider: where nothing was started, and never otherwise."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from kling_async import (
    Client,
    Event,
    EventKind,
    Job,
    JobStatus,
    Journal,
    Limits,
    MemoryJournal,
    Outcome,
    VideoInput,
)
from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    InputError,
    InsufficientBalance,
    KlingError,
    NotSent,
    RateLimited,
)
from kling_async.scheduling.progress import ProgressTracker
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.types.events import Listener

pytestmark = pytest.mark.anyio

FIRST, SECOND, THIRD = "wavespeed", "fal", "kling"
MODEL = "kling-3.0-std"
Answer = httpx.Response | Exception | None
UNREACHABLE = httpx.ConnectError("refused")
REFUSALS: dict[str, Answer] = {
    "connection refused": UNREACHABLE,
    "no such host": httpx.ConnectError("[Errno -2] Name or service not known"),
    "connecting times out": httpx.ConnectTimeout("too slow"),
    "a refused key": httpx.Response(401, json={"message": "no such key"}),
    "an empty account": httpx.Response(402, json={"message": "no balance"}),
    "a forbidden account": httpx.Response(403, json={"message": "not you"}),
    "too many requests": httpx.Response(429, json={"message": "too fast"}, headers={"Retry-After": "3"}),
}
FINAL: dict[str, tuple[Answer, type[KlingError]]] = {
    "a lost answer": (httpx.ReadError("gone"), AnswerLost),
    "an unreadable answer": (httpx.Response(200, text="<html>"), AnswerLost),
    "a server error": (httpx.Response(500, text="oops"), AnswerLost),
    "a refusal of the input": (httpx.Response(400, json={"message": "content policy violation"}), KlingError),
}


@define
class World(httpx.AsyncBaseTransport):
    """Providers at hosts of their own; a script may answer a submission in place of the sandbox."""

    sandbox: Sandbox
    transport: httpx.AsyncBaseTransport
    answers: dict[str, Callable[[], Answer]] = field(factory=dict)
    posts: Counter[str] = field(factory=Counter)
    prompts: list[tuple[str, str]] = field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Count a submission, and answer it."""
        provider = request.url.host.partition(".")[0]
        if request.method == "POST":
            self.posts[provider] += 1
            self.prompts.append((provider, request.content.decode()))
            answer = self.answers[provider]() if provider in self.answers else None
            if isinstance(answer, (httpx.ConnectError, httpx.ConnectTimeout)):
                # What httpcore reports of a connection that was never made.
                await request.extensions["trace"]("connection.connect_tcp.started", {})
            if isinstance(answer, Exception):
                raise answer
            if answer is not None:
                return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)
        return await self.transport.handle_async_request(request)


@asynccontextmanager
async def world(
    *, journal: Journal | None = None, limits: Limits | None = None, **answers: Answer
) -> AsyncIterator[tuple[Client, World]]:
    """Open a client in front of providers, some of which give one answer to every submission."""
    sandbox = Sandbox(strict=True, video_latency=Fixed(20))
    async with VirtualClock() as clock:
        there = World(sandbox, httpx.ASGITransport(SandboxApp(sandbox, clock)))
        there.answers = {name: lambda answer=answer: answer for name, answer in answers.items()}  # type: ignore[misc]
        names = (FIRST, SECOND, THIRD)
        async with Client(
            FIRST,
            api_keys={name: sandbox.key_for(name) for name in names},
            base_urls={name: f"https://{name}.test" for name in names},
            limits=dict.fromkeys(names, limits or Limits(submit_per_second=None, poll_per_second=None, max_open=8)),
            transport=there,
            journal=journal,
            clock=clock,
        ) as client:
            yield client, there


def jobs(number: int = 1) -> list[Job]:
    """Return jobs that all providers take."""
    return [Job(VideoInput(f"dog {at}", model=MODEL), key=f"dog-{at}") for at in range(number)]


BOTH = {"provider": (FIRST, SECOND), "failover": True}


async def drained(client: Client, jobs: list[Job], listener: Listener | None = None, **settings: Any) -> list[Outcome]:
    """Return the outcomes of a batch that may move jobs from the first provider to the second."""
    async with client.batch(jobs, **(BOTH | settings)) as batch:
        if listener is not None:
            batch.add_listener(listener)
        return [outcome async for outcome in batch]


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=list(REFUSALS))
async def test_a_job_moves_on_where_nothing_was_started(answer: Answer) -> None:
    """Out of reach, a refused account and a 429: the next provider gets the job, once, and it is billed once."""
    events = list[Event]()
    tracker = ProgressTracker(now=0.0, total=1)
    tracker.pulled()
    async with world(**{FIRST: answer}) as (client, there):
        [outcome] = await drained(client, jobs(), events.append)
    for event in events:
        tracker.record(event, cost=None)
    progress = tracker.snapshot(now=99.0)
    assert outcome.ok
    assert (SECOND, SECOND) == (outcome.job.provider, outcome.prediction and outcome.prediction.provider)
    assert (1, 1) == (there.posts[SECOND], there.sandbox.billed())
    moved = [event for event in events if event.kind is EventKind.MOVED]
    assert [(FIRST, JobStatus.PLANNED)] == [(event.provider, event.status) for event in moved]
    assert isinstance(moved[0].error, (NotSent, RateLimited, AuthenticationError, InsufficientBalance, KlingError))
    assert (0, 0, 0, 1, 0) == (
        progress.planned,
        progress.submitting,
        progress.accepted,
        progress.succeeded,
        progress.failed,
    )
    assert 1 == sum(event.kind is EventKind.FINISHED for event in events)


@pytest.mark.parametrize(("answer", "kind"), FINAL.values(), ids=list(FINAL))
async def test_a_job_never_moves_on_where_something_may_have_started(answer: Answer, kind: type[KlingError]) -> None:
    """A lost answer, and what is refused because of its input, end at the first provider."""
    async with world(**{FIRST: answer}) as (client, there):
        [outcome] = await drained(client, jobs())
    assert isinstance(outcome.error, kind)
    assert {FIRST: 1} == dict(there.posts)


async def test_a_provider_is_out_of_reach_after_three_tries() -> None:
    """Three tries are made before a job moves on; then the queued jobs move with it, without as many of their own."""
    limits = Limits(submit_per_second=None, max_open=8, max_submitting=1)
    async with world(**{FIRST: UNREACHABLE}, limits=limits) as (client, there):
        assert all(outcome.ok for outcome in await drained(client, jobs(8), max_open=8))
    assert 3 <= there.posts[FIRST] < 12
    assert (8, 8) == (there.posts[SECOND], there.sandbox.billed())


async def test_new_jobs_avoid_a_provider_that_is_blocked() -> None:
    """After a refusal of the account, jobs go to the other provider at once for half a minute."""
    refused = httpx.Response(401, json={"message": "no"})
    async with world(**{FIRST: refused}) as (client, there):
        assert all(outcome.ok for outcome in await drained(client, jobs(40), max_open=4))
    assert there.posts[FIRST] <= 12
    assert (40, 40) == (there.posts[SECOND], there.sandbox.billed())


async def test_the_last_provider_has_the_last_word() -> None:
    """Where none takes it, the job fails with the error of the last one, and each was asked."""
    answers = {FIRST: REFUSALS["a refused key"], SECOND: REFUSALS["an empty account"], THIRD: UNREACHABLE}
    async with world(**answers) as (client, there):
        [outcome] = await drained(client, jobs(), provider=(FIRST, SECOND, THIRD))
    assert isinstance(outcome.error, NotSent)
    assert THIRD == outcome.error.provider
    assert {FIRST, SECOND, THIRD} == set(there.posts)
    assert 0 == there.sandbox.billed()


async def test_the_journal_shows_each_attempt() -> None:
    """The attempt that certainly did not start stays beside the one that was paid, with its error."""
    journal = MemoryJournal()
    async with world(journal=journal, **{FIRST: REFUSALS["a refused key"]}) as (client, there):
        assert all(outcome.ok for outcome in await drained(client, jobs()))
        newest = await journal.find("dog-0")
        assert newest is not None
        assert (SECOND, JobStatus.SUCCEEDED, 2) == (newest.provider, newest.status, newest.attempt)
        [first] = [one for one in await journal.submissions() if one.provider == FIRST]
        assert (1, JobStatus.PLANNED) == (first.attempt, first.status)
        assert first.stored_error is not None
        assert "AuthenticationError" == first.stored_error.kind
        posts = there.posts.total()
        assert all(outcome.ok for outcome in await drained(client, jobs()))
    assert posts == there.posts.total()


async def test_the_budget_reserves_the_dearest() -> None:
    """Money is reserved for the dearest provider that a job may move on to, and settled at the one that took it."""
    async with world() as (client, there):
        prices = [client.estimate(jobs(), provider=name).high for name in (FIRST, SECOND)]
        dearest = max(price for price in prices if price is not None)
        low = dearest - Decimal("0.001")
        with pytest.raises(KlingError):
            async with client.batch(
                jobs(), provider=(FIRST, SECOND), failover=True, max_cost=low, prefer="cheapest"
            ) as batch:
                assert [] == [outcome async for outcome in batch]
        assert not there.posts
        async with client.batch(jobs(2), provider=(FIRST, SECOND), failover=True, max_cost=2 * dearest) as batch:
            assert all([outcome.ok async for outcome in batch])


async def test_a_call_that_joined_moves_with_the_job() -> None:
    """A job keeps all its listeners when it moves on."""
    journal = MemoryJournal()
    async with world(journal=journal, **{FIRST: UNREACHABLE}) as (client, there):
        [job] = jobs()
        async with (
            client.batch([job], provider=(FIRST, SECOND), failover=True) as batch,
            anyio.create_task_group() as group,
        ):
            found = list[str]()

            async def join() -> None:
                found.append((await client.generate(job.input, key=job.key)).provider)

            async for event in batch.events():
                if event.kind is EventKind.NOT_SENT and not found:
                    group.start_soon(join)
                    break
            assert all([outcome.ok async for outcome in batch])
    assert [SECOND] == found
    assert 1 == there.sandbox.billed()


async def test_a_batch_that_is_stopped_moves_nothing() -> None:
    """After stop() a job that could move on stays planned, and is sent nowhere."""
    async with (
        world() as (client, there),
        client.batch(jobs(3), provider=(FIRST, SECOND), failover=True, prefer="cheapest") as batch,
    ):

        def stop() -> Answer:
            batch.stop()
            return REFUSALS["too many requests"]

        there.answers = dict.fromkeys((FIRST, SECOND), stop)
        outcomes = [outcome async for outcome in batch]
    assert {"stopped"} == {outcome.error.reason for outcome in outcomes if isinstance(outcome.error, NotSent)}
    assert outcomes
    assert len(there.posts) <= 1
    assert 0 == there.sandbox.billed()


async def test_each_deadline_holds_after_a_move() -> None:
    """The time that a job may take counts from its start, wherever it is."""
    async with world(**{FIRST: UNREACHABLE, SECOND: UNREACHABLE}) as (client, _):
        began = client._clock.now()
        outcomes = await drained(client, jobs(4), wait_timeout=2.0)
        assert client._clock.now() - began <= 3.5
    assert all(isinstance(outcome.error, NotSent) for outcome in outcomes)


async def test_one_provider_is_not_enough() -> None:
    """Failover with one provider is a mistake, and says so."""
    async with world() as (client, _):
        with pytest.raises(InputError, match="several providers"):
            client.batch(jobs(), failover=True)


async def test_without_failover_nothing_moves() -> None:
    """A job stays at its provider unless failover was asked for."""
    async with world(**{FIRST: REFUSALS["a refused key"]}) as (client, there):
        [outcome] = await drained(client, jobs(), failover=False)
    assert isinstance(outcome.error, AuthenticationError)
    assert {FIRST: 1} == dict(there.posts)


CHOICES: list[Answer] = [None, None, *REFUSALS.values(), *(answer for answer, _ in FINAL.values())]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_no_job_is_ever_charged_twice(seed: int, with_journal: bool) -> None:
    """Whatever three providers answer, in any order: each job has one outcome, and was accepted once at most."""
    draw = random.Random(seed)
    charged = Counter[str]()

    async def run() -> None:
        journal = MemoryJournal() if with_journal else None
        async with world(journal=journal) as (client, there):
            for name in (FIRST, SECOND, THIRD):
                there.answers[name] = lambda: draw.choice(CHOICES)
            batch = client.batch(
                jobs(12), provider=(FIRST, SECOND, THIRD), failover=True, stop_after=99, wait_timeout=300.0
            )
            async with batch:
                outcomes = [outcome async for outcome in batch]
            charged.update(
                prompt for prompt in (f"dog {at}" for at in range(12)) for _ in range(there.sandbox.billed(prompt))
            )
        assert 12 == len(outcomes) == len({outcome.job.key for outcome in outcomes})
        for outcome in outcomes:
            sent = charged[outcome.job.input.prompt]
            assert sent <= 1
            assert bool(sent) is (outcome.prediction is not None)

    anyio.run(run)
