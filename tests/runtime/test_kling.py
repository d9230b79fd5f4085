"""The client at Kling's own API: both standards, a pair of keys, and ids of the caller's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from attrs import evolve

from kling_async import Client, EventKind, ImageInput, Job, JobStatus, Journal, Limits, MemoryJournal, VideoInput
from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    ContentRejected,
    InputError,
    InsufficientBalance,
    KlingError,
    PermissionDenied,
    PredictionFailed,
    Unsupported,
)
from kling_async.providers import PROVIDERS
from kling_async.testing import FAULTS, Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.types.http import HttpResponse
from kling_async.types.inputs import Input, Shot
from kling_async.types.prediction import FailureKind, OutputKind, Status

from ..conftest import ORIGIN, OpenClient

pytestmark = pytest.mark.anyio

KLING = PROVIDERS["kling"]
PAIR = "sk-sandbox-kling:sk-sandbox-kling"
A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
INPUTS: dict[str, tuple[Input, str | None]] = {
    "image": (ImageInput("a cat", n=3), "0.084"),
    "image to image": (ImageInput("a cat", model="kling-image-o3", images=(A, B), resolution="4k"), "0.056"),
    "image 3.0": (ImageInput("a cat", model="kling-image-3.0", images=(A,)), "0.028"),
    "image 2.1": (ImageInput("a cat", model="kling-image-2.1", extra={"negative_prompt": "rain"}), "0.014"),
    "an older model": (VideoInput("a dog", model="kling-2.1-master"), None),
    "an older model at its second endpoint": (VideoInput("a dog", model="kling-2.1-master", image=A), None),
    "an older model with frames": (VideoInput("a dog", model="kling-2.1-pro", image=A, last_image=B), None),
    "O1": (VideoInput("a dog"), "0.42"),
    "O1 frames": (VideoInput("a dog", model="kling-o1-pro", image=A, last_image=B, duration=3), "0.336"),
    "O1 references": (VideoInput("a dog", images=(A, B), video=C), "0.63"),
    "O1 edit": (VideoInput("a dog", video=C, images=(A,), scene="video-edit"), "0.63"),
    "2.5 turbo": (VideoInput("a dog", model="kling-2.5-turbo-std"), "0.21"),
    "2.6 with sound": (VideoInput("a dog", model="kling-2.6-pro", sound=True), "0.7"),
    "3.0 shots": (VideoInput(model="kling-3.0-pro", shots=(Shot("it sits", 2), Shot("it runs", 3))), "0.56"),
    "3.0 motion": (VideoInput("a dog", model="kling-3.0-std", image=A, video=C), "0.63"),
    "3.0 omni": (VideoInput("a dog", model="kling-3.0-omni", resolution="4k", image=A), "2.1"),
    "3.0 omni edit": (VideoInput("a dog", model="kling-3.0-omni-std", video=C, scene="video-edit"), "0.63"),
    "3.0 turbo": (VideoInput("a dog", model="kling-3.0-turbo-std", image=A), "0.56"),
}


@pytest.mark.parametrize(("input", "cost"), INPUTS.values(), ids=list(INPUTS))
async def test_generate(open_client: OpenClient, input: Input, cost: str | None) -> None:
    """Each kind of input is submitted once, polled by its standard, and costs what is published or was charged."""
    async with open_client(provider="kling") as at:
        prediction = await at.client.generate(input)
    assert Status.SUCCEEDED is prediction.status
    assert [OutputKind(input.kind)] * input.slots == [output.kind for output in prediction.outputs]
    assert (None if cost is None else Decimal(cost)) == prediction.cost
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())
    assert cost is None or Decimal(cost) == at.sandbox.spent


async def test_a_batch_is_saved(open_client: OpenClient, tmp_path: Path) -> None:
    """Images and videos of both standards share a batch, and their files are saved."""
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(3)]
    jobs.append(Job(VideoInput("a dog", model="kling-3.0-std"), key="dog"))
    async with open_client(provider="kling") as at, at.client.batch(jobs, save_to=tmp_path) as batch:
        outcomes = [outcome async for outcome in batch]
    assert all(outcome.ok for outcome in outcomes)
    saved = sorted(path.name for outcome in outcomes for path in outcome.files)
    assert ["cat-0-0.png", "cat-1-0.png", "cat-2-0.png", "dog-0.mp4"] == saved
    assert 4 == at.sandbox.billed()


async def test_slots_are_counted_by_image(open_client: OpenClient) -> None:
    """With as many slots as the account has, nothing is refused for them."""
    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=5)
    inputs = [ImageInput(f"cat {number}", n=1 + number % 4) for number in range(12)]
    async with (
        open_client(provider="kling", limits=limits, max_open=5) as at,
        at.client.batch(inputs) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])
    assert (12, 12) == (at.sandbox.submits, at.sandbox.billed())


async def test_too_many_are_submitted_again(open_client: OpenClient) -> None:
    """A refusal for slots waits until there is room, and what was refused is billed once."""
    inputs = [ImageInput(f"cat {number}") for number in range(6)]
    async with (
        open_client(provider="kling", max_open=2, image_latency=Fixed(8)) as at,
        at.client.batch(inputs) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])
    assert 6 == at.sandbox.billed()
    assert at.sandbox.submits > 6


REFUSALS = {
    "unauthorized": AuthenticationError,
    "forbidden": PermissionDenied,
    "no_balance": InsufficientBalance,
    "refused": ContentRejected,
}


@pytest.mark.parametrize(("fault", "kind"), REFUSALS.items(), ids=list(REFUSALS))
async def test_a_refusal_is_what_its_code_says(open_client: OpenClient, fault: str, kind: type[KlingError]) -> None:
    """An empty account answers HTTP 429, as a limit does, and is not submitted again."""
    for input in (ImageInput(f"a cat [[{fault}]]"), VideoInput(f"a dog [[{fault}]]")):
        async with open_client(provider="kling") as at:
            with pytest.raises(kind) as caught:
                await at.client.generate(input)
        assert not caught.value.may_be_billed
        assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


@pytest.mark.parametrize(
    "fault", ["lost", "garbled", "no_id", "html", "error_500", "error_502", "error_503", "error_504"]
)
async def test_a_lost_answer_is_never_submitted_again(open_client: OpenClient, fault: str) -> None:
    """On either standard a submission whose answer is lost leaves once: what was started is found, and billed once."""
    for input in (ImageInput(f"a cat [[{fault}]]"), VideoInput(f"a dog [[{fault}]]")):
        kinds = list[EventKind]()
        async with open_client(provider="kling") as at:
            at.client.add_listener(lambda event: kinds.append(event.kind))  # noqa: B023
            if FAULTS[fault].billed:
                assert (await at.client.generate(input)).succeeded
            else:
                began = at.clock.now()
                with pytest.raises(AnswerLost) as caught:
                    await at.client.generate(input)
                assert caught.value.may_be_billed
                assert 60.0 <= at.clock.now() - began < 130.0
            await at.clock.sleep(1000)
        assert [EventKind.SUBMITTED, EventKind.RESOLVING] == kinds[:2]
        assert (1, int(bool(FAULTS[fault].billed))) == (at.sandbox.submits, at.sandbox.billed())


@asynccontextmanager
async def at_kling(sandbox: Sandbox, clock: VirtualClock, journal: Journal, key: str = "") -> AsyncIterator[Client]:
    """Open a client with a journal in front of a sandbox that is there already, with that key."""
    transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
    api_key = key or sandbox.key_for("kling")
    async with Client(
        "kling", api_key=api_key, base_url=ORIGIN, transport=transport, journal=journal, clock=clock
    ) as client:
        yield client


async def lose_one(sandbox: Sandbox, clock: VirtualClock, journal: Journal, input: Input, fault: str = "lost") -> None:
    """Run a client that loses the answer to a submission, and ends as soon as that is known."""
    sandbox.script([fault])
    async with at_kling(sandbox, clock, journal) as client, client.batch([Job(input, key="one")]) as batch:
        async for event in batch.events():
            if event.kind is EventKind.RESOLVING:
                break


@pytest.mark.parametrize("input", [ImageInput("a cat"), VideoInput("a dog")])
async def test_a_look_up_goes_on_in_the_next_run(input: Input) -> None:
    """A run that ends in the middle leaves the job resolving; the next one finds it, and submits nothing."""
    sandbox, journal = Sandbox(strict=True), MemoryJournal()
    async with VirtualClock() as clock:
        await lose_one(sandbox, clock, journal, input)
        known = await journal.find("one")
        assert known is not None
        assert JobStatus.RESOLVING is known.status
        assert known.client_id is not None
        async with at_kling(sandbox, clock, journal) as client:
            assert (await client.generate(input, key="one")).succeeded
    assert (1, 1) == (sandbox.submits, sandbox.billed())


@pytest.mark.parametrize("started", [True, False])
async def test_what_a_dead_process_was_submitting_is_looked_up(*, started: bool) -> None:
    """A submission in flight at a kill -9 is found if it arrived, and unconfirmed after a minute if it did not."""
    sandbox, journal, input = Sandbox(strict=True), MemoryJournal(), ImageInput("a cat")
    async with VirtualClock() as clock:
        await lose_one(sandbox, clock, journal, input, "lost" if started else "dropped")
        known = await journal.find("one")
        assert known is not None
        assert known.client_id is not None
        await journal.open()
        await journal.write(evolve(known, status=JobStatus.SUBMITTING, stored_error=None))
        await journal.aclose()
        async with at_kling(sandbox, clock, journal) as client:
            if started:
                assert (await client.generate(input, key="one")).succeeded
            else:
                with pytest.raises(AnswerLost):
                    await client.generate(input, key="one")
                assert ["one"] == [one.key for one in await client.unconfirmed()]
    assert (1, int(started)) == (sandbox.submits, sandbox.billed())


async def test_another_account_is_not_asked() -> None:
    """With another key nothing can be found, so the job waits for the one that it was submitted with."""
    sandbox, journal, input = Sandbox(strict=True), MemoryJournal(), ImageInput("a cat")
    async with VirtualClock() as clock:
        await lose_one(sandbox, clock, journal, input)
        async with at_kling(sandbox, clock, journal, key="sk-other") as client:
            with pytest.raises(AnswerLost):
                await client.generate(input, key="one")
        assert 0 == sandbox.polls
        async with at_kling(sandbox, clock, journal) as client:
            assert (await client.generate(input, key="one")).succeeded
    assert (1, 1) == (sandbox.submits, sandbox.billed())


@pytest.mark.parametrize(
    ("reason", "kind"),
    [("no luck", FailureKind.FAILED), ("Failure to pass the risk control system", FailureKind.CONTENT_REJECTED)],
)
async def test_a_failure_is_free(open_client: OpenClient, reason: str, kind: FailureKind) -> None:
    """A failed task has text alone, from which it follows whether the content was the cause."""
    for input in (ImageInput(f"a cat [[failed:{reason}]]"), VideoInput(f"a dog [[failed:{reason}]]")):
        async with open_client(provider="kling") as at:
            with pytest.raises(PredictionFailed) as caught:
                await at.client.generate(input)
        failure = caught.value.prediction.failure
        assert failure is not None
        assert (kind, reason) == (failure.kind, failure.message)
        assert not caught.value.may_be_billed
        assert 0 == at.sandbox.spent


async def test_polls_go_on_over_outages(open_client: OpenClient) -> None:
    """What a poll answers amiss ends no prediction, an id that is not yet known included."""
    faults = ["poll_error_500", "poll_not_found", "poll_lost", "poll_html", "poll_rate_limited"]
    for input in (ImageInput("a cat"), VideoInput("a dog")):
        async with open_client(provider="kling") as at:
            at.sandbox.script_polls(faults)
            assert (await at.client.generate(input)).succeeded
        assert 1 == at.sandbox.billed()


async def test_there_is_no_cancellation(open_client: OpenClient) -> None:
    """No page shows one, so that none is sent."""
    async with open_client(provider="kling") as at:
        prediction = await at.client.submit(ImageInput("a cat"))
        with pytest.raises(Unsupported, match="Kling cannot cancel"):
            await at.client.cancel(prediction)
    assert 0 == at.sandbox.count("cancel")


@pytest.mark.parametrize("input", [ImageInput("a cat"), VideoInput("a dog", model="kling-3.0-std")])
async def test_a_lost_answer_is_found_by_its_client_id(input: Input) -> None:
    """Submission and look-up by the caller's id, as the adapter builds them, name one task; a repeat is refused."""
    sandbox = Sandbox(strict=True)
    headers = {"authorization": "Bearer sk-sandbox-kling"}

    def response(reply: httpx.Response) -> HttpResponse:
        return HttpResponse(status=reply.status_code, headers=dict(reply.headers), body=reply.content)

    async with VirtualClock() as clock:
        transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
            lookup = KLING.build_lookup(input, "id-1")
            assert lookup is not None
            nothing = response(await http.get(lookup.path, headers=headers))
            assert KLING.parse_lookup(nothing, input=input, client_id="id-1", key="job") is None
            sandbox.script(["error_504"])
            request = KLING.add_client_id(KLING.build_submit(input), "id-1")
            assert 504 == (await http.post(request.path, content=request.body, headers=headers)).status_code
            reply = response(await http.get(lookup.path, headers=headers))
            found = KLING.parse_lookup(reply, input=input, client_id="id-1", key="job")
            assert found is not None
            assert [found.id] == list(sandbox.tasks)
            assert ("job", Status.RUNNING) == (found.key, found.status)
            again = await http.post(request.path, content=request.body, headers=headers)
            assert (400, 1201) == (again.status_code, again.json()["code"])
            await clock.sleep(1000)
            done = KLING.parse_poll(
                response(await http.get(KLING.build_poll(found).path, headers=headers)), prediction=found
            )
            assert done.succeeded
    assert 1 == sandbox.billed()


async def test_a_pair_of_keys_is_for_the_legacy_standard() -> None:
    """Its token is renewed while a batch runs; a model of the new standard is an error before anything is sent."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(3000))
    async with VirtualClock() as clock:
        transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
        async with Client("kling", api_key=PAIR, base_url=ORIGIN, transport=transport, clock=clock) as client:
            slow = await client.generate(ImageInput("a cat"), wait_timeout=4000.0)
            assert slow.succeeded
            assert (await client.generate(VideoInput("a dog", model="kling-2.1-master", image=A))).succeeded
            submits = sandbox.submits
            with pytest.raises(InputError, match="kling-3.0-pro is on Kling's new standard") as caught:
                await client.generate(VideoInput("a dog", model="kling-3.0-pro"), key="job")
    assert "job" == caught.value.key
    assert submits == sandbox.submits == 2
    assert {"kling"} == {entry.provider for entry in sandbox.log if entry.kind != "download"}


async def test_a_job_that_a_pair_cannot_pay_goes_elsewhere() -> None:
    """Of several providers, those whose key the model takes are asked; without any, the error says why."""
    sandbox = Sandbox(strict=True)
    async with VirtualClock() as clock:
        client = Client(
            "kling",
            api_keys={"kling": PAIR, "gptproto": sandbox.key},
            base_urls={"kling": ORIGIN, "gptproto": ORIGIN},
            transport=httpx.ASGITransport(SandboxApp(sandbox, clock)),
            clock=clock,
        )
        job = Job(VideoInput("a dog", model="kling-o1-std"), key="job")
        async with client, client.batch([job], provider=["kling", "gptproto"]) as batch:
            assert ["gptproto"] == [outcome.job.provider async for outcome in batch]


@pytest.mark.parametrize("text", [PAIR.replace("sk-sandbox-kling:", "ak-canary-1:"), "Bearer {token}"])
async def test_a_reply_that_repeats_a_secret_shows_none(text: str) -> None:
    """Neither a part of the pair nor a token made from it is in an error."""
    seen: list[str] = []

    def reply(request: httpx.Request) -> httpx.Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        seen.append(token)
        return httpx.Response(400, json={"code": 1201, "message": text.format(token=token)})

    pair = "ak-canary-1:sk-sandbox-kling"
    async with Client("kling", api_key=pair, base_url=ORIGIN, transport=httpx.MockTransport(reply)) as client:
        with pytest.raises(KlingError) as caught:
            await client.submit(ImageInput("a cat"))
    shown = f"{caught.value!r} {caught.value} {vars(caught.value)}"
    assert "[key]" in shown
    assert not any(secret in shown for secret in ("ak-canary-1", "sk-sandbox-kling", *seen))
