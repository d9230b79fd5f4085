"""With the extra, polls go through aiohttp and submissions never do."""

from __future__ import annotations

import sys

import pytest
from anyio.abc import SocketStream

from kling_async.effects.credentials import Credential
from kling_async.effects.lanes import TlsContext
from kling_async.effects.transport import Transport
from kling_async.errors import AnswerLost, ProviderUnavailable
from kling_async.wire import HttpRequest

from ..conftest import Serve, read_request, reply

pytest.importorskip("httpx_aiohttp", reason="the extra aiohttp is not installed")

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

KEY = "sk-canary-7f3a9b"
POST = HttpRequest(method="POST", path="/api/v3/kwaivgi/kling-image-o1/text-to-image", body=b'{"prompt":"a cat"}')
GET = HttpRequest(method="GET", path="/api/v3/predictions/abc/result")


def transport(origin: str) -> Transport:
    credential = Credential(key=KEY, origin=origin, scheme="bearer")
    return Transport(provider="gptproto", credential=credential, timeout=5.0, tls=TlsContext())


async def test_polls_go_through_aiohttp_and_submissions_do_not(serve: Serve, anyio_backend: str) -> None:
    """Both carry the key and ask for no compression; only a poll is aiohttp's; a cookie does not come back."""
    seen: list[bytes] = []

    async def handle(stream: SocketStream) -> None:
        while True:
            seen.append(await read_request(stream))
            await stream.send(reply(b"{}", headers="Set-Cookie: who=you\r\n"))

    async with serve(handle) as origin:
        sent = transport(origin)
        assert b"{}" == (await sent.submit(POST)).body
        assert "aiohttp.client" not in sys.modules or sent._polls._pool is None
        for _ in range(2):
            assert b"{}" == (await sent.poll(GET)).body
        assert sent._polls._pool is not None
        assert sent._submits._pool is None
        await sent.aclose()
    assert 3 == len(seen)
    for request in seen:
        assert 1 == request.lower().count(f"authorization: bearer {KEY}\r\n".encode())
        assert b"accept-encoding: identity\r\n" in request.lower()
        assert b"cookie" not in request.lower()


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
