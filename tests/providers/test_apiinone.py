"""API in One: every reply that its manuals and its one known client know, and every request that its pages describe."""

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
    InsufficientBalance,
    KlingError,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    UnexpectedReply,
)
from kling_async.providers.apiinone import APIInOne
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status

PROVIDER = APIInOne()
TASK = "n49xxxx_kio1"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
URL = "https://cdn.apiin.one/out/cat.png"
MP4 = "https://cdn.apiin.one/out/dog.mp4"
NOON = datetime(2026, 2, 24, 12, 0, tzinfo=UTC)

INPUT = ImageInput("a cat")
STARTED = Prediction(
    provider="apiinone",
    model="kling-image-o1",
    id=TASK,
    key="cat",
    status=Status.RUNNING,
    native_status="IN_PROGRESS",
    cost=Decimal("0.012"),
)
CAT = Output(url=URL, kind=OutputKind.IMAGE)
CLIP = Output(url=MP4, kind=OutputKind.IMAGE)
DONE = evolve(STARTED, status=Status.SUCCEEDED, native_status="completed", outputs=(CAT,))


def failed(message: str, *, code: str | None = None, word: str = "FAILED", **more: Any) -> Prediction:
    """Expect a prediction that failed, and therefore cost nothing."""
    fault = Failure(kind=FailureKind.FAILED, code=code, message=message)
    return evolve(evolve(STARTED, status=Status.FAILED, native_status=word, failure=fault, cost=Decimal(0)), **more)


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "apiinone"}
    return kind, {**facts, "may_be_billed": False}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "apiinone"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
NO_STATUS = unread("The reply cannot be read: required field missing at $.status", "$.status")
REFUSED = {
    "refused.400.json": no(BadRequest, "Invalid parameters", "400"),
    "refused.401.json": no(AuthenticationError, "Invalid API key", "401"),
    "refused-code-text.401.json": no(AuthenticationError, "Invalid API key", "401"),
    "refused.402.json": no(InsufficientBalance, "Insufficient credits", "402"),
    "refused-permission.403.json": no(PermissionDenied, "This key may not use the model", "403"),
    "refused-credits.403.json": no(InsufficientBalance, "Insufficient credits", "403"),
    "refused.404.json": no(BadRequest, "Task not found", "404"),
    "refused.429.json": no(RateLimited, "Too many requests", "429"),
    "refused.500.json": no(ProviderUnavailable, "Internal error", "500"),
    "refused-content.400.json": no(ContentRejected, "Content policy violation", "content_policy"),
    "enveloped-parameters.200.json": no(BadRequest, "Invalid parameters", "400"),
    "enveloped-key.200.json": no(AuthenticationError, "Invalid API key", "401"),
    "enveloped-credits.200.json": no(InsufficientBalance, "Insufficient credits", "402"),
    "enveloped-rate.200.json": no(RateLimited, "Too many requests", "429"),
    "enveloped-content.200.json": no(ProviderUnavailable, "Content policy violation", "503"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "unavailable.503.txt": no(ProviderUnavailable, "HTTP 503"),
    "timed-out.504.html": no(ProviderUnavailable, "HTTP 504"),
    "wrong-path.404.html": no(BadRequest, "HTTP 404"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "page.200.html": unread("The reply is a page, not JSON"),
}
SUBMITTED = {
    "created.200.json": STARTED,
    "created-flat.200.json": evolve(
        STARTED, id="task_abc123", status=Status.QUEUED, native_status="pending", created_at=NOON
    ),
    "created-camel.200.json": STARTED,
    "created-code-text.200.json": STARTED,
    "created-data-list.200.json": evolve(STARTED, status=Status.QUEUED, native_status="PENDING"),
    "created-id-not-task-id.200.json": STARTED,
    "created-status-missing.200.json": evolve(STARTED, status=Status.QUEUED, native_status=""),
    "created-finished.200.json": evolve(DONE, native_status="COMPLETED"),
    "created-finished-flat.200.json": evolve(DONE, id="task_abc123", created_at=NOON),
    **{f"id-{case}.200.json": NO_ID for case in ("null", "number", "slashes", "too-long", "empty", "missing")},
    "id-null-flat.200.json": NO_ID,
    "direct.200.json": NO_ID,
    "id-on-a-failure.502.json": (AnswerLost, {"id": TASK, "key": "cat", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("apiinone", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="cat"), expected)


NO_OUTPUT = Failure(
    kind=FailureKind.NO_OUTPUT,
    message="the provider says 'completed', but its reply holds no output that can be read",
)
POLLED = {
    "in-progress.200.json": STARTED,
    "in-progress-lower.200.json": evolve(STARTED, native_status="in_progress"),
    "processing-flat.200.json": evolve(STARTED, native_status="processing", created_at=NOON),
    "unknown-word.200.json": evolve(STARTED, native_status="RENDERING"),
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "status-missing.200.json": NO_STATUS,
    "direct.200.json": NO_STATUS,
    "completed-outputs.200.json": evolve(DONE, outputs=(CAT, CAT)),
    "completed-output-text.200.json": evolve(DONE, native_status="COMPLETED"),
    "completed-output-object.200.json": evolve(DONE, native_status="SUCCESS", outputs=(CLIP,)),
    "completed-video-url.200.json": evolve(DONE, native_status="success", outputs=(CLIP,)),
    "completed-images.200.json": DONE,
    "completed-result.200.json": DONE,
    "completed-flat.200.json": evolve(DONE, outputs=(CLIP,), created_at=NOON),
    "completed-flat-upper.200.json": evolve(DONE, native_status="COMPLETED", created_at=NOON),
    "completed-camel.200.json": evolve(
        DONE, outputs=(CLIP,), created_at=datetime(2026, 2, 24, 4, 0, 0, 123456, tzinfo=UTC)
    ),
    "completed-base64.200.json": evolve(
        DONE, outputs=(Output(url=f"data:image/png;base64,{PNG}", kind=OutputKind.IMAGE),)
    ),
    # The provider calls it a success, and bills successes: its price stays.
    "completed-no-outputs.200.json": evolve(DONE, status=Status.FAILED, outputs=(), failure=NO_OUTPUT),
    "failed-text.200.json": failed("The reference image could not be read", word="failed"),
    "failed-object.200.json": failed("Invalid image", code="400"),
    "failed-null.200.json": failed("the provider says 'FAILED' and no more"),
    "failed-flat.200.json": failed(
        "",
        word="failed",
        created_at=NOON,
        failure=Failure(kind=FailureKind.CONTENT_REJECTED, code="content_policy", message="Content policy violation"),
    ),
    "failed-flat-text.200.json": failed("out of memory", word="ERROR", created_at=NOON),
    "failed-envelope-says-why.200.json": failed("The task failed upstream", code="500"),
    "cancelled.200.json": failed(
        "",
        word="CANCELLED",
        status=Status.CANCELLED,
        failure=Failure(kind=FailureKind.CANCELLED, message="the provider says 'CANCELLED' and no more"),
    ),
    "expired.200.json": failed(
        "",
        word="expired",
        status=Status.EXPIRED,
        failure=Failure(kind=FailureKind.EXPIRED, message="the provider says 'expired' and no more"),
    ),
    "id-on-a-failure.502.json": no(ProviderUnavailable, "success", "200"),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a poll is read with all its facts, refused, or not readable."""
    reply = sample("apiinone", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=STARTED), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    assert sample_names("apiinone") == set(SUBMITTED) | set(POLLED)


A, B = "https://x.test/a.png", "https://x.test/b.png"
IMAGES, VIDEOS = "/api/v1/images/generations", "/api/v1/videos/generations"
IMAGE: dict[str, object] = {
    "model": "kling-image-o1",
    "prompt": "a cat",
    "type": "image-to-image",
    "resolution": "1k",
    "num_images": 1,
}
VIDEO: dict[str, object] = {"model": "kling-3", "prompt": "a dog", "duration": 5}
REQUESTS: dict[str, tuple[Input, str, dict[str, object]]] = {
    "text to image": (ImageInput("a cat"), IMAGES, IMAGE),
    "image-to-image": (
        ImageInput("a cat", images=(A, B), aspect_ratio="21:9", resolution="2k", n=9),
        IMAGES,
        {**IMAGE, "images": [A, B], "aspect_ratio": "21:9", "resolution": "2k", "num_images": 9},
    ),
    "ai-multi-shot": (
        ImageInput("a cat", images=(A,), multi_shot=True),
        IMAGES,
        {**IMAGE, "images": [A], "type": "ai-multi-shot"},
    ),
    "extra passes": (ImageInput("a cat", extra={"seed": 7}), IMAGES, {**IMAGE, "seed": 7}),
    "text to video": (VideoInput("a dog", model="kling-3"), VIDEOS, VIDEO),
    "image to video": (
        VideoInput("a dog", model="kling-3", image=A, duration=15, aspect_ratio="9:16"),
        VIDEOS,
        {**VIDEO, "image": A, "duration": 15, "aspect_ratio": "9:16"},
    ),
    "mode, sound and elements": (
        VideoInput(
            "a dog",
            model="kling-3",
            extra={
                "mode": "pro",
                "sound": False,
                "kling_elements": [{"name": "dog"}],
                "callback_url": "https://x.test/hook",
            },
        ),
        VIDEOS,
        {
            **VIDEO,
            "mode": "pro",
            "sound": False,
            "kling_elements": [{"name": "dog"}],
            "callback_url": "https://x.test/hook",
        },
    ),
    "shots": (
        VideoInput("", model="kling-3", duration=7, shots=(Shot("it sits", 3), Shot("it runs", 4))),
        VIDEOS,
        {
            "model": "kling-3",
            "duration": 7,
            "multi_shots": True,
            "multi_prompt": [{"prompt": "it sits", "duration": 3}, {"prompt": "it runs", "duration": 4}],
        },
    ),
}


@pytest.mark.parametrize(("input", "path", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, path: str, body: dict[str, object]) -> None:
    """Each operation that is described goes by POST to the documented address with the documented body."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", path) == (request.method, request.path)
    assert body == json.loads(request.body)


def test_durations_of_shots_are_numbers() -> None:
    """Here a shot's duration is a whole number, where GPTProto has a text."""
    input, _, _ = REQUESTS["shots"]
    assert [int, int] == [
        type(shot["duration"]) for shot in json.loads(PROVIDER.build_submit(input).body)["multi_prompt"]
    ]


def test_a_poll_is_built_from_the_id_alone() -> None:
    """A poll goes by GET to the address made of the id, with no body."""
    expected = HttpRequest(method="GET", path="/api/v1/tasks/task_abc123", body=b"")
    assert expected == PROVIDER.build_poll(evolve(STARTED, id="task_abc123"))


def test_the_key_is_sent_in_one_way() -> None:
    """The key follows Bearer."""
    assert ("bearer",) == PROVIDER.schemes
    assert ("Authorization", "Bearer aio_test") == PROVIDER.authorizer("aio_test").header(0.0)


PRICES = {
    "an image": (ImageInput("a cat"), Decimal("0.012")),
    "nine images": (ImageInput("a cat", n=9), Decimal("0.012")),
    "multi-shot": (ImageInput("a cat", images=(A,), multi_shot=True), Decimal("0.032")),
    "the priced video": (VideoInput("a dog", model="kling-3"), Decimal("3.00")),
    "a longer video, of which a range is known": (VideoInput("a dog", model="kling-3", duration=6), None),
    "a better video, of which a range is known": (
        VideoInput("a dog", model="kling-3", extra={"mode": "pro"}),
        None,
    ),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: Input, cost: Decimal | None) -> None:
    """A cost is the published price; where only a range is published, it is unknown."""
    assert cost == PROVIDER.cost(input)
