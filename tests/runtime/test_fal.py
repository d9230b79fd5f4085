"""A provider with a queue: the client in front of the sandbox's fal, from submissions to files, and what goes wrong."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import anyio
import httpx
import pytest
from attrs import evolve

from kling_async import (
    AnswerLost,
    Client,
    FailureKind,
    ImageInput,
    Job,
    Limits,
    OutputKind,
    PredictionFailed,
    Status,
    VideoInput,
    WaitTimeout,
)
from kling_async.errors import AuthenticationError, ContentRejected, InsufficientBalance
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxApp, SandboxServer, VirtualClock
from kling_async.types.inputs import Scene

from ..conftest import ORIGIN, OpenClient

pytestmark = pytest.mark.anyio

CAT, DOG = ImageInput("a cat"), VideoInput("a dog")


async def test_a_video_is_two_requests_at_the_end(open_client: OpenClient) -> None:
    """Each poll is one GET of the status; only the last one requests the result as well."""
    async with open_client(provider="fal", video_latency=Fixed(90.0)) as at:
        prediction = await at.client.generate(DOG, key="dog")
        paths = [one.path for one in at.sandbox.log if one.kind == "poll"]
    base = f"/fal-ai/kling-video/requests/{prediction.id}"
    assert [f"{base}/status"] * (len(paths) - 1) + [base] == paths
    assert (Status.SUCCEEDED, "COMPLETED", Decimal("0.420")) == (
        prediction.status,
        prediction.native_status,
        prediction.cost,
    )
    assert 90.0 == prediction.timings.inference_seconds
    assert [OutputKind.VIDEO] == [one.kind for one in prediction.outputs]
    assert Decimal("0.420") == at.sandbox.spent


A, C = "https://example.com/a.png", "https://example.com/c.mp4"
LEAST: dict[Scene, ImageInput | VideoInput] = {
    Scene.TEXT_TO_IMAGE: CAT,
    Scene.IMAGE_TO_IMAGE: ImageInput("a cat", images=(A,)),
    Scene.TEXT_TO_VIDEO: DOG,
    Scene.IMAGE_TO_VIDEO: VideoInput("a dog", image=A),
    Scene.REFERENCE_TO_VIDEO: VideoInput("a dog", images=(A,)),
    Scene.VIDEO_EDIT: VideoInput("a dog", video=C, scene="video-edit"),
    Scene.MOTION_CONTROL: VideoInput("a dog", image=A, video=C),
}
SCENES = [(spec.canonical, scene) for spec in PROVIDERS["fal"].models.values() for scene in spec.scenes]


@pytest.mark.parametrize(("model", "scene"), SCENES)
async def test_every_scene_of_every_model(open_client: OpenClient, model: str, scene: Scene) -> None:
    """The strict sandbox, which knows each endpoint's fields from the documents, takes it, at the expected price."""
    async with open_client(provider="fal") as at:
        prediction = await at.client.generate(evolve(LEAST[scene], model=model))
        assert Status.SUCCEEDED is prediction.status
        assert prediction.cost in (None, at.sandbox.spent)
        assert 1 == at.sandbox.billed()


async def test_a_batch_becomes_files(open_client: OpenClient, tmp_path: Path) -> None:
    """Jobs of several models and scenes are each submitted once, and each has its files."""
    inputs = [
        CAT,
        ImageInput("two cats", model="kling-image-3.0", n=2),
        DOG,
        VideoInput("an old dog", model="kling-4.0", resolution="720p"),
    ]
    async with open_client(provider="fal", slots=2) as at:
        batch = at.client.batch([Job(one, key=f"job{index}") for index, one in enumerate(inputs)], save_to=tmp_path)
        async with batch:
            outcomes = [outcome async for outcome in batch]
    assert [True] * 4 == [outcome.ok for outcome in outcomes]
    assert (4, 4) == (at.sandbox.submits, at.sandbox.billed())
    names = ["job0-0.png", "job1-0.png", "job1-1.png", "job2-0.mp4", "job3-0.mp4"]
    assert names == sorted(path.name for outcome in outcomes for path in outcome.files)


@pytest.mark.parametrize(
    ("marker", "kind", "code"),
    [
        ("failed:no luck", FailureKind.FAILED, "no_media_generated"),
        ("failed:content_policy_violation", FailureKind.CONTENT_REJECTED, "content_policy_violation"),
        ("failed:request_timeout", FailureKind.FAILED, "request_timeout"),
        ("cancelled", FailureKind.CANCELLED, None),
        ("empty", FailureKind.NO_OUTPUT, None),
    ],
)
async def test_a_failure_is_told_with_its_reason(
    open_client: OpenClient, marker: str, kind: FailureKind, code: str | None
) -> None:
    """COMPLETED is no success by itself: the result, or the error beside the status, decides."""
    async with open_client(provider="fal") as at:
        with pytest.raises(PredictionFailed) as caught:
            await at.client.generate(VideoInput(f"a dog [[{marker}]]"), key="dog")
    failure = caught.value.prediction.failure
    assert failure is not None
    assert (kind, code) == (failure.kind, failure.code)
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())


async def test_what_a_server_could_not_do_is_free(open_client: OpenClient) -> None:
    """An error of fal's servers is never billed, while an input that the model rejects may be."""
    async with open_client(provider="fal") as at:
        for type, free in (("runner_disconnected", True), ("no_media_generated", False)):
            with pytest.raises(PredictionFailed) as caught:
                await at.client.generate(VideoInput(f"a dog [[failed:{type}]]"))
            assert free == (caught.value.prediction.cost == 0)
            assert free != caught.value.may_be_billed


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("refused", ContentRejected), ("no_balance", InsufficientBalance), ("unauthorized", AuthenticationError)],
)
async def test_a_refusal_costs_nothing(open_client: OpenClient, fault: str, kind: type[Exception]) -> None:
    """A refused submission is told as what it is, and not repeated."""
    async with open_client(provider="fal") as at:
        with pytest.raises(kind):
            await at.client.generate(ImageInput(f"a cat [[{fault}]]"))
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


@pytest.mark.parametrize("fault", ["lost", "garbled", "no_id", "error_504"])
async def test_a_lost_answer_is_never_sent_again(open_client: OpenClient, fault: str) -> None:
    """There is no client id here, so what may have started is unconfirmed, and billed once at most."""
    async with open_client(provider="fal") as at:
        with pytest.raises(AnswerLost) as caught:
            await at.client.generate(VideoInput(f"a dog [[{fault}]]"), key="dog")
        await at.clock.sleep(1000.0)
    assert caught.value.may_be_billed
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())


async def test_a_rate_limit_is_waited_out(open_client: OpenClient) -> None:
    """A 429 is a submission that never started, and is repeated after its Retry-After."""
    async with open_client(provider="fal", retry_after="7") as at:
        began = at.clock.now()
        await at.client.submit(ImageInput("a cat [[rate_limited:2]]"))
        assert at.clock.now() - began >= 14.0
    assert (3, 1) == (at.sandbox.submits, at.sandbox.billed())


@pytest.mark.parametrize("fault", ["error_500", "error_502", "error_504", "rate_limited", "html", "garbled", "lost"])
async def test_a_result_that_cannot_be_had_yet_loses_no_video(open_client: OpenClient, fault: str) -> None:
    """After COMPLETED an outage of the result is no end: the poll is repeated, and the finished video is returned."""
    async with open_client(provider="fal", video_latency=Fixed(90.0)) as at:
        accepted = await at.client.submit(DOG)
        await at.clock.sleep(90.0)
        at.sandbox.script_polls([None, fault, None, fault])
        finished = await at.client.wait(accepted)
    assert Status.SUCCEEDED is finished.status
    assert 6 == at.sandbox.polls
    assert 1 == at.sandbox.billed()


async def test_a_result_that_the_key_may_not_read_keeps_the_id(open_client: OpenClient) -> None:
    """A refused key says nothing about the video: the error carries the id, and later the video is there."""
    async with open_client(provider="fal", video_latency=Fixed(90.0)) as at:
        accepted = await at.client.submit(DOG)
        await at.clock.sleep(90.0)
        at.sandbox.script_polls([None, "unauthorized"])
        with pytest.raises(AuthenticationError) as caught:
            await at.client.wait(accepted)
        assert (accepted.id, True) == (caught.value.id, caught.value.may_be_billed)
        assert Status.SUCCEEDED is (await at.client.wait(accepted)).status


async def test_a_request_is_cancelled(open_client: OpenClient) -> None:
    """PUT cancels what waits or runs; what is finished stays so, and needs no request."""
    async with open_client(provider="fal", video_latency=Fixed(90.0)) as at:
        finished = await at.client.generate(VideoInput("an old dog"))
        assert finished is await at.client.cancel(finished)
        accepted = await at.client.submit(DOG)
        late = await at.client.submit(VideoInput("a late dog"))
        cancelled = await at.client.cancel(accepted)
        assert (Status.CANCELLED, "CANCELED") == (cancelled.status, cancelled.native_status)
        assert Status.CANCELLED is (await at.client.wait(accepted)).status
        await at.clock.sleep(90.0)
        assert Status.SUCCEEDED is (await at.client.cancel(late)).status
    methods = {(one.method, one.path.rpartition("/")[2]) for one in at.sandbox.log if one.kind == "cancel"}
    assert {("PUT", "cancel")} == methods


async def test_what_is_over_the_limit_is_queued(open_client: OpenClient) -> None:
    """With two slots the third request waits at the provider, and is not refused."""
    async with open_client(provider="fal", video_latency=Fixed(60.0), slots=2) as at:
        accepted = [await at.client.submit(VideoInput(f"dog {number}")) for number in range(3)]
        await at.clock.sleep(1.0)
        statuses = [(await at.client.refresh(one)).status for one in accepted]
        assert [Status.RUNNING, Status.RUNNING, Status.QUEUED] == statuses
        with pytest.raises(WaitTimeout):
            await at.client.wait(accepted[2], wait_timeout=100.0)
        assert Status.SUCCEEDED is (await at.client.wait(accepted[2])).status


async def test_addresses_of_another_host_get_no_request_and_no_key() -> None:
    """A reply whose addresses lead elsewhere is polled at the origin of the key all the same."""
    sandbox, seen = Sandbox(strict=True, video_latency=Fixed(5.0)), list[str]()
    async with VirtualClock() as clock:
        inner = httpx.ASGITransport(SandboxApp(sandbox, clock))

        async def foreign(request: httpx.Request) -> httpx.Response:
            seen.append(f"{request.url.scheme}://{request.url.netloc.decode()}")
            answer = await inner.handle_async_request(request)
            body = (await answer.aread()).replace(f"{ORIGIN}/fal-ai".encode(), b"https://evil.test/fal-ai")
            return httpx.Response(answer.status_code, content=body)

        client = Client(
            "fal",
            api_key=sandbox.key_for("fal"),
            base_url=ORIGIN,
            limits=Limits(submit_per_second=None, poll_per_second=None, max_open=None),
            transport=httpx.MockTransport(foreign),
            clock=clock,
        )
        async with client:
            accepted = await client.submit(DOG)
            assert isinstance(accepted.raw, dict)
            assert str(accepted.raw["status_url"]).startswith("https://evil.test/")
            assert Status.SUCCEEDED is (await client.wait(accepted)).status
            await client.cancel(await client.submit(VideoInput("a late dog")))
    assert {ORIGIN} == set(seen)
    assert len(seen) > 5


async def test_one_input_runs_at_each_provider(open_client: OpenClient) -> None:
    """A canonical name and the fields of the input are the same words everywhere."""
    input = VideoInput("a dog", model="kling-3.0-pro", image="https://example.com/a.png", duration=7, sound=False)
    async with open_client(provider="fal") as at:
        for provider in ("gptproto", "apiinone", "fal"):
            assert Status.SUCCEEDED is (await at.client.generate(input, provider=provider)).status
    assert ["gptproto", "apiinone", "fal"] == [entry.provider for entry in at.sandbox.entries]


async def test_over_a_real_socket(tmp_path: Path) -> None:
    """The whole way through a real server on this machine, a cancellation included."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.05), video_latency=Fixed(60.0), retry_after="0")
    with SandboxServer(sandbox) as server:
        async with Client("fal", api_key=sandbox.key_for("fal"), base_url=server.url) as client:
            prediction = await client.generate(ImageInput("a cat [[rate_limited]] [[poll_lost]]", n=2), key="job")
            files = await client.download(prediction, tmp_path)
            accepted = await client.submit(DOG)
            with anyio.fail_after(30):
                assert Status.CANCELLED is (await client.cancel(accepted)).status
    assert ["job-0.png", "job-1.png"] == [path.name for path in files]
    assert 3 == sandbox.submits
