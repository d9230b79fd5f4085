"""Requests to a provider's API over httpcore: one origin per key, bounded responses, and proof that no byte left.

Theory of operation. Submissions and polls have connections of their own, so neither waits for the other. On asyncio
polls go over a protocol of their own, which reads plain responses only. The first other one of an origin sends all of
its polls over httpcore, which reads whatever HTTP allows. Submissions always go over httpcore.

A submission may be repeated only if no byte of it left. httpcore reports the start of writing a request; before that
event nothing left, after it the provider may have started. A transport that reports nothing proves nothing, and then a
lost answer counts as lost.

The key can reach no other origin: the target of each request is the key's own origin, parsed once, and a request
carries only a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Final

import anyio
import httpcore
import httpx
import sniffio

from ..system.clock import Clock, SystemClock
from ..system.interrupts import interrupts_resent
from ..types.errors import AnswerLost, KlingError, NotSent, ProviderUnavailable, UnexpectedReply
from ..types.http import MAX_BODY_BYTES, HeaderLines, HttpRequest, HttpResponse, join_fields
from .asyncio_polls import AsyncioPolls
from .connections import ConnectionPool, HttpTransport, read_body
from .credentials import Credential
from .failures import describe, reason_of, strip_context
from .http_parser import BodyTooLarge, NotPlain
from .tls import LazySSLContext

__all__ = ["ApiTransport"]

_POLL_CONNECTIONS: Final = 64
_SUBMIT_IDLE_SECONDS: Final = 2.0
"""Seconds that an idle submit connection is kept: one that the server closes just as it is reused loses an answer."""
_POLL_IDLE_SECONDS: Final = 30.0
_PLAIN_BYTES: Final = 256 * 1024
"""Bytes of a body that takes no time of its own to send."""
_SLOWEST: Final = 64 * 1024
"""Bytes a second of the slowest line that a longer body is given time for."""
_HEADERS: Final = (
    ("Accept", "application/json"),
    ("Accept-Encoding", "identity"),
    ("User-Agent", f"kling-async/{version('kling-async')}"),
)


class _SendTrace:
    """The events that httpcore reported of one exchange."""

    def __init__(self) -> None:
        self.reported = False
        self.sent = False

    async def __call__(self, event: str, _: object) -> None:
        self.reported = True
        if event.endswith(".send_request_headers.started"):
            self.sent = True

    @property
    def never_sent(self) -> bool:
        """Whether it is proved that no byte of the request left."""
        return self.reported and not self.sent


class _ResponseBody(bytearray):
    """The body of a response, of bounded length in bytes."""

    def __init__(self, max_bytes: int) -> None:
        super().__init__()
        self._max_bytes = max_bytes

    def add(self, piece: bytes) -> None:
        self.extend(piece)
        if len(self) > self._max_bytes:
            raise BodyTooLarge(f"more than {self._max_bytes} bytes")


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
        self._target, url = httpcore.URL(origin), httpx.URL(origin)
        host = url.netloc.decode("ascii")
        self._origin = f"{url.scheme}://{host}"
        self._common_fields = (("Host", host), *_HEADERS)
        # Raises here, before anything is sent, if a library writes the key's origin in another way.
        self._authorization = credential.headers_for(self._origin, now=self._now())
        self._fields = (*self._common_fields, *self._authorization)
        self._encoded_fields = [*map(_encode, self._fields)]
        self._submits = ConnectionPool(
            submit_connections, origin=origin, idle_seconds=_SUBMIT_IDLE_SECONDS, tls=tls, shared=shared
        )
        self._polls = ConnectionPool(
            _POLL_CONNECTIONS, origin=origin, idle_seconds=_POLL_IDLE_SECONDS, tls=tls, shared=shared
        )
        self._tls = tls
        self._fast: AsyncioPolls | None = None
        self._is_fast_known = shared is not None

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

    async def submit(self, request: HttpRequest) -> HttpResponse:
        """Send a request that costs money, once.

        Raises:
            NotSent: no byte of it left.
            AnswerLost: it may have arrived, and no complete response came by the deadline.
        """
        trace = _SendTrace()
        try:
            return await self._send(request, self._submits, trace)
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
            polls = self._fast_polls()
            if polls is not None and request.method == "GET" and not request.headers:
                return await self._fetch(request, polls)
            return await self._send(request, self._polls, None)
        except Exception as error:  # noqa: BLE001 - as above
            kind = UnexpectedReply if isinstance(error, BodyTooLarge) else ProviderUnavailable
            raise kind(self._lost(error), provider=self._provider) from self._strip_context(error)

    async def _send(self, request: HttpRequest, pool: ConnectionPool, trace: _SendTrace | None) -> HttpResponse:
        async with pool.acquire() as connection:
            # Read time-outs never fire on a trickle, nor on endless 1xx responses: the exchange has one deadline.
            with anyio.fail_after(self._timeout + _sending_seconds(request)), interrupts_resent():
                response = await connection.handle_async_request(self._build_request(request, trace))
                body = _ResponseBody(self._max_bytes)
                await read_body(response, body.add)
                fields = ((name.decode("latin-1"), self._redacted(value)) for name, value in response.headers)
                headers = join_fields(fields)
                is_encoded = headers.get("content-encoding", "identity") != "identity"
                return self._response(response.status, headers, bytes(body), is_encoded=is_encoded)

    def _fast_polls(self) -> AsyncioPolls | None:
        """Return the polls over a protocol of asyncio's; None on another event loop, or if `shared`."""
        if not self._is_fast_known:
            self._is_fast_known = True
            if sniffio.current_async_library() == "asyncio":
                self._fast = AsyncioPolls(
                    origin=self._credential.origin,
                    timeout=self._timeout,
                    tls=self._tls,
                    max_connections=_POLL_CONNECTIONS,
                    max_bytes=self._max_bytes,
                    idle_seconds=_POLL_IDLE_SECONDS,
                )
        return None if self._fast is None or self._fast.closed else self._fast

    async def _fetch(self, request: HttpRequest, polls: AsyncioPolls) -> HttpResponse:
        began = anyio.current_time()
        try:
            parsed = await polls.get(request.path, self._current_fields())
        except NotPlain:
            # What one response of an origin looks like, others will.
            await polls.aclose()
            with anyio.fail_after(began + self._timeout - anyio.current_time()):
                return await self._send(request, self._polls, None)
        headers = HeaderLines(parsed.head, redact=self._credential.redact)
        return self._response(parsed.status, headers, parsed.body, is_encoded=parsed.is_encoded)

    def _redacted(self, value: bytes) -> str:
        return self._credential.redact(value.decode("latin-1"))

    def _response(self, status: int, headers: Mapping[str, str], body: bytes, *, is_encoded: bool) -> HttpResponse:
        return HttpResponse(
            status=status,
            headers=headers,
            # A compressed body is redacted after decompression: here that would only corrupt it.
            body=body if is_encoded else self._credential.redact_bytes(body),
            redact=self._credential.redact,
        )

    def _build_request(self, request: HttpRequest, trace: _SendTrace | None) -> httpcore.Request:
        """Build a request to the key's own origin."""
        origin, path = self._target, request.path.encode("ascii")
        url = httpcore.URL(scheme=origin.scheme, host=origin.host, port=origin.port, target=path)
        self._current_fields()
        headers = self._encoded_fields
        if request.headers:
            headers = [*headers, *map(_encode, request.headers)]
        if request.body:
            headers = [*headers, (b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(request.body))]
        elif request.method != "GET":
            headers = [*headers, (b"Content-Length", b"0")]  # some proxies demand it
        extensions = {} if trace is None else {"trace": trace}
        return httpcore.Request(
            request.method, url, headers=headers, content=request.body or None, extensions=extensions
        )

    def _current_fields(self) -> tuple[tuple[str, str], ...]:
        """Return the header fields; they are made again when the key's has changed, as a token may expire."""
        authorization = self._credential.headers_for(self._origin, now=self._now())
        if authorization != self._authorization:
            self._authorization = authorization
            self._fields = (*self._common_fields, *authorization)
            self._encoded_fields = [*map(_encode, self._fields)]
        return self._fields

    def _now(self) -> float:
        return self._clock.utc().timestamp()

    def _failure(self, error: Exception, trace: _SendTrace) -> KlingError:
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
        await self._submits.aclose()
        await self._polls.aclose()
        if self._fast is not None:
            await self._fast.aclose()


def _sending_seconds(request: HttpRequest) -> float:
    """Return the further seconds that a long body, as with images in base64, is given: its answer must not be lost."""
    return max(0, len(request.body) - _PLAIN_BYTES) / _SLOWEST


def _encode(header: tuple[str, str]) -> tuple[bytes, bytes]:
    name, value = header
    return name.encode("ascii"), value.encode("ascii")
