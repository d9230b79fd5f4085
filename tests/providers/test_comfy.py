"""Comfy Router: every reply that its documents show, every documented request, and what a repeated one means."""

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
from kling_async.providers.comfy import Comfy
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status

PROVIDER = Comfy()
ID = "6f1a1a6e-6a53-4a5f-9d3a-2b3b0a1f9c21"
INPUT = VideoInput("a dog")
QUEUED = Prediction(
    provider="comfy",
    model="kling-o1-std",
    id=ID,
    key="dog",
    status=Status.QUEUED,
    native_status="IN_QUEUE",
    cost=Decimal("0.420"),
)
RUNNING = evolve(QUEUED, status=Status.RUNNING, native_status="IN_PROGRESS")
Read = Callable[[str, str], HttpResponse]
Hold = Callable[..., None]


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "provider": "comfy", "may_be_billed": False}
    return kind, facts


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "comfy"}


def held(words: str, code: str | None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect that the key belongs to an earlier submission, which may be charged."""
    message = f"Comfy Router holds an earlier submission with this key: {words}"
    return AnswerLost, {"message": message, "code": code, "key": "dog", "id": None, "may_be_billed": True}


NO_ID = unread("The reply holds no usable id", "$.data.id")
REFUSED = {
    "refused.400.json": no(BadRequest, "The body is malformed.", "invalid_input"),
    "refused-upstream.400.json": no(BadRequest, "expected the height to be at least 300px", "invalid_input"),
    "refused-content.400.json": no(
        ContentRejected, "The provider refused the request on content-policy grounds.", "content_policy_violation"
    ),
    "refused.401.json": no(AuthenticationError, "The request carried no usable credential.", "unauthorized"),
    "refused.402.json": no(
        InsufficientBalance, "The workspace does not have enough credits to run the model.", "insufficient_credits"
    ),
    "refused.403.json": no(PermissionDenied, "The credential is not entitled to this model.", "forbidden"),
    "refused-not-enabled.403.json": no(
        PermissionDenied, "Queued delivery is not switched on for this caller.", "not_enabled"
    ),
    "refused.404.json": no(BadRequest, "kling/kling-9 names no model.", "model_not_found"),
    "refused-request.404.json": no(BadRequest, "No such request.", "request_not_found"),
    "refused.413.json": no(BadRequest, "The body is too large.", "invalid_input"),
    "refused.422.json": no(BadRequest, "prompt: Field required", "missing"),
    "refused.429.json": no(RateLimited, "Too many requests in this window.", "rate_limited"),
    "refused-backlog.429.json": no(RateLimited, "Too many queued requests are waiting.", "queue_backlog_full"),
    # The client makes AnswerLost of these after a submission: nobody knows what happened to it.
    "refused.500.json": no(ProviderUnavailable, "Router failed.", "internal_error"),
    "refused.503.json": no(ProviderUnavailable, "A dependency is temporarily unavailable.", "service_unavailable"),
    "deadline.504.json": no(ProviderUnavailable, "Comfy stopped holding the connection.", "deadline_exceeded"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
}
SUBMITTED = {
    "created.201.json": QUEUED,
    "created-foreign-urls.201.json": QUEUED,
    # The id is what was paid for; the first poll reads the rest.
    "created-completed.201.json": evolve(QUEUED, native_status=""),
    "status-missing.201.json": NO_ID,
    **{f"id-{case}.201.json": NO_ID for case in ("null", "number", "slashes", "empty")},
    # The id in a result is Kling's, and no handle of Router's.
    "native.200.json": NO_ID,
    "admitting.409.json": held("Another call is in flight for this Idempotency-Key.", "concurrency_limit_exceeded"),
    "conflict.409.json": held("This Idempotency-Key was already used for a different request.", "invalid_input"),
    "conflict.409.html": held("HTTP 409", None),
    "with-id.503.json": (AnswerLost, {"id": ID, "key": "dog", "may_be_billed": True}),
    "page.200.html": unread("The reply is a page, not JSON"),
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(name: str, expected: Any, sample: Read, hold: Hold) -> None:
    """Each documented reply to a submission is a prediction, a refusal, or leaves open what happened."""
    reply = sample("comfy", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="dog"), expected)


def test_a_replayed_submission_is_the_first_prediction(sample: Read) -> None:
    """A repeat that is answered with the stored handle gives the same prediction as the first."""
    first = sample("comfy", "created.201.json")
    again = evolve(first, headers={**first.headers, "Idempotent-Replayed": "true"})
    expected = PROVIDER.parse_submit(first, input=INPUT, key="dog")
    assert expected == PROVIDER.parse_submit(again, input=INPUT, key="dog")


def test_an_error_type_is_read_from_the_header(sample: Read) -> None:
    """A page of a proxy has no error type in its body; the header has one."""
    page = sample("comfy", "conflict.409.html")
    reply = evolve(page, headers={**page.headers, "X-Comfy-Error-Type": "concurrency_limit_exceeded"})
    with pytest.raises(AnswerLost) as caught:
        PROVIDER.parse_submit(reply, input=INPUT, key="dog")
    assert "concurrency_limit_exceeded" == caught.value.code


def ended(word: str, code: str, message: str, *, kind: FailureKind = FailureKind.FAILED) -> Prediction:
    """Expect a prediction that has ended without a result."""
    status = Status.CANCELLED if word == "cancelled" else Status.FAILED
    return evolve(QUEUED, status=status, native_status=word, failure=Failure(kind=kind, code=code, message=message))


REJECTED, STOPPED = FailureKind.CONTENT_REJECTED, FailureKind.CANCELLED
EXPIRED = Failure(
    kind=FailureKind.EXPIRED, code="request_not_found", message="The request has aged out of its retention window."
)
POLLED = {
    "queued.200.json": QUEUED,
    "running.200.json": RUNNING,
    "running.202.json": RUNNING,
    "unknown-word.200.json": evolve(RUNNING, native_status="UPLOADING"),
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "completed.200.json": unread("The request is completed, and this reply holds no result", "$.status"),
    "ended-content-policy-violation.200.json": ended(
        "failed",
        "content_policy_violation",
        "the request ended with content_policy_violation",
        kind=REJECTED,
    ),
    "ended-provider-error.200.json": ended("failed", "provider_error", "the request ended with provider_error"),
    "ended-cancelled.200.json": ended("cancelled", "cancelled", "the request ended with cancelled", kind=STOPPED),
    # "Terminal, unbilled": it never reached the model's provider.
    "ended-queue-timeout.200.json": evolve(
        ended("failed", "queue_timeout", "the request ended with queue_timeout"), cost=Decimal(0)
    ),
    "gone.410.json": evolve(QUEUED, status=Status.EXPIRED, failure=EXPIRED),
    "page.200.html": unread("The reply is a page, not JSON"),
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(name: str, expected: Any, sample: Read, hold: Hold) -> None:
    """Each documented status is read with all its facts, refused, or not readable."""
    reply = sample("comfy", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=QUEUED), expected)


def test_a_result_that_is_kept_no_longer_has_expired_whatever_the_body(sample: Read) -> None:
    """HTTP 410 is final, with a body or without one that can be read."""
    seen = PROVIDER.parse_poll(sample("comfy", "gone.410.txt"), prediction=QUEUED)
    assert Status.EXPIRED is seen.status
    assert seen.failure is not None
    assert "kept no longer" in seen.failure.message


CLIP = Output(url="https://x.test/a.mp4", kind=OutputKind.VIDEO)
MADE = datetime(2027, 1, 1, tzinfo=UTC)
DONE = evolve(QUEUED, status=Status.SUCCEEDED, native_status="succeed", outputs=(CLIP,), created_at=MADE)
COMPLETED, CONTENT, CANCELLED, FAILED = (
    f"{name}.200.json"
    for name in ("completed", "ended-content-policy-violation", "ended-cancelled", "ended-provider-error")
)
RESULTS: dict[str, tuple[str, str, Any]] = {
    "a video": (COMPLETED, "result-video.200.json", DONE),
    # Its bill is that between Kling and Comfy.
    "a video of the new standard": (COMPLETED, "result-new.200.json", evolve(DONE, native_status="succeeded")),
    "no video": (
        COMPLETED,
        "result-empty.200.json",
        evolve(
            DONE,
            status=Status.FAILED,
            outputs=(),
            failure=Failure(
                kind=FailureKind.NO_OUTPUT,
                message="the provider says 'succeed', but its reply holds no output that can be read",
            ),
        ),
    ),
    "a failure of Kling's": (
        COMPLETED,
        "result-failed.200.json",
        evolve(
            DONE,
            status=Status.FAILED,
            native_status="failed",
            outputs=(),
            failure=Failure(kind=FailureKind.FAILED, message="bad weather"),
        ),
    ),
    "not ready after all": (COMPLETED, "running.202.json", RUNNING),
    "a paid result of a cancelled request": (CANCELLED, "result-video.200.json", DONE),
    "an outage": (
        COMPLETED,
        "refused.503.json",
        no(ProviderUnavailable, "A dependency is temporarily unavailable.", "service_unavailable"),
    ),
    "kept no longer": (COMPLETED, "gone.410.json", evolve(QUEUED, status=Status.EXPIRED, failure=EXPIRED)),
    "a page": (COMPLETED, "page.200.html", unread("The reply is a page, not JSON")),
}


@pytest.mark.parametrize(("status", "result", "expected"), RESULTS.values(), ids=list(RESULTS))
def test_results(status: str, result: str, expected: Any, sample: Read, hold: Hold) -> None:
    """A result is Kling's record; what is none fails the poll, or says that it comes later, or never."""
    polled, reply = sample("comfy", status), sample("comfy", result)
    hold(reply, lambda: PROVIDER.parse_result(reply, prediction=QUEUED, polled=polled), expected)


FAILURES: dict[str, tuple[str, str, Prediction]] = {
    "content": (
        CONTENT,
        "result-content.400.json",
        ended("failed", "content_policy_violation", "The provider flagged the prompt.", kind=REJECTED),
    ),
    "cancelled": (
        CANCELLED,
        "result-cancelled.409.json",
        ended("cancelled", "cancelled", "The request was withdrawn.", kind=STOPPED),
    ),
    "an error of the provider": (
        FAILED,
        "result-provider.502.json",
        ended("failed", "provider_error", "The provider failed."),
    ),
    # The status has said what it ended with; only the words are missing.
    "an outage": (
        FAILED,
        "refused.503.json",
        ended("failed", "provider_error", "the request ended with provider_error"),
    ),
}


@pytest.mark.parametrize(("status", "result", "expected"), FAILURES.values(), ids=list(FAILURES))
def test_failures(status: str, result: str, expected: Prediction, sample: Read) -> None:
    """A failure has the error type of the status, and the words of the answer to the request for the result."""
    polled = sample("comfy", status)
    seen = PROVIDER.parse_result(sample("comfy", result), prediction=QUEUED, polled=polled)
    assert evolve(expected, raw=json.loads(polled.body)) == seen


def test_images(sample: Read) -> None:
    """All images of a result are outputs of the kind of the model."""
    asked = evolve(QUEUED, model="kling/kling-image-o1")
    polled = sample("comfy", COMPLETED)
    seen = PROVIDER.parse_result(sample("comfy", "result-images.200.json"), prediction=asked, polled=polled)
    assert [("https://x.test/a.png", OutputKind.IMAGE), ("https://x.test/b.png", OutputKind.IMAGE)] == [
        (output.url, output.kind) for output in seen.outputs
    ]


@pytest.mark.parametrize(
    ("credits", "cost"),
    [
        ("25.32", "0.12"),
        ("0", "0"),
        ("29.54", "0.14"),
        ("", "0.420"),
        ("nan", "0.420"),
        ("-1", "0.420"),
        ("1e99", "0.420"),
    ],
)
def test_the_cost_is_in_a_header(sample: Read, credits: str, cost: str) -> None:
    """A result names what Comfy charges in credits, 211 for a dollar; what is no number leaves the table's price."""
    reply, polled = sample("comfy", "result-video.200.json"), sample("comfy", COMPLETED)
    priced = evolve(reply, headers={**reply.headers, "X-Comfy-Credits-Used": credits})
    assert Decimal(cost) == PROVIDER.parse_result(priced, prediction=QUEUED, polled=polled).cost


@pytest.mark.parametrize(("name", "expected"), [(COMPLETED, True), (FAILED, True), ("running.200.json", False)])
def test_a_result_is_asked_for_at_the_end(sample: Read, name: str, expected: bool) -> None:
    """A completed status has a result elsewhere, even one with an error: its words, or what was paid for, are there."""
    request = PROVIDER.build_result(QUEUED, sample("comfy", name))
    wanted = HttpRequest(method="GET", path=f"/v2/models/kling/kling-video-o1/requests/{ID}")
    assert (wanted if expected else None) == request


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    of_results = {name for one in (*RESULTS.values(), *FAILURES.values()) for name in one[:2]}
    used = set(SUBMITTED) | set(POLLED) | of_results | {"gone.410.txt", "result-images.200.json"}
    assert sample_names("comfy") == used


A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"


def frame(url: str, kind: str | None = None) -> dict[str, str]:
    return {"image_url": url} if kind is None else {"image_url": url, "type": kind}


def content(kind: str, url: str, id: str | None = None) -> dict[str, str]:
    return {"type": kind, "url": url} if id is None else {"type": kind, "url": url, "id": id}


O1 = {"prompt": "a dog", "duration": "5", "mode": "std"}
TEXT = {"type": "prompt", "text": "a dog"}
V4 = {"duration": 5, "resolution": "720p"}
REQUESTS: dict[str, tuple[Input, str, dict[str, object]]] = {
    "image": (ImageInput("a cat"), "kling-image-o1", {"prompt": "a cat", "n": 1, "resolution": "1k"}),
    "image with references": (
        ImageInput("a cat", images=(A,), n=2, resolution="4k", aspect_ratio="21:9"),
        "kling-image-o1",
        {"prompt": "a cat", "n": 2, "resolution": "4k", "aspect_ratio": "21:9", "image_list": [{"image": A}]},
    ),
    "image 4.0": (
        ImageInput("a cat", model="kling-image-4.0", images=(A, B), resolution="8k", extra={"result_type": "series"}),
        "kling-image-4.0",
        {
            "contents": [
                {"type": "prompt", "text": "a cat"},
                content("refer_image", A, "image_1"),
                content("refer_image", B, "image_2"),
            ],
            "settings": {"n": 1, "resolution": "8k", "result_type": "series"},
        },
    ),
    "O1": (INPUT, "kling-video-o1", {**O1, "aspect_ratio": "16:9"}),
    "O1 frames": (
        VideoInput("a dog", image=A, last_image=B, duration=7),
        "kling-video-o1",
        {**O1, "duration": "7", "image_list": [frame(A, "first_frame"), frame(B, "end_frame")]},
    ),
    "O1 references": (
        VideoInput("a dog", model="kling-o1-pro", images=(A,), video=C, keep_original_sound=False, aspect_ratio="1:1"),
        "kling-video-o1",
        {
            **O1,
            "mode": "pro",
            "aspect_ratio": "1:1",
            "image_list": [frame(A)],
            "video_list": [{"video_url": C, "refer_type": "feature", "keep_original_sound": "no"}],
        },
    ),
    "O1 edit": (
        VideoInput("a dog", video=C, scene="video-edit"),
        "kling-video-o1",
        {
            "prompt": "a dog",
            "mode": "std",
            "video_list": [{"video_url": C, "refer_type": "base", "keep_original_sound": "yes"}],
        },
    ),
    "omni shots": (
        VideoInput(model="kling-3.0-omni-pro", shots=(Shot("it sits", 2), Shot("it runs", 3)), sound=True),
        "kling-v3-omni",
        {
            "duration": "5",
            "mode": "pro",
            "sound": "on",
            "aspect_ratio": "16:9",
            "multi_shot": True,
            "shot_type": "customize",
            "multi_prompt": [
                {"index": 1, "prompt": "it sits", "duration": "2"},
                {"index": 2, "prompt": "it runs", "duration": "3"},
            ],
        },
    ),
    "3.0": (
        VideoInput("a dog", model="kling-3.0-std", sound=False, negative_prompt="rain", aspect_ratio="9:16"),
        "kling-v3",
        {**O1, "sound": "off", "negative_prompt": "rain", "aspect_ratio": "9:16"},
    ),
    "2.6": (VideoInput("a dog", model="kling-2.6-pro"), "kling-v2-6", {**O1, "mode": "pro"}),
    "3.0 turbo": (
        VideoInput("a dog", model="kling-3.0-turbo-pro", duration=15),
        "kling-3.0-turbo",
        {"prompt": "a dog", "settings": {"resolution": "1080p", "duration": 15}},
    ),
    "3.0 turbo shots": (
        VideoInput(model="kling-3.0-turbo-std", shots=(Shot("it sits", 2), Shot("it runs", 3))),
        "kling-3.0-turbo",
        {
            "prompt": "shot 1, 2, it sits; shot 2, 3, it runs;",
            "settings": {"resolution": "720p", "duration": 5},
        },
    ),
    "4.0": (VideoInput("a dog", model="kling-4.0"), "kling-4.0", {"prompt": "a dog", "settings": V4}),
    "4.0 keyframes": (
        VideoInput(model="kling-4.0", image=A, keyframes=(B, C), last_image=B, resolution="1080p", duration=30),
        "kling-4.0",
        {
            "contents": [
                content("first_frame", A),
                content("middle_frame", B),
                content("middle_frame", C),
                content("last_frame", B),
            ],
            "settings": {"duration": 30, "resolution": "1080p"},
        },
    ),
    "4.0 references": (
        VideoInput("a dog", model="kling-4.0", images=(A,), videos=(C, B), scene="reference-to-video"),
        "kling-4.0",
        {
            "contents": [
                TEXT,
                content("feature_video", C, "video_1"),
                content("feature_video", B, "video_2"),
                content("refer_image", A, "image_1"),
            ],
            "settings": V4,
        },
    ),
    "4.0 edit": (
        VideoInput("a dog", model="kling-4.0", video=C, scene="video-edit"),
        "kling-4.0",
        {"contents": [TEXT, content("base_video", C, "video_1")], "settings": V4},
    ),
    "4.0 flash": (
        VideoInput("a dog", model="kling-4.0-flash", aspect_ratio="3:4", duration=20),
        "kling-4.0-flash",
        {"prompt": "a dog", "settings": {"duration": 20, "resolution": "720p", "aspect_ratio": "3:4"}},
    ),
}


@pytest.mark.parametrize(("input", "model", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, model: str, body: dict[str, object]) -> None:
    """Each operation goes by POST to the queue of its model, with Kling's own body, which does not name the model."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", f"/v2/models/kling/{model}/requests") == (request.method, request.path)
    assert body == json.loads(request.body)


def test_the_client_id_is_the_idempotency_key() -> None:
    """It is in a header, and the body is the same without it, as a repeat has to be."""
    plain = PROVIDER.build_submit(INPUT)
    keyed = PROVIDER.add_client_id(plain, "0f0e0d0c-0000-4000-8000-000000000000")
    assert (("Idempotency-Key", "0f0e0d0c-0000-4000-8000-000000000000"),) == keyed.headers
    assert plain == evolve(keyed, headers=())
    assert PROVIDER.build_lookup(INPUT, "any") is None


LOST: dict[str, tuple[Input, str]] = {
    "1k of image 4.0": (ImageInput("a cat", model="kling-image-4.0"), "resolution"),
    "frames of a text model": (VideoInput("a dog", model="kling-3.0-std", image=A), "scene"),
    "sound of 2.6 std": (VideoInput("a dog", model="kling-2.6-std", sound=True), "sound"),
    "sound beside a video": (
        VideoInput("a dog", model="kling-3.0-omni-std", video=C, scene="reference-to-video", sound=True),
        "sound",
    ),
    "the sound of no video": (VideoInput("a dog", images=(A,), keep_original_sound=False), "keep_original_sound"),
    "many images beside a video": (VideoInput("a dog", images=(A,) * 5, video=C, scene="video-edit"), "images"),
    "shots beside a prompt": (
        VideoInput("a dog", model="kling-3.0-pro", shots=(Shot("it sits", 2), Shot("it runs", 3))),
        "prompt",
    ),
    "seconds of O1": (VideoInput("a dog", duration=7), "duration"),
    "two videos to edit": (VideoInput("a dog", model="kling-4.0", videos=(C, B), scene="video-edit"), "videos"),
    "references of flash": (VideoInput("a dog", model="kling-4.0-flash", images=(A,)), "scene"),
    "a list of Kling's": (VideoInput("a dog", extra={"image_list": []}), "extra"),
    "a name of Kling's": (VideoInput("a dog", extra={"model_name": "kling-v3"}), "extra"),
    "contents": (VideoInput("a dog", model="kling-4.0", extra={"contents": []}), "extra"),
    "a mode": (VideoInput("a dog", extra={"mode": "pro"}), "extra['mode']"),
}


@pytest.mark.parametrize(("input", "field"), LOST.values(), ids=list(LOST))
def test_nothing_is_dropped_in_silence(input: Input, field: str) -> None:
    """A field that the model lacks, or a value that it does not take, is a fault before anything is sent."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    assert field in {fault.field for fault in caught.value.faults}


PRICES: dict[str, tuple[Input, str | None]] = {
    "image": (ImageInput("a cat", n=3), "0.084"),
    "4k image": (ImageInput("a cat", resolution="4k"), "0.056"),
    "O1": (INPUT, "0.42"),
    "O1 with a video": (VideoInput("a dog", video=C, scene="reference-to-video"), "0.63"),
    "an edit": (VideoInput("a dog", video=C, scene="video-edit"), None),
    "omni sound": (VideoInput("a dog", model="kling-3.0-omni-std", sound=True), "0.56"),
    "omni with a video": (
        VideoInput("a dog", model="kling-3.0-omni-std", video=C, scene="reference-to-video"),
        None,
    ),
    "3.0": (VideoInput("a dog", model="kling-3.0-pro", duration=10), "1.12"),
    "2.6 std": (VideoInput("a dog", model="kling-2.6-std"), None),
    "2.6 pro": (VideoInput("a dog", model="kling-2.6-pro"), "0.35"),
    "turbo": (VideoInput("a dog", model="kling-3.0-turbo-std"), "0.56"),
    "4.0": (VideoInput("a dog", model="kling-4.0"), None),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: Input, cost: str | None) -> None:
    """A price that a page has is known, and any other is not."""
    assert (None if cost is None else Decimal(cost)) == PROVIDER.cost(input)


def test_a_poll_is_built_from_the_model_and_the_id(sample: Read) -> None:
    """Whatever address a handle names, requests go to the path of the model and the id, on the own origin."""
    seen = PROVIDER.parse_submit(sample("comfy", "created-foreign-urls.201.json"), input=INPUT, key=None)
    path = f"/v2/models/kling/kling-video-o1/requests/{ID}"
    assert HttpRequest(method="GET", path=f"{path}/status") == PROVIDER.build_poll(seen)
    assert HttpRequest(method="PUT", path=f"{path}/cancel") == PROVIDER.build_cancel(seen)


def test_a_model_that_is_missing_from_the_table_is_an_id_of_routers() -> None:
    """A prediction of a later version can be polled; a name that is no id is refused."""
    later = evolve(QUEUED, model="kling/kling-9 turbo/x")
    assert f"/v2/models/kling/kling-9%20turbo%2Fx/requests/{ID}/status" == PROVIDER.build_poll(later).path
    with pytest.raises(InputError, match="Unknown model"):
        PROVIDER.build_poll(evolve(QUEUED, model="kling-9"))


@pytest.mark.parametrize(("status", "passes"), [(202, True), (409, True), (404, True), (403, False), (503, False)])
def test_a_cancellation_may_come_too_late(status: int, passes: bool) -> None:
    """ALREADY_COMPLETED is HTTP 409, and no refusal."""
    response = HttpResponse(status=status, body=b'{"request_id":"x","status":"ALREADY_COMPLETED"}')
    if passes:
        PROVIDER.check_cancel(response)
        return
    with pytest.raises(KlingError):
        PROVIDER.check_cancel(response)
