"""Downloads of outputs: from public addresses only, resumed after a broken connection.

They carry no API key, but for outputs that a provider's API sends itself, from the key's own origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
import httpx

from ..system.clock import Clock
from ..system.interrupts import interrupts_resent
from ..types.errors import DownloadError
from ..types.prediction import Output
from ..types.printable import one_line
from .connections import LazySSLContext, read_body
from .credentials import Credential
from .failures import strip_context
from .foreign import UnsafeUrl, checked_url, parsed_url, pinned_request, resolve, send_to_any
from .host_limits import HostLimiter, TimeBudget
from .partial_file import PartialFile, decode_data_uri
from .ranges import TransientError, append_piece, headers_for, start_body, verify_length

__all__ = ["OutputFetcher"]

_REDIRECTS: Final = 3
_ATTEMPTS: Final = 5
_PAUSE: Final = 0.5
"""Maximum pause before the first retry in seconds; doubled with each further one."""
_STALL: Final = 30.0
"""Seconds without a byte after which a connection is abandoned."""
_DEADLINE: Final = 1800.0
"""Seconds for one output in all, pauses between attempts included, waits for a connection slot excluded."""
_PER_HOST: Final = 4
"""Maximum number of connections to one host: more of them share the same bandwidth, and resemble an attack."""


class OutputFetcher:
    """Downloads outputs to files.

    Args:
        deadline: seconds for one output in all, pauses between attempts included, waits for a connection slot excluded.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        tls: LazySSLContext,
        shared: httpx.AsyncBaseTransport | None = None,
        deadline: float = _DEADLINE,
    ) -> None:
        self._clock = clock
        self._tls = tls
        self._shared = shared
        self._deadline = deadline
        self._hosts = HostLimiter(_PER_HOST)

    async def save(
        self,
        output: Output,
        directory: Path,
        stem: str,
        *,
        overwrite: bool,
        loopback: bool,
        credential: Credential | None = None,
    ) -> Path:
        """Save an output as `stem` with the suffix of its detected type.

        Args:
            overwrite: replace an existing file of that name.
            loopback: permit this machine, and http to it, for a provider that runs on it.
            credential: the API key, for a URL on its own origin that asks for it. No redirect is followed with it.

        Raises:
            DownloadError: it could not be fetched, is no image or video, or its name is taken.
        """
        shown = output.url.partition("?")[0][:200]
        part = PartialFile(directory, stem)
        try:
            # The query of an output's URL is a signature, which changes while the file stays the same.
            part.open(source=hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest())
            if output.url.startswith("data:"):
                part.restart()
                part.append(decode_data_uri(output.url))
            else:
                await self._fetch(output.url, part, loopback=loopback, credential=credential)
            return await part.finish(overwrite=overwrite)
        except DownloadError as error:
            error.url = error.url or shown
            raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DownloadError(f"The output cannot be saved: {reason}", url=shown, path=str(part.path)) from error
        finally:
            part.close()

    async def _fetch(self, url: str, part: PartialFile, *, loopback: bool, credential: Credential | None) -> None:
        budget, last = TimeBudget(self._deadline), ""
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    # Under the same deadline: a pause counts like a transfer.
                    with budget.running():
                        await self._clock.sleep(_PAUSE * 2**attempt * self._clock.random())
                headers = self._headers(part, url, credential)
                async with self._open(url, headers, budget, loopback=loopback, credential=credential) as response:
                    start_body(part, response.status_code, response.headers)
                    await read_body(response, lambda piece: append_piece(part, piece))
                    verify_length(part)
            except TimeoutError as error:
                raise DownloadError(f"The output did not arrive within {self._deadline:g} s{last}") from _cause(
                    error, credential
                )
            except (TransientError, httpx.TransportError, ConnectionError) as error:
                reason = one_line(_redacted(f"{type(error).__name__}: {error}", credential))
                if attempt + 1 == _ATTEMPTS:
                    raise DownloadError(f"The output did not arrive: {reason}") from _cause(error, credential)
                last = f"; the last attempt failed with {reason}"
            else:
                return

    def _headers(self, part: PartialFile, url: str, credential: Credential | None) -> httpx.Headers:
        """Return the headers of a request; the repr of this type masks the API key in tracebacks that print locals."""
        headers = httpx.Headers(headers_for(part))
        if credential is not None:
            target = _parsed(url)
            origin = f"{target.scheme}://{target.netloc.decode('ascii')}"
            headers.update([credential.header_for(origin, now=self._clock.utc().timestamp())])
        return headers

    @asynccontextmanager
    async def _open(
        self, url: str, headers: httpx.Headers, budget: TimeBudget, *, loopback: bool, credential: Credential | None
    ) -> AsyncGenerator[httpx.Response]:
        """Open a URL, following a few redirects, each of them checked like the first, and none with the API key."""
        for _ in range(_REDIRECTS + 1):
            target = _checked(url, loopback=loopback)
            async with self._hosts.acquire(target.host):
                with budget.running():
                    async with self._connect(target, headers, loopback=loopback) as response:
                        if response.status_code not in (301, 302, 303, 307, 308):
                            yield response
                            return
                # A redirect that repeats the key is spoilt here, so that it shows in no traceback.
                url = str(_parsed(_redacted(response.headers.get("location", ""), credential), base=target))
                headers.pop("Authorization", None)
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
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport:
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


def _redacted(text: str, credential: Credential | None) -> str:
    return text if credential is None else credential.redact(text)


def _cause(error: Exception, credential: Credential | None) -> Exception | None:
    """Return an error as a cause; with a key, without the frames of the libraries below, which hold it."""
    return error if credential is None else strip_context(error, redact=credential.redact)


async def _close(response: httpx.Response) -> None:
    with anyio.CancelScope(shield=True):
        await response.aclose()


def _checked(url: str, *, loopback: bool) -> httpx.URL:
    try:
        return checked_url(url, loopback=loopback)
    except UnsafeUrl as error:
        raise _refused(error) from None


def _parsed(text: str, *, base: httpx.URL | None = None) -> httpx.URL:
    try:
        return parsed_url(text, base=base)
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
