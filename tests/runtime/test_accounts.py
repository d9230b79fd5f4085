"""Many awaits on one client: one schedule, one budget, and callers who may leave at any time."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import pytest

from kling_async import (
    Client,
    ImageInput,
    InputError,
    KlingError,
    Limits,
    NotSent,
    Prediction,
    Status,
    VideoInput,
    WaitTimeout,
)
from kling_async.scheduling.poll_tokens import poll_burst
from kling_async.testing import Fixed, LogNormal, Sandbox, SandboxApp, VirtualClock

from ..conftest import NO_LIMITS, ORIGIN, OpenClient, SandboxedClient

pytestmark = pytest.mark.anyio

SYNC = {"enable_sync_mode": True}
"""A submission with this takes as long as the work: time enough to leave during it."""


async def all_of(calls: list[Callable[[], Awaitable[Prediction]]]) -> list[Prediction | KlingError]:
    """Await all calls at once."""
    results: dict[int, Prediction | KlingError] = {}

    async def one(number: int, call: Callable[[], Awaitable[Prediction]]) -> None:
        try:
            results[number] = await call()
        except KlingError as error:
            results[number] = error

    async with anyio.create_task_group() as group:
        for number, call in enumerate(calls):
            group.start_soon(one, number, call)
    return [results[number] for number in range(len(calls))]


def most_over(times: list[float], rate: float) -> float:
    """Return by how much the fullest of all windows exceeds the rate: G13 says, by the burst at most."""
    level = most = 0.0
    for before, now in pairwise([times[0], *times]):
        level = max(0.0, level - (now - before) * rate) + 1.0
        most = max(most, level)
    return most


async def test_a_thousand_callers_share_one_budget(open_client: OpenClient) -> None:
    """1,000 concurrent `generate` all succeed, and together keep the rates, in every window, and the slots."""
    limits = Limits(submit_per_second=40.0, submit_burst=5, poll_per_second=80.0, max_open=300)
    async with open_client(limits=limits, max_open=300, image_latency=LogNormal(5.0, 0.5)) as at:
        calls = [lambda n=n: at.client.generate(ImageInput(f"cat {n}")) for n in range(1000)]
        results = await all_of(calls)
    assert {Status.SUCCEEDED} == {one.status for one in results}
    assert 1000 == at.sandbox.submits == at.sandbox.billed()
    assert {200} == {seen.status for seen in at.sandbox.log}
    for kind, rate, burst in (("submit", 40.0, 5), ("poll", 80.0, poll_burst(80.0))):
        times = [seen.at for seen in at.sandbox.log if seen.kind == kind]
        assert most_over(times, rate) <= burst + 1e-6
    assert at.sandbox.polls < 8000


async def test_a_batch_and_awaits_share_one_budget(open_client: OpenClient) -> None:
    """What a batch sends counts against the same rate as what is awaited beside it, and neither starves."""
    limits = Limits(submit_per_second=10.0, submit_burst=2, poll_per_second=20.0, max_open=50)
    async with open_client(limits=limits) as at, at.client.batch([ImageInput(f"row {n}") for n in range(60)]) as batch:
        results = await all_of([lambda n=n: at.client.generate(ImageInput(f"cat {n}")) for n in range(60)])
        assert 60 == len([outcome async for outcome in batch if outcome.ok])
    assert {Status.SUCCEEDED} == {one.status for one in results}
    assert most_over([seen.at for seen in at.sandbox.log if seen.kind == "submit"], 10.0) <= 2 + 1e-6


async def test_a_429_pauses_everybody(open_client: OpenClient) -> None:
    """One caller's 429 holds all submissions of the account for as long as the provider asked."""
    async with open_client(retry_after="50") as at:
        at.sandbox.script([None, "rate_limited"])
        await all_of([lambda n=n: at.client.submit(ImageInput(f"cat {n}")) for n in range(30)])
    times = [seen.at for seen in at.sandbox.log if seen.kind == "submit"]
    # The eight that were on their way already do not count.
    assert all(now >= 50.0 for now in times[8:])
    assert 31 == len(times)


# Callers who leave.


async def leave(at: SandboxedClient, call: Callable[[], Awaitable[object]], when: Callable[[], bool]) -> None:
    """Make a call, and cancel it once something is so."""
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def cancel() -> None:
                while not when():
                    await at.clock.sleep(0.01)
                scope.cancel()

            group.start_soon(cancel)
            await call()
    assert scope.cancelled_caught


async def test_a_caller_who_leaves_the_line_sends_nothing(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that is cancelled before its turn never costs anything, and those behind it go on."""
    limits = Limits(submit_per_second=0.1, submit_burst=1, poll_per_second=None, max_open=None)
    async with open_client(limits=limits) as at:
        await at.client.submit(ImageInput("first"))
        await leave(at, lambda: at.client.generate(ImageInput("gone")), when=lambda: at.clock.now() >= 1.0)
        await at.client.submit(ImageInput("second"))
        assert 10.0 == at.clock.now()
        await at.clock.sleep(100.0)
    assert ["first", "second"] == [entry.prompt for entry in at.sandbox.entries]
    assert 2 == at.sandbox.submits
    assert "" == caplog.text


@pytest.mark.parametrize("verb", ["submit", "generate"])
async def test_a_caller_who_leaves_during_the_post_loses_no_id(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, verb: str
) -> None:
    """G12: the POST ends all the same, and the id is logged, with the job's key."""
    async with open_client() as at:
        call = getattr(at.client, verb)
        await leave(at, lambda: call(ImageInput("a cat", extra=SYNC), key="job"), when=lambda: at.sandbox.submits > 0)
    [entry] = at.sandbox.entries
    assert f"id={entry.id} key=job" in caplog.text
    assert 1 == at.sandbox.submits


async def test_a_caller_who_leaves_during_the_wait_loses_no_id(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """G12: what was accepted before the caller left is in the log, too, and holds its slot until it is finished."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=1)
    async with open_client(limits=limits, max_open=1, image_latency=Fixed(20.0)) as at:
        await leave(at, lambda: at.client.generate(ImageInput("a cat"), key="job"), when=lambda: bool(at.sandbox.polls))
        [entry] = at.sandbox.entries
        assert f"id={entry.id} key=job" in caplog.text
        assert Status.SUCCEEDED is (await at.client.generate(ImageInput("another"))).status
    assert [200, 200] == [seen.status for seen in at.sandbox.log if seen.kind == "submit"]


async def test_a_result_that_comes_with_the_cancellation_is_not_lost(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """In whatever turn of the loop a caller is cancelled, the id is returned or logged, or nothing was sent."""
    for turns in range(60):
        caplog.clear()
        got: list[Prediction] = []
        async with open_client() as at:

            async def call(at: SandboxedClient = at, got: list[Prediction] = got) -> None:
                got.append(await at.client.submit(ImageInput("a cat"), key="job"))

            async with anyio.create_task_group() as group:
                group.start_soon(call)
                for _ in range(turns):
                    await anyio.lowlevel.checkpoint()
                group.cancel_scope.cancel()
        known = [prediction.id for prediction in got] or [
            entry.id for entry in at.sandbox.entries if f"id={entry.id} key=job" in caplog.text
        ]
        assert [entry.id for entry in at.sandbox.entries] == known
        if got and turns > 3:
            break
    assert got


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("way", ["cancel", "wait_for"])
async def test_asyncio_cancellation_reaches_no_request(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, anyio_backend: str, way: str
) -> None:
    """Task.cancel and wait_for pass through anyio's shields; a request in flight is none of the caller's tasks."""
    async with open_client() as at:
        task = asyncio.create_task(at.client.submit(ImageInput("a cat", extra=SYNC), key="job"))
        while not at.sandbox.submits:
            await asyncio.sleep(0)
        if way == "cancel":
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        else:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(task, 0)
    [entry] = at.sandbox.entries
    assert f"id={entry.id} key=job" in caplog.text


# Closing.


async def test_closing_finishes_the_posts_in_flight(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """A client that is left while a POST is on its way waits for the answer, and begins no other."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None, max_submitting=1)
    told: list[KlingError] = []

    async def call(at: SandboxedClient, prompt: str) -> None:
        try:
            await at.client.generate(ImageInput(prompt, extra=SYNC), key=prompt)
        except KlingError as error:
            told.append(error)

    async with VirtualClock(), anyio.create_task_group() as group, open_client(limits=limits) as at:
        for prompt in ("one", "two", "three"):
            group.start_soon(call, at, prompt)
        while not at.sandbox.submits:
            await anyio.lowlevel.checkpoint()
        await at.client.aclose()
        assert 1 == at.sandbox.submits == len(at.sandbox.entries)
    unsent = [error for error in told if isinstance(error, NotSent)]
    [entry] = at.sandbox.entries
    assert {"one", "two", "three"} - {entry.prompt} == {error.key for error in unsent}
    assert ["closed"] * 2 == [error.reason for error in unsent]
    assert 1 == at.sandbox.submits


async def test_closing_tells_who_waits(open_client: OpenClient) -> None:
    """Nobody waits for ever for a client that is closed: who has something running is handed its prediction."""
    told: list[WaitTimeout] = []

    async def call(at: SandboxedClient) -> None:
        with pytest.raises(WaitTimeout) as caught:
            await at.client.generate(VideoInput("a dog"))
        told.append(caught.value)

    async with anyio.create_task_group() as group, open_client(video_latency=Fixed(90.0)) as at:
        group.start_soon(call, at)
        while not at.sandbox.entries:
            await anyio.lowlevel.checkpoint()
        await at.clock.sleep(5.0)
    [error], [entry] = told, at.sandbox.entries
    assert entry.id == error.prediction.id


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_closing_leaves_no_task(open_client: OpenClient, anyio_backend: str) -> None:
    """After the client is closed no task of it is left, whatever was under way."""
    before = asyncio.all_tasks()
    async with open_client() as at:
        await all_of([lambda n=n: at.client.generate(ImageInput(f"cat {n}")) for n in range(20)])
        await leave(at, lambda: at.client.generate(VideoInput("a dog")), when=lambda: at.sandbox.submits > 20)
    assert before == asyncio.all_tasks()


async def test_closing_twice_is_closing_once(open_client: OpenClient) -> None:
    """`aclose` may be called inside `async with`; what comes after it is a clear error."""
    async with open_client() as at:
        await at.client.aclose()
        with pytest.raises(RuntimeError, match="async with Client"):
            await at.client.generate(ImageInput("a cat"))
        with pytest.raises(RuntimeError, match="async with Client"):
            async with at.client.batch([ImageInput("a cat"), ImageInput("a dog")]):
                pytest.fail("it opened")
    assert [] == at.sandbox.log


async def test_before_and_after_async_with() -> None:
    """A client that is not open sends nothing, and says how to open it, whatever is called."""
    sandbox = Sandbox()
    running = Prediction(
        provider="gptproto", model="kling-image-o1", id="abc", status=Status.RUNNING, native_status="processing"
    )
    async with VirtualClock() as clock:
        client = Client(
            api_keys={"gptproto": sandbox.key},
            base_urls={"gptproto": ORIGIN},
            transport=httpx.ASGITransport(SandboxApp(sandbox, clock)),
            clock=clock,
        )
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: client.submit(ImageInput("a cat")),
            lambda: client.generate(ImageInput("a cat")),
            lambda: client.wait(running),
            lambda: client.refresh(running),
            lambda: client.map([ImageInput("a cat")]),
        ]
        for call in calls:
            with pytest.raises(RuntimeError, match="async with Client"):
                await call()
        async with client:
            pass
        for call in calls:
            with pytest.raises(RuntimeError, match="async with Client"):
                await call()
    assert [] == sandbox.log


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_another_event_loop_is_told(open_client: OpenClient, anyio_backend: str) -> None:
    """A client is used in the loop that opened it; in any other the error says so, and nothing is sent."""
    async with open_client() as at:

        def elsewhere() -> None:
            with pytest.raises(RuntimeError, match="another event loop"):
                asyncio.run(at.client.generate(ImageInput("a cat")))

        await anyio.to_thread.run_sync(elsewhere)
    assert [] == at.sandbox.log


# Predictions that are known already.


async def test_a_prediction_of_another_client_is_waited_for(open_client: OpenClient) -> None:
    """`wait` takes up what another client submitted, without a second submission."""
    async with open_client(video_latency=Fixed(60.0)) as at:
        accepted = await at.client.submit(VideoInput("a dog"), key="job")
        other = Client(
            api_keys={"gptproto": at.sandbox.key},
            base_urls={"gptproto": ORIGIN},
            transport=httpx.ASGITransport(SandboxApp(at.sandbox, at.clock)),
            clock=at.clock,
        )
        async with other:
            finished = await other.wait(accepted)
    assert (Status.SUCCEEDED, accepted.id, "job") == (finished.status, finished.id, finished.key)
    assert 1 == at.sandbox.submits


async def test_looks_go_through_the_poll_budget(open_client: OpenClient) -> None:
    """A hundred `refresh` at once leave at the account's poll rate."""
    limits = Limits(submit_per_second=None, poll_per_second=10.0, max_open=None)
    async with open_client(limits=limits, video_latency=Fixed(600.0), request_timeout=60.0) as at:
        accepted = await at.client.submit(VideoInput("a dog"))
        results = await all_of([lambda: at.client.refresh(accepted)] * 100)
    assert {Status.RUNNING} == {one.status for one in results}
    assert 100 == at.sandbox.polls
    assert most_over([seen.at for seen in at.sandbox.log if seen.kind == "poll"], 10.0) <= 4 + 1e-6


async def test_a_refresh_waits_out_a_429(open_client: OpenClient) -> None:
    """A look that meets a 429 is repeated after the pause, not by the cadence of the work."""
    async with open_client(video_latency=Fixed(600.0), retry_after="2") as at:
        accepted = await at.client.submit(VideoInput("a dog [[poll_rate_limited]]"))
        began = at.clock.now()
        assert Status.RUNNING is (await at.client.refresh(accepted)).status
        assert 2.0 <= at.clock.now() - began < 5.0


# Limits, and what was learned.


NAN = float("nan")


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"submit_per_second": number} for number in (0, -1, NAN, float("inf"), "2", True)],
        *[{"poll_per_second": number} for number in (0, -0.1, NAN)],
        *[{"max_open": number} for number in (0, -1, 1.5, NAN, True)],
        *[{"max_submitting": number} for number in (0, None, 2.5)],
        *[{"submit_burst": number} for number in (0, None, -3)],
    ],
    ids=str,
)
def test_limits_that_cannot_be_kept_are_refused(wrong: dict[str, Any]) -> None:
    """A rate or a number of slots that makes no sense is an InputError that names it."""
    with pytest.raises(InputError) as caught:
        Limits(**wrong)
    assert [*wrong] == [fault.field for fault in caught.value.faults]


@pytest.mark.parametrize("limits", [{"gptprto": NO_LIMITS}, {"nobody": NO_LIMITS}])
def test_limits_are_named_after_providers(limits: dict[str, Limits]) -> None:
    """Limits for a provider that is none are refused when the client is made."""
    with pytest.raises(InputError, match="Unknown provider"):
        Client(limits=limits)


async def test_what_was_learned_is_worth_polls(open_client: OpenClient) -> None:
    """A client that starts with what an earlier one learned finds out with fewer polls; it survives JSON."""
    polls: list[int] = []
    learned: Any = None
    for _ in range(2):
        sandbox = Sandbox(seed=len(polls), image_latency=LogNormal(20.0, 0.1))
        async with VirtualClock() as clock:
            client = Client(
                api_keys={"gptproto": sandbox.key},
                base_urls={"gptproto": ORIGIN},
                transport=httpx.ASGITransport(SandboxApp(sandbox, clock)),
                clock=clock,
                limits={"gptproto": NO_LIMITS},
                timings=learned,
            )
            async with client:
                await client.map([ImageInput(f"cat {n}") for n in range(60)])
                learned = json.loads(json.dumps(client.export_timings()))
        polls.append(sandbox.polls)
    assert 60 <= polls[1] < polls[0] * 0.8


@pytest.mark.parametrize("learned", [7, {}, {"version": 99, "kinds": []}, {"version": 1, "kinds": [{"path": []}]}])
def test_what_was_not_learned_is_refused(learned: Any) -> None:
    """Something else than what `learned` gave is an InputError, at once."""
    with pytest.raises(InputError):
        Client(timings=learned)


async def test_a_quiet_client_does_nothing(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """Open and unused for a day, a client sends and logs nothing."""
    caplog.set_level(logging.DEBUG)
    async with open_client() as at:
        await at.clock.sleep(86400.0)
    assert [] == at.sandbox.log
    assert [] == [record for record in caplog.records if record.name.startswith("kling_async")]
