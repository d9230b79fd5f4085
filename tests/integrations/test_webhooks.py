"""The ASGI application for webhooks: mounted where apps are, called over sockets, by a sandbox and by strangers."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from kling_async import Client, ImageInput, Limits, VideoInput, WebhookReceiver
from kling_async.integrations.webhooks import app
from kling_async.providers import PROVIDERS
from kling_async.testing import Fixed, Sandbox, SandboxServer
from kling_async.types.inputs import Input

pytestmark = pytest.mark.anyio

INPUTS: Mapping[str, Input] = {
    "wavespeed": ImageInput("a cat"),
    "fal": ImageInput("a cat"),
    "replicate": VideoInput("a cat"),
    "openrouter": VideoInput("a cat"),
    "kling": VideoInput("a cat"),
    "apiinone": VideoInput("a cat"),
    "atlascloud": VideoInput("a cat"),
}


@pytest.fixture
def anyio_backend() -> str:
    """Uvicorn, which serves here, is for asyncio."""
    return "asyncio"


def in_starlette(receiver: WebhookReceiver) -> Any:
    return Starlette(routes=[Mount("/hooks", app(receiver))])


def in_fastapi(receiver: WebhookReceiver) -> Any:
    api = FastAPI()
    api.mount("/hooks", app(receiver))
    return api


def alone(receiver: WebhookReceiver) -> Any:
    return app(receiver)


@asynccontextmanager
async def serving(web: Any, port: socket.socket) -> AsyncIterator[None]:
    """Serve an app in this event loop."""
    config = uvicorn.Config(web, log_config=None, lifespan="off", access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: server.serve(sockets=[port]))
        while not server.started:
            await anyio.sleep(0.005)
        try:
            yield
        finally:
            server.should_exit = True


def client_of(server: SandboxServer) -> Client:
    return Client(
        "kling",
        api_keys={name: server.sandbox.key_for(name) for name in PROVIDERS},
        base_urls=dict.fromkeys(PROVIDERS, server.url),
        limits=dict.fromkeys(PROVIDERS, Limits()),
    )


@asynccontextmanager
async def hooked(
    mount: Callable[[WebhookReceiver], Any] = alone, **settings: Any
) -> AsyncIterator[tuple[Client, Sandbox, str]]:
    """Open a client, serve its receiver, and have a sandbox call it; give the URL that is called."""
    sandbox = Sandbox(image_latency=Fixed(1.0), video_latency=Fixed(1.0), strict=True, **settings)
    with SandboxServer(sandbox) as server, socket.create_server(("127.0.0.1", 0)) as port:
        url = f"http://127.0.0.1:{port.getsockname()[1]}/hooks"
        secrets = {name: sandbox.webhook_secret(name) for name in PROVIDERS if PROVIDERS[name].webhook_env}
        async with client_of(server) as client:
            receiver = client.webhooks(url, secrets=secrets)
            async with serving(mount(receiver), port):
                yield client, sandbox, url


@pytest.mark.parametrize("mount", [in_starlette, in_fastapi, alone])
async def test_a_receiver_is_mounted(mount: Callable[[WebhookReceiver], Any]) -> None:
    """Mounted in Starlette or FastAPI, or by itself, it takes what each provider sends over a real connection."""
    async with hooked(mount) as (client, sandbox, _):
        async with anyio.create_task_group() as tasks:
            for provider, input in INPUTS.items():
                tasks.start_soon(lambda input, name: client.generate(input, provider=name), input, provider)
        with anyio.fail_after(10.0):
            while sandbox.count("webhook") < len(INPUTS) + 1:  # Kling calls when it begins, too
                await anyio.sleep(0.02)
        sent = [one for one in sandbox.log if one.kind == "webhook"]
    assert {(provider, 200) for provider in INPUTS} == {(one.provider, one.status) for one in sent}
    assert {f"/hooks/{provider}" for provider in INPUTS} == {one.path for one in sent}
    assert len(INPUTS) == sandbox.billed()


async def test_what_a_stranger_sends_is_answered_and_ignored() -> None:
    """Other methods, unknown names, forgeries and long bodies get a status and no body."""
    async with hooked(in_starlette) as (_, sandbox, url), httpx.AsyncClient() as http:
        for path, body, status in (
            ("/kling", b"{}", 401),
            ("/apiinone", b"no JSON", 400),
            ("/apiinone/", b'{"task_id": "t-1", "status": "completed"}', 200),
            ("/nobody", b"{}", 404),
            ("/", b"{}", 404),
            ("/kling", b" " * (4 * 1024 * 1024 + 1), 413),
        ):
            answer = await http.post(url + path, content=body)
            assert (status, b"") == (answer.status_code, answer.content), path
        assert (405, "POST") == ((answer := await http.get(f"{url}/kling")).status_code, answer.headers["allow"])
        assert 0 == sandbox.polls


async def test_no_more_of_a_body_is_read_than_is_taken() -> None:
    """A body without a length is read to the limit and not further; one that announces too much is not read at all."""
    read = list[int]()

    async def receive() -> dict[str, Any]:
        read.append(1)
        return {"type": "http.request", "body": b" " * 1024 * 1024, "more_body": True}

    async def answer_to(headers: list[tuple[bytes, bytes]], receiving: Any = receive) -> int:
        sent = list[Any]()

        async def send(message: Any) -> None:
            sent.append(message)

        read.clear()
        serve = app(Client("kling", api_key="sk-1234").webhooks("https://my.app/hooks"))
        await serve({"type": "http", "method": "POST", "path": "/kling", "headers": headers}, receiving, send)
        status: int = sent[0]["status"]
        return status

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    assert (413, 5) == (await answer_to([]), len(read))
    assert (413, 0) == (await answer_to([(b"content-length", b"9" * 30)]), len(read))
    assert 400 == await answer_to([], gone)
    with pytest.raises(NotImplementedError):
        await app(Client("kling", api_key="sk-1234").webhooks("https://a.b/c"))({"type": "lifespan"}, receive, gone)


FAULTS = ("webhook_lost", "webhook_late:1", "webhook_doubled", "webhook_forged", "webhook_reordered")


async def test_faults_on_the_wire_change_nothing_but_time() -> None:
    """Over real connections, too, each job has its one result and one charge, whatever becomes of its webhook."""
    async with hooked() as (client, sandbox, _):
        jobs = [ImageInput(f"cat {number} [[{fault}]]") for number in range(2) for fault in FAULTS]
        outcomes = await client.map(jobs, provider="wavespeed")
        with anyio.fail_after(10.0):
            while len([one for one in sandbox.log if one.fault == "webhook_late"]) < 2:
                await anyio.sleep(0.02)
        statuses = {one.fault: one.status for one in sandbox.log if one.kind == "webhook" and one.status == 401}
    assert all(outcome.ok for outcome in outcomes)
    assert (10, 10) == (sandbox.submits, sandbox.billed())
    assert {"webhook_forged": 401} == statuses
