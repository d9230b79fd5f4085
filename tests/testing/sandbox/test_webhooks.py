"""The webhooks that the sandbox sends: as documented, signed, tried again, and with what can happen on the way."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anyio
import httpx
import pytest
from attrs import define, field
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks import Webhook

from kling_async.testing import FAULTS, FaultStage, Fixed, Sandbox, SandboxApp, SandboxServer, VirtualClock
from kling_async.testing.sandbox.sender import post_over_http, send_webhooks

from ...ports import free_port

pytestmark = pytest.mark.anyio

HOOK = "http://127.0.0.1:1/hook"
# Paths, queries and bodies from the pages of the providers.
SUBMISSIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "wavespeed": (f"/api/v3/kwaivgi/kling-image-o1?webhook={HOOK}", {"prompt": "a cat"}),
    "fal": (f"/fal-ai/kling-image/o3/text-to-image?fal_webhook={HOOK}", {"prompt": "a cat"}),
    "replicate": (
        "/v1/models/kwaivgi/kling-o1/predictions",
        {"input": {"prompt": "a cat"}, "webhook": HOOK, "webhook_events_filter": ["completed"]},
    ),
    "openrouter": (
        "/api/v1/videos",
        {"model": "kwaivgi/kling-v3.0-std", "prompt": "a cat", "callback_url": HOOK},
    ),
    "kling": (
        "/text-to-video/kling-3.0",
        {"prompt": "a cat", "settings": {"duration": 5}, "options": {"callback_url": HOOK}},
    ),
    "apiinone": ("/api/v1/videos/generations", {"model": "kling-3", "prompt": "a cat", "callback_url": HOOK}),
    "atlascloud": (
        "/api/v1/model/generateVideo",
        {"model": "kwaivgi/kling-v3.0-std/text-to-video", "prompt": "a cat", "webhook_url": HOOK},
    ),
}
TRIES = {"wavespeed": 4, "fal": 11, "replicate": 5, "openrouter": 1, "kling": 1, "apiinone": 1, "atlascloud": 1}
every_provider = pytest.mark.parametrize("provider", SUBMISSIONS)


@define
class Received:
    """What was posted, and when; each is answered with the next status."""

    sandbox: Sandbox
    clock: VirtualClock
    http: httpx.AsyncClient
    statuses: list[int] = field(factory=list[int])
    posts: list[tuple[float, dict[str, str], bytes]] = field(factory=list[tuple[float, dict[str, str], bytes]])

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        assert HOOK == url
        self.posts.append((self.clock.now(), dict(headers), body))
        return self.statuses.pop(0) if self.statuses else 200

    async def submit(self, provider: str, *, fault: str = "") -> None:
        path, body = SUBMISSIONS[provider]
        body = json.loads(json.dumps(body).replace("a cat", f"a cat [[{fault}]]" if fault else "a cat"))
        scheme = "Key" if provider == "fal" else "Bearer"
        head = {"authorization": f"{scheme} {self.sandbox.key_for(provider)}"}
        answer = await self.http.post(path, json=body, headers=head)
        assert answer.is_success, answer.text

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.posts]


@asynccontextmanager
async def receiving(**settings: Any) -> AsyncIterator[Received]:
    sandbox = Sandbox(image_latency=Fixed(30.0), video_latency=Fixed(30.0), strict=True, **settings)
    async with VirtualClock() as clock:
        transport = httpx.ASGITransport(SandboxApp(sandbox, clock))
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://sandbox") as http,
            anyio.create_task_group() as tasks,
        ):
            received = Received(sandbox, clock, http)

            async def sending() -> None:
                await send_webhooks(sandbox, clock=clock, post=received.post)

            tasks.start_soon(sending)
            yield received
            tasks.cancel_scope.cancel()


def check(received: Received, provider: str, headers: dict[str, str], body: bytes) -> bool:
    """Return whether a signature is right, as the pages say it, or the library of Standard Webhooks."""
    secret = received.sandbox.webhook_secret(provider)
    match provider:
        case "kling" | "replicate":
            id, time, given = (headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
            return given == Webhook(secret).sign(id, datetime.fromtimestamp(int(time), UTC), body.decode())
        case "wavespeed":
            signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
            return headers["webhook-signature"] == "v3," + hmac.new(secret[6:].encode(), signed, "sha256").hexdigest()
        case "openrouter":
            time, _, mac = headers["x-openrouter-signature"].removeprefix("t=").partition(",v1=")
            return mac == hmac.new(secret.encode(), f"{time},".encode() + body, "sha256").hexdigest()
    return not any("signature" in name for name in headers)


@every_provider
async def test_the_end_is_sent_and_signed_as_documented(provider: str) -> None:
    """At the end a webhook comes whose body has the id and the end, and whose signature is the documented one."""
    async with receiving() as received:
        await received.submit(provider)
        await received.clock.sleep(100.0)
        at, headers, body = received.posts[-1]
        assert 30.0 == at
        assert (2 if provider == "kling" else 1) == len(received.posts)
        document = received.bodies[-1]
        record = document.get("data", document)
        [id] = received.sandbox.tasks
        assert id in [record.get(name) for name in ("id", "request_id", "task_id", "session_id")]
        assert "application/json" == headers["content-type"]
        if provider == "atlascloud":
            keys = (await received.http.get("/api/v1/webhooks/jwks.json")).json()["keys"]
            given = headers["x-atlascloud-webhook-signature-ed25519"]
            signed = f"{headers['x-atlascloud-webhook-timestamp']}.".encode() + body
            public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(keys[0]["x"]))
            public.verify(base64.urlsafe_b64decode(given + "=="), signed)
            return
        if provider != "fal":
            assert check(received, provider, headers, body)
            return
        keys = (await received.http.get("/.well-known/jwks.json")).json()["keys"]
        names = [headers[f"x-fal-webhook-{name}"] for name in ("request-id", "user-id", "timestamp")]
        message = "\n".join([*names, hashlib.sha256(body).hexdigest()]).encode()
        public = Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(keys[0]["x"]))
        public.verify(bytes.fromhex(headers["x-fal-webhook-signature"]), message)
        assert ("OK", id) == (document["status"], headers["x-fal-webhook-request-id"])


@every_provider
async def test_it_is_tried_again_as_documented_and_no_further(provider: str) -> None:
    """A webhook that is not taken comes again, the same delivery each time, as often as is documented."""
    async with receiving() as received:
        await received.submit(provider)
        first = 1 if provider == "kling" else 0
        received.statuses = [200] * first + [500] * 50
        await received.clock.sleep(20_000.0)
        posts = received.posts[first:]
        assert TRIES[provider] == len(posts)
        assert 1 == len({body for _, _, body in posts})
        assert len({at for at, _, _ in posts}) == len(posts)
        times = {headers.get("webhook-timestamp") or headers.get("x-fal-webhook-timestamp") for _, headers, _ in posts}
        assert len(times) == (len(posts) if provider in ("wavespeed", "fal", "replicate") else 1)


async def test_it_is_not_tried_again_once_it_is_taken() -> None:
    """The first answer with 2xx is the end of it."""
    async with receiving() as received:
        received.statuses = [500, 204]
        await received.submit("fal")
        await received.clock.sleep(20_000.0)
        assert 2 == len(received.posts)
        assert [500, 204] == [one.status for one in received.sandbox.log if one.kind == "webhook"]


FAULTY: dict[str, tuple[int, float]] = {
    "webhook_lost": (0, 0.0),
    "webhook_late": (1, 90.0),
    "webhook_late:7": (1, 37.0),
    "webhook_doubled": (2, 30.0),
    "webhook_forged": (2, 30.0),
    "webhook_reordered": (2, 30.5),
}


def test_every_fault_of_a_webhook_is_tested_here() -> None:
    """A new fault needs a line in the table above."""
    of_webhooks = {name for name, note in FAULTS.items() if note.stage is FaultStage.WEBHOOK}
    assert of_webhooks == {name.partition(":")[0] for name in FAULTY}


@pytest.mark.parametrize("how", ["marker", "script"])
@pytest.mark.parametrize("fault", FAULTY)
async def test_a_fault_strikes_the_webhook_alone(fault: str, how: str) -> None:
    """A webhook is lost, late, doubled, forged or overtaken, and the task is charged and ends as without it."""
    number, last = FAULTY[fault]
    async with receiving() as received:
        received.sandbox.script_webhooks([fault.removeprefix("webhook_")] if how == "script" else [])
        await received.submit("wavespeed", fault=fault if how == "marker" else "")
        await received.clock.sleep(200.0)
        assert number == len(received.posts)
        assert not received.posts or last == received.posts[-1][0]
        right = [check(received, "wavespeed", headers, body) for _, headers, body in received.posts]
        words = [body["status"] for body in received.bodies]
    if fault == "webhook_forged":
        assert ([False, True], ["failed", "completed"]) == (right, words)
    elif fault == "webhook_reordered":
        assert ([True, True], ["completed", "processing"]) == (right, words)
    else:
        assert all(right)
    assert (1, 1) == (received.sandbox.submits, received.sandbox.billed())


async def test_a_failure_is_told_too() -> None:
    """A task that fails calls back with the reason; one that is submitted without a URL never does."""
    async with receiving() as received:
        await received.submit("fal", fault="failed:out of ink")
        head = {"authorization": f"Key {received.sandbox.key_for('fal')}"}
        await received.http.post("/fal-ai/kling-image/o3/text-to-image", json={"prompt": "a dog"}, headers=head)
        await received.clock.sleep(100.0)
        [body] = received.bodies
    assert ("ERROR", "Invalid status code: 422") == (body["status"], body["error"])
    assert "out of ink" in json.dumps(body["payload"])


# Over sockets.


@pytest.fixture
def listener() -> Any:
    """Serve a port that keeps what is posted there."""
    posted = list[tuple[str, bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", posted
        server.shutdown()


def test_a_server_sends_from_a_thread_of_its_own(listener: Any) -> None:
    """The server posts over a real connection, whatever the program that uses it is doing."""
    url, posted = listener
    with SandboxServer(Sandbox(image_latency=Fixed(0.05))) as server:
        head = {"authorization": f"Bearer {server.sandbox.key_for('wavespeed')}"}
        path = f"{server.url}/api/v3/kwaivgi/kling-image-o1?webhook={url}/hooks/wavespeed"
        assert httpx.post(path, json={"prompt": "a cat"}, headers=head).is_success
        for _ in range(500):
            if posted:
                break
            threading.Event().wait(0.02)
    [(path, body)] = posted
    assert ("/hooks/wavespeed", "completed") == (path, json.loads(body)["status"])


@pytest.mark.parametrize(
    "url", ["http://example.com/hook", "https://127.0.0.1/hook", "http://10.0.0.1/", "ftp://x", ""]
)
def test_nothing_is_sent_to_another_machine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that leads elsewhere, or is no http, is not called: no name is looked up, and no connection is made."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a connection was made")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    assert anyio.run(post_over_http, url, {}, b"{}") is None


def test_an_answer_that_is_none_is_none() -> None:
    """A port where nothing listens is no answer, and no error."""
    assert anyio.run(post_over_http, f"http://127.0.0.1:{free_port()}/", {}, b"{}") is None
