"""Runs that go on where another ended: with one journal, one sandbox that counts what it billed, and many clients."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, evolve, field

from kling_async import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    Batch,
    BudgetExceeded,
    Client,
    ContentRejected,
    DownloadError,
    Event,
    EventKind,
    ImageInput,
    InputError,
    Job,
    Limits,
    NotSent,
    Outcome,
    PredictionFailed,
    RateLimited,
    Status,
    WaitTimeout,
)
from kling_async.journal.memory import MemoryJournal
from kling_async.journal.sqlite import SqliteJournal
from kling_async.journal.submission import new_submission
from kling_async.testing import Fixed, Sandbox, SandboxApp, SandboxServer, Uniform, VirtualClock
from kling_async.types.status import JobStatus

from ..conftest import NO_LIMITS, ORIGIN

pytestmark = pytest.mark.anyio

BOTH: tuple[str, ...] = ("gptproto", "apiinone")


@define
class World:
    """One sandbox and one journal; clients come and go."""

    clock: VirtualClock
    sandbox: Sandbox
    journal: MemoryJournal = field(factory=MemoryJournal)

    def client(self, provider: str = "gptproto", *, limits: Limits = NO_LIMITS, **settings: Any) -> Client:
        """Make another client, as another process would."""
        return Client(
            provider,
            api_keys=dict.fromkeys(BOTH, self.sandbox.key),
            base_urls=dict.fromkeys(BOTH, ORIGIN),
            transport=httpx.ASGITransport(SandboxApp(self.sandbox, self.clock)),
            limits=dict.fromkeys(BOTH, limits),
            clock=self.clock,
            **settings,
        )

    async def run(self, jobs: Iterable[Job], *, stop_at: int | None = None, **settings: Any) -> list[Outcome]:
        """Run a batch with the journal, and leave it after so many outcomes."""
        outcomes: list[Outcome] = []
        async with self.client() as client, client.batch(jobs, journal=self.journal, **settings) as batch:
            async for outcome in batch:
                outcomes.append(outcome)
                if len(outcomes) == stop_at:
                    break
        return outcomes


@asynccontextmanager
async def world(**settings: Any) -> AsyncGenerator[World]:
    """Open a world on a clock that leaps."""
    async with VirtualClock() as clock:
        yield World(clock, Sandbox(strict=True, **settings))


def cats(count: int, **marks: str) -> list[Job]:
    """Make jobs; `_1="[[failed]]"` marks the prompt of job 1 with a fault of the sandbox."""
    return [Job(ImageInput(f"cat {n} {marks.get(f'_{n}', '')}"), key=f"cat-{n}") for n in range(count)]


# Batches.


async def test_a_finished_run_repeated_sends_nothing() -> None:
    """G7: everything is told again, from the journal, without a request."""
    async with world() as at:
        first = await at.run(cats(20), ordered=True)
        asked = len(at.sandbox.log)
        second = await at.run(cats(20), ordered=True)
    assert 20 == at.sandbox.submits == at.sandbox.billed()
    assert asked == len(at.sandbox.log)
    assert [one.job.key for one in first] == [one.job.key for one in second]
    assert [True] * 20 == [one.ok for one in second]
    assert [one.prediction and one.prediction.id for one in first] == [
        one.prediction and one.prediction.id for one in second
    ]


async def test_a_repetition_that_was_put_off_is_bought_once() -> None:
    """A further attempt that certainly did not start is made later under its own number, and then never again."""
    job = Job(ImageInput("a cat"), key="cat")
    first = new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0)
    second = evolve(first, attempt=2)
    async with world() as at:
        await at.journal.write(first.failed(BadRequest("no"), at=3.0))
        await at.journal.write(second.failed(RateLimited("later"), at=4.0))
        for _ in range(3):
            [outcome] = await at.run([job])
            assert outcome.ok
        assert 1 == at.sandbox.submits == at.sandbox.billed()
        assert [JobStatus.FAILED, JobStatus.SUCCEEDED] == [one.status for one in await at.journal.submissions()]


@pytest.mark.parametrize("stop_at", [1, 7, 19])
async def test_a_run_that_was_left_goes_on(stop_at: int) -> None:
    """What was accepted is looked at, what was never sent is submitted, and nothing is paid twice."""
    async with world() as at:
        await at.run(cats(20), stop_at=stop_at)
        outcomes = await at.run(cats(20))
    assert {f"cat-{n}" for n in range(20)} == {one.job.key for one in outcomes if one.ok}
    assert 20 == at.sandbox.submits == at.sandbox.billed()


async def test_without_keys_the_same_inputs_are_the_same_jobs() -> None:
    """Jobs without a key are known by their input, wherever they stand in the list."""
    inputs = [ImageInput(f"cat {n}") for n in range(6)]
    async with world() as at:
        await at.run([*inputs, inputs[0]])  # type: ignore[list-item]
        outcomes = await at.run([ImageInput("new"), *reversed(inputs), inputs[0]])  # type: ignore[list-item]
    assert 8 == len([one for one in outcomes if one.ok])
    assert 8 == at.sandbox.submits


async def test_signed_addresses_make_no_new_job() -> None:
    """An address that is signed anew every day is the same input; another image is not."""
    address = "https://store.example/cat.png?v=1&X-Amz-Signature={}"
    async with world() as at:
        for day in range(3):
            await at.run([ImageInput("a hat", images=[address.format(day)])])  # type: ignore[list-item]
        await at.run([ImageInput("a hat", images=[address.replace("v=1", "v=2")])])  # type: ignore[list-item]
    assert 2 == at.sandbox.submits


async def test_a_changed_input_is_refused() -> None:
    """Another input under a known key costs nothing and is not taken for the old one, unless that is asked for."""
    changed = [Job(ImageInput("a dog"), key="cat-0")]
    async with world() as at:
        await at.run(cats(1))
        [outcome] = await at.run(changed)
        assert isinstance(outcome.error, InputError)
        assert "resubmit_changed=True" in str(outcome.error)
        assert 1 == at.sandbox.submits
        [outcome] = await at.run(changed, resubmit_changed=True)
        assert outcome.ok
    assert ["cat 0 ", "a dog"] == [entry.prompt for entry in at.sandbox.entries]


@pytest.mark.parametrize("resubmit_changed", [False, True])
async def test_a_changed_input_of_a_job_that_still_runs(*, resubmit_changed: bool) -> None:
    """What an earlier run left running, and no call waits for, keeps no changed input from being bought on purpose."""
    changed = [Job(ImageInput("a dog"), key="cat-0")]
    async with world(image_latency=Fixed(500.0)) as at:
        async with at.client() as client, client.batch(cats(1), journal=at.journal) as batch:
            while not batch.progress.accepted:
                await at.clock.sleep(1.0)
        [outcome] = await at.run(changed, resubmit_changed=resubmit_changed)
    assert outcome.ok is resubmit_changed
    assert 1 + resubmit_changed == at.sandbox.submits
    if not resubmit_changed:
        assert "differs from the one already submitted under this key" in str(outcome.error)


async def test_a_client_that_is_closed_under_a_batch_is_told_plainly() -> None:
    """What an earlier run left is not taken up any more, and the loop raises one RuntimeError, not a group."""
    async with world(image_latency=Fixed(50.0)) as at:
        async with at.client() as client, client.batch(cats(3), journal=at.journal) as batch:
            while batch.progress.accepted < 3:
                await at.clock.sleep(1.0)
        opened, leave, closed = anyio.Event(), anyio.Event(), anyio.Event()
        batches: list[Batch] = []

        async def jobs() -> AsyncGenerator[Job]:
            leave.set()
            await closed.wait()
            for job in cats(1):
                yield job

        async def have_it_open() -> None:
            async with at.client() as client:
                batches.append(client.batch(jobs(), journal=at.journal))
                opened.set()
                await leave.wait()
            closed.set()

        async with anyio.create_task_group() as group:
            group.start_soon(have_it_open)
            await opened.wait()
            async with batches[0] as batch:
                with pytest.raises(RuntimeError, match="not open"):
                    async for outcome in batch:
                        assert isinstance(outcome.error, (NotSent, WaitTimeout))
    assert 3 == at.sandbox.submits


async def test_what_was_refused_can_be_mended_under_its_key() -> None:
    """A prompt that the policy refused cost nothing, so a better one needs no permission."""
    async with world() as at:
        [outcome] = await at.run(cats(1, _0="[[refused]]"))
        assert isinstance(outcome.error, ContentRejected)
        [again] = await at.run(cats(1, _0="[[refused]]"))
        assert isinstance(again.error, ContentRejected)
        assert 1 == at.sandbox.submits
        [outcome] = await at.run(cats(1))
    assert outcome.ok
    assert 2 == at.sandbox.submits


async def test_what_failed_is_told_again_or_tried_again() -> None:
    """A failed prediction is not paid for once more by itself; `resubmit_failed` does so."""
    async with world() as at:
        for _ in range(2):
            [outcome] = await at.run(cats(1, _0="[[failed]]"))
            assert isinstance(outcome.error, PredictionFailed)
        assert 1 == at.sandbox.submits
        [outcome] = await at.run(cats(1, _0="[[failed]]"), resubmit_failed=True)
        assert isinstance(outcome.error, PredictionFailed)
        assert 2 == at.sandbox.submits


async def test_what_an_account_refused_is_sent_later() -> None:
    """What was refused for the key or the balance is no job that failed: the next run submits it."""
    async with world() as at:
        at.sandbox.script(["unauthorized"])
        [first] = await at.run(cats(1), stop_after=10)
        assert isinstance(first.error, AuthenticationError)
        [second] = await at.run(cats(1))
    assert second.ok
    assert (2, 1) == (at.sandbox.submits, at.sandbox.billed())


async def test_an_unconfirmed_job_is_not_sent_again() -> None:
    """G4: each later run says so, until somebody decides."""
    async with world() as at:
        for _ in range(3):
            outcomes = await at.run(cats(3, _1="[[lost]]"), ordered=True)
            assert isinstance(outcomes[1].error, AnswerLost)
            assert outcomes[1].error.may_be_billed
            assert [True, False, True] == [one.ok for one in outcomes]
        assert 3 == at.sandbox.submits == at.sandbox.billed()


async def test_another_provider_today_does_not_take_over() -> None:
    """What one provider has accepted is asked for there, whatever today's setting is."""
    async with world(image_latency=Fixed(50.0)) as at:
        async with at.client("apiinone") as client, client.batch(cats(3), journal=at.journal) as batch:
            async for _ in batch:
                break
        outcomes = await at.run(cats(3))
    assert {"apiinone"} == {one.prediction.provider for one in outcomes if one.prediction}
    assert 3 == at.sandbox.submits


async def test_slots_are_filled_from_the_journal() -> None:
    """What still runs from before takes its slots, so that the provider is not asked for more than it takes."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=4)
    async with world(image_latency=Fixed(100.0), max_open=4) as at:
        async with at.client(limits=limits) as client, client.batch(cats(4), journal=at.journal) as batch:
            while batch.progress.accepted < 4:
                await at.clock.sleep(1.0)
        async with at.client(limits=limits) as client, client.batch(cats(12), journal=at.journal) as batch:
            assert 12 == len([one async for one in batch if one.ok])
    assert {200} == {seen.status for seen in at.sandbox.log if seen.kind == "submit"}
    assert 12 == at.sandbox.submits


async def test_what_is_not_asked_for_again_is_finished_all_the_same() -> None:
    """Opening a journal is enough: what was paid for is looked at to its end, and handed out."""
    async with world(image_latency=Fixed(30.0)) as at:
        await at.run(cats(5), stop_at=1)
        outcomes = await at.run([])
        assert {one.job.key for one in outcomes} <= {f"cat-{n}" for n in range(5)}
        assert all(one.ok for one in outcomes)
        states = {one.status for one in await submissions(at.journal)}
    assert {JobStatus.SUCCEEDED} == states
    assert 5 == at.sandbox.submits


async def submissions(journal: MemoryJournal) -> list[Any]:
    """Read a journal that nobody has open."""
    return await journal.submissions()


async def test_what_earlier_runs_spent_counts() -> None:
    """G16 over several runs: with one journal, `max_cost` holds for all of them together."""
    price = Decimal("0.028")
    async with world() as at:
        outcomes = await at.run(cats(3), max_cost=4 * price, prices={"kling-image-o1": price})
        assert 3 == len(outcomes)
        late: list[Outcome] = []
        async with at.client() as client:
            settings: dict[str, Any] = {"max_cost": 4 * price, "prices": {"kling-image-o1": price}}
            async with client.batch(cats(8), journal=at.journal, ordered=True, **settings) as batch:
                with pytest.raises(BudgetExceeded):
                    async for outcome in batch:
                        late.append(outcome)
    assert ["cat-0", "cat-1", "cat-2", "cat-3"] == [one.job.key for one in late if one.ok]
    assert 4 == at.sandbox.submits


async def test_events_and_counts_of_a_resumed_run() -> None:
    """A resumed job is told as resumed, never as submitted, and the counts add up."""
    heard: list[Event] = []
    async with world(image_latency=Uniform(10.0, 90.0)) as at:
        await at.run(cats(4), stop_at=1)
        async with at.client() as client, client.batch(cats(6), journal=at.journal) as batch:
            batch.add_listener(heard.append)
            assert 6 == len([one async for one in batch if one.ok])
            progress = batch.progress
    kinds = [event.kind for event in heard]
    assert 2 == kinds.count(EventKind.SUBMITTED)
    assert kinds.count(EventKind.RESUMED) >= 1
    assert (6, 0, 0, 0, 6) == (
        progress.succeeded,
        progress.planned,
        progress.submitting,
        progress.accepted,
        progress.done,
    )


PRICES = {"kling-image-o1": Decimal("0.03")}


@pytest.mark.parametrize("stop_at", [None, 7])
async def test_money_of_an_earlier_run_counts_once(stop_at: int | None) -> None:
    """After a resume `spent` is what the journal says, whether a job is told from it, followed or new."""
    jobs = cats(20, _3="[[lost]]", _5="[[failed]]", _6="[[refused]]")
    async with world(image_latency=Uniform(10.0, 90.0)) as at:
        await at.run(jobs[:12], stop_at=stop_at, prices=PRICES)
        async with at.client() as client, client.batch(jobs, journal=at.journal, prices=PRICES) as batch:
            outcomes = [one async for one in batch]
            progress = batch.progress
        paid = sum((one.max_cost for one in await at.journal.submissions()), Decimal(0))
    assert 20 == len(outcomes)
    assert (paid, 0) == (progress.spent, progress.unpriced)


async def test_money_of_an_earlier_attempt_counts_too() -> None:
    """A failure that may have been billed, and is submitted once more, has cost twice."""
    async with world() as at:
        await at.run(cats(2, _0="[[failed]]"), prices=PRICES)
        async with at.client() as client:
            async with client.batch(cats(2), journal=at.journal, prices=PRICES, resubmit_changed=True) as batch:
                assert all([one.ok async for one in batch])
            assert Decimal("0.09") == batch.progress.spent
        assert Decimal("0.09") == sum((one.max_cost for one in await at.journal.submissions()), Decimal(0))


async def test_what_is_told_again_makes_no_speed() -> None:
    """Jobs that an earlier run has ended are no work of this one: its speed and its time to go are of what is new."""
    limits = Limits(submit_per_second=1.0, submit_burst=1, poll_per_second=None, max_open=1000)
    async with world(image_latency=Fixed(5.0)) as at:
        await at.run(cats(200))
        async with at.client(limits=limits) as client, client.batch(cats(230), journal=at.journal) as batch:
            async for _ in batch:
                seen = batch.progress
                assert seen.per_second is None or seen.per_second < 3
    assert (230, 0.0) == (seen.done, seen.remaining)


async def test_two_batches_cannot_share_a_journal() -> None:
    """A journal has one owner; the second batch is told before it sends anything."""
    async with world() as at, at.client() as client, client.batch(cats(1), journal=at.journal):
        with pytest.raises(Exception, match="in use"):
            async with client.batch(cats(1), journal=at.journal):
                pass


async def test_a_stopped_batch_finishes_what_is_paid_for() -> None:
    """After `stop` nothing more is submitted; what runs is handed out, what was in line says why, and it can go on."""
    limits = Limits(submit_per_second=1.0, submit_burst=1, poll_per_second=None, max_open=None)
    async with world(image_latency=Fixed(10.0)) as at:
        outcomes: list[Outcome] = []
        sent = 0
        async with at.client(limits=limits) as client, client.batch(cats(30), journal=at.journal) as batch:
            async for outcome in batch:
                if not outcomes:
                    batch.stop()
                    sent = at.sandbox.submits
                outcomes.append(outcome)
            assert batch.stopped
        assert sent == at.sandbox.submits == len([one for one in outcomes if one.ok])
        assert {"stopped"} == {one.error.reason for one in outcomes if isinstance(one.error, NotSent)}
        assert 30 == len(outcomes)
        assert 30 == len([one for one in await at.run(cats(30)) if one.ok])
    assert 30 == at.sandbox.submits


async def test_what_was_turned_away_is_not_sent_after_a_stop() -> None:
    """A submission that got a 429 would be planned again; once the batch is stopped it is not."""
    async with world() as at, at.client() as client, client.batch(cats(3), journal=at.journal) as batch:
        at.sandbox.script(["rate_limited"] * 3)
        batch.add_listener(lambda event: batch.stop() if event.kind is EventKind.SUBMITTED else None)
        assert {"stopped"} == {one.error.reason async for one in batch if isinstance(one.error, NotSent)}
    assert 0 == at.sandbox.billed()
    assert at.sandbox.submits <= 3


# Awaited calls, as in a web app.


async def test_a_key_is_paid_once_whoever_asks() -> None:
    """G3 for `generate` and `submit`: a restarted server that asks again under a key gets what was paid for."""
    async with world() as at:
        ids: set[str] = set()
        for _ in range(3):
            async with at.client(journal=at.journal) as client:
                ids.add((await client.generate(ImageInput("a cat"), key="order-17")).id)
                ids.add((await client.submit(ImageInput("a cat"), key="order-17")).id)
    assert 1 == len(ids) == at.sandbox.submits


async def test_a_restarted_server_picks_up_by_key() -> None:
    """What was accepted before the restart is looked at from the start, and whoever asks by key gets it."""
    async with world(image_latency=Fixed(40.0)) as at:
        async with at.client(journal=at.journal) as client:
            accepted = await client.submit(ImageInput("a cat"), key="order-17")
        async with at.client(journal=at.journal) as client:
            prediction = await client.generate(ImageInput("a cat"), key="order-17")
            assert accepted.id == prediction.id
        async with at.client(journal=at.journal) as client:
            [kept] = await submissions(at.journal)
    assert JobStatus.SUCCEEDED is kept.status
    assert 1 == at.sandbox.submits


async def test_waiting_for_what_was_accepted_is_written_down() -> None:
    """`wait` keeps the journal as `generate` does."""
    async with world(image_latency=Fixed(40.0)) as at, at.client(journal=at.journal) as client:
        accepted = await client.submit(ImageInput("a cat"), key="cat")
        prediction = await client.wait(accepted)
        [kept] = await submissions(at.journal)
    assert Status.SUCCEEDED is prediction.status
    assert JobStatus.SUCCEEDED is kept.status


async def test_the_same_key_twice_at_once_pays_once() -> None:
    """Concurrent calls under one key: one submits, and the others join it at whatever moment they come."""
    got: list[str] = []
    async with world(image_latency=Fixed(20.0)) as at, at.client(journal=at.journal) as client:

        async def ask(after: float) -> None:
            await at.clock.sleep(after)
            got.append((await client.generate(ImageInput("a cat"), key="cat")).id)

        async with anyio.create_task_group() as group:
            for after in (0.0, 0.0, 5.0, 12.0):
                group.start_soon(ask, after)
    assert 1 == at.sandbox.submits
    assert (4, 1) == (len(got), len(set(got)))


async def test_a_caller_who_left_can_come_back() -> None:
    """A cancelled `generate` goes on by itself; asked for again under its key, it is heard again."""
    async with world(image_latency=Fixed(20.0)) as at, at.client(journal=at.journal) as client:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def leave() -> None:
                    await at.clock.sleep(5.0)
                    scope.cancel()

                group.start_soon(leave)
                await client.generate(ImageInput("a cat"), key="cat")
        assert (await client.generate(ImageInput("a cat"), key="cat")).outputs
    assert 1 == at.sandbox.submits


async def test_a_failure_is_told_again() -> None:
    """A prediction that failed raises the same for whoever asks later."""
    async with world() as at:
        for _ in range(2):
            async with at.client(journal=at.journal) as client:
                with pytest.raises(PredictionFailed):
                    await client.generate(ImageInput("a cat [[failed]]"), key="cat")
    assert 1 == at.sandbox.submits


# What nobody knows.


async def lost_one(at: World) -> None:
    """Lose the answer to a submission."""
    async with at.client(journal=at.journal) as client:
        at.sandbox.script(["lost"])
        with pytest.raises(AnswerLost):
            await client.generate(ImageInput("a cat"), key="cat")


async def test_an_id_can_be_attached() -> None:
    """Somebody finds the id at the provider: from then on the job is as if its answer had come."""
    async with world() as at:
        await lost_one(at)
        [entry] = at.sandbox.entries
        async with at.client(journal=at.journal) as client:
            [one] = await client.unconfirmed()
            assert ("cat", JobStatus.UNCONFIRMED) == (one.key, one.status)
            attached = await client.attach("cat", entry.id)
            assert [] == await client.unconfirmed()
            assert Status.SUCCEEDED is (await client.wait(attached)).status
        async with at.client(journal=at.journal) as client:
            assert entry.id == (await client.generate(ImageInput("a cat"), key="cat")).id
    assert 1 == at.sandbox.submits


async def test_a_job_can_be_resubmitted() -> None:
    """Resubmitting pays a second time, once, and leaves both attempts in the journal."""
    async with world() as at:
        await lost_one(at)
        async with at.client(journal=at.journal) as client:
            accepted = await client.resubmit("cat")
            assert [] == await client.unconfirmed()
            with pytest.raises(InputError, match="is not unconfirmed"):
                await client.resubmit("cat")
        async with at.client(journal=at.journal) as client:
            assert accepted.id == (await client.generate(ImageInput("a cat"), key="cat")).id
        kept = await submissions(at.journal)
    assert 2 == at.sandbox.submits == at.sandbox.billed()
    assert [(1, JobStatus.UNCONFIRMED), (2, JobStatus.SUCCEEDED)] == [(one.attempt, one.status) for one in kept]


async def test_a_job_can_be_abandoned() -> None:
    """An abandoned job is listed no more, and never sent again under its key."""
    async with world() as at:
        await lost_one(at)
        async with at.client(journal=at.journal) as client:
            await client.abandon("cat")
            assert [] == await client.unconfirmed()
            with pytest.raises(AnswerLost, match="abandoned"):
                await client.generate(ImageInput("a cat"), key="cat")
            with pytest.raises(InputError, match="abandoned before"):
                await client.abandon("cat")
    assert 1 == at.sandbox.submits


async def test_a_job_with_an_image_of_its_own_needs_it_again() -> None:
    """A journal keeps no signed addresses, so such an input must be given once more to be resubmitted."""
    input = ImageInput("a hat", images=["https://store.example/hat.png?X-Amz-Signature=1"])
    async with world() as at, at.client(journal=at.journal) as client:
        at.sandbox.script(["lost"])
        with pytest.raises(AnswerLost):
            await client.generate(input, key="hat")
        with pytest.raises(InputError, match="data URIs"):
            await client.resubmit("hat")
        assert (await client.resubmit("hat", input=input)).id
    assert 2 == at.sandbox.submits


@pytest.mark.parametrize("key", ["dog", "cat"])
async def test_there_must_be_something_to_decide(key: str) -> None:
    """Unknown keys and jobs that are not unconfirmed are refused; so is a malformed id."""
    async with world() as at, at.client(journal=at.journal) as client:
        await client.generate(ImageInput("a cat"), key="cat")
        with pytest.raises(InputError, match="is not unconfirmed"):
            await client.attach(key, "task_1")
        with pytest.raises(InputError, match="provider's id"):
            await client.attach(key, "../secret")
    assert 1 == at.sandbox.submits


async def test_without_a_journal_nothing_is_known() -> None:
    """The ways on need the journal that the submissions were written to."""
    async with world() as at, at.client() as client:
        with pytest.raises(InputError, match="no journal"):
            await client.unconfirmed()


# Files.


def connected(server: SandboxServer, sandbox: Sandbox, **settings: Any) -> Client:
    """Make a client of a served sandbox."""
    keys, origins = dict.fromkeys(BOTH, sandbox.key), dict.fromkeys(BOTH, server.url)
    return Client(api_keys=keys, base_urls=origins, limits=dict.fromkeys(BOTH, NO_LIMITS), **settings)


async def saved(
    server: SandboxServer, sandbox: Sandbox, jobs: list[Job], journal: Path, directory: Path
) -> list[Outcome]:
    """Run a batch that saves its files, with a client of its own."""
    async with (
        connected(server, sandbox) as client,
        client.batch(jobs, journal=journal, save_to=directory, ordered=True) as batch,
    ):
        return [outcome async for outcome in batch]


def snapshot(directory: Path) -> dict[str, tuple[int, int]]:
    """Return which files there are, how long, and since when."""
    return {path.name: (path.stat().st_size, path.stat().st_mtime_ns) for path in directory.iterdir()}


async def test_files_are_fetched_once(tmp_path: Path) -> None:
    """G7 with files: a second run sends nothing and touches none; a file that somebody removed is fetched again."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    out = tmp_path / "out"
    before: dict[str, tuple[int, int]] = {}
    asked = 0
    with SandboxServer(sandbox) as server:
        for run in range(3):
            outcomes = await saved(server, sandbox, cats(4), tmp_path / "journal.db", out)
            assert [1] * 4 == [len(one.files) for one in outcomes if one.ok]
            if run == 0:
                before, asked = snapshot(out), len(sandbox.log)
            elif run == 1:
                assert before == snapshot(out)
                assert asked == len(sandbox.log)
                (out / "cat-2-0.png").unlink()
    assert before.keys() == snapshot(out).keys()
    assert 4 == sandbox.submits
    assert 5 == sandbox.downloads


async def test_what_was_not_saved_is_saved_later(tmp_path: Path) -> None:
    """A download that failed leaves the job finished, and a later run completes it without paying."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    jobs = cats(3, _1="[[file_gone:4]]")
    with SandboxServer(sandbox) as server:
        for expected in ([None, DownloadError, None], [None, DownloadError, None], [None, None, None]):
            outcomes = await saved(server, sandbox, jobs, tmp_path / "journal.db", tmp_path)
            assert expected == [one.error and type(one.error) for one in outcomes]
    assert 3 == sandbox.submits
    assert {"cat-0-0.png", "cat-1-0.png", "cat-2-0.png", "journal.db"} == set(snapshot(tmp_path))


async def test_an_address_that_expired_is_asked_for_anew(tmp_path: Path) -> None:
    """One more look gives a new address; the file is whole, and the job is not paid again."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        async with connected(server, sandbox) as client:
            prediction = await client.generate(ImageInput("a cat [[file_gone]]"), key="cat")
            polls = sandbox.polls
            [path] = await client.download(prediction, tmp_path)
    assert path.stat().st_size > 0
    assert 1 == sandbox.polls - polls


async def test_a_journal_on_disk_holds_over_clients(tmp_path: Path) -> None:
    """The same, with the file: `generate` of a second client is answered from it."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        for _ in range(2):
            async with connected(server, sandbox, journal=SqliteJournal(tmp_path / "journal.db")) as client:
                prediction = await client.generate(ImageInput("a cat"), key="cat")
                assert await client.download(prediction, tmp_path / "out")
    assert 1 == sandbox.submits == sandbox.downloads
