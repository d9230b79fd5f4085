"""Requests for outputs: to public addresses only, through a few redirects, each of them checked like the first."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Final, cast

import anyio
import httpx

from ..system.interrupts import interrupts_resent
from ..types.errors import DownloadError
from .credentials import Credential
from .foreign import UnsafeUrl, checked_url, parsed_url, pinned_request, resolve, send_to_any
from .host_limits import HostLimiter, TimeBudget
from .output_connections import OutputConnections
from .ranges import TransientError
from .tls import LazySSLContext

__all__ = ["OutputRequests", "read_pieces", "redacted"]

_REDIRECTS: Final = 3
_STALL: Final = 30.0
"""Seconds without a byte after which a connection is abandoned."""
_PER_HOST: Final = 4
"""Maximum number of connections to one host: more of them share the same bandwidth, and resemble an attack."""


class OutputRequests:
    """Sends the requests for outputs.

    Args:
        tls: the context for https.
        shared: a transport of the user's that carries everything instead.
    """

    def __init__(self, *, tls: LazySSLContext, shared: httpx.AsyncBaseTransport | None) -> None:
        self._tls = tls
        self._shared = shared
        self._hosts = HostLimiter(_PER_HOST)
        self.connections = OutputConnections()

    @asynccontextmanager
    async def open(
        self,
        url: str,
        headers: Mapping[str, str],
        budget: TimeBudget,
        *,
        loopback: bool,
        credential: Credential | None,
        now: float,
    ) -> AsyncGenerator[httpx.Response]:
        """Open a URL, following a few redirects, none of them with the API key.

        No time limit is left running while the response is used: whoever reads it may wait between two pieces.

        Args:
            budget: the seconds that are left until the head of the response.
            loopback: permit this machine, and http to it.
            credential: the API key, for a URL on its own origin.
            now: seconds since 1970.
        """
        sent = _authorized(headers, url, credential, now)
        for _ in range(_REDIRECTS + 1):
            target = _checked(url, loopback=loopback)
            async with self._hosts.acquire(target.host), AsyncExitStack() as stack:
                with budget.running():
                    response = await stack.enter_async_context(self._connect(target, sent, loopback=loopback))
                if response.status_code not in (301, 302, 303, 307, 308):
                    yield response
                    return
            # A redirect that repeats the key is spoilt here, so that it shows in no traceback.
            url = str(_parsed(redacted(response.headers.get("location", ""), credential), base=target))
            sent.pop("Authorization", None)
        raise DownloadError(f"The output's URL redirects more than {_REDIRECTS} times")

    @asynccontextmanager
    async def _connect(
        self, url: httpx.URL, headers: httpx.Headers, *, loopback: bool
    ) -> AsyncGenerator[httpx.Response]:
        timeouts = {"connect": _STALL, "read": _STALL, "write": _STALL, "pool": None}
        if self._shared is not None:
            request = httpx.Request("GET", url, headers=headers, extensions={"timeout": timeouts})
            with anyio.fail_after(_STALL), interrupts_resent():
                response = await self._shared.handle_async_request(request)
            try:
                yield response
            finally:
                await _close(response)
            return
        addresses = await _resolve(url, loopback=loopback)
        context = await self._tls.get(f"{url.scheme}://")
        async with self.connections.exchange(context) as transport:
            with interrupts_resent():
                response = await send_to_any(
                    transport,
                    addresses,
                    lambda address: pinned_request("GET", url, address, headers=headers, timeouts=timeouts),
                )
            try:
                yield response
            finally:
                await _close(response)


async def read_pieces(
    response: httpx.Response, budget: TimeBudget, append: Callable[[bytes], None], *, every: int
) -> AsyncGenerator[None]:
    """Pass each piece of a response's body to `append` as it is received, and close the response.

    Args:
        budget: the seconds that are left; those in which the caller holds this generator do not count.
        append: takes a piece.
        every: bytes after which this yields, so that the caller can pass them on.
    """
    # An asynchronous response has an asynchronous stream; the types allow for both.
    stream = aiter(cast("httpx.AsyncByteStream", response.stream))
    try:
        ended = False
        while not ended:
            with budget.running():
                ended = await _read_some(stream, append, every)
            yield
    finally:
        with anyio.CancelScope(shield=True):
            await response.aclose()
            # Abandoned, the stream's generators would be finished by the garbage collector, which trio reports as a
            # leak. The response is closed, so they end by themselves.
            with suppress(Exception):
                async for _ in stream:
                    pass


async def _read_some(stream: AsyncIterator[bytes], append: Callable[[bytes], None], wanted: int) -> bool:
    """Read about so many bytes, and return whether the stream has ended."""
    while wanted > 0:
        try:
            piece = await anext(stream)
        except StopAsyncIteration:
            return True
        append(piece)
        wanted -= len(piece)
    return False


def redacted(text: str, credential: Credential | None) -> str:
    """Return a text of a server without the API key, if one was sent."""
    return text if credential is None else credential.redact(text)


def _authorized(headers: Mapping[str, str], url: str, credential: Credential | None, now: float) -> httpx.Headers:
    """Return the headers of a request; the repr of this type masks the API key in tracebacks that print locals."""
    sent = httpx.Headers(headers)
    if credential is not None:
        target = _parsed(url)
        origin = f"{target.scheme}://{target.netloc.decode('ascii')}"
        sent.update(credential.headers_for(origin, now=now))
    return sent


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True):
        await response.aclose()


def _parsed(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return parsed_url(text, base=base)
    except UnsafeUrl as error:
        raise _refused(error) from None


def _checked(url: str, *, loopback: bool) -> httpx.URL:
    try:
        return checked_url(url, loopback=loopback)
    except UnsafeUrl as error:
        raise _refused(error) from None


def _refused(error: UnsafeUrl) -> DownloadError:
    return DownloadError(f"The output's URL {error}", url=error.shown)


async def _resolve(url: httpx.URL, *, loopback: bool) -> list[str]:
    try:
        return await resolve(url, loopback=loopback)
    except UnsafeUrl as error:
        raise _refused(error) from error
    except OSError as error:
        raise TransientError(f"{url.host} cannot be resolved") from error
