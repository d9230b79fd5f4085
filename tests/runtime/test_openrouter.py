"""The client at OpenRouter: from an input to files, what goes wrong on the way, and where the API key goes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from kling_async import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    Client,
    ContentRejected,
    ImageInput,
    InputError,
    InsufficientBalance,
    Job,
    KlingError,
    MemoryJournal,
    PermissionDenied,
    PredictionFailed,
    Status,
    VideoInput,
)
from kling_async.errors import DownloadError, Unsupported
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.types.prediction import FailureKind

from ..conftest import NO_LIMITS, OpenClient, SandboxedClient

pytestmark = pytest.mark.anyio

FRAME = "https://example.com/a.png"
DOG = VideoInput("a dog")


def downloads(at: SandboxedClient) -> list[tuple[str, bool, int | None]]:
    """Return the path, the presence of a key and the status of each download."""
    return [(seen.path, seen.with_key, seen.status) for seen in at.sandbox.log if seen.kind == "download"]


INPUTS = {
    "text": (DOG, "0.63"),
    "frames": (VideoInput("a dog", model="kling-o1-pro", image=FRAME, last_image=FRAME, duration=10), "1.12"),
    "silence": (VideoInput("a dog", model="kling-3.0-pro", sound=False, duration=3, aspect_ratio="1:1"), "0.336"),
}


@pytest.mark.parametrize(("input", "cost"), INPUTS.values(), ids=list(INPUTS))
async def test_a_video_is_made_and_saved(open_client: OpenClient, tmp_path: Path, input: VideoInput, cost: str) -> None:
    """A strict sandbox accepts the input; the cost is what it reports; the signed URL is saved without the key."""
    async with open_client(provider="openrouter") as at:
        made = await at.client.generate(input, key="dog")
        assert (Status.SUCCEEDED, "completed", Decimal(cost)) == (made.status, made.native_status, made.cost)
        assert made.created_at is not None
        [path] = await at.client.download(made, tmp_path)
    assert tmp_path / "dog-0.mp4" == path
    assert [(f"/files/{made.id}-1.mp4", False, 200)] == downloads(at)
    assert 1 == at.sandbox.submits == at.sandbox.billed()
    assert Decimal(cost) == at.sandbox.spent


async def test_the_reported_cost_replaces_the_estimate(open_client: OpenClient) -> None:
    """The price of the table stands until a record tells the real one."""
    async with open_client(provider="openrouter") as at:
        submitted = await at.client.submit(DOG)
        assert Decimal("0.630") == submitted.cost
        made = await at.client.wait(submitted)
    assert isinstance(made.raw, dict)
    assert Decimal(str(made.raw["usage"]["cost"])) == made.cost


async def test_outputs_behind_the_api_are_asked_for_with_the_key(open_client: OpenClient, tmp_path: Path) -> None:
    """Where a record has no signed URLs, the API itself sends the output, for the key, at the address of the id."""
    async with open_client(provider="openrouter") as at:
        made = await at.client.generate(VideoInput("a dog [[unsigned]]"), key="dog")
        [path] = await at.client.download(made, tmp_path)
    assert path.read_bytes()[4:8] == b"ftyp"
    assert [(f"/api/v1/videos/{made.id}/content", True, 200)] == downloads(at)


async def test_a_batch_is_saved(tmp_path: Path) -> None:
    """Each job has its file, is posted once and billed once, whichever URLs its record has."""
    # Over a socket: work in threads looks idle to a clock that leaps.
    sandbox = Sandbox(strict=True, video_latency=Fixed(0.05))
    jobs = [Job(VideoInput(f"dog {n} {'[[unsigned]]' * (n % 2)}"), key=f"dog-{n}") for n in range(10)]
    with SandboxServer(sandbox) as server:
        key = sandbox.key_for("openrouter")
        async with (
            Client("openrouter", api_key=key, base_url=server.url, limits=NO_LIMITS) as client,
            client.batch(jobs, save_to=tmp_path, journal=MemoryJournal()) as batch,
        ):
            outcomes = [outcome async for outcome in batch]
    assert [] == [outcome.error for outcome in outcomes if not outcome.ok]
    assert {f"dog-{n}-0.mp4" for n in range(10)} == {path.name for outcome in outcomes for path in outcome.files}
    assert 10 == sandbox.submits == sandbox.billed()
    keyed = Counter(seen.with_key for seen in sandbox.log if seen.kind == "download")
    assert {True: 5, False: 5} == keyed


ENDS = {
    "failed": ("x [[failed:bad weather]]", FailureKind.FAILED, "bad weather"),
    "content": ("x [[failed:Content policy violation]]", FailureKind.CONTENT_REJECTED, "Content policy violation"),
    "cancelled": ("x [[cancelled]]", FailureKind.CANCELLED, "Job was cancelled"),
    "empty": ("x [[empty]]", FailureKind.NO_OUTPUT, "no output that can be read"),
}


@pytest.mark.parametrize(("prompt", "kind", "message"), ENDS.values(), ids=list(ENDS))
async def test_a_job_that_ends_without_a_video(
    open_client: OpenClient, prompt: str, kind: FailureKind, message: str
) -> None:
    """The failure has OpenRouter's own words, and the job is paid for once."""
    async with open_client(provider="openrouter") as at:
        with pytest.raises(PredictionFailed) as caught:
            await at.client.generate(VideoInput(prompt))
    failure = caught.value.prediction.failure
    assert failure is not None
    assert kind is failure.kind
    assert message in failure.message
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
    """Three of these are HTTP 403 or 400; each has its own error."""
    async with open_client(provider="openrouter") as at:
        with pytest.raises(kind) as caught:
            await at.client.generate(VideoInput(f"x [[{fault}]]"))
    assert not caught.value.may_be_billed
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


LOST = {"lost": 1, "hang": 1, "garbled": 1, "no_id": 1, "error_504": 1, "error_500": 0, "error_503": 0, "html": 0}


@pytest.mark.parametrize(("fault", "billed"), LOST.items(), ids=list(LOST))
async def test_a_lost_answer_is_never_sent_again(open_client: OpenClient, fault: str, billed: int) -> None:
    """Where no answer says whether it was accepted, that is the error, and there is one submission."""
    async with open_client(provider="openrouter", request_timeout=0.2 if fault == "hang" else 30.0) as at:
        with pytest.raises(AnswerLost) as caught:
            await at.client.generate(VideoInput(f"x [[{fault}]]"), key="x")
    assert caught.value.may_be_billed
    assert (1, billed) == (at.sandbox.submits, at.sandbox.billed())


async def test_a_rate_limit_is_waited_out(open_client: OpenClient) -> None:
    """HTTP 429 is no answer to the job: it is submitted again after the time that the reply names."""
    async with open_client(provider="openrouter", retry_after="7") as at:
        assert (await at.client.generate(VideoInput("x [[rate_limited:2]]"))).succeeded
    times = [seen.at for seen in at.sandbox.log if seen.kind == "submit"]
    assert 3 == len(times)
    assert all(later - sooner >= 7 for sooner, later in pairwise(times))
    assert 1 == at.sandbox.billed()


@pytest.mark.parametrize("fault", ["poll_lost", "poll_error_502", "poll_error_503", "poll_html", "poll_rate_limited"])
async def test_a_fault_of_a_poll_passes(open_client: OpenClient, fault: str) -> None:
    """A poll that fails is repeated, and the job goes on."""
    async with open_client(provider="openrouter", video_latency=Fixed(60)) as at:
        assert (await at.client.generate(VideoInput(f"x [[{fault}]] [[unknown_status]]"))).succeeded
    assert 1 == at.sandbox.submits == at.sandbox.billed()


async def test_a_job_cannot_be_cancelled(open_client: OpenClient) -> None:
    """No document shows a way to cancel; the call says so, and nothing is sent."""
    async with open_client(provider="openrouter", video_latency=Fixed(60)) as at:
        submitted = await at.client.submit(DOG)
        with pytest.raises(Unsupported, match="OpenRouter cannot cancel"):
            await at.client.cancel(submitted)
    assert ["submit"] == [seen.kind for seen in at.sandbox.log]


async def test_an_image_is_refused_before_anything_is_sent(open_client: OpenClient) -> None:
    """There is no image model; the error says which models there are."""
    async with open_client(provider="openrouter") as at:
        with pytest.raises(InputError, match="OpenRouter has no image model"):
            await at.client.generate(ImageInput("a cat"))
    assert [] == at.sandbox.log


KEY = "sk-or-secret"
JOB = "gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt"
ELSEWHERE = "https://elsewhere.test"
MP4 = b"\0\0\0\x20ftypisom" + bytes(100)


class Api:
    """A scripted API: what it was asked, and its answers by path; its records name addresses elsewhere."""

    def __init__(self, answers: dict[str, Callable[[], httpx.Response]], **record: Any) -> None:
        self.asked: list[tuple[str, str, bool]] = []
        self._answers = answers
        self._record = {"id": JOB, "polling_url": f"{ELSEWHERE}/api/v1/videos/{JOB}", **record}

    def answer(self, request: httpx.Request) -> httpx.Response:
        keyed = KEY in request.headers.get("authorization", "")
        self.asked.append((request.method, str(request.url), keyed))
        if request.url.path in self._answers:
            return self._answers[request.url.path]()
        status = 202 if request.method == "POST" else 200
        return httpx.Response(status, content=json.dumps(self._record), headers={"Content-Type": "application/json"})

    def client(self) -> Client:
        return Client("openrouter", api_key=KEY, transport=httpx.MockTransport(self.answer))


OWN = "https://openrouter.ai/api/v1/videos"
CONTENT = f"/api/v1/videos/{JOB}/content"


async def test_the_key_goes_to_no_address_of_a_reply(tmp_path: Path) -> None:
    """Whatever origin the record names for polls and content, the key is sent to the provider's own."""
    urls = [f"{ELSEWHERE}{CONTENT}?index=0"]
    api = Api({CONTENT: lambda: httpx.Response(200, content=MP4)}, status="completed", unsigned_urls=urls)
    async with api.client() as client:
        made = await client.refresh(await client.submit(DOG))
        [path] = await client.download(made, tmp_path)
    assert MP4 == path.read_bytes()
    assert [("POST", OWN, True), ("GET", f"{OWN}/{JOB}", True), ("GET", f"{OWN}/{JOB}/content?index=0", True)] == (
        api.asked
    )


async def test_a_redirect_of_content_is_followed_without_the_key(tmp_path: Path) -> None:
    """The content endpoint may lead to a store, on any origin: the key does not go there."""
    moved = {
        CONTENT: lambda: httpx.Response(302, headers={"Location": f"{ELSEWHERE}/signed.mp4"}),
        "/signed.mp4": lambda: httpx.Response(200, content=MP4),
    }
    api = Api(moved, status="completed", unsigned_urls=[f"{OWN}/{JOB}/content"])
    async with api.client() as client:
        [path] = await client.download(await client.submit(DOG), tmp_path)
    assert MP4 == path.read_bytes()
    assert [("GET", f"{OWN}/{JOB}/content?index=0", True), ("GET", f"{ELSEWHERE}/signed.mp4", False)] == api.asked[1:]


OTHERS = {
    "a signed URL": f"{ELSEWHERE}/clip.mp4",
    "the content of another job": f"{OWN}/gen-vid-1790000000-Another/content?index=0",
    "a longer path": f"{OWN}/{JOB}/content/../../credits",
    "another query": f"{OWN}/{JOB}/content?index=0&to=elsewhere",
}


@pytest.mark.parametrize("url", OTHERS.values(), ids=list(OTHERS))
async def test_other_urls_are_asked_for_without_the_key(tmp_path: Path, url: str) -> None:
    """Only the content of the job itself is asked for with the key."""
    api = Api({}, status="completed", unsigned_urls=[url])
    async with api.client() as client:
        made = await client.submit(DOG)
        api.asked.clear()
        with pytest.raises(DownloadError):
            await client.download(made, tmp_path)
    assert {False} == {keyed for _, _, keyed in api.asked}
