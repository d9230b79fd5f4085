"""Replicate: every reply that its pages, its client's recorded traffic and other clients show, and every request."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve

from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    ContentRejected,
    InputError,
    InsufficientBalance,
    KlingError,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    UnexpectedReply,
)
from kling_async.providers.replicate import Replicate
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status, Timings

PROVIDER = Replicate()
ID = "gm3qorzdhgbfurvjtvhg6dckhu"
MP4 = "https://replicate.delivery/xezq/dog/output.mp4"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

INPUT = VideoInput("a dog")
STARTED = Prediction(
    provider="replicate",
    model="kling-o1-std",
    id=ID,
    key="dog",
    status=Status.QUEUED,
    native_status="starting",
    created_at=datetime(2026, 2, 24, 12, 0, 0, 123000, tzinfo=UTC),
    cost=Decimal("0.420"),
)
RUNNING = evolve(STARTED, status=Status.RUNNING, native_status="processing")
DOG = Output(url=MP4, kind=OutputKind.VIDEO)
DONE = evolve(
    STARTED,
    status=Status.SUCCEEDED,
    native_status="succeeded",
    outputs=(DOG,),
    timings=Timings(inference_seconds=90.25, execution_seconds=91.5),
)
REMOVED = Failure(
    kind=FailureKind.EXPIRED, message="the provider says 'succeeded', and that it has removed the outputs since"
)
NO_OUTPUT = Failure(
    kind=FailureKind.NO_OUTPUT,
    message="the provider says 'succeeded', but its reply holds no output that can be read",
)


def failed(message: str, *, code: str | None = None, kind: FailureKind = FailureKind.FAILED) -> Prediction:
    """Expect a prediction that failed, and whose price stays, since no page says that failures are free."""
    fault = Failure(kind=kind, code=code, message=message)
    return evolve(DONE, status=Status.FAILED, native_status="failed", outputs=(), failure=fault)


def cancelled(word: str, **more: Any) -> Prediction:
    """Expect a prediction that was cancelled."""
    fault = Failure(kind=FailureKind.CANCELLED, message=f"the provider says {word!r} and no more")
    return evolve(evolve(STARTED, status=Status.CANCELLED, native_status=word, failure=fault), **more)


def no(
    kind: type[KlingError], message: str, code: str | None = None, *, retry_after: float | None = None
) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": retry_after}
    return kind, {**facts, "provider": "replicate", "may_be_billed": False}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "replicate"}


FLAGGED = "The input or output was flagged as sensitive. Please try again with different inputs. (E005)"
SLOWER = (
    "Request was throttled. Your rate limit for creating predictions is reduced to 6 requests per minute with a burst "
    "of 1 requests while you have less than $5.0 in credit. Your rate limit resets in ~10s."
)
NO_ID = unread("The reply holds no usable id", "$.data.id")
NO_STATUS = unread("The reply cannot be read: required field missing at $.status", "$.status")
REFUSED = {
    "refused-token.401.json": no(AuthenticationError, "You did not pass a valid authentication token", "401"),
    "refused-billing.402.json": no(InsufficientBalance, "You need to set up billing to run this model.", "402"),
    "refused-credit.402.json": no(InsufficientBalance, "You have insufficient credit to run this model.", "402"),
    "refused.403.json": no(PermissionDenied, "You do not have permission to perform this action.", "403"),
    "refused.404.json": no(BadRequest, "The requested resource could not be found.", "404"),
    "refused-title-only.404.json": no(BadRequest, "Not found", "404"),
    "refused-input.422.json": no(BadRequest, '- input.mode: mode must be one of the following: "std", "pro"', "422"),
    "refused-content.422.json": no(ContentRejected, FLAGGED, "422"),
    "refused-rate.429.json": no(
        RateLimited, "Request was throttled. Your rate limit resets in ~30s.", retry_after=30.0
    ),
    "refused-rate-low-credit.429.json": no(RateLimited, SLOWER, "429", retry_after=10.0),
    "refused-rate-no-time.429.json": no(RateLimited, "Request was throttled.", "429"),
    "refused.500.json": no(ProviderUnavailable, "An unexpected error occurred.", "500"),
    # An outage that mentions the policy is still an outage, behind which the submission may run.
    "refused-flagged.500.json": no(ProviderUnavailable, "NSFW check failed", "500"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "unavailable.503.txt": no(ProviderUnavailable, "HTTP 503"),
    "timed-out.504.html": no(ProviderUnavailable, "HTTP 504"),
    "problem-under-200.200.json": no(ProviderUnavailable, "The service is temporarily unavailable.", "503"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "page.200.html": unread("The reply is a page, not JSON"),
}
SUBMITTED = {
    "created.201.json": STARTED,
    # The model that is echoed is not the one that was asked for, and is not compared with it.
    "created-recorded.201.json": evolve(
        STARTED,
        id="heat2o3bzn3ahtr6bjfftvbaci",
        created_at=datetime(2023, 11, 27, 13, 35, 45, 993975, tzinfo=UTC),
    ),
    "created-early-output.201.json": RUNNING,
    "created-finished.201.json": DONE,
    "created-foreign-urls.201.json": STARTED,
    "created-status-missing.201.json": evolve(STARTED, native_status="", created_at=None),
    **{f"id-{case}.201.json": NO_ID for case in ("missing", "null", "number", "slashes")},
    "id-on-a-failure.502.json": (AnswerLost, {"id": ID, "key": "dog", "may_be_billed": True}),
    "detail-under-200.200.json": NO_ID,
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("replicate", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="dog"), expected)


POLLED = {
    "starting.200.json": STARTED,
    "processing.200.json": RUNNING,
    "processing-upper.200.json": evolve(RUNNING, native_status="Processing"),
    "unknown-word.200.json": evolve(RUNNING, native_status="booting"),
    "status-missing.200.json": NO_STATUS,
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "succeeded.200.json": DONE,
    "succeeded-recorded.200.json": evolve(
        DONE,
        created_at=datetime(2023, 8, 16, 18, 57, 8, 394251, tzinfo=UTC),
        outputs=(Output(url="https://replicate.delivery/pbxt/dog/out-0.png", kind=OutputKind.VIDEO),),
        timings=Timings(inference_seconds=3.804328),
    ),
    "succeeded-list.200.json": DONE,
    "succeeded-object.200.json": DONE,
    "succeeded-data-uri.200.json": evolve(
        DONE, outputs=(Output(url="data:video/mp4;base64,AAAAIGZ0eXBpc29t", kind=OutputKind.VIDEO),)
    ),
    "succeeded-other-model.200.json": DONE,
    "succeeded-odd-metrics.200.json": evolve(DONE, timings=Timings()),
    "succeeded-removed-but-there.200.json": DONE,
    # It was a success and is billed: its price stays.
    "removed.200.json": evolve(DONE, status=Status.EXPIRED, outputs=(), failure=REMOVED),
    "removed-list.200.json": evolve(DONE, status=Status.EXPIRED, outputs=(), failure=REMOVED),
    "no-output.200.json": evolve(DONE, status=Status.FAILED, outputs=(), failure=NO_OUTPUT),
    "no-output-removed-null.200.json": evolve(DONE, status=Status.FAILED, outputs=(), failure=NO_OUTPUT),
    "failed.200.json": failed("Prediction interrupted; please retry (code: PA)"),
    "failed-null.200.json": failed("the provider says 'failed' and no more"),
    "failed-removed.200.json": failed("Prediction failed."),
    "failed-flagged.200.json": failed(f"{FLAGGED} (uIJ6l3ruRD)", code="E005", kind=FailureKind.CONTENT_REJECTED),
    "failed-flagged-inside.200.json": failed(
        "Prediction failed: Async prediction failed: ModelError: The generated output was flagged as potentially "
        "sensitive.",
        kind=FailureKind.CONTENT_REJECTED,
    ),
    "failed-nsfw.200.json": failed(
        "NSFW content detected. Try running it again, or try a different prompt.", kind=FailureKind.CONTENT_REJECTED
    ),
    "failed-code.200.json": failed("Service is temporarily unavailable. Please try again later. (E003)", code="E003"),
    "failed-object.200.json": failed("The worker stopped", code="E1"),
    "canceled.200.json": cancelled("canceled", timings=Timings(inference_seconds=30.0, execution_seconds=31.0)),
    # Before it started, so it is documented as not billed.
    "aborted.200.json": cancelled("aborted", cost=Decimal(0)),
    "id-on-a-failure.502.json": no(ProviderUnavailable, "HTTP 502"),
    "detail-under-200.200.json": NO_STATUS,
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a poll is read with all its facts, refused, or not readable."""
    reply = sample("replicate", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=STARTED), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    assert sample_names("replicate") == set(SUBMITTED) | set(POLLED)


def test_retry_after_wins_over_the_message(sample: Callable[[str, str], HttpResponse]) -> None:
    """The header is exact, and the message only says how long about."""
    reply = evolve(sample("replicate", "refused-rate.429.json"), headers={"Retry-After": "7"})
    with pytest.raises(RateLimited) as caught:
        PROVIDER.parse_submit(reply, input=INPUT, key=None)
    assert 7.0 == caught.value.retry_after


CANCELS = {
    "canceled.200.json": None,
    "refused.404.json": None,
    "refused-token.401.json": AuthenticationError,
    "refused-rate.429.json": RateLimited,
    "refused.500.json": ProviderUnavailable,
}


@pytest.mark.parametrize(("name", "error"), CANCELS.items(), ids=list(CANCELS))
def test_cancel_replies(name: str, error: type[KlingError] | None, sample: Callable[[str, str], HttpResponse]) -> None:
    """A cancellation that comes too late is no refusal; one that was not done is."""
    reply = sample("replicate", name)
    if error is None:
        PROVIDER.check_cancel(reply)
        return
    with pytest.raises(error):
        PROVIDER.check_cancel(reply)


A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
O1: dict[str, object] = {"prompt": "a dog", "mode": "std", "duration": 5}
REFERENCE: dict[str, object] = {**O1, "keep_original_sound": True}
SHOTS = (Shot('it "sits"', 3), Shot("it runs", 4))
REQUESTS: dict[str, tuple[VideoInput, str, dict[str, object]]] = {
    "text to video": (INPUT, "kling-o1", O1),
    "a ratio": (evolve(INPUT, aspect_ratio="9:16"), "kling-o1", {**O1, "aspect_ratio": "9:16"}),
    "the tier pro": (evolve(INPUT, model="kling-o1-pro"), "kling-o1", {**O1, "mode": "pro"}),
    "first and last frame": (
        evolve(INPUT, image=A, last_image=B, duration=10),
        "kling-o1",
        {**O1, "start_image": A, "end_image": B, "duration": 10},
    ),
    "reference images": (
        evolve(INPUT, images=(A, B), duration=7),
        "kling-o1",
        {**REFERENCE, "reference_images": [A, B], "duration": 7},
    ),
    "a first frame beside references": (
        evolve(INPUT, image=A, images=(B,), scene="reference-to-video"),
        "kling-o1",
        {**REFERENCE, "start_image": A, "reference_images": [B]},
    ),
    "a video to refer to": (
        evolve(INPUT, videos=(C,), scene="reference-to-video", keep_original_sound=False),
        "kling-o1",
        {**REFERENCE, "reference_video": C, "video_reference_type": "feature", "keep_original_sound": False},
    ),
    "a video to edit": (
        evolve(INPUT, video=C, images=(A,), scene="video-edit"),
        "kling-o1",
        {
            "prompt": "a dog",
            "mode": "std",
            "keep_original_sound": True,
            "reference_video": C,
            "reference_images": [A],
            "video_reference_type": "base",
        },
    ),
    "omni": (
        evolve(INPUT, model="kling-3.0-omni-std", sound=True, duration=15),
        "kling-v3-omni-video",
        {"prompt": "a dog", "mode": "standard", "duration": 15, "generate_audio": True},
    ),
    "omni in 4k": (
        evolve(INPUT, model="kling-3.0-omni-4k", images=(A,)),
        "kling-v3-omni-video",
        {"prompt": "a dog", "mode": "4k", "duration": 5, "reference_images": [A]},
    ),
    "shots": (
        evolve(INPUT, model="kling-3.0-pro", duration=7, shots=SHOTS, negative_prompt="rain"),
        "kling-v3-video",
        {
            "prompt": "a dog",
            "mode": "pro",
            "duration": 7,
            "negative_prompt": "rain",
            "multi_prompt": '[{"prompt": "it \\"sits\\"", "duration": 3}, {"prompt": "it runs", "duration": 4}]',
        },
    ),
    "2.6 by its own name": (
        evolve(INPUT, model="kling-v2.6", image=A, sound=False),
        "kling-v2.6",
        {"prompt": "a dog", "duration": 5, "start_image": A, "generate_audio": False},
    ),
    "2.5 turbo with both ends": (
        evolve(INPUT, model="kling-2.5-turbo-pro", image=A, last_image=B),
        "kling-v2.5-turbo-pro",
        {"prompt": "a dog", "duration": 5, "start_image": A, "end_image": B},
    ),
    "2.1": (
        evolve(INPUT, model="kling-2.1-std", image=A),
        "kling-v2.1",
        {"prompt": "a dog", "duration": 5, "start_image": A, "mode": "standard"},
    ),
    "extra passes": (evolve(INPUT, extra={"seed": 7}), "kling-o1", {**O1, "seed": 7}),
}


@pytest.mark.parametrize(("input", "model", "given"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: VideoInput, model: str, given: dict[str, object]) -> None:
    """Each operation goes by POST to the model's address, with its fields inside `input` and nothing beside it."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", f"/v1/models/kwaivgi/{model}/predictions", ()) == (request.method, request.path, request.headers)
    assert {"input": given} == json.loads(request.body)


FAULTY: dict[str, tuple[VideoInput, list[str]]] = {
    "a video whose purpose is not clear": (evolve(INPUT, video=C), ["scene"]),
    "references that are none": (evolve(INPUT, scene="reference-to-video"), ["images"]),
    "two videos": (evolve(INPUT, videos=(C, C), scene="video-edit"), ["videos"]),
    "five images beside a video": (evolve(INPUT, images=(A,) * 5, video=C, scene="video-edit"), ["images"]),
    "eight images": (evolve(INPUT, images=(A,) * 8), ["images"]),
    "a last frame beside a video": (
        evolve(INPUT, image=A, last_image=B, video=C, scene="reference-to-video"),
        ["last_image"],
    ),
    "a frame in an edit": (evolve(INPUT, image=A, video=C, scene="video-edit"), ["image"]),
    "a duration of an edit": (evolve(INPUT, video=C, scene="video-edit", duration=7), ["duration"]),
    "a ratio beside a first frame": (evolve(INPUT, image=A, aspect_ratio="1:1"), ["aspect_ratio"]),
    "a ratio of an edit": (evolve(INPUT, video=C, scene="video-edit", aspect_ratio="1:1"), ["aspect_ratio"]),
    "seven seconds of text": (evolve(INPUT, duration=7), ["duration"]),
    "sound at o1": (evolve(INPUT, sound=True), ["sound"]),
    "shots at o1": (evolve(INPUT, duration=7, shots=SHOTS), ["duration", "shots"]),
    "sound beside a video": (
        evolve(INPUT, model="kling-3.0-omni-pro", video=C, scene="reference-to-video", sound=True),
        ["sound"],
    ),
    "a negative prompt at omni": (
        evolve(INPUT, model="kling-3.0-omni-pro", negative_prompt="rain"),
        ["negative_prompt"],
    ),
    "a video in 4k": (
        evolve(INPUT, model="kling-3.0-omni-4k", images=(A,), video=C, scene="reference-to-video"),
        ["video"],
    ),
    "references at 3.0": (evolve(INPUT, model="kling-3.0-pro", images=(A,)), ["scene", "images"]),
    "keyframes": (evolve(INPUT, image=A, keyframes=(B,)), ["keyframes"]),
    "audios": (evolve(INPUT, images=(A,), audios=(C,)), ["audios"]),
    "a resolution, which follows from the tier": (evolve(INPUT, resolution="1080p"), ["resolution"]),
    "a last frame at 2.6": (evolve(INPUT, model="kling-v2.6", image=A, last_image=B), ["last_image"]),
    "a last frame at 2.1 standard": (evolve(INPUT, model="kling-2.1-std", image=A, last_image=B), ["last_image"]),
    "text alone at 2.1": (evolve(INPUT, model="kling-2.1-pro"), ["scene"]),
    "another mode": (evolve(INPUT, extra={"mode": "pro"}), ["extra['mode']"]),
    "another purpose of the video": (evolve(INPUT, extra={"video_reference_type": "base"}), ["extra"]),
}


@pytest.mark.parametrize(("input", "fields"), FAULTY.values(), ids=list(FAULTY))
def test_what_a_model_or_a_scene_lacks_is_refused(input: VideoInput, fields: list[str]) -> None:
    """A field that would be dropped or contradicted is named before anything is sent."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    assert fields == [fault.field for fault in caught.value.faults]


def test_there_is_no_image_model() -> None:
    """An image is an error that says so, and names what there is."""
    with pytest.raises(InputError, match="Replicate has no image model; it has kling-o1-std, kling-o1-pro"):
        PROVIDER.check(ImageInput("a cat"))
    with pytest.raises(InputError, match="makes videos; use VideoInput"):
        PROVIDER.check(ImageInput("a cat", model="kling-3.0-std"))


def test_polls_and_cancellations_are_built_from_the_id_alone(sample: Callable[[str, str], HttpResponse]) -> None:
    """The addresses in a reply, even of another origin, lead nowhere."""
    reply = sample("replicate", "created-foreign-urls.201.json")
    prediction = PROVIDER.parse_submit(reply, input=INPUT, key=None)
    assert HttpRequest(method="GET", path=f"/v1/predictions/{ID}") == PROVIDER.build_poll(prediction)
    assert HttpRequest(method="POST", path=f"/v1/predictions/{ID}/cancel") == PROVIDER.build_cancel(prediction)
    assert PROVIDER.build_result(prediction, reply) is None


def test_the_key_is_sent_in_one_way() -> None:
    """The key follows Bearer."""
    assert ("bearer",) == PROVIDER.schemes
    assert ("Authorization", "Bearer r8_test") == PROVIDER.authorizer("r8_test").header(0.0)


def test_the_limits_are_the_documented_ones() -> None:
    """600 predictions a minute, and 3,000 other requests."""
    assert (600, 3000) == (PROVIDER.limits.submit_per_second * 60, PROVIDER.limits.poll_per_second * 60)  # type: ignore[operator]


PRICES = {
    "o1, 5 s": (INPUT, "0.420"),
    "o1 pro, 10 s": (evolve(INPUT, model="kling-o1-pro", duration=10), "1.12"),
    "o1 with a video": (evolve(INPUT, video=C, scene="reference-to-video", duration=4), "0.504"),
    "an edit, as long as the video that is given": (evolve(INPUT, video=C, scene="video-edit"), None),
    "omni": (evolve(INPUT, model="kling-3.0-omni-std"), "0.84"),
    "omni with sound": (evolve(INPUT, model="kling-3.0-omni-pro", sound=True), "1.4"),
    "3.0": (evolve(INPUT, model="kling-3.0-std"), "0.84"),
    "3.0 with sound": (evolve(INPUT, model="kling-3.0-std", sound=True), "1.26"),
    "3.0 pro with sound, 15 s": (evolve(INPUT, model="kling-3.0-pro", sound=True, duration=15), "5.04"),
    "3.0 in 4k": (evolve(INPUT, model="kling-3.0-4k", sound=True), "2.1"),
    "2.6, with sound by default": (evolve(INPUT, model="kling-v2.6"), "0.7"),
    "2.6 silent": (evolve(INPUT, model="kling-v2.6", sound=False), "0.35"),
    "2.5 turbo": (evolve(INPUT, model="kling-v2.5-turbo-pro", duration=10), "0.7"),
    "2.1": (evolve(INPUT, model="kling-2.1-pro", image=A), "0.45"),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: VideoInput, cost: str | None) -> None:
    """A cost is the price by the second of the tier, the sound and the video; that of an edit is a range."""
    PROVIDER.check(input)
    assert (cost and Decimal(cost)) == PROVIDER.cost(input)


def test_the_price_of_an_edit_is_a_range() -> None:
    """It lasts as long as the video that is given, which is from 3 to 10 seconds."""
    price = PROVIDER.spec(INPUT).price(evolve(INPUT, video=C, scene="video-edit"))
    assert price is not None
    assert (Decimal("0.378"), Decimal("1.26")) == (price.low, price.high)
