"""OpenRouter: every reply that its documents and the recordings of its clients show, and every documented request."""

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
from kling_async.providers.openrouter import OpenRouter
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Shot, VideoInput
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status

PROVIDER = OpenRouter()
JOB = "gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt"
CONTENT = f"https://openrouter.ai/api/v1/videos/{JOB}/content?index="
SIGNED = "https://storage.openrouter.ai/videos/clip-0.mp4?signature=abc"

INPUT = VideoInput("a dog")
QUEUED = Prediction(
    provider="openrouter",
    model="kwaivgi/kling-v3.0-std",
    id=JOB,
    key="dog",
    status=Status.QUEUED,
    native_status="pending",
    created_at=datetime(2026, 9, 21, 14, 13, 20, tzinfo=UTC),
    # Five seconds with sound, which is OpenRouter's default.
    cost=Decimal("0.630"),
)
RUNNING = evolve(QUEUED, status=Status.RUNNING, native_status="in_progress")


def clip(url: str) -> Output:
    return Output(url=url, kind=OutputKind.VIDEO)


DONE = evolve(
    QUEUED, status=Status.SUCCEEDED, native_status="completed", outputs=(clip(f"{CONTENT}0"),), cost=Decimal("0.25")
)


def failed(message: str, *, kind: FailureKind = FailureKind.FAILED, word: str = "failed") -> Prediction:
    """Expect a prediction that failed."""
    status = {"cancelled": Status.CANCELLED, "expired": Status.EXPIRED}.get(word, Status.FAILED)
    return evolve(QUEUED, status=status, native_status=word, failure=Failure(kind=kind, message=message))


def no(
    kind: type[KlingError], message: str, code: str | None = None, **more: object
) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "retry_after": None, "provider": "openrouter"}
    return kind, {**facts, "may_be_billed": False, **more}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "openrouter"}


POLICY = "content_policy_violation"
NO_ID = unread("The reply holds no usable id", "$.data.id")
REFUSED = {
    "refused.400.json": no(
        BadRequest, "Duration 99s is not supported for this model. Supported durations: 5, 10s", "400"
    ),
    "refused-model.400.json": no(BadRequest, "kwaivgi/no-such is not a valid model ID", "400"),
    "refused-invalid.400.json": no(BadRequest, "Invalid request", "400"),
    "error-text.400.json": no(BadRequest, "Bad request"),
    "refused-content.400.json": no(ContentRejected, "The prompt was flagged", POLICY, part=None),
    "refused-refusal.400.json": no(ContentRejected, "The model refused", "refusal"),
    "refused.401.json": no(AuthenticationError, "No cookie auth credentials found", "401"),
    "refused.402.json": no(
        InsufficientBalance, "Insufficient credits. Add more using https://openrouter.ai/credits", "402"
    ),
    # One code, five meanings: only the metadata and the message tell them apart.
    "refused-moderation.403.json": no(ContentRejected, "Input flagged by moderation", POLICY, part="prompt"),
    "refused-guardrail.403.json": no(ContentRejected, "Request blocked: prompt injection patterns detected", POLICY),
    "refused-permission.403.json": no(PermissionDenied, "Only management keys can perform this operation", "403"),
    "refused-metadata-null.403.json": no(PermissionDenied, "Forbidden", "403"),
    "refused-reasons-empty.403.json": no(PermissionDenied, "Forbidden", "403"),
    "refused-key-limit.403.json": no(
        InsufficientBalance,
        "Key limit exceeded (total limit). Manage it using https://openrouter.ai/settings/keys",
        "403",
    ),
    "refused.404.json": no(BadRequest, f"Job {JOB} not found", "404"),
    "timed-out.408.json": no(BadRequest, "Your request timed out", "408"),
    "too-large.413.json": no(BadRequest, "Request payload too large", "413"),
    "refused.429.json": no(RateLimited, "Provider returned error", "429"),
    "closed.499.json": no(ProviderUnavailable, "Client closed request", "499"),
    "refused.500.json": no(ProviderUnavailable, "Internal Server Error", "500"),
    "refused.502.json": no(ProviderUnavailable, "Provider returned error", "502"),
    "refused-content.502.json": no(ProviderUnavailable, "Provider returned error", POLICY),
    "refused.503.json": no(ProviderUnavailable, "No available model provider meets your routing requirements", "503"),
    "enveloped-credits.200.json": no(InsufficientBalance, "Insufficient credits", "402"),
    "enveloped-outage.200.json": no(ProviderUnavailable, "Provider returned error", "502"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "unavailable.503.txt": no(ProviderUnavailable, "HTTP 503"),
    "timed-out.524.html": no(ProviderUnavailable, "HTTP 524"),
    "wrong-path.404.html": no(BadRequest, "HTTP 404"),
}
UNREADABLE = {
    "empty.200.txt": unread("The reply is empty"),
    "page.200.html": unread("The reply is a page, not JSON"),
}
SUBMITTED = {
    "created.202.json": QUEUED,
    "created-short-id.202.json": evolve(QUEUED, id="abc123", created_at=None),
    "created-relative-url.202.json": evolve(QUEUED, id="job-abc123", created_at=None),
    "created-foreign-url.202.json": QUEUED,
    "created-without-url.202.json": QUEUED,
    # The id is what was paid for; the first poll reads the rest.
    "created-status-missing.202.json": evolve(QUEUED, native_status="", created_at=None),
    "created-finished.202.json": DONE,
    **{f"id-{case}.202.json": NO_ID for case in ("null", "number", "slashes", "too-long", "empty", "missing")},
    "id-on-a-failure.502.json": (AnswerLost, {"id": JOB, "key": "dog", "may_be_billed": True}),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("openrouter", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="dog"), expected)


NO_OUTPUT = evolve(
    DONE,
    status=Status.FAILED,
    outputs=(),
    failure=Failure(
        kind=FailureKind.NO_OUTPUT,
        message="the provider says 'completed', but its reply holds no output that can be read",
    ),
)
ESTIMATED = evolve(DONE, cost=QUEUED.cost)
POLLED = {
    "pending.200.json": QUEUED,
    "in-progress.200.json": RUNNING,
    "unknown-word.200.json": evolve(RUNNING, native_status="uploading"),
    "status-null.200.json": unread(
        "The reply cannot be read: invalid value for type, expected str at $.status", "$.status"
    ),
    "status-missing.200.json": unread("The reply cannot be read: required field missing at $.status", "$.status"),
    "completed.200.json": DONE,
    # Signed URLs need no key, so they go before those that do.
    "completed-signed.200.json": evolve(DONE, outputs=(clip(SIGNED),)),
    "completed-foreign-url.200.json": DONE,
    "completed-two.200.json": evolve(DONE, outputs=(clip(f"{CONTENT}0"), clip(f"{CONTENT}1"))),
    "completed-urls-null.200.json": NO_OUTPUT,
    "completed-no-urls.200.json": NO_OUTPUT,
    # OpenRouter's own price goes before the table's; what is no price leaves that of the table.
    "completed-own-key.200.json": evolve(DONE, cost=Decimal(0)),
    **{
        f"completed-cost-{case}.200.json": ESTIMATED for case in ("null", "missing", "text", "negative", "huge", "true")
    },
    "failed-content.200.json": failed("Content policy violation", kind=FailureKind.CONTENT_REJECTED),
    "failed.200.json": evolve(failed("The provider could not fetch the first frame"), cost=Decimal(0)),
    "failed-without-error.200.json": failed("the provider says 'failed' and no more"),
    "cancelled.200.json": failed("Job was cancelled", kind=FailureKind.CANCELLED, word="cancelled"),
    "expired.200.json": failed("Job exceeded maximum time to live", kind=FailureKind.EXPIRED, word="expired"),
    "id-on-a-failure.502.json": no(ProviderUnavailable, "Provider returned error", "502"),
    **UNREADABLE,
    **REFUSED,
}


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each recorded reply to a poll is read with all its facts, refused, or not readable."""
    reply = sample("openrouter", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=QUEUED), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No recorded reply lies about unread."""
    assert sample_names("openrouter") == set(SUBMITTED) | set(POLLED)


def test_a_rate_limit_says_how_long_to_wait(sample: Callable[[str, str], HttpResponse]) -> None:
    """Retry-After, which OpenRouter documents for 429 and 503, is kept."""
    reply = evolve(sample("openrouter", "refused.429.json"), headers={"Retry-After": "60"})
    with pytest.raises(RateLimited) as caught:
        PROVIDER.parse_submit(reply, input=INPUT, key=None)
    assert 60.0 == caught.value.retry_after


A, B = "https://x.test/a.png", "https://x.test/b.png"
BODY: dict[str, object] = {"model": "kwaivgi/kling-v3.0-std", "prompt": "a dog", "duration": 5}


def frame(url: str, kind: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}, "frame_type": kind}


REQUESTS: dict[str, tuple[VideoInput, dict[str, object]]] = {
    "text to video": (VideoInput("a dog"), BODY),
    "canonical name": (VideoInput("a dog", model="kling-3.0-pro"), {**BODY, "model": "kwaivgi/kling-v3.0-pro"}),
    "all fields": (
        VideoInput("a dog", aspect_ratio="9:16", duration=15, resolution="720p", sound=False),
        {**BODY, "aspect_ratio": "9:16", "duration": 15, "resolution": "720p", "generate_audio": False},
    ),
    "image to video": (VideoInput("a dog", image=A), {**BODY, "frame_images": [frame(A, "first_frame")]}),
    "both frames": (
        VideoInput("a dog", model="kling-o1-pro", image=A, last_image=B, duration=10),
        {
            **BODY,
            "model": "kwaivgi/kling-video-o1",
            "duration": 10,
            "frame_images": [frame(A, "first_frame"), frame(B, "last_frame")],
        },
    ),
    "options and a webhook": (
        VideoInput(
            "a dog",
            extra={"provider": {"options": {"slug": {"cfg_scale": 0.5}}}, "callback_url": "https://x.test/hook"},
        ),
        {**BODY, "provider": {"options": {"slug": {"cfg_scale": 0.5}}}, "callback_url": "https://x.test/hook"},
    ),
}


@pytest.mark.parametrize(("input", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: VideoInput, body: dict[str, object]) -> None:
    """Each operation that is described goes by POST to the documented address with the documented body."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", "/api/v1/videos") == (request.method, request.path)
    assert body == json.loads(request.body)


LOST: dict[str, tuple[VideoInput | ImageInput, str]] = {
    "references": (VideoInput("a dog", images=(A,)), "images"),
    "a video": (VideoInput("a dog", video="https://x.test/a.mp4"), "video"),
    "keyframes": (VideoInput("a dog", image=A, keyframes=(B,)), "keyframes"),
    # The list allows it, but under the slug of a provider that no page names.
    "a negative prompt": (VideoInput("a dog", negative_prompt="rain"), "negative_prompt"),
    "shots": (VideoInput("a dog", shots=(Shot("it sits", 5),)), "shots"),
    "full HD": (VideoInput("a dog", resolution="1080p"), "resolution"),
    "a duration of the other model": (VideoInput("a dog", model="kling-o1-pro", duration=7), "duration"),
    "a scene": (VideoInput("a dog", image=A, scene="reference-to-video"), "scene"),
    "a last frame alone": (VideoInput("a dog", last_image=B), "last_image"),
    "a prompt that is too long": (VideoInput("x" * 2501), "prompt"),
    "frames in extra": (VideoInput("a dog", extra={"frame_images": []}), "extra['frame_images']"),
    "sound in extra": (VideoInput("a dog", extra={"generate_audio": True}), "extra['generate_audio']"),
    "a model in extra": (VideoInput("a dog", extra={"model": "google/veo-3.1"}), "extra['model']"),
    "an image of a video model": (ImageInput("a cat", model="kling-3.0-std"), "model"),
}


@pytest.mark.parametrize(("input", "field"), LOST.values(), ids=list(LOST))
def test_nothing_is_dropped_in_silence(input: VideoInput | ImageInput, field: str) -> None:
    """A field that the model lacks, or a value that it does not take, is a fault before anything is sent."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    assert field in {fault.field for fault in caught.value.faults}


def test_images_have_no_model_here() -> None:
    """No Kling image model is listed, and an image without a model says so."""
    with pytest.raises(InputError, match="OpenRouter has no image model; it has kwaivgi/kling-v3.0-std"):
        PROVIDER.check(ImageInput("a cat"))


@pytest.mark.parametrize("name", ["created-foreign-url.202.json", "created-relative-url.202.json", "created.202.json"])
def test_a_poll_is_built_from_the_id_alone(name: str, sample: Callable[[str, str], HttpResponse]) -> None:
    """Whatever `polling_url` says, a poll goes by GET to the address made of the id, on the provider's own origin."""
    seen = PROVIDER.parse_submit(sample("openrouter", name), input=INPUT, key=None)
    assert HttpRequest(method="GET", path=f"/api/v1/videos/{seen.id}", body=b"") == PROVIDER.build_poll(seen)
    polled = PROVIDER.parse_poll(sample("openrouter", "completed-foreign-url.200.json"), prediction=seen)
    assert seen.id == polled.id
    assert "elsewhere" not in "".join(output.url for output in polled.outputs)


OWN = f"/api/v1/videos/{JOB}/content?index="
DOWNLOADS: dict[str, tuple[str, str | None]] = {
    "the content": (f"{CONTENT}0", f"{OWN}0"),
    "another output": (f"{CONTENT}12", f"{OWN}12"),
    "no index": (f"https://openrouter.ai/api/v1/videos/{JOB}/content", f"{OWN}0"),
    "behind a proxy": (f"http://127.0.0.1:8000/api/v1/videos/{JOB}/content?index=1", f"{OWN}1"),
    "a signed copy": (SIGNED, None),
    "another job": (f"{CONTENT}0".replace("1790000000", "1790000001"), None),
    "another query": (f"{CONTENT}0&to=elsewhere", None),
    "no number": (f"{CONTENT}first", None),
    "another path": (f"https://openrouter.ai/api/v1/credits?{CONTENT}0", None),
    "inline": ("data:video/mp4;base64,AAAA", None),
}


@pytest.mark.parametrize(("url", "path"), DOWNLOADS.values(), ids=list(DOWNLOADS))
def test_only_the_content_of_the_job_is_asked_for_with_the_key(url: str, path: str | None) -> None:
    """The request is built from the id and the index; any other URL is left to be fetched without the key."""
    request = PROVIDER.build_download(DONE, clip(url))
    assert path == (None if request is None else request.path)
    assert request is None or ("GET", b"", ()) == (request.method, request.body, request.headers)


def test_the_key_is_sent_in_one_way() -> None:
    """The key follows Bearer."""
    assert ("bearer",) == PROVIDER.schemes
    assert ("Authorization", "Bearer sk-or-test") == PROVIDER.authorizer("sk-or-test").header(0.0)


PRICES = {
    "sound is the default": (VideoInput("a dog"), "0.630"),
    "sound by name": (VideoInput("a dog", sound=True, duration=10), "1.260"),
    "silence is cheaper": (VideoInput("a dog", sound=False, duration=10), "0.840"),
    "pro with sound": (VideoInput("a dog", model="kling-3.0-pro", duration=3), "0.504"),
    "pro without": (VideoInput("a dog", model="kling-3.0-pro", sound=False, duration=3), "0.336"),
    "O1 has one price": (VideoInput("a dog", model="kling-o1-pro"), "0.560"),
    "O1 without sound": (VideoInput("a dog", model="kling-o1-pro", sound=False), "0.560"),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: VideoInput, cost: str) -> None:
    """A cost is the published price of a second, with or without sound, times the seconds."""
    assert Decimal(cost) == PROVIDER.cost(input)
