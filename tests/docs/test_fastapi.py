"""The web app of the docs, run as a server runs it, against a sandbox."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import starlette.requests

from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import FOR_EVER, finish, load_from_docs

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a quick sandbox."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.3))) as serving:
        yield serving


@pytest.fixture
def web(server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the app as a new process would, pointed at the sandbox."""
    monkeypatch.setenv("GPTPROTO_BASE_URL", server.url)
    monkeypatch.setenv("GPTPROTO_API_KEY", server.sandbox.key)
    return load_from_docs("examples/fastapi_app.py")


def running(web: ModuleType) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Start the app, give somebody who talks to it, and stop it again."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(web.app)
        async with (
            web.app.router.lifespan_context(web.app),
            httpx.AsyncClient(transport=transport, base_url="http://app") as http,
        ):
            yield http

    return opening()


async def post(http: httpx.AsyncClient, prompt: str, **more: Any) -> dict[str, Any]:
    """Start a job that the app accepts."""
    answer = await http.post("/jobs", json={"prompt": prompt, **more})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def told(http: httpx.AsyncClient, key: str) -> list[dict[str, Any]]:
    """Listen to a job until it is over."""
    answer = await http.get(f"/jobs/{key}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line]


async def test_a_job_is_begun_and_followed_to_its_end(web: ModuleType, server: SandboxServer) -> None:
    """POST gives the key at once; the events end with the outputs, and GET says the same."""
    async with running(web) as http:
        begun = await post(http, "a fox")
        assert begun["status"] == "waiting"
        heard = await told(http, begun["key"])
        assert heard[0]["status"] in {"waiting", "queued", "running"}
        assert heard[-1]["status"] == "succeeded"
        assert heard[-1] == (await http.get(f"/jobs/{begun['key']}")).json()
        [output] = heard[-1]["outputs"]
        assert output.startswith(server.url)
    assert server.sandbox.billed("a fox") == 1


@pytest.mark.parametrize(
    ("prompt", "status", "words"),
    [
        ("a fox [[refused]]", "failed", "refused"),
        ("a fox [[failed:out of ink]]", "failed", "out of ink"),
        ("a fox [[lost]]", "unconfirmed", "was lost"),
    ],
)
async def test_a_job_that_goes_wrong_says_why(web: ModuleType, prompt: str, status: str, words: str) -> None:
    """A refusal, a failure and a lost answer end the job with the reason; the last is never called failed."""
    async with running(web) as http:
        last = (await told(http, (await post(http, prompt))["key"]))[-1]
    assert last["status"] == status
    assert words in last["error"].lower()
    assert last["outputs"] == []


async def test_a_wrong_input_is_told_at_once(web: ModuleType, server: SandboxServer) -> None:
    """A wrong input is the answer to POST, and nothing is sent."""
    async with running(web) as http:
        answer = await http.post("/jobs", json={"prompt": "a fox", "n": 40})
        unknown = await http.get("/jobs/nobody")
    assert answer.status_code == 422
    assert "1 to 9" in answer.text
    assert unknown.status_code == 404
    assert server.sandbox.submits == 0


async def test_the_same_key_buys_once(web: ModuleType, server: SandboxServer) -> None:
    """Whoever repeats a POST under a key of its own gets the job that there is; another input is a conflict."""
    async with running(web) as http:
        for _ in range(3):
            await post(http, "a fox", key="fox-1")
        await told(http, "fox-1")
        assert (await post(http, "a fox", key="fox-1"))["status"] == "succeeded"
        assert (await http.post("/jobs", json={"prompt": "an owl", "key": "fox-1"})).status_code == 409
    assert server.sandbox.submits == 1


async def test_nothing_is_lost_when_a_listener_goes_away(web: ModuleType, server: SandboxServer) -> None:
    """A stream that is cut in the middle stops neither the job nor another listener."""
    async with running(web) as http:
        server.sandbox.image_latency = Fixed(FOR_EVER)
        key = (await post(http, "a fox"))["key"]
        with anyio.move_on_after(0.1) as scope:
            await told(http, key)
        assert scope.cancelled_caught
        await anyio.to_thread.run_sync(finish, server.sandbox, 1)
        assert (await told(http, key))[-1]["status"] == "succeeded"
    assert server.sandbox.billed("a fox") == 1


async def test_nothing_is_lost_when_the_answer_cannot_be_delivered(web: ModuleType, server: SandboxServer) -> None:
    """A client that hangs up before it has its answer finds its job under the key it has sent."""
    body = json.dumps({"prompt": "a fox", "key": "fox-1"}).encode()
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/jobs",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def hung_up(message: object) -> None:
        raise OSError("the line is dead")

    async with running(web) as http:
        with pytest.raises((OSError, starlette.requests.ClientDisconnect)):
            await web.app(scope, receive, hung_up)
        assert (await told(http, "fox-1"))[-1]["status"] == "succeeded"
    assert server.sandbox.billed("a fox") == 1


async def test_what_still_runs_at_the_end_is_noted(
    web: ModuleType, server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopping the app does not wait for the provider, and keeps the id of what was accepted."""
    caplog.set_level(logging.WARNING)
    async with running(web) as http:
        key = (await post(http, "a fox [[slow:100]]"))["key"]
        while (await http.get(f"/jobs/{key}")).json()["status"] == "waiting":
            await anyio.sleep(0.02)
    [entry] = server.sandbox.entries
    assert f"key={key} id={entry.id}" in caplog.text
