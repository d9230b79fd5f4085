"""Webhooks: how a submission asks for one, and whether a delivery is read and trusted as the provider documents."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from attrs import evolve
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from kling_async import ImageInput, Status, VideoInput
from kling_async.providers import PROVIDERS
from kling_async.providers.codec.webhook_signatures import WINDOW_SECONDS, check_signature, is_secret
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import Input
from kling_async.types.prediction import Prediction
from kling_async.types.webhooks import InvalidWebhook, WebhookEvent

URL = "https://my.app/hooks/it?"
NOW = 1_800_000_000.0
SECRET = "whsec_" + base64.b64encode(b"a secret of a test, not of an account").decode()
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.urlsafe_b64encode(KEY.public_key().public_bytes_raw()).decode()

# Published by the providers. The example on the page of WaveSpeedAI has a shortened id, and does not add up.
VECTORS: dict[str, tuple[str, str, dict[str, str], str]] = {
    # https://github.com/replicate/replicate-python, tests/test_webhooks.py
    "replicate": (
        "standard_webhooks",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        {
            "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
            "webhook-timestamp": "1614265330",
            "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        },
        '{"test": 2432232314}',
    ),
    # Kling's page about callbacks, api/get-started/callbacks
    "kling": (
        "standard_webhooks",
        "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=",
        {
            "webhook-id": "9876543210",
            "webhook-timestamp": "1781080794",
            "webhook-signature": "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=",
        },
        '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}',
    ),
}


def signed(kind: str, body: bytes, *, secret: str = SECRET, at: float = NOW, id: str = "msg-1") -> dict[str, str]:
    """Sign a body as the pages describe it, with code of its own."""
    time = str(int(at))
    if kind == "ed25519":
        digest = hashlib.sha256(body).hexdigest()
        message = f"{id}\nuser-1\n{time}\n{digest}".encode()
        values = {"request-id": id, "user-id": "user-1", "timestamp": time, "signature": KEY.sign(message).hex()}
        return {f"x-fal-webhook-{name}": value for name, value in values.items()}
    if kind == "ed25519_t":
        given = base64.urlsafe_b64encode(KEY.sign(f"{time}.".encode() + body)).decode().rstrip("=")
        return {"x-atlascloud-webhook-timestamp": time, "x-atlascloud-webhook-signature-ed25519": given}
    if kind == "hmac_t_v1":
        mac = hmac.new(secret.encode(), time.encode() + b"," + body, "sha256").hexdigest()
        return {"x-openrouter-signature": f"t={time},v1={mac}"}
    head = {"webhook-id": id, "webhook-timestamp": time}
    if kind == "hmac_v3":
        mac = hmac.new(secret[6:].encode(), f"{id}.{time}.".encode() + body, "sha256").hexdigest()
        return {**head, "webhook-signature": f"v3,{mac}"}
    return {**head, "webhook-signature": Webhook(secret).sign(id, datetime.fromtimestamp(int(at), UTC), body.decode())}


KINDS = ("standard_webhooks", "hmac_v3", "hmac_t_v1", "ed25519", "ed25519_t")
every_kind = pytest.mark.parametrize("kind", KINDS)


def secrets_of(kind: str) -> tuple[str, ...]:
    return (PUBLIC,) if kind.startswith("ed25519") else (SECRET,)


@pytest.mark.parametrize("name", VECTORS)
def test_a_published_vector_is_accepted(name: str) -> None:
    """The signature that a provider publishes is right at its time, and wrong with a byte of the body changed."""
    kind, secret, headers, body = VECTORS[name]
    at = float(headers["webhook-timestamp"])
    found = check_signature(kind, headers, body.encode(), secrets=[secret], now=at)  # type: ignore[arg-type]
    assert headers["webhook-id"] == found
    with pytest.raises(InvalidWebhook) as caught:
        check_signature(kind, headers, body.encode() + b" ", secrets=[secret], now=at)  # type: ignore[arg-type]
    assert 401 == caught.value.status


@given(st.binary(max_size=200).map(lambda data: data.hex()), st.text("abc_-123", min_size=1), st.binary(min_size=1))
def test_standard_webhooks_agree_with_their_own_library(body: str, id: str, key: bytes) -> None:
    """What the library of Standard Webhooks signs is accepted, and what it would refuse is refused."""
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed("standard_webhooks", body.encode(), secret=secret, id=id)
    assert id == check_signature("standard_webhooks", headers, body.encode(), secrets=[secret], now=NOW)
    other = "whsec_" + base64.b64encode(key + b"!").decode()
    with pytest.raises(InvalidWebhook):
        check_signature("standard_webhooks", headers, body.encode(), secrets=[other], now=NOW)


@every_kind
def test_any_of_several_secrets_may_have_signed(kind: str) -> None:
    """While a secret is replaced, the old one and the new one count; so does each of several signatures."""
    headers, other = signed(kind, b"{}"), ("whsec_b3RoZXI=", *secrets_of(kind))
    assert check_signature(kind, headers, b"{}", secrets=other, now=NOW)  # type: ignore[arg-type]
    if kind == "standard_webhooks":
        both = {**headers, "webhook-signature": f"v1,AAAA v1a,BBBB {headers['webhook-signature']}"}
        assert "msg-1" == check_signature(kind, both, b"{}", secrets=[SECRET], now=NOW)


@every_kind
@pytest.mark.parametrize("damage", ["missing", "empty", "body", "time", "id", "signature", "not ascii"])
def test_a_forged_delivery_is_refused(kind: str, damage: str) -> None:
    """A signature that is missing, damaged, or of another body, time or id is refused with 401."""
    body, headers = b'{"id":"1"}', signed(kind, b'{"id":"1"}')
    name = next(one for one in headers if "signature" in one)
    if damage == "body":
        body += b" "
    elif damage == "missing":
        del headers[name]
    elif damage in ("time", "id"):
        wanted = next((one for one in headers if one.endswith({"time": "timestamp", "id": "-id"}[damage])), name)
        headers[wanted] = ("3" if headers[wanted][0] == "2" else "2") + headers[wanted][1:]
    else:
        headers[name] = {"empty": "", "signature": headers[name][:-2] + "xx", "not ascii": "ä\udc80"}[damage]
    with pytest.raises(InvalidWebhook) as caught:
        check_signature(kind, headers, body, secrets=secrets_of(kind), now=NOW)  # type: ignore[arg-type]
    assert 401 == caught.value.status


@every_kind
@pytest.mark.parametrize(
    ("seconds", "accepted"),
    [(0, True), (WINDOW_SECONDS, True), (-WINDOW_SECONDS, True), (301, False), (-301, False)],
)
def test_only_a_recent_delivery_is_accepted(kind: str, seconds: float, accepted: bool) -> None:
    """A delivery that was sent more than five minutes ago, or so far in the future, is refused with 400."""
    headers = signed(kind, b"{}", at=NOW - seconds)
    if accepted:
        assert check_signature(kind, headers, b"{}", secrets=secrets_of(kind), now=NOW)  # type: ignore[arg-type]
        return
    with pytest.raises(InvalidWebhook) as caught:
        check_signature(kind, headers, b"{}", secrets=secrets_of(kind), now=NOW)  # type: ignore[arg-type]
    assert 400 == caught.value.status


def test_a_stale_signature_tells_nothing_without_the_secret() -> None:
    """Only those who can sign learn whether their clock is wrong: a forged stale delivery is 401 like any other."""
    headers = signed("hmac_v3", b"{}", secret="whsec_b3RoZXI=", at=0)
    with pytest.raises(InvalidWebhook) as caught:
        check_signature("hmac_v3", headers, b"{}", secrets=[SECRET], now=NOW)
    assert 401 == caught.value.status


@pytest.mark.parametrize(
    ("kind", "secret", "valid"),
    [
        ("standard_webhooks", SECRET, True),
        ("standard_webhooks", "whsec_!", False),
        ("standard_webhooks", "whsec_", False),
        ("hmac_v3", "whsec_!", True),
        ("hmac_v3", "whsec_", False),
        ("hmac_t_v1", "two words", False),
    ],
)
def test_a_secret_of_another_kind_is_recognised(kind: str, secret: str, valid: bool) -> None:
    """A secret that cannot be one is known as such before the first delivery."""
    assert valid is is_secret(kind, secret)  # type: ignore[arg-type]


# What each provider sends and takes.

PLACES: dict[str, tuple[Input, str]] = {
    "wavespeed": (ImageInput("a cat"), "query webhook"),
    "fal": (ImageInput("a cat"), "query fal_webhook"),
    "replicate": (VideoInput("a dog"), "webhook"),
    "openrouter": (VideoInput("a dog"), "callback_url"),
    "kling": (ImageInput("a cat"), "callback_url"),
    "kling video": (VideoInput("a dog"), "options callback_url"),
    "apiinone": (VideoInput("a dog"), "callback_url"),
    "atlascloud": (VideoInput("a dog"), "webhook_url"),
}


def placed(request: HttpRequest, place: str) -> object:
    """Return what stands at a place of a request."""
    part, _, name = place.rpartition(" ")
    if part == "query":
        return parse_qs(urlsplit(request.path).query)[name][0]
    body: Any = json.loads(request.body)
    return (body[part] if part else body)[name]


@pytest.mark.parametrize("name", PLACES)
def test_a_submission_names_the_url_where_the_provider_reads_it(name: str) -> None:
    """The URL stands where the provider documents it, exactly as given, and nothing else of the request changes."""
    provider, (input, place) = PROVIDERS[name.split(maxsplit=1)[0]], PLACES[name]
    assert provider.takes_callback(input)
    plain = provider.build_submit(input)
    request = provider.add_callback(plain, URL)
    assert URL == placed(request, place)
    assert (plain.method, plain.headers, urlsplit(plain.path).path) == (
        request.method,
        request.headers,
        urlsplit(request.path).path,
    )
    if place.startswith("query"):
        assert plain.body == request.body
    if name == "replicate":
        assert ["completed"] == json.loads(request.body)["webhook_events_filter"]


@pytest.mark.parametrize("name", ["gptproto", "comfy"])
def test_no_callback_is_sent_where_none_is_documented(name: str) -> None:
    """Where no page documents a callback, none is sent."""
    assert not PROVIDERS[name].takes_callback(ImageInput("a cat"))


def test_the_callback_of_an_input_goes_first() -> None:
    """A user who names a callback in `extra` gets that one; the image model of API in One takes none at all."""
    mine = {"callback_url": "https://mine.test/"}
    for name in ("kling", "openrouter", "apiinone"):
        assert not PROVIDERS[name].takes_callback(VideoInput("a dog", extra=mine))
    assert not PROVIDERS["apiinone"].takes_callback(ImageInput("a cat"))


WAVESPEED: Mapping[str, object] = {
    "id": "p-1",
    "model": "kwaivgi/kling-image-o1",
    "input": {"prompt": "a cat"},
    "outputs": ["https://x.test/1.png"],
    "urls": {"get": "https://evil.test/"},
    "has_nsfw_contents": [False],
    "status": "completed",
    "created_at": "2026-11-20T09:12:48.239Z",
}
KLING = {"id": "t-1", "status": "succeeded", "message": "", "create_time": 1781080778802, "update_time": 1781080794151}
LEGACY = {"task_id": "t-1", "task_status": "succeed", "task_status_msg": "", "created_at": 1, "updated_at": 2}
REPLICATE = {"id": "r-1", "status": "succeeded", "output": "https://x.test/1.mp4", "error": None, "logs": ""}
FAL = {"request_id": "f-1", "gateway_request_id": "f-2", "status": "OK", "payload": {}}
OPENROUTER = {"id": "gen-1", "status": "completed", "unsigned_urls": ["https://openrouter.ai/api/v1/videos/gen-1/c"]}
BODIES: dict[str, tuple[str, str, Mapping[str, object], Status | None, str]] = {
    "an image": ("wavespeed", "kling-image-o1", WAVESPEED, Status.SUCCEEDED, "https://x.test/1.png"),
    "a refused image": (
        "wavespeed",
        "kling-image-o1",
        {**WAVESPEED, "status": "failed", "outputs": [], "code": 1200, "error": "no"},
        Status.FAILED,
        "",
    ),
    "a video at Kling": (
        "kling",
        "kling-o1-std",
        {**KLING, "outputs": [{"type": "video", "url": "https://x.test/1.mp4"}]},
        Status.SUCCEEDED,
        "https://x.test/1.mp4",
    ),
    "a failure at Kling": ("kling", "kling-o1-std", {**KLING, "status": "failed", "message": "no"}, Status.FAILED, ""),
    "an image at Kling": (
        "kling",
        "kling-image-o1",
        {**LEGACY, "task_result": {"images": [{"index": 0, "url": "https://x.test/1.png"}]}},
        Status.SUCCEEDED,
        "https://x.test/1.png",
    ),
    "a video at Replicate": ("replicate", "kling-o1-std", REPLICATE, Status.SUCCEEDED, "https://x.test/1.mp4"),
    "a video at fal": (
        "fal",
        "fal-ai/kling-video/o3/standard",
        {**FAL, "payload": {"video": {"url": "https://x.test/1.mp4"}}},
        Status.SUCCEEDED,
        "https://x.test/1.mp4",
    ),
    "an error at fal": (
        "fal",
        "fal-ai/kling-video/o3/standard",
        {**FAL, "status": "ERROR", "error": "Invalid status code: 422", "payload": {"detail": []}},
        None,
        "",
    ),
    "no payload at fal": (
        "fal",
        "fal-ai/kling-video/o3/standard",
        {**FAL, "payload": None, "payload_error": "not JSON"},
        None,
        "",
    ),
    "a video at Atlas Cloud": (
        "atlascloud",
        "kling-v3.0-std",
        {
            "session_id": "a-1",
            "event_type": "video.task.terminal",
            "status": "OK",
            "payload": {
                "model": "kwaivgi/kling-v3.0-std/text-to-video",
                "status": "completed",
                "outputs": ["https://x.test/1"],
            },
        },
        None,
        "",
    ),
    "a video at OpenRouter": (
        "openrouter",
        "kwaivgi/kling-v3.0-std",
        {"type": "video.generation.completed", "created_at": "2026-11-20T09:12:48.239Z", "data": OPENROUTER},
        None,
        "",
    ),
}


def parsed(name: str, body: Mapping[str, object], *, sign: bool = True) -> WebhookEvent:
    """Parse a body that its provider has signed, or has not."""
    provider, data = PROVIDERS[name], json.dumps(body).encode()
    kind = provider.capabilities.webhook_signature.value or ""
    secrets = secrets_of(kind) if sign else ()
    return provider.parse_webhook(signed(kind, data) if sign else {}, data, secrets=secrets, now=NOW)


@pytest.mark.parametrize("name", BODIES)
def test_a_signed_delivery_is_what_a_poll_would_bring(name: str) -> None:
    """A signed body becomes the replies of polls, unless a poll tells more; its addresses are not followed."""
    provider_name, model, body, status, url = BODIES[name]
    provider, event = PROVIDERS[provider_name], parsed(provider_name, body)
    data: Any = body.get("data", body)
    assert event.id == next(data[name] for name in ("id", "task_id", "request_id", "session_id") if name in data)
    assert (True, True) == (event.signed, event.ended)
    if status is None:
        assert () == event.replies
        return
    known = Prediction(provider=provider_name, model=model, id=event.id, status=Status.RUNNING, native_status="x")
    first, *more = event.replies
    seen = provider.parse_poll(first, prediction=known) if not more else None
    for result in more:
        seen = provider.parse_result(result, prediction=known, polled=first)
    assert seen is not None
    assert (status, [url] if url else []) == (seen.status, [output.url for output in seen.outputs])
    assert (known.id, known.model) == (seen.id, seen.model)


@pytest.mark.parametrize("name", BODIES)
def test_an_unsigned_delivery_proves_nothing(name: str) -> None:
    """Without a secret the id is read, and nothing that could be taken as a result."""
    provider_name, _, body, _, _ = BODIES[name]
    event = parsed(provider_name, body, sign=False)
    assert (False, "", ()) == (event.signed, event.delivery, event.replies)


@pytest.mark.parametrize("word", ["submitted", "processing"])
def test_a_delivery_about_progress_is_known_as_such(word: str) -> None:
    """Kling calls at each change of the status; only the end matters, and a word that is unknown may be one."""
    assert not parsed("kling", {**KLING, "status": word}).ended
    assert parsed("kling", {**KLING, "status": "brand_new"}).ended


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"id": ""}', b'{"id": "../etc"}', b"\xff", b"[" * 99_999]
)
@pytest.mark.parametrize("name", [*PROVIDERS])
def test_a_body_that_names_no_prediction_is_refused(name: str, body: bytes) -> None:
    """What is no JSON, or has no usable id, is refused with 400, and nothing else is raised."""
    with pytest.raises(InvalidWebhook) as caught:
        PROVIDERS[name].parse_webhook({}, body, secrets=(), now=NOW)
    assert 400 == caught.value.status


@given(st.binary(max_size=80), st.dictionaries(st.sampled_from(["webhook-id", "webhook-signature"]), st.text()))
def test_no_delivery_raises_anything_else(body: bytes, headers: dict[str, str]) -> None:
    """Whatever is sent, it is parsed or refused."""
    for provider in PROVIDERS.values():
        for secrets in ((), (SECRET,)):
            with suppress(InvalidWebhook):
                assert provider.parse_webhook(headers, body, secrets=secrets, now=NOW).id


def test_the_keys_of_a_jwks_are_read() -> None:
    """Ed25519 keys are taken with padding and without; keys of other kinds, and what is no key, are left out."""
    keys = [{"kty": "OKP", "crv": "Ed25519", "x": PUBLIC}, {"kty": "RSA", "n": "1"}, {"crv": "Ed25519", "x": 1}, 7]
    reply = HttpResponse(status=200, body=json.dumps({"keys": keys}).encode())
    [found] = PROVIDERS["fal"].parse_webhook_keys(reply)
    for key in (found, found.rstrip("=")):
        event = PROVIDERS["fal"].parse_webhook(
            signed("ed25519", b'{"request_id":"f-1"}'), b'{"request_id":"f-1"}', secrets=[key], now=NOW
        )
        assert "f-1" == event.id
    assert () == PROVIDERS["fal"].parse_webhook_keys(evolve(reply, body=b"{}"))
