"""Uploads of local media: one request with the API key to the provider's own upload origin, and the content's way.

A content may go to another host, which the provider names. That host gets no API key, and it is checked like that of a
download. Contents are streamed: no more than a piece of one is in memory. Uploads cost nothing, so that each may be
repeated.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol, TypeAlias

import anyio
import httpx
from attrs import define, field

from ..system.clock import Clock
from ..system.interrupts import interrupts_resent
from ..types.errors import KlingError, ProviderUnavailable
from ..types.http import MAX_BODY_BYTES, HttpResponse
from ..types.uploads import UploadRequest, UploadTicket
from .connections import HttpTransport, read_body
from .credentials import Credential
from .failures import describe
from .foreign import UnsafeUrl, checked_url, pinned_request, resolve, send_to_any
from .tls import LazySSLContext

__all__ = ["Content", "UploadTransport"]

_STALL: Final = 30.0
"""Seconds without a byte after which a connection is abandoned."""
_SLOWEST: Final = 64 * 1024
"""Bytes a second that an upload is given time for, beyond the time of any request."""
_Send: TypeAlias = Callable[[httpx.AsyncBaseTransport], Awaitable[httpx.Response]]
_TIMEOUTS: Final = {"connect": _STALL, "read": _STALL, "write": _STALL, "pool": None}


class Content(Protocol):
    """A content that can be read from its beginning any number of times."""

    @property
    def length(self) -> int:
        """Its length in bytes."""
        ...

    def pieces(self) -> AsyncGenerator[bytes]:
        """Yield it piece by piece. Raises KlingError if it cannot be read."""
        ...


@define
class _Body(httpx.AsyncByteStream):
    """The body of a request: a content, and what is around it."""

    content: Content
    before: bytes = field(repr=False, default=b"")
    after: bytes = field(repr=False, default=b"")
    _read: list[AsyncGenerator[bytes]] = field(init=False, repr=False, factory=list[AsyncGenerator[bytes]])

    @property
    def length(self) -> int:
        return len(self.before) + self.content.length + len(self.after)

    def __aiter__(self) -> AsyncGenerator[bytes]:
        pieces = self._pieces()
        self._read.append(pieces)
        return pieces

    async def aclose(self) -> None:
        """Close what a request that has broken off leaves in the middle: no HTTP library does."""
        for pieces in self._read:
            await pieces.aclose()

    async def _pieces(self) -> AsyncGenerator[bytes]:
        if self.before:
            yield self.before
        async with aclosing(self.content.pieces()) as pieces:
            async for piece in pieces:
                yield piece
        if self.after:
            yield self.after


class UploadTransport:
    """Carries the uploads of one provider account.

    Args:
        provider: its name, for errors.
        credential: the key and the upload origin, which is the only one that gets it.
        timeout: seconds for a request, and more by the length of what it sends.
        tls: the context for https.
        clock: source of the time that the Authorization header is made for.
        loopback: permit this machine as the place for a content, for a provider that runs on it.
        shared: a transport of the user's that carries everything instead.
    """

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        timeout: float,
        tls: LazySSLContext,
        clock: Clock,
        loopback: bool,
        shared: HttpTransport | None = None,
    ) -> None:
        self._provider = provider
        self._credential = credential
        self._timeout = timeout
        self._tls = tls
        self._clock = clock
        self._loopback = loopback
        self._shared = shared

    @property
    def origin(self) -> str:
        """The origin that the key is sent to."""
        return self._credential.origin

    async def begin(self, upload: UploadRequest, content: Content) -> HttpResponse:
        """Send the request that begins an upload, with the API key; also the content, if that is part of it.

        Raises:
            ProviderUnavailable: no complete response came.
            KlingError: the content cannot be read.
        """
        origin = self._credential.origin
        body = _Body(content, upload.request.body, upload.after) if upload.has_content else None
        length = len(upload.request.body) if body is None else body.length
        headers = httpx.Headers({"Host": _host(origin), "Accept": "application/json", "Accept-Encoding": "identity"})
        headers.update({"Content-Type": upload.content_type, "Content-Length": str(length)})
        headers.update(dict(upload.request.headers))
        headers.update(self._credential.headers_for(origin, now=self._clock.utc().timestamp()))
        stream: httpx.AsyncByteStream = httpx.ByteStream(upload.request.body) if body is None else body
        request = httpx.Request(
            upload.request.method,
            f"{origin}{upload.request.path}",
            headers=headers,
            stream=stream,
            extensions={"timeout": _TIMEOUTS},
        )
        deadline = self._deadline(length)
        async with aclosing(stream):
            return await self._exchange(origin, deadline, lambda transport: transport.handle_async_request(request))

    async def put(self, ticket: UploadTicket, content: Content) -> HttpResponse:
        """Put a content where a ticket says, without the API key.

        Raises:
            ProviderUnavailable: no complete response came, or the place is none that is used.
            KlingError: the content cannot be read.
        """
        try:
            url = checked_url(ticket.url, loopback=self._loopback)
        except UnsafeUrl as error:
            raise self._unsafe(error) from None
        async with aclosing(_Body(content)) as body:
            return await self._put(url, ticket, body)

    async def _put(self, url: httpx.URL, ticket: UploadTicket, body: _Body) -> HttpResponse:
        deadline = self._deadline(body.length)
        headers = httpx.Headers({**ticket.headers, "Host": _host(url), "Content-Length": str(body.length)})
        if self._shared is not None:
            request = httpx.Request("PUT", url, headers=headers, stream=body, extensions={"timeout": _TIMEOUTS})
            return await self._exchange(url.host, deadline, lambda shared: shared.handle_async_request(request))
        try:
            addresses = await resolve(url, loopback=self._loopback)
        except UnsafeUrl as error:
            raise self._unsafe(error) from None
        except OSError:
            raise ProviderUnavailable(f"{url.host} cannot be resolved", provider=self._provider) from None

        async def send(transport: httpx.AsyncBaseTransport) -> httpx.Response:
            return await send_to_any(
                transport,
                addresses,
                lambda address: pinned_request("PUT", url, address, headers=headers, timeouts=_TIMEOUTS, content=body),
            )

        return await self._exchange(f"{url.scheme}://{url.host}", deadline, send)

    def _deadline(self, length: int) -> float:
        return self._timeout + length / _SLOWEST

    async def _exchange(self, place: str, deadline: float, send: _Send) -> HttpResponse:
        try:
            async with self._transport(place) as transport:
                with anyio.fail_after(deadline), interrupts_resent():
                    return await self._read(await send(transport))
        except KlingError:
            raise
        except Exception as error:  # noqa: BLE001 - any error of a transport means the same: it can be repeated
            # Not from the error: its frames hold the key, or an address that is signed.
            raise ProviderUnavailable(self._lost(error, place, deadline), provider=self._provider) from None

    @asynccontextmanager
    async def _transport(self, place: str) -> AsyncGenerator[httpx.AsyncBaseTransport]:
        if self._shared is not None:
            yield self._shared
            return
        context = await self._tls.get(place if "://" in place else f"https://{place}")
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport:
            yield transport

    async def _read(self, response: httpx.Response) -> HttpResponse:
        body = bytearray()

        def append(piece: bytes) -> None:
            body.extend(piece)
            if len(body) > MAX_BODY_BYTES:
                raise ProviderUnavailable("The reply to an upload is too long", provider=self._provider)

        await read_body(response, append)
        redact = self._credential.redact
        return HttpResponse(
            status=response.status_code,
            headers={name: redact(text) for name, text in response.headers.items()},
            body=self._credential.redact_bytes(bytes(body)),
            redact=redact,
        )

    def _unsafe(self, error: UnsafeUrl) -> ProviderUnavailable:
        where = "" if error.shown is None else f": {error.shown}"
        message = f"The place that {self._provider} named for the content {error}{where}"
        return ProviderUnavailable(message, provider=self._provider)

    def _lost(self, error: Exception, place: str, deadline: float) -> str:
        if isinstance(error, TimeoutError):
            return f"The upload to {place} was not complete within {deadline:.3g} s"
        return f"The upload to {place} broke off: {describe(error, redact=self._redacted)}"

    def _redacted(self, text: str) -> str:
        return self._credential.redact(text).partition("?")[0]


def _host(url: str | httpx.URL) -> str:
    return httpx.URL(url).netloc.decode("ascii")
