"""On asyncio requests go over a protocol that reads plain responses itself, and leaves all others to h11.

Rules of every request, on either event loop, are in `test_api.py`.
"""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import warnings
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketStream

from kling_async.errors import AnswerLost, NotSent, ProviderUnavailable
from kling_async.providers.authorizers import KeyAuthorizer
from kling_async.transport.api import ApiTransport
from kling_async.transport.asyncio_exchanges import AsyncioExchanges
from kling_async.transport.credentials import Credential
from kling_async.transport.tls import LazySSLContext
from kling_async.types.authorizer import Authorizer
from kling_async.types.http import HttpRequest

from ..conftest import Serve, read_request, reply
from ..ports import free_port

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

KEY = "sk-canary-7f3a9b"
GET = HttpRequest(method="GET", path="/api/v3/predictions/abc/result")
POST = HttpRequest(method="POST", path="/api/v3/kwaivgi/kling-image-o1/text-to-image", body=b'{"prompt":"a cat"}')


def transport(origin: str, *, timeout: float = 5.0, authorizer: Authorizer | None = None) -> ApiTransport:
    """Open a transport to an origin."""
    authorizer = authorizer or KeyAuthorizer(KEY, scheme="bearer")
    credential = Credential(key=KEY, origin=origin, authorizer=authorizer)
    return ApiTransport(
        provider="gptproto", credential=credential, timeout=timeout, tls=LazySSLContext(), submit_connections=8
    )


def is_fast(sent: ApiTransport, request: HttpRequest = GET) -> bool:
    """Return whether a request goes over the protocol of asyncio's."""
    submits, polls = sent._exchanges(request)
    return isinstance(polls, AsyncioExchanges) and isinstance(submits, AsyncioExchanges)


async def exchange(sent: ApiTransport, request: HttpRequest) -> bytes:
    """Send a submission or a poll, and return the body of its response."""
    return (await (sent.submit(request) if request.method == "POST" else sent.poll(request))).body


class Server:
    """Answers the requests of each connection in turn, as a function of the connection and the request says."""

    def __init__(self, answer: Callable[[int, int, bytes], bytes]) -> None:
        self._answer = answer
        self.connections = 0
        self.requests: list[bytes] = []

    async def __call__(self, stream: SocketStream) -> None:
        self.connections += 1
        connection, number = self.connections, 0
        while True:
            request = await read_request(stream)
            self.requests.append(request)
            number += 1
            answer = self._answer(connection, number, request)
            if not answer:
                return
            await stream.send(answer)


async def bodies(sent: ApiTransport, count: int) -> list[bytes]:
    """Poll a number of times, one after another, and return the bodies."""
    found = [(await sent.poll(GET)).body for _ in range(count)]
    await sent.aclose()
    return found


async def test_a_poll_is_what_it_is_on_trio(serve: Serve) -> None:
    """The key, the host and no compression are in each request, a query is sent as it is, and no cookie comes back."""
    server = Server(lambda *_: reply(b"{}", headers="Set-Cookie: a=b\r\n"))
    async with serve(server) as origin:
        sent = transport(origin)
        for _ in range(2):
            await sent.poll(HttpRequest(method="GET", path="/tasks?task_ids=a,b%20c"))
        assert is_fast(sent)
        await sent.aclose()
    assert (1, 2) == (server.connections, len(server.requests))
    for request in server.requests:
        lines = request.lower().split(b"\r\n")
        assert b"get /tasks?task_ids=a,b%20c http/1.1" == lines[0]
        fields = (
            f"host: {origin.removeprefix('http://')}",
            f"authorization: bearer {KEY}",
            "accept-encoding: identity",
        )
        for field in fields:
            assert 1 == lines.count(field.encode())
        assert b"cookie" not in request.lower()


async def test_headers_are_read_on_demand(serve: Serve) -> None:
    """Names are in lower case, a field that comes twice is one with both values, and a repeated key is removed."""
    answer = reply(b"slow down", status="429 Too Many", headers=f"Retry-After: 7\r\nVia: a\r\nVIA: b\r\nX: {KEY}\r\n")
    async with serve(Server(lambda *_: answer)) as origin:
        sent = transport(origin)
        came = await sent.poll(GET)
        await sent.aclose()
    assert (429, b"slow down") == (came.status, came.body)
    assert {"retry-after": "7", "via": "a, b", "content-length": "9", "x": "[key]"} == came.headers
    assert "7" == came.headers.get("retry-after")
    assert "location" not in came.headers
    assert KEY not in repr(came)


ODD = {
    "a folded line": b"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\n{}",
    "an interim response": b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX: a\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    "other ends of lines": b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
    "two ends of lines": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\n{}",
}
BOTH = pytest.mark.parametrize("request_", [GET, POST], ids=["poll", "submission"])


@BOTH
@pytest.mark.parametrize("size", [1, 7, 1000], ids=["bytes", "pieces", "whole"])
@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
async def test_a_response_in_another_form_is_read_by_a_library(
    serve: Serve, odd: bytes, size: int, request_: HttpRequest
) -> None:
    """It is read from its first byte on, so the request is sent once; its connection is not used again."""
    received = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal received
        await read_request(stream)
        received += 1
        for at in range(0, len(odd), size):
            await stream.send(odd[at : at + size])
            await anyio.lowlevel.checkpoint()
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await read_request(stream)
            received += 100

    async with serve(handle) as origin:
        sent = transport(origin)
        assert [b"{}"] * 2 == [await exchange(sent, request_) for _ in range(2)]
        assert is_fast(sent)
        await sent.aclose()
    assert 2 == received


@BOTH
@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"], ids=["HTTP/1.1", "HTTP/1.0"])
async def test_a_body_may_end_with_its_connection(serve: Serve, head: bytes, request_: HttpRequest) -> None:
    """Without a length, the end of the connection ends the body; nothing is sent again."""
    received = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal received
        await read_request(stream)
        received += 1
        await stream.send(head + b"the ")
        await anyio.sleep(0.02)
        await stream.send(b"body")

    async with serve(handle) as origin:
        sent = transport(origin)
        assert b"the body" == await exchange(sent, request_)
        await sent.aclose()
    assert 1 == received


MALFORMED = {
    "no status line": b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
    "NUL in a line": b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a chunk that lies": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{}\r\n0\r\n\r\n",
    "a huge head": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000,
    "half a body": b"HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n{}",
}


@BOTH
@pytest.mark.parametrize("malformed", MALFORMED.values(), ids=list(MALFORMED))
async def test_a_malformed_response_is_an_error_and_nothing_is_sent_again(
    serve: Serve, malformed: bytes, request_: HttpRequest
) -> None:
    """A library refuses it as well: the answer to a submission is lost, and a poll has brought none."""
    received = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal received
        await read_request(stream)
        received += 1
        with suppress(anyio.BrokenResourceError):
            await stream.send(malformed)

    async with serve(handle) as origin:
        sent = transport(origin, timeout=2.0)
        with pytest.raises(AnswerLost if request_ is POST else ProviderUnavailable):
            await exchange(sent, request_)
        await sent.aclose()
    assert 1 == received


async def test_a_submission_goes_over_a_kept_connection_that_is_open(serve: Serve) -> None:
    """Two submissions, one after another, share a connection; each carries the key, its length and its body once."""
    server = Server(lambda *_: reply(b"{}"))
    async with serve(server) as origin:
        sent = transport(origin)
        for _ in range(2):
            await sent.submit(POST)
        assert is_fast(sent, POST)
        await sent.aclose()
    assert (1, 2) == (server.connections, len(server.requests))
    for request in server.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert (b"POST /api/v3/kwaivgi/kling-image-o1/text-to-image HTTP/1.1", POST.body) == (lines[0], body)
        for line in (b"Content-Type: application/json", b"Content-Length: 18", f"Authorization: Bearer {KEY}".encode()):
            assert 1 == lines.count(line)


@pytest.mark.parametrize("last", [b"", reply(b"evil"), b"x"], ids=["an end", "a reply", "a byte"])
async def test_a_submission_leaves_an_idle_connection_on_which_something_came(serve: Serve, last: bytes) -> None:
    """What the event loop has not read yet is found before the first byte: the submission takes a new connection."""
    connections, submissions = 0, 0

    async def handle(stream: SocketStream) -> None:
        nonlocal connections, submissions
        connections += 1
        own = connections
        await read_request(stream)
        submissions += 1
        await stream.send(reply(b"own"))
        if own == 1:
            if last:
                await stream.send(last)
            return
        await read_request(stream)

    async with serve(handle) as origin:
        sent = transport(origin)
        assert b"own" == await exchange(sent, POST)
        await anyio.sleep(0.1)
        submits, _ = sent._exchanges(POST)
        assert isinstance(submits, AsyncioExchanges)
        assert b"own" == await exchange(sent, POST)
        await sent.aclose()
    assert (2, 2) == (connections, submissions)


async def test_what_came_is_found_though_the_event_loop_has_not_read_it() -> None:
    """A reply that lies in the socket as a submission is about to leave is not taken for its answer."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(5)
    sent = transport(f"http://127.0.0.1:{listener.getsockname()[1]}")
    answered: list[bytes] = []

    async def submit() -> None:
        answered.append(await exchange(sent, POST))

    async def accept(answer: bytes) -> socket.socket:
        peer, _ = await asyncio.to_thread(listener.accept)
        await asyncio.to_thread(peer.recv, 65536)
        peer.sendall(answer)
        return peer

    with listener:
        async with anyio.create_task_group() as group:
            group.start_soon(submit)
            first = await accept(reply(b"own"))
        first.sendall(reply(b"evil"))  # no await from here to the look at the socket: the event loop reads nothing
        second = asyncio.ensure_future(exchange(sent, POST))
        peer = await accept(reply(b"own"))
        answered.append(await second)
        await sent.aclose()
        first.close()
        peer.close()
    assert [b"own", b"own"] == answered


async def test_a_submission_on_a_connection_that_closes_is_never_sent_again(serve: Serve) -> None:
    """The server closes a kept connection as the submission arrives: its answer is lost, whatever a poll would do."""
    server = Server(lambda _connection, number, _request: b"" if number == 2 else reply(b"{}"))
    async with serve(server) as origin:
        sent = transport(origin)
        await sent.submit(POST)
        with pytest.raises(AnswerLost):
            await sent.submit(POST)
        assert 2 == len(server.requests)
        await sent.submit(POST)
        await sent.aclose()
    assert 2 == server.connections


async def test_nothing_is_sent_before_a_connection_is_made() -> None:
    """A connection that is refused leaves no byte, and the error says so."""
    sent = transport(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(NotSent):
        await sent.submit(POST)
    await sent.aclose()


async def test_a_long_submission_is_refused_before_it_is_read(serve: Serve) -> None:
    """Its body goes over the library, which reads a refusal that comes while the body is still being sent."""
    long = HttpRequest(method="POST", path="/submit", body=b'"' + b"a" * 4_000_000 + b'"')

    async def handle(stream: SocketStream) -> None:
        await stream.receive(1000)
        await stream.send(reply(b"too large", status="413 Too Large"))
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while True:
                await stream.receive()

    async with serve(handle) as origin:
        sent = transport(origin)
        assert not is_fast(sent, long)
        assert 413 == (await sent.submit(long)).status
        await sent.aclose()


async def test_each_of_many_submissions_gets_its_own_answer(serve: Serve) -> None:
    """A hundred at once share eight connections, each is received once, and each gets the answer to its own body."""
    server = Server(lambda _connection, _number, request: reply(request.partition(b"\r\n\r\n")[2]))
    found: dict[int, bytes] = {}

    async def one(sent: ApiTransport, number: int) -> None:
        request = HttpRequest(method="POST", path="/submit", body=str(number).encode())
        found[number] = await exchange(sent, request)

    async with serve(server) as origin:
        sent = transport(origin)
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(one, sent, number)
        await sent.aclose()
    assert {number: str(number).encode() for number in range(100)} == found
    assert 100 == len(server.requests)
    assert server.connections <= 8


async def test_an_odd_response_has_no_more_time_than_any(serve: Serve) -> None:
    """Its time runs from the start of the exchange, whatever reads it."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await anyio.sleep(0.6)
        await stream.send(b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{")
        await anyio.sleep(0.6)

    async with serve(handle) as origin:
        sent, began = transport(origin, timeout=1.0), anyio.current_time()
        with pytest.raises(ProviderUnavailable, match="within 1 s"):
            await sent.poll(GET)
        assert anyio.current_time() - began < 1.5
        await sent.aclose()


@pytest.mark.parametrize(
    "extra", [reply(b"evil"), b"HTTP/1.1 200 OK\r\n", b"\r\n", b"x"], ids=["reply", "head", "blank", "byte"]
)
async def test_a_connection_with_bytes_behind_a_response_is_closed(serve: Serve, extra: bytes) -> None:
    """Two replies in one packet: the second answers nothing, whole or in part."""
    server = Server(lambda connection, *_: reply(b"own") + (extra if connection == 1 else b""))
    async with serve(server) as origin:
        assert [b"own"] * 3 == await bodies(transport(origin), 3)
    assert 2 == server.connections


async def test_a_reply_before_the_request_is_dropped(serve: Serve) -> None:
    """What arrives on an idle connection closes it: the next poll gets its own reply, over a new one."""
    connections = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal connections
        connections += 1
        await read_request(stream)
        await stream.send(reply(b"own"))
        if connections == 1:
            await anyio.sleep(0.05)
            await stream.send(reply(b"evil"))
        await read_request(stream)

    async with serve(handle) as origin:
        sent = transport(origin)
        assert b"own" == (await sent.poll(GET)).body
        await anyio.sleep(0.2)
        assert b"own" == (await sent.poll(GET)).body
        await sent.aclose()
    assert 2 == connections


async def test_a_reply_without_any_request_is_dropped(serve: Serve) -> None:
    """A server that greets with a reply as the connection opens answers no poll with it."""
    connections = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal connections
        connections += 1
        if connections == 1:
            await stream.send(reply(b"evil") + reply(b"evil"))
        await read_request(stream)
        await stream.send(reply(b"own"))

    async with serve(handle) as origin:
        sent = transport(origin)
        seen = []
        for _ in range(2):
            try:
                seen.append((await sent.poll(GET)).body)
            except ProviderUnavailable:
                seen.append(b"lost")
        await sent.aclose()
    # Sent before the request was read, yet received after it left, a reply looks like its own: once, and no more.
    assert b"own" == seen[1]


async def test_a_length_that_lies_answers_one_poll_at_most(serve: Serve) -> None:
    """A body that is longer than its length closes the connection; a shorter one is waited for until the deadline."""
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown and more"
    server = Server(lambda connection, *_: short if connection == 1 else reply(b"own"))
    async with serve(server) as origin:
        assert [b"own"] * 2 == await bodies(transport(origin), 2)
    assert 2 == server.connections
    async with serve(Server(lambda *_: b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\nown")) as origin:
        sent = transport(origin, timeout=0.3)
        with pytest.raises(ProviderUnavailable, match="within 0.3 s"):
            await sent.poll(GET)
        await sent.aclose()


async def test_a_kept_connection_that_was_closed_costs_no_error(serve: Serve) -> None:
    """The server closes it as the next request arrives: a poll is sent again, over a new connection, once."""
    server = Server(lambda connection, number, _: b"" if number == 2 else reply(str(connection).encode()))
    async with serve(server) as origin:
        assert [b"1", b"2", b"3"] == await bodies(transport(origin), 3)
    assert 5 == len(server.requests)


async def test_a_kept_connection_that_breaks_off_in_a_response_is_an_error(serve: Serve) -> None:
    """A response that has begun is not asked for again: the origin answers, and badly."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(b"{}"))
        await read_request(stream)
        await stream.send(reply(b"{}")[:-1])

    async with serve(handle) as origin:
        sent = transport(origin)
        await sent.poll(GET)
        with pytest.raises(ProviderUnavailable, match="closed before the response was complete"):
            await sent.poll(GET)
        await sent.aclose()


async def test_each_exchange_has_its_own_deadline(serve: Serve) -> None:
    """On kept connections one timer ends what is late, and nothing else; a late reply answers no later poll."""
    release = anyio.Event()

    async def handle(stream: SocketStream) -> None:
        while True:
            request = await read_request(stream)
            if b"/slow" in request:
                await release.wait()
            await stream.send(reply(re.findall(rb"/[a-z]+", request)[0]))

    async with serve(handle) as origin:
        sent = transport(origin, timeout=0.4)
        for _ in range(2):  # two kept connections
            async with anyio.create_task_group() as group:
                group.start_soon(sent.poll, HttpRequest(method="GET", path="/a"))
                group.start_soon(sent.poll, HttpRequest(method="GET", path="/b"))
        began = anyio.current_time()
        with pytest.raises(ProviderUnavailable, match="within 0.4 s"):
            await sent.poll(HttpRequest(method="GET", path="/slow"))
        assert 0.3 < anyio.current_time() - began < 1.4
        release.set()
        for _ in range(4):
            assert b"/fine" == (await sent.poll(HttpRequest(method="GET", path="/fine"))).body
        await sent.aclose()


async def test_a_cancelled_poll_leaves_no_reply_behind(serve: Serve) -> None:
    """The connection of a cancelled poll is closed: its reply must not answer the next one."""

    async def handle(stream: SocketStream) -> None:
        while True:
            request = await read_request(stream)
            if b"/slow" in request:
                await anyio.sleep(0.2)
            await stream.send(reply(re.findall(rb"/[a-z]+", request)[0]))

    async with serve(handle) as origin:
        sent = transport(origin)
        for path in ("/slow", "/fine", "/slow"):
            with anyio.move_on_after(0.05):
                await sent.poll(HttpRequest(method="GET", path=path))
        await anyio.sleep(0.3)
        assert b"/fine" == (await sent.poll(HttpRequest(method="GET", path="/fine"))).body
        await sent.aclose()


async def test_many_polls_at_once_get_their_own_answers(serve: Serve) -> None:
    """Two hundred polls share 64 connections, and each gets the answer to its own path."""
    server = Server(lambda _connection, _number, request: reply(request.split(b" ")[1]))
    found: dict[int, bytes] = {}

    async def one(sent: ApiTransport, number: int) -> None:
        found[number] = (await sent.poll(HttpRequest(method="GET", path=f"/{number}"))).body

    async with serve(server) as origin:
        sent = transport(origin)
        async with anyio.create_task_group() as group:
            for number in range(200):
                group.start_soon(one, sent, number)
        await sent.aclose()
    assert {number: f"/{number}".encode() for number in range(200)} == found
    assert server.connections <= 64


class Smuggling:
    """Writes a field with a line end in it."""

    def header(self, now: float) -> tuple[str, str]:
        return ("Authorization", f"Bearer {KEY}\r\nX: a")


@pytest.mark.parametrize(
    ("path", "authorizer"),
    [("/a b", None), ("/a\r\nX: b", None), ("/a\0", None), ("a", None), ("/\xe9", None), ("/a", Smuggling())],
)
async def test_nothing_is_smuggled_into_a_request(serve: Serve, path: str, authorizer: Authorizer | None) -> None:
    """A path or a field with a blank, a control character or a line end is an error, without the key, and not sent."""
    server: Callable[[SocketStream], Awaitable[None]] = Server(lambda *_: reply(b"{}"))
    async with serve(server) as origin:
        sent = transport(origin, authorizer=authorizer)
        with pytest.raises(ProviderUnavailable) as caught:
            await sent.poll(HttpRequest(method="GET", path=path))
        await sent.aclose()
    assert KEY not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert [] == server.requests  # type: ignore[attr-defined]


def test_no_socket_outlives_the_event_loop(anyio_backend: str) -> None:
    """Idle connections and those of failed polls are closed before `aclose` returns: the loop may end right after."""

    async def main() -> None:
        serving, ended, opened = asyncio.Event(), asyncio.Semaphore(0), 0

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal opened
            opened += 1
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                for _ in range(2):
                    await reader.readuntil(b"\r\n\r\n")
                    writer.write(reply(b"{}"))
                await serving.wait()
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            ended.release()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        sent = transport(f"http://127.0.0.1:{port}", timeout=0.2)
        await asyncio.gather(*(sent.poll(GET) for _ in range(3)), return_exceptions=True)
        await asyncio.gather(*(sent.poll(GET) for _ in range(4)), return_exceptions=True)
        await sent.aclose()
        left = [one for one in gc.get_objects() if isinstance(one, socket.socket) and one.fileno() >= 0]
        assert not any(_peer_port(one) == port for one in left)
        serving.set()
        server.close()
        for _ in range(opened):
            await ended.acquire()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(main())
        gc.collect()


def _peer_port(one: socket.socket) -> int:
    try:
        peer = one.getpeername()
    except OSError:
        return 0
    return int(peer[1]) if len(peer) > 1 else 0
