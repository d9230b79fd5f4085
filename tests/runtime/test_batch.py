"""Many jobs at once, in front of the sandbox: what is pulled, sent, handed out, paid, and told."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path, PurePath
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import trio

from kling_async import (
    AnswerLost,
    AuthenticationError,
    Batch,
    BudgetExceeded,
    Client,
    ContentRejected,
    DownloadError,
    Event,
    EventKind,
    ImageInput,
    InputError,
    InsufficientBalance,
    Job,
    KlingError,
    LimitKind,
    LimitOrigin,
    Limits,
    MemoryJournal,
    NotSent,
    Outcome,
    PredictionFailed,
    SpeedLimit,
    Status,
    Submission,
    VideoInput,
    WaitTimeout,
)
from kling_async.testing import Fixed, Sandbox, SandboxServer, Uniform
from kling_async.types.jobs import JobKeyGenerator

from ..conftest import OpenClient, SandboxedClient

pytestmark = pytest.mark.anyio

CENT = Decimal("0.012")
"""What an image costs at API in One."""


def images(count: int, *, marks: dict[int, str] | None = None) -> list[Job]:
    """Make jobs; a mark is a fault of the sandbox."""
    return [Job(ImageInput(f"cat {n} {(marks or {}).get(n, '')}"), key=f"cat-{n}") for n in range(count)]


async def gather(batch: Batch) -> list[Outcome]:
    """Take every outcome."""
    return [outcome async for outcome in batch]


async def gather_until_raised(batch: Batch, outcomes: list[Outcome]) -> None:
    """Take every outcome up to an error."""
    async for outcome in batch:
        outcomes.append(outcome)


class Counted:
    """An iterator that knows how far it was read."""

    def __init__(self, count: int, fails_at: int | None = None) -> None:
        self.pulled = 0
        self.count = count
        self.fails_at = fails_at

    def __iter__(self) -> Iterator[Job]:
        for number in range(self.count):
            if number == self.fails_at:
                raise OSError("the file ends here")
            self.pulled += 1
            yield Job(ImageInput(f"cat {number}"), key=f"cat-{number}")


async def later(jobs: list[Job]) -> AsyncIterator[Job]:
    """Give jobs from an asynchronous iterator that lets others run."""
    for job in jobs:
        await anyio.lowlevel.checkpoint()
        yield job


SOURCES: dict[str, Callable[[], Any]] = {
    "a list": lambda: images(20),
    "a tuple": lambda: tuple(images(20)),
    "an iterator": lambda: iter(images(20)),
    "a generator": lambda: (job for job in images(20)),
    "an asynchronous iterator": lambda: later(images(20)),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=list(SOURCES))
async def test_jobs_come_from_anything(open_client: OpenClient, source: Callable[[], Any]) -> None:
    """Whatever can be iterated over gives jobs; each has one outcome, is posted once and charged once."""
    async with open_client() as at, at.client.batch(source()) as batch:
        outcomes = await gather(batch)
    assert {f"cat-{number}" for number in range(20)} == {outcome.job.key for outcome in outcomes}
    assert 20 == len(outcomes) == at.sandbox.submits == at.sandbox.billed()
    assert all(outcome.ok for outcome in outcomes)


async def test_nothing_to_do(open_client: OpenClient) -> None:
    """A batch of nothing ends at once, and ends again."""
    async with open_client() as at, at.client.batch([]) as batch:
        assert [] == await gather(batch) == await gather(batch)
        assert (0, 0) == (batch.progress.total, batch.progress.pulled)
    assert [] == at.sandbox.log


async def test_a_batch_is_entered_once(open_client: OpenClient) -> None:
    """Entering it again, and iterating over it before or after, are misuse: RuntimeError, and nothing is sent."""
    async with open_client() as at:
        batch = at.client.batch(images(2))
        with pytest.raises(RuntimeError, match="async with"):
            await anext(batch)
        async with batch:
            with pytest.raises(RuntimeError, match="client.batch"):
                await batch.__aenter__()
            assert 2 == len(await gather(batch))
        with pytest.raises(RuntimeError, match="async with"):
            await anext(batch)
        with pytest.raises(RuntimeError, match="client.batch"):
            async with batch:
                pytest.fail("it opened")
    assert 2 == at.sandbox.submits


async def test_a_batch_whose_client_is_closed_says_so(open_client: OpenClient) -> None:
    """What is pulled after the client was closed is not sent, and is told so; then the loop raises RuntimeError."""
    outcomes: list[Outcome] = []
    opened, leave, closed = anyio.Event(), anyio.Event(), anyio.Event()
    batches: list[Batch] = []

    async def have_it_open() -> None:
        async with open_client() as at:
            batches.append(at.client.batch(iter(images(9)), max_open=1))
            opened.set()
            await leave.wait()
        closed.set()

    async with anyio.create_task_group() as group:
        group.start_soon(have_it_open)
        await opened.wait()
        async with batches[0] as batch:
            assert (await anext(batch)).ok
            leave.set()
            await closed.wait()
            with pytest.raises(RuntimeError, match="not open"):
                await gather_until_raised(batch, outcomes)
            assert (0, 0) == (batch.progress.planned, batch.progress.submitting)
    assert isinstance(outcomes[-1].error, NotSent)
    assert ("closed", outcomes[-1].job.key) == (outcomes[-1].error.reason, outcomes[-1].error.key)
    assert len(outcomes) < 8


async def test_inputs_are_named_after_themselves_and_their_place(open_client: OpenClient) -> None:
    """Bare inputs get keys: the same again in another run, and different for two of the same input."""
    inputs = [ImageInput("a cat"), ImageInput("a cat"), VideoInput("a dog")]
    keys = []
    for _ in range(2):
        async with open_client() as at, at.client.batch(inputs, ordered=True) as batch:
            keys.append([outcome.job.key for outcome in await gather(batch)])
    assert keys[0] == keys[1]
    assert 3 == len(set(keys[0]))


async def test_outcomes_come_as_they_finish(open_client: OpenClient) -> None:
    """Without `ordered` what is ready first comes first."""
    jobs = [Job(VideoInput("slow"), key="slow"), Job(ImageInput("fast"), key="fast")]
    async with open_client(image_latency=Fixed(5.0), video_latency=Fixed(60.0)) as at, at.client.batch(jobs) as batch:
        assert ["fast", "slow"] == [outcome.job.key for outcome in await gather(batch)]


async def test_outcomes_come_in_order_where_asked(open_client: OpenClient) -> None:
    """With `ordered` they come in the order of the jobs, whatever ends when, failures included."""
    async with (
        open_client(image_latency=Uniform(1.0, 60.0)) as at,
        at.client.batch(images(30, marks={3: "[[refused]]", 7: "[[failed]]"}), ordered=True) as batch,
    ):
        outcomes = await gather(batch)
    assert [f"cat-{number}" for number in range(30)] == [outcome.job.key for outcome in outcomes]
    assert [3, 7] == [number for number, outcome in enumerate(outcomes) if not outcome.ok]


async def test_one_failing_job_ends_no_run(open_client: OpenClient) -> None:
    """Every kind of failure is that job's outcome; all others succeed, and nothing is charged twice."""
    marks = {1: "[[refused]]", 3: "[[failed]]", 5: "[[lost]]", 7: "[[poll_error_502:3]]", 9: "[[rate_limited:2]]"}
    jobs: list[Any] = images(12, marks=marks)
    jobs[11] = Job(ImageInput("", n=12), key="cat-11")
    async with open_client() as at, at.client.batch(jobs, ordered=True) as batch:
        outcomes = await gather(batch)
        progress = batch.progress
    kinds = {n: type(outcome.error) for n, outcome in enumerate(outcomes) if outcome.error is not None}
    assert {1: ContentRejected, 3: PredictionFailed, 5: AnswerLost, 11: InputError} == kinds
    assert [n for n in range(12) if n not in (1, 5, 11)] == [n for n in range(12) if outcomes[n].prediction is not None]
    assert 12 == len(outcomes)
    assert (8, 3, 1) == (progress.succeeded, progress.failed, progress.unconfirmed)
    assert max(Counter(entry.prompt for entry in at.sandbox.entries).values()) == 1


# Backpressure.


async def test_a_million_rows_are_not_read_ahead(open_client: OpenClient) -> None:
    """No more is pulled than `max_open` beyond what was handed out, however long the iterator is."""
    rows = Counted(1_000_000)
    async with open_client() as at, at.client.batch(rows, max_open=7) as batch:
        for taken in range(1, 40):
            await anext(batch)
            assert rows.pulled <= taken + 7
        await at.clock.sleep(1000.0)
        assert 39 + 7 == rows.pulled == at.sandbox.submits
    assert 46 == rows.pulled


async def test_a_slow_consumer_slows_submitting_and_never_polling(open_client: OpenClient) -> None:
    """Whoever takes outcomes slowly has few jobs submitted, yet what was submitted is found finished at once."""
    finished_at: list[float] = []

    def hear(event: Event) -> None:
        if event.kind is EventKind.FINISHED:
            finished_at.append(event.at)

    async with open_client(image_latency=Fixed(10.0)) as at, at.client.batch(Counted(1000), max_open=5) as batch:
        batch.add_listener(hear)
        await at.clock.sleep(500.0)
        assert 5 == at.sandbox.submits == len(finished_at)
        assert max(finished_at) < 30.0
        for taken in range(1, 5):
            await anext(batch)
            await at.clock.sleep(500.0)
            assert 5 + taken == at.sandbox.submits == len(finished_at)


async def test_ordered_does_not_read_ahead_either(open_client: OpenClient) -> None:
    """A first job that takes long holds back what comes behind it, by `max_open` at most."""
    rows = Counted(1000)
    async with open_client(image_latency=Fixed(5.0)) as at:
        jobs = (Job(VideoInput("slow"), key="slow") if n == 0 else job for n, job in enumerate(rows))
        async with at.client.batch(jobs, max_open=4, ordered=True) as batch:
            assert "slow" == (await anext(batch)).job.key
            assert rows.pulled <= 5


async def test_slots_bound_what_is_open_at_the_provider(open_client: OpenClient) -> None:
    """The account's limits hold for a batch: never more open at the provider than it has slots."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=3)
    async with (
        open_client(limits=limits, max_open=3, image_latency=Fixed(5.0)) as at,
        at.client.batch(images(12)) as batch,
    ):
        assert 12 == sum(outcome.ok for outcome in await gather(batch))
    assert [200] * 12 == [seen.status for seen in at.sandbox.log if seen.kind == "submit"]


# Iterators that fail, and keys that come twice.


async def test_an_iterator_that_raises_loses_nothing(open_client: OpenClient) -> None:
    """Submitting stops, what is paid for is finished and handed out, and then that very error is raised."""
    outcomes: list[Outcome] = []
    error = OSError("the file ends here")

    def rows() -> Iterator[Job]:
        yield from images(5)
        raise error

    async with open_client() as at, at.client.batch(rows()) as batch:
        with pytest.raises(OSError) as caught:
            await gather_until_raised(batch, outcomes)
        assert error is caught.value
        assert [] == await gather(batch)
    assert 5 == len(outcomes) == at.sandbox.submits
    assert all(outcome.ok for outcome in outcomes)


async def test_an_asynchronous_iterator_that_raises_loses_nothing(open_client: OpenClient) -> None:
    """The same of an asynchronous iterator; the error leaves `async with` unwrapped."""
    outcomes: list[Outcome] = []

    async def rows() -> AsyncIterator[Job]:
        for job in images(5):
            yield job
        raise OSError("the queue is gone")

    async with open_client() as at:
        with pytest.raises(OSError, match="the queue is gone"):
            async with at.client.batch(rows()) as batch:
                await gather_until_raised(batch, outcomes)
    assert 5 == len(outcomes)


@pytest.mark.parametrize("item", [None, "a cat", 7])
async def test_what_is_no_job_stops_the_run(open_client: OpenClient, item: object) -> None:
    """Something else than a job is a mistake of the iterator: told, by its position, after what is paid for."""
    outcomes: list[Outcome] = []
    jobs: Any = [*images(2), item, *images(3)[2:]]
    async with open_client() as at, at.client.batch(jobs) as batch:
        with pytest.raises(InputError, match="position 2"):
            await gather_until_raised(batch, outcomes)
    assert 2 == len(outcomes) == at.sandbox.submits


@pytest.mark.parametrize("form", [list, tuple])
async def test_a_list_with_a_key_twice_is_refused_at_once(
    open_client: OpenClient, form: Callable[[list[Job]], Any]
) -> None:
    """Two jobs of one name would overwrite each other: a list is refused before anything is sent."""
    jobs = form([*images(3), Job(ImageInput("another"), key="cat-1")])
    async with open_client() as at:
        with pytest.raises(InputError, match=r"jobs\[3\].key='cat-1': is the key of jobs\[1\]"):
            at.client.batch(jobs)
    assert [] == at.sandbox.log


async def test_an_iterator_with_a_key_twice_stops_there(open_client: OpenClient) -> None:
    """From an iterator it is seen late: the second one is not sent, the rest is finished, then the error comes."""
    outcomes: list[Outcome] = []
    jobs = iter([*images(3), Job(ImageInput("another"), key="cat-1"), Job(ImageInput("never"), key="never")])
    async with open_client() as at, at.client.batch(jobs) as batch:
        with pytest.raises(InputError) as caught:
            await gather_until_raised(batch, outcomes)
    assert "cat-1" == caught.value.key
    assert ["cat-0", "cat-1", "cat-2"] == sorted(outcome.job.key or "" for outcome in outcomes)
    assert 3 == at.sandbox.submits


def test_the_same_input_many_times_is_no_clash() -> None:
    """Five thousand times the same input are five thousand jobs, in a list as in `map`."""
    names = JobKeyGenerator()
    jobs = [names.with_key(Job(ImageInput("a cat"))) for _ in range(5000)]
    assert 5000 == len({job.key for job in jobs})


# Refusals of the account, and money.


async def test_an_account_that_refuses_stops_the_run(open_client: OpenClient) -> None:
    """After three refusals of the key in a row no more is pulled; each pulled job says why, and so does the end."""
    rows = Counted(10_000)
    outcomes: list[Outcome] = []
    async with open_client() as at:
        at.sandbox.script(["unauthorized"] * 100)
        async with at.client.batch(rows, max_open=10) as batch:
            with pytest.raises(AuthenticationError):
                await gather_until_raised(batch, outcomes)
    assert 0 < len(outcomes) == rows.pulled <= 12
    assert {AuthenticationError} == {type(outcome.error) for outcome in outcomes}
    assert at.sandbox.submits <= 8


async def test_what_is_paid_for_is_finished_when_the_account_refuses(open_client: OpenClient) -> None:
    """A key that dies in the middle stops submitting only: accepted ones are polled and handed out first."""
    outcomes: list[Outcome] = []
    limits = Limits(submit_per_second=1.0, submit_burst=1, poll_per_second=None, max_open=None)
    async with open_client(limits=limits) as at:
        at.sandbox.script([None] * 5 + ["no_balance"] * 100)
        async with at.client.batch(Counted(100), max_open=20) as batch:
            with pytest.raises(KlingError):
                await gather_until_raised(batch, outcomes)
    assert 5 == sum(outcome.ok for outcome in outcomes) == at.sandbox.billed()
    assert 6 == at.sandbox.submits


async def test_an_iterator_that_waits_for_ever_does_not_keep_a_stopped_run(open_client: OpenClient) -> None:
    """A run that stops does not wait for the next job of a queue in which there is none."""
    outcomes: list[Outcome] = []

    async def rows() -> AsyncIterator[Job]:
        for job in images(3):
            yield job
        await anyio.sleep_forever()

    async with open_client() as at:
        at.sandbox.script(["unauthorized"] * 9)
        async with at.client.batch(rows()) as batch:
            with pytest.raises(AuthenticationError):
                await gather_until_raised(batch, outcomes)
    assert 3 == len(outcomes)


async def test_single_refusals_do_not_add_up(open_client: OpenClient) -> None:
    """A refusal now and then, with successes between, is no reason to stop."""
    async with open_client() as at:
        at.sandbox.script(["forbidden", None] * 4)

        async def rows() -> AsyncIterator[Job]:
            for job in images(8):
                yield job
                await at.clock.sleep(60.0)

        async with at.client.batch(rows()) as batch:
            outcomes = await gather(batch)
    assert [False, True] * 4 == [outcome.ok for outcome in outcomes]


@pytest.mark.parametrize("stop_after", [1, 5])
async def test_how_many_refusals_is_a_setting(open_client: OpenClient, stop_after: int) -> None:
    """`stop_after` says after how many."""
    rows = Counted(100)
    outcomes: list[Outcome] = []
    async with open_client() as at:
        at.sandbox.script(["unauthorized"] * 100)
        async with at.client.batch(rows, max_open=1, stop_after=stop_after) as batch:
            with pytest.raises(AuthenticationError):
                await gather_until_raised(batch, outcomes)
    assert stop_after == len(outcomes) == rows.pulled


def at_two(*, poor: str) -> list[Job]:
    """Make jobs that name one of two providers, in turn, and ask those of one or of both to refuse the balance."""
    return [
        Job(ImageInput(f"cat {number} [[no_balance]]" if name in poor else f"cat {number}"), provider=name)
        for number in range(9)
        for name in ("wavespeed", "apiinone")
    ]


async def test_an_account_that_refuses_leaves_the_jobs_of_others(open_client: OpenClient) -> None:
    """Where jobs name their providers, one that refuses each of its jobs ends the batch for no other."""
    async with open_client() as at, at.client.batch(at_two(poor="wavespeed")) as batch:
        counts = Counter((outcome.job.provider, outcome.ok) for outcome in await gather(batch))
    assert {("apiinone", True): 9, ("wavespeed", False): 9} == counts


async def test_accounts_that_all_refuse_end_the_batch(open_client: OpenClient) -> None:
    """A batch whose jobs name their providers ends when each of these has refused three in a row."""
    outcomes: list[Outcome] = []
    async with open_client() as at, at.client.batch(at_two(poor="wavespeed, apiinone"), max_open=2) as batch:
        with pytest.raises(InsufficientBalance):
            await gather_until_raised(batch, outcomes)
    assert 6 <= len(outcomes) <= 8


@pytest.mark.parametrize("max_cost", ["0.012", "0.05", "0.12", 0.125])
async def test_the_budget_is_never_exceeded(open_client: OpenClient, max_cost: Any) -> None:
    """G16: as many jobs are sent as fit, concurrently; the others are not, and the error says so at the end."""
    outcomes: list[Outcome] = []
    limit = Decimal(str(max_cost))
    async with open_client() as at, at.client.batch(images(30), provider="apiinone", max_cost=float(limit)) as batch:
        with pytest.raises(BudgetExceeded, match="max_cost"):
            await gather_until_raised(batch, outcomes)
        assert int(limit / CENT) * CENT == batch.progress.spent
    assert int(limit / CENT) == len(outcomes) == at.sandbox.submits
    assert at.sandbox.spent <= limit


async def test_what_failed_for_free_makes_room(open_client: OpenClient) -> None:
    """Refusals and failures that cost nothing give their reservation back; lost answers keep it."""
    marks = {0: "[[refused]]", 1: "[[failed]]", 2: "[[lost]]"}
    outcomes: list[Outcome] = []
    async with (
        open_client() as at,
        at.client.batch(images(9, marks=marks), provider="apiinone", max_cost=0.036) as batch,
    ):
        with pytest.raises(BudgetExceeded):
            await gather_until_raised(batch, outcomes)
    assert 5 == len(outcomes) == at.sandbox.submits
    assert at.sandbox.spent <= Decimal("0.036")


async def test_a_budget_that_suffices_is_not_mentioned(open_client: OpenClient) -> None:
    """A run that fits exactly ends like any other."""
    async with open_client() as at, at.client.batch(images(10), provider="apiinone", max_cost=0.12) as batch:
        assert 10 == len(await gather(batch))


async def test_no_budget_without_a_price(open_client: OpenClient) -> None:
    """A model whose price is not published cannot be held to a budget: nothing is sent for it."""
    async with open_client() as at, at.client.batch(images(3), max_cost=1.0) as batch:
        with pytest.raises(BudgetExceeded, match="prices="):
            await gather(batch)
    assert [] == at.sandbox.log


async def test_prices_may_be_told(open_client: OpenClient) -> None:
    """`prices=` names a price, which then counts for the budget and for what was spent."""
    outcomes: list[Outcome] = []
    async with open_client() as at, at.client.batch(images(9), max_cost=1, prices={"kling-image-o1": 0.25}) as batch:
        with pytest.raises(BudgetExceeded):
            await gather_until_raised(batch, outcomes)
        assert Decimal("1.00") == batch.progress.spent
    assert 4 == len(outcomes)


NAN, INFINITY = float("nan"), float("inf")
WRONG = [
    *[{"max_open": wrong} for wrong in (0, -1, 1.5, True, NAN, "7")],
    *[{"max_cost": wrong} for wrong in (0, -1, NAN, INFINITY, Decimal("NaN"), True, "7")],
    *[{"wait_timeout": wrong} for wrong in (0, -1.0, NAN, INFINITY)],
    *[{"stop_after": wrong} for wrong in (0, -1, NAN)],
    *[{"prices": {"kling-image-o1": wrong}} for wrong in (-1, NAN, INFINITY, Decimal("NaN"), None)],
    {"provider": "nobody"},
    {"provider": ["gptproto", "nobody"]},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
async def test_wrong_settings_are_refused_before_anything_is_pulled(
    open_client: OpenClient, wrong: dict[str, Any]
) -> None:
    """A number that makes no sense is an InputError that names the setting, and nothing was pulled or sent."""
    rows = Counted(5)
    async with open_client() as at:
        with pytest.raises(InputError):
            at.client.batch(rows, **wrong)
    assert (0, []) == (rows.pulled, at.sandbox.log)


# Providers.


async def test_several_providers_share_a_batch(open_client: OpenClient) -> None:
    """With two accounts the one with less to do gets the next job, and both are used."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=4)
    async with (
        open_client(limits=limits) as at,
        at.client.batch(images(40), provider=["gptproto", "apiinone"]) as batch,
    ):
        outcomes = await gather(batch)
    used = Counter(outcome.prediction.provider for outcome in outcomes if outcome.prediction)
    assert 40 == used.total() == sum(outcome.ok for outcome in outcomes)
    assert min(used["gptproto"], used["apiinone"]) >= 12


async def test_a_job_goes_to_whom_it_names_or_who_can(open_client: OpenClient) -> None:
    """A job's own provider counts, and of several only those that take the input are asked."""
    jobs = [
        Job(ImageInput("a cat"), key="named", provider="apiinone"),
        Job(VideoInput("a dog", model="kling-3"), key="only there"),
    ]
    async with open_client() as at, at.client.batch(jobs, provider=["gptproto", "apiinone"]) as batch:
        assert {"apiinone"} == {outcome.job.provider for outcome in await gather(batch)}


# Leaving early, and events.


async def test_leaving_early_withdraws_what_was_not_sent(open_client: OpenClient) -> None:
    """A consumer who breaks off pays for what was sent, and for nothing more."""
    limits = Limits(submit_per_second=1.0, submit_burst=2, poll_per_second=None, max_open=None)
    async with open_client(limits=limits) as at:
        async with at.client.batch(Counted(1000), max_open=50) as batch:
            await anext(batch)
        sent = at.sandbox.submits
        await at.clock.sleep(1000.0)
        assert sent == at.sandbox.submits < 30


class Late:
    """A source that gives one job at once, and one more when it is told to, whatever was cancelled meanwhile."""

    def __init__(self) -> None:
        self.gate = anyio.Event()

    async def __aiter__(self) -> AsyncIterator[Job]:
        yield Job(ImageInput("cat"), key="cat")
        with anyio.CancelScope(shield=True):
            await self.gate.wait()
        yield Job(ImageInput("late"), key="late")


async def open_gate(at: SandboxedClient, jobs: Late) -> None:
    """Let the second job come a second later."""
    await at.clock.sleep(1.0)
    jobs.gate.set()


async def test_what_comes_after_leaving_is_not_begun(open_client: OpenClient) -> None:
    """A job that the source gives while the batch is being left is never submitted: nobody would hear of it."""
    jobs = Late()
    async with open_client() as at, anyio.create_task_group() as group:
        async with at.client.batch(jobs) as batch:
            await anext(batch)
            group.start_soon(open_gate, at, jobs)
        await at.clock.sleep(1000.0)
        assert 1 == at.sandbox.submits


async def test_what_comes_after_a_stop_is_not_sent(open_client: OpenClient) -> None:
    """A job that the source gives while the batch is being stopped has an outcome, and is not submitted."""
    jobs = Late()
    async with open_client() as at, anyio.create_task_group() as group, at.client.batch(jobs) as batch:
        await anext(batch)
        batch.stop()
        group.start_soon(open_gate, at, jobs)
        [outcome] = await gather(batch)
        assert isinstance(outcome.error, NotSent)
        assert ("late", "stopped") == (outcome.job.key, outcome.error.reason)
        assert 1 == at.sandbox.submits


async def test_a_job_that_waits_for_money_has_an_outcome_after_a_stop(open_client: OpenClient) -> None:
    """A job that was pulled, and waits for an open one to free budget, is not sent; the next is not pulled."""
    pulled: list[Job] = []

    async def source() -> AsyncIterator[Job]:
        for job in images(3):
            pulled.append(job)
            yield job

    def stop_when_waiting(_: Event) -> None:
        if len(pulled) == 2:
            batch.stop()

    async with open_client() as at:
        async with at.client.batch(source(), provider="apiinone", max_cost=CENT, ordered=True) as batch:
            batch.add_listener(stop_when_waiting)
            done, waiting = await gather(batch)
        assert ("cat-0", None) == (done.job.key, done.error)
        assert isinstance(waiting.error, NotSent)
        assert ("cat-1", "stopped") == (waiting.job.key, waiting.error.reason)
        assert (2, 1) == (len(pulled), at.sandbox.submits)


async def test_an_error_of_the_body_leaves_unwrapped(open_client: OpenClient) -> None:
    """What the consumer raises is what comes out, and nothing more is sent."""
    async with open_client() as at:
        with pytest.raises(KeyError):
            async with at.client.batch(Counted(1000), max_open=5) as batch:
                await anext(batch)
                raise KeyError("mine")
        sent = at.sandbox.submits
        await at.clock.sleep(1000.0)
        assert sent == at.sandbox.submits


async def test_a_job_whose_time_is_up_keeps_its_prediction(open_client: OpenClient) -> None:
    """`wait_timeout` ends the wait for one job: its outcome carries the prediction, and is told once."""
    async with (
        open_client(video_latency=Fixed(90.0)) as at,
        at.client.batch([Job(VideoInput("slow"), key="slow"), *images(2)], wait_timeout=30.0) as batch,
    ):
        outcomes = await gather(batch)
        await at.clock.sleep(200.0)
        assert (2, 1, 0) == (batch.progress.succeeded, batch.progress.failed, batch.progress.accepted)
    [late] = [outcome for outcome in outcomes if not outcome.ok]
    assert isinstance(late.error, WaitTimeout)
    assert late.prediction is not None
    assert Status.SUCCEEDED is not late.prediction.status


def adds_up(batch: Batch) -> bool:
    """Check a snapshot: every pulled job is counted in exactly one place, and no count is below 0."""
    now = batch.progress
    places = [now.planned, now.submitting, now.accepted, now.succeeded, now.failed, now.unconfirmed]
    return sum(places) == now.pulled and min(places) >= 0 and now.done == sum(places[3:])


async def test_progress_adds_up_at_every_event(open_client: OpenClient) -> None:
    """Whatever happens, a snapshot counts every pulled job in one place, and the totals agree with the outcomes."""
    marks = dict(enumerate(["[[refused]]", "[[failed]]", "[[lost]]", "[[rate_limited:3]]"]))
    bad: list[Event] = []
    limits = Limits(submit_per_second=20.0, submit_burst=3, poll_per_second=20.0, max_open=9)
    async with open_client(limits=limits) as at, at.client.batch(images(60, marks=marks), max_open=25) as batch:
        batch.add_listener(lambda event: None if adds_up(batch) else bad.append(event))
        outcomes = await gather(batch)
        last = batch.progress
    assert [] == bad
    assert (60, 60, 57, 2, 1) == (last.total, last.pulled, last.succeeded, last.failed, last.unconfirmed)
    assert 60 == len(outcomes) == last.done
    assert last.throttled >= 3
    assert last.per_second is not None
    assert 0.0 == last.remaining


async def test_progress_says_what_holds_jobs_back(open_client: OpenClient) -> None:
    """While jobs wait the progress names the limit of their account, and at the end none."""
    seen = list[SpeedLimit]()
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=2)
    async with open_client(limits=limits) as at, at.client.batch(images(8)) as batch:
        batch.add_listener(lambda _: seen.extend(batch.progress.limited_by))
        assert all([outcome.ok async for outcome in batch])
        assert () == batch.progress.limited_by
    slots = SpeedLimit(provider="gptproto", kind=LimitKind.SLOTS, value=2, origin=LimitOrigin.USER)
    assert {slots} == set(seen)


async def test_progress_adds_up_when_time_runs_out(open_client: OpenClient) -> None:
    """Jobs that are given up in line, and jobs that are given up while they run, leave the place where they were."""
    limits = Limits(submit_per_second=1.0, submit_burst=1, poll_per_second=None, max_open=None)
    bad: list[Event] = []
    async with (
        open_client(limits=limits, image_latency=Fixed(8.0)) as at,
        at.client.batch(images(30), wait_timeout=12.0) as batch,
    ):
        batch.add_listener(lambda event: None if adds_up(batch) else bad.append(event))
        outcomes = await gather(batch)
        assert (0, 0, 0) == (batch.progress.planned, batch.progress.submitting, batch.progress.accepted)
    assert [] == bad
    assert {type(None), NotSent, WaitTimeout} == {type(outcome.error) for outcome in outcomes}


async def test_a_total_is_known_when_the_iterator_has_ended(open_client: OpenClient) -> None:
    """The length of an iterator is not known before its end, and then it is."""
    async with open_client() as at, at.client.batch(Counted(12), max_open=5) as batch:
        await anext(batch)
        assert (None, None) == (batch.progress.total, batch.progress.remaining)
        await gather(batch)
        assert 12 == batch.progress.total


async def test_events_come_in_order(open_client: OpenClient) -> None:
    """Each job is submitted before it is accepted, and accepted before it is finished, at times that never go back."""
    heard: list[Event] = []
    async with open_client() as at, at.client.batch(images(20, marks={2: "[[rate_limited]]"})) as batch:
        batch.add_listener(heard.append)
        await gather(batch)
    assert sorted(event.at for event in heard) == [event.at for event in heard]
    line = [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED]
    for number in range(20):
        kinds = [event.kind for event in heard if event.key == f"cat-{number}" and event.kind is not EventKind.STATUS]
        assert ([EventKind.SUBMITTED, EventKind.THROTTLED] if number == 2 else []) + line == kinds
    assert {"gptproto"} == {event.provider for event in heard}


async def test_a_listener_that_fails_harms_nobody(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """A mistake in a listener is logged; the run goes on, and other listeners hear everything."""
    heard: list[Event] = []

    def fails(event: Event) -> None:
        raise ZeroDivisionError

    async with open_client() as at, at.client.batch(images(3)) as batch:
        batch.add_listener(fails)
        batch.add_listener(heard.append)
        assert 3 == len(await gather(batch))
    assert 9 <= len(heard)
    assert "a listener failed" in caplog.text


def cancelled_future(_: Event) -> None:
    future: Future[None] = Future()
    future.cancel()
    future.result()


def cancelled_task(_: Event) -> None:
    raise asyncio.CancelledError


async def _cancelled() -> trio.Cancelled:
    kept: list[trio.Cancelled] = []
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.lowlevel.checkpoint()
        except trio.Cancelled as error:
            kept.append(error)
            raise
    return kept[0]


CANCELLED = trio.run(_cancelled)


def cancelled_scope(_: Event) -> None:
    raise CANCELLED


@pytest.mark.parametrize("listener", [cancelled_future, cancelled_task, cancelled_scope])
async def test_a_listener_that_was_cancelled_cancels_nobody(
    open_client: OpenClient, listener: Callable[[Event], None], caplog: pytest.LogCaptureFixture
) -> None:
    """A cancellation of something else that comes out of a listener is a mistake like any other."""
    async with open_client() as at, at.client.batch(images(3)) as batch:
        batch.add_listener(listener)
        outcomes = await gather(batch)
    assert [True] * 3 == [outcome.ok for outcome in outcomes]
    assert "a listener failed" in caplog.text


async def test_an_exit_in_a_listener_is_no_mistake(open_client: OpenClient) -> None:
    """An exit that a listener asks for goes on to the program; Ctrl-C has tests of its own."""

    def struck(event: Event) -> None:
        raise SystemExit

    heard: list[Event] = []
    async with open_client() as at:
        async with at.client.batch(images(1)) as batch:
            batch.add_listener(heard.append)
            await gather(batch)
        batch.add_listener(struck)
        with pytest.raises(SystemExit):
            batch._listeners.notify(heard[0])


# Files, over a real socket: work in threads looks idle to a clock that leaps.


async def run_over_a_socket(sandbox: Sandbox, jobs: Any, directory: Path, **settings: Any) -> tuple[list[Outcome], Any]:
    """Run a batch with files through a server on this machine; return outcomes and events."""
    heard: list[Event] = []
    with SandboxServer(sandbox) as server:
        accounts: Any = {"api_keys": {"gptproto": sandbox.key}, "base_urls": {"gptproto": server.url}}
        limits = {"gptproto": Limits(submit_per_second=None, poll_per_second=None)}
        async with (
            Client(limits=limits, **accounts) as client,
            client.batch(jobs, save_to=directory, **settings) as batch,
        ):
            batch.add_listener(heard.append)
            return await gather(batch), heard


def size_of(path: PurePath) -> int:
    """Return how long a file is."""
    return Path(path).stat().st_size


def names_in(directory: Path) -> list[str]:
    """Return the names of all files of a directory."""
    return sorted(path.name for path in directory.iterdir())


async def test_files_are_saved_before_the_outcome_is_handed_out(tmp_path: Path) -> None:
    """With `save_to` every outcome names its files, which are there, after their job's key."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    outcomes, heard = await run_over_a_socket(sandbox, images(6), tmp_path, ordered=True)
    assert [(f"cat-{n}-0.png",) for n in range(6)] == [tuple(p.name for p in outcome.files) for outcome in outcomes]
    assert all(size_of(path) > 100 for outcome in outcomes for path in outcome.files)
    for number in range(6):
        kinds = [event.kind for event in heard if event.key == f"cat-{number}" and event.kind is not EventKind.STATUS]
        assert [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED, EventKind.SAVED] == kinds
    told = {event.key: event.files for event in heard if event.kind is EventKind.SAVED}
    assert told == {outcome.job.key: outcome.files for outcome in outcomes}


async def test_a_download_that_fails_keeps_the_prediction(tmp_path: Path) -> None:
    """What was paid for is not lost with its file: the outcome has both the error and the prediction."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    jobs = images(4, marks={1: "[[file_gone:2]]", 2: "[[failed]]"})
    outcomes, _ = await run_over_a_socket(sandbox, jobs, tmp_path, ordered=True)
    assert [None, DownloadError, PredictionFailed, None] == [
        outcome.error and type(outcome.error) for outcome in outcomes
    ]
    broken = outcomes[1]
    assert (False, ()) == (broken.ok, broken.files)
    assert broken.prediction is not None
    assert Status.SUCCEEDED is broken.prediction.status
    assert ["cat-0-0.png", "cat-3-0.png"] == names_in(tmp_path)


# Virtual time.


async def test_minutes_pass_in_a_moment(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """Five hundred jobs take minutes of virtual time, and few looks each."""
    caplog.set_level(logging.WARNING)
    limits = Limits(submit_per_second=10.0, submit_burst=10, poll_per_second=20.0, max_open=100)
    async with open_client(limits=limits) as at:
        async with at.client.batch(images(500)) as batch:
            outcomes = await gather(batch)
        assert at.clock.now() > 50.0
    assert 500 == sum(outcome.ok for outcome in outcomes) == at.sandbox.submits
    assert at.sandbox.polls < 500 * 12


async def test_a_host_that_cannot_be_trusted_stops_the_run() -> None:
    """A failed TLS handshake would fail for every job, so a few of them stop the feeder, and nothing was sent."""
    with SandboxServer() as server:
        origin = server.url.replace("http://", "https://")
        client = Client(api_keys={"gptproto": "sk-sandbox"}, base_urls={"gptproto": origin})
        outcomes = []
        async with client, client.batch([ImageInput(f"cat {n}") for n in range(50)], max_open=2) as batch:
            with pytest.raises(NotSent) as caught:
                async for outcome in batch:
                    outcomes.append(outcome)
        assert "tls" == caught.value.reason
        assert 3 <= len(outcomes) < 10
        assert 0 == server.sandbox.submits


class Clumsy(MemoryJournal):
    """A journal with a mistake in it, which shows when files are written down."""

    async def write(self, *submissions: Submission) -> None:
        if any(one.files for one in submissions):
            raise ValueError("a slip")
        await super().write(*submissions)


async def test_a_mistake_in_the_background_is_raised(open_client: OpenClient, tmp_path: Path) -> None:
    """What no error of ours explains ends the loop over the batch as it is, in no group, and nothing waits for ever."""
    async with open_client() as at:
        with pytest.raises(ValueError, match="a slip"):
            async with at.client.batch([ImageInput("a cat")], journal=Clumsy(), save_to=tmp_path) as batch:
                async for _ in batch:
                    pass
