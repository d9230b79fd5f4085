"""Webhooks as the providers document them: where a submission names a URL, what is sent there, and how it is signed.

WaveSpeedAI sends the record of a poll without its envelope, and signs with HMAC-SHA256 in hexadecimal; it tries again
up to three times. fal sends `{request_id, status, payload}`, signs with Ed25519, and tries ten more times in two hours.
Replicate sends the prediction, signs as Standard Webhooks, and tries again with growing distances. Kling sends the
record at each change of the status, and signs as Standard Webhooks. OpenRouter sends an event with the record, signed
over time and body. Atlas Cloud sends `{session_id, event_type, status, payload}` once, signed with Ed25519. API in One
documents the URL alone: that it sends the record, unsigned, is inferred, as are all distances between tries, and that
those who document none do not try again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import TypeAlias
from urllib.parse import parse_qs

from attrs import evolve, frozen

from ...types.prediction import Json
from .http import Request, Response, parse_json
from .tasks import Phase, Task

__all__ = ["KEYS_PATHS", "Callback", "Report", "jwks", "plan_callbacks", "secret_of", "sign"]

Report: TypeAlias = Callable[[Task, Request, float], Response]
"""Returns the response to a poll of a task, by its request, at a time."""

KEYS_PATHS: Mapping[str, str] = {"/.well-known/jwks.json": "fal", "/api/v1/webhooks/jwks.json": "atlascloud"}
"""Where providers publish the keys that sign their webhooks."""
_LATE_SECONDS = 60.0
_FAL_RETRIES = (15.0, 30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 1200.0, 1800.0, 2400.0)
_RETRIES: Mapping[str, tuple[float, ...]] = {
    "wavespeed": (1.0, 2.0, 4.0),
    "fal": _FAL_RETRIES,
    "replicate": (1.0, 4.0, 16.0, 32.0),
}
"""Seconds between tries."""


@frozen(kw_only=True)
class Callback:
    """One webhook that is to be sent.

    Attributes:
        id: the id of the delivery, the same at each try.
        task_id: the task that it is about.
        url: where it is sent.
        ends: whether it is sent when the task ends; else at `at`.
        after: seconds of the clock after that.
        at: its time in seconds of the clock, if it is not about the end.
        body: returns the body at a time.
        retries: seconds between tries.
        fault: the injected fault, or None.
    """

    provider: str
    id: str
    task_id: str
    url: str
    ends: bool = True
    after: float = 0.0
    at: float = 0.0
    body: Callable[[float], Json]
    retries: tuple[float, ...] = ()
    fault: str | None = None


def plan_callbacks(
    task: Task, request: Request, body: Mapping[str, Json], report: Report, *, fault: tuple[str, str | None] | None
) -> list[Callback]:
    """Return the webhooks that a submission asks for, as a fault changes them."""
    url = _url_in(task.spec.provider, request, body)
    if not url:
        return []

    def render(now: float, *, at: float | None = None) -> Json:
        return _body(task, request, report, now if at is None else at)

    name, arg = fault or (None, None)
    end = Callback(
        provider=task.spec.provider,
        id=f"msg-{task.id}",
        task_id=task.id,
        url=url,
        body=render,
        retries=_RETRIES.get(task.spec.provider, ()),
        fault=name,
    )
    running = evolve(end, id=f"{end.id}-running", ends=False, at=task.started_at, fault=None)
    planned = [running, end] if task.spec.provider == "kling" else [end]
    match name:
        case "webhook_lost":
            planned.remove(end)
        case "webhook_late":
            planned[-1] = evolve(end, after=float(arg or _LATE_SECONDS))
        case "webhook_doubled":
            planned.append(end)
        case "webhook_forged":
            planned.insert(
                0, evolve(end, id=f"{end.id}-forged", ends=False, at=task.at, retries=(), body=_failed(render))
            )
        case "webhook_reordered":
            planned = [end, evolve(running, ends=True, after=0.5, body=partial(render, at=task.at))]
        case _:
            pass
    return planned


def _url_in(provider: str, request: Request, body: Mapping[str, Json]) -> str:
    """Return the URL that a submission names; empty if it names none."""
    name = {"wavespeed": "webhook", "fal": "fal_webhook"}.get(provider)  # in the query
    if name:
        return parse_qs(request.query).get(name, [""])[0]
    options = body.get("options")
    within = options if provider == "kling" and isinstance(options, Mapping) else body
    known = _NAMES.get(provider, "" if provider in _WITHOUT else "callback_url")
    url = within.get(known)
    return url if isinstance(url, str) else ""


_NAMES = {"replicate": "webhook", "atlascloud": "webhook_url"}
_WITHOUT = frozenset({"gptproto", "comfy"})
"""Providers that document no webhook."""


def _failed(render: Callable[[float], Json]) -> Callable[[float], Json]:
    """Return the body that a forger would like to be believed."""

    def forge(now: float) -> Json:
        text = json.dumps(render(now))
        for word in ("processing", "in_progress", "created", "submitted", "starting", "pending", "IN_PROGRESS"):
            text = text.replace(f'"{word}"', '"failed"')
        forged: Json = json.loads(text)
        return forged

    return forge


def _body(task: Task, request: Request, report: Report, now: float) -> Json:
    """Return the body of a webhook about a task, made from the reply to a poll at that time."""
    id, provider = task.id, task.spec.provider
    if provider == "fal":
        return _fal_body(task, request, report, now)
    legacy = request.path if request.path.startswith("/v1/") else ""
    path = {
        "wavespeed": f"/api/v3/predictions/{id}/result",
        "replicate": f"/v1/predictions/{id}",
        "openrouter": f"/api/v1/videos/{id}",
        "apiinone": f"/api/v1/tasks/{id}",
        "atlascloud": f"/api/v1/model/prediction/{id}",
        "kling": f"{legacy}/{id}" if legacy else "/tasks",
    }[provider]
    query = "" if legacy or provider != "kling" else f"task_ids={id}"
    reply = _parsed(report(task, evolve(request, method="GET", path=path, query=query), now))
    if provider == "openrouter":
        return _event(reply, request)
    data = reply.get("data", reply)
    record = data[0] if isinstance(data, list) else data
    if provider == "atlascloud":
        ended = "OK" if task.phase(now) is Phase.COMPLETED else "ERROR"
        return {"session_id": id, "event_type": "video.task.terminal", "status": ended, "payload": record}
    return {**record, "input": {"prompt": task.spec.prompt}} if isinstance(record, Mapping) else record


def _event(record: Mapping[str, Json], request: Request) -> Json:
    hidden = {"polling_url", "urls", "expires_at"}
    data = {name: value for name, value in record.items() if name not in hidden}
    at = f"{request.utc:%Y-%m-%dT%H:%M:%S}.000Z"
    return {"type": f"video.generation.{record.get('status')}", "created_at": at, "data": data}


def _fal_body(task: Task, request: Request, report: Report, now: float) -> Json:
    app = "/".join(task.spec.model.split("/")[:2])
    result = report(task, evolve(request, method="GET", path=f"/{app}/requests/{task.id}", query=""), now)
    done = task.phase(now) is Phase.COMPLETED
    error: dict[str, Json] = {} if done else {"error": f"Invalid status code: {result.status}"}
    ids: dict[str, Json] = {"request_id": task.id, "gateway_request_id": task.id}
    return {**ids, "status": "OK" if done else "ERROR", **error, "payload": _parsed(result)}


def _parsed(response: Response) -> Mapping[str, Json]:
    document = parse_json(response.body)
    return document if isinstance(document, Mapping) else {}


# Signatures.


def secret_of(provider: str, key: str) -> str:
    """Return the secret that signs the webhooks of a provider for an API key of the sandbox."""
    return "whsec_" + base64.b64encode(hashlib.sha256(f"webhooks {provider} {key}".encode()).digest()).decode()


def sign(callback: Callback, body: bytes, *, at: datetime, key: str) -> dict[str, str]:
    """Return the headers that sign a body, sent at a time for an API key; a forged one has another key's."""
    time = str(int(at.timestamp()))
    secret = secret_of(callback.provider, f"{key}, forged" if callback.id.endswith("-forged") else key)
    match callback.provider:
        case "fal":
            return _signed_by_fal(callback.task_id, time, body, secret)
        case "atlascloud":
            signature = _ed25519(secret, f"{time}.".encode() + body)
            given = base64.urlsafe_b64encode(signature).decode().rstrip("=")
            names = {"x-atlascloud-webhook-id": callback.task_id, "x-atlascloud-webhook-timestamp": time}
            return {**names, "x-atlascloud-webhook-signature-ed25519": given} if signature else {}
        case "openrouter":
            mac = _mac(secret.encode(), f"{time},".encode() + body).hex()
            status = str(json.loads(body)["data"]["status"])
            names = {"x-openrouter-idempotency-key": f"{callback.task_id}-{status}"}
            return {**names, "x-openrouter-signature": f"t={time},v1={mac}"}
        case "apiinone":
            return {}
        case _:
            pass
    signed = f"{callback.id}.{time}.".encode() + body
    head = {"webhook-id": callback.id, "webhook-timestamp": time}
    if callback.provider == "wavespeed":
        return {**head, "webhook-signature": f"v3,{_mac(secret.removeprefix('whsec_').encode(), signed).hex()}"}
    mac64 = base64.b64encode(_mac(base64.b64decode(secret.removeprefix("whsec_")), signed)).decode()
    return {**head, "webhook-signature": f"v1,{mac64}"}


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _signed_by_fal(id: str, time: str, body: bytes, secret: str) -> dict[str, str]:
    message = f"{id}\nsandbox-user\n{time}\n{hashlib.sha256(body).hexdigest()}".encode()
    signature = _ed25519(secret, message).hex()
    values = {"request-id": id, "user-id": "sandbox-user", "timestamp": time, "signature": signature}
    return {f"x-fal-webhook-{name}": value for name, value in values.items()} if signature else {}


def _ed25519(secret: str, message: bytes) -> bytes:
    """Return the signature of a message; empty without the library that signs."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  an extra
    except ImportError:
        return b""
    return Ed25519PrivateKey.from_private_bytes(_seed(secret)).sign(message)


def jwks(provider: str, key: str) -> Json:
    """Return the public key of a provider as it publishes it; none without the library that signs."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  an extra
    except ImportError:
        return {"keys": []}
    private = Ed25519PrivateKey.from_private_bytes(_seed(secret_of(provider, key)))
    x = base64.urlsafe_b64encode(private.public_key().public_bytes_raw()).decode()
    return {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": x, "use": "sig", "kid": "sandbox"}]}


def _seed(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
