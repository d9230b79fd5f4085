"""The vendors' own client libraries against the sandbox, unmodified but for the address: they judge whether it is true.

Each generates once and fails once. A library that is not installed is skipped; the session `clients` installs them all.
"""

from __future__ import annotations

import gc
import json
import threading
import time
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.testing.sandbox.media import draw_png

FAILING = "a dog [[failed:no luck]]"


@pytest.fixture(autouse=True)
def leftovers() -> Iterator[None]:
    """Close what a library has left to the garbage collector, without the warning that is a failure here."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a sandbox whose generations take a moment."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.2), video_latency=Fixed(0.2))) as started:
        yield started


def assert_paid_once(server: SandboxServer, provider: str, prompts: tuple[str, ...]) -> None:
    """Hold that each prompt was charged once at that provider, and nothing else was."""
    assert [(provider, prompt) for prompt in prompts] == [
        (charge.provider, charge.prompt) for charge in server.sandbox.entries
    ]


def test_wavespeed(server: SandboxServer) -> None:
    """WaveSpeedAI's library generates, and raises what the task failed with."""
    wavespeed: Any = pytest.importorskip("wavespeed")
    client = wavespeed.Client(api_key=server.sandbox.key_for("wavespeed"), base_url=server.url, max_retries=0)
    model = "kwaivgi/kling-v3.0-std/text-to-video"
    done = client.run(model, {"prompt": "a dog", "duration": 5}, poll_interval=0.1)
    assert [True] == [url.startswith(f"{server.url}/files/") for url in done["outputs"]]
    with pytest.raises(RuntimeError, match="no luck"):
        client.run(model, {"prompt": FAILING, "duration": 5}, poll_interval=0.1)
    assert_paid_once(server, "wavespeed", ("a dog", FAILING))


def test_fal(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of fal submits to its queue, and follows the addresses in the reply; its own host is a constant."""
    fal: Any = pytest.importorskip("fal_client.client")
    monkeypatch.setattr(fal, "QUEUE_URL_FORMAT", f"{server.url}/")
    client = fal.SyncClient(key=server.sandbox.key_for("fal"))
    endpoint = "fal-ai/kling-video/v3/standard/text-to-video"
    done = client.subscribe(endpoint, arguments={"prompt": "a dog", "duration": "5"})
    assert done["video"]["url"].startswith(f"{server.url}/files/")
    with pytest.raises(Exception, match="no luck"):
        client.subscribe(endpoint, arguments={"prompt": FAILING, "duration": "5"})
    assert_paid_once(server, "fal", ("a dog", FAILING))


def test_replicate(server: SandboxServer) -> None:
    """Replicate's library runs an official model, and raises the model's error."""
    replicate: Any = pytest.importorskip("replicate")
    client = replicate.Client(api_token=server.sandbox.key_for("replicate"), base_url=server.url)
    client.poll_interval = 0.1
    done = client.run("kwaivgi/kling-v3-video", input={"prompt": "a dog", "duration": 5})
    assert str(done).startswith(f"{server.url}/files/")
    with pytest.raises(replicate.exceptions.ModelError, match="no luck"):
        client.run("kwaivgi/kling-v3-video", input={"prompt": FAILING, "duration": 5})
    client._client.close()
    assert_paid_once(server, "replicate", ("a dog", FAILING))


@pytest.fixture
def calls() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Serve a URL that keeps the headers and the body of each call."""
    received = list[tuple[dict[str, str], bytes]]()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            received.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}/hook", received
        http.shutdown()


def first_of(received: list[tuple[dict[str, str], bytes]]) -> tuple[dict[str, str], bytes]:
    """Wait for the first call."""
    for _ in range(500):
        if received:
            break
        time.sleep(0.02)
    return received[0]


def test_webhooks_of_replicate(server: SandboxServer, calls: tuple[str, Any]) -> None:
    """Replicate's library asks for a webhook, and accepts its signature, unless a byte of it is another one."""
    replicate: Any = pytest.importorskip("replicate")
    webhook: Any = pytest.importorskip("replicate.webhook")
    url, received = calls
    client = replicate.Client(api_token=server.sandbox.key_for("replicate"), base_url=server.url)
    asked = {"webhook": url, "webhook_events_filter": ["completed"]}
    model = "kwaivgi/kling-v3-video"
    client.models.predictions.create(model=model, input={"prompt": "a dog", "duration": 5}, **asked)
    client._client.close()
    headers, body = first_of(received)
    secret = webhook.WebhookSigningSecret(key=server.sandbox.webhook_secret("replicate"))
    client.webhooks.validate(headers=headers, body=body.decode(), secret=secret, tolerance=300)
    with pytest.raises(webhook.InvalidSignatureError):
        client.webhooks.validate(headers=headers, body=body.decode() + " ", secret=secret, tolerance=300)


def test_webhooks_of_fal(server: SandboxServer, calls: tuple[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The library of fal asks for a webhook where the sandbox reads it, and gets one about its own request."""
    fal: Any = pytest.importorskip("fal_client.client")
    monkeypatch.setattr(fal, "QUEUE_URL_FORMAT", f"{server.url}/")
    url, received = calls
    endpoint = "fal-ai/kling-video/v3/standard/text-to-video"
    client = fal.SyncClient(key=server.sandbox.key_for("fal"))
    handle = client.submit(endpoint, arguments={"prompt": "a dog", "duration": "5"}, webhook_url=url)
    client._client.close()
    body = json.loads(first_of(received)[1])
    assert (handle.request_id, "OK") == (body["request_id"], body["status"])
    assert body["payload"]["video"]["url"].startswith(f"{server.url}/files/")


def test_openrouter(server: SandboxServer) -> None:
    """OpenRouter's typed library reads every reply by its own schema, from the acceptance to the end."""
    openrouter: Any = pytest.importorskip("openrouter")
    key = server.sandbox.key_for("openrouter")
    with openrouter.OpenRouter(api_key=key, server_url=f"{server.url}/api/v1") as client:
        for prompt, expected in (("a dog", "completed"), (FAILING, "failed")):
            job = client.video_generation.generate(model="kwaivgi/kling-v3.0-std", prompt=prompt, duration=5)
            while job.status in ("pending", "in_progress"):
                job = client.video_generation.get_generation(job_id=job.id)
            assert expected == job.status
    assert_paid_once(server, "openrouter", ("a dog", FAILING))


def test_comfy(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Comfy's library submits to the queue and collects there, by its own key and by one that is repeated."""
    comfy: Any = pytest.importorskip("comfy_sdk")
    errors: Any = pytest.importorskip("comfy_sdk.router_exceptions")
    # A model is run at the second address; the first is for workflows.
    monkeypatch.setenv("COMFY_ROUTER_BASE_URL", server.url)
    model, body = "kling/kling-video-o1", {"duration": "5", "mode": "std"}
    with comfy.Comfy(api_key=server.sandbox.key_for("comfy")) as client:
        done = client.models.subscribe(model, {"prompt": "a dog", **body}, timeout=60)
        [video] = done["data"]["task_result"]["videos"]
        assert video["url"].startswith(f"{server.url}/files/")
        failed = client.models.submit(model, {"prompt": FAILING, **body}, idempotency_key="k-1")
        with pytest.raises(errors.ProviderError, match="provider_error"):
            failed.get(timeout=60)
        again = client.models.submit(model, {"prompt": FAILING, **body}, idempotency_key="k-1")
        assert failed.request_id == again.request_id
        with pytest.raises(errors.InvalidInput, match="different request"):
            client.models.submit(model, {"prompt": "a cat", **body}, idempotency_key="k-1")
        assert model in str(client.models.schema(model).document)
        # The sandbox has the queue alone: the call that holds a connection until the end is not emulated.
        with pytest.raises(comfy.ComfyError) as caught:
            client.models.run(model, {"prompt": "a dog", **body})
        assert 404 == caught.value.http_status
    assert_paid_once(server, "comfy", ("a dog", FAILING))


PNG = draw_png("a cat", width=320, height=300)


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Write a picture."""
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    return path


def assert_uploaded(server: SandboxServer, address: str) -> None:
    """Hold that the content is under an address that a submission may name."""
    assert address.startswith(server.url)
    [stored] = server.sandbox.uploads.contents.values()
    assert (PNG, "image/png") == (stored.content, stored.mime)
    assert address.rpartition("/")[2] in server.sandbox.uploads.contents


def test_wavespeed_uploads(server: SandboxServer, picture: Path) -> None:
    """WaveSpeedAI's library gets a ticket, puts a file where it says, and generates from its address."""
    wavespeed: Any = pytest.importorskip("wavespeed")
    client = wavespeed.Client(api_key=server.sandbox.key_for("wavespeed"), base_url=server.url, max_retries=0)
    address = client.upload(str(picture))
    assert_uploaded(server, address)
    model = "kwaivgi/kling-v3.0-std/image-to-video"
    client.run(model, {"prompt": "a dog", "image": address, "duration": 5}, poll_interval=0.1)
    assert_paid_once(server, "wavespeed", ("a dog",))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # their client is never closed
@pytest.mark.parametrize("repository", ["fal_v3", "fal"])
def test_fal_uploads(server: SandboxServer, picture: Path, monkeypatch: pytest.MonkeyPatch, repository: str) -> None:
    """The library of fal uploads to either of its stores, and submits the address; its own hosts are constants."""
    fal: Any = pytest.importorskip("fal_client.client")
    monkeypatch.setattr(fal, "QUEUE_URL_FORMAT", f"{server.url}/")
    monkeypatch.setattr(fal, "REST_URL", server.url)
    monkeypatch.setattr(fal, "CDN_URL", server.url)
    client = fal.SyncClient(key=server.sandbox.key_for("fal"))
    address = client.upload_file(picture, repository=repository, fallback_repository=[])
    assert_uploaded(server, address)
    endpoint = "fal-ai/kling-video/v3/standard/image-to-video"
    client.subscribe(endpoint, arguments={"prompt": "a dog", "start_image_url": address, "duration": "5"})
    assert_paid_once(server, "fal", ("a dog",))


def test_replicate_uploads(server: SandboxServer, picture: Path) -> None:
    """Replicate's library uploads a file that is given as an input, and submits the address."""
    replicate: Any = pytest.importorskip("replicate")
    client = replicate.Client(api_token=server.sandbox.key_for("replicate"), base_url=server.url)
    client.poll_interval = 0.1
    assert_uploaded(server, client.files.create(picture).urls["get"])
    with picture.open("rb") as file:
        client.run("kwaivgi/kling-v3-video", input={"prompt": "a dog", "start_image": file, "duration": 5})
    assert_paid_once(server, "replicate", ("a dog",))
