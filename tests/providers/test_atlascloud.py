"""Atlas Cloud: the replies that its pages show, and each request that its own nodes for ComfyUI send."""

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
from kling_async.providers.atlascloud import AtlasCloud
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import ImageInput, Input, VideoInput
from kling_async.types.media_values import MediaFile
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status

PROVIDER = AtlasCloud()
ID = "f3b1c2d4e5a64b7f8c9d0e1f2a3b4c5d"
INPUT = VideoInput("a dog")
RUNNING = Prediction(
    provider="atlascloud",
    model="kling-v3.0-std",
    id=ID,
    key="dog",
    status=Status.RUNNING,
    native_status="processing",
    created_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
    cost=Decimal("0.355"),
)
DONE = evolve(
    RUNNING,
    status=Status.SUCCEEDED,
    native_status="completed",
    outputs=(Output(url="https://static.atlascloud.ai/media/videos/dog.mp4", kind=OutputKind.VIDEO),),
    nsfw=False,
)


def failed(message: str, code: str | None, kind: FailureKind = FailureKind.FAILED, word: str = "failed") -> Prediction:
    """Expect a prediction that failed, which costs nothing."""
    failure = Failure(kind=kind, code=code, message=message)
    return evolve(RUNNING, status=Status.FAILED, native_status=word, failure=failure, cost=Decimal(0))


def no(kind: type[KlingError], message: str, code: str | None = None) -> tuple[type[KlingError], dict[str, object]]:
    """Expect a refusal in these words."""
    facts = {"message": f"The provider refused: {message}", "code": code, "provider": "atlascloud"}
    return kind, {**facts, "may_be_billed": False}


def unread(message: str, path: str = "$") -> tuple[type[KlingError], dict[str, object]]:
    """Expect a reply that is neither yes nor no."""
    return UnexpectedReply, {"message": message, "path": path, "provider": "atlascloud"}


NO_ID = unread("The reply holds no usable id", "$.data.id")
EVERYWHERE = {
    "refused.400.json": no(BadRequest, "missing model", "400"),
    "refused-moderation.400.json": no(ContentRejected, "the input was rejected", "1039"),
    "refused.401.json": no(AuthenticationError, "unauthorized", "401"),
    "refused-public.401.json": no(AuthenticationError, "The key is wrong", "invalid_api_key"),
    "refused.402.json": no(InsufficientBalance, "insufficient balance", "402"),
    "refused-under-200.200.json": no(InsufficientBalance, "insufficient balance", "402"),
    "refused.403.json": no(PermissionDenied, "not permitted", "403"),
    "refused.404.json": no(BadRequest, "not found", "404"),
    "refused.413.json": no(BadRequest, "body too large", "413"),
    "refused.429.json": no(RateLimited, "rate limit reached", "429"),
    "refused.451.json": no(PermissionDenied, "blocked in your region", "451"),
    "refused.500.json": no(ProviderUnavailable, "internal error", "500"),
    "refused.503.json": no(ProviderUnavailable, "temporarily unavailable", "503"),
    "refused.504.json": no(ProviderUnavailable, "timed out", "504"),
    "bad-gateway.502.html": no(ProviderUnavailable, "HTTP 502"),
    "page.200.html": unread("The reply is a page, not JSON"),
}
SUBMITTED = {
    "created.200.json": RUNNING,
    "created-flat.200.json": RUNNING,
    # The id is what was paid for; the first poll reads the rest.
    "created-old-id.200.json": evolve(RUNNING, status=Status.QUEUED, native_status="", created_at=None),
    "status-missing.200.json": evolve(RUNNING, status=Status.QUEUED, native_status="", created_at=None),
    "id-missing.200.json": NO_ID,
    "data-null.200.json": NO_ID,
    "id-on-a-failure.500.json": (AnswerLost, {"id": ID, "key": "dog", "may_be_billed": True}),
    **EVERYWHERE,
}
POLLED = {
    "processing.200.json": RUNNING,
    "unknown-word.200.json": evolve(RUNNING, native_status="uploading"),
    "completed.200.json": DONE,
    "completed-succeeded.200.json": evolve(DONE, native_status="succeeded", nsfw=None),
    # A success to the provider, which may bill it.
    "completed-no-outputs.200.json": evolve(
        failed(
            "the provider says 'completed', but its reply holds no output that can be read",
            None,
            FailureKind.NO_OUTPUT,
            "completed",
        ),
        cost=RUNNING.cost,
    ),
    "failed.200.json": failed("The generation failed", "1000"),
    "failed-moderation.200.json": failed("The input was rejected", "1039", FailureKind.CONTENT_REJECTED),
    "failed-says-nothing.200.json": failed("the provider says 'failed' and no more", None),
    "timeout.200.json": failed("Timed out", None, word="timeout"),
    "status-missing.200.json": unread("The reply cannot be read: required field missing at $.status", "$.status"),
    **EVERYWHERE,
}


@pytest.mark.parametrize(("name", "expected"), SUBMITTED.items(), ids=list(SUBMITTED))
def test_submission_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each reply to a submission is accepted with all its facts, refused, or not readable."""
    reply = sample("atlascloud", name)
    hold(reply, lambda: PROVIDER.parse_submit(reply, input=INPUT, key="dog"), expected)


@pytest.mark.parametrize(("name", "expected"), POLLED.items(), ids=list(POLLED))
def test_poll_replies(
    name: str, expected: Any, sample: Callable[[str, str], HttpResponse], hold: Callable[..., None]
) -> None:
    """Each reply to a poll is read with all its facts, refused, or not readable."""
    reply = sample("atlascloud", name)
    hold(reply, lambda: PROVIDER.parse_poll(reply, prediction=RUNNING), expected)


def test_every_sample_is_in_a_table(sample_names: Callable[[str], set[str]]) -> None:
    """No reply lies about unread."""
    assert sample_names("atlascloud") == set(SUBMITTED) | set(POLLED)


A, B, C = "https://x.test/a.png", "https://x.test/b.png", "https://x.test/c.mp4"
V30, O3 = "kwaivgi/kling-v3.0", "kwaivgi/kling-video-o3"
REQUESTS: dict[str, tuple[VideoInput, dict[str, object]]] = {
    "3.0, text": (VideoInput("a dog"), {"model": f"{V30}-std/text-to-video", "prompt": "a dog", "duration": 5}),
    "3.0, every field": (
        VideoInput(
            "a dog",
            model="kling-3.0-pro",
            duration=10,
            aspect_ratio="9:16",
            negative_prompt="rain",
            sound=True,
            extra={"cfg_scale": 0.7, "voice_list": ["v"]},
        ),
        {
            "model": f"{V30}-pro/text-to-video",
            "prompt": "a dog",
            "duration": 10,
            "aspect_ratio": "9:16",
            "negative_prompt": "rain",
            "sound": True,
            "cfg_scale": 0.7,
            "voice_list": ["v"],
        },
    ),
    "3.0, frames": (
        VideoInput("a dog", image=A, last_image=B, sound=False),
        {
            "model": f"{V30}-std/image-to-video",
            "prompt": "a dog",
            "image": A,
            "end_image": B,
            "duration": 5,
            "sound": False,
        },
    ),
    "O3, text": (
        VideoInput("a dog", model="kling-3.0-omni-pro", duration=7, sound=True),
        {"model": f"{O3}-pro/text-to-video", "prompt": "a dog", "duration": 7, "sound": True},
    ),
    "O3, a frame, where sound has another name": (
        VideoInput("a dog", model="kling-3.0-omni-std", image=A, sound=True),
        {
            "model": f"{O3}-std/image-to-video",
            "prompt": "a dog",
            "image": A,
            "duration": 5,
            "generate_audio": True,
        },
    ),
    "O3, references": (
        VideoInput("a dog", model="kling-3.0-omni-std", images=(A, B), video=C, aspect_ratio="1:1"),
        {
            "model": f"{O3}-std/reference-to-video",
            "prompt": "a dog",
            "images": [A, B],
            "video": C,
            "keep_original_sound": True,
            "aspect_ratio": "1:1",
            "duration": 5,
        },
    ),
    "O3, edit": (
        VideoInput("a dog", model="kling-3.0-omni-pro", video=C, scene="video-edit", keep_original_sound=False),
        {"model": f"{O3}-pro/video-edit", "prompt": "a dog", "video": C, "keep_original_sound": False},
    ),
}


@pytest.mark.parametrize(("input", "body"), REQUESTS.values(), ids=list(REQUESTS))
def test_submissions_are_built(input: VideoInput, body: dict[str, object]) -> None:
    """Each scene goes by POST to the one address, with its model in the body and the fields of its node."""
    PROVIDER.check(input)
    request = PROVIDER.build_submit(input)
    assert ("POST", "/api/v1/model/generateVideo") == (request.method, request.path)
    assert body == json.loads(request.body)


WRONG: dict[str, tuple[Input, str]] = {
    "an image": (ImageInput("a cat"), "model"),
    "a length between": (VideoInput("a", duration=7), "duration"),
    "references to 3.0": (VideoInput("a", images=(A,)), "images"),
    "five images beside a video": (
        VideoInput("a", model="kling-3.0-omni-std", images=(A,) * 5, video=C, scene="reference-to-video"),
        "images",
    ),
    "no words": (VideoInput("", image=A), "prompt"),
}


@pytest.mark.parametrize(("input", "field"), WRONG.values(), ids=list(WRONG))
def test_what_there_is_no_field_for_is_refused(input: Input, field: str) -> None:
    """Nothing is dropped and nothing is sent that no node sends: the error names the field."""
    with pytest.raises(InputError) as caught:
        PROVIDER.check(input)
    assert field in {fault.field for fault in caught.value.faults}


PRICES: dict[str, tuple[VideoInput, str | None]] = {
    "3.0 std": (VideoInput("a", duration=10), "0.710"),
    "3.0 pro": (VideoInput("a", model="kling-3.0-pro"), "0.475"),
    "O3 std": (VideoInput("a", model="kling-3.0-omni-std", duration=15), "1.065"),
    "sound, whose price no page has": (VideoInput("a", sound=True), None),
    "with a video": (VideoInput("a", model="kling-3.0-omni-std", images=(A,), video=C), None),
    "an edit": (VideoInput("a", model="kling-3.0-omni-pro", video=C, scene="video-edit"), None),
}


@pytest.mark.parametrize(("input", "cost"), PRICES.values(), ids=list(PRICES))
def test_prices(input: VideoInput, cost: str | None) -> None:
    """A cost follows from the rate of the pages; where they name none it is unknown."""
    PROVIDER.check(input)
    assert (None if cost is None else Decimal(cost)) == PROVIDER.cost(input)


BALANCES = {
    "documented": ({"available": {"value": "125.500000", "currency": "usd"}, "request_id": "r"}, Decimal("125.5")),
    "a debt": ({"available": {"value": "-1.25", "currency": "usd"}}, Decimal("-1.25")),
    "another currency": ({"available": {"value": "1", "currency": "eur"}}, None),
    "none": ({"object": "balance"}, None),
}


@pytest.mark.parametrize(("body", "dollars"), BALANCES.values(), ids=list(BALANCES))
def test_the_balance_is_told_in_dollars(body: dict[str, object], dollars: Decimal | None) -> None:
    """What is available, in US dollars and in nothing else."""
    assert HttpRequest(method="GET", path="/public/v1/balance") == PROVIDER.build_balance()
    assert dollars == PROVIDER.parse_balance(HttpResponse(status=200, headers={}, body=json.dumps(body).encode()))


def test_a_poll_is_made_of_the_id_alone() -> None:
    """The address in a record is never followed."""
    assert HttpRequest(method="GET", path=f"/api/v1/model/prediction/{ID}") == PROVIDER.build_poll(RUNNING)


FILE = MediaFile(name="a.png", sha256="ab" * 32, size=9, mime="image/png", source=b"9")
UPLOADED = {
    "as the page has it": {"url": "https://x.test/a.png"},
    "as its own clients read it": {"code": 200, "data": {"download_url": "https://x.test/a.png", "size": 9}},
}


@pytest.mark.parametrize("body", UPLOADED.values(), ids=list(UPLOADED))
def test_both_forms_of_an_upload_are_read(body: object) -> None:
    """The address of an uploaded file is found where the page shows it, and where the vendor's own clients read it."""
    response = HttpResponse(status=200, headers={}, body=json.dumps(body).encode())
    assert "https://x.test/a.png" == PROVIDER.parse_upload(response, FILE)


def test_an_upload_without_an_address_is_an_error() -> None:
    """A reply that names no address is no upload, and a refusal is one."""
    with pytest.raises(UnexpectedReply, match="holds no address"):
        PROVIDER.parse_upload(HttpResponse(status=200, headers={}, body=b'{"code":200,"data":{}}'), FILE)
    with pytest.raises(BadRequest, match="too big"):
        PROVIDER.parse_upload(HttpResponse(status=413, headers={}, body=b'{"code":413,"msg":"too big"}'), FILE)
