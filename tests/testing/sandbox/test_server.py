"""The sandbox on a real socket."""

from __future__ import annotations

import gc
import socket
import sys
import threading

import anyio
import anyio.to_thread
import httpx
import pytest
import uvicorn

from kling_async.testing import Fixed, Sandbox, SandboxApp, SandboxServer, serve_forever

KEY = {"authorization": "Bearer sk-sandbox"}
SUBMIT = "/api/v3/kwaivgi/kling-image-o1/text-to-image"


@pytest.fixture
def server():
    """Run a server that is a million times faster than the providers."""
    with SandboxServer(Sandbox(time_scale=0.000001)) as running:
        yield running


@pytest.fixture
def http(server):
    """Speak to it with the key."""
    with httpx.Client(base_url=server.url, headers=KEY, trust_env=False, timeout=20) as client:
        yield client


def test_a_generation_over_a_socket(server, http):
    """Submit, poll and download work over HTTP, with addresses on the same origin."""
    created = http.post(SUBMIT, json={"prompt": "a cat"}).json()["data"]
    assert created["urls"]["get"].startswith(server.url + "/")
    data = created
    for _ in range(1000):
        data = http.get(created["urls"]["get"]).json()["data"]
        if data["status"] == "completed":
            break
    (url,) = data["outputs"]
    assert url.startswith(server.url + "/files/")
    assert httpx.get(url, trust_env=False).content.startswith(b"\x89PNG")
    assert server.sandbox.billed("a cat") == 1


def test_a_lost_answer_breaks_the_connection_and_is_billed(server, http):
    """No byte of an answer comes; the submission was charged for, and the next one works."""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        http.post(SUBMIT, json={"prompt": "a cat [[lost]]"})
    assert server.sandbox.billed("a cat [[lost]]") == 1
    assert not server.sandbox.entries[0].answered
    with pytest.raises(httpx.RemoteProtocolError):
        http.post(SUBMIT, json={"prompt": "a cat [[dropped]]"})
    assert server.sandbox.billed("a cat [[dropped]]") == 0
    assert http.post(SUBMIT, json={"prompt": "a dog"}).status_code == 200


def test_a_hanging_answer_never_comes_and_stopping_does_not_wait_for_it():
    """The caller's own deadline ends it, and so does stopping the server under a waiting caller."""
    caught: list[Exception] = []
    with SandboxServer() as server:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                server.url + SUBMIT,
                json={"prompt": "x [[hang]]"},
                headers=KEY,
                trust_env=False,
                timeout=httpx.Timeout(5, read=0.1),
            )
        assert server.sandbox.billed() == 1

        def wait() -> None:
            try:
                httpx.post(server.url + SUBMIT, json={"prompt": "y [[hang]]"}, headers=KEY, trust_env=False, timeout=30)
            except httpx.HTTPError as error:
                caught.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        for _ in range(100_000):
            if server.sandbox.billed() == 2:
                break
            httpx.get(server.url, trust_env=False)
    waiter.join(60)
    assert not waiter.is_alive()
    assert [type(error) for error in caught] == [httpx.RemoteProtocolError]


def test_a_download_can_break_off_in_the_middle(server, http):
    """Half of the bytes come under the full length, and the rest can be fetched by range."""
    server.sandbox.script_downloads([None, "lost"])
    id = http.post(SUBMIT, json={"prompt": "a cat"}).json()["data"]["id"]
    whole = b""
    for _ in range(1000):
        answer = http.get(f"/files/{id}-1.png")
        if answer.status_code == 200:
            whole = answer.content
            break
    part = bytearray()
    with pytest.raises(httpx.RemoteProtocolError), http.stream("GET", f"/files/{id}-1.png") as answer:
        for piece in answer.iter_raw():
            part += piece
    assert answer.headers["content-length"] == str(len(whole))
    assert bytes(part) == whole[: len(whole) // 2]
    rest = http.get(f"/files/{id}-1.png", headers={"range": f"bytes={len(part)}-", "if-range": answer.headers["etag"]})
    assert bytes(part) + rest.content == whole


def test_it_leaves_no_thread_and_no_socket_behind():
    """After `with` the thread has ended and the port is free; warnings about open sockets would fail this test."""
    before = set(threading.enumerate())
    with SandboxServer() as server:
        httpx.get(server.url, trust_env=False)
        port = int(server.url.rpartition(":")[2])
        # A client that never says anything must not keep it either.
        idle = socket.create_connection(("127.0.0.1", port))
        assert [t.name for t in set(threading.enumerate()) - before] == ["kling-sandbox"]
    idle.close()
    gc.collect()
    assert set(threading.enumerate()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_one_server_object_can_be_started_again():
    """Twice in turn is fine, twice at once is an error."""
    server = SandboxServer()
    for _ in range(2):
        with server:
            assert httpx.get(server.url, trust_env=False).status_code == 200
            with pytest.raises(RuntimeError, match="already"):
                server.__enter__()


def test_a_taken_port_is_an_error_at_once():
    """The operating system's own error comes out, and nothing is left open."""
    with SandboxServer() as server, pytest.raises(OSError, match="in use"):
        SandboxServer(port=int(server.url.rpartition(":")[2])).__enter__()


def test_without_uvicorn_it_says_what_to_install(monkeypatch):
    """The message is the command to type."""
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    with pytest.raises(RuntimeError, match=r"pip install 'kling-async\[cli\]'"):
        SandboxServer().__enter__()


def test_nothing_is_printed_or_logged(server, http, capfd, caplog):
    """Neither good answers nor broken ones leave a line at warning level or above, nor any output."""
    http.post(SUBMIT, json={"prompt": "a cat"})
    for fault in ("lost", "dropped"):
        with pytest.raises(httpx.RemoteProtocolError):
            http.post(SUBMIT, json={"prompt": f"a cat [[{fault}]]"})
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelname not in {"DEBUG", "INFO"}] == []


@pytest.mark.anyio
async def test_serve_forever_tells_its_url_and_ends_when_cancelled():
    """It serves from asyncio and trio until its scope is cancelled, and is gone then."""
    urls: list[str] = []
    ready = anyio.Event()

    def on_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    async with anyio.create_task_group() as tasks:

        async def serve() -> None:
            await serve_forever(Sandbox(), port=0, on_ready=on_ready)

        tasks.start_soon(serve)
        await ready.wait()
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(urls[0] + "/sandbox/ledger")).json()["billed"] == 0
        tasks.cancel_scope.cancel()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(urls[0].rpartition(":")[2])))


@pytest.mark.anyio
async def test_the_server_can_be_used_inside_a_loop():
    """A plain `with` works under both backends, and both providers answer under one origin."""
    with SandboxServer(Sandbox(image_latency=Fixed(0.001))) as server:
        async with httpx.AsyncClient(base_url=server.url, headers=KEY, trust_env=False) as client:
            first = await client.post(SUBMIT, json={"prompt": "a cat"})
            body = {"model": "kling-image-o1", "prompt": "a cat"}
            second = await client.post("/api/v1/images/generations", json=body)
        assert (first.status_code, second.status_code) == (200, 200)
        assert {entry.provider for entry in server.sandbox.entries} == {"gptproto", "apiinone"}


@pytest.mark.anyio
async def test_a_body_that_is_too_long_is_refused():
    """More than 4 MiB is HTTP 413, and nothing is charged."""
    sandbox = Sandbox()
    transport = httpx.ASGITransport(SandboxApp(sandbox))
    async with httpx.AsyncClient(transport=transport, base_url="http://sandbox.test") as client:
        answer = await client.post(SUBMIT, content=b" " * (4 * 1024 * 1024 + 1), headers=KEY)
        assert (answer.status_code, sandbox.billed()) == (413, 0)


@pytest.mark.anyio
async def test_the_app_refuses_what_is_not_http():
    """Lifespan and websocket scopes are errors, as ASGI asks of an app without them."""
    with pytest.raises(NotImplementedError):
        await SandboxApp(Sandbox())({"type": "lifespan"}, None, None)


def test_a_server_that_cannot_start_says_so(monkeypatch):
    """What went wrong in the thread is the cause of the error, and nothing is left running."""

    async def fail(*_: object, **__: object) -> None:
        raise OSError("no more sockets")

    monkeypatch.setattr(uvicorn.Server, "serve", fail)
    before = set(threading.enumerate())
    with pytest.raises(RuntimeError, match="did not start") as caught:
        SandboxServer().__enter__()
    assert isinstance(caught.value.__cause__, OSError)
    assert set(threading.enumerate()) <= before
