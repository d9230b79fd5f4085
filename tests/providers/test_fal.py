"""fal: every reply that its pages and its clients know, its status and its result, and every request of its schemas."""

from __future__ import annotations

import json
from collections.abc import Callable
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
from kling_async.providers.fal import Fal
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import (
    Failure,
    FailureKind,
    Output,
    OutputKind,
    Prediction,
    RefusedPart,
    Status,
    Timings,
)

PROVIDER = Fal()
ID = "764cabcf-b745-4b3e-ae38-1200304cf45b"
MP4 = "https://v3b.fal.media/files/b/0a8d04e2/idOb9V_output.mp4"
PNG = "https://v3b.fal.media/files/b/0a8d04e2/cat.png"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

INPUT = VideoInput("a dog", model="kling-3.0-omni-std")
QUEUED = Prediction(
    provider="fal",
    model="fal-ai/kling-video/o3/standard",
    id=ID,
    key="dog",
    status=Status.QUEUED,
    native_status="IN_QUEUE",
    cost=Decimal("0.420"),
)
RUNNING = evolve(QUEUED, status=Status.RUNNING, native_status="IN_PROGRESS")
DONE = evolve(
    RUNNING,
    status=Status.SUCCEEDED,
    native_status="COMPLETED",
    outputs=(Output(url=MP4, kind=OutputKind.VIDEO),),
    timings=Timings(inference_seconds=93.7),
)
FLAGGED = "prompt: The content was flagged by a content checker."


def failed(
    message: str,
    code: str | None,
    *,
    kind: FailureKind = FailureKind.FAILED,
    part: RefusedPart | None = None,
    seconds: float | None = 93.7,
    **more: Any,
) -> Prediction:
    """Expect a prediction that failed, for which the provider may have charged."""
    failure = Failure(kind=kind, code=code, message=message, part=part)
    timings = Timings(inference_seconds=seconds)
    return evolve(
        evolve(RUNNING, status=Status.FAILED, native_status="ERROR", failure=failure, timings=timings), **more
    )


def no(
    kind: type[KlingError], message: str, code: str | None = None, **more: object
) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "fal"}
    return kind, {**facts, "may_be_billed": False, **more}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "fal"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
NO_STATUS = unread("The reply cannot be read: required field missing at $.status", "$.status")
NO_RESULT = unread("The request is completed, and this reply holds no result", "$.status")
BY_THE_CLIENT = "The request was cancelled by the client"
REFUSED = {
    "refused.401.json": no(
        AuthenticationError,
        'Cannot access application "fal-ai/kling-video". Authentication is required to access this application.',
    ),
    "locked-balance.403.json": no(
        InsufficientBalance,
        "User is locked. Reason: Exhausted balance. Top up your balance at fal.ai/dashboard/billing.",
    ),
    "locked-top-up.403.json": no(InsufficientBalance, "User is locked. Reason: TOP_UP."),
    "locked-admin.403.json": no(PermissionDenied, "User is locked. Reason: Admin lock. Please contact support@fal.ai"),
    "not-found.404.json": no(BadRequest, "Request not found"),
    "not-allowed.405.json": no(BadRequest, "Method Not Allowed"),
    "throttled.429.json": no(RateLimited, "Too many requests"),
    "internal.500.json": no(ProviderUnavailable, "Internal Server Error"),
    "runner.503.json": no(ProviderUnavailable, "The runner disconnected unexpectedly", "runner_disconnected"),
    "request-timeout.504.json": no(ProviderUnavailable, "Request timed out", "request_timeout"),
    "model.500.json": no(ProviderUnavailable, "Internal server error", "internal_server_error"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "timed-out.504.html": no(ProviderUnavailable, "HTTP 504"),
    "wrong-path.404.html": no(BadRequest, "HTTP 404"),
    "blocked.422.html": no(BadRequest, "HTTP 422"),
    "no-detail.422.json": no(BadRequest, "Blocked by a rule of the gateway"),
    # Neither says that nothing was accepted before.
    "disconnected.499.json": no(
        ProviderUnavailable, "The client closed the connection before the response was sent", "client_disconnected"
    ),
    "cancelled.499.json": no(ProviderUnavailable, BY_THE_CLIENT, "client_cancelled"),
    "still-in-progress.400.json": no(BadRequest, "Request is still in progress"),
}
REJECTED = {
    "content.422.json": no(ContentRejected, FLAGGED, "content_policy_violation", part="prompt"),
    "content-second.422.json": no(
        ContentRejected,
        "image_urls.0: Image is too small; image_urls.1: The content was flagged by a content checker.",
        "content_policy_violation",
        part="image",
    ),
    "validation.422.json": no(BadRequest, "duration: Input should be '5' or '10'; Field required", "literal_error"),
    "no-media.422.json": no(BadRequest, "The model could not generate the requested media", "no_media_generated"),
    "list-without-detail.422.json": no(ContentRejected, FLAGGED, "content_policy_violation", part="prompt"),
    "flat.422.json": no(BadRequest, "Failure to pass the risk control system"),
    "flat.400.json": no(BadRequest, "Kling could not read the image", "bad_input"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "page.200.html": unread("The reply is a page, not JSON"),
}
ACCEPTED = evolve(QUEUED, native_status="")
CANCELLED = evolve(
    RUNNING,
    status=Status.CANCELLED,
    native_status="CANCELED",
    failure=Failure(kind=FailureKind.CANCELLED, code="client_cancelled", message=BY_THE_CLIENT),
)
SUBMITTED = {
    "queued.200.json": QUEUED,
    "queued-older.200.json": ACCEPTED,
    "queued-foreign-urls.200.json": QUEUED,
    "queued-finished.200.json": ACCEPTED,
    **{f"id-{case}.200.json": NO_ID for case in ("null", "number", "slashes", "too-long", "empty", "missing")},
    "id-on-a-failure.502.json": (AnswerLost, {"id": ID, "key": "dog", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
    **REJECTED,
}
POLLED = {
    "in-queue.202.json": QUEUED,
    "in-progress.202.json": RUNNING,
    "in-progress-logs.202.json": RUNNING,
    "in-progress-older.200.json": RUNNING,
    "unknown-word.202.json": evolve(RUNNING, native_status="WARMING_UP"),
    "completed.200.json": NO_RESULT,
    "completed-legacy.200.json": NO_RESULT,
    "completed-error.200.json": failed("Unprocessable Entity", None, seconds=2.5),
    "completed-error-type.200.json": failed(
        "The request exceeded the allowed processing time", "request_timeout", seconds=None, cost=Decimal(0)
    ),
    "completed-error-type-alone.200.json": failed(
        "the provider says 'ERROR' and no more", "validation_error", seconds=None
    ),
    "failed-word.200.json": failed("Something broke", None, seconds=None, native_status="FAILED"),
    "completed-cancelled.200.json": CANCELLED,
    "canceled-word.200.json": evolve(
        RUNNING,
        status=Status.CANCELLED,
        native_status="CANCELED",
        failure=Failure(kind=FailureKind.CANCELLED, message="the provider says 'CANCELED' and no more"),
    ),
    "status-missing.200.json": NO_STATUS,
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    **UNREADABLE,
    **REFUSED,
    # Beside a status they are a wrong request for it, and not the model's answer.
    **REJECTED,
}
NO_OUTPUT = Failure(
    kind=FailureKind.NO_OUTPUT,
    message="the provider says 'COMPLETED', but its reply holds no output that can be read",
)
EMPTY = evolve(DONE, status=Status.FAILED, outputs=(), failure=NO_OUTPUT)
CONTENT = FailureKind.CONTENT_REJECTED
RESULTS = {
    "video.200.json": DONE,
    "images.200.json": evolve(
        DONE,
        outputs=tuple(Output(url=url, kind=OutputKind.VIDEO) for url in (PNG, PNG.replace("cat", "cat2"))),
    ),
    "images-data-uri.200.json": evolve(
        DONE, outputs=(Output(url=f"data:image/png;base64,{PIXEL}", kind=OutputKind.IMAGE),)
    ),
    "video-null.200.json": EMPTY,
    "images-empty.200.json": EMPTY,
    "nothing.200.json": EMPTY,
    "content.422.json": failed(FLAGGED, "content_policy_violation", kind=CONTENT, part="prompt"),
    "content-second.422.json": failed(
        "image_urls.0: Image is too small; image_urls.1: The content was flagged by a content checker.",
        "content_policy_violation",
        kind=CONTENT,
        part="image",
    ),
    "validation.422.json": failed("duration: Input should be '5' or '10'; Field required", "literal_error"),
    "no-media.422.json": failed("The model could not generate the requested media", "no_media_generated"),
    "list-without-detail.422.json": failed(FLAGGED, "content_policy_violation", kind=CONTENT, part="prompt"),
    "flat.422.json": failed("Failure to pass the risk control system", None),
    "flat.400.json": failed("Kling could not read the image", "bad_input"),
    "in-progress.202.json": RUNNING,
    "in-queue.202.json": QUEUED,
    **UNREADABLE,
    # None of these is the end of the request: the poll is repeated, and a finished video is not lost.
    **REFUSED,
    "still-in-progress.400.json": RUNNING,
    "cancelled.499.json": evolve(CANCELLED, timings=DONE.timings),
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("fal", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="dog"), expected)


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded status is read with all its facts, refused, or not readable."""
    reply = sample("fal", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=RUNNING), expected)


@pytest.mark.parametrize(("name", "expected"), RESULTS.items(), ids=list(RESULTS))
def test_result_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """After COMPLETED each recorded reply is the result, the model's error, or a poll that has failed."""
    reply, polled = sample("fal", name), sample("fal", "completed.200.json")
    hold(reply, lambda: PROVIDER.parse_result(reply, prediction=RUNNING, polled=polled), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    assert sample_names("fal") == set(SUBMITTED) | set(POLLED) | set(RESULTS)


WITHOUT_TYPE = failed("Unprocessable Entity", None, seconds=2.5)
AFTER_AN_ERROR = {
    "content.422.json": failed(FLAGGED, "content_policy_violation", kind=CONTENT, part="prompt", seconds=2.5),
    "model.500.json": WITHOUT_TYPE,
    "bad-gateway.502.html": WITHOUT_TYPE,
    "throttled.429.json": WITHOUT_TYPE,
    "not-found.404.json": WITHOUT_TYPE,
    "video.200.json": WITHOUT_TYPE,
}


@pytest.mark.parametrize(("name", "expected"), AFTER_AN_ERROR.items(), ids=list(AFTER_AN_ERROR))
def test_a_status_with_an_error_is_a_failure_whatever_the_result(
    name: str, expected: Prediction, sample: Callable[[str, str], HttpResponse]
) -> None:
    """Once the status has an error the request has failed; its result can only name the cause."""
    polled = sample("fal", "completed-error.200.json")
    assert expected == PROVIDER.parse_result(sample("fal", name), prediction=RUNNING, polled=polled)


@pytest.mark.parametrize(("header", "is_final"), [("false", True), ("False ", True), ("true", False), ("", False)])
def test_a_server_error_of_the_model_is_final_only_if_it_says_so(*, header: str, is_final: bool) -> None:
    """HTTP 5xx is an outage, unless the model's own error says that a repetition is no use; it costs nothing."""
    body = {"detail": [{"loc": ["body"], "msg": "It broke", "type": "internal_server_error"}]}
    polled = HttpResponse(status=200, body=b'{"status": "COMPLETED"}')
    reply = HttpResponse(status=500, headers={"X-Fal-Retryable": header}, body=json.dumps(body).encode())
    if is_final:
        seen = PROVIDER.parse_result(reply, prediction=RUNNING, polled=polled)
        assert (Status.FAILED, Decimal(0)) == (seen.status, seen.cost)
        return
    with pytest.raises(ProviderUnavailable):
        PROVIDER.parse_result(reply, prediction=RUNNING, polled=polled)


def test_the_header_has_the_code_where_the_body_has_none() -> None:
    """X-Fal-Error-Type names the error also on the page of a gateway."""
    reply = HttpResponse(status=504, headers={"X-Fal-Error-Type": "startup_timeout"}, body=b"<html></html>")
    with pytest.raises(ProviderUnavailable) as caught:
        PROVIDER.parse_poll(reply, prediction=RUNNING)
    assert "startup_timeout" == caught.value.code


STATUS_PATH = f"/fal-ai/kling-video/requests/{ID}"
ASKS_FOR_RESULT = {
    "completed.200.json": True,
    "completed-legacy.200.json": True,
    # The cause is only in the result.
    "completed-error.200.json": True,
    "completed-error-type.200.json": False,
    "completed-error-type-alone.200.json": False,
    "completed-cancelled.200.json": False,
    "in-queue.202.json": False,
    "in-progress.202.json": False,
    "in-progress-logs.202.json": False,
    "in-progress-older.200.json": False,
    "unknown-word.202.json": False,
    "failed-word.200.json": False,
    "video.200.json": False,
    "status-null.200.json": False,
    "page.200.html": False,
    "empty.200.txt": False,
    "not-found.404.json": False,
    "bad-gateway.502.html": False,
}


@pytest.mark.parametrize(("name", "asks"), ASKS_FOR_RESULT.items(), ids=list(ASKS_FOR_RESULT))
def test_only_a_completed_status_asks_for_the_result(
    *, name: str, asks: bool, sample: Callable[[str, str], HttpResponse]
) -> None:
    """A poll is one request, and the last one is two."""
    expected = HttpRequest(method="GET", path=STATUS_PATH) if asks else None
    assert expected == PROVIDER.build_result(RUNNING, sample("fal", name))


def test_a_repeated_status_is_not_parsed_again(sample: Callable[[str, str], HttpResponse]) -> None:
    """A status that says the same only renews the raw response: the same value, with the new place in the queue."""
    reply = sample("fal", "in-queue.202.json")
    timed = evolve(QUEUED, timings=Timings(inference_seconds=1.0))
    seen = PROVIDER.parse_poll(reply, prediction=timed)
    assert timed == seen
    assert isinstance(seen.raw, dict)
    assert 7 == seen.raw["queue_position"]


PATHS = {
    "the canonical name": ("kling-3.0-pro", "/fal-ai/kling-video/requests/"),
    "an image": ("fal-ai/kling-image/o1", "/fal-ai/kling-image/requests/"),
    "another owner": ("kling/v4", "/kling/v4/requests/"),
    "an endpoint that the table lacks": ("fal-ai/kling-video/v9/text-to-video", "/fal-ai/kling-video/requests/"),
    "an endpoint with odd letters": ("fal-ai/a b?/x", "/fal-ai/a%20b%3F/requests/"),
}


@pytest.mark.parametrize(("model", "path"), PATHS.values(), ids=list(PATHS))
def test_polls_are_built_from_the_model_and_the_id(model: str, path: str) -> None:
    """Status, result and cancellation go to owner and app of the endpoint, and to the id."""
    known = evolve(RUNNING, model=model)
    assert HttpRequest(method="GET", path=f"{path}{ID}/status") == PROVIDER.build_poll(known)
    cancel = HttpRequest(method="PUT", path=f"{path}{ID}/cancel")
    assert cancel == PROVIDER.build_cancel(known)


def test_a_model_without_an_address_cannot_be_polled() -> None:
    """A name that is neither a model nor an endpoint leads nowhere, and is named."""
    with pytest.raises(InputError, match="must be a model or an endpoint of fal"):
        PROVIDER.build_poll(evolve(RUNNING, model="kling-9"))


def test_addresses_in_replies_are_ignored(sample: Callable[[str, str], HttpResponse]) -> None:
    """A `status_url` or `response_url` of another host changes no request."""
    accepted = PROVIDER.parse_submit(sample("fal", "queued-foreign-urls.200.json"), input=INPUT, key="dog")
    polled = HttpResponse(
        status=200, body=b'{"status": "COMPLETED", "response_url": "https://evil.test/r", "status_url": "//evil.test"}'
    )
    requests = [
        PROVIDER.build_poll(accepted),
        PROVIDER.build_result(accepted, polled),
        PROVIDER.build_cancel(accepted),
    ]
    assert [f"{STATUS_PATH}/status", STATUS_PATH, f"{STATUS_PATH}/cancel"] == [
        request.path for request in requests if request
    ]


@pytest.mark.parametrize("status", [200, 202, 400, 404])
def test_a_cancellation_may_come_too_late(status: int) -> None:
    """OK, CANCELLATION_REQUESTED, ALREADY_COMPLETED and NOT_FOUND are no refusals."""
    PROVIDER.check_cancel(HttpResponse(status=status, body=b'{"status": "ALREADY_COMPLETED"}'))


def test_a_cancellation_may_be_refused(sample: Callable[[str, str], HttpResponse]) -> None:
    """A key that is not accepted is told as such."""
    with pytest.raises(AuthenticationError):
        PROVIDER.check_cancel(sample("fal", "refused.401.json"))


def test_the_key_is_sent_in_one_way() -> None:
    """The key follows the word Key."""
    assert ("key",) == PROVIDER.schemes
    assert ("Authorization", "Key a:b") == PROVIDER.authorizer("a:b").header(0.0)


A, B, C, D = (f"https://x.test/{name}" for name in ("a.png", "b.png", "c.mp4", "d.mp4"))
V = "/fal-ai/kling-video"
STILL: dict[str, object] = {"prompt": "a cat", "num_images": 1, "resolution": "1K"}
SHOTS = (Shot("it sits", 3), Shot("it runs", 4))
REQUESTS: dict[str, tuple[Input, str, dict[str, object]]] = {
    "text to image": (ImageInput("a cat"), "/fal-ai/kling-image/o3/text-to-image", STILL),
    "image to image": (
        ImageInput("a cat", images=(A, B), aspect_ratio="auto", resolution="4k", n=9),
        "/fal-ai/kling-image/o3/image-to-image",
        {"prompt": "a cat", "image_urls": [A, B], "aspect_ratio": "auto", "resolution": "4K", "num_images": 9},
    ),
    "image o1": (
        ImageInput("a cat", model="kling-image-o1", images=(A,), extra={"output_format": "webp"}),
        "/fal-ai/kling-image/o1",
        {**STILL, "image_urls": [A], "output_format": "webp"},
    ),
    "image v3, which takes one": (
        ImageInput("a cat", model="kling-image-3.0", images=(A,)),
        "/fal-ai/kling-image/v3/image-to-image",
        {**STILL, "image_url": A},
    ),
    "o1 pro, first and last frame": (
        VideoInput("a dog", model="kling-o1-pro", image=A, last_image=B, duration=3),
        f"{V}/o1/image-to-video",
        {"prompt": "a dog", "start_image_url": A, "end_image_url": B, "duration": "3"},
    ),
    "o1 std, references": (
        VideoInput("a dog", model="kling-o1-std", images=(A,), aspect_ratio="1:1"),
        f"{V}/o1/standard/reference-to-video",
        {"prompt": "a dog", "image_urls": [A], "aspect_ratio": "1:1", "duration": "5"},
    ),
    "o1, references with a video": (
        VideoInput("a dog", model="kling-o1-std", images=(A,), video=C, aspect_ratio="auto", keep_original_sound=False),
        f"{V}/o1/standard/video-to-video/reference",
        {
            "prompt": "a dog",
            "image_urls": [A],
            "video_url": C,
            "aspect_ratio": "auto",
            "keep_audio": False,
            "duration": "5",
        },
    ),
    "o1, edit": (
        VideoInput("a dog", model="kling-o1-pro", video=C, scene="video-edit"),
        f"{V}/o1/video-to-video/edit",
        {"prompt": "a dog", "video_url": C, "keep_audio": True},
    ),
    "2.6 pro, text": (
        VideoInput("a dog", model="kling-2.6-pro", duration=10, sound=False, negative_prompt="rain"),
        f"{V}/v2.6/pro/text-to-video",
        {"prompt": "a dog", "duration": "10", "generate_audio": False, "negative_prompt": "rain"},
    ),
    "2.6 std, motion control": (
        VideoInput(model="kling-2.6-std", image=A, video=C),
        f"{V}/v2.6/standard/motion-control",
        {"image_url": A, "video_url": C, "keep_original_sound": True, "character_orientation": "video"},
    ),
    "3.0 pro, motion control": (
        VideoInput("a dog", model="kling-3.0-pro", image=A, video=C, extra={"character_orientation": "image"}),
        f"{V}/v3/pro/motion-control",
        {
            "prompt": "a dog",
            "image_url": A,
            "video_url": C,
            "keep_original_sound": True,
            "character_orientation": "image",
        },
    ),
    "3.0 std, frames": (
        VideoInput("a dog", model="kling-3.0-std", image=A, last_image=B, duration=15, extra={"cfg_scale": 0.7}),
        f"{V}/v3/standard/image-to-video",
        {"prompt": "a dog", "start_image_url": A, "end_image_url": B, "duration": "15", "cfg_scale": 0.7},
    ),
    "3.0 4k, shots": (
        VideoInput(model="kling-3.0-4k", shots=SHOTS, duration=7),
        f"{V}/v3/4k/text-to-video",
        {
            "duration": "7",
            "multi_prompt": [{"prompt": "it sits", "duration": "3"}, {"prompt": "it runs", "duration": "4"}],
        },
    ),
    "3.0 turbo, a frame": (
        VideoInput("a dog", model="kling-3.0-turbo-std", image=A),
        f"{V}/v3/turbo/standard/image-to-video",
        {"prompt": "a dog", "image_url": A, "duration": "5"},
    ),
    "o3, a frame": (
        VideoInput("a dog", image=A, last_image=B, sound=True),
        f"{V}/o3/standard/image-to-video",
        {"prompt": "a dog", "image_url": A, "end_image_url": B, "duration": "5", "generate_audio": True},
    ),
    "o3, a frame beside references": (
        VideoInput("a dog", model="kling-3.0-omni-pro", image=A, images=(B,), scene="reference-to-video"),
        f"{V}/o3/pro/reference-to-video",
        {"prompt": "a dog", "start_image_url": A, "image_urls": [B], "duration": "5"},
    ),
    "o3, a video as the only reference": (
        VideoInput("a dog", video=C, scene="reference-to-video"),
        f"{V}/o3/standard/video-to-video/reference",
        {"prompt": "a dog", "video_url": C, "keep_audio": True, "duration": "5"},
    ),
    "4.0, keyframes": (
        VideoInput(
            "a dog", model="kling-4.0", image=A, keyframes=(B, A), last_image=B, duration=30, resolution="1080p"
        ),
        "/kling/v4/image-to-video",
        {
            "prompt": "a dog",
            "start_image_url": A,
            "middle_image_urls": [B, A],
            "end_image_url": B,
            "duration": 30,
            "resolution": "1080p",
        },
    ),
    "4.0, references of both kinds": (
        VideoInput("a dog", model="kling-4.0", images=(A,), videos=(C, D), aspect_ratio="21:9"),
        "/kling/v4/reference-to-video",
        {"prompt": "a dog", "image_urls": [A], "video_urls": [C, D], "aspect_ratio": "21:9", "duration": 5},
    ),
    "4.0, edit": (
        VideoInput("a dog", model="kling-4.0", images=(A,), video=C, scene="video-edit"),
        "/kling/v4/video-to-video/edit",
        {"prompt": "a dog", "image_urls": [A], "video_url": C},
    ),
    "4.0, shots beside a prompt": (
        VideoInput("a dog", model="kling-4.0", shots=SHOTS, duration=7),
        "/kling/v4/text-to-video",
        {
            "prompt": "a dog",
            "duration": 7,
            "multi_prompt": [{"prompt": "it sits", "duration": 3}, {"prompt": "it runs", "duration": 4}],
        },
    ),
    "extra passes": (
        VideoInput("a dog", extra={"seed": 7}),
        f"{V}/o3/standard/text-to-video",
        {"prompt": "a dog", "duration": "5", "seed": 7},
    ),
}


@pytest.mark.parametrize(("input", "path", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, path: str, body: dict[str, object]) -> None:
    """Each operation that is described goes by POST to the documented endpoint with the documented body."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", path) == (request.method, request.path)
    assert body == json.loads(request.body)


REJECTED_INPUTS: dict[str, tuple[Input, str, str]] = {
    "o1 from text": (VideoInput("a dog", model="kling-o1-std"), "scene", "has the scenes image-to-video"),
    "image o1 without images": (ImageInput("a cat", model="kling-image-o1"), "scene", "has the scenes image-to-image"),
    "two images for v3": (ImageInput("a", model="kling-image-3.0", images=(A, B)), "images", "takes at most 1"),
    "4k of o1": (ImageInput("a", model="kling-image-o1", images=(A,), resolution="4k"), "resolution", "1k, 2k"),
    "auto without a video": (VideoInput("a", images=(A,), aspect_ratio="auto"), "aspect_ratio", "only when a video"),
    "a prompt beside shots": (VideoInput("a", shots=SHOTS, duration=7), "prompt", "shots, but not both"),
    "neither prompt nor shots": (VideoInput(), "prompt", "shots, but not both"),
    "five images and a video": (VideoInput("a", images=(A,) * 5, video=C), "images", "at most 4"),
    "sound beside a video": (VideoInput("a", images=(A,), video=C, sound=True), "video", "sound beside it"),
    "the length of an edit": (VideoInput("a", video=C, scene="video-edit", duration=7), "duration", "has no place"),
    "a video alone": (VideoInput("a", video=C), "scene", "is not clear from the fields given"),
    "a last frame of turbo": (
        VideoInput("a", model="kling-3.0-turbo-pro", image=A, last_image=B),
        "last_image",
        "has no such field",
    ),
    "keyframes of 3.0": (VideoInput("a", model="kling-3.0-pro", image=A, keyframes=(B,)), "keyframes", "no such field"),
    "two videos of o3": (VideoInput("a", images=(A,), videos=(C, D)), "videos", "takes one video"),
    "two videos to edit": (
        VideoInput("a", model="kling-4.0", videos=(C, D), scene="video-edit"),
        "videos",
        "takes at most 1",
    ),
    "sound of 4.0": (VideoInput("a", model="kling-4.0", sound=False), "sound", "has no such field"),
    "audios of 4.0": (VideoInput("a", model="kling-4.0", images=(A,), audios=(A,)), "audios", "has no such field"),
    "7 s of 2.6": (VideoInput("a", model="kling-2.6-pro", duration=7), "duration", "must be one of 5, 10"),
    "a ratio beside a frame": (VideoInput("a", image=A, aspect_ratio="1:1"), "aspect_ratio", "has no place"),
}


@pytest.mark.parametrize(("input", "field", "text"), REJECTED_INPUTS.values(), ids=list(REJECTED_INPUTS))
def test_fields_that_an_endpoint_lacks_are_named(input: Input, field: str, text: str) -> None:
    """What a model or a scene has no field for is an error before anything is sent, and never left out in silence."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    assert [fault for fault in caught.value.faults if fault.field == field and text in fault.allowed]


PRICES = {
    "images": (ImageInput("a cat", n=3), "0.084"),
    "images in 4k": (ImageInput("a cat", resolution="4k", n=2), "0.112"),
    "o3 without sound": (VideoInput("a dog", duration=10), "0.84"),
    "o3 with sound": (VideoInput("a dog", sound=True), "0.56"),
    "3.0 with sound, its default": (VideoInput("a dog", model="kling-3.0-std"), "0.63"),
    "3.0 silent": (VideoInput("a dog", model="kling-3.0-pro", sound=False), "0.56"),
    "3.0 with an element, whose voice may cost more": (
        VideoInput("a dog", model="kling-3.0-std", image=A, extra={"elements": [{}]}),
        None,
    ),
    "3.0 in 4k": (VideoInput("a dog", model="kling-3.0-4k", duration=15), "6.30"),
    "2.6 with a voice": (VideoInput("a", model="kling-2.6-pro", image=A, extra={"voice_ids": ["v"]}), "0.84"),
    "turbo": (VideoInput("a dog", model="kling-3.0-turbo-pro"), "0.70"),
    "o1": (VideoInput("a dog", model="kling-o1-std", images=(A,)), "0.42"),
    "o1 with a video, which no page prices": (VideoInput("a", model="kling-o1-std", images=(A,), video=C), None),
    "motion control": (VideoInput("a", model="kling-3.0-std", image=A, video=C), None),
    "an edit, by the length of the video": (
        VideoInput("a", model="kling-3.0-omni-pro", video=C, scene="video-edit"),
        None,
    ),
    "4.0": (VideoInput("a", model="kling-4.0", resolution="1080p", duration=30), "7.05"),
    "4.0 of unknown resolution": (VideoInput("a", model="kling-4.0"), None),
    "4.0 with a video": (VideoInput("a", model="kling-4.0", images=(A,), video=C, resolution="720p"), None),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: Input, cost: str | None) -> None:
    """A cost is the published price; where it depends on what is not known before, it is unknown."""
    PROVIDER.check(input)
    assert (None if cost is None else Decimal(cost)) == PROVIDER.cost(input)


def test_what_has_a_range_has_an_upper_end() -> None:
    """A budget can hold a price that depends on the length of a video."""
    edit = VideoInput("a", model="kling-4.0", video=C, scene="video-edit", resolution="1080p")
    price = PROVIDER.spec(edit).price(edit)
    assert price is not None
    assert (Decimal("0.846"), Decimal("8.46")) == (price.low, price.high)
    # Sources differ for O3 pro: from 3 s at the lowest rate to 15 s at the highest one.
    edit = evolve(edit, model="kling-3.0-omni-pro", resolution=None)
    price = PROVIDER.spec(edit).price(edit)
    assert price is not None
    assert (3 * Decimal("0.14"), 15 * Decimal("0.336")) == (price.low, price.high)
