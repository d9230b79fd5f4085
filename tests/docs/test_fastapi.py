"""The web app of the docs, run as a server runs it, against a sandbox."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import anyio
import anyio.to_thread
import httpx
import pytest
import starlette.requests

from kling_async import Client, Limits
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import FOR_EVER, finish, load_from_docs
from ..ports import free_port
from ..postgres import PostgresServer

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[SandboxServer]:
    """Serve a quick sandbox."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.3))) as serving:
        yield serving


@pytest.fixture
def web(server: SandboxServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """Load the app as a new process would, in a folder of its own, pointed at the sandbox."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPTPROTO_BASE_URL", server.url)
    monkeypatch.setenv("GPTPROTO_API_KEY", server.sandbox.key)
    return load_from_docs("examples/fastapi_app.py")


def running(web: ModuleType) -> AbstractAsyncContextManager[httpx.AsyncClient]:
    """Start the app, yield a client of it, and stop it."""

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
    status: dict[str, Any] = answer.json()
    return status


async def events(http: httpx.AsyncClient, key: str) -> list[dict[str, Any]]:
    """Return the events of a job until it has ended."""
    answer = await http.get(f"/jobs/{key}/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line.startswith("data: ")]


async def test_a_job_is_started_and_followed_to_its_end(web: ModuleType, server: SandboxServer) -> None:
    """POST returns the key at once; the events end with the outputs, and GET returns the same."""
    async with running(web) as http:
        started = await post(http, "a fox")
        assert ("queued", None) == (started["status"], started["error"])
        received = await events(http, started["key"])
        statuses = list(dict.fromkeys(event["status"] for event in received))
        assert statuses == [one for one in ("queued", "submitted", "running", "succeeded") if one in statuses]
        assert {"submitted", "succeeded"} <= set(statuses)
        assert all(event["seconds"] >= 1 for event in received if event["status"] in {"submitted", "running"})
        assert received[-1] == (await http.get(f"/jobs/{started['key']}")).json()
        [output] = received[-1]["outputs"]
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
        last = (await events(http, (await post(http, prompt))["key"]))[-1]
    assert last["status"] == status
    assert words in last["error"].lower()
    assert last["outputs"] == []


async def test_an_invalid_input_is_reported_at_once(web: ModuleType, server: SandboxServer) -> None:
    """An invalid input is the answer to POST, and nothing is sent."""
    async with running(web) as http:
        answer = await http.post("/jobs", json={"prompt": "a fox", "n": 40})
        unknown = await http.get("/jobs/unknown")
    assert answer.status_code == 422
    assert "1 to 9" in answer.text
    assert unknown.status_code == 404
    assert server.sandbox.submits == 0


async def test_the_same_key_pays_once(web: ModuleType, server: SandboxServer) -> None:
    """A repeated POST with the same key gets the existing job; another input is a conflict."""
    async with running(web) as http:
        for _ in range(3):
            await post(http, "a fox", key="fox-1")
        await events(http, "fox-1")
        assert (await post(http, "a fox", key="fox-1"))["status"] == "succeeded"
        assert (await http.post("/jobs", json={"prompt": "an owl", "key": "fox-1"})).status_code == 409
    assert server.sandbox.submits == 1


async def test_nothing_is_lost_when_a_reader_disconnects(web: ModuleType, server: SandboxServer) -> None:
    """A stream that is cut in the middle stops neither the job nor another reader."""
    async with running(web) as http:
        server.sandbox.image_latency = Fixed(FOR_EVER)
        key = (await post(http, "a fox"))["key"]
        with anyio.move_on_after(0.1) as scope:
            await events(http, key)
        assert scope.cancelled_caught
        await anyio.to_thread.run_sync(finish, server.sandbox, 1)
        assert (await events(http, key))[-1]["status"] == "succeeded"
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
        raise OSError("the connection is closed")

    async with running(web) as http:
        with pytest.raises((OSError, starlette.requests.ClientDisconnect)):
            await web.app(scope, receive, hung_up)
        assert (await events(http, "fox-1"))[-1]["status"] == "succeeded"
    assert server.sandbox.billed("a fox") == 1


async def test_a_running_job_is_logged_at_the_end(
    web: ModuleType, server: SandboxServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Stopping the app does not wait for the provider, and logs the id of an accepted job."""
    caplog.set_level(logging.WARNING)
    async with running(web) as http:
        key = (await post(http, "a fox [[slow:100]]"))["key"]
        with anyio.fail_after(20):
            while (await http.get(f"/jobs/{key}")).json()["status"] != "running":
                await anyio.sleep(0.02)
    [entry] = server.sandbox.entries
    assert f"key={key} id={entry.id}" in caplog.text


# Over restarts.

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"


async def test_a_job_is_found_after_a_restart(web: ModuleType, server: SandboxServer) -> None:
    """A job of an earlier process is found by its key, however it ended, and repeating the POST pays nothing."""
    prompts = {"ok": "a fox", "no": "a fox [[refused]]", "bad": "a fox [[failed]]", "lost": "a fox [[lost]]"}
    async with running(web) as http:
        for key, prompt in prompts.items():
            await post(http, prompt, key=key)
            await events(http, key)
        before = {key: (await http.get(f"/jobs/{key}")).json() for key in prompts}
    web.tasks.clear()  # as at the end of a process
    async with running(web) as http:
        for key, prompt in prompts.items():
            assert before[key] | {"error": None} == (await events(http, key))[-1] | {"error": None}
            assert (await post(http, prompt, key=key))["status"] == before[key]["status"]
        assert (await http.post("/jobs", json={"prompt": "an owl", "key": "ok"})).status_code == 409
        assert (await http.get("/jobs/unknown")).status_code == 404
    assert server.sandbox.submits == len(prompts)


@contextmanager
def serving(
    folder: Path, server: SandboxServer, *options: str, **settings: str
) -> Generator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Serve the app as uvicorn does, and kill it, with all of its workers, in the end."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "fastapi_app:app", "--app-dir", str(EXAMPLES), "--port", str(port)]
    settings |= {"GPTPROTO_BASE_URL": server.url, "GPTPROTO_API_KEY": server.sandbox.key}
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env=os.environ | settings,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            yield process, http
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=20)


def wait_for_start(process: subprocess.Popen[str], *, workers: int = 1) -> str:
    """Wait until a server has started with its workers, or has ended, and return its messages."""
    assert process.stderr is not None
    messages = ""
    for line in process.stderr:
        messages += line
        if "Uvicorn running" in messages and messages.count("startup complete") == workers:
            break
    return messages


def answered(http: httpx.Client, key: str, *statuses: str) -> dict[str, Any]:
    """Poll a job until it has one of these statuses."""
    until = time.monotonic() + 20
    while (shown := http.get(f"/jobs/{key}").raise_for_status().json())["status"] not in statuses:
        assert time.monotonic() < until, shown
        time.sleep(0.05)
    found: dict[str, Any] = shown
    return found


def test_a_killed_server_pays_once(tmp_path: Path) -> None:
    """Killed while a job runs and again when it has ended, the app finds it by its key, and never pays it again."""
    body = {"prompt": "a fox", "key": "fox-1"}
    anything = ("running", "succeeded")
    with SandboxServer(Sandbox(image_latency=Fixed(4.0))) as server:
        with serving(tmp_path, server) as (process, http):
            wait_for_start(process)
            assert http.post("/jobs", json=body).status_code == 202
            answered(http, "fox-1", *anything)
        with serving(tmp_path, server) as (process, http):
            wait_for_start(process)
            answered(http, "fox-1", *anything)
            assert http.post("/jobs", json=body).status_code == 202
            outputs = answered(http, "fox-1", "succeeded")["outputs"]
            with serving(tmp_path, server) as (second, _):
                assert f"in use by process {process.pid}" in wait_for_start(second)
        with serving(tmp_path, server) as (process, http):
            wait_for_start(process)
            assert http.post("/jobs", json=body).status_code == 202
            assert outputs == answered(http, "fox-1", "succeeded")["outputs"]
            assert http.post("/jobs", json={"prompt": "an owl", "key": "fox-1"}).status_code == 409
        assert (1, 1) == (server.sandbox.submits, server.sandbox.billed("a fox"))


# Callers who are too many.


async def test_a_full_queue_is_refused(web: ModuleType, server: SandboxServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is beyond the queue is answered with 429 and when to come back; a known key is not, and each has a place."""
    rarely = Limits(submit_per_second=0.01, submit_burst=1)
    monkeypatch.setattr(web, "Client", partial(Client, limits=rarely))
    monkeypatch.setattr(web, "MAX_QUEUED", 4)
    monkeypatch.setattr(web, "MAX_WAIT", 1000.0)
    server.sandbox.image_latency = Fixed(FOR_EVER)
    async with running(web) as http:
        await post(http, "a fox", key="first")
        with anyio.fail_after(20):
            while server.sandbox.submits == 0:
                await anyio.sleep(0.02)
        keys = [f"fox-{n}" for n in range(6)]
        answers = [await http.post("/jobs", json={"prompt": "a fox", "key": key}) for key in keys]
        assert [202] * 4 + [429] * 2 == [answer.status_code for answer in answers]
        assert int(answers[-1].headers["retry-after"]) >= 1
        assert "queued" == (await post(http, "a fox", key="fox-0"))["status"]
        with anyio.fail_after(20):
            while (shown := [(await http.get(f"/jobs/{key}")).json() for key in keys[:4]])[-1]["position"] is None:
                await anyio.sleep(0.02)
        assert [("queued", place) for place in range(4)] == [(one["status"], one["position"]) for one in shown]
        seconds = [one["seconds"] for one in shown]
        assert all(95 <= later - earlier <= 105 for earlier, later in pairwise(seconds))
    assert 1 == server.sandbox.submits


async def test_a_wait_that_is_too_long_is_refused(
    web: ModuleType, server: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The expected wait counts as well: what would wait for longer than the limit comes back later."""
    rarely = Limits(submit_per_second=0.1, submit_burst=1)  # ten seconds for each, however slow the machine is
    monkeypatch.setattr(web, "Client", partial(Client, limits=rarely))
    monkeypatch.setattr(web, "MAX_WAIT", 1000.0)
    server.sandbox.image_latency = Fixed(FOR_EVER)
    async with running(web) as http:
        for number in range(5):
            await post(http, f"a fox, {number}")
        with anyio.fail_after(20):  # a job is in the queue once the journal was read
            while (web.app.state.client.queue().submit_seconds or 0.0) < 25.0:
                await anyio.sleep(0.01)
        monkeypatch.setattr(web, "MAX_WAIT", 20.0)
        answer = await http.post("/jobs", json={"prompt": "an owl"})
        assert 429 == answer.status_code
        assert 1 <= int(answer.headers["retry-after"]) <= 30


# Several workers, which share a journal in PostgreSQL.


def listen(http: httpx.Client, key: str) -> list[dict[str, Any]]:
    """Return the events of a job until it has ended."""
    answer = http.get(f"/jobs/{key}/events").raise_for_status()
    return [json.loads(line.removeprefix("data: ")) for line in answer.text.split("\n\n") if line.startswith("data: ")]


def test_workers_share_a_database(tmp_path: Path, postgres: PostgresServer) -> None:
    """A key that two processes are asked for at once is one submission; either tells of its end, and sends nothing."""
    body, database = {"prompt": "a fox", "key": "fox-1"}, postgres.url(postgres.database())
    with (
        SandboxServer(Sandbox(image_latency=Fixed(1.0))) as server,
        serving(tmp_path, server, KLING_DATABASE=database) as (first, one),
        serving(tmp_path, server, KLING_DATABASE=database) as (second, two),
    ):
        assert all("Uvicorn running" in wait_for_start(process) for process in (first, second))
        assert [202, 202] == [http.post("/jobs", json=body).status_code for http in (one, two)]
        ends = [listen(http, "fox-1")[-1] for http in (one, two)]
        assert ["succeeded", "succeeded"] == [end["status"] for end in ends]
        assert 202 == one.post("/jobs", json={"prompt": "an owl", "key": "owl-1"}).status_code
        followed = listen(two, "owl-1")  # begins before the first one has submitted it, or after
        assert "succeeded" == followed[-1]["status"]
        assert 409 == two.post("/jobs", json={"prompt": "an elk", "key": "owl-1"}).status_code
        assert (2, 1, 1) == (server.sandbox.submits, *(server.sandbox.billed(name) for name in ("a fox", "an owl")))


def test_two_workers_behind_one_port_are_killed_and_pay_once(tmp_path: Path, postgres: PostgresServer) -> None:
    """`--workers 2`: whoever answers, a key is paid once, also after all were killed while its job was running."""
    database = postgres.url(postgres.database())
    bodies = [{"prompt": f"a fox, {n}", "key": f"fox-{n}"} for n in range(6)]

    def ask_for_all(http: httpx.Client) -> list[int]:
        headers = {"Connection": "close"}  # each one may be answered by the other worker
        return [http.post("/jobs", json=body, headers=headers).status_code for _ in range(3) for body in bodies]

    with SandboxServer(Sandbox(image_latency=Fixed(3.0))) as server:
        with serving(tmp_path, server, "--workers", "2", KLING_DATABASE=database) as (process, http):
            wait_for_start(process, workers=2)
            assert [202] * 18 == ask_for_all(http)
            until = time.monotonic() + 30
            while not all(answered(http, body["key"], "running", "succeeded") for body in bodies):
                assert time.monotonic() < until
        before = server.sandbox.submits
        with serving(tmp_path, server, "--workers", "2", KLING_DATABASE=database) as (process, http):
            wait_for_start(process, workers=2)
            assert [202] * 18 == ask_for_all(http)
            assert ["succeeded"] * 6 == [listen(http, body["key"])[-1]["status"] for body in bodies]
        assert 6 == before == server.sandbox.submits
        assert [1] * 6 == [server.sandbox.billed(body["prompt"]) for body in bodies]
