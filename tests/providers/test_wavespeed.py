"""WaveSpeedAI: the replies that its pages and clients show, and the requests that its schemas describe."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
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
from kling_async.providers.wavespeed import WaveSpeed
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status, Timings

PROVIDER = WaveSpeed()
INPUT = ImageInput("a cat")
ID = "8c1f6f0e4b7a4d3c9a52e6d10f7b3c84"
PNG = "https://d1q70pf5vjeyhc.cloudfront.net/predictions/cat.png"
MP4 = "https://d1q70pf5vjeyhc.cloudfront.net/predictions/dog.mp4"
CREATED_AT = datetime(2026, 11, 20, 8, 23, 58, 123_000, tzinfo=UTC)
SENSITIVE = "The content contains sensitive information."

ACCEPTED = Prediction(
    provider="wavespeed",
    model="kling-image-o1",
    id=ID,
    key="cat",
    status=Status.QUEUED,
    native_status="created",
    cost=Decimal("0.028"),
    created_at=CREATED_AT,
)
RUNNING = evolve(ACCEPTED, status=Status.RUNNING, native_status="processing")
CAT = Output(url=PNG, kind=OutputKind.IMAGE)
DONE = evolve(ACCEPTED, status=Status.SUCCEEDED, native_status="completed", outputs=(CAT,))
FINISHED = evolve(DONE, nsfw=False, timings=Timings(inference_seconds=7.42))


def ended(
    message: str,
    code: str | None = None,
    *,
    word: str = "failed",
    status: Status = Status.FAILED,
    kind: FailureKind = FailureKind.FAILED,
) -> Prediction:
    """Expect a prediction that ended without a result, and is therefore refunded."""
    failure = Failure(kind=kind, code=code, message=message)
    return evolve(ACCEPTED, status=status, native_status=word, failure=failure, cost=Decimal(0))


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "wavespeed"}
    return kind, {**facts, "may_be_billed": False}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that neither accepts nor refuses."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "wavespeed"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
NO_STATUS = unread("The reply cannot be read: required field missing at $.status", "$.status")
ROLE = "This key was created by a viewer; a key of a developer or an admin would work"
OUTAGE = "The service is temporarily unavailable."
REFUSED = {
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "timed-out.504.html": no(ProviderUnavailable, "HTTP 504"),
    "rate-limited.429.txt": no(RateLimited, "HTTP 429"),
    "refused-key.401.json": no(AuthenticationError, "Invalid API key"),
    "refused-balance.402.json": no(InsufficientBalance, "Insufficient balance, please top up"),
    "refused-balance.403.json": no(InsufficientBalance, "Insufficient credits", "insufficient_credits"),
    "refused-role.403.json": no(PermissionDenied, ROLE, "permission_denied"),
    "refused-model.404.json": no(BadRequest, "model not found"),
    "refused-parameter.400.json": no(BadRequest, "Invalid value for duration", "1401"),
    "refused-content.400.json": no(ContentRejected, SENSITIVE, "1200"),
    "refused-rate.429.json": no(RateLimited, "Too Many Requests"),
    "refused-internal.500.json": no(ProviderUnavailable, "An internal error occurred.", "5000"),
    "refused-unavailable.503.json": no(ProviderUnavailable, OUTAGE, "5003"),
    "refused-under-200.200.json": no(BadRequest, "Invalid value for duration", "1401"),
    "enveloped-key.200.json": no(AuthenticationError, "Invalid API key", "401"),
    "enveloped-moderation.200.json": no(ContentRejected, SENSITIVE, "1200"),
    "enveloped-parameter.200.json": no(BadRequest, "Invalid value for duration", "1401"),
    "enveloped-media.200.json": no(BadRequest, "Unable to access the provided media URL.", "1402"),
    "enveloped-execution.200.json": no(ProviderUnavailable, "The task could not be completed.", "1403"),
    "enveloped-rate.200.json": no(RateLimited, "Too Many Requests", "429"),
    "enveloped-unavailable.200.json": no(ProviderUnavailable, OUTAGE, "5003"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "page.200.html": unread("The reply is a page, not JSON"),
    "cut-short.200.txt": unread("The reply is not JSON (JSONDecodeError)"),
}
SUBMITTED = {
    "created.200.json": ACCEPTED,
    "created-pending.200.json": evolve(ACCEPTED, native_status="pending"),
    "created-foreign-poll.200.json": ACCEPTED,
    "created-status-missing.200.json": evolve(ACCEPTED, native_status="", created_at=None),
    "sync-finished.200.json": FINISHED,
    "sync-timed-out.200.json": RUNNING,
    "sync-failed.200.json": ended(SENSITIVE, "1200", kind=FailureKind.CONTENT_REJECTED),
    "id-missing.200.json": NO_ID,
    "id-slashes.200.json": NO_ID,
    "data-null.200.json": NO_ID,
    "id-on-a-failure.500.json": (AnswerLost, {"id": ID, "key": "cat", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
    # It may have been accepted before, so it is no refusal.
    "moved.302.html": (AnswerLost, {"id": None, "key": "cat", "may_be_billed": True}),
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("wavespeed", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="cat"), expected)


NO_OUTPUT = "the provider says 'completed', but its reply holds no output that can be read"
POLLED = {
    "created.200.json": ACCEPTED,
    "processing.200.json": RUNNING,
    "unknown-word.200.json": evolve(RUNNING, native_status="warming_up"),
    "sync-timed-out.200.json": RUNNING,
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "created-status-missing.200.json": NO_STATUS,
    "data-null.200.json": NO_STATUS,
    "completed-image.200.json": evolve(FINISHED, outputs=(CAT, CAT), nsfw=True),
    "completed-video.200.json": evolve(
        FINISHED, outputs=(Output(url=MP4, kind=OutputKind.IMAGE),), timings=Timings(inference_seconds=213.0)
    ),
    "completed-nsfw-null.200.json": DONE,
    "completed-code-zero.200.json": DONE,
    "completed-webhook-shape.200.json": DONE,
    # A success to the provider, which does not refund it: its price stays.
    "completed-no-outputs.200.json": evolve(
        ended(NO_OUTPUT, word="completed", kind=FailureKind.NO_OUTPUT), cost=Decimal("0.028")
    ),
    "failed-moderation.200.json": ended(SENSITIVE, "1200", kind=FailureKind.CONTENT_REJECTED),
    "failed-missing-parameter.200.json": ended("prompt is required", "1400"),
    "failed-parameter.200.json": ended("Invalid value for duration", "1401"),
    "failed-media.200.json": ended("Unable to access the provided media URL.", "1402"),
    "failed-execution.200.json": ended("The task could not be completed.", "1403"),
    "failed-task.200.json": ended("The task execution failed.", "1405"),
    "failed-internal.200.json": ended("An internal error occurred.", "5000"),
    "failed-unavailable.200.json": ended(OUTAGE, "5003"),
    "failed-timeout.200.json": ended("The request timed out.", "5004"),
    "failed-says-nothing.200.json": ended("the provider says 'failed' and no more"),
    "timeout-word.200.json": ended("The task took too long.", word="timeout"),
    "cancelled.200.json": ended(
        "the provider says 'cancelled' and no more",
        word="cancelled",
        status=Status.CANCELLED,
        kind=FailureKind.CANCELLED,
    ),
    "deleted.200.json": ended(
        "the provider says 'deleted' and no more", word="deleted", status=Status.CANCELLED, kind=FailureKind.CANCELLED
    ),
    "id-on-a-failure.500.json": no(ProviderUnavailable, "internal error", "500"),
    "moved.302.html": no(BadRequest, "HTTP 302"),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a poll is read with all its facts, refused, or not readable."""
    reply = sample("wavespeed", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=evolve(ACCEPTED, created_at=None)), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """Each recorded reply is read by a test."""
    assert sample_names("wavespeed") == set(SUBMITTED) | set(POLLED)


def test_a_poll_is_built_from_the_id_alone(sample: Callable[[str, str], HttpResponse]) -> None:
    """A poll goes by GET to the address made of the id; an address in a reply, foreign or not, is not followed."""
    reply = sample("wavespeed", "created-foreign-poll.200.json")
    accepted = PROVIDER.parse_submit(reply, input=INPUT, key="cat")
    expected = HttpRequest(method="GET", path=f"/api/v3/predictions/{ID}/result", body=b"")
    assert expected == PROVIDER.build_poll(accepted)


def test_a_prediction_cannot_be_cancelled() -> None:
    """No page documents a cancellation, so no request is built."""
    assert PROVIDER.build_cancel(ACCEPTED) is None


def test_the_key_is_sent_in_one_way() -> None:
    """The key follows Bearer."""
    assert ("bearer",) == PROVIDER.schemes
    assert ("Authorization", "Bearer wsk_test") == PROVIDER.authorizer("wsk_test").header(0.0)


def test_the_limits_are_those_of_the_lowest_level() -> None:
    """Bronze accounts start two generations a minute, and two run at once."""
    limits = PROVIDER.limits
    assert limits.submit_per_second is not None
    assert 2 == pytest.approx(60 * limits.submit_per_second)
    assert (2, 2, 2) == (limits.submit_burst, limits.max_open, limits.max_submitting)


A, B, C, D = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4", "https://x.test/d.mp3"
O1, PRO, O3 = "kling-video-o1-std", "kling-video-o1", "kling-video-o3-pro"
V4: dict[str, object] = {"prompt": "a dog", "duration": 5}
SHOTS = (Shot("it sits", 3), Shot("it runs", 4))
MULTI = [{"prompt": "it sits", "duration": 3}, {"prompt": "it runs", "duration": 4}]


def v4(**fields: Any) -> VideoInput:
    """Make an input for Kling 4.0."""
    return VideoInput(fields.pop("prompt", "a dog"), model="kling-4.0", **fields)


REQUESTS: dict[str, tuple[Input, str, dict[str, object]]] = {
    "image o1": (ImageInput("a cat"), "kling-image-o1", {"prompt": "a cat", "resolution": "1k", "num_images": 1}),
    "image o1 with references": (
        ImageInput("a cat", images=(A, B), aspect_ratio="21:9", resolution="2k", n=9),
        "kling-image-o1",
        {"prompt": "a cat", "images": [A, B], "aspect_ratio": "21:9", "resolution": "2k", "num_images": 9},
    ),
    "image o3": (
        ImageInput("a cat", model="kling-image-o3", resolution="4k"),
        "kling-image-o3/text-to-image",
        {"prompt": "a cat", "resolution": "4k", "num_images": 1},
    ),
    "image o3 with references": (
        ImageInput("a cat", model="kling-image-o3", images=(A,), aspect_ratio="auto"),
        "kling-image-o3/edit",
        {"prompt": "a cat", "images": [A], "aspect_ratio": "auto", "resolution": "1k", "num_images": 1},
    ),
    "extra passes": (
        ImageInput("a cat", extra={"enable_sync_mode": True}),
        "kling-image-o1",
        {"prompt": "a cat", "resolution": "1k", "num_images": 1, "enable_sync_mode": True},
    ),
    "o1 of text": (
        VideoInput("a dog", duration=10, aspect_ratio="9:16"),
        f"{O1}/text-to-video",
        {"prompt": "a dog", "duration": 10, "aspect_ratio": "9:16"},
    ),
    "o1 of two frames": (
        VideoInput("a dog", model="kling-o1-pro", image=A, last_image=B, duration=3),
        f"{PRO}/image-to-video",
        {"prompt": "a dog", "image": A, "last_image": B, "duration": 3},
    ),
    "o1 of images": (
        VideoInput("a dog", images=(A,) * 10, duration=3),
        f"{O1}/reference-to-video",
        {"prompt": "a dog", "images": [A] * 10, "duration": 3},
    ),
    "o1 of images and a video": (
        VideoInput("a dog", model=PRO, images=(A,) * 4, video=C, aspect_ratio="1:1"),
        f"{PRO}/reference-to-video",
        {
            "prompt": "a dog",
            "images": [A] * 4,
            "video": C,
            "duration": 5,
            "aspect_ratio": "1:1",
            "keep_original_sound": True,
        },
    ),
    "o1 of a video alone, which the scene makes a reference": (
        VideoInput("a dog", videos=(C,), scene="reference-to-video", keep_original_sound=False),
        f"{O1}/reference-to-video",
        {"prompt": "a dog", "video": C, "duration": 5, "keep_original_sound": False},
    ),
    "o1 of an edit": (
        VideoInput("a dog", video=C, images=(A,), scene="video-edit"),
        f"{O1}/video-edit",
        {"prompt": "a dog", "video": C, "images": [A], "keep_original_sound": True},
    ),
    "o3 of shots": (
        VideoInput(model=O3, duration=7, shots=SHOTS, sound=True),
        f"{O3}/text-to-video",
        {"duration": 7, "multi_prompt": MULTI, "sound": True},
    ),
    "o3 of two frames": (
        VideoInput("a dog", model="kling-3.0-omni-std", image=A, last_image=B, extra={"shot_type": "intelligent"}),
        "kling-video-o3-std/image-to-video",
        {"prompt": "a dog", "image": A, "end_image": B, "duration": 5, "shot_type": "intelligent"},
    ),
    "o3 of an edit": (
        VideoInput("a dog", model=O3, video=C, scene="video-edit", keep_original_sound=False),
        f"{O3}/video-edit",
        {"prompt": "a dog", "video": C, "keep_original_sound": False},
    ),
    "o3 in 4k": (
        VideoInput("a dog", model="kling-3.0-omni-4k", images=(A, B), aspect_ratio="1:1", duration=15),
        "kling-video-o3-4k/reference-to-video",
        {"prompt": "a dog", "images": [A, B], "aspect_ratio": "1:1", "duration": 15},
    ),
    "2.6 pro of two frames": (
        VideoInput("a dog", model="kling-2.6-pro", image=A, last_image=B, sound=False, negative_prompt="rain"),
        "kling-v2.6-pro/image-to-video",
        {"prompt": "a dog", "image": A, "end_image": B, "duration": 5, "sound": False, "negative_prompt": "rain"},
    ),
    "2.6 motion": (
        VideoInput(model="kling-v2.6-std", image=A, video=C, extra={"character_orientation": "image"}),
        "kling-v2.6-std/motion-control",
        {"image": A, "video": C, "keep_original_sound": True, "character_orientation": "image"},
    ),
    "3.0 of two frames": (
        VideoInput("a dog", model="kling-v3.0-std", image=A, last_image=B, duration=15, extra={"cfg_scale": 0.7}),
        "kling-v3.0-std/image-to-video",
        {"prompt": "a dog", "image": A, "end_image": B, "duration": 15, "cfg_scale": 0.7},
    ),
    "3.0 in 4k": (
        VideoInput("a dog", model="kling-3.0-4k", sound=True),
        "kling-v3.0-4k/text-to-video",
        {"prompt": "a dog", "duration": 5, "sound": True},
    ),
    "turbo of a frame alone": (
        VideoInput(model="kling-3.0-turbo-pro", image=A),
        "kling-v3-turbo-pro/image-to-video",
        {"image": A, "duration": 5},
    ),
    "turbo of short shots": (
        VideoInput(model="kling-v3-turbo-std", duration=3, shots=(Shot("a", 1), Shot("b", 2))),
        "kling-v3-turbo-std/text-to-video",
        {
            "duration": 3,
            "multi_prompt": [{"prompt": "a", "duration": 1}, {"prompt": "b", "duration": 2}],
        },
    ),
    "4.0 of text": (
        v4(aspect_ratio="21:9", resolution="1080p", duration=30, extra={"dynamic_range": "hdr"}),
        "kling-v4.0/text-to-video",
        {**V4, "aspect_ratio": "21:9", "resolution": "1080p", "duration": 30, "dynamic_range": "hdr"},
    ),
    "4.0 of frames in order": (
        v4(prompt="", image=A, keyframes=(B, A, B), last_image=B),
        "kling-v4.0/image-to-video",
        {"image": A, "keyframes": [B, A, B], "last_image": B, "duration": 5},
    ),
    "4.0 of everything": (
        v4(images=(A,) * 9, videos=(C, C, C), audios=(D,) * 3, keep_original_sound=False),
        "kling-v4.0/reference-to-video",
        {**V4, "images": [A] * 9, "videos": [C] * 3, "audios": [D] * 3, "keep_original_sound": False},
    ),
    "4.0 of images alone, which have no sound to keep": (
        v4(images=(A,)),
        "kling-v4.0/reference-to-video",
        {**V4, "images": [A]},
    ),
    "4.0 of an edit, as long as its video": (
        v4(video=C, images=(A,), scene="video-edit"),
        "kling-v4.0/video-edit",
        {"prompt": "a dog", "video": C, "images": [A], "keep_original_sound": True},
    ),
    "4.0 of an extension to a last frame": (
        v4(video=C, last_image=B, scene="video-extend", duration=12),
        "kling-v4.0/video-extend",
        {"prompt": "a dog", "video": C, "last_image": B, "duration": 12},
    ),
}


@pytest.mark.parametrize(("input", "path", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: Input, path: str, body: dict[str, object]) -> None:
    """Each input that a schema describes goes by POST to its endpoint, with the body of that schema."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", f"/api/v3/kwaivgi/{path}") == (request.method, request.path)
    assert body == json.loads(request.body)


REFUSED_INPUTS: dict[str, tuple[Input, list[tuple[str, str]]]] = {
    "o1 of 7 s without a last frame": (
        VideoInput("a dog", image=A, duration=7),
        [("duration", "must be one of 5, 10 when only the first frame is given")],
    ),
    "o1 has no sound": (
        VideoInput("a dog", sound=True),
        [("sound", "kling-video-o1-std has no such field here; it takes")],
    ),
    "o1 has no shots": (VideoInput("a dog", shots=(Shot("a", 5),)), [("shots", "has no such field here")]),
    "o1 pro of eight images": (
        VideoInput("a dog", model=PRO, images=(A,) * 8),
        [("images", "takes at most 7, and each must be an http or https URL")],
    ),
    "o1 pro of five images beside a video": (
        VideoInput("a dog", model=PRO, images=(A,) * 5, video=C),
        [("images", "takes at most 4 beside a video to refer to")],
    ),
    "an edit of another length": (
        VideoInput("a dog", video=C, scene="video-edit", duration=7),
        [("duration", "has no place in video-edit")],
    ),
    "a video without a scene": (VideoInput("a dog", video=C), [("scene", "is not clear from the fields given")]),
    "two videos": (
        VideoInput("a dog", videos=(C, C), images=(A,)),
        [("videos", "kling-video-o1-std takes one video")],
    ),
    "a reference to nothing": (
        VideoInput("a dog", scene="reference-to-video"),
        [("images", "is needed for reference-to-video")],
    ),
    "o3 in 4k refers to no video": (
        VideoInput("a dog", model="kling-3.0-omni-4k", images=(A,), video=C),
        [("video", "kling-video-o3-4k has no such field here")],
    ),
    "o3 of nothing": (
        VideoInput(model=O3),
        [("prompt", "must be text, and not blank, unless shots are given")],
    ),
    "o3 of a prompt and shots": (
        VideoInput("a dog", model=O3, duration=7, shots=SHOTS),
        [("shots", "take the place of the prompt: give one of the two")],
    ),
    "o3 of a short shot": (
        VideoInput(model=O3, duration=5, shots=(Shot("a", 2), Shot("b", 3))),
        [("shots", "last from 3 to 15 seconds each")],
    ),
    "3.0 of shots to a last frame": (
        VideoInput(model="kling-3.0-pro", image=A, last_image=B, duration=7, shots=SHOTS),
        [("shots", "may not be given with last_image")],
    ),
    "2.6 std has no last frame": (
        VideoInput("a dog", model="kling-2.6-std", image=A, last_image=B),
        [("last_image", "kling-v2.6-std has no such field here")],
    ),
    "turbo has no negative prompt": (
        VideoInput("a dog", model="kling-3.0-turbo-std", negative_prompt="rain"),
        [("negative_prompt", "kling-v3-turbo-std has no such field here")],
    ),
    "4.0 of 31 s": (v4(duration=31), [("duration", "must be a whole number from 3 to 30")]),
    "4.0 of nine keyframes": (v4(image=A, keyframes=(B,) * 9), [("keyframes", "takes at most 8")]),
    "4.0 of sixteen files": (
        v4(images=(A,) * 10, videos=(C,) * 4, audios=(D,) * 2),
        [("images", "videos and audios are at most 15 together")],
    ),
    "4.0 of two videos to edit": (
        v4(videos=(C, C), scene="video-edit"),
        [("videos", "takes at most 1")],
    ),
    "4.0 of audios for an edit": (
        v4(video=C, audios=(D,), scene="video-edit"),
        [("audios", "has no place in video-edit")],
    ),
    "4.0 of a last frame for an edit": (
        v4(video=C, last_image=B, scene="video-edit"),
        [("last_image", "needs image"), ("last_image", "has no place in video-edit")],
    ),
    "4.0 in HDR at 720p": (
        v4(extra={"dynamic_range": "hdr"}),
        [("resolution", "must be 1080p or 4k for HDR")],
    ),
    "4.0 of an edit in HDR": (
        v4(video=C, scene="video-edit", resolution="4k", extra={"dynamic_range": "hdr"}),
        [("extra", "may hold dynamic_range in text-to-video")],
    ),
    "4.0 without words": (
        v4(prompt=" ", images=(A,)),
        [("prompt", "must be text, and not blank, unless the scene is image-to-video")],
    ),
    "another field of the wire": (
        VideoInput("a dog", model="kling-3.0-std", image=A, extra={"end_image": B}),
        [("extra['end_image']", "may not replace a field; use last_image=")],
    ),
}


@pytest.mark.parametrize(("input", "faults"), REFUSED_INPUTS.values(), ids=list(REFUSED_INPUTS))
def test_what_an_endpoint_lacks_is_an_input_error(input: Input, faults: list[tuple[str, str]]) -> None:
    """A field that the model or the scene lacks, or a combination that it refuses, is named and nothing is sent."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    found = [(one.field, one.allowed) for one in caught.value.faults]
    assert [name for name, _ in faults] == [name for name, _ in found]
    assert all(text in said for (_, text), (_, said) in zip(faults, found, strict=True))


PRICES: dict[str, tuple[Input, str | None]] = {
    "image o1": (ImageInput("a cat", n=4), "0.112"),
    "image o3": (ImageInput("a cat", model="kling-image-o3", resolution="2k", n=2), "0.056"),
    "image o3 in 4k": (ImageInput("a cat", model="kling-image-o3", resolution="4k"), "0.056"),
    "o1": (VideoInput("a dog"), "0.42"),
    "o1 of 10 s": (VideoInput("a dog", duration=10), "0.84"),
    "o1 with a video": (VideoInput("a dog", images=(A,), video=C), "0.63"),
    "o1 with a video of 10 s": (VideoInput("a dog", images=(A,), video=C, duration=10), "1.26"),
    "o1 pro": (VideoInput("a dog", model=PRO), "0.56"),
    "an edit, of which a range is known": (VideoInput("a dog", video=C, scene="video-edit"), None),
    "o3": (VideoInput("a dog", model="kling-3.0-omni-std"), "0.42"),
    "o3 with sound, whose price is not published": (VideoInput("a dog", model=O3, sound=True), None),
    "2.6": (VideoInput("a dog", model="kling-2.6-std", duration=10), "0.42"),
    "2.6 pro without sound": (VideoInput("a dog", model="kling-2.6-pro", sound=False), "0.35"),
    "2.6 pro by default, which has sound": (VideoInput("a dog", model="kling-2.6-pro"), None),
    "3.0": (VideoInput("a dog", model="kling-3.0-pro", duration=3), "0.336"),
    "3.0 in 4k": (VideoInput("a dog", model="kling-3.0-4k"), "2.10"),
    "motion, whose length is that of its video": (VideoInput(model="kling-3.0-pro", image=A, video=C), None),
    "turbo, whose unit is not published": (VideoInput("a dog", model="kling-3.0-turbo-std"), None),
    "4.0": (v4(), "0.785"),
    "4.0 in 1080p": (v4(resolution="1080p", duration=10), "2.35"),
    "4.0 in 4k, whose price is not published": (v4(resolution="4k"), None),
    "4.0 in HDR, whose price is not published": (v4(resolution="1080p", extra={"dynamic_range": "hdr"}), None),
    "4.0 with a video, by counted seconds": (v4(images=(A,), video=C), None),
    "4.0 of an edit, by counted seconds": (v4(video=C, scene="video-edit"), None),
    "4.0 of an extension, by the new seconds": (v4(video=C, scene="video-extend", duration=10), "1.57"),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: Input, cost: str | None) -> None:
    """A cost is the published price; where a range or nothing is published, it is unknown, never 0."""
    PROVIDER.check(input)
    assert (None if cost is None else Decimal(cost)) == PROVIDER.cost(input)


def _edits() -> Iterator[tuple[str, str, str]]:
    yield O1, "0.378", "1.26"
    yield PRO, "0.504", "1.68"


@pytest.mark.parametrize(("model", "low", "high"), list(_edits()))
def test_an_edit_costs_by_the_length_of_its_video(model: str, low: str, high: str) -> None:
    """A video to edit has 3 to 10 seconds, and the base price is that of 5: the range follows."""
    price = PROVIDER.models[model].price(VideoInput("a dog", video=C, scene="video-edit", model=model))
    assert price is not None
    assert (Decimal(low), Decimal(high)) == (price.low, price.high)
