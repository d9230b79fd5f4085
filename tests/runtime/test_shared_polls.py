"""Polls that ask for several predictions at once, at Kling's own API."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from attrs import define, field

from kling_async import Client, EventKind, Job, JobStatus, Journal, MemoryJournal, Prediction, VideoInput
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock

from ..conftest import NO_LIMITS, ORIGIN

pytestmark = pytest.mark.anyio

VIDEOS = [Job(VideoInput(f"dog {number}", model="kling-3.0-std"), key=f"dog-{number}") for number in range(100)]
UNKNOWN = httpx.Response(400, json={"code": 1201, "message": "task_ids are invalid"})
ANSWERS = {
    "a server error": httpx.Response(500, text="oops"),
    "a page": httpx.Response(200, text="<html>"),
    "half a body": httpx.Response(200, text='{"code": 0, "data": [{"id": '),
    "no task": httpx.Response(200, json={"code": 0, "data": []}),
    "a task without a status": httpx.Response(200, json={"code": 0, "data": [{"id": "x"}]}),
    "too many requests": httpx.Response(429, json={"code": 1302, "message": "too fast"}),
    "a refused key": httpx.Response(401, json={"code": 1000, "message": "no"}),
    "an unknown id": UNKNOWN,
    "a broken connection": httpx.ReadError("gone"),
}


@define
class Recorder(httpx.AsyncBaseTransport):
    """Notes the ids of each poll of the new standard, and answers the first shared ones by a script."""

    sandbox: httpx.AsyncBaseTransport
    script: list[httpx.Response | httpx.TransportError] = field(factory=list)
    asked: list[list[str]] = field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, unless there is an answer for it."""
        ids = request.url.params.get("task_ids")
        if ids is not None:
            self.asked.append(ids.split(","))
            if "," in ids and self.script:
                answer = self.script.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                return answer
        return await self.sandbox.handle_async_request(request)


@asynccontextmanager
async def at_kling(
    *script: httpx.Response | httpx.TransportError, journal: Journal | None = None
) -> AsyncIterator[tuple[Client, Recorder, Sandbox]]:
    """Open a client in front of a sandbox whose videos all take 40 seconds."""
    sandbox = Sandbox(strict=True, video_latency=Fixed(40))
    async with VirtualClock() as clock:
        sent = Recorder(httpx.ASGITransport(SandboxApp(sandbox, clock)), list(script))
        async with Client(
            "kling",
            api_key=sandbox.key_for("kling"),
            base_url=ORIGIN,
            transport=sent,
            limits=NO_LIMITS,
            journal=journal,
            clock=clock,
        ) as client:
            yield client, sent, sandbox


async def test_one_poll_asks_for_many() -> None:
    """A hundred predictions are polled by requests of at most 20 each, and of 10 or more on average."""
    async with at_kling() as (client, sent, sandbox), client.batch(VIDEOS) as batch:
        assert all([outcome.ok async for outcome in batch])
    assert sandbox.polls == len(sent.asked)
    assert max(map(len, sent.asked)) == 20
    assert sum(map(len, sent.asked)) / len(sent.asked) >= 10.0
    assert all(len(set(ids)) == len(ids) for ids in sent.asked)
    assert len(VIDEOS) == len({id for ids in sent.asked for id in ids})


async def test_both_standards_share_an_account() -> None:
    """Predictions of the legacy standard are polled one by one, and are in no shared poll."""
    old = [VideoInput(f"cat {number}", model="kling-2.1-master") for number in range(20)]
    async with at_kling() as (client, sent, sandbox), client.batch([*VIDEOS[:20], *old]) as batch:
        assert all([outcome.ok async for outcome in batch])
    assert 20 == len({id for ids in sent.asked for id in ids})
    alone = {request.path for request in sandbox.log if request.kind == "poll" and "/v1/" in request.path}
    assert 20 == len(alone)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
async def test_a_failed_shared_poll_harms_no_prediction(answer: httpx.Response | httpx.TransportError) -> None:
    """Whatever a shared poll is answered with, each prediction in it is found finished all the same, and no later."""
    events = Counter[EventKind]()
    async with at_kling(answer) as (client, sent, sandbox):
        client.add_listener(lambda event: events.update([event.kind]))
        async with client.batch(VIDEOS[:30]) as batch:
            assert all([outcome.ok async for outcome in batch])
    assert not sent.script
    failed = next(len(ids) for ids in sent.asked if len(ids) > 1)
    throttled = isinstance(answer, httpx.Response) and answer.status_code == 429
    assert failed == events[EventKind.THROTTLED if throttled else EventKind.POLL_ERROR]
    assert (30, 30) == (sandbox.submits, sandbox.billed())


async def test_one_bad_id_does_not_spoil_the_others_for_long() -> None:
    """After a refusal that may be about any of them, each is polled alone once, and then they share polls again."""
    async with at_kling(UNKNOWN) as (client, sent, _), client.batch(VIDEOS[:30]) as batch:
        assert all([outcome.ok async for outcome in batch])
    refused = next(at for at, ids in enumerate(sent.asked) if len(ids) > 1)
    later = sent.asked[refused + 1 :]
    alone = Counter(ids[0] for ids in later if len(ids) == 1)
    assert set(sent.asked[refused]) <= set(alone)
    assert max(map(len, later)) > 10


async def test_each_end_is_recorded() -> None:
    """What a shared poll finds finished is in the journal before it is reported."""
    journal = MemoryJournal()
    async with at_kling(journal=journal) as (client, _, _), client.batch(VIDEOS[:20]) as batch:
        async for outcome in batch:
            found = await journal.find(outcome.job.key or "")
            assert found is not None
            assert JobStatus.SUCCEEDED is found.status


async def test_a_refresh_may_share_a_poll() -> None:
    """Several calls to refresh at once each get the record of their own prediction."""
    async with at_kling() as (client, sent, _):
        predictions = [await client.submit(job.input) for job in VIDEOS[:5]]
        seen = dict[str, str]()

        async def refresh(prediction: Prediction) -> None:
            seen[prediction.id] = (await client.refresh(prediction)).id

        async with anyio.create_task_group() as tasks:
            for one in predictions:
                tasks.start_soon(refresh, one)
    assert {one.id: one.id for one in predictions} == seen
    assert 5 == sum(map(len, sent.asked))
