"""One key asked for several times at once: one submission, which each caller waits for as long as it likes."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import sniffio

from kling_async import (
    AnswerLost,
    Batch,
    BudgetExceeded,
    Client,
    ContentRejected,
    Event,
    EventKind,
    ImageInput,
    InputError,
    Job,
    KlingError,
    Limits,
    NotSent,
    Outcome,
    Prediction,
    Progress,
    Status,
    WaitTimeout,
)
from kling_async.journal.memory import MemoryJournal
from kling_async.journal.submission import Submission
from kling_async.runtime.running_jobs import RunningJobs
from kling_async.scheduling.ticket import Ticket
from kling_async.testing import Fixed, Sandbox, SandboxServer, Uniform
from kling_async.types.status import JobStatus

from ..conftest import OpenClient, SandboxedClient

pytestmark = pytest.mark.anyio

CENT = Decimal("0.012")
"""What an image costs at API in One."""
CAT = ImageInput("a cat")
SYNC = ImageInput("a cat", extra={"enable_sync_mode": True})
"""A submission of this takes as long as the work: time enough to do something during it."""
ONE_BY_ONE = Limits(submit_per_second=0.1, submit_burst=1, poll_per_second=None, max_open=None)
"""One submission in ten seconds, so that the second stands in line."""

both = pytest.mark.parametrize("journal", [None, MemoryJournal], ids=["no journal", "journal"])
OpenJournal = Callable[[], MemoryJournal] | None


def cats(count: int) -> list[Job]:
    return [Job(ImageInput(f"cat {n}"), key=f"cat-{n}") for n in range(count)]


class Calls:
    """Calls that are made at once, each after some time; their results or errors, by name."""

    def __init__(self, at: SandboxedClient) -> None:
        self.at = at
        self.ended: dict[str, object] = {}
        self.ended_at: dict[str, float] = {}
        self.scopes: dict[str, anyio.CancelScope] = {}
        self._calls: list[tuple[str, Callable[[], Awaitable[object]], float]] = []

    def add(self, name: str, call: Callable[[], Awaitable[object]], *, after: float = 0.0) -> None:
        self._calls.append((name, call, after))

    def cancel(self, name: str, *, after: float) -> None:
        async def cancel() -> None:
            self.scopes[name].cancel()

        self.add(f"cancel {name}", cancel, after=after)

    async def _make(self, name: str, call: Callable[[], Awaitable[object]], after: float) -> None:
        if after:
            await self.at.clock.sleep(after)
        with anyio.CancelScope() as self.scopes[name]:
            try:
                self.ended[name] = await call()
            except KlingError as error:
                self.ended[name] = error
            self.ended_at[name] = self.at.clock.now()

    async def run(self) -> dict[str, object]:
        async with anyio.create_task_group() as group:
            for call in self._calls:
                group.start_soon(self._make, *call)
        return {name: ended for name, ended in self.ended.items() if not name.startswith("cancel")}


def posts(at: SandboxedClient) -> list[float]:
    return [seen.at for seen in at.sandbox.log if seen.kind == "submit"]


# Two calls.


@both
async def test_five_calls_for_one_key_buy_once(open_client: OpenClient, journal: OpenJournal) -> None:
    """Calls of the same instant return the same prediction, and one submission is billed."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(20.0)) as at:
        calls = Calls(at)
        for number in range(5):
            calls.add(f"{number}", lambda: at.client.generate(CAT, key="cat"))
        got = list((await calls.run()).values())
    assert [got[0]] * 5 == got
    assert isinstance(got[0], Prediction)
    assert 1 == at.sandbox.submits == at.sandbox.billed()


@both
async def test_a_call_joins_at_any_moment(open_client: OpenClient, journal: OpenJournal) -> None:
    """In line, on its way, just accepted, long running: whenever a second call comes, it joins the first."""
    limits = Limits(submit_per_second=1.0, submit_burst=1, poll_per_second=None, max_open=None)
    async with open_client(journal=journal and journal(), limits=limits, image_latency=Uniform(5.0, 30.0)) as at:
        for turn in range(20):
            calls = Calls(at)
            calls.add("another", lambda turn=turn: at.client.submit(ImageInput(f"another {turn}")))
            calls.add("one", lambda turn=turn: at.client.generate(CAT, key=f"cat-{turn}"))

            async def late(turn: int = turn) -> object:
                for _ in range(turn):
                    await anyio.lowlevel.checkpoint()
                return await at.client.generate(CAT, key=f"cat-{turn}")

            calls.add("two", late)
            calls.add("three", late, after=0.2 * turn)
            got = await calls.run()
            assert isinstance(got["one"], Prediction)
            assert got["one"] == got["two"] == got["three"]
    assert 20 == [entry.prompt for entry in at.sandbox.entries].count("a cat")


@both
@pytest.mark.parametrize("after", [0.0, 0.05, 5.0])
async def test_a_submit_that_joins_returns_once_it_is_accepted(
    open_client: OpenClient, journal: OpenJournal, after: float
) -> None:
    """`submit` beside a `generate` of its key returns with the id, before the work is done; both are one purchase."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(20.0)) as at:
        calls = Calls(at)
        calls.add("generate", lambda: at.client.generate(CAT, key="cat"))
        calls.add("submit", lambda: at.client.submit(CAT, key="cat"), after=after)
        got = await calls.run()
    accepted, finished = got["submit"], got["generate"]
    assert isinstance(accepted, Prediction)
    assert isinstance(finished, Prediction)
    assert (accepted.id, Status.SUCCEEDED) == (finished.id, finished.status)
    assert not accepted.status.is_terminal
    assert calls.ended_at["submit"] < after + 1.0
    assert calls.ended_at["generate"] >= 20.0
    assert 1 == at.sandbox.submits


@both
async def test_a_generate_that_joins_a_submit_goes_on(open_client: OpenClient, journal: OpenJournal) -> None:
    """`generate` beside a `submit` of its key is not over with it: it is looked at until it is finished."""
    async with open_client(journal=journal and journal(), limits=ONE_BY_ONE, image_latency=Fixed(20.0)) as at:
        await at.client.submit(ImageInput("first"))
        calls = Calls(at)
        calls.add("submit", lambda: at.client.submit(CAT, key="cat"))
        calls.add("generate", lambda: at.client.generate(CAT, key="cat"), after=3.0)
        got = await calls.run()
    assert isinstance(got["generate"], Prediction)
    assert Status.SUCCEEDED is got["generate"].status
    assert calls.ended_at["submit"] < 12.0
    assert calls.ended_at["generate"] >= 30.0
    assert 2 == at.sandbox.submits


async def test_without_a_journal_a_key_holds_while_the_first_call_runs(open_client: OpenClient) -> None:
    """What is over is not known any more where nothing is written down: the next call is a purchase of its own."""
    async with open_client() as at:
        one, two = [await at.client.generate(CAT, key="cat") for _ in range(2)]
    assert one.id != two.id
    assert 2 == at.sandbox.submits


@both
async def test_another_input_under_the_key_is_refused(open_client: OpenClient, journal: OpenJournal) -> None:
    """A different fingerprint is no second call for the same: it is told the key, and nothing is sent for it."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(20.0)) as at:
        calls = Calls(at)
        calls.add("one", lambda: at.client.generate(CAT, key="cat"))
        for after in (0.001, 5.0):
            calls.add(f"{after}", lambda: at.client.generate(ImageInput("a dog"), key="cat"), after=after)
        got = await calls.run()
    for name in ("0.001", "5.0"):
        error = got[name]
        assert isinstance(error, InputError)
        assert ("cat", False) == (error.key, error.may_be_billed)
        assert "Another input is running" in str(error)
    assert isinstance(got["one"], Prediction)
    assert ["a cat"] == [entry.prompt for entry in at.sandbox.entries]


async def test_calls_without_a_key_are_purchases_of_their_own(open_client: OpenClient) -> None:
    """Without a key nothing is joined: neither awaited calls, nor equal inputs of `map`, nor two batches of inputs."""
    async with open_client() as at:
        calls = Calls(at)
        for number in range(10):
            calls.add(f"{number}", lambda: at.client.generate(CAT))
        await calls.run()
        assert 10 == at.sandbox.submits
        calls = Calls(at)
        for number in range(2):
            calls.add(f"map {number}", lambda: at.client.map([CAT, CAT, CAT]))
        await calls.run()
        assert 16 == at.sandbox.submits
        async with at.client.batch([CAT, CAT]) as one, at.client.batch([CAT, CAT]) as two:
            assert 4 == len([o async for o in one if o.ok]) + len([o async for o in two if o.ok])
    assert 20 == at.sandbox.submits


# Each its own time, and its own leave.


@both
async def test_each_waits_as_long_as_it_likes(open_client: OpenClient, journal: OpenJournal) -> None:
    """The first caller's timeout ends neither the second nor the job, and the other way round."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(20.0)) as at:
        for number, (first, second) in enumerate([(8.0, 600.0), (600.0, 8.0)]):
            began = at.clock.now()
            calls = Calls(at)
            key = f"cat-{number}"
            calls.add("8", lambda key=key, first=first: at.client.generate(CAT, key=key, wait_timeout=first))
            calls.add("600", lambda key=key, second=second: at.client.generate(CAT, key=key, wait_timeout=second))
            got = await calls.run()
            late, done = ("8", "600") if first < second else ("600", "8")
            assert isinstance(got[late], WaitTimeout)
            assert 8.0 == pytest.approx(calls.ended_at[late] - began, abs=0.6)
            assert isinstance(got[done], Prediction)
    assert 2 == at.sandbox.submits


@both
async def test_a_job_in_line_stays_as_long_as_anybody_wants_it(open_client: OpenClient, journal: OpenJournal) -> None:
    """A timeout, or a cancellation, in line drops the job for that caller only; with the last one it is dropped."""
    async with open_client(journal=journal and journal(), limits=ONE_BY_ONE, image_latency=Fixed(5.0)) as at:
        await at.client.submit(ImageInput("first"))
        calls = Calls(at)
        calls.add("hurried", lambda: at.client.generate(CAT, key="cat", wait_timeout=2.0))
        calls.add("cancelled", lambda: at.client.submit(CAT, key="cat"))
        calls.add("patient", lambda: at.client.generate(CAT, key="cat"))
        calls.cancel("cancelled", after=3.0)
        calls.add("alone", lambda: at.client.generate(ImageInput("alone"), key="alone"))
        calls.add("alone too", lambda: at.client.generate(ImageInput("alone"), key="alone"))
        calls.cancel("alone", after=1.0)
        calls.cancel("alone too", after=2.0)
        got = await calls.run()
        await at.clock.sleep(100.0)
    hurried = got["hurried"]
    assert isinstance(hurried, NotSent)
    assert ("timeout", "cat") == (hurried.reason, hurried.key)
    assert isinstance(got["patient"], Prediction)
    assert {"hurried", "patient"} == got.keys()
    assert ["first", "a cat"] == [entry.prompt for entry in at.sandbox.entries]


@both
async def test_a_caller_who_is_cancelled_during_the_post_leaves_the_others(
    open_client: OpenClient, journal: OpenJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """G12: the others get the id; the log names it only when nobody is left."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(20.0)) as at:
        calls = Calls(at)
        calls.add("one", lambda: at.client.generate(SYNC, key="cat"))
        calls.add("two", lambda: at.client.submit(SYNC, key="cat"))
        calls.cancel("one", after=5.0)
        got = await calls.run()
        assert isinstance(got["two"], Prediction)
        assert {"two"} == got.keys()
        assert "" == caplog.text
    assert 1 == at.sandbox.submits


@both
async def test_who_left_can_come_back(open_client: OpenClient, journal: OpenJournal) -> None:
    """A job that runs on after its caller was cancelled, or has waited long enough, is joined again by its key."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(60.0)) as at:
        calls = Calls(at)
        calls.add("cancelled", lambda: at.client.generate(CAT, key="cat"))
        calls.cancel("cancelled", after=10.0)
        calls.add("late", lambda: at.client.generate(CAT, key="cat", wait_timeout=5.0), after=15.0)
        calls.add("last", lambda: at.client.generate(CAT, key="cat"), after=30.0)
        got = await calls.run()
    assert isinstance(got["late"], WaitTimeout)
    assert isinstance(got["last"], Prediction)
    assert 1 == at.sandbox.submits


@both
async def test_the_id_of_a_cancelled_call_is_a_warning_where_no_journal_has_it(
    open_client: OpenClient, journal: OpenJournal, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that is cancelled while its job runs logs the id: as a warning if it is known nowhere else."""
    caplog.set_level("INFO", logger="kling_async.runtime.journaled")
    async with open_client(journal=journal and journal(), image_latency=Fixed(60.0)) as at:
        calls = Calls(at)
        calls.add("cancelled", lambda: at.client.generate(CAT, key="cat"))
        calls.cancel("cancelled", after=10.0)
        await calls.run()
        found = [record for record in caplog.records if "its caller was cancelled" in record.message]
    assert [next(iter(at.sandbox.tasks))] == [record.message.split("id=")[1].split(" ")[0] for record in found]
    assert ["INFO" if journal else "WARNING"] == [record.levelname for record in found]


class SlowJournal(MemoryJournal):
    """A journal that takes its time to answer."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = True

    async def find(self, key: str) -> Submission | None:
        found = await super().find(key)
        for _ in range(50 if self.slow else 0):
            await anyio.lowlevel.checkpoint()
        return found


@pytest.mark.parametrize("turns", [0, 1, 3, 20, 49, 50, 51, 60])
async def test_who_asks_while_the_first_is_about_to_begin_waits(open_client: OpenClient, turns: int) -> None:
    """Between the question to the journal and the beginning a second call waits; a first one that leaves lets it on."""
    async with open_client(journal=SlowJournal()) as at:
        calls = Calls(at)
        for number in range(3):
            calls.add(f"{number}", lambda: at.client.generate(CAT, key="cat"))

        async def leave() -> None:
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            for number in range(2):
                if f"{number}" in calls.scopes:
                    calls.scopes[f"{number}"].cancel()

        calls.add("cancel", leave)
        got = await calls.run()
    assert isinstance(got["2"], Prediction)
    assert 1 == at.sandbox.submits


# What went wrong, and looks.


@both
@pytest.mark.parametrize(("fault", "kind"), [("refused", ContentRejected), ("lost", AnswerLost)])
async def test_what_went_wrong_is_told_to_each(
    open_client: OpenClient, journal: OpenJournal, fault: str, kind: type[KlingError]
) -> None:
    """All who joined get the first one's outcome, each as an error of its own, and nothing is sent again."""
    async with open_client(journal=journal and journal()) as at:
        calls = Calls(at)
        for number in range(4):
            calls.add(f"{number}", lambda: at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="cat"))
        errors = list((await calls.run()).values())
    assert [kind] * 4 == [type(error) for error in errors]
    assert 4 == len({id(error) for error in errors})
    assert 1 == len({str(error) for error in errors}) == at.sandbox.submits


@both
async def test_waits_for_one_prediction_share_its_looks(open_client: OpenClient, journal: OpenJournal) -> None:
    """Ten calls that wait for one prediction cost the polls of one, and each has its own time."""

    async def polls(waits: int) -> int:
        async with open_client(journal=journal and journal(), image_latency=Fixed(60.0)) as at:
            accepted = await at.client.submit(CAT, key="cat")
            calls = Calls(at)
            for number in range(waits):
                calls.add(f"{number}", lambda: at.client.wait(accepted), after=0.1 * number)
            calls.add("hurried", lambda: at.client.wait(accepted, wait_timeout=10.0))
            got = await calls.run()
            assert isinstance(got.pop("hurried"), WaitTimeout)
            assert {Status.SUCCEEDED} == {one.status for one in got.values() if isinstance(one, Prediction)}
            assert waits == len(got)
            return at.sandbox.polls

    assert await polls(10) == await polls(1)


@both
async def test_a_wait_joins_the_call_that_is_at_it(open_client: OpenClient, journal: OpenJournal) -> None:
    """`wait` for what a `generate` waits for shares its looks, and its end."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(60.0)) as at:
        calls = Calls(at)
        calls.add("generate", lambda: at.client.generate(CAT, key="cat"))

        async def wait() -> Prediction:
            return await at.client.wait(await at.client.submit(CAT, key="cat"))

        calls.add("wait", wait)
        got = await calls.run()
    assert got["generate"] == got["wait"]
    assert 1 == at.sandbox.submits


# Batches.


async def drained(batch: Batch) -> list[Outcome]:
    async with batch:
        return [outcome async for outcome in batch]


@both
async def test_two_batches_over_the_same_keys_buy_once(open_client: OpenClient, journal: OpenJournal) -> None:
    """At whatever moments the two come to a key, it is billed once, and both batches hand out every outcome."""
    dice = random.Random(len(sniffio.current_async_library()))

    async def trickle() -> AsyncIterator[Job]:
        for job in cats(60):
            if dice.random() < 0.5:
                await at.clock.sleep(dice.random() * 0.5)
            yield job

    limits = Limits(submit_per_second=20.0, submit_burst=2, poll_per_second=50.0, max_open=30)
    async with open_client(journal=journal and journal(), limits=limits, image_latency=Fixed(90.0)) as at:
        calls = Calls(at)
        calls.add("one", lambda: drained(at.client.batch(trickle(), max_open=60)))
        calls.add("two", lambda: drained(at.client.batch(trickle(), max_open=60)), after=dice.random())
        got = await calls.run()
    for outcomes in got.values():
        assert isinstance(outcomes, list)
        assert {f"cat-{n}" for n in range(60)} == {one.job.key for one in outcomes if one.ok}
        assert 60 == len(outcomes)
    assert 60 == at.sandbox.submits == at.sandbox.billed()


@both
async def test_a_batch_and_awaited_calls_share_their_jobs(open_client: OpenClient, journal: OpenJournal) -> None:
    """Whichever comes first, a batch or `generate`, the other joins it; the labels of each job are its own."""
    async with open_client(journal=journal and journal(), limits=ONE_BY_ONE, image_latency=Fixed(100.0)) as at:
        calls = Calls(at)
        calls.add("cat-3", lambda: at.client.generate(ImageInput("cat 3"), key="cat-3"))
        jobs = [Job(job.input, key=job.key, labels={"of": "the batch"}) for job in cats(6)]
        calls.add("batch", lambda: drained(at.client.batch(jobs)), after=1.0)
        calls.add("cat-5", lambda: at.client.generate(ImageInput("cat 5"), key="cat-5"), after=2.0)
        calls.add("cat-0", lambda: at.client.submit(ImageInput("cat 0"), key="cat-0"), after=50.0)
        got = await calls.run()
    outcomes = got["batch"]
    assert isinstance(outcomes, list)
    ids = {one.job.key: one.prediction.id for one in outcomes}
    assert [{"of": "the batch"}] * 6 == [dict(one.job.labels) for one in outcomes]
    for key in ("cat-0", "cat-3", "cat-5"):
        one = got[key]
        assert isinstance(one, Prediction)
        assert ids[key] == one.id
    assert 6 == at.sandbox.submits


def in_order(progress: Progress) -> bool:
    """Return whether every job is in one place, and no count is below nothing."""
    counts = [progress.planned, progress.submitting, progress.accepted, progress.done]
    return min(counts) >= 0 and sum(counts) == progress.pulled


@both
async def test_the_counts_of_a_batch_that_joined_are_right(open_client: OpenClient, journal: OpenJournal) -> None:
    """It hears how far each job is, and from then on everything, its end once; no count is ever wrong."""
    async with open_client(journal=journal and journal(), limits=ONE_BY_ONE, image_latency=Fixed(25.0)) as at:
        jobs = [Job(SYNC, key="sync"), *cats(8)]
        heard, wrong = list[Event](), list[Event]()
        async with at.client.batch(jobs) as one:
            await at.clock.sleep(13.0)  # one submission is on its way, one job is accepted, and seven stand in line
            async with at.client.batch(jobs) as two:

                def hear(event: Event) -> None:
                    if event.kind is not EventKind.STATUS:
                        heard.append(event)
                    if not (in_order(one.progress) and in_order(two.progress)):
                        wrong.append(event)

                two.add_listener(hear)
                assert 9 == len([outcome async for outcome in two if outcome.ok])
                assert (9, 9) == (two.progress.succeeded, two.progress.done)
            assert 9 == len([outcome async for outcome in one if outcome.ok])
    assert [] == wrong
    kinds = {key: [event.kind for event in heard if event.key == key] for key in ("sync", "cat-0", "cat-1")}
    whole = [EventKind.SUBMITTED, EventKind.ACCEPTED, EventKind.FINISHED]
    assert {"sync": whole, "cat-0": [EventKind.RESUMED, EventKind.FINISHED], "cat-1": whole} == kinds
    ends = Counter(event.key for event in heard if event.kind is EventKind.FINISHED)
    assert ends == dict.fromkeys([job.key for job in jobs], 1)
    assert 9 == at.sandbox.submits


@both
async def test_a_batch_that_stops_leaves_the_jobs_of_others(open_client: OpenClient, journal: OpenJournal) -> None:
    """`stop`, and leaving early, drop what stands in line for that batch only."""
    async with (
        open_client(journal=journal and journal(), limits=ONE_BY_ONE, image_latency=Fixed(50.0)) as at,
        at.client.batch(cats(6)) as stopped,
        at.client.batch(cats(6)) as patient,
    ):
        async with at.client.batch(cats(6)):
            await at.clock.sleep(12.0)
        stopped.stop()
        assert 6 == len([outcome async for outcome in patient if outcome.ok])
        reasons = [one.error.reason async for one in stopped if isinstance(one.error, NotSent)]
    assert ["stopped"] * 4 == reasons
    assert 6 == at.sandbox.submits


# Money.


@both
async def test_what_is_joined_costs_the_second_batch_nothing(open_client: OpenClient, journal: OpenJournal) -> None:
    """With budgets for exactly one purchase each, the first pays for all, and the second spends nothing."""
    async with open_client(provider="apiinone", journal=journal and journal(), image_latency=Fixed(9.0)) as at:
        one = at.client.batch(cats(5), max_cost=5 * CENT)
        async with one:
            await at.clock.sleep(1.0)
            async with at.client.batch([*cats(5), Job(CAT, key="own")], max_cost=CENT) as two:
                assert 6 == len([outcome async for outcome in two if outcome.ok])
                assert CENT == two.progress.spent
            assert 5 == len([outcome async for outcome in one if outcome.ok])
            assert 5 * CENT == one.progress.spent
    assert 6 == at.sandbox.submits


@both
@pytest.mark.parametrize("room", [2, 6])
async def test_who_is_left_with_a_job_pays_for_it(open_client: OpenClient, journal: OpenJournal, room: int) -> None:
    """G16: when the batch that was to pay stops, one that joined pays as long as its own budget has room."""
    settings: dict[str, Any] = {"provider": "apiinone", "limits": ONE_BY_ONE, "image_latency": Fixed(50.0)}
    async with open_client(journal=journal and journal(), **settings) as at, at.client.batch(cats(6)) as one:
        await at.clock.sleep(1.0)
        async with at.client.batch(cats(6), max_cost=room * CENT) as two:
            await at.clock.sleep(11.0)
            sent = at.sandbox.submits
            one.stop()
            outcomes = [outcome async for outcome in two]
            assert two.progress.spent <= room * CENT
    refused = [outcome.error for outcome in outcomes if isinstance(outcome.error, BudgetExceeded)]
    assert sent + min(room, 6 - sent) == at.sandbox.submits == len([one for one in outcomes if one.ok])
    assert max(0, 6 - sent - room) == len(refused)
    assert all("max_cost" in str(error) and not error.may_be_billed for error in refused)


class HeldJournal(MemoryJournal):
    """A journal that tells when it is written to, and waits for a word before it does."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = anyio.Event(), anyio.Event()

    async def write(self, *submissions: Submission) -> None:
        self.asked.set()
        await self.go.wait()
        await super().write(*submissions)


async def test_who_takes_over_what_was_turned_away_pays_for_it(open_client: OpenClient) -> None:
    """G16: the batch that began a submission has left; if that is to be sent again, the one that joined is asked."""
    journal = HeldJournal()
    async with open_client(provider="apiinone", journal=journal) as at:
        at.sandbox.script(["rate_limited"])
        async with at.client.batch(cats(1)):
            await journal.asked.wait()
        async with at.client.batch(cats(1), max_cost=CENT / 2) as two:
            await at.clock.sleep(1.0)
            journal.go.set()
            [outcome] = [outcome async for outcome in two]
    assert isinstance(outcome.error, BudgetExceeded)
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


@both
async def test_an_awaited_call_needs_no_budget(open_client: OpenClient, journal: OpenJournal) -> None:
    """A batch whose budget is spent goes on with a job that an awaited call wants as well."""
    settings: dict[str, Any] = {"provider": "apiinone", "limits": ONE_BY_ONE, "image_latency": Fixed(5.0)}
    async with open_client(journal=journal and journal(), **settings) as at, at.client.batch(cats(3)) as one:
        await at.clock.sleep(1.0)
        async with at.client.batch(cats(3), max_cost=CENT / 2) as two:
            await at.clock.sleep(1.0)
            calls = Calls(at)
            for job in cats(3):
                calls.add(job.key or "", lambda job=job: at.client.generate(job.input, key=job.key))

            async def stop() -> None:
                one.stop()

            calls.add("stop", stop, after=1.0)
            got = await calls.run()
            assert 3 == len([outcome async for outcome in two if outcome.ok])
            assert 3 == len([one for one in got.values() if isinstance(one, Prediction)])
            assert 0 == two.progress.spent
    assert 3 == at.sandbox.submits


# Files.


def names_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


async def test_batches_that_share_their_jobs_save_the_same_files(tmp_path: Path) -> None:
    """Two batches that save into one directory at once both name whole files, and nothing else is left there."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        client = Client(api_keys={"gptproto": sandbox.key}, base_urls={"gptproto": server.url})
        got: list[list[Outcome]] = []
        async with client, anyio.create_task_group() as group:
            for directory in (tmp_path, tmp_path, tmp_path / "." / "more"):

                async def run(directory: Path = directory) -> None:
                    got.append(await drained(client.batch(cats(6), save_to=directory, ordered=True)))

                group.start_soon(run)
    names = [f"cat-{n}-0.png" for n in range(6)]
    for outcomes in got:
        assert [None] * 6 == [one.error for one in outcomes]
        assert names == [path.name for one in outcomes for path in one.files]
    assert [*names, "more"] == names_in(tmp_path)
    assert 6 == sandbox.submits


async def test_downloads_of_one_prediction_at_once_are_one_file(tmp_path: Path) -> None:
    """Many downloads to one place take turns, over several clients, and none meets the part of another."""
    sandbox = Sandbox(image_latency=Fixed(0.05))
    with SandboxServer(sandbox) as server:
        settings: dict[str, Any] = {"api_keys": {"gptproto": sandbox.key}, "base_urls": {"gptproto": server.url}}
        got: list[list[Path]] = []
        async with Client(**settings) as one, Client(**settings) as two:
            prediction = await one.generate(CAT, key="cat")

            async def load(client: Client) -> None:
                got.append(await client.download(prediction, tmp_path))

            async with anyio.create_task_group() as group:
                for client in (one, two) * 6:
                    group.start_soon(load, client)
    assert [[tmp_path / "cat-0.png"]] * 12 == got
    assert ["cat-0.png"] == names_in(tmp_path)


# The registry itself.


async def test_what_is_over_is_not_kept() -> None:
    """Tickets of jobs that are over are dropped as others come: as many stay as are under way, and some."""
    registry = RunningJobs()
    for number in range(1000):
        ticket = Ticket(key=f"{number}", job=None, work_kind=())
        registry.add(f"{number}", ticket)
        assert ticket is registry.find(f"{number}")
        ticket.status, ticket.closed = JobStatus.SUCCEEDED, True
        assert registry.find(f"{number}") is None
    assert len(registry._tickets) <= 64


@both
async def test_a_job_that_is_over_is_let_go(open_client: OpenClient, journal: OpenJournal) -> None:
    """Inputs may hold whole pictures: nothing of a job stays behind when it is over, whoever asked for it, and how."""
    async with open_client(journal=journal and journal(), image_latency=Fixed(9.0)) as at:
        accepted = await at.client.submit(CAT, key="submitted")
        assert Status.SUCCEEDED is (await at.client.wait(accepted)).status
        await at.client.generate(CAT, key="generated")
        with suppress(WaitTimeout):
            await at.client.generate(CAT, key="late", wait_timeout=1.0)
        assert (await at.client.generate(CAT, key="late")).outputs
        assert 5 == len(await drained(at.client.batch(cats(5))))
        assert {} == at.client._dispatcher.running._tickets


async def test_a_claim_is_given_on() -> None:
    """One after another holds a key, and one that is cancelled while it holds or waits keeps nobody."""
    registry, held = RunningJobs(), list[int]()

    async def hold(number: int) -> None:
        async with registry.reserve("cat"):
            held.append(number)
            await anyio.lowlevel.checkpoint()
            assert [number] == held[-1:]
            if number % 3 == 0:
                raise ValueError

    async def one(number: int) -> None:
        with suppress(ValueError), anyio.CancelScope() as scope:
            if number % 3 == 1:
                scope.cancel()
            await hold(number)

    async with anyio.create_task_group() as group:
        for number in range(9):
            group.start_soon(one, number)
    assert {0, 2, 3, 5, 6, 8} <= set(held)
    async with registry.reserve("cat"), registry.reserve("dog"):
        pass
