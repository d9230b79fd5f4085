"""GPTProto: every reply that its pages and its clients know, and every request that its pages describe."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
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
from kling_async.providers.gptproto import GPTProto
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status, Timings

PROVIDER = GPTProto()
INPUT = ImageInput("a cat")
HEX = "5f3c0d1e9a7b4c2d8e6f0a1b2c3d4e5f"
UUID = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
URL = "https://d2p7pge43lyniu.cloudfront.net/output/cat.png"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
GUIDELINES = "Input may not meet the guidelines. Please adjust and try again."

ACCEPTED = Prediction(
    provider="gptproto", model="kling-image-o1", id=HEX, key="cat", status=Status.QUEUED, native_status="created"
)
CAT = Output(url=URL, kind=OutputKind.IMAGE)
DONE = evolve(ACCEPTED, status=Status.SUCCEEDED, native_status="completed", outputs=(CAT,))
PNG_OUTPUT = Output(url=f"data:image/png;base64,{PNG}", kind=OutputKind.IMAGE)


def fault(kind: FailureKind, message: str, code: str | None = None) -> Failure:
    """Shorten the tables."""
    return Failure(kind=kind, code=code, message=message)


def failed(message: str, *, code: str | None = None, word: str = "failed", **more: Any) -> Prediction:
    """Expect a prediction that failed, of which the provider says so much."""
    ended = evolve(ACCEPTED, status=Status.FAILED, native_status=word, failure=fault(FailureKind.FAILED, message, code))
    return evolve(ended, **more)


def no_output(word: str = "completed", code: str | None = None, **more: Any) -> Prediction:
    """Expect a prediction that is said to be a success, and is none."""
    message = f"the provider says {word!r}, but its reply holds no output that can be read"
    ended = evolve(
        ACCEPTED, status=Status.FAILED, native_status=word, failure=fault(FailureKind.NO_OUTPUT, message, code)
    )
    return evolve(ended, **more)


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "gptproto"}
    return kind, {**facts, "may_be_billed": False}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "gptproto"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
REFUSED = {
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "error.500.txt": no(ProviderUnavailable, "HTTP 500"),
    "enveloped-code-text.200.json": no(AuthenticationError, "Invalid Token", "401"),
    "enveloped-conflict.200.json": no(BadRequest, "Conflict", "409"),
    "enveloped-content.200.json": no(ContentRejected, "Content policy violation", "503"),
    "enveloped-error-object.200.json": no(InsufficientBalance, "Insufficient balance", "403"),
    "enveloped-error-text.200.json": no(BadRequest, "invalid model"),
    "enveloped-execution.200.json": no(ProviderUnavailable, "Task execution failed", "1403"),
    "enveloped-internal.200.json": no(ProviderUnavailable, "Internal server error", "500"),
    "enveloped-key.200.json": no(AuthenticationError, "Invalid Token", "401"),
    "enveloped-media.200.json": no(BadRequest, "Media access failed", "1402"),
    "enveloped-missing-parameter.200.json": no(BadRequest, "prompt is required", "1400"),
    "enveloped-moderation.200.json": no(ContentRejected, "Content moderation", "1200"),
    "enveloped-no-credits.200.json": no(InsufficientBalance, "Not enough credits", "402"),
    "enveloped-no-message.200.json": no(ProviderUnavailable, "HTTP 200", "500"),
    "enveloped-parameters.200.json": no(BadRequest, "Invalid parameters", "400"),
    "enveloped-permission.200.json": no(PermissionDenied, "No permission", "403"),
    "enveloped-balance.200.json": no(InsufficientBalance, "Insufficient balance", "403"),
    "enveloped-rate.200.json": no(RateLimited, "Too many requests", "429"),
    "enveloped-upstream.200.json": no(ProviderUnavailable, "Service unavailable", "5003"),
    "code-word.200.json": no(BadRequest, "no such model", "invalid_model"),
    "moved.302.html": no(BadRequest, "HTTP 302"),
    "no-credits.402.txt": no(InsufficientBalance, "HTTP 402"),
    "not-found.404.txt": no(BadRequest, "HTTP 404"),
    "rate-limited.429.txt": no(RateLimited, "HTTP 429"),
    "refused-bad-request.400.json": no(BadRequest, "duration is invalid", "bad_request"),
    "refused-content-code-number.400.json": no(ContentRejected, "Content policy violation", "503"),
    "refused-content-code-text.400.json": no(ContentRejected, "Content policy violation", "503"),
    "refused-content-error-code.400.json": no(ContentRejected, "Content policy violation", "503"),
    "refused-content-error-code-text.400.json": no(ContentRejected, "Content policy violation", "503"),
    "refused-content.503.json": no(ContentRejected, GUIDELINES, "503"),
    "refused-error-text.400.json": no(BadRequest, "the prompt is missing"),
    "refused-flat-unified.401.json": no(AuthenticationError, "Token cannot be empty", "401"),
    "refused-new-balance.403.json": no(
        InsufficientBalance, "Insufficient balance for the requested operation", "insufficient_permissions"
    ),
    "refused-new-key.401.json": no(AuthenticationError, "Invalid authentication credentials", "invalid_api_key"),
    "refused-new-parameters.400.json": no(BadRequest, "Invalid parameters", "invalid_parameters"),
    "refused-new-permission.403.json": no(
        PermissionDenied,
        "Your API key doesn\N{RIGHT SINGLE QUOTATION MARK}t have permission to access this resource",
        "insufficient_permissions",
    ),
    "refused-new-rate.429.json": no(RateLimited, "Rate limit exceeded", "rate_limit_exceeded"),
    "refused-old-balance.403.json": no(InsufficientBalance, "Insufficient balance", "403"),
    "refused-old-content.400.json": no(ContentRejected, GUIDELINES, "503"),
    "refused-old-internal.400.json": no(ProviderUnavailable, "Internal server error", "500"),
    "refused-old-internal.500.json": no(ProviderUnavailable, "Internal server error", "500"),
    "refused-old-signature.401.json": no(AuthenticationError, "Invalid signature", "401"),
    "refused-old-token.403.json": no(AuthenticationError, "Invalid Token", "403"),
    "refused-type-number.401.json": no(AuthenticationError, "Invalid signature", "401"),
    "refused-status-beside-error.400.json": no(ContentRejected, "Content policy violation", "503"),
    "refused-status-beside-error.403.json": no(InsufficientBalance, "Insufficient balance"),
    "sync-timed-out-gateway.504.html": no(ProviderUnavailable, "HTTP 504"),
    "timed-out.408.json": no(BadRequest, "Request timeout", "408"),
    "too-large.413.json": no(BadRequest, "Payload too large", "413"),
    "unavailable.503.html": no(ProviderUnavailable, "HTTP 503"),
    "unavailable.503.txt": no(ProviderUnavailable, "HTTP 503"),
    "wrong-path.404.html": no(BadRequest, "HTTP 404"),
}
UNREADABLE = {
    "blank.200.txt": unread("The reply is empty"),
    "cut-short.200.txt": unread("The reply is not JSON (JSONDecodeError)"),
    "empty.200.txt": unread("The reply is empty"),
    "huge-integer.200.txt": unread("The reply is not JSON (ValueError)"),
    "login-page.200.html": unread("The reply is a page, not JSON"),
    "no-content.204.txt": unread("The reply is empty"),
    "not-a-number.200.txt": unread("The reply is not JSON (ValueError)"),
}
SUBMITTED = {
    "created-camel.200.json": evolve(ACCEPTED, id=UUID, created_at=datetime(2026, 6, 16, 8, 23, 58, tzinfo=UTC)),
    "created-snake.200.json": evolve(ACCEPTED, created_at=datetime(2026, 1, 1, tzinfo=UTC)),
    "created-error-blank.200.json": evolve(ACCEPTED, created_at=datetime(2025, 11, 7, 2, 35, 15, 349505, tzinfo=UTC)),
    "created-urls-list.200.json": ACCEPTED,
    "created-urls-missing.200.json": ACCEPTED,
    "created-data-list.200.json": ACCEPTED,
    "created-code-text.200.json": ACCEPTED,
    "created-code-zero.200.json": ACCEPTED,
    "created-flat-unified.202.json": evolve(ACCEPTED, id=UUID, native_status="pending"),
    "created-status-missing.200.json": evolve(ACCEPTED, native_status=""),
    "created-status-number.200.json": evolve(ACCEPTED, native_status=""),
    "created-status-upper.200.json": evolve(ACCEPTED, native_status="CREATED"),
    "created-error-code-beside-id.200.json": ACCEPTED,
    "created-longest-id.200.json": evolve(ACCEPTED, id="a" * 128),
    "sync-finished.200.json": evolve(
        DONE,
        nsfw=False,
        created_at=datetime(2026, 6, 16, 8, 23, 58, 500_000, tzinfo=UTC),
        timings=Timings(inference_seconds=22.876, execution_seconds=23.12),
    ),
    "sync-finished-base64.200.json": evolve(DONE, outputs=(PNG_OUTPUT,)),
    "sync-failed.200.json": failed(GUIDELINES, failure=fault(FailureKind.CONTENT_REJECTED, GUIDELINES)),
    "sync-timed-out.200.json": evolve(ACCEPTED, status=Status.RUNNING, native_status="processing"),
    "template.200.json": no_output(created_at=datetime(2026, 1, 1, tzinfo=UTC)),
    **{
        f"id-{case}.200.json": NO_ID
        for case in (
            *("null", "number", "float", "true", "empty", "blank", "dots", "slashes", "query", "space"),
            *("newline", "too-long", "non-ascii", "list", "object", "missing"),
        )
    },
    # It may well be running, so it is never called refused.
    "flat-without-id.200.json": NO_ID,
    "data-null.200.json": NO_ID,
    "data-empty-list.200.json": NO_ID,
    "data-text.200.json": NO_ID,
    "data-list-of-urls.200.json": NO_ID,
    "no-envelope.200.json": NO_ID,
    "top-null.200.json": NO_ID,
    "top-list.200.json": NO_ID,
    "top-number.200.json": NO_ID,
    "id-on-a-failure.500.json": (AnswerLost, {"id": HEX, "key": "cat", "may_be_billed": True}),
    "id-on-a-429.429.json": (AnswerLost, {"id": HEX, "key": "cat", "may_be_billed": True}),
    "id-on-a-redirect.307.json": (AnswerLost, {"id": HEX, "key": "cat", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
    # It may have been taken before, so it is never called refused.
    "moved.302.html": (AnswerLost, {"id": None, "key": "cat", "may_be_billed": True}),
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("gptproto", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="cat"), expected)


def running(word: str, status: Status = Status.RUNNING, **more: Any) -> Prediction:
    """Expect a prediction that goes on."""
    return evolve(evolve(ACCEPTED, status=status, native_status=word), **more)


def ended(word: str, status: Status, kind: FailureKind, message: str | None = None) -> Prediction:
    """Expect a prediction that ended otherwise."""
    told = fault(kind, message or f"the provider says {word!r} and no more")
    return evolve(ACCEPTED, status=status, native_status=word, failure=told)


NO_STATUS = unread("The reply cannot be read: required field missing at $.status", "$.status")
NO_STATUS_WORD = unread("The reply cannot be read: invalid value for type, expected str at $.status", "$.status")
NOTHING_SAID = "the provider says 'failed' and no more"
POLLED = {
    "created-camel.200.json": evolve(ACCEPTED, created_at=datetime(2026, 6, 16, 8, 23, 58, tzinfo=UTC)),
    "processing.200.json": running("processing"),
    "running.200.json": running("running"),
    "pending.200.json": running("pending", Status.QUEUED),
    "in-progress-upper.200.json": running("IN_PROGRESS"),
    "unknown-word.200.json": running("Warming-Up"),
    "status-blank.200.json": running(""),
    "sync-timed-out.200.json": running("processing"),
    "flat-without-id.200.json": running("processing"),
    "status-null.200.json": NO_STATUS_WORD,
    "status-number.200.json": NO_STATUS_WORD,
    "status-missing.200.json": NO_STATUS,
    "completed.200.json": evolve(
        DONE,
        created_at=datetime(2025, 11, 7, 2, 35, 15, 349505, tzinfo=UTC),
        timings=Timings(inference_seconds=380.841, execution_seconds=380.841),
    ),
    "completed-camel.200.json": evolve(
        DONE,
        nsfw=False,
        created_at=datetime(2025, 12, 17, 15, 5, 5, tzinfo=UTC),
        timings=Timings(execution_seconds=1.5),
    ),
    "completed-upper.200.json": evolve(DONE, native_status=" COMPLETED "),
    "completed-succeeded.200.json": evolve(DONE, native_status="succeeded"),
    "completed-data-list.200.json": DONE,
    "completed-flat.200.json": DONE,
    "completed-other-id.200.json": DONE,
    "completed-id-null.200.json": DONE,
    "completed-flagged.200.json": evolve(DONE, nsfw=True, outputs=(CAT, CAT)),
    "completed-flagged-plain.200.json": evolve(DONE, nsfw=True),
    "completed-text.200.json": DONE,
    "completed-objects.200.json": evolve(DONE, outputs=(CAT, CAT)),
    "completed-video-url.200.json": evolve(
        DONE, outputs=(Output(url="https://oss.gptproto.com/v/1.mp4", kind=OutputKind.IMAGE),)
    ),
    "completed-result.200.json": DONE,
    "completed-base64.200.json": evolve(DONE, outputs=(PNG_OUTPUT,)),
    "completed-data-uri.200.json": evolve(DONE, outputs=(PNG_OUTPUT,)),
    "completed-data-uri-video.200.json": evolve(
        DONE, outputs=(Output(url="data:video/mp4;base64,AAAAGGZ0eXBtcDQy", kind=OutputKind.VIDEO),)
    ),
    "completed-mixed.200.json": DONE,
    "completed-no-outputs.200.json": no_output(),
    "completed-outputs-null.200.json": no_output(),
    "completed-voice-id.200.json": no_output(),
    "completed-odd-fields.200.json": DONE,
    "template.200.json": no_output(created_at=datetime(2026, 1, 1, tzinfo=UTC)),
    "failed-text.200.json": failed("The model could not load the reference image"),
    "failed-object.200.json": failed("Media access failed", code="1402"),
    "failed-object-type.200.json": failed("Internal server error", code="500"),
    "failed-number-beside-text.200.json": failed(
        "", failure=fault(FailureKind.CONTENT_REJECTED, "Content moderation", "1200")
    ),
    "failed-guidelines.200.json": failed("", failure=fault(FailureKind.CONTENT_REJECTED, GUIDELINES)),
    "failed-null.200.json": failed(NOTHING_SAID),
    "failed-blank.200.json": failed("the provider says 'FAILED' and no more", word="FAILED"),
    "failed-absent.200.json": failed(NOTHING_SAID),
    "failed-with-outputs.200.json": failed("half done"),
    "failed-envelope-says-why.200.json": failed("Task failed upstream", code="1405"),
    "error-word.200.json": failed("x", word="error"),
    "timeout-word.200.json": failed("the provider says 'timeout' and no more", word="timeout"),
    "cancelled.200.json": ended("cancelled", Status.CANCELLED, FailureKind.CANCELLED),
    "canceled.200.json": ended("canceled", Status.CANCELLED, FailureKind.CANCELLED),
    "deleted.200.json": ended("deleted", Status.CANCELLED, FailureKind.CANCELLED),
    "expired.200.json": ended("expired", Status.EXPIRED, FailureKind.EXPIRED, "kept for 7 days"),
    "data-null.200.json": NO_STATUS,
    "top-null.200.json": NO_STATUS,
    "top-list.200.json": NO_STATUS,
    "id-on-a-failure.500.json": no(ProviderUnavailable, "gateway error", "500"),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a poll is read with all its facts, refused, or not readable; the id stays the first."""
    reply = sample("gptproto", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=ACCEPTED), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    assert sample_names("gptproto") == set(SUBMITTED) | set(POLLED)


@pytest.mark.parametrize("word", ["completed", "Completed", "COMPLETED", "success", "SUCCEEDED", "\tcompleted\n"])
def test_status_words_in_any_case(word: str) -> None:
    """A status word means the same in any case, and is kept as it came."""
    body = json.dumps({"code": 200, "data": {"id": HEX, "status": word, "outputs": [URL]}}).encode()
    seen = PROVIDER.parse_poll(HttpResponse(status=200, body=body), prediction=ACCEPTED)
    assert (Status.SUCCEEDED, word) == (seen.status, seen.native_status)


def test_what_is_known_stays_known() -> None:
    """A reply that leaves out when the work was taken does not make us forget it, nor its price."""
    known = evolve(ACCEPTED, created_at=datetime(2026, 1, 1, tzinfo=UTC))
    body = json.dumps({"data": {"status": "processing"}}).encode()
    seen = PROVIDER.parse_poll(HttpResponse(status=200, body=body), prediction=known)
    assert evolve(known, status=Status.RUNNING, native_status="processing") == seen


def test_a_record_that_tells_nothing_new_changes_the_reply_alone(sample: Callable[[str, str], HttpResponse]) -> None:
    """A prediction that goes on under the same word stays as it was known, and carries the reply of now."""
    reply = sample("gptproto", "processing.200.json")
    known = running("processing", created_at=datetime(2026, 6, 16, tzinfo=UTC), nsfw=False, raw=None)
    seen = PROVIDER.parse_poll(reply, prediction=known)
    assert known == seen
    assert json.loads(reply.body) == seen.raw


@pytest.mark.parametrize("name", ["completed.200.json", "completed-upper.200.json"])
def test_a_record_is_read_whole_where_its_word_and_the_status_disagree(
    name: str, sample: Callable[[str, str], HttpResponse]
) -> None:
    """A prediction put together by hand, with the last word but not its status, ends all the same."""
    reply = sample("gptproto", name)
    word = json.loads(reply.body)["data"]["status"]
    by_hand = Prediction(
        provider="gptproto",
        model=INPUT.model,
        id=HEX,
        native_status=word,
        created_at=datetime(2026, 6, 16, tzinfo=UTC),
    )
    assert Status.SUCCEEDED is PROVIDER.parse_poll(reply, prediction=by_hand).status


def test_a_model_that_is_no_longer_known_can_still_be_read() -> None:
    """A prediction from an older table is read all the same."""
    body = json.dumps({"data": {"status": "completed", "outputs": [URL]}}).encode()
    old = evolve(ACCEPTED, model="kling-v0")
    assert evolve(DONE, model="kling-v0") == PROVIDER.parse_poll(HttpResponse(status=200, body=body), prediction=old)


A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
STD, PRO = "kling-video-o1-std", "kling-video-o1-pro"
REQUESTS: dict[str, tuple[Input, str, dict[str, object]]] = {
    "text-to-image": (
        ImageInput("a cat"),
        "kling-image-o1/text-to-image",
        {"prompt": "a cat", "n": 1, "resolution": "1k"},
    ),
    "text-to-image in full": (
        ImageInput("a cat", aspect_ratio="2:1", n=9, resolution="2k"),
        "kling-image-o1/text-to-image",
        {"prompt": "a cat", "aspect_ratio": "2:1", "n": 9, "resolution": "2k"},
    ),
    "image-to-image": (
        ImageInput("a cat", images=[A, B]),  # type: ignore[arg-type]
        "kling-image-o1/image-to-image",
        {"prompt": "a cat", "n": 1, "resolution": "1k", "images": [A, B]},
    ),
    "extra passes": (
        ImageInput("a cat", extra={"enable_sync_mode": True, "seed": [1, {"a": None}]}),
        "kling-image-o1/text-to-image",
        {"prompt": "a cat", "n": 1, "resolution": "1k", "enable_sync_mode": True, "seed": [1, {"a": None}]},
    ),
    "text-to-video": (
        VideoInput("a dog"),
        f"{STD}/text-to-video",
        {"prompt": "a dog", "duration": 5, "keep_original_sound": True, "aspect_ratio": "16:9"},
    ),
    "text-to-video at the pro model": (
        VideoInput("a dog", model=PRO, duration=10, aspect_ratio="9:16"),
        f"{PRO}/text-to-video",
        {"prompt": "a dog", "duration": 10, "keep_original_sound": True, "aspect_ratio": "9:16"},
    ),
    "image-to-video": (
        VideoInput("a dog", image=A),
        f"{STD}/image-to-video",
        {"prompt": "a dog", "image": A, "duration": 5, "keep_original_sound": True},
    ),
    "image-to-video with a last frame": (
        VideoInput("a dog", image=A, last_image=B, duration=3),
        f"{STD}/image-to-video",
        {"prompt": "a dog", "image": A, "last_image": B, "duration": 3, "keep_original_sound": True},
    ),
    "reference-to-video": (
        VideoInput("a dog", images=(A, B), duration=3),
        f"{STD}/reference-to-video",
        {
            "prompt": "a dog",
            "images": [A, B],
            "duration": 3,
            "keep_original_sound": True,
            "aspect_ratio": "16:9",
        },
    ),
    "reference-to-video with a video": (
        VideoInput("a dog", images=(A,), video=C, keep_original_sound=False, aspect_ratio="1:1"),
        f"{STD}/reference-to-video",
        {
            "prompt": "a dog",
            "images": [A],
            "video": C,
            "duration": 5,
            "keep_original_sound": False,
            "aspect_ratio": "1:1",
        },
    ),
    "video-to-video": (
        VideoInput("a dog", video=C, duration=7, aspect_ratio="9:16"),
        f"{STD}/video-to-video",
        {"prompt": "a dog", "video": C, "duration": 7, "keep_original_sound": True, "aspect_ratio": "9:16"},
    ),
    "video-to-video with images, as the scene says": (
        VideoInput("a dog", model=PRO, video=C, images=(A,), scene="video-to-video", keep_original_sound=False),
        f"{PRO}/video-to-video",
        {"prompt": "a dog", "video": C, "images": [A], "duration": 5, "keep_original_sound": False},
    ),
    "shots": (
        VideoInput("a dog", images=(A,), duration=7, shots=(Shot("it sits", 3), Shot("it runs", 4))),
        f"{STD}/reference-to-video",
        {
            "prompt": "a dog",
            "images": [A],
            "duration": 7,
            "keep_original_sound": True,
            "aspect_ratio": "16:9",
            "multi_prompt": [
                {"index": 1, "prompt": "it sits", "duration": "3"},
                {"index": 2, "prompt": "it runs", "duration": "4"},
            ],
        },
    ),
    "start-end-frame": (
        VideoInput("a dog", model="kling-v2.1-pro", image=A, last_image=B),
        "kling-v2.1-pro/start-end-frame",
        {"prompt": "a dog", "image": A, "duration": 5, "last_image": B},
    ),
    "v2.5 image-to-video": (
        VideoInput("a dog", model="kling-v2.5-turbo-std", image=A, extra={"negative_prompt": "rain"}),
        "kling-v2.5-turbo-std/image-to-video",
        {"prompt": "a dog", "image": A, "duration": 5, "negative_prompt": "rain"},
    ),
    "v2.6 image-to-video": (
        VideoInput(
            "a dog",
            model="kling-v2.6-pro",
            image=A,
            last_image=B,
            duration=10,
            aspect_ratio="1:1",
            extra={"sound": False, "voice_list": [{"voice_id": "1"}]},
        ),
        "kling-v2.6-pro/image-to-video",
        {
            "prompt": "a dog",
            "image": A,
            "last_image": B,
            "duration": 10,
            "aspect_ratio": "1:1",
            "sound": False,
            "voice_list": [{"voice_id": "1"}],
        },
    ),
    "v2.6 motion-control": (
        VideoInput("a dog", model="kling-v2.6-std", image=A, video=C, extra={"character_orientation": "image"}),
        "kling-v2.6-std/motion-control",
        {
            "prompt": "a dog",
            "image": A,
            "video": C,
            "duration": 5,
            "keep_original_sound": True,
            "character_orientation": "image",
        },
    ),
    "v3.0 text-to-video": (
        VideoInput("a dog", model="kling-v3.0-pro", duration=15, extra={"guidance_scale": 0.5}),
        "kling-v3.0-pro/text-to-video",
        {"prompt": "a dog", "duration": 15, "aspect_ratio": "16:9", "guidance_scale": 0.5},
    ),
    "v3 omni video-to-video": (
        VideoInput("a dog", model="kling-v3-omni-pro", video=C),
        "kling-v3-omni-pro/video-to-video",
        {"prompt": "a dog", "video": C, "duration": 5, "keep_original_sound": True},
    ),
}


@pytest.mark.parametrize(("input", "path", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, path: str, body: dict[str, object]) -> None:
    """Each operation that is described goes by POST to the address of its model and scene, with the documented body."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", f"/api/v3/kwaivgi/{path}") == (request.method, request.path)
    assert body == json.loads(request.body)


def test_a_prompt_in_any_script_survives() -> None:
    """Text beyond ASCII is sent as UTF-8, and half a surrogate pair as an escape, never as broken bytes."""
    body = PROVIDER.build_submit(ImageInput("猫\n🐈\ud83d")).body
    assert '"猫\\n🐈\\ud83d"'.encode() in body
    assert "猫\n🐈\ud83d" == json.loads(body)["prompt"]


def test_a_poll_is_built_from_the_id_alone() -> None:
    """A poll goes by GET to the address made of the id, with no body."""
    expected = HttpRequest(method="GET", path=f"/api/v3/predictions/{HEX}/result", body=b"")
    assert expected == PROVIDER.build_poll(ACCEPTED)


def test_the_key_may_be_sent_in_two_ways() -> None:
    """The key follows Bearer unless the bare form is chosen."""
    assert ("bearer", "bare") == PROVIDER.schemes
    assert ("Authorization", "Bearer sk-test") == PROVIDER.authorizer("sk-test").header(0.0)
    assert ("Authorization", "sk-test") == PROVIDER.authorizer("sk-test", scheme="bare").header(0.0)


def test_no_price_is_published() -> None:
    """A price that is not published is unknown, never 0."""
    assert {None} == {PROVIDER.cost(input) for input, _, _ in REQUESTS.values()}
