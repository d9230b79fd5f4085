"""The client in front of the sandbox: what a user sees, and what the provider was asked for and charged."""

from __future__ import annotations

import asyncio
import copy
import logging
import pickle
import traceback
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import anyio
import anyio.lowlevel
import httpx
import pytest

from kling_async import (
    AnswerLost,
    AuthenticationError,
    Client,
    ContentRejected,
    DownloadError,
    FailureKind,
    ImageInput,
    InputError,
    InsufficientBalance,
    KlingError,
    MissingAPIKey,
    OutputKind,
    PermissionDenied,
    Prediction,
    PredictionFailed,
    ProviderUnavailable,
    RateLimited,
    Shot,
    Status,
    VideoInput,
    WaitTimeout,
)
from kling_async.providers import provider_named
from kling_async.testing import FAULTS, FaultStage, Fixed, Sandbox, SandboxServer

from .conftest import ORIGIN, OpenClient

pytestmark = pytest.mark.anyio

REFERENCE = "https://example.com/reference.jpg"

OPERATIONS = {
    "gptproto text-to-image": ("gptproto", ImageInput("a cat", n=2, resolution="2k", aspect_ratio="2:1")),
    "gptproto image-to-image": ("gptproto", ImageInput("a cat", images=[REFERENCE] * 10)),
    "gptproto text-to-video": ("gptproto", VideoInput("a cat", duration=10)),
    "gptproto image-to-video": ("gptproto", VideoInput("a cat", image=REFERENCE, model="kling-video-o1-pro")),
    "gptproto last image": ("gptproto", VideoInput("a cat", image=REFERENCE, last_image=REFERENCE, duration=7)),
    "gptproto reference-to-video": ("gptproto", VideoInput("a cat", images=[REFERENCE], duration=3)),
    "gptproto video-to-video": (
        "gptproto",
        VideoInput("a cat", video=REFERENCE, keep_original_sound=False, duration=8),
    ),
    "gptproto shots": ("gptproto", VideoInput("a cat", duration=10, shots=[Shot("wakes", 4), Shot("yawns", 6)])),
    "apiinone image": ("apiinone", ImageInput("a cat", aspect_ratio="21:9", n=3)),
    "apiinone image-to-image": ("apiinone", ImageInput("a cat", images=[REFERENCE])),
    "apiinone multi-shot": ("apiinone", ImageInput("a cat", images=[REFERENCE], multi_shot=True)),
    "apiinone video": ("apiinone", VideoInput("a cat", model="kling-3", duration=15)),
    "apiinone shots": ("apiinone", VideoInput("", model="kling-3", duration=5, shots=[Shot("a", 2), Shot("b", 3)])),
    "fal text-to-image": ("fal", ImageInput("a cat", n=2, resolution="4k", aspect_ratio="21:9")),
    "fal image-to-image": ("fal", ImageInput("a cat", images=[REFERENCE] * 10, model="kling-image-o1")),
    "fal one image": ("fal", ImageInput("a cat", images=[REFERENCE], model="kling-image-3.0")),
    "fal text-to-video": ("fal", VideoInput("a cat", duration=15, sound=True, aspect_ratio="1:1")),
    "fal image-to-video": ("fal", VideoInput("a cat", image=REFERENCE, last_image=REFERENCE, model="kling-3.0-pro")),
    "fal image-to-video of O3": ("fal", VideoInput("a cat", image=REFERENCE, model="kling-3.0-omni-pro")),
    "fal image-to-video of turbo": ("fal", VideoInput("a cat", image=REFERENCE, model="kling-3.0-turbo-std")),
    "fal references": ("fal", VideoInput("a cat", images=[REFERENCE], model="kling-o1-std", duration=3)),
    "fal references and a video": ("fal", VideoInput("a cat", images=[REFERENCE], video=REFERENCE)),
    "fal video-edit": ("fal", VideoInput("a cat", video=REFERENCE, scene="video-edit", keep_original_sound=False)),
    "fal motion-control": ("fal", VideoInput(image=REFERENCE, video=REFERENCE, model="kling-2.6-std")),
    "fal shots": ("fal", VideoInput(duration=5, shots=[Shot("a", 2), Shot("b", 3)])),
    "fal keyframes": (
        "fal",
        VideoInput("a cat", image=REFERENCE, keyframes=[REFERENCE] * 8, model="kling-4.0", resolution="1080p"),
    ),
    "fal shots of 4.0": ("fal", VideoInput("a", duration=5, shots=[Shot("a", 2), Shot("b", 3)], model="kling-4.0")),
    "fal edit of 4.0": ("fal", VideoInput("a cat", videos=[REFERENCE], scene="video-edit", model="kling-4.0")),
}


@pytest.mark.parametrize(("provider", "input"), OPERATIONS.values(), ids=OPERATIONS.keys())
async def test_every_operation_from_input_to_file(
    open_client: OpenClient, tmp_path: Path, provider: str, input: ImageInput | VideoInput
) -> None:
    """Each documented operation succeeds at a strict sandbox, is posted and charged once, and becomes files."""
    async with open_client() as at:
        prediction = await at.client.generate(input, provider=provider, key="job")
        files = await at.client.download(prediction, tmp_path)
    assert Status.SUCCEEDED is prediction.status
    model = provider_named(provider).spec(input).name
    assert (provider, model, "job") == (prediction.provider, prediction.model, prediction.key)
    assert 1 == at.sandbox.submits == at.sandbox.billed()
    suffix = ".png" if isinstance(input, ImageInput) else ".mp4"
    count = input.n if isinstance(input, ImageInput) else 1
    assert [f"job-{index}{suffix}" for index in range(count)] == [path.name for path in files]
    assert all(path.stat().st_size > 100 for path in files)
    assert {OutputKind.IMAGE if suffix == ".png" else OutputKind.VIDEO} == {one.kind for one in prediction.outputs}


async def test_submit_refresh_wait(open_client: OpenClient) -> None:
    """The steps one by one: accepted at once, running when looked at early, finished when waited for."""
    async with open_client(image_latency=Fixed(8.0)) as at:
        accepted = await at.client.submit(ImageInput("a cat"))
        assert Status.QUEUED is accepted.status
        await at.clock.sleep(4.0)
        running = await at.client.refresh(accepted)
        assert Status.RUNNING is running.status
        finished = await at.client.wait(running)
        assert Status.SUCCEEDED is finished.status
        assert accepted.id == finished.id
        polls = at.sandbox.polls
        assert finished is await at.client.wait(finished)
        assert polls == at.sandbox.polls


async def test_a_finished_prediction_is_not_waited_for(open_client: OpenClient) -> None:
    """A submission that comes back finished (enable_sync_mode) ends there, without a poll."""
    async with open_client(image_latency=Fixed(5.0)) as at:
        prediction = await at.client.generate(ImageInput("a cat", extra={"enable_sync_mode": True}))
        assert Status.SUCCEEDED is prediction.status
        assert 0 == at.sandbox.polls


async def test_the_sync_time_out_form_is_polled_on(open_client: OpenClient) -> None:
    """Told that the synchronous wait is over (code 5004), the client polls what was accepted."""
    async with open_client(image_latency=Fixed(200.0)) as at:
        prediction = await at.client.generate(ImageInput("a cat", extra={"enable_sync_mode": True}))
        assert Status.SUCCEEDED is prediction.status
        assert at.sandbox.polls > 0
        assert 1 == at.sandbox.submits


async def test_detection_is_not_late(open_client: OpenClient) -> None:
    """Waiting costs few polls and little time after the work is done."""
    async with open_client(video_latency=Fixed(90.0)) as at:
        began = at.clock.now()
        await at.client.generate(VideoInput("a dog"))
        assert 90.0 <= at.clock.now() - began < 105.0
        assert at.sandbox.polls < 40


async def test_a_rate_limit_is_waited_out(open_client: OpenClient) -> None:
    """A 429 was refused before work, so the submission is sent again after at least the wait that was asked for."""
    async with open_client(retry_after="7") as at:
        began = at.clock.now()
        await at.client.submit(ImageInput("a cat [[rate_limited:2]]"))
        assert at.clock.now() - began >= 14.0
    assert 3 == at.sandbox.submits
    assert 1 == at.sandbox.billed()


async def test_rate_limits_end(open_client: OpenClient) -> None:
    """A provider that never stops saying 429 is asked eight times, and the error says what it was."""
    async with open_client() as at:
        with pytest.raises(RateLimited) as caught:
            await at.client.submit(ImageInput("a cat [[rate_limited:99]]"))
    assert 8 == at.sandbox.submits
    assert 0 == at.sandbox.billed()
    assert not caught.value.may_be_billed


async def test_no_repetition_beyond_the_deadline(open_client: OpenClient) -> None:
    """Where the next try would come after the time is up, the last error is told at once."""
    async with open_client(retry_after="200") as at:
        began = at.clock.now()
        with pytest.raises(RateLimited):
            await at.client.submit(ImageInput("a cat [[rate_limited:9]]"), wait_timeout=100.0)
        assert at.clock.now() - began < 1.0
    assert 1 == at.sandbox.submits


REFUSALS = {
    "unauthorized": AuthenticationError,
    "forbidden": PermissionDenied,
    "no_balance": InsufficientBalance,
    "refused": ContentRejected,
}


@pytest.mark.parametrize("provider", ["gptproto", "apiinone", "fal"])
@pytest.mark.parametrize(("fault", "kind"), REFUSALS.items())
async def test_a_refusal_is_told_as_what_it_is(
    open_client: OpenClient, provider: str, fault: str, kind: type[KlingError]
) -> None:
    """A refusal is not repeated, costs nothing, and says so."""
    async with open_client(provider=provider) as at:
        with pytest.raises(kind) as caught:
            await at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="job")
    assert (provider, "job", False) == (caught.value.provider, caught.value.key, caught.value.may_be_billed)
    assert (1, 0) == (at.sandbox.submits, at.sandbox.billed())


LOST = ["lost", "garbled", "no_id", "html", "dropped", "error_500", "error_502", "error_503", "error_504"]


@pytest.mark.parametrize("provider", ["gptproto", "apiinone", "fal"])
@pytest.mark.parametrize("fault", LOST)
async def test_a_lost_answer_is_unconfirmed_and_never_sent_again(
    open_client: OpenClient, provider: str, fault: str
) -> None:
    """Whatever leaves it open whether work has started: one POST, at most one charge, and an error that says so."""
    async with open_client(provider=provider) as at:
        with pytest.raises(AnswerLost) as caught:
            await at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="job")
        await at.clock.sleep(1000.0)
    assert caught.value.may_be_billed
    assert "job" == caught.value.key
    assert caught.value.__cause__ is not None
    assert 1 == at.sandbox.submits
    assert int(bool(FAULTS[fault].billed)) == at.sandbox.billed()


async def test_an_answer_that_never_comes_is_lost_by_the_deadline(open_client: OpenClient) -> None:
    """A provider that takes a submission and says nothing leaves it unconfirmed after request_timeout."""
    async with open_client(request_timeout=0.5) as at:
        with pytest.raises(AnswerLost, match="0.5 s"):
            await at.client.generate(ImageInput("a cat [[hang]]"))
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())


PASSING = [
    name
    for name, note in FAULTS.items()
    if note.stage is FaultStage.POLL and name not in ("poll_unauthorized", "poll_forbidden", "poll_hang")
]


@pytest.mark.parametrize("fault", PASSING)
async def test_a_poll_that_fails_fails_no_prediction(open_client: OpenClient, fault: str) -> None:
    """What goes wrong while looking is waited out, and the submission stays one."""
    async with open_client(request_timeout=5.0) as at:
        prediction = await at.client.generate(ImageInput(f"a cat [[{fault}:3]]"))
    assert Status.SUCCEEDED is prediction.status
    assert 1 == at.sandbox.submits
    assert at.sandbox.polls > 3


@pytest.mark.parametrize(("fault", "kind"), [("unauthorized", AuthenticationError), ("forbidden", PermissionDenied)])
async def test_a_refused_poll_keeps_the_id(open_client: OpenClient, fault: str, kind: type[KlingError]) -> None:
    """When the provider will not say, the error carries the id of what is paid for."""
    async with open_client() as at:
        accepted = await at.client.submit(ImageInput(f"a cat [[poll_{fault}:99]]"))
        with pytest.raises(kind) as caught:
            await at.client.wait(accepted)
    assert accepted.id == caught.value.id
    assert caught.value.may_be_billed
    assert "client.wait" in str(caught.value)


async def test_refresh_gives_up_after_its_time(open_client: OpenClient) -> None:
    """A single look is repeated for request_timeout, and then tells why there is no answer."""
    async with open_client() as at:
        accepted = await at.client.submit(ImageInput("a cat [[poll_error_503:999]]"))
        began = at.clock.now()
        with pytest.raises(ProviderUnavailable):
            await at.client.refresh(accepted)
        assert at.clock.now() - began <= 30.0


async def test_an_unknown_id_is_told_in_the_end(open_client: OpenClient) -> None:
    """A 404 may be a provider that has not caught up; after a minute it is an answer."""
    async with open_client() as at:
        accepted = await at.client.submit(ImageInput("a cat [[poll_not_found:999]]"))
        began = at.clock.now()
        with pytest.raises(KlingError) as caught:
            await at.client.wait(accepted)
        assert 60.0 <= at.clock.now() - began <= 120.0
    assert 404 == caught.value.http_status


@pytest.mark.parametrize(
    ("marker", "kind"),
    [("failed:no luck", FailureKind.FAILED), ("cancelled", FailureKind.CANCELLED), ("empty", FailureKind.NO_OUTPUT)],
)
async def test_a_prediction_that_fails_is_an_error_that_carries_it(
    open_client: OpenClient, marker: str, kind: FailureKind
) -> None:
    """An accepted prediction that does not succeed is told by PredictionFailed, with the provider's reason."""
    async with open_client() as at:
        with pytest.raises(PredictionFailed) as caught:
            await at.client.generate(ImageInput(f"a cat [[{marker}]]"), key="job")
    prediction = caught.value.prediction
    assert prediction.failure is not None
    assert kind is prediction.failure.kind
    assert prediction.status.is_terminal
    assert "job" == prediction.key


async def test_failures_are_free_where_the_provider_says_so(open_client: OpenClient) -> None:
    """API in One bills what succeeds; GPTProto does not say, so money may be spent."""
    async with open_client() as at:
        for provider, billed in (("apiinone", False), ("gptproto", True)):
            with pytest.raises(PredictionFailed) as caught:
                await at.client.generate(ImageInput(f"a {provider} [[failed]]"), provider=provider)
            assert billed == caught.value.may_be_billed
    assert Decimal(0) == at.sandbox.spent - sum(
        entry.amount for entry in at.sandbox.entries if entry.provider == "gptproto"
    )


async def test_an_unknown_status_word_means_still_running(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A word nobody documented keeps the prediction running, is kept, and is logged once."""
    async with open_client(image_latency=Fixed(8.0)) as at:
        accepted = await at.client.submit(ImageInput("a cat [[unknown_status:pondering]]"))
        await at.clock.sleep(4.0)
        running = await at.client.refresh(accepted)
        assert (Status.RUNNING, "pondering") == (running.status, running.native_status)
        assert Status.SUCCEEDED is (await at.client.wait(running)).status
    assert 1 == caplog.text.count("'pondering'")


async def test_a_wait_that_is_too_short_keeps_the_prediction(open_client: OpenClient) -> None:
    """WaitTimeout carries what is running, and waiting can go on with it."""
    async with open_client(video_latency=Fixed(90.0)) as at:
        with pytest.raises(WaitTimeout) as caught:
            await at.client.generate(VideoInput("a dog"), wait_timeout=10.0)
        assert caught.value.may_be_billed
        prediction = await at.client.wait(caught.value.prediction)
    assert Status.SUCCEEDED is prediction.status
    assert (1, 1) == (at.sandbox.submits, at.sandbox.billed())


async def test_a_provider_in_trouble_ends_a_wait_by_its_time(open_client: OpenClient) -> None:
    """When every look fails, waiting still ends, and says why."""
    async with open_client() as at:
        accepted = await at.client.submit(ImageInput("a cat [[poll_error_502:999]]"))
        began = at.clock.now()
        with pytest.raises(WaitTimeout) as caught:
            await at.client.wait(accepted, wait_timeout=60.0)
        assert at.clock.now() - began <= 61.0
    assert isinstance(caught.value.__cause__, ProviderUnavailable)


async def test_a_finished_prediction_stays_finished(open_client: OpenClient) -> None:
    """A provider that later says "running" again does not take a result back."""
    async with open_client(image_latency=Fixed(8.0)) as at:
        prediction = await at.client.generate(ImageInput("a cat"))
        late = await at.client.submit(ImageInput("another cat"))
        mixed_up = Prediction(
            provider="gptproto",
            model=prediction.model,
            id=late.id,
            status=Status.SUCCEEDED,
            native_status="completed",
            outputs=prediction.outputs,
        )
        assert mixed_up is await at.client.refresh(mixed_up)


async def test_map_keeps_the_order_and_the_failures(open_client: OpenClient) -> None:
    """Every input has an outcome at its place; one failure stops no other, and nothing is charged twice."""
    prompts = ["a cat", "a dog [[refused]]", "a fox [[failed]]", "a hen [[lost]]", "an owl"]
    async with open_client() as at:
        outcomes = await at.client.map([ImageInput(prompt) for prompt in prompts])
    assert prompts == [outcome.job.input.prompt for outcome in outcomes]
    assert [True, False, False, False, True] == [outcome.ok for outcome in outcomes]
    assert [None, ContentRejected, PredictionFailed, AnswerLost, None] == [
        None if outcome.error is None else type(outcome.error) for outcome in outcomes
    ]
    assert [True, False, True, False, True] == [outcome.prediction is not None for outcome in outcomes]
    assert all(at.sandbox.billed(prompt) <= 1 for prompt in prompts)
    assert 5 == len({outcome.job.key for outcome in outcomes})


async def test_map_of_many_is_concurrent(open_client: OpenClient) -> None:
    """Two hundred inputs take about as long as one."""
    async with open_client(image_latency=Fixed(8.0)) as at:
        began = at.clock.now()
        outcomes = await at.client.map([ImageInput(f"cat {number}") for number in range(200)])
        assert at.clock.now() - began < 12.0
    assert all(outcome.ok for outcome in outcomes)
    assert 200 == at.sandbox.billed()


async def test_map_checks_all_before_it_sends_any(open_client: OpenClient) -> None:
    """One wrong input among many, named by its position, and nothing was sent."""
    async with open_client() as at:
        with pytest.raises(InputError, match="Job 1: ") as caught:
            await at.client.map([ImageInput("a cat"), ImageInput("", n=12)])
    assert {"prompt", "n"} == {fault.field for fault in caught.value.faults}
    assert 0 == at.sandbox.submits


async def test_a_cancelled_caller_loses_no_id(open_client: OpenClient, caplog: pytest.LogCaptureFixture) -> None:
    """When the caller goes away during a submission, it ends all the same, and its id is told in the log."""
    async with open_client() as at:
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def cancel() -> None:
                    while not at.sandbox.submits:
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                group.start_soon(cancel)
                await at.client.submit(ImageInput("a cat", extra={"enable_sync_mode": True}), key="job")
        assert scope.cancelled_caught
    [entry] = at.sandbox.entries
    assert f"id={entry.id} key=job" in caplog.text


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_wait_for_cancels_no_request(
    open_client: OpenClient, caplog: pytest.LogCaptureFixture, anyio_backend: str
) -> None:
    """Asyncio's own cancellation, which passes through shields, does not reach a submission either."""
    async with open_client() as at:
        task = asyncio.create_task(at.client.submit(ImageInput("a cat", extra={"enable_sync_mode": True}), key="job"))
        while not at.sandbox.submits:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    [entry] = at.sandbox.entries
    assert f"id={entry.id} key=job" in caplog.text


async def test_errors_leave_the_client_unwrapped(open_client: OpenClient) -> None:
    """`except ContentRejected` around the whole `async with` catches it: no ExceptionGroup comes between."""
    with pytest.raises(ContentRejected):
        async with open_client() as at:
            await at.client.generate(ImageInput("a cat [[refused]]"))


async def test_a_client_that_is_not_open_says_so() -> None:
    """Before `async with`, and after it, a call is a clear error."""
    client = Client(api_keys={"gptproto": "sk-sandbox"}, base_urls={"gptproto": ORIGIN})
    with pytest.raises(RuntimeError, match="async with Client"):
        await client.submit(ImageInput("a cat"))
    async with client:
        pass
    with pytest.raises(RuntimeError, match="async with Client"):
        await client.submit(ImageInput("a cat"))


async def test_a_client_is_opened_once(open_client: OpenClient) -> None:
    """A client that is open, or was, refuses to be opened again, and says what to do; one that is open works on."""
    async with open_client() as at:
        with pytest.raises(RuntimeError, match="make a new one"):
            await at.client.__aenter__()
        assert (await at.client.generate(ImageInput("a cat"))).outputs
        asked = len(at.sandbox.log)
    with pytest.raises(RuntimeError, match="make a new one"):
        async with at.client:
            pytest.fail("it opened")
    with pytest.raises(RuntimeError, match="async with Client"):
        await at.client.generate(ImageInput("a cat"))
    assert asked == len(at.sandbox.log)


BAD_SETTINGS = [
    ({"provider": "gptprto"}, "did you mean gptproto"),
    ({"api_keys": {"apinone": "sk-x"}}, "did you mean apiinone"),
    ({"base_urls": {"gptproto": "gptproto.com"}}, "Malformed base URL"),
    ({"base_urls": {"gptproto": "http://gptproto.com"}}, "Insecure base URL"),
    ({"request_timeout": 0}, "request_timeout"),
    ({"request_timeout": float("nan")}, "request_timeout"),
    ({"request_timeout": True}, "request_timeout"),
    ({"auth_schemes": {"apiinone": "bare"}}, "must be one of bearer"),
]


@pytest.mark.parametrize(("settings", "text"), BAD_SETTINGS)
def test_wrong_settings_are_refused_at_once(settings: dict[str, object], text: str) -> None:
    """A client that could not work cannot be made."""
    with pytest.raises(InputError, match=text):
        Client(**settings)  # type: ignore[arg-type]


async def test_no_key_is_told_before_anything_is_sent() -> None:
    """The error names the variable to set."""
    with pytest.raises(MissingAPIKey, match="GPTPROTO_API_KEY") as caught:
        await Client().open()
    assert "GPTPROTO_API_KEY" == caught.value.env
    async with Client(api_key="sk-some-key") as client:
        with pytest.raises(MissingAPIKey, match="APIINONE_API_KEY"):
            await client.generate(ImageInput("a cat"), provider="apiinone")


async def test_bad_input_is_refused_before_it_costs(open_client: OpenClient) -> None:
    """An unknown model, another provider's model, something else than an input, a bad key: all before any request."""
    async with open_client() as at:
        for wrong in (ImageInput("a cat", model="kling-image-01"), VideoInput("a dog", model="kling-3")):
            with pytest.raises(InputError, match="Unknown model"):
                await at.client.generate(wrong)
        with pytest.raises(InputError, match="ImageInput or a VideoInput"):
            await at.client.generate("a cat")  # type: ignore[arg-type]
        with pytest.raises(InputError, match="key"):
            await at.client.generate(ImageInput("a cat"), key="")
        with pytest.raises(InputError, match="pathlib.Path"):
            await at.client.generate(ImageInput("a cat", images=["./cat.png"]))
        with pytest.raises(InputError, match="wait_timeout"):
            await at.client.generate(ImageInput("a cat"), wait_timeout=0)
        with pytest.raises(InputError, match="Unknown provider"):
            await at.client.generate(ImageInput("a cat"), provider="nobody")
    assert [] == at.sandbox.log


async def test_estimates_need_no_key() -> None:
    """What is published is added up; what is not is named, and is never 0."""
    client = Client()
    known = client.estimate([ImageInput("a cat")] * 3, provider="apiinone")
    assert (Decimal("0.036"), True) == (known.high, known.known)
    unknown = client.estimate([ImageInput("a cat")])
    assert (False, ("kling-image-o1",)) == (unknown.known, unknown.unpriced)
    with pytest.raises(InputError):
        client.estimate([ImageInput("")])


async def test_calls_without_a_key_name_themselves_apart(open_client: OpenClient, tmp_path: Path) -> None:
    """The same input twice is two purchases, with files of their own."""
    async with open_client() as at:
        files = [await at.client.download(await at.client.generate(ImageInput("a cat")), tmp_path) for _ in range(2)]
    assert 2 == len({path for saved in files for path in saved})


async def test_only_what_succeeded_is_downloaded(open_client: OpenClient, tmp_path: Path) -> None:
    """A prediction that is still running has nothing to download, and the error says what it is."""
    async with open_client() as at:
        accepted = await at.client.submit(ImageInput("a cat"))
        with pytest.raises(DownloadError, match="queued"):
            await at.client.download(accepted, tmp_path)


async def test_a_directory_that_cannot_be_written_loses_nothing(open_client: OpenClient, tmp_path: Path) -> None:
    """The prediction is kept, and downloads elsewhere."""
    (tmp_path / "file").touch()
    async with open_client() as at:
        prediction = await at.client.generate(ImageInput("a cat"), key="job")
        with pytest.raises(DownloadError, match="cannot be written"):
            await at.client.download(prediction, tmp_path / "file" / "below")
        assert [tmp_path / "job-0.png"] == await at.client.download(prediction, tmp_path)


@pytest.mark.parametrize("fault", ["file_error_500", "file_rate_limited", "file_lost"])
async def test_downloads_are_tried_again(open_client: OpenClient, tmp_path: Path, fault: str) -> None:
    """Trouble of the file's server passes."""
    async with open_client() as at:
        prediction = await at.client.generate(ImageInput(f"a cat [[{fault}]]"), key="job")
        assert [tmp_path / "job-0.png"] == await at.client.download(prediction, tmp_path)


async def test_a_download_error_names_its_job(open_client: OpenClient, tmp_path: Path) -> None:
    """Provider, key and id are fields of the error, and the address shows without its query."""
    async with open_client() as at:
        prediction = await at.client.generate(ImageInput("a cat [[file_gone:2]]"), key="job")
        with pytest.raises(DownloadError) as caught:
            await at.client.download(prediction, tmp_path)
    assert ("gptproto", "job", prediction.id, 410) == (
        caught.value.provider,
        caught.value.key,
        caught.value.id,
        caught.value.http_status,
    )


async def test_the_bare_key_is_sent_where_asked() -> None:
    """At GPTProto the key may stand alone in its header."""
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(200, json={"data": {"id": "abc", "status": "created"}, "code": 200})

    settings = {"api_keys": {"gptproto": "sk-x1"}, "transport": httpx.MockTransport(answer)}
    async with Client(auth_schemes={"gptproto": "bare"}, **settings) as client:  # type: ignore[arg-type]
        await client.submit(ImageInput("a cat"))
    async with Client(**settings) as client:  # type: ignore[arg-type]
        await client.submit(ImageInput("a cat"))
    assert ["sk-x1", "Bearer sk-x1"] == seen


CANARY = "sk-canary-7f3a9b"


def _locals_of(error: BaseException | None) -> list[str]:
    """Return what a traceback with locals prints of the package's own frames; the sandbox may know its key."""
    shown: list[str] = []
    while error is not None:
        for frame in traceback.TracebackException.from_exception(error, capture_locals=True).stack:
            if "/kling_async/" in frame.filename and "/testing/" not in frame.filename:
                shown.append(repr(frame.locals))
        error = error.__cause__
    return shown


@pytest.mark.parametrize(
    "settings",
    [
        {"api_keys": {"gptproto": CANARY}, "base_urls": {"gptproto": "nonsense"}},
        {"api_keys": {"gptprto": CANARY}},
        {"api_keys": {"gptproto": f"{CANARY} two words"}},
    ],
)
async def test_no_wrong_setting_shows_the_key(settings: dict[str, dict[str, str]]) -> None:
    """A client that cannot be made, or a key that cannot be one, shows no key either."""
    with pytest.raises(InputError) as caught:
        async with Client(**settings) as client:  # type: ignore[arg-type]
            await client.submit(ImageInput("a cat"))
    shown = [str(caught.value), repr(caught.value.__dict__), *_locals_of(caught.value)]
    assert not [text for text in shown if CANARY in text]


ALL_FAULTS = [name for name in FAULTS if name != "hang" and not name.endswith("_hang")]


@pytest.mark.parametrize("fault", ALL_FAULTS)
async def test_no_error_path_shows_the_key(
    open_client: OpenClient, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """Through every fault there is, the key is in no error, traceback, log or prediction."""
    caplog.set_level(logging.DEBUG)
    argument = ":data.outputs" if fault == "shape" else ""
    shown: list[str] = []
    async with open_client(key=CANARY) as at:
        try:
            prediction = await at.client.generate(ImageInput(f"a cat [[{fault}{argument}]]"), wait_timeout=100.0)
            shown.append(f"{prediction!r} {prediction.raw!r}")
            await at.client.download(prediction, tmp_path)
        except KlingError as error:
            shown += [str(error), repr(error), repr(error.__dict__)]
            shown += _locals_of(error)
        shown.append(repr(at.client))
    assert shown
    assert CANARY not in caplog.text
    assert not [text for text in shown if CANARY in text]


@pytest.mark.parametrize("provider", ["gptproto", "apiinone"])
async def test_over_a_real_socket(tmp_path: Path, provider: str) -> None:
    """The whole way once more through a real server on this machine, with a 429 on it."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.05), video_latency=Fixed(0.05), retry_after="0")
    with SandboxServer(sandbox) as server:
        settings = {"api_keys": {provider: sandbox.key}, "base_urls": {provider: server.url}}
        async with Client(provider, **settings) as client:  # type: ignore[arg-type]
            prediction = await client.generate(ImageInput("a cat [[rate_limited]] [[poll_lost]]", n=2), key="job")
            files = await client.download(prediction, tmp_path)
            with pytest.raises(AnswerLost):
                await client.generate(ImageInput("a dog [[lost]]"))
    assert ["job-0.png", "job-1.png"] == [path.name for path in files]
    assert (1, 1) == (sandbox.billed("a cat [[rate_limited]] [[poll_lost]]"), sandbox.billed("a dog [[lost]]"))
    assert 3 == sandbox.submits


@pytest.mark.parametrize("spill", [pickle.dumps, copy.copy, copy.deepcopy])
async def test_a_client_and_its_batches_are_neither_pickled_nor_copied(
    open_client: OpenClient, spill: Callable[[object], object]
) -> None:
    """A copy would share connections, limits and a journal with the original, so each way to make one is refused."""
    async with open_client() as at:
        for held in (at.client, at.client.batch([])):
            with pytest.raises(TypeError, match=f"A {type(held).__name__} cannot be pickled or copied: .* Make one"):
                spill(held)


async def test_any_task_may_close_a_client(open_client: OpenClient) -> None:
    """`aclose` from another task: callers that wait are told, closing it once more is nothing, and nothing is lost."""
    told: list[KlingError] = []
    async with open_client(image_latency=Fixed(100.0)) as at, anyio.create_task_group() as group:

        async def ask() -> None:
            try:
                await at.client.generate(ImageInput("a cat"))
            except KlingError as error:
                told.append(error)

        group.start_soon(ask)
        await at.clock.sleep(10.0)
        async with anyio.create_task_group() as closing:
            closing.start_soon(at.client.aclose)
            closing.start_soon(at.client.aclose)
        await at.clock.sleep(1.0)
    assert [WaitTimeout] == list(map(type, told))
    assert 1 == at.sandbox.billed()


class Silent(httpx.AsyncBaseTransport):
    """A provider that takes requests and never answers."""

    def __init__(self) -> None:
        self.asked = anyio.Event()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.set()
        await anyio.sleep_forever()
        raise AssertionError


def test_what_the_end_of_the_loop_cuts_off_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """`asyncio.run` cancels what still runs, shields or not: a submission that it cuts off is told of, with its key."""

    async def main() -> None:
        transport = Silent()

        async def ask() -> None:
            async with Client(
                api_keys={"gptproto": "sk-x"}, base_urls={"gptproto": ORIGIN}, transport=transport
            ) as client:
                await client.generate(ImageInput("a cat"), key="order-17")

        asking = asyncio.create_task(ask())
        await transport.asked.wait()
        assert not asking.done()

    asyncio.run(main())
    [told] = [record for record in caplog.records if record.levelno == logging.CRITICAL]
    assert "cut off: provider=gptproto key=order-17: it may be billed" in told.getMessage()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancelled_client_lets_go_of_its_journal(tmp_path: Path) -> None:
    """Cancelled natively at any turn of opening or closing, twice over, a client leaves its journal to the next one."""
    path = tmp_path / "journal.db"

    async def use() -> None:
        async with Client(api_keys={"gptproto": "sk-x"}, journal=path):
            await anyio.lowlevel.checkpoint()

    for turns in range(40):
        using = asyncio.create_task(use())
        for _ in range(2):
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            using.cancel()
        await asyncio.wait([using])
        await use()
