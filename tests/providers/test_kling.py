"""Kling's own API: every response that its pages and its callers show, and every request that its pages describe."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
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
from kling_async.providers import Certainty
from kling_async.providers.kling import Kling
from kling_async.providers.kling_legacy_models import LEGACY_PATHS
from kling_async.scheduling.retry import may_have_started, may_retry_poll
from kling_async.types.authorizer import HasSecrets
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status

PROVIDER = Kling()
TASK = "893605946402811985"
CREATED = datetime(2024, 8, 4, 11, 5, 57, 708_000, tzinfo=UTC)
CREATED_NEW = datetime(2026, 6, 10, 8, 39, 38, 802_000, tzinfo=UTC)
IMAGE = ImageInput("a cat")
VIDEO = VideoInput("a dog", model="kling-3.0-std")

STARTED = Prediction(
    provider="kling",
    model="kling-image-o1",
    id=TASK,
    key="cat",
    status=Status.QUEUED,
    native_status="submitted",
    created_at=CREATED,
    cost=Decimal("0.028"),
)
TASKED = evolve(STARTED, model="kling-3.0-std", created_at=CREATED_NEW, cost=Decimal("0.420"))


def image(number: int) -> Output:
    return Output(url=f"https://h1.inkwai.com/bs2/upload-ylab-stunt/{number}.png", kind=OutputKind.IMAGE)


CLIP = Output(url="https://v4-kling.kechuangai.com/out.mp4", kind=OutputKind.VIDEO)
DONE = evolve(STARTED, status=Status.SUCCEEDED, native_status="succeed", outputs=(image(0), image(1)))
FILMED = evolve(TASKED, status=Status.SUCCEEDED, native_status="succeeded", outputs=(CLIP,))


def failed(since: Prediction, message: str, *, kind: FailureKind = FailureKind.FAILED) -> Prediction:
    """Expect a prediction that failed, and therefore cost nothing."""
    failure = Failure(kind=kind, message=message)
    return evolve(since, status=Status.FAILED, native_status="failed", failure=failure, cost=Decimal(0))


UNKNOWN_IDS = {
    "code-1201.400.json": STARTED,
    "code-1203.404.json": STARTED,
    "tasks-unknown-id.200.json": TASKED,
}


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "kling"}
    return kind, facts


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a response that is neither an acceptance nor a refusal."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "kling"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
REFUSED = {
    "code-1000.401.json": no(AuthenticationError, "Authentication failed", "1000"),
    "code-1001.401.json": no(AuthenticationError, "Authorization is empty", "1001"),
    "code-1002.401.json": no(
        AuthenticationError, "Authentication error. The current API does not support AK/SK", "1002"
    ),
    "code-1003.401.json": no(AuthenticationError, "Authorization is not yet valid", "1003"),
    "code-1004.401.json": no(AuthenticationError, "Authorization has expired", "1004"),
    "code-1100.429.json": no(PermissionDenied, "Abnormal account status", "1100"),
    "code-1101.429.json": no(InsufficientBalance, "Account in arrears", "1101"),
    "code-1102.429.json": no(InsufficientBalance, "Account balance not enough", "1102"),
    "code-1102.200.json": no(InsufficientBalance, "Account balance not enough", "1102"),
    "code-1103.403.json": no(PermissionDenied, "Unauthorized access to requested resource", "1103"),
    "code-1200.400.json": no(BadRequest, "Invalid request parameters", "1200"),
    "code-1201.400.json": no(BadRequest, "Task not found by id/external id: mine-1", "1201"),
    "code-1202.404.json": no(BadRequest, "The requested method is invalid", "1202"),
    "code-1203.404.json": no(BadRequest, "The requested resource does not exist", "1203"),
    "code-1300.400.json": no(ContentRejected, "Request blocked by platform policy", "1300"),
    "code-1301.400.json": no(ContentRejected, "Trigger the content security policy", "1301"),
    "code-1301.200.json": no(ContentRejected, "Trigger the content security policy", "1301"),
    "code-1302.429.json": no(RateLimited, "Too many requests", "1302"),
    "code-1303.429.json": no(RateLimited, "parallel task over resource pack limit", "1303"),
    "code-1303.200.json": no(RateLimited, "parallel task over resource pack limit", "1303"),
    "code-1303.502.json": no(RateLimited, "parallel task over resource pack limit", "1303"),
    "code-1304.429.json": no(PermissionDenied, "Trigger the IP whitelist policy", "1304"),
    "code-1304.400.json": no(PermissionDenied, "Trigger the IP whitelist policy", "1304"),
    "code-1799.200.json": no(BadRequest, "A code of tomorrow", "1799"),
    "code-1799.500.json": no(ProviderUnavailable, "A code of tomorrow", "1799"),
    "code-5000.500.json": no(ProviderUnavailable, "Server internal error", "5000"),
    "code-5000.200.json": no(ProviderUnavailable, "Server internal error", "5000"),
    "code-5001.503.json": no(ProviderUnavailable, "Server temporarily unavailable", "5001"),
    "code-5002.504.json": no(ProviderUnavailable, "Server internal timeout", "5002"),
    "code-gateway.502.json": no(ProviderUnavailable, "Unauthorized upstream", "401"),
    "rate-limited.429.txt": no(RateLimited, "HTTP 429"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "timed-out.504.html": no(ProviderUnavailable, "HTTP 504"),
    "wrong-path.404.html": no(BadRequest, "HTTP 404"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "login-page.200.html": unread("The reply is a page, not JSON"),
    "cut-short.200.txt": unread("The reply is not JSON (JSONDecodeError)"),
}
SUBMITTED = {
    "legacy-created.200.json": STARTED,
    "legacy-created-no-code.200.json": STARTED,
    "legacy-created-status-missing.200.json": evolve(STARTED, native_status="", created_at=None),
    "legacy-id-missing.200.json": NO_ID,
    "legacy-id-number.200.json": NO_ID,
    "tasks-id-null.200.json": NO_ID,
    "tasks-id-slashes.200.json": NO_ID,
    "data-missing.200.json": NO_ID,
    "id-on-a-failure.504.json": (AnswerLost, {"id": TASK, "key": "cat", "may_be_billed": True}),
    "moved.302.html": (AnswerLost, {"key": "cat", "may_be_billed": True}),
    # Not refused: each client id is fresh, so what has it is this submission.
    "duplicate.400.json": (AnswerLost, {"key": "cat", "id": None, "code": "1201", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded response to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("kling", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=IMAGE, key="cat"), expected)


TASKS_SUBMITTED = {"tasks-created.200.json": TASKED, "tasks-created-code-text.200.json": TASKED}


@pytest.mark.parametrize(("name", "expected"), TASKS_SUBMITTED.items(), ids=list(TASKS_SUBMITTED))
def test_submission_replies_of_the_new_standard(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """The new standard has other names for the same facts."""
    reply = sample("kling", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=VIDEO, key="cat"), expected)


RISK = "Failure to pass the risk control system"
NOTHING = "the provider says {!r}, but its reply holds no output that can be read"
POLLED = {
    "legacy-submitted.200.json": STARTED,
    "legacy-processing.200.json": evolve(STARTED, status=Status.RUNNING, native_status="processing"),
    "legacy-time-odd.200.json": evolve(STARTED, status=Status.RUNNING, native_status="processing"),
    "legacy-succeed-images.200.json": DONE,
    "legacy-succeed-series.200.json": DONE,
    "legacy-succeed-video.200.json": evolve(
        DONE, outputs=(Output(url="https://v1.inkwai.com/out.mp4", kind=OutputKind.IMAGE),)
    ),
    # The provider calls it a success, and bills successes: its price stays.
    "legacy-succeed-nothing.200.json": evolve(
        DONE,
        status=Status.FAILED,
        outputs=(),
        failure=Failure(kind=FailureKind.NO_OUTPUT, message=NOTHING.format("succeed")),
    ),
    "legacy-failed-risk.200.json": failed(STARTED, RISK, kind=FailureKind.CONTENT_REJECTED),
    "legacy-failed.200.json": failed(STARTED, "The resolution of the image is invalid"),
    "legacy-failed-silent.200.json": failed(STARTED, "the provider says 'failed' and no more"),
    "legacy-status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "data-missing.200.json": unread("The reply cannot be read: required field missing at $.status", "$.status"),
    "moved.302.html": no(BadRequest, "HTTP 302"),
    **UNREADABLE,
    **REFUSED,
}
TASKS_POLLED = {
    "tasks-submitted.200.json": TASKED,
    "tasks-processing.200.json": evolve(TASKED, status=Status.RUNNING, native_status="processing"),
    "tasks-unknown-word.200.json": evolve(TASKED, status=Status.RUNNING, native_status="queueing"),
    "tasks-succeeded.200.json": evolve(FILMED, cost=Decimal("0.336")),
    "tasks-succeeded-units.200.json": FILMED,
    "tasks-succeeded-cny.200.json": FILMED,
    "tasks-succeeded-odd-amount.200.json": FILMED,
    "tasks-succeeded-mixed.200.json": FILMED,
    "tasks-succeeded-nothing.200.json": evolve(
        FILMED,
        status=Status.FAILED,
        outputs=(),
        failure=Failure(kind=FailureKind.NO_OUTPUT, message=NOTHING.format("succeeded")),
    ),
    "tasks-failed-risk.200.json": failed(TASKED, RISK, kind=FailureKind.CONTENT_REJECTED),
    "tasks-failed.200.json": failed(TASKED, "Internal generation error"),
    "tasks-unknown-id.200.json": (BadRequest, {"message": "Kling knows no task of this id", "is_unknown_id": True}),
    "tasks-status-missing.200.json": unread("The reply cannot be read: required field missing at $.status", "$.status"),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded response to a poll is read with all its facts, refused, or not readable."""
    reply = sample("kling", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=STARTED), expected)


@pytest.mark.parametrize(("name", "expected"), TASKS_POLLED.items(), ids=list(TASKS_POLLED))
def test_poll_replies_of_the_new_standard(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """The new standard answers with a list, and reports what was charged."""
    reply = sample("kling", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=TASKED), expected)


@pytest.mark.parametrize(("name", "prediction"), UNKNOWN_IDS.items(), ids=list(UNKNOWN_IDS))
def test_an_unknown_id_is_asked_for_again(
    name: str, prediction: Prediction, sample: Callable[[str, str], HttpResponse]
) -> None:
    """A provider may not know an id yet that it has just given out: the poll is repeated for a minute."""
    with pytest.raises(BadRequest) as caught:
        PROVIDER.parse_poll(sample("kling", name), prediction=prediction)
    assert may_retry_poll(caught.value, age=0.0)
    assert not may_retry_poll(caught.value, age=60.0)


LOOKED_UP: dict[str, tuple[Input, Any]] = {
    "legacy-processing.200.json": (IMAGE, evolve(STARTED, status=Status.RUNNING, native_status="processing")),
    "legacy-succeed-images.200.json": (IMAGE, DONE),
    "tasks-processing.200.json": (VIDEO, evolve(TASKED, status=Status.RUNNING, native_status="processing")),
    "tasks-succeeded.200.json": (VIDEO, evolve(FILMED, cost=Decimal("0.336"))),
    "code-1201.400.json": (IMAGE, None),
    "code-1203.404.json": (IMAGE, None),
    "tasks-unknown-id.200.json": (VIDEO, None),
    "tasks-two.200.json": (VIDEO, UnexpectedReply),
    "data-missing.200.json": (VIDEO, UnexpectedReply),
    "empty.200.txt": (IMAGE, UnexpectedReply),
    "wrong-path.404.html": (IMAGE, BadRequest),
    "code-1002.401.json": (VIDEO, AuthenticationError),
    "code-1302.429.json": (IMAGE, RateLimited),
    "code-5002.504.json": (IMAGE, ProviderUnavailable),
}


@pytest.mark.parametrize(("name", "case"), LOOKED_UP.items(), ids=list(LOOKED_UP))
def test_look_ups(name: str, case: tuple[Input, Any], sample: Callable[[str, str], HttpResponse]) -> None:
    """A look-up finds the prediction as it stands, or nothing; whatever says neither is an error."""
    input, expected = case
    reply = sample("kling", name)
    if isinstance(expected, type):
        with pytest.raises(expected):
            PROVIDER.parse_lookup(reply, input=input, client_id="mine-1", key="cat")
        return
    assert expected == PROVIDER.parse_lookup(reply, input=input, client_id="mine-1", key="cat")


@pytest.mark.parametrize("name", [name for name, (_, found) in LOOKED_UP.items() if isinstance(found, Prediction)])
def test_a_look_up_takes_no_other_job(name: str, sample: Callable[[str, str], HttpResponse]) -> None:
    """A task of another client id is never adopted, and a record that repeats no id is the one that was asked for."""
    input, found = LOOKED_UP[name]
    reply = sample("kling", name)
    with pytest.raises(UnexpectedReply, match="names another task"):
        PROVIDER.parse_lookup(reply, input=input, client_id="mine-2", key="cat")
    silent = evolve(reply, body=reply.body.replace(b"mine-1", b""))
    assert found == PROVIDER.parse_lookup(silent, input=input, client_id="mine-2", key="cat")


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded response is left unread."""
    read = set(SUBMITTED) | set(TASKS_SUBMITTED) | set(POLLED) | set(TASKS_POLLED) | set(LOOKED_UP)
    assert sample_names("kling") == read


@pytest.mark.parametrize("name", [name for name, (kind, _) in REFUSED.items() if kind is ProviderUnavailable])
def test_an_outage_may_have_started_a_submission(name: str, sample: Callable[[str, str], HttpResponse]) -> None:
    """An internal error is no refusal of a submission; every other code is."""
    with pytest.raises(KlingError) as caught:
        PROVIDER.parse_submit(sample("kling", name), input=IMAGE, key=None)
    assert may_have_started(caught.value)


@pytest.mark.parametrize("name", [name for name, (kind, _) in REFUSED.items() if kind is not ProviderUnavailable])
def test_a_refusal_has_started_nothing(name: str, sample: Callable[[str, str], HttpResponse]) -> None:
    """The code in the body says so, even under the status of another error."""
    with pytest.raises(KlingError) as caught:
        PROVIDER.parse_submit(sample("kling", name), input=IMAGE, key=None)
    assert not may_have_started(caught.value)


A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
PROMPT = {"type": "prompt", "text": "a dog"}
FIRST = {"type": "first_frame", "url": A}
LAST = {"type": "last_frame", "url": B}


def refer(*urls: str) -> list[dict[str, str]]:
    return [{"type": "refer_image", "url": url, "id": f"image_{number}"} for number, url in enumerate(urls, 1)]


def video(kind: str) -> dict[str, str]:
    return {"type": kind, "url": C, "id": "video_1"}


OMNI_IMAGE: dict[str, Any] = {"model_name": "kling-image-o1", "prompt": "a cat", "resolution": "1k", "n": 1}
GENERATION: dict[str, Any] = {"model_name": "kling-v3", "prompt": "a cat", "resolution": "1k", "n": 1}
OLDER: dict[str, Any] = {"model_name": "kling-v2-1-master", "prompt": "a dog", "duration": "5"}
TIER = {"resolution": "720p"}
FIVE = {"duration": 5, **TIER}
WIDE = {"aspect_ratio": "16:9"}
ELEMENT = {"element_id": "161", "id": "Zhang"}
VOICE = {"voice_id": "7", "id": "sweet"}

REQUESTS: dict[str, tuple[Input, str, dict[str, Any]]] = {
    "text to image": (IMAGE, "/v1/images/omni-image", OMNI_IMAGE),
    "image to image": (
        ImageInput("a cat", images=(A, B), aspect_ratio="21:9", resolution="2k", n=9, extra={"element_list": []}),
        "/v1/images/omni-image",
        {
            **OMNI_IMAGE,
            "image_list": [{"image": A}, {"image": B}],
            "aspect_ratio": "21:9",
            "resolution": "2k",
            "n": 9,
            "element_list": [],
        },
    ),
    "a series": (
        ImageInput(
            "a cat", model="kling-image-o3", resolution="4k", extra={"result_type": "series", "series_amount": "auto"}
        ),
        "/v1/images/omni-image",
        {
            **OMNI_IMAGE,
            "model_name": "kling-v3-omni",
            "resolution": "4k",
            "result_type": "series",
            "series_amount": "auto",
        },
    ),
    "image 3.0": (
        ImageInput("a cat", model="kling-image-3.0", images=(A,), aspect_ratio="1:1"),
        "/v1/images/generations",
        {**GENERATION, "image": A, "aspect_ratio": "1:1"},
    ),
    "image 2.1": (
        ImageInput("a cat", model="kling-image-2.1", extra={"negative_prompt": "rain"}),
        "/v1/images/generations",
        {**GENERATION, "model_name": "kling-v2-1", "negative_prompt": "rain"},
    ),
    "an older model, text": (VideoInput("a dog", model="kling-2.1-master"), "/v1/videos/text2video", OLDER),
    "an older model, image": (
        VideoInput("a dog", model="kling-2.1-master", image=A, duration=10, negative_prompt="rain"),
        "/v1/videos/image2video",
        {**OLDER, "image": A, "duration": "10", "negative_prompt": "rain"},
    ),
    "an older model, frames": (
        VideoInput("a dog", model="kling-2.1-pro", image=A, last_image=B),
        "/v1/videos/image2video",
        {**OLDER, "model_name": "kling-v2-1", "mode": "pro", "image": A, "image_tail": B},
    ),
    "3.0, text": (
        VideoInput("a dog", model="kling-3.0", resolution="4k", sound=True, aspect_ratio="9:16", duration=15),
        "/text-to-video/kling-3.0",
        {
            "prompt": "a dog",
            "settings": {"resolution": "4k", "aspect_ratio": "9:16", "duration": 15, "audio": "native"},
        },
    ),
    "3.0, frames and an element": (
        VideoInput("@Zhang runs", model="kling-3.0-pro", image=A, last_image=B, extra={"elements": [ELEMENT]}),
        "/image-to-video/kling-3.0",
        {
            "contents": [
                {"type": "prompt", "text": "@Zhang runs"},
                FIRST,
                LAST,
                {"type": "element", **ELEMENT},
            ],
            "settings": {"duration": 5, "resolution": "1080p"},
        },
    ),
    "3.0, shots": (
        VideoInput(model="kling-3.0-std", duration=7, shots=(Shot("it sits", 3), Shot("it runs", 4))),
        "/text-to-video/kling-3.0",
        {
            "prompt": "shot 1, 3, it sits; shot 2, 4, it runs;",
            "settings": {"duration": 7, "multi_shot": True, **TIER},
        },
    ),
    "3.0 turbo, shots": (
        VideoInput(model="kling-3.0-turbo-std", image=A, shots=(Shot("it sits", 3), Shot("it runs", 2))),
        "/image-to-video/kling-3.0-turbo",
        {"contents": [{"type": "prompt", "text": "shot 1, 3, it sits; shot 2, 2, it runs;"}, FIRST], "settings": FIVE},
    ),
    "motion control": (
        VideoInput("a dog", model="kling-3.0-std", image=A, video=C, keep_original_sound=False),
        "/motion-control/kling-3.0",
        {
            "contents": [PROMPT, {"type": "image", "url": A}, {"type": "video", "url": C}],
            "settings": {**TIER, "audio": "off", "character_orientation": "video"},
        },
    ),
    "motion control by the image": (
        VideoInput("a dog", model="kling-2.6-std", image=A, video=C, extra={"character_orientation": "image"}),
        "/motion-control/kling-2.6",
        {
            "contents": [PROMPT, {"type": "image", "url": A}, {"type": "video", "url": C}],
            "settings": {**TIER, "audio": "original", "character_orientation": "image"},
        },
    ),
    "2.6, a voice": (
        VideoInput("a dog", model="kling-2.6-pro", image=A, sound=True, extra={"voices": [VOICE]}),
        "/image-to-video/kling-2.6",
        {
            "contents": [PROMPT, FIRST, {"type": "voice", **VOICE}],
            "settings": {"duration": 5, "resolution": "1080p", "audio": "native"},
        },
    ),
    "2.5 turbo": (
        VideoInput("a dog", model="kling-2.5-turbo-pro", image=A, last_image=B, duration=10),
        "/image-to-video/kling-2.5-turbo",
        {"contents": [PROMPT, FIRST, LAST], "settings": {"duration": 10, "resolution": "1080p"}},
    ),
    "O1, text": (
        VideoInput("a dog"),
        "/omni-video/kling-o1",
        {"contents": [PROMPT], "settings": {**FIVE, **WIDE}},
    ),
    "O1, frames": (
        VideoInput("a dog", image=A, last_image=B, duration=7),
        "/omni-video/kling-o1",
        {"contents": [PROMPT, FIRST, LAST], "settings": {**TIER, "duration": 7}},
    ),
    "O1, references": (
        VideoInput("@image_2 runs", images=(A, B), aspect_ratio="1:1", extra={"callback_url": "https://x.test/hook"}),
        "/omni-video/kling-o1",
        {
            "contents": [{"type": "prompt", "text": "@image_2 runs"}, *refer(A, B)],
            "settings": {**FIVE, "aspect_ratio": "1:1"},
            "options": {"callback_url": "https://x.test/hook"},
        },
    ),
    "O1, a video to refer to": (
        VideoInput("a dog", video=C, image=A, scene="reference-to-video"),
        "/omni-video/kling-o1",
        {"contents": [PROMPT, FIRST, video("feature_video")], "settings": {**FIVE, "audio": "original"}},
    ),
    "O1, an edit": (
        VideoInput("a dog", video=C, images=(A,), scene="video-edit", keep_original_sound=False),
        "/omni-video/kling-o1",
        {"contents": [PROMPT, video("base_video"), *refer(A)], "settings": {**TIER, "audio": "off"}},
    ),
    "3.0 omni, a video to refer to": (
        VideoInput("a dog", model="kling-3.0-omni-std", video=C, images=(A,), sound=False),
        "/omni-video/kling-3.0-omni",
        {"contents": [PROMPT, video("feature_video"), *refer(A)], "settings": {**FIVE, "audio": "off"}},
    ),
    "3.0 omni, an edit": (
        VideoInput("a dog", model="kling-3.0-omni-std", video=C, scene="video-edit"),
        "/omni-video/kling-3.0-omni",
        {
            "contents": [PROMPT, video("base_video")],
            "settings": {**TIER, "audio": "original", "multi_shot": False},
        },
    ),
    "extra passes": (
        VideoInput("a dog", extra={"seed": 7, "watermark_info": {"enabled": True}}),
        "/omni-video/kling-o1",
        {
            "contents": [PROMPT],
            "settings": {**FIVE, **WIDE},
            "options": {"watermark_info": {"enabled": True}},
            "seed": 7,
        },
    ),
}


@pytest.mark.parametrize(("input", "path", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, path: str, body: dict[str, Any]) -> None:
    """Each operation that is described goes by POST to the documented path with the documented body."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", path) == (request.method, request.path)
    assert body == json.loads(request.body)


@pytest.mark.parametrize("input", [input for input, _, _ in REQUESTS.values()], ids=list(REQUESTS))
def test_a_client_id_is_added_and_looked_up(input: Input) -> None:
    """The caller's id stands where the standard has it, beside everything else, and the look-up asks for it."""
    request = PROVIDER.build_submit(input)
    with_id = PROVIDER.add_client_id(request, "mine 1")
    before, after = json.loads(request.body), json.loads(with_id.body)
    lookup = PROVIDER.build_lookup(input, "mine 1")
    assert lookup is not None
    if request.path.startswith("/v1/"):
        assert {**before, "external_task_id": "mine 1"} == after
        assert f"{request.path}/mine%201" == lookup.path
    else:
        assert {**before, "options": {**before.get("options", {}), "external_task_id": "mine 1"}} == after
        assert "/tasks?external_task_ids=mine%201" == lookup.path
    assert ("GET", b"") == (lookup.method, lookup.body)


ELEMENTS = {"elements": [ELEMENT]}
FAULTS: dict[str, tuple[Input, str, str]] = {
    "sound in 720p": (VideoInput("a", model="kling-2.6-std", sound=True), "sound", "needs the resolution 1080p"),
    "sound in the default resolution": (VideoInput("a", model="kling-2.6", sound=True), "sound", "needs the resol"),
    "frames in 720p": (
        VideoInput("a", model="kling-2.5-turbo", image=A, last_image=B),
        "last_image",
        "needs the resolution 1080p",
    ),
    "sound and a last frame": (
        VideoInput("a", model="kling-2.6-pro", image=A, last_image=B, sound=True),
        "sound",
        "only silence",
    ),
    "prompt and shots": (
        VideoInput("a", model="kling-3.0-std", shots=(Shot("b", 5),)),
        "prompt",
        "and not both",
    ),
    "neither": (VideoInput(" ", model="kling-3.0-std"), "prompt", "is needed"),
    "a semicolon": (VideoInput(model="kling-3.0-std", shots=(Shot("b; c", 5),)), "shots", "no semicolon"),
    "shots too long in all": (
        VideoInput(model="kling-3.0-std", duration=12, shots=(Shot("b" * 512, 2),) * 6),
        "shots",
        "at most 3072 characters",
    ),
    "shots without multi_shot": (
        VideoInput(model="kling-3.0-std", shots=(Shot("b", 5),), extra={"multi_shot": False}),
        "extra",
        "multi_shot",
    ),
    "an edit in shots": (
        VideoInput("a", model="kling-3.0-omni", video=C, scene="video-edit", extra={"multi_shot": True}),
        "extra",
        "multi_shot",
    ),
    "sound beside a video": (
        VideoInput("a", model="kling-3.0-omni", video=C, images=(A,), sound=True),
        "sound",
        "has no place beside a video",
    ),
    "the sound of no video": (VideoInput("a", images=(A,), keep_original_sound=False), "keep_original_sound", "needs"),
    "five references and a video": (
        VideoInput("a", images=(A,) * 4, video=C, extra=ELEMENTS),
        "images",
        "at most 4 when a video is given",
    ),
    "eight references": (VideoInput("a", images=(A,) * 7, extra=ELEMENTS), "images", "at most 7 together"),
    "elements in text to video": (VideoInput("a", model="kling-3.0", extra=ELEMENTS), "extra", "at most 3 in image"),
    "an element without an id": (
        VideoInput("a", images=(A,), extra={"elements": [{"element_id": "161"}]}),
        "extra",
        "element_id and id",
    ),
    "elements and a last frame": (
        VideoInput("a", image=A, last_image=B, extra=ELEMENTS),
        "extra",
        "no elements when a last frame",
    ),
    "a voice in silence": (
        VideoInput("a", model="kling-2.6-pro", image=A, extra={"voices": [VOICE]}),
        "extra",
        "only beside sound",
    ),
    "seven seconds of a first frame": (VideoInput("a", image=A, duration=7), "duration", "5, 10"),
    "an id of one's own": (ImageInput("a", extra={"external_task_id": "x"}), "extra", "external_task_id"),
    "settings of one's own": (VideoInput("a", extra={"settings": {"duration": 10}}), "extra", "may not hold"),
    "4k motion": (
        VideoInput("a", model="kling-3.0", image=A, video=C, resolution="4k"),
        "resolution",
        "one of 720p, 1080p",
    ),
    "a resolution beside a tier": (VideoInput("a", model="kling-o1-std", resolution="1080p"), "resolution", "no such"),
    "a video alone": (VideoInput("a", video=C), "scene", "is not clear"),
    "a series of n": (
        ImageInput("a", model="kling-image-o3", n=2, extra={"result_type": "series"}),
        "n",
        "must be 1 for a series",
    ),
    "auto without an image": (ImageInput("a", model="kling-image-o3", aspect_ratio="auto"), "aspect_ratio", "one of"),
    "two images of one": (ImageInput("a", model="kling-image-3.0", images=(A, B)), "images", "at most 1"),
    "negative and an image": (
        ImageInput("a", model="kling-image-2.1", images=(A,), extra={"negative_prompt": "b"}),
        "extra",
        "no negative_prompt",
    ),
    "a reference to nothing": (
        ImageInput("a", model="kling-image-2.1", extra={"image_reference": "face"}),
        "images",
        "image_reference",
    ),
    "sound where there is none": (VideoInput("a", model="kling-3.0-turbo", sound=True), "sound", "no such field"),
    "a negative prompt": (VideoInput("a", model="kling-3.0", negative_prompt="b"), "negative_prompt", "no such field"),
}


@pytest.mark.parametrize(("input", "name", "words"), FAULTS.values(), ids=list(FAULTS))
def test_what_kling_cannot_do_is_refused(input: Input, name: str, words: str) -> None:
    """A combination that a page excludes is one fault, of the field that it names."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    [fault] = caught.value.faults
    assert name == fault.field
    assert words in fault.allowed


COSTS: dict[str, tuple[Input, str | None]] = {
    "image O1": (ImageInput("a", n=4), "0.112"),
    "image O3, 4k": (ImageInput("a", model="kling-image-o3", resolution="4k"), "0.056"),
    "a series": (ImageInput("a", model="kling-image-o3", extra={"result_type": "series"}), None),
    "image 2.1, text": (ImageInput("a", model="kling-image-2.1"), "0.014"),
    "image 2.1, image": (ImageInput("a", model="kling-image-2.1", images=(A,)), "0.028"),
    "O1": (VideoInput("a"), "0.42"),
    "O1 with a video": (VideoInput("a", images=(A,), video=C), "0.63"),
    "O1 edit, as long as the video": (VideoInput("a", video=C, scene="video-edit"), None),
    "2.6": (VideoInput("a", model="kling-2.6"), "0.21"),
    "2.6 with sound": (VideoInput("a", model="kling-2.6-pro", sound=True), "0.7"),
    "2.6 with a voice": (
        VideoInput("a", model="kling-2.6-pro", image=A, sound=True, extra={"voices": [VOICE]}),
        "0.84",
    ),
    "3.0": (VideoInput("a", model="kling-3.0-pro", duration=10), "1.12"),
    "3.0 with sound": (VideoInput("a", model="kling-3.0-pro", sound=True), "0.84"),
    "3.0, 4k": (VideoInput("a", model="kling-3.0", resolution="4k"), "2.1"),
    "motion control": (VideoInput("a", model="kling-3.0-pro", image=A, video=C), None),
    "omni with sound": (VideoInput("a", model="kling-3.0-omni-std", sound=True), "0.56"),
    "turbo": (VideoInput("a", model="kling-3.0-turbo-pro"), "0.7"),
    "no page": (VideoInput("a", model="kling-2.1-master"), None),
}


@pytest.mark.parametrize(("input", "cost"), COSTS.values(), ids=list(COSTS))
def test_costs(input: Input, cost: str | None) -> None:
    """A price follows from resolution, sound and videos; where the length does not follow, it is a range."""
    PROVIDER.check(input)
    assert (None if cost is None else Decimal(cost)) == PROVIDER.cost(input)


def test_the_length_of_a_given_video_bounds_the_price() -> None:
    """An edit costs as much as 3 to 10 seconds, and a copied motion as much as 3 to 30."""
    edit = PROVIDER.models["kling-o1-std"].price(VideoInput("a", video=C, scene="video-edit"))
    motion = PROVIDER.models["kling-2.6-std"].price(VideoInput("a", image=A, video=C))
    assert edit is not None
    assert motion is not None
    assert (Decimal("0.378"), Decimal("1.26")) == (edit.low, edit.high)
    assert (Decimal("0.21"), Decimal("2.1")) == (motion.low, motion.high)


POLLS = {
    "kling-image-o1": f"/v1/images/omni-image/{TASK}",
    "kling-image-3.0": f"/v1/images/generations/{TASK}",
    "kling-2.1-pro": f"/v1/videos/image2video/{TASK}",
    "kling-2.1-master": f"/v1/videos/text2video/{TASK}",
    "kling-o1-std": f"/tasks?task_ids={TASK}",
    "a model of tomorrow": f"/tasks?task_ids={TASK}",
}


@pytest.mark.parametrize(("model", "path"), POLLS.items(), ids=list(POLLS))
def test_the_standard_of_a_poll_follows_from_the_model(model: str, path: str) -> None:
    """A poll is made of the model and the id, and never of an address in a response."""
    assert HttpRequest(method="GET", path=path) == PROVIDER.build_poll(evolve(STARTED, model=model))


def test_a_model_with_two_endpoints_is_polled_at_both(sample: Callable[[str, str], HttpResponse]) -> None:
    """Where the first endpoint does not know the id, the second is asked; else there is no second request."""
    master = evolve(STARTED, model="kling-2.1-master")
    unknown, known = sample("kling", "code-1201.400.json"), sample("kling", "legacy-processing.200.json")
    expected = HttpRequest(method="GET", path=f"/v1/videos/image2video/{TASK}")
    assert expected == PROVIDER.build_result(master, unknown)
    assert PROVIDER.build_result(master, known) is None
    assert PROVIDER.build_result(STARTED, unknown) is None
    assert PROVIDER.build_result(TASKED, sample("kling", "tasks-processing.200.json")) is None


REPEATS = {
    "seen": (VideoInput("a", model="kling-3.0"), Certainty.CLIENT),
    "an image to video": (VideoInput("a", model="kling-3.0", image=A), Certainty.INFERRED),
    "omni": (VideoInput("a"), Certainty.INFERRED),
    "an image": (IMAGE, Certainty.INFERRED),
}


@pytest.mark.parametrize(("input", "certainty"), REPEATS.values(), ids=list(REPEATS))
def test_a_repeat_is_rejected_with_a_certainty(input: Input, certainty: Certainty) -> None:
    """A second submission with the same id was seen to be refused at one endpoint; elsewhere that follows."""
    fact = PROVIDER.repeat(input)
    assert ("rejected", certainty) == (fact.value, fact.source.certainty)


ACCESS, SECRET = "ak-canary-11111111", "sk-canary-22222222"
PAIR = f"{ACCESS}:{SECRET}"


def claims_of(header: tuple[str, str]) -> dict[str, Any]:
    """Verify a token's signature, and return its claims."""
    name, value = header
    assert "Authorization" == name
    signed, _, signature = value.removeprefix("Bearer ").rpartition(".")
    expected = hmac.digest(SECRET.encode(), signed.encode(), hashlib.sha256)
    assert expected == urlsafe_b64decode(signature + "==")
    head, claims = (json.loads(urlsafe_b64decode(part + "==")) for part in signed.split("."))
    assert {"alg": "HS256", "typ": "JWT"} == head
    return dict(claims)


def test_an_api_key_is_sent_as_it_is() -> None:
    """An API key is a Bearer token, at any time the same."""
    authorizer = PROVIDER.authorizer("sk-one")
    assert ("Authorization", "Bearer sk-one") == authorizer.header(1.0) == authorizer.header(9e9)


def test_a_pair_signs_a_token() -> None:
    """The token names the access key, is valid for half an hour, and from five seconds before."""
    assert {"iss": ACCESS, "exp": 1_800_001_800, "nbf": 1_799_999_995} == claims_of(
        PROVIDER.authorizer(PAIR).header(1_800_000_000.9)
    )


def test_a_token_is_renewed_long_before_it_expires() -> None:
    """A token is kept for a quarter of an hour, and made anew after that or if the clock went back."""
    authorizer = PROVIDER.authorizer(PAIR)
    first = authorizer.header(1_000_000.0)
    assert first is authorizer.header(1_000_899.0)
    renewed = authorizer.header(1_000_900.0)
    assert 1_002_700 == claims_of(renewed)["exp"]
    assert 999_995 == claims_of(authorizer.header(1_000_000.0))["nbf"]


def test_the_parts_of_a_pair_are_secrets() -> None:
    """The authorizer names them for redaction, and shows them nowhere."""
    authorizer = PROVIDER.authorizer(PAIR)
    assert isinstance(authorizer, HasSecrets)
    assert {ACCESS, SECRET} == set(authorizer.secrets)
    assert not isinstance(PROVIDER.authorizer("sk-one"), HasSecrets)
    assert ACCESS not in repr(authorizer)


@pytest.mark.parametrize("pair", [":", "ak-canary:", ":sk-canary", "ak-canary:x"])
def test_half_a_pair_is_refused_unseen(pair: str) -> None:
    """A pair without one of its parts is an InputError that does not repeat the other."""
    with pytest.raises(InputError, match="ACCESS_KEY:SECRET_KEY") as caught:
        PROVIDER.authorizer(pair)
    assert "canary" not in str(caught.value)


def test_a_pair_is_for_the_legacy_standard() -> None:
    """A model of the new standard takes no pair: the error says what it takes, and which models take a pair."""
    PROVIDER.check_key(IMAGE, PAIR)
    PROVIDER.check_key(VideoInput("a", model="kling-2.1-master"), PAIR)
    PROVIDER.check_key(VIDEO, "sk-one")
    with pytest.raises(InputError, match="KLING_API_KEY: kling-3.0-std is on Kling's new standard") as caught:
        PROVIDER.check_key(VIDEO, PAIR)
    assert "kling-2.1-master" in str(caught.value)
    assert "canary" not in str(caught.value)


def test_a_shared_poll_is_read_by_id(sample: Callable[[str, str], HttpResponse]) -> None:
    """Tasks come in any order, and some that were asked for are missing: each prediction gets its own, or an error."""
    known = [evolve(TASKED, id=id) for id in ("other", "missing", TASK)]
    response = sample("kling", "tasks-two.200.json")
    assert f"/tasks?task_ids=other,missing,{TASK}" == Kling().build_shared_poll(known).path
    other, missing, first = Kling().parse_shared_poll(response, predictions=known)
    assert isinstance(other, Prediction)
    assert isinstance(first, Prediction)
    assert (("other", Status.QUEUED), (TASK, Status.RUNNING)) == ((other.id, other.status), (first.id, first.status))
    assert isinstance(missing, UnexpectedReply)
    assert [1, 1] == [len(one.raw["data"]) for one in (other, first) if isinstance(one.raw, dict)]


def test_only_the_new_standard_shares_polls() -> None:
    """A model of the legacy standard has one task in each path, so that no two can be asked for at once."""
    kling = Kling()
    shared = {name for name in kling.models if kling.may_share_poll(evolve(TASKED, model=name))}
    assert set(kling.models) - set(LEGACY_PATHS) == shared
    assert shared
