"""Another input in the place of a refused one: asked for once, paid once, under the same key."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, evolve, field

from kling_async import (
    AnswerLost,
    BudgetExceeded,
    Client,
    ContentRejected,
    Event,
    EventKind,
    ImageInput,
    InputError,
    InsufficientBalance,
    Job,
    JobStatus,
    Journal,
    Limits,
    MemoryJournal,
    NotSent,
    Outcome,
    PostgresJournal,
    PredictionFailed,
    SqliteJournal,
    Submission,
    VideoInput,
)
from kling_async.system.clock import Clock, SystemClock
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.testing.sandbox.media import draw_png
from kling_async.types.inputs import Input
from kling_async.types.refusals import OnRefused

from ..conftest import NO_LIMITS, ORIGIN
from ..postgres import PostgresServer

pytestmark = pytest.mark.anyio

RISKY = ImageInput("a fight [[refused]]")
FAILED = ImageInput("a fight [[failed:Input may not meet the guidelines]]")
MILD = ImageInput("a chess game")


@define
class Adviser:
    """A function for `on_refused` that gives the same answer to each question, and remembers the questions."""

    answer: Input | None = MILD
    asked: list[tuple[str, ContentRejected]] = field(factory=list[tuple[str, ContentRejected]])

    def __call__(self, input: Input, error: ContentRejected) -> Input | None:
        """Answer at once."""
        self.asked.append((input.prompt, error))
        return self.answer

    async def later(self, input: Input, error: ContentRejected) -> Input | None:
        """Answer after a while."""
        await anyio.lowlevel.checkpoint()
        return self(input, error)


@define
class World:
    """One sandbox and one journal; clients come and go."""

    clock: Clock
    sandbox: Sandbox
    journal: Journal | None = field(factory=MemoryJournal)
    events: list[Event] = field(factory=list[Event])

    def client(self, *, provider: str = "gptproto", limits: Limits = NO_LIMITS, **settings: Any) -> Client:
        """Make another client, as another process would."""
        client = Client(
            provider,
            api_key=self.sandbox.key_for(provider),
            base_url=ORIGIN,
            transport=httpx.ASGITransport(SandboxApp(self.sandbox, self.clock)),
            limits=limits,
            clock=self.clock,
            **settings,
        )
        client.add_listener(self.events.append)
        return client

    async def run(self, jobs: Iterable[Job], on_refused: OnRefused | None, **settings: Any) -> list[Outcome]:
        """Run a batch with the journal to its end."""
        async with (
            self.client() as client,
            client.batch(jobs, journal=self.journal, on_refused=on_refused, **settings) as batch,
        ):
            return [outcome async for outcome in batch]

    async def kept(self, key: str = "k") -> list[Submission]:
        """Return the attempts at a job."""
        assert self.journal is not None
        await self.journal.open()
        try:
            return [one for one in await self.journal.submissions() if one.key == key]
        finally:
            await self.journal.aclose()

    @property
    def sent(self) -> list[str | None]:
        """The prompts of all submissions."""
        return [one.prompt for one in self.sandbox.log if one.kind == "submit"]


@asynccontextmanager
async def world(**settings: Any) -> AsyncGenerator[World]:
    """Open a world on a clock that leaps."""
    async with VirtualClock() as clock:
        yield World(clock, Sandbox(strict=True, **settings))


def job(input: Input = RISKY) -> Job:
    """Make the job that most tests are about."""
    return Job(input, key="k")


@pytest.mark.parametrize("refused", [RISKY, FAILED], ids=["at once", "as a result"])
@pytest.mark.parametrize("is_async", [False, True], ids=["plain", "async"])
async def test_another_input_takes_the_place(refused: ImageInput, is_async: bool) -> None:
    """The input that the function gives is submitted under the key, and the outcome has both inputs."""
    adviser = Adviser()
    async with world() as at:
        [outcome] = await at.run([job(refused)], adviser.later if is_async else adviser)
        first, second = await at.kept()
    assert outcome.ok
    assert ("k", MILD.prompt) == (outcome.job.key, outcome.job.input.prompt)
    assert refused.prompt == (outcome.refused and outcome.refused.prompt)
    assert [refused.prompt] == [prompt for prompt, _ in adviser.asked]
    assert [refused.prompt, MILD.prompt] == at.sent
    assert (JobStatus.FAILED, 1, None) == (first.status, first.attempt, first.replaces)
    assert (JobStatus.SUCCEEDED, 2, first.fingerprint) == (second.status, second.attempt, second.replaces)


async def test_the_error_says_what_is_known() -> None:
    """The function gets a ContentRejected in both cases: that of a result says that it may be billed, and its id."""
    adviser = Adviser(answer=None)
    async with world() as at:
        await at.run([job(RISKY), evolve(job(FAILED), key="m")], adviser)
    errors = dict(adviser.asked)
    assert (None, False) == (errors[RISKY.prompt].id, errors[RISKY.prompt].may_be_billed)
    assert errors[FAILED.prompt].id
    assert errors[FAILED.prompt].may_be_billed
    assert isinstance(errors[FAILED.prompt].__cause__, PredictionFailed)


async def test_generate_asks_as_well() -> None:
    """A single call returns the prediction of the other input with its prompt, and its refusal where there is none."""
    async with world() as at, at.client(journal=at.journal) as client:
        prediction = await client.generate(RISKY, key="k", on_refused=Adviser())
        assert prediction.succeeded
        assert ("k", MILD.prompt) == (prediction.key, prediction.prompt)
        assert MILD.prompt == (await client.generate(RISKY, key="k")).prompt
        assert "a fox" == (await client.generate(ImageInput("a fox"), key="fox")).prompt
        with pytest.raises(ContentRejected):
            await client.generate(RISKY, key="other", on_refused=Adviser(answer=None))
        with pytest.raises(PredictionFailed):
            await client.generate(FAILED, key="third", on_refused=Adviser(answer=None))
        with pytest.raises(ContentRejected):
            await client.generate(RISKY, key="off")


async def test_events_say_it() -> None:
    """A batch tells of the replacement instead of the end, and counts the job once."""
    seen: list[Event] = []
    async with world() as at, at.client() as client, client.batch([job()], on_refused=Adviser()) as batch:
        batch.add_listener(seen.append)
        outcomes = [outcome async for outcome in batch]
        progress = batch.progress
    kinds = [event.kind for event in seen if event.kind is not EventKind.STATUS]
    submitted, accepted = EventKind.SUBMITTED, EventKind.ACCEPTED
    assert [submitted, EventKind.REPLACED, submitted, accepted, EventKind.FINISHED] == kinds
    [replaced] = [event for event in seen if event.kind is EventKind.REPLACED]
    assert (MILD.prompt, JobStatus.PLANNED) == (replaced.prompt, replaced.status)
    assert isinstance(replaced.error, ContentRejected)
    assert (1, 1, 0, 0) == (len(outcomes), progress.succeeded, progress.failed, progress.planned)
    assert replaced in at.events


async def check_later_runs(at: World) -> None:
    """Hold that runs after the one that replaced the input find its result, with the first input."""
    await at.run([job()], Adviser())
    before, again = len(at.sandbox.log), Adviser()
    for on_refused in (again, None):
        [outcome] = await at.run([job()], on_refused)
        assert outcome.ok, outcome.error
        assert (MILD.prompt, RISKY.prompt) == (outcome.job.input.prompt, outcome.refused and outcome.refused.prompt)
    assert before == len(at.sandbox.log)
    assert [] == again.asked
    assert [1, 2] == [one.attempt for one in await at.kept()]


async def test_a_later_run_finds_it() -> None:
    """A run with the first input gets the second attempt's result: nothing is sent, asked or paid again."""
    async with world() as at:
        await check_later_runs(at)


async def test_a_later_run_finds_it_on_disk(tmp_path: Path) -> None:
    """The same with a journal in a file."""
    at = World(SystemClock(), Sandbox(strict=True, time_scale=0.001), SqliteJournal(tmp_path / "journal.db"))
    await check_later_runs(at)


async def test_a_later_run_finds_it_in_a_database(postgres: PostgresServer) -> None:
    """The same with a journal in PostgreSQL."""
    journal = PostgresJournal(postgres.url(), run=f"run-{secrets.token_hex(4)}")
    at, declining = World(SystemClock(), Sandbox(strict=True, time_scale=0.001), journal), Adviser(answer=None)
    await check_later_runs(at)
    for _ in range(2):
        await at.run([evolve(job(), key="declined")], declining)
    assert 1 == len(declining.asked)


@pytest.mark.parametrize("both_ask", [True, False])
async def test_clients_of_one_database_pay_once(postgres: PostgresServer, *, both_ask: bool) -> None:
    """Two clients that replace one input at once submit one of theirs, and both say which, and have its result."""
    url, run, outcomes = postgres.url(), f"run-{secrets.token_hex(4)}", list[Outcome]()
    at = World(SystemClock(), Sandbox(strict=True, time_scale=0.01), None)

    async def call(adviser: Adviser | None) -> None:
        journal, on_refused = PostgresJournal(url, run=run), None if adviser is None else adviser.later
        async with at.client() as client, client.batch([job()], journal=journal, on_refused=on_refused) as batch:
            outcomes.extend([outcome async for outcome in batch])

    async with anyio.create_task_group() as group:
        group.start_soon(call, Adviser())
        group.start_soon(call, Adviser(answer=ImageInput("a game of go")) if both_ask else None)
    sent = {MILD.prompt, "a game of go"} & set(at.sent)
    assert 1 == len(sent) == at.sandbox.billed()
    done = [outcome for outcome in outcomes if outcome.ok]
    assert 2 == len(outcomes)
    assert 2 == len(done) or not both_ask
    assert 1 == len({outcome.result().id for outcome in done})
    assert sent == {outcome.job.input.prompt for outcome in done}
    assert {RISKY.prompt} == {outcome.refused.prompt for outcome in done if outcome.refused is not None}


async def test_it_is_asked_once_per_job() -> None:
    """A refusal of the other input is the end: neither this run nor a later one asks again."""
    adviser = Adviser(answer=ImageInput("a duel [[refused]]"))
    async with world() as at:
        for _ in range(3):
            [outcome] = await at.run([job()], adviser)
            assert isinstance(outcome.error, ContentRejected)
            assert "a duel [[refused]]" == outcome.job.input.prompt
    assert 1 == len(adviser.asked)
    assert [RISKY.prompt, "a duel [[refused]]"] == at.sent


async def test_once_per_job_is_for_the_journal_to_say() -> None:
    """Negative control: where the journal forgets that an attempt took a refused one's place, it is asked again."""

    class Forgetful(MemoryJournal):
        async def write(self, *submissions: Submission) -> None:
            await super().write(*(evolve(one, replaces=None) for one in submissions))

    adviser = Adviser(answer=ImageInput("a duel [[refused]]"))
    async with world() as at:
        at.journal = Forgetful()
        await at.run([job()], adviser)
        await at.run([job(adviser.answer or MILD)], adviser)
    assert 2 == len(adviser.asked)


@pytest.mark.parametrize("answer", [None, RISKY], ids=["none", "the same"])
async def test_no_other_input(answer: Input | None) -> None:
    """None, and the refused input itself, leave the refusal as it is, for later runs as well; retries ask anew."""
    adviser = Adviser(answer=answer)
    async with world() as at:
        for _ in range(2):
            [outcome] = await at.run([job()], adviser)
            assert isinstance(outcome.error, ContentRejected)
            assert outcome.refused is None
        assert 1 == len(adviser.asked)
        assert [RISKY.prompt] == at.sent
        await at.run([job()], adviser, resubmit_failed=True)
    assert 2 == len(adviser.asked)


async def test_a_function_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """Its exception is the cause of the refusal, noted and logged once, and nothing is sent; a later run asks again."""

    def broken(input: Input, error: ContentRejected) -> Input:
        raise ConnectionError("no adviser")

    async with world() as at:
        with caplog.at_level(logging.WARNING, logger="kling_async"):
            [one, two] = await at.run([job(), evolve(job(FAILED), key="m")], broken)
        assert 2 == sum("on_refused failed" in record.message for record in caplog.records)
        for outcome in (one, two):
            assert outcome.error is not None
            assert isinstance(outcome.error.__cause__, ConnectionError)
            assert ["on_refused raised ConnectionError: no adviser"] == outcome.error.__notes__
        assert 2 == len(at.sent)
        [outcome] = await at.run([job()], Adviser())
    assert outcome.ok


@pytest.mark.parametrize(
    "answer", [ImageInput("x", n=1000), ImageInput("x", images=[Path("no such file")]), "a prompt"]
)
async def test_a_bad_input(answer: Any) -> None:
    """The outcome is the InputError, whose cause is the refusal, and nothing is sent."""
    async with world() as at:
        [outcome] = await at.run([job()], lambda *_: answer)
        with pytest.raises(InputError):
            async with at.client() as client:
                await client.generate(RISKY, on_refused=lambda *_: answer)
    assert isinstance(outcome.error, InputError)
    assert isinstance(outcome.error.__cause__, ContentRejected)
    assert "k" == outcome.error.key
    assert 2 == len(at.sent)


async def test_it_is_held_to_the_budget() -> None:
    """An input that does not fit is a BudgetExceeded, whose cause is the refusal, and ends the batch as any does."""
    prices: dict[str, float] = {"kling-image-o1": 1.0, "kling-o1-std": 5.0}
    async with world() as at, at.client() as client:
        jobs = [job(), Job(ImageInput("a hen"), key="l")]
        dear = Adviser(answer=VideoInput("a chess game"))
        async with client.batch(jobs, max_cost=3, prices=prices, max_open=1, on_refused=dear) as batch:
            outcomes: list[Outcome] = []
            with pytest.raises(BudgetExceeded):
                async for outcome in batch:
                    outcomes.append(outcome)
    assert isinstance(outcomes[0].error, BudgetExceeded)
    assert isinstance(outcomes[0].error.__cause__, ContentRejected)
    assert VideoInput not in [type(one.job.input) for one in outcomes]
    assert RISKY.prompt == at.sent[0]
    assert "a chess game" not in at.sent


async def test_the_budget_is_waited_for() -> None:
    """An input waits while an open job may free money, and is submitted once it has: the limit holds all the time."""
    accepted, seen = anyio.Event(), list[tuple[str | None, EventKind]]()

    async def slow(input: Input, error: ContentRejected) -> Input:
        await accepted.wait()
        return MILD

    def listen(event: Event) -> None:
        seen.append((event.key, event.kind))
        if event.key == "l" and event.kind is EventKind.ACCEPTED:
            accepted.set()

    jobs, prices = [job(), Job(ImageInput("a hen [[failed]]"), key="l")], {"kling-image-o1": 1.0}
    batch_of = partial(Client.batch, jobs=jobs, max_cost=1, prices=prices, on_refused=slow)
    async with world() as at, at.client(provider="apiinone") as client, batch_of(client) as batch:
        batch.add_listener(listen)
        outcomes = {outcome.job.key: outcome async for outcome in batch}
    assert outcomes["k"].ok
    assert seen.index(("l", EventKind.FINISHED)) < seen.index(("k", EventKind.REPLACED))


async def test_the_budget_is_not_waited_for_longer_than_the_job() -> None:
    """Money that is freed after the time of the job is given back: its refusal stays, and nothing is sent for it."""
    accepted = anyio.Event()

    async def reword(input: Input, error: ContentRejected) -> Input:
        await accepted.wait()
        return MILD

    async def jobs(clock: Clock) -> AsyncGenerator[Job]:
        yield job()
        await clock.sleep(10.0)
        yield Job(ImageInput("a hen [[failed]]"), key="l")

    async with world(image_latency=Fixed(15.0)) as at, at.client(provider="apiinone") as client:
        settings: dict[str, Any] = {"max_cost": 1, "prices": {"kling-image-o1": 1.0}, "wait_timeout": 20.0}
        async with client.batch(jobs(at.clock), on_refused=reword, **settings) as batch:
            batch.add_listener(lambda event: accepted.set() if event.kind is EventKind.ACCEPTED else None)
            outcomes = {outcome.job.key: outcome async for outcome in batch}
    assert [RISKY.prompt, "a hen [[failed]]"] == at.sent
    assert isinstance(outcomes["k"].error, ContentRejected)
    assert isinstance(outcomes["l"].error, PredictionFailed)


async def test_other_jobs_go_on_meanwhile() -> None:
    """While an answer is awaited the others are done; the job keeps its place in the order and among the open ones."""
    others, done = anyio.Event(), set[str | None]()

    async def slow(input: Input, error: ContentRejected) -> Input:
        await others.wait()
        return MILD

    def listen(event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            done.add(event.key)
        if {"l0", "l1", "l2"} <= done:
            others.set()

    jobs = [job(), *(Job(ImageInput(f"hen {n}"), key=f"l{n}") for n in range(6))]
    batch_of = partial(Client.batch, jobs=jobs, ordered=True, max_open=4, on_refused=slow)
    async with world() as at, at.client() as client, batch_of(client) as batch:
        batch.add_listener(listen)
        outcomes = list[Outcome]()
        async for outcome in batch:
            if not outcomes:
                assert {"l0", "l1", "l2", "k"} == done, "more were open than allowed"
            outcomes.append(outcome)
    assert [one.key for one in jobs] == [outcome.job.key for outcome in outcomes]
    assert all(outcome.ok for outcome in outcomes)


@pytest.mark.parametrize("how", ["stop", "leave"])
async def test_the_end_of_a_batch_while_it_asks(how: str) -> None:
    """A batch that is stopped ends with the refusal, one that is left ends; nothing is sent, and a later run asks."""
    asked = anyio.Event()

    async def never(input: Input, error: ContentRejected) -> None:
        asked.set()
        await anyio.sleep_forever()

    async with world() as at:
        async with at.client() as client, client.batch([job()], journal=at.journal, on_refused=never) as batch:
            await asked.wait()
            if how == "stop":
                batch.stop()
                [outcome] = [outcome async for outcome in batch]
                assert isinstance(outcome.error, ContentRejected)
        assert [RISKY.prompt] == at.sent
        [outcome] = await at.run([job()], Adviser())
    assert outcome.ok


async def test_a_caller_that_is_cancelled_while_it_asks() -> None:
    """It stops asking: nothing is sent, and another call for the job asks again."""
    asked = anyio.Event()

    async def never(input: Input, error: ContentRejected) -> None:
        asked.set()
        await anyio.sleep_forever()

    async with world() as at, at.client(journal=at.journal) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.generate(RISKY, key="k", on_refused=never))
            await asked.wait()
            group.cancel_scope.cancel()
        assert [RISKY.prompt] == at.sent
        assert (await client.generate(RISKY, key="k", on_refused=Adviser())).succeeded


async def test_a_lost_answer_stays_unconfirmed() -> None:
    """The other input whose answer is lost is unconfirmed, and no later run sends it or asks."""
    adviser = Adviser(answer=ImageInput("a chess game [[lost]]"))
    async with world() as at:
        for _ in range(2):
            [outcome] = await at.run([job()], adviser, resubmit_failed=True)
            assert isinstance(outcome.error, AnswerLost)
        kept = await at.kept()
    assert [JobStatus.FAILED, JobStatus.UNCONFIRMED] == [one.status for one in kept]
    assert 1 == len(adviser.asked)
    assert 2 == len(at.sent)


async def test_one_that_never_left_is_sent_by_the_next_run() -> None:
    """The other input that the client was closed before sending is submitted by a run with the first one, unasked."""
    adviser = Adviser(answer=ImageInput("a chess game [[no_balance]]"))
    async with world() as at:
        [outcome] = await at.run([job()], adviser)
        assert outcome.error is not None
        at.sandbox.balance = Decimal(1000)
        [outcome] = await at.run([job()], None)
        kept = await at.kept()
    assert "a chess game [[no_balance]]" == outcome.job.input.prompt
    assert [1, 2] == [one.attempt for one in kept]
    assert 1 == len(adviser.asked)


@pytest.mark.parametrize("journaled", [True, False])
async def test_calls_that_have_joined_ask_once(journaled: bool) -> None:
    """Of several calls for one job one asks, and all of them get what comes of it."""
    adviser, found = Adviser(), list[str]()
    async with world() as at, at.client(journal=at.journal if journaled else None) as client:

        async def call() -> None:
            found.append((await client.generate(FAILED, key="k", on_refused=adviser.later)).id)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
    assert 1 == len(adviser.asked)
    assert 1 == len(set(found))
    assert 3 == len(found)
    assert [FAILED.prompt, MILD.prompt] == at.sent


async def test_calls_that_have_joined_hear_no_twice() -> None:
    """A function that gave none is not asked by the next of the calls that have joined, without a journal either."""
    adviser, errors = Adviser(answer=None), list[PredictionFailed]()
    async with world() as at, at.client() as client:

        async def call() -> None:
            try:
                await client.generate(FAILED, key="k", on_refused=adviser.later)
            except PredictionFailed as error:
                errors.append(error)

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(call)
    assert (1, 3) == (len(adviser.asked), len(errors))


async def test_a_changed_input_is_still_one() -> None:
    """A third input under the key is refused as before: only the first, and the one in its place, are the job's."""
    async with world() as at:
        await at.run([job()], Adviser())
        [outcome] = await at.run([job(ImageInput("something else"))], Adviser())
        [same] = await at.run([job(MILD)], None)
    assert isinstance(outcome.error, InputError)
    assert same.ok
    assert 2 == len(at.sent)


async def test_a_timeout_counts_from_the_beginning() -> None:
    """The time of a job includes that of the function: an input that comes too late is not sent."""
    async with world() as at:

        async def late(input: Input, error: ContentRejected) -> Input:
            await at.clock.sleep(100.0)
            return MILD

        async with at.client(journal=at.journal) as client:
            with pytest.raises(ContentRejected):
                await client.generate(RISKY, key="k", wait_timeout=50.0, on_refused=late)
        [outcome] = await at.run([job()], late, wait_timeout=50.0)
        assert isinstance(outcome.error, ContentRejected)
        assert [RISKY.prompt] == at.sent
        [outcome] = await at.run([job()], late)
    assert outcome.ok


async def test_a_resubmission_is_still_in_its_place() -> None:
    """A lost one that a user submits again stays the job's: a run with the first input has its result."""
    async with world() as at:
        await at.run([job()], Adviser(answer=ImageInput("a chess game [[lost]]")))
        async with at.client(journal=at.journal) as client:
            await client.resubmit("k")
        [outcome] = await at.run([job()], None)
        kept = await at.kept()
    assert outcome.ok
    assert [1, 2, 3] == [one.attempt for one in kept]
    assert kept[1].replaces == kept[2].replaces == kept[0].fingerprint


async def test_what_failed_is_submitted_again_in_its_place() -> None:
    """`resubmit_failed` submits the input that was submitted last, and does not ask."""
    adviser = Adviser(answer=ImageInput("a duel [[refused]]"))
    async with world() as at:
        for _ in range(2):
            [outcome] = await at.run([job()], adviser, resubmit_failed=True)
        kept = await at.kept()
    assert 1 == len(adviser.asked)
    assert ["a fight [[refused]]", *["a duel [[refused]]"] * 2] == at.sent
    assert "a duel [[refused]]" == outcome.job.input.prompt
    assert [None, kept[0].fingerprint, kept[0].fingerprint] == [one.replaces for one in kept]


async def test_the_client_is_closed_while_it_asks() -> None:
    """An answer that comes after the client was closed is not submitted, and the next run asks again."""
    asked, closed = anyio.Event(), anyio.Event()

    async def late(input: Input, error: ContentRejected) -> Input:
        asked.set()
        await closed.wait()
        return MILD

    async with world() as at:
        client = await at.client().open()
        async with client.batch([job()], journal=at.journal, on_refused=late) as batch:
            await asked.wait()
            await client.aclose()
            closed.set()
            outcomes = list[Outcome]()
            with pytest.raises(RuntimeError):
                async for outcome in batch:
                    outcomes.append(outcome)
        assert [NotSent] == [type(outcome.error) for outcome in outcomes]
        assert [RISKY.prompt] == at.sent
        [outcome] = await at.run([job()], Adviser())
    assert outcome.ok


async def test_local_media_go_along(tmp_path: Path) -> None:
    """The other input is read as any is, and one that was not sent is sent by a later run with the media of the job."""
    picture = tmp_path / "cat.png"
    picture.write_bytes(draw_png("a cat", width=320, height=300))
    given = VideoInput("a fight [[refused]]", image=picture, model="kling-o1-std", duration=5)

    def reword(input: Input, error: ContentRejected) -> Input:
        return evolve(input, prompt="a chess game [[no_balance]]")

    outcomes = list[Outcome]()
    dog = evolve(given, image=draw_png("a dog", width=320, height=300))
    async with world() as at:
        for input, on_refused in ((given, reword), (given, None), (dog, None)):
            async with (
                at.client(provider="wavespeed") as client,
                client.batch([job(input)], journal=at.journal, on_refused=on_refused) as batch,
            ):
                outcomes += [outcome async for outcome in batch]
    assert ["a fight [[refused]]", *["a chess game [[no_balance]]"] * 2] == at.sent
    unpaid, done, changed = outcomes
    assert isinstance(unpaid.error, InsufficientBalance)
    assert done.ok
    assert "a chess game [[no_balance]]" == unpaid.job.input.prompt == done.job.input.prompt
    assert isinstance(changed.error, InputError)


async def test_a_call_joins_the_replacement_while_it_runs() -> None:
    """A call with the first input joins the one in its place, where neither names a model as well; a third may not."""
    running = anyio.Event()
    risky, mild = VideoInput("a fight [[refused]]"), VideoInput("a chess game")
    found = list[str]()
    async with world() as at, at.client(provider="wavespeed") as client:
        client.add_listener(lambda event: running.set() if event.kind is EventKind.ACCEPTED else None)

        async def first() -> None:
            found.append((await client.generate(risky, key="k", on_refused=Adviser(answer=mild))).id)

        async with anyio.create_task_group() as group:
            group.start_soon(first)
            await running.wait()
            with pytest.raises(InputError):
                await client.generate(VideoInput("something else"), key="k")
            found.append((await client.generate(risky, key="k")).id)
    assert 2 == len(found)
    assert 1 == len(set(found))
    assert [risky.prompt, mild.prompt] == at.sent
