"""Whether a byte left, where the key goes, and how much is read: over real sockets of this machine."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import httpcore
import httpx
import pytest
import trustme
from anyio.abc import SocketStream
from anyio.streams.tls import TLSListener
from attrs import evolve

from kling_async.errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from kling_async.providers.authorizers import KeyAuthorizer
from kling_async.system.clock import Clock, SystemClock
from kling_async.transport.api import ApiTransport
from kling_async.transport.connections import Connection, ConnectionPool, read_body
from kling_async.transport.credentials import Credential
from kling_async.transport.tls import LazySSLContext
from kling_async.types.authorizer import Authorizer
from kling_async.types.http import MAX_BODY_BYTES, HttpRequest

from ..conftest import Serve, read_request, reply
from ..ports import free_port

pytestmark = pytest.mark.anyio

KEY = "sk-canary-7f3a9b"
POST = HttpRequest(method="POST", path="/api/v3/kwaivgi/kling-image-o1/text-to-image", body=b'{"prompt":"a cat"}')
GET = HttpRequest(method="GET", path="/api/v3/predictions/abc/result")


def transport(
    origin: str,
    *,
    timeout: float = 5.0,
    shared: httpx.AsyncBaseTransport | None = None,
    authorizer: Authorizer | None = None,
    clock: Clock | None = None,
) -> ApiTransport:
    authorizer = authorizer or KeyAuthorizer(KEY, scheme="bearer")
    credential = Credential(key=KEY, origin=origin, authorizer=authorizer)
    return ApiTransport(
        provider="gptproto",
        credential=credential,
        timeout=timeout,
        tls=LazySSLContext(),
        submit_connections=8,
        shared=shared,
        clock=clock,
    )


async def failure(sent: ApiTransport, request: HttpRequest) -> KlingError:
    """Send, expect an error of ours, and hold it against the rule that no error shows the key."""
    with pytest.raises(KlingError) as caught:
        await (sent.submit(request) if request.method == "POST" else sent.poll(request))
    await sent.aclose()
    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert KEY not in shown
    assert KEY not in repr(caught.value.__cause__)
    return caught.value


async def test_a_reply_comes_whole_and_carries_the_key_once(serve: Serve) -> None:
    """A submission is one POST with its body, the key in the Authorization header, and no compression asked for."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        await stream.send(reply(b'{"code":200}', headers="X-Test: yes\r\n"))

    async with serve(handle) as origin:
        sent = transport(origin)
        answer = await sent.submit(POST)
        await sent.aclose()
    assert 200 == answer.status
    assert b'{"code":200}' == answer.body
    assert "yes" == answer.headers["x-test"]
    assert 1 == len(seen)
    assert seen[0].startswith(b"POST /api/v3/kwaivgi/kling-image-o1/text-to-image HTTP/1.1\r\n")
    assert seen[0].endswith(b'\r\n\r\n{"prompt":"a cat"}')
    assert 1 == seen[0].count(f"Authorization: Bearer {KEY}\r\n".encode())
    assert b"Accept-Encoding: identity\r\n" in seen[0]
    assert b"User-Agent: kling-async/" in seen[0]


class Renewed:
    """Sends a token that holds the time at which it was made."""

    def header(self, now: float) -> tuple[str, str]:
        return ("Authorization", f"Key token-{now:g}")


class Stepped(SystemClock):
    """A clock that shows one second more each time it is read."""

    def __init__(self) -> None:
        self._seconds = 1000.0

    def utc(self) -> datetime:
        self._seconds += 1.0
        return datetime.fromtimestamp(self._seconds, UTC)


async def test_each_request_carries_a_header_of_its_own_time(serve: Serve) -> None:
    """A token may expire, so submissions and polls ask for the header each time, with the clock's seconds of UTC."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        while True:
            seen.append(await read_request(stream))
            await stream.send(reply(b"{}"))

    async with serve(handle) as origin:
        sent = transport(origin, authorizer=Renewed(), clock=Stepped())
        for request in (POST, GET, GET, POST):
            await (sent.submit(request) if request.method == "POST" else sent.poll(request))
        await sent.aclose()
    lines = [line for request in seen for line in request.lower().split(b"\r\n") if line.startswith(b"authorization")]
    times = [float(line.removeprefix(b"authorization: key token-")) for line in lines]
    assert 4 == len(times)
    assert times == sorted(set(times))


class Mumbling(httpx.AsyncBaseTransport):
    """Fails with an error that shows what it could not read."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.RemoteProtocolError(f"illegal status line: bytearray(b'HTTP/1.1 {KEY}')\n\x1b[2J\u202e")


@pytest.mark.parametrize("request_", [POST, GET])
async def test_an_error_of_a_library_repeats_neither_key_nor_codes(request_: HttpRequest) -> None:
    """What a library shows of a line that it could not read is shown without the key, and as one plain line."""
    error = await failure(transport("http://a.test", shared=Mumbling()), request_)
    assert "illegal status line: bytearray(b'HTTP/1.1 [key]')" in error.message
    assert error.__cause__ is None
    assert not [sign for sign in str(error) if not sign.isprintable() and sign != "\N{REPLACEMENT CHARACTER}"]


async def test_a_header_that_repeats_the_key(serve: Serve) -> None:
    """Headers come without the key; a body that is packed is left for where it is unpacked, and its repr shows none."""
    stored = gzip.compress(f'{{"a": "{KEY}"}}'.encode(), 0)

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(stored, headers=f"X-Key: Bearer {KEY}\r\nContent-Encoding: gzip\r\n"))

    async with serve(handle) as origin:
        sent = transport(origin)
        answer = await sent.submit(POST)
        await sent.aclose()
    assert stored == answer.body
    assert "Bearer [key]" == answer.headers["x-key"]
    assert KEY not in repr(answer)
    assert "x [key]" == answer.redact(f"x {KEY}")


async def test_refused_connection_was_not_sent() -> None:
    """Without a listener no byte leaves."""
    error = await failure(transport(f"http://127.0.0.1:{free_port()}"), POST)
    assert isinstance(error, NotSent)
    assert "refused" == error.reason
    assert not error.may_be_billed


async def test_unknown_host_was_not_sent() -> None:
    """A name that cannot be resolved has a reason of its own (RFC 6761 reserves .invalid)."""
    error = await failure(transport("http://unknown.invalid"), POST)
    assert isinstance(error, NotSent)
    assert "dns" == error.reason


async def test_connection_that_never_opens_was_not_sent() -> None:
    """A deadline that passes before the connection is there leaves nothing unconfirmed."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        taken = [socket.socket() for _ in range(8)]
        for one in taken:
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = await failure(transport(f"http://127.0.0.1:{full.getsockname()[1]}", timeout=0.2), POST)
        for one in taken:
            one.close()
    assert isinstance(error, NotSent)
    assert "timeout" == error.reason


async def test_untrusted_certificate_was_not_sent() -> None:
    """A failed TLS handshake is a wrong setting, and nothing was sent; a poll says that it is the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    seen: list[bytes] = []

    async def handle(stream: object) -> None:
        seen.append(b"a request came through")

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(anyio.abc.SocketAttribute.local_port)
    listener = TLSListener(plain, ssl_context=context, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        error = await failure(transport(f"https://localhost:{port}"), POST)
        unheard = await failure(transport(f"https://localhost:{port}"), GET)
        group.cancel_scope.cancel()
    assert isinstance(error, NotSent)
    assert "tls" == error.reason
    assert ProviderUnavailable is type(unheard)
    assert "certificate" in unheard.message.lower()
    assert [] == seen


async def test_certificates_that_cannot_be_read_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken file of authorities fails each request in our own words, and nothing else."""
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert isinstance(await failure(transport("https://localhost:1"), POST), KlingError)
    assert isinstance(await failure(transport("https://localhost:1"), GET), ProviderUnavailable)


async def test_tls_to_a_trusted_server_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An authority of one's own is trusted by SSL_CERT_FILE, as everywhere."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))

    async def handle(stream: SocketStream) -> None:
        async with stream:
            for _ in range(2):
                await read_request(stream)
                await stream.send(reply(b"{}"))

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = plain.extra(anyio.abc.SocketAttribute.local_port)
    listener = TLSListener(plain, ssl_context=context, standard_compatible=False)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, handle)
        sent = transport(f"https://localhost:{port}")
        for _ in range(2):
            assert b"{}" == (await sent.submit(POST)).body
            assert b"{}" == (await sent.poll(GET)).body
        await sent.aclose()
        group.cancel_scope.cancel()


CUTS = {
    "at once": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
    "half a body": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
    "half a body with the key": b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + KEY.encode(),
    "half a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{",
    "garbage": b"\x00\xff garbage\r\n\r\n",
    "huge header": b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("answer", CUTS.values(), ids=CUTS.keys())
@pytest.mark.parametrize("request_", [POST, GET], ids=["POST", "GET"])
async def test_a_cut_answer_is_lost_and_asked_for_once(serve: Serve, answer: bytes, request_: HttpRequest) -> None:
    """What left and came back broken is AnswerLost for a submission, which is never repeated; a poll was not heard."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        await stream.send(answer) if answer else None

    async with serve(handle) as origin:
        error = await failure(transport(origin), request_)
    assert (AnswerLost if request_ is POST else ProviderUnavailable) is type(error)
    assert (request_ is POST) == error.may_be_billed
    assert 1 == len(seen) or (request_ is GET and 2 == len(seen))  # an odd response is read by a library as well


async def test_a_reused_connection_that_was_closed_loses_the_answer(serve: Serve) -> None:
    """The second submission on a connection which the server closes on receipt is lost, not sent again."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        await stream.send(reply(b"{}"))
        seen.append(await read_request(stream))

    async with serve(handle) as origin:
        sent = transport(origin)
        await sent.submit(POST)
        error = await failure(sent, POST)
    assert isinstance(error, AnswerLost)
    assert 2 == len(seen)


async def _trickle(stream: SocketStream) -> None:
    await read_request(stream)
    for letter in "HTTP/1.1 200 OK\r\nX-Slow: " + "a" * 2000:
        await stream.send(letter.encode())
        await anyio.sleep(0.01)


async def _head_then_trickle(stream: SocketStream) -> None:
    await read_request(stream)
    await stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    for _ in range(2000):
        await stream.send(b" ")
        await anyio.sleep(0.01)


async def _endless_interim(stream: SocketStream) -> None:
    await read_request(stream)
    for _ in range(2000):
        await stream.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        await anyio.sleep(0.01)


@pytest.mark.parametrize("handle", [_trickle, _head_then_trickle, _endless_interim])
@pytest.mark.parametrize("request_", [POST, GET], ids=["POST", "GET"])
async def test_every_exchange_ends_by_its_deadline(
    serve: Serve, handle: Callable[[SocketStream], object], request_: HttpRequest
) -> None:
    """Slow heads, slow bodies and endless interim replies end by the deadline, though each read is quick."""
    async with serve(handle) as origin:  # type: ignore[arg-type]
        began = anyio.current_time()
        error = await failure(transport(origin, timeout=0.5), request_)
        took = anyio.current_time() - began
    assert isinstance(error, AnswerLost if request_ is POST else ProviderUnavailable)
    assert "0.5 s" in error.message
    assert took < 10.0  # half of what the whole reply takes


async def test_a_long_reply_is_not_read_to_its_end(serve: Serve) -> None:
    """Beyond 4 MiB a reply is given up: lost for a submission, unexpected for a poll."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        for _ in range(MAX_BODY_BYTES // 65536 + 8):
            await stream.send(b" " * 65536)

    async with serve(handle) as origin:
        assert isinstance(await failure(transport(origin), POST), AnswerLost)
        assert isinstance(await failure(transport(origin), GET), UnexpectedReply)


async def test_compressed_bombs_stay_packed(serve: Serve) -> None:
    """A body that came compressed unasked is handed on as it came; what unpacks it is bounded."""
    bomb = gzip.compress(b" " * 50_000_000)

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(bomb, headers="Content-Encoding: gzip\r\n"))

    async with serve(handle) as origin:
        sent = transport(origin)
        assert bomb == (await sent.poll(GET)).body
        await sent.aclose()


async def test_redirects_are_never_followed(serve: Serve) -> None:
    """A redirect is an answer like any other: httpx would send a POST again on 307."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))
        await stream.send(reply(b"", status="307 Temporary Redirect", headers="Location: http://127.0.0.1:1/\r\n"))

    async with serve(handle) as origin:
        sent = transport(origin)
        assert 307 == (await sent.submit(POST)).status
        assert 307 == (await sent.poll(GET)).status
        await sent.aclose()
    assert 2 == len(seen)


async def test_a_key_that_a_provider_repeats_is_taken_out(serve: Serve) -> None:
    """What is kept of a reply never holds the key, even if the provider prints it back."""

    async def handle(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(f'{{"error":{{"message":"wrong key {KEY}"}}}}'.encode(), status="401 Unauthorized"))

    async with serve(handle) as origin:
        sent = transport(origin)
        bodies = [(await sent.submit(POST)).body, (await sent.poll(GET)).body]
        await sent.aclose()
    for body in bodies:
        assert KEY.encode() not in body
        assert b"wrong key [key]" in body


async def test_nothing_logs_the_key(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """With every logger at its most talkative, the key shows in no record."""
    caplog.set_level(logging.DEBUG)

    async def handle(stream: SocketStream) -> None:
        while True:
            await read_request(stream)
            await stream.send(reply(b"{}"))

    async with serve(handle) as origin:
        sent = transport(origin)
        await sent.submit(POST)
        await sent.submit(evolve(POST, body=b'"' + b"a" * 20_000 + b'"'))  # over httpcore on either event loop
        await sent.poll(GET)
        await sent.aclose()
    assert [record for record in caplog.records if "send_request_headers" in record.getMessage()]
    assert KEY not in caplog.text
    assert not [record for record in caplog.records if KEY in repr(record.__dict__)]


class _Silent(httpx.AsyncBaseTransport):
    """A transport that fails and reports no trace events."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise self.error


@pytest.mark.parametrize(
    "error", [httpx.ConnectError("x"), httpx.ConnectTimeout("x"), ConnectionResetError(), KeyError()]
)
async def test_a_transport_that_proves_nothing_loses_answers(error: Exception) -> None:
    """A connect error of a foreign transport proves nothing: httpx-aiohttp raises it for a disconnect."""
    assert isinstance(await failure(transport("http://127.0.0.1:1", shared=_Silent(error)), POST), AnswerLost)


async def test_a_transport_of_the_users_carries_polls_too() -> None:
    """A transport of the user's gets every request, with its full URL."""
    seen: list[str] = []

    async def handle(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        assert "target" not in request.extensions  # httpcore would tell it to a proxy of the user's
        return httpx.Response(200, content=b"{}")

    sent = transport("http://127.0.0.1:1", shared=httpx.MockTransport(handle))
    await sent.poll(GET)
    await sent.submit(POST)
    await sent.aclose()
    assert [f"http://127.0.0.1:1{request.path}" for request in (GET, POST)] == seen


async def test_lanes_are_reused_and_bounded(serve: Serve) -> None:
    """In sequence, exchanges share the latest connection; beyond the pool's size they wait."""
    open_now = most = connections = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal open_now, most, connections
        connections += 1
        while True:
            await read_request(stream)
            open_now += 1
            most = max(most, open_now)
            await anyio.sleep(0.1)
            open_now -= 1
            await stream.send(reply(b"{}"))

    async with serve(handle) as origin:
        sent = transport(origin)
        for _ in range(3):
            await sent.submit(POST)
        assert 1 == connections
        async with anyio.create_task_group() as group:
            for _ in range(24):
                group.start_soon(sent.submit, POST)
        await sent.aclose()
    assert 8 == most
    assert 8 == connections


async def answer(stream: SocketStream) -> None:
    """Answer every request alike."""
    while True:
        await read_request(stream)
        await stream.send(reply(b"{}"))


@asynccontextmanager
async def one_connection(origin: str) -> AsyncIterator[ConnectionPool]:
    """Open a pool of one connection."""
    pool = ConnectionPool(1, origin=origin, idle_seconds=1.0, tls=LazySSLContext(), shared=None)
    yield pool
    await pool.aclose()


async def use(connection: Connection, origin: str) -> None:
    """Send a request over a connection, and read the response."""
    await read_body(
        await connection.handle_async_request(httpcore.Request("GET", origin, headers=[("Host", "x")])), len
    )


async def test_a_lane_that_broke_is_not_put_back(serve: Serve) -> None:
    """After an error a connection is closed, and the next exchange opens another; after a success it is reused."""
    async with serve(answer) as origin, one_connection(origin) as pool:
        with pytest.raises(ValueError, match="broken"):
            async with pool.acquire() as first:
                await use(first, origin)
                raise ValueError("broken")
        async with pool.acquire() as second:
            assert first is not second
            await use(second, origin)
        async with pool.acquire() as third:
            assert second is third


async def test_a_lane_that_the_server_closed_is_not_used_again(serve: Serve) -> None:
    """A connection that was closed while idle is detected before a request is written to it."""

    async def once(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(reply(b"{}"))

    async with serve(once) as origin, one_connection(origin) as pool:
        async with pool.acquire() as first:
            await use(first, origin)
        while not first.has_expired():
            await anyio.sleep(0.001)
        async with pool.acquire() as second:
            assert first is not second
            await use(second, origin)


async def test_all_lanes_share_one_tls_context() -> None:
    """The long file of certificates is read once, and not at all for plain http."""
    tls = LazySSLContext()
    assert await tls.get("https://a.example") is await tls.get("https://b.example")
    assert await tls.get("http://a.example") is not await tls.get("https://a.example")


@pytest.mark.parametrize("request_", [POST, GET], ids=["submission", "poll"])
async def test_what_comes_behind_a_reply_answers_nothing(serve: Serve, request_: HttpRequest) -> None:
    """A second reply that comes with the first is not taken for that of the next request."""
    connections = 0

    async def handle(stream: SocketStream) -> None:
        nonlocal connections
        connections += 1
        while True:
            await read_request(stream)
            await stream.send(reply(b"own") + (reply(b"evil") if connections == 1 else b""))

    async with serve(handle) as origin:
        sent = transport(origin)
        send = sent.submit if request_.method == "POST" else sent.poll
        assert [b"own"] * 3 == [(await send(request_)).body for _ in range(3)]
        await sent.aclose()
    assert 2 == connections


async def test_a_connection_that_shows_nothing_is_used_once(serve: Serve) -> None:
    """Where it cannot be seen what came behind a reply, a connection is not used again."""
    async with serve(answer) as origin, one_connection(origin) as pool:
        async with pool.acquire() as first:
            await use(first, origin)
            inside: Any = vars(first)["_connection"]
            inside._another_name = vars(inside).pop("_h11_state")
        async with pool.acquire() as second:
            assert first is not second


async def test_after_a_piece_that_was_not_taken_comes_none() -> None:
    """Once a piece could not be taken, as on a full disk, those behind it must not be put in its place."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"two", b"three"):
            yield piece

    taken: list[bytes] = []

    def take(piece: bytes) -> None:
        taken.append(piece)
        if piece == b"two":
            raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        await read_body(httpx.Response(200, content=pieces()), take)
    assert [b"one", b"two"] == taken
