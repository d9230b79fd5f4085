"""Submissions whose answer is lost at a provider that replays it under an idempotency key."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from attrs import define, evolve, field

from kling_async import Client, EventKind, ImageInput, Job, JobStatus, Journal, MemoryJournal, VideoInput
from kling_async.errors import AnswerLost, BadRequest, KlingError
from kling_async.testing import FAULTS, Sandbox, SandboxApp, VirtualClock
from kling_async.types.inputs import Input

from ..conftest import NO_LIMITS, ORIGIN

pytestmark = pytest.mark.anyio

DOG = VideoInput("a dog")


@define
class Recorder(httpx.AsyncBaseTransport):
    """Notes the key and the body of each submission, and may answer repeats by itself."""

    sandbox: httpx.AsyncBaseTransport
    keys: list[str] = field(factory=list)
    bodies: set[bytes] = field(factory=set)
    repeats: list[httpx.Response] = field(factory=list)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Pass a request on, unless it is a repeat with an answer of its own."""
        if request.method == "POST":
            key = request.headers["idempotency-key"]
            repeated = key in self.keys
            self.keys.append(key)
            self.bodies.add(request.content)
            if repeated and self.repeats:
                return self.repeats.pop(0)
        return await self.sandbox.handle_async_request(request)


@asynccontextmanager
async def at_comfy(
    sandbox: Sandbox, clock: VirtualClock, *, journal: Journal | None = None, key: str = ""
) -> AsyncIterator[tuple[Client, Recorder]]:
    """Open a client in front of a sandbox that is there already."""
    sent = Recorder(httpx.ASGITransport(SandboxApp(sandbox, clock)))
    async with Client(
        "comfy",
        api_key=key or sandbox.key_for("comfy"),
        base_url=ORIGIN,
        limits=NO_LIMITS,
        transport=sent,
        journal=journal,
        clock=clock,
    ) as client:
        yield client, sent


@pytest.mark.parametrize("fault", ["lost", "dropped", "garbled", "no_id", "html", "error_500", "error_503"])
@pytest.mark.parametrize("input", [ImageInput("a cat"), DOG], ids=["image", "video"])
async def test_a_lost_answer_is_replayed(input: Input, fault: str) -> None:
    """The submission is repeated under its key, with the same body, until its answer comes: it is charged once."""
    sandbox, kinds = Sandbox(strict=True), list[EventKind]()
    sandbox.script([fault])
    async with VirtualClock() as clock, at_comfy(sandbox, clock) as (client, sent):
        client.add_listener(lambda event: kinds.append(event.kind))
        assert (await client.generate(input)).succeeded
    assert [EventKind.SUBMITTED, EventKind.RESOLVING, EventKind.ACCEPTED] == kinds[:3]
    assert (1, 1, 1) == (sandbox.billed(), len(set(sent.keys)), len(sent.bodies))
    assert 2 == len(sent.keys)
    assert FAULTS[fault].billed or fault != "lost"


async def test_a_repeat_does_not_leave_after_its_window() -> None:
    """A machine that slept since the answer was lost sends no repeat that the provider might take for a new job."""
    sandbox, resolving = Sandbox(strict=True), anyio.Event()
    sandbox.script(["lost"])

    async def sleep_for_days(client: Client) -> None:
        await resolving.wait()
        lookups = client._accounts._accounts["comfy"]._requests._lookups
        lookups.update({ticket: evolve(one, sent_at=one.sent_at - 1e6) for ticket, one in lookups.items()})

    async with VirtualClock() as clock, at_comfy(sandbox, clock) as (client, sent), anyio.create_task_group() as group:
        client.add_listener(lambda event: resolving.set() if event.kind is EventKind.RESOLVING else None)
        group.start_soon(sleep_for_days, client)
        with pytest.raises(AnswerLost):
            await client.generate(DOG)
    assert (1, 1) == (len(sent.keys), sandbox.billed())


async def test_a_key_that_is_held_is_waited_for() -> None:
    """While the first submission is being admitted a repeat is refused with 409, which is no refusal of the job."""
    sandbox = Sandbox(strict=True)
    sandbox.script(["lost"])
    held = httpx.Response(409, json={"error": {"type": "concurrency_limit_exceeded", "message": "in progress"}})
    async with VirtualClock() as clock, at_comfy(sandbox, clock) as (client, sent):
        sent.repeats = [held, held]
        assert (await client.generate(DOG)).succeeded
    assert (4, 1) == (len(sent.keys), sandbox.billed())


async def test_a_refused_repeat_is_a_refusal() -> None:
    """A repeat that the provider refuses because of its input was never accepted, and nothing is charged."""
    sandbox = Sandbox(strict=True)
    sandbox.script(["dropped"])
    refusal = httpx.Response(422, json={"error": {"type": "invalid_input", "message": "prompt is too long"}})
    async with VirtualClock() as clock, at_comfy(sandbox, clock) as (client, sent):
        sent.repeats = [refusal]
        with pytest.raises(BadRequest) as caught:
            await client.generate(DOG)
    assert not caught.value.may_be_billed
    assert (2, 0) == (len(sent.keys), sandbox.billed())


@pytest.mark.parametrize("status", [401, 402, 403, 409, 429, 500, 503])
async def test_what_proves_nothing_is_unconfirmed_in_the_end(status: int) -> None:
    """A repeat that is refused for another reason is tried for a minute, and then the job is unconfirmed."""
    sandbox = Sandbox(strict=True)
    sandbox.script(["lost"])
    answer = httpx.Response(status, json={"error": {"type": "invalid_input", "message": "no"}})
    async with VirtualClock() as clock, at_comfy(sandbox, clock) as (client, sent):
        sent.repeats = [httpx.Response(status, content=answer.content) for _ in range(99)]
        began = clock.now()
        with pytest.raises(AnswerLost) as caught:
            await client.generate(DOG)
        assert 60.0 <= clock.now() - began <= 90.0
    assert caught.value.may_be_billed
    assert 1 == len(set(sent.keys)) == sandbox.billed()
    assert len(sent.keys) <= 10


async def lost_in_an_earlier_run(sandbox: Sandbox, clock: VirtualClock, journal: MemoryJournal, input: Input) -> None:
    """Leave a journal whose process died while it submitted a job."""
    sandbox.script(["lost"])
    async with at_comfy(sandbox, clock, journal=journal) as (client, _), client.batch([Job(input, key="one")]) as batch:
        async for event in batch.events():
            if event.kind is EventKind.RESOLVING:
                break
    known = await journal.find("one")
    assert known is not None
    await journal.open()
    await journal.write(evolve(known, status=JobStatus.SUBMITTING, stored_error=None))
    await journal.aclose()


@pytest.mark.parametrize("hours", [0.0, 1.0, 21.0])
async def test_a_later_run_repeats_it_within_the_window(hours: float) -> None:
    """What a dead process was submitting is repeated under its key by the next run, and charged once."""
    sandbox, journal = Sandbox(strict=True), MemoryJournal()
    async with VirtualClock() as clock:
        await lost_in_an_earlier_run(sandbox, clock, journal, DOG)
        await clock.sleep(hours * 3600.0)
        async with at_comfy(sandbox, clock, journal=journal) as (client, sent):
            # Its result may be kept no longer; what counts is that it is the same prediction.
            try:
                prediction = await client.generate(DOG, key="one")
            except KlingError as error:
                assert not isinstance(error, AnswerLost)  # noqa: PT017
            else:
                assert prediction.succeeded
    known = await journal.find("one")
    assert known is not None
    assert known.client_id is not None
    assert [known.client_id.value] == sent.keys
    assert 1 == sandbox.billed()


CHANGES = {
    "the window has passed": (22.0, "", DOG),
    "another key": (0.0, "sk-other", DOG),
}


@pytest.mark.parametrize(("hours", "key", "input"), CHANGES.values(), ids=list(CHANGES))
async def test_elsewhere_it_is_never_repeated(hours: float, key: str, input: Input) -> None:
    """After nine tenths of a day, or with another key, a repeat might buy again: none is sent."""
    sandbox, journal = Sandbox(strict=True), MemoryJournal()
    async with VirtualClock() as clock:
        await lost_in_an_earlier_run(sandbox, clock, journal, DOG)
        await clock.sleep(hours * 3600.0)
        async with at_comfy(sandbox, clock, journal=journal, key=key) as (client, sent):
            with pytest.raises(AnswerLost):
                await client.generate(input, key="one")
    assert [] == sent.keys
    assert 1 == sandbox.billed()


async def test_an_input_with_secrets_is_not_repeated_from_the_journal_alone() -> None:
    """A journal keeps no signatures of URLs, so what it knows of such an input would be another submission."""
    sandbox, journal = Sandbox(strict=True), MemoryJournal()
    signed = VideoInput("a dog", image="https://x.test/a.png?signature=secret")
    async with VirtualClock() as clock:
        await lost_in_an_earlier_run(sandbox, clock, journal, signed)
        async with at_comfy(sandbox, clock, journal=journal) as (_, sent):
            await clock.sleep(100.0)
        assert [] == sent.keys
        async with at_comfy(sandbox, clock, journal=journal) as (client, sent):
            assert (await client.generate(signed, key="one")).succeeded
    assert (1, 1) == (len(sent.keys), sandbox.billed())
