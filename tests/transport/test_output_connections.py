"""Connections for outputs: kept for the next one of the same host while a client is open, where that is safe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import httpx
import pytest
from anyio.abc import SocketStream

from kling_async.errors import DownloadError
from kling_async.testing import VirtualClock
from kling_async.transport.fetcher import OutputFetcher
from kling_async.transport.output_connections import OutputConnections
from kling_async.transport.tls import LazySSLContext
from kling_async.types.prediction import Output, OutputKind

from ..conftest import Serve, read_request, reply

pytestmark = pytest.mark.anyio

PNG = b"\x89PNG\r\n\x1a\n" + bytes(700_000) + b"\0\0\0\0IEND\xaeB`\x82"
Handle = Callable[[SocketStream], Awaitable[None]]


class Server:
    """Answers many requests on a connection, and counts both.

    Args:
        after: is sent behind each answer.
        closes: closes the connection once so many requests of it were read, the last one without an answer.
    """

    def __init__(self, *, after: bytes = b"", closes: int = 0, headers: str = "") -> None:
        self.requests: list[int] = []
        self._answer = reply(PNG, headers=headers) + after
        self._closes = closes

    async def __call__(self, stream: SocketStream) -> None:
        self.requests.append(0)
        number = len(self.requests) - 1
        while True:
            await read_request(stream)
            self.requests[number] += 1
            if self._closes == self.requests[number]:
                return
            await stream.send(self._answer)


async def save(files: OutputFetcher, origin: str, directory: Path, stem: str) -> None:
    output = Output(url=f"{origin}/{stem}", kind=OutputKind.IMAGE)
    path = await files.save(output, directory, stem, overwrite=False, loopback=True)
    assert PNG == path.read_bytes()


def fetcher() -> OutputFetcher:
    """Make one whose clock stands still: whatever pauses before it tries again would wait for ever."""
    return OutputFetcher(clock=VirtualClock(), tls=LazySSLContext())


async def test_a_connection_is_kept_for_the_next_output(serve: Serve, tmp_path: Path) -> None:
    """Outputs of one host come over one connection while connections are kept, and at the end it is closed."""
    server = Server()
    async with serve(server) as origin:
        files = fetcher()
        async with files.keeping():
            for stem in "abc":
                await save(files, origin, tmp_path, stem)
            assert [3] == server.requests
        for stem in "de":
            await save(files, origin, tmp_path, stem)
    assert [3, 1, 1] == server.requests


@pytest.mark.parametrize(
    "server",
    [Server(after=b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"), Server(headers="Connection: close\r\n")],
    ids=["bytes behind the end", "a close that is announced"],
)
async def test_a_connection_is_not_kept_where_that_is_unsafe(server: Server, serve: Serve, tmp_path: Path) -> None:
    """Bytes behind the end of a response would be taken for the next one: that connection is closed."""
    server.requests.clear()
    async with serve(server) as origin:
        files = fetcher()
        async with files.keeping():
            for stem in "ab":
                await save(files, origin, tmp_path, stem)
    assert [1, 1] == server.requests


async def test_a_kept_connection_that_was_closed_is_replaced_at_once(serve: Serve, tmp_path: Path) -> None:
    """A server that closes a kept connection when the next request comes costs no attempt and no pause."""
    server = Server(closes=2)
    async with serve(server) as origin:
        files = fetcher()
        async with files.keeping():
            with anyio.fail_after(20):
                for stem in "abc":
                    await save(files, origin, tmp_path, stem)
    assert [2, 2, 1] == server.requests


async def test_a_connection_after_an_error_is_closed(serve: Serve, tmp_path: Path) -> None:
    """A download that is refused in the middle of its body leaves no connection that another one gets."""
    seen: list[int] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(1)
        await read_request(stream)
        await stream.send(reply(b"<html>" + bytes(700_000)) if len(seen) == 1 else reply(PNG))

    async with serve(handle) as origin:
        files = fetcher()
        async with files.keeping():
            with pytest.raises(DownloadError, match="neither an image nor a video"):
                await save(files, origin, tmp_path, "a")
            await save(files, origin, tmp_path, "b")
    assert 2 == len(seen)


async def test_few_idle_connections_are_kept(serve: Serve, tmp_path: Path) -> None:
    """With very many hosts the connection that was idle longest is closed."""
    servers = [Server() for _ in range(17)]
    files = fetcher()
    async with AsyncExitStack() as stack:
        origins = [await stack.enter_async_context(serve(server)) for server in servers]
        async with files.keeping():
            for number, origin in enumerate(origins):
                await save(files, origin, tmp_path, f"{number}")
            await save(files, origins[0], tmp_path, "once-more")
            await save(files, origins[16], tmp_path, "and-again")
    assert [1, 1] == servers[0].requests
    assert [2] == servers[16].requests


async def test_errors_are_those_of_httpx() -> None:
    """A connection that is refused is httpx's error, as with its own transport, so that it is tried again."""
    tls = await LazySSLContext().get("http://")
    async with OutputConnections().exchange(tls) as transport:
        with pytest.raises(httpx.ConnectError):
            await transport.handle_async_request(httpx.Request("GET", "http://127.0.0.1:1/"))
