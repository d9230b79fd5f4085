"""Uploads that break off leave nothing open."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import httpx
import pytest
from attrs import define

from kling_async import ProviderUnavailable
from kling_async.system.clock import SystemClock
from kling_async.transport.credentials import Credential
from kling_async.transport.tls import LazySSLContext
from kling_async.transport.uploads import UploadTransport
from kling_async.types.uploads import UploadTicket

pytestmark = pytest.mark.anyio


@define
class Counted:
    """A content that counts its readers."""

    length: int = 4
    opened: int = 0
    closed: int = 0

    async def pieces(self) -> AsyncGenerator[bytes]:
        self.opened += 1
        try:
            yield b"ab"
            yield b"cd"
        finally:
            self.closed += 1


class BreakingOff(httpx.AsyncBaseTransport):
    """A transport that reads a part of the body, and fails."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.AsyncByteStream)
        assert b"ab" == await anext(aiter(request.stream))
        raise httpx.WriteError("the connection is gone")


async def test_a_content_that_is_half_read_is_closed() -> None:
    """Not when it is garbage collected, which under trio is a warning, and would keep its file open until then."""
    content, clock = Counted(), SystemClock()
    origin = "https://uploads.example.com"
    transport = UploadTransport(
        provider="wavespeed",
        credential=Credential(key="sk-1", origin=origin, authorizer=None),
        timeout=5.0,
        tls=LazySSLContext(),
        clock=clock,
        loopback=False,
        shared=BreakingOff(),
    )
    with pytest.raises(ProviderUnavailable):
        await transport.put(UploadTicket(url=f"{origin}/place", headers={}, address=f"{origin}/cat.png"), content)
    assert (1, 1) == (content.opened, content.closed)
