"""Downloads of outputs: from public addresses only, resumed after a broken connection.

They carry no API key, but for outputs that a provider's API sends itself, from the key's own origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, aclosing
from functools import partial
from pathlib import Path
from typing import Final

import httpx

from ..system.clock import Clock
from ..types.errors import DownloadError
from ..types.prediction import Output
from ..types.printable import one_line
from ..types.provenance import Provenance
from .credentials import Credential
from .failures import strip_context
from .host_limits import TimeBudget
from .output_requests import OutputRequests, read_pieces, redacted
from .partial_file import PartialFile, decode_data_uri
from .ranges import Part, TransientError, append_piece, headers_for, start_body, verify_length
from .stream_part import StreamPart
from .tls import LazySSLContext

__all__ = ["OutputFetcher"]

_ATTEMPTS: Final = 5
_PAUSE: Final = 0.5
"""Maximum pause before the first retry in seconds; doubled with each further one."""
_DEADLINE: Final = 1800.0
"""Seconds for one output in all, pauses between attempts included, waits for a connection slot excluded."""


class OutputFetcher:
    """Downloads outputs to files, or passes them on as they are received.

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
        self._requests = OutputRequests(tls=tls, shared=shared)
        self._deadline = deadline

    def keeping(self) -> AbstractAsyncContextManager[None]:
        """Keep connections for further outputs of their hosts, as long as this is entered."""
        return self._requests.connections.keeping()

    async def save(
        self,
        output: Output,
        directory: Path,
        stem: str,
        *,
        overwrite: bool,
        loopback: bool,
        credential: Credential | None = None,
        embedded: Provenance | None = None,
    ) -> Path:
        """Save an output as `stem` with the suffix of its detected type.

        Args:
            overwrite: replace an existing file of that name.
            loopback: permit this machine, and http to it, for a provider that runs on it.
            credential: the API key, for a URL on its own origin that asks for it. No redirect is followed with it.
            embedded: provenance to embed in the file, where that is safe.

        Raises:
            DownloadError: it could not be fetched, is no image or video, or its name is taken.
        """
        shown = _shown(output)
        part = PartialFile(directory, stem)
        try:
            # The query of an output's URL is a signature, which changes while the file stays the same.
            part.open(source=hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest())
            async with aclosing(self._fetch(output, part, loopback=loopback, credential=credential)) as steps:
                async for _ in steps:
                    pass
            return await part.finish(overwrite=overwrite, embedded=embedded)
        except DownloadError as error:
            error.url = error.url or shown
            raise
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DownloadError(f"The output cannot be saved: {reason}", url=shown, path=str(part.path)) from error
        finally:
            part.close()

    async def stream(
        self, output: Output, part: StreamPart, *, loopback: bool, credential: Credential | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield the bytes of an output as they are received, a few at a time; those of it that `part` had, not again.

        Args:
            part: what was received so far; an empty one at first.
            loopback: as for `save`.
            credential: as for `save`.

        Raises:
            DownloadError: it could not be fetched, or is no complete image or video.
        """
        try:
            async with aclosing(self._fetch(output, part, loopback=loopback, credential=credential)) as steps:
                async for _ in steps:
                    if taken := part.take():
                        yield taken
            for piece in part.finish():
                yield piece
        except DownloadError as error:
            error.url = error.url or _shown(output)
            raise
        except OSError as error:
            raise DownloadError(f"The output cannot be collected: {error.strerror}", url=_shown(output)) from error

    async def _fetch(
        self, output: Output, part: Part, *, loopback: bool, credential: Credential | None
    ) -> AsyncGenerator[None]:
        """Fetch an output, in a few attempts, and yield after each piece of it."""
        if output.url.startswith("data:"):
            content = decode_data_uri(output.url)
            part.restart()
            append_piece(part, content)
            return
        budget, last = TimeBudget(self._deadline), ""
        for attempt in range(_ATTEMPTS):
            try:
                if attempt:
                    # Under the same deadline: a pause counts like a transfer.
                    with budget.running():
                        await self._clock.sleep(_PAUSE * 2**attempt * self._clock.random())
                async with aclosing(
                    self._attempt(output.url, part, budget, loopback=loopback, credential=credential)
                ) as steps:
                    async for _ in steps:
                        yield
            except TimeoutError as error:
                raise DownloadError(f"The output did not arrive within {self._deadline:g} s{last}") from _cause(
                    error, credential
                )
            except (TransientError, httpx.TransportError, ConnectionError) as error:
                reason = one_line(redacted(f"{type(error).__name__}: {error}", credential))
                if attempt + 1 == _ATTEMPTS:
                    raise DownloadError(f"The output did not arrive: {reason}") from _cause(error, credential)
                last = f"; the last attempt failed with {reason}"
            else:
                return

    async def _attempt(
        self, url: str, part: Part, budget: TimeBudget, *, loopback: bool, credential: Credential | None
    ) -> AsyncGenerator[None]:
        now, headers = self._clock.utc().timestamp(), headers_for(part)
        async with self._requests.open(
            url, headers, budget, loopback=loopback, credential=credential, now=now
        ) as response:
            start_body(part, response.status_code, response.headers)
            append = partial(append_piece, part)
            async with aclosing(read_pieces(response, budget, append, every=part.every)) as steps:
                async for _ in steps:
                    yield
            verify_length(part)


def _shown(output: Output) -> str:
    """Return an output's URL as messages show it: its query is a signature."""
    return output.url.partition("?")[0][:200]


def _cause(error: Exception, credential: Credential | None) -> Exception | None:
    """Return an error as a cause; with a key, without the frames of the libraries below, which hold it."""
    return error if credential is None else strip_context(error, redact=credential.redact)
