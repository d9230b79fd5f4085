"""The client at Comfy Router: from an input to files, keys against repetition, and what goes wrong on the way."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import httpx
import pytest

from kling_async import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    Client,
    ContentRejected,
    ImageInput,
    InsufficientBalance,
    Job,
    KlingError,
    PermissionDenied,
    PredictionFailed,
    Status,
    VideoInput,
)
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxApp, VirtualClock
from kling_async.types.http import HttpResponse
from kling_async.types.inputs import Input, Shot
from kling_async.types.prediction import FailureKind, OutputKind

from ..conftest import OpenClient

pytestmark = pytest.mark.anyio

COMFY = PROVIDERS["comfy"]
A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
DOG = VideoInput("a dog")
INPUTS: dict[str, tuple[Input, str]] = {
    "image": (ImageInput("a cat", n=3), "0.084"),
    "image to image": (ImageInput("a cat", images=(A, B), resolution="4k"), "0.056"),
    # No page has its price; the result names what the sandbox makes of it.
    "image 4.0": (ImageInput("a cat", model="kling-image-4.0", images=(A,), resolution="2k"), "0.1"),
    "O1": (DOG, "0.42"),
    "O1 frames": (VideoInput("a dog", model="kling-o1-pro", image=A, last_image=B, duration=3), "0.336"),
    "O1 references": (VideoInput("a dog", images=(A, B), video=C), "0.63"),
    "O1 edit": (VideoInput("a dog", images=(A,), video=C, scene="video-edit"), "0.63"),
    "3.0 omni shots": (
        VideoInput(model="kling-3.0-omni-pro", shots=(Shot("it sits", 2), Shot("it runs", 3)), sound=True),
        "0.7",
    ),
    "3.0": (VideoInput("a dog", model="kling-3.0-std", negative_prompt="rain", duration=10), "0.84"),
    "2.6 with sound": (VideoInput("a dog", model="kling-2.6-pro", sound=True), "0.7"),
    "3.0 turbo": (VideoInput("a dog", model="kling-3.0-turbo-std"), "0.56"),
    "4.0": (VideoInput("a dog", model="kling-4.0", resolution="1080p"), "0.5"),
    "4.0 keyframes": (VideoInput(model="kling-4.0", image=A, keyframes=(B,), last_image=B), "0.5"),
    "4.0 references": (VideoInput("a dog", model="kling-4.0", images=(A,), videos=(C, C)), "0.5"),
    "4.0 flash": (VideoInput("a dog", model="kling-4.0-flash", duration=20), "2"),
}


@pytest.mark.parametrize(("input", "cost"), INPUTS.values(), ids=list(INPUTS))
async def test_generate(open_client: OpenClient, input: Input, cost: str) -> None:
    """A strict sandbox accepts each kind of input; it is paid for once, and the cost is what the result names."""
    async with open_client(provider="comfy") as at:
        made = await at.client.generate(input)
    assert Status.SUCCEEDED is made.status
    assert [OutputKind(input.kind)] * input.slots == [output.kind for output in made.outputs]
    assert (Decimal(cost), 1, 1) == (made.cost, at.sandbox.submits, at.sandbox.billed())
    assert Decimal(cost) == at.sandbox.spent
    assert made.created_at is not None


async def test_a_batch_is_saved(open_client: OpenClient, tmp_path: Path) -> None:
    """Images and videos of both standards share a batch, and their files are saved."""
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(3)]
    jobs += [Job(DOG, key="dog"), Job(VideoInput("a fox", model="kling-4.0"), key="fox")]
    async with open_client(provider="comfy") as at, at.client.batch(jobs, save_to=tmp_path) as batch:
        outcomes = [outcome async for outcome in batch]
    assert all(outcome.ok for outcome in outcomes)
    saved = sorted(path.name for outcome in outcomes for path in outcome.files)
    assert ["cat-0-0.png", "cat-1-0.png", "cat-2-0.png", "dog-0.mp4", "fox-0.mp4"] == saved
    assert 5 == at.sandbox.submits == at.sandbox.billed()


async def test_each_submission_has_a_key_of_its_own() -> None:
    """Every submission carries a fresh UUID as its Idempotency-Key; no other request does."""
    sandbox, seen = Sandbox(strict=True, video_latency=Fixed(1)), list[tuple[str, str | None]]()
    async with VirtualClock() as clock:
        app = httpx.ASGITransport(SandboxApp(sandbox, clock))

        class Listening(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                seen.append((request.method, request.headers.get("idempotency-key")))
                return await app.handle_async_request(request)

        async with Client(
            "comfy", api_key=sandbox.key_for("comfy"), base_url="http://127.0.0.1:1", transport=Listening(), clock=clock
        ) as client:
            for _ in range(2):
                await client.generate(DOG)
    keys = [key for method, key in seen if method == "POST"]
    assert 2 == len(set(keys)) == len({UUID(key) for key in keys if key is not None})
    assert {None} == {key for method, key in seen if method != "POST"}


ENDS = {
    "failed": ("x [[failed:bad weather]]", FailureKind.FAILED, "bad weather"),
    "content": ("x [[failed:content_policy_violation]]", FailureKind.CONTENT_REJECTED, "content_policy_violation"),
    "cancelled": ("x [[cancelled]]", FailureKind.CANCELLED, "cancelled"),
    "empty": ("x [[empty]]", FailureKind.NO_OUTPUT, "no output that can be read"),
}


@pytest.mark.parametrize(("prompt", "kind", "message"), ENDS.values(), ids=list(ENDS))
async def test_a_job_that_ends_without_a_video(
    open_client: OpenClient, prompt: str, kind: FailureKind, message: str
) -> None:
    """The failure has Router's error type and words, and the job is paid for once."""
    async with open_client(provider="comfy") as at:
        with pytest.raises(PredictionFailed) as caught:
            await at.client.generate(VideoInput(prompt))
    failure = caught.value.prediction.failure
    assert failure is not None
    assert kind is failure.kind
    assert message in failure.message
    assert caught.value.may_be_billed
    assert 1 == at.sandbox.submits == at.sandbox.billed()


REFUSED: dict[str, type[KlingError]] = {
    "refused": ContentRejected,
    "bad_request": BadRequest,
    "no_balance": InsufficientBalance,
    "unauthorized": AuthenticationError,
    "forbidden": PermissionDenied,
}


@pytest.mark.parametrize(("fault", "kind"), REFUSED.items(), ids=list(REFUSED))
async def test_a_refusal_costs_nothing_and_is_sent_once(
    open_client: OpenClient, fault: str, kind: type[KlingError]
) -> None:
    """Each refusal has its own error, and none is sent again."""
    async with open_client(provider="comfy") as at:
        with pytest.raises(kind) as caught:
            await at.client.generate(VideoInput(f"x [[{fault}]]"))
    assert not caught.value.may_be_billed
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


async def test_a_rate_limit_is_waited_out(open_client: OpenClient) -> None:
    """HTTP 429 releases the key: the job is submitted again after the time that the reply names."""
    async with open_client(provider="comfy", retry_after="7") as at:
        assert (await at.client.generate(VideoInput("x [[rate_limited:2]]"))).succeeded
    assert (3, 1) == (at.sandbox.submits, at.sandbox.billed())


@pytest.mark.parametrize("fault", ["poll_lost", "poll_error_502", "poll_error_503", "poll_html", "poll_rate_limited"])
async def test_a_fault_of_a_poll_passes(open_client: OpenClient, fault: str) -> None:
    """A poll that fails is repeated, and the job goes on."""
    async with open_client(provider="comfy", video_latency=Fixed(60)) as at:
        assert (await at.client.generate(VideoInput(f"x [[{fault}]] [[unknown_status]]"))).succeeded
    assert 1 == at.sandbox.submits == at.sandbox.billed()


async def test_an_outage_between_status_and_result_passes(open_client: OpenClient) -> None:
    """Where the status says that it is done and the request for the result fails, both are asked for again."""
    async with open_client(provider="comfy", video_latency=Fixed(1)) as at:
        submitted = await at.client.submit(DOG)
        await at.clock.sleep(5)
        at.sandbox.script_polls([None, "error_503"])
        assert (await at.client.wait(submitted)).succeeded
    assert 4 == at.sandbox.polls


async def test_a_job_can_be_cancelled(open_client: OpenClient) -> None:
    """A cancellation is asked for; what became of it, the next poll tells."""
    async with open_client(provider="comfy", video_latency=Fixed(60)) as at:
        submitted = await at.client.submit(DOG)
        await at.client.cancel(submitted)
        assert Status.CANCELLED is (await at.client.refresh(submitted)).status


async def test_a_result_is_kept_for_a_day(open_client: OpenClient) -> None:
    """A prediction that is asked for later has expired, and was paid for."""
    async with open_client(provider="comfy", video_latency=Fixed(60)) as at:
        submitted = await at.client.submit(DOG)
        await at.clock.sleep(86_400 + 61)
        late = await at.client.refresh(submitted)
    assert (Status.EXPIRED, Decimal("0.420")) == (late.status, late.cost)


async def replies(sandbox: Sandbox, clock: VirtualClock, key: str, *prompts: str) -> list[HttpResponse]:
    """Submit prompts under one key, as the adapter builds the requests, and return the replies."""
    found: list[HttpResponse] = []
    app = httpx.ASGITransport(SandboxApp(sandbox, clock))
    async with httpx.AsyncClient(transport=app, base_url="http://127.0.0.1:1") as http:
        for prompt in prompts:
            request = COMFY.add_client_id(COMFY.build_submit(VideoInput(prompt)), key)
            headers = {**dict(request.headers), "Authorization": f"Bearer {sandbox.key_for('comfy')}"}
            reply = await http.post(request.path, content=request.body, headers=headers)
            found.append(HttpResponse(status=reply.status_code, headers=dict(reply.headers), body=reply.content))
    return found


async def test_a_repeat_is_the_same_prediction() -> None:
    """The reply to a repeated submission is read as the first prediction, which was paid for once."""
    sandbox = Sandbox(strict=True)
    async with VirtualClock() as clock:
        first, again = await replies(sandbox, clock, "k-1", "a dog", "a dog")
    assert "true" == again.headers["idempotent-replayed"]
    made = COMFY.parse_submit(first, input=DOG, key="dog")
    assert made == COMFY.parse_submit(again, input=DOG, key="dog")
    assert 1 == sandbox.billed()


@pytest.mark.parametrize(
    ("prompt", "code"), [("a dog", "concurrency_limit_exceeded"), ("a cat", "invalid_input")], ids=["early", "other"]
)
async def test_a_key_that_is_held_is_no_refusal(prompt: str, code: str) -> None:
    """The submission that holds it may have been charged, as here, so the answer says that money may be spent."""
    sandbox = Sandbox(strict=True, admission_seconds=5)
    async with VirtualClock() as clock:
        _, held = await replies(sandbox, clock, "k-1", "a dog", prompt)
    with pytest.raises(AnswerLost) as caught:
        COMFY.parse_submit(held, input=VideoInput(prompt), key="dog")
    assert (409, code, True, None) == (
        caught.value.http_status,
        caught.value.code,
        caught.value.may_be_billed,
        caught.value.id,
    )
    assert 1 == sandbox.billed()
