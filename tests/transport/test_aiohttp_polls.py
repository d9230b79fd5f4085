"""With the extra, polls go through aiohttp and submissions never do.

Rules of every poll are in `test_api.py`, which the session `aiohttp` runs with the extra, too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from anyio.abc import SocketStream

from kling_async.errors import AnswerLost, ProviderUnavailable
from kling_async.providers.authorizers import KeyAuthorizer
from kling_async.transport.api import ApiTransport
from kling_async.transport.connections import LazySSLContext
from kling_async.transport.credentials import Credential
from kling_async.types.http import HttpRequest

from ..conftest import Serve, read_request, reply

pytest.importorskip("aiohttp", reason="the extra aiohttp is not installed")

pytestmark = pytest.mark.anyio

KEY = "sk-canary-7f3a9b"
POST = HttpRequest(method="POST", path="/api/v3/kwaivgi/kling-image-o1/text-to-image", body=b'{"prompt":"a cat"}')
GET = HttpRequest(method="GET", path="/api/v3/predictions/abc/result")
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


def transport(origin: str) -> ApiTransport:
    credential = Credential(key=KEY, origin=origin, authorizer=KeyAuthorizer(KEY, scheme="bearer"))
    return ApiTransport(
        provider="gptproto", credential=credential, timeout=5.0, tls=LazySSLContext(), submit_connections=8
    )


def answering(seen: list[bytes], answer: bytes) -> Callable[[SocketStream], Awaitable[None]]:
    """Answer every request in the same way."""

    async def handle(stream: SocketStream) -> None:
        while True:
            seen.append(await read_request(stream))
            await stream.send(answer)

    return handle


@on_asyncio
async def test_polls_go_through_aiohttp_and_submissions_do_not(serve: Serve, anyio_backend: str) -> None:
    """Both carry the key and ask for no compression; only a poll is aiohttp's; a cookie does not come back."""
    seen: list[bytes] = []
    async with serve(answering(seen, reply(b"{}", headers="Set-Cookie: who=you\r\n"))) as address:
        origin = address.replace("127.0.0.1", "localhost")  # numbers get no cookies from aiohttp in any case
        sent = transport(origin)
        assert b"{}" == (await sent.submit(POST)).body
        assert sent._aiohttp is None
        for _ in range(2):
            assert b"{}" == (await sent.poll(GET)).body
        assert sent._aiohttp is not None
        await sent.aclose()
    assert 3 == len(seen)
    for request in seen:
        host = f"host: {origin.removeprefix('http://')}\r\n"
        assert 1 == request.lower().count(host.encode())
        assert 1 == request.lower().count(f"authorization: bearer {KEY}\r\n".encode())
        assert 1 == request.lower().count(b"accept: application/json\r\n")
        assert 1 == request.lower().count(b"accept-encoding: identity\r\n")
        assert 1 == request.lower().count(b"user-agent: kling-async/")
        assert b"cookie" not in request.lower()


async def test_a_query_is_sent_as_it_is(serve: Serve) -> None:
    """A path may have a query, whose commas separate ids: neither backend encodes it again."""
    seen: list[bytes] = []
    async with serve(answering(seen, reply(b"{}"))) as origin:
        sent = transport(origin)
        await sent.poll(HttpRequest(method="GET", path="/tasks?task_ids=a,b%20c"))
        await sent.aclose()
    assert [b"GET /tasks?task_ids=a,b%20c HTTP/1.1"] == [request.partition(b"\r\n")[0] for request in seen]


async def test_a_reply_is_read_the_same_way(serve: Serve) -> None:
    """Status, body and headers are those of the reply; a header that comes twice is one with both values."""
    answer = reply(b"slow down", status="429 Too Many Requests", headers="Retry-After: 7\r\nVia: a\r\nVia: b\r\n")
    async with serve(answering([], answer)) as origin:
        sent = transport(origin)
        came = await sent.poll(GET)
        await sent.aclose()
    assert (429, b"slow down") == (came.status, came.body)
    assert {"retry-after": "7", "via": "a, b", "content-length": "9"} == came.headers


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_trio_does_without(serve: Serve, anyio_backend: str) -> None:
    """Aiohttp runs on asyncio alone, so on trio polls use httpcore."""
    async with serve(answering([], reply(b"{}"))) as origin:
        sent = transport(origin)
        await sent.poll(GET)
        assert await sent._find_aiohttp() is None
        await sent.aclose()


@on_asyncio
async def test_a_cut_answer_to_a_poll_is_no_more_than_that(serve: Serve, anyio_backend: str) -> None:
    """Aiohttp asks once more by itself, which a poll may be; a submission on the same account is still sent once."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        seen.append(await read_request(stream))

    async with serve(handle) as origin:
        sent = transport(origin)
        with pytest.raises(ProviderUnavailable):
            await sent.poll(GET)
        assert len(seen) <= 2
        seen.clear()
        with pytest.raises(AnswerLost):
            await sent.submit(POST)
        assert 1 == len(seen)
        await sent.aclose()


@on_asyncio
async def test_what_aiohttp_raises_does_not_carry_the_key_out(serve: Serve, anyio_backend: str) -> None:
    """Its errors hold the request with its headers; ours, and their causes, show the message alone."""
    async with serve(answering([], b"garbage\r\n\r\n")) as origin:
        sent = transport(origin)
        with pytest.raises(ProviderUnavailable, match="Bad status line") as caught:
            await sent.poll(GET)
        await sent.aclose()
    one: BaseException | None = caught.value
    while one is not None:
        assert KEY not in f"{one!r} {one!s} {vars(one)!r}"
        one = one.__cause__ or one.__context__
    assert "\n" not in str(caught.value)
