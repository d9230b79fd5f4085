"""Requests to a provider's API: one origin per key, bounded responses, and proof that no byte left.

Theory of operation. Submissions and polls have connections of their own, so neither waits for the other. On asyncio
both go over a protocol of their own, on trio and over a transport of the user's over httpcore. So do long bodies: their
sending may be cut off by a refusal, which httpcore reads.

A submission may be repeated only if no byte of it left. Before the first write nothing left, after it the provider may
have started. A transport that reports nothing proves nothing, and then a lost answer counts as lost.

The key can reach no other origin: the target of each request is the key's own origin, parsed once, and a request
carries only a path.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import httpx
import sniffio

from ..system.clock import Clock, SystemClock
from ..types.errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from ..types.gate import SendCheck
from ..types.http import MAX_BODY_BYTES, HttpRequest, HttpResponse
from .asyncio_exchanges import AsyncioExchanges
from .connections import ConnectionPool, HttpTransport
from .credentials import Credential
from .exchanges import Exchanges, HeaderFields, SendTrace
from .failures import describe, reason_of, strip_context
from .http_parser import BodyTooLarge
from .httpcore_exchanges import HttpcoreExchanges
from .tls import LazySSLContext

__all__ = ["ApiTransport"]

_POLL_CONNECTIONS: Final = 64
_SUBMIT_IDLE_SECONDS: Final = 2.0
"""Seconds that an idle submit connection is kept: one that the server closes just as it is reused loses an answer."""
_POLL_IDLE_SECONDS: Final = 30.0
_PLAIN_BYTES: Final = 256 * 1024
"""Bytes of a body that takes no time of its own to send."""
_SHORT_BYTES: Final = 16 * 1024
"""Bytes of a body that the socket takes at once, whatever the provider reads of it."""
_SLOWEST: Final = 64 * 1024
"""Bytes a second of the slowest line that a longer body is given time for."""
_HEADERS: Final = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"kling-async/{version('kling-async')}"),
)


class ApiTransport:
    """Sends requests to one provider's origin, and to no other.

    Args:
        provider: its name, for errors.
        credential: the key and its origin.
        timeout: seconds until an exchange must be complete.
        tls: the context for https.
        submit_connections: maximum number of submissions in flight, and so of those that a crash leaves unconfirmed.
        shared: a transport of the user's that carries everything instead.
        clock: source of the time that the Authorization header is made for.
        max_bytes: maximum length of a response, also after decompression.
    """

    def __init__(
        self,
        *,
        provider: str,
        credential: Credential,
        timeout: float,
        tls: LazySSLContext,
        submit_connections: int,
        shared: HttpTransport | None = None,
        clock: Clock | None = None,
        max_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._provider = provider
        self._credential = credential
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        origin = credential.origin
        url = httpx.URL(origin)
        host = url.netloc.decode("ascii")
        self._origin = f"{url.scheme}://{host}"
        self._common_fields = (("Host", host), *_HEADERS)
        # Raises here, before anything is sent, if a library writes the key's origin in another way.
        self._authorization = credential.headers_for(self._origin, now=self._now())
        self._fields: HeaderFields = (*self._common_fields, *self._authorization)
        self._tls = tls
        self._shared = shared
        self._submit_connections = submit_connections
        self._complete = (
            self._over_httpcore(submit_connections, idle_seconds=_SUBMIT_IDLE_SECONDS),
            self._over_httpcore(_POLL_CONNECTIONS, idle_seconds=_POLL_IDLE_SECONDS),
        )
        """Those of submissions and of polls, over httpcore."""
        self._fast: tuple[Exchanges, Exchanges] | None = None
        """The same for short bodies, over asyncio's protocol where asyncio runs; None until one is sent."""

    def _over_httpcore(self, size: int, *, idle_seconds: float) -> Exchanges:
        origin = self._credential.origin
        pool = ConnectionPool(size, origin=origin, idle_seconds=idle_seconds, tls=self._tls, shared=self._shared)
        return HttpcoreExchanges(origin=origin, pool=pool, max_bytes=self._max_bytes, redact=self._credential.redact)

    def _over_asyncio(self, size: int, *, idle_seconds: float) -> Exchanges:
        return AsyncioExchanges(
            origin=self._credential.origin,
            tls=self._tls,
            max_connections=size,
            max_bytes=self._max_bytes,
            idle_seconds=idle_seconds,
            redact=self._credential.redact,
        )

    @property
    def origin(self) -> str:
        """The origin of each request."""
        return self._credential.origin

    @property
    def key_hash(self) -> str:
        """A hash of the API key."""
        return self._credential.key_hash

    def redact(self, text: str) -> str:
        """Replace the key in a text that repeats it."""
        return self._credential.redact(text)

    async def submit(self, request: HttpRequest, check: SendCheck | None = None) -> HttpResponse:
        """Send a request that costs money, once, if a check immediately before the first byte raises nothing.

        Raises:
            NotSent: no byte of it left.
            AnswerLost: it may have arrived, and no complete response came by the deadline.
        """
        trace = SendTrace(check)
        try:
            submits, _ = self._exchanges(request)
            return await self._send(request, submits, trace)
        except NotSent:
            raise
        except Exception as error:  # noqa: BLE001 - any error of a transport is classified in the same way
            raise self._failure(error, trace) from self._strip_context(error)

    async def poll(self, request: HttpRequest) -> HttpResponse:
        """Send a request that costs nothing: a poll, a cancellation, or the question for a price.

        It may be repeated in any case, so it is not traced, which would cost a tenth of its CPU time.

        Raises:
            ProviderUnavailable: no complete response came by the deadline.
            UnexpectedReply: the response is too long.
        """
        try:
            _, polls = self._exchanges(request)
            return await self._send(request, polls, None)
        except Exception as error:  # noqa: BLE001 - as above
            kind = UnexpectedReply if isinstance(error, BodyTooLarge) else ProviderUnavailable
            raise kind(self._lost(error), provider=self._provider) from self._strip_context(error)

    def _exchanges(self, request: HttpRequest) -> tuple[Exchanges, Exchanges]:
        """Return what carries submissions and polls like this one."""
        if len(request.body) > _SHORT_BYTES:
            return self._complete
        if self._fast is None:
            self._fast = self._complete
            if self._shared is None and sniffio.current_async_library() == "asyncio":
                self._fast = (
                    self._over_asyncio(self._submit_connections, idle_seconds=_SUBMIT_IDLE_SECONDS),
                    self._over_asyncio(_POLL_CONNECTIONS, idle_seconds=_POLL_IDLE_SECONDS),
                )
        return self._fast

    async def _send(self, request: HttpRequest, exchanges: Exchanges, trace: SendTrace | None) -> HttpResponse:
        max_seconds = self._timeout + _sending_seconds(request)
        raw = await exchanges.send(request, self._current_fields(), max_seconds=max_seconds, trace=trace)
        return HttpResponse(
            status=raw.status,
            headers=raw.headers,
            # A compressed body is redacted after decompression: here that would only corrupt it.
            body=raw.body if raw.is_encoded else self._credential.redact_bytes(raw.body),
            redact=self._credential.redact,
        )

    def _current_fields(self) -> HeaderFields:
        """Return the header fields; they are made again when the key's has changed, as a token may expire."""
        authorization = self._credential.headers_for(self._origin, now=self._now())
        if authorization != self._authorization:
            self._authorization = authorization
            self._fields = (*self._common_fields, *authorization)
        return self._fields

    def _now(self) -> float:
        return self._clock.utc().timestamp()

    def _failure(self, error: Exception, trace: SendTrace) -> KlingError:
        if trace.never_sent:
            message = f"No connection to {self._credential.origin}: {describe(error, redact=self._credential.redact)}"
            return NotSent(message, reason=reason_of(error), provider=self._provider)
        return AnswerLost(self._lost(error), provider=self._provider)

    def _lost(self, error: Exception) -> str:
        origin = self._credential.origin
        if isinstance(error, TimeoutError):
            return f"No complete answer from {origin} within {self._timeout:g} s"
        return f"The answer from {origin} was lost: {describe(error, redact=self._credential.redact)}"

    def _strip_context(self, error: Exception) -> Exception | None:
        return strip_context(error, redact=self._credential.redact)

    async def aclose(self) -> None:
        """Close the idle connections."""
        for exchanges in {*self._complete, *(self._fast or ())}:
            await exchanges.aclose()


def _sending_seconds(request: HttpRequest) -> float:
    """Return the further seconds that a long body, as with images in base64, is given: its answer must not be lost."""
    return max(0, len(request.body) - _PLAIN_BYTES) / _SLOWEST
