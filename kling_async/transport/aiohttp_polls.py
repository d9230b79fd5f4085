"""Polls over aiohttp, at a third of the CPU time of httpx: the extra `aiohttp`, on asyncio only.

For polls alone: where a kept connection turns out to be closed, aiohttp retries by itself, and a submission sent twice
is paid twice.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .credentials import Credential
from .dns import resolve_host

__all__ = ["AiohttpPollTransport"]

_MAX_HEADER_BYTES: Final = 65536
"""Maximum bytes of a header line: some proxies send more than aiohttp's default of 8 KiB."""

if not (3, 12) <= tuple(map(int, aiohttp.__version__.split(".")[:2])) < (4, 0):
    # A version installed for another package need not be a supported one.
    raise ImportError(f"aiohttp {aiohttp.__version__} is outside the range of the extra")


class AiohttpPollTransport:
    """Polls of one origin over one session, which follows no redirect, keeps no cookie, and reads no environment.

    Args:
        credential: the key and its origin.
        headers: sent with every poll.
        timeout: seconds until a poll must be complete.
        tls: the context for https.
        max_connections: maximum number of connections.
        idle_seconds: seconds that an idle connection is kept.
    """

    def __init__(
        self,
        *,
        credential: Credential,
        headers: Sequence[tuple[str, str]],
        timeout: float,
        tls: ssl.SSLContext,
        max_connections: int,
        idle_seconds: float,
    ) -> None:
        self._credential = credential
        self._origin = URL(credential.origin)
        self._session = aiohttp.ClientSession(
            headers=headers,
            connector=aiohttp.TCPConnector(
                limit=max_connections, keepalive_timeout=idle_seconds, ssl=tls, resolver=_Resolver()
            ),
            # By default a longer time-out is rounded up to a whole second.
            timeout=aiohttp.ClientTimeout(total=timeout, ceil_threshold=math.inf),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_field_size=_MAX_HEADER_BYTES,
            trust_env=False,
        )

    async def fetch(self, path: str, append: Callable[[bytes], None], *, now: float) -> tuple[int, dict[str, str]]:
        """Get a path on the origin, append each piece of the body, and return the status and the headers.

        Args:
            path: absolute, already quoted.
            append: takes each piece of the body.
            now: seconds since 1970, for the Authorization header.

        Raises:
            TimeoutError: no complete response came in time.
            Exception: what aiohttp or `append` raised. It holds no key.
        """
        # The path cannot lead elsewhere: with_path leaves the origin as it is.
        url = self._origin.with_path(path, encoded=True)
        authorization = self._credential.headers_for(self._credential.origin, now=now)
        try:
            async with self._session.get(url, headers=authorization, allow_redirects=False) as response:
                async for piece in response.content.iter_any():
                    append(piece)
                names = response.headers
                return response.status, {name.lower(): ", ".join(names.getall(name)) for name in names}
        except aiohttp.ClientResponseError as error:
            # It holds the request with all its headers, and prints them.
            raise aiohttp.ClientPayloadError(error.message) from None

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._session.close()


class _Resolver(AbstractResolver):
    """Resolves names like all other connections, not in a thread that delays the end of the program."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the IP addresses of a host, of either family. Raises OSError if the name cannot be resolved."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in await resolve_host(host, port)
        ]

    async def close(self) -> None:
        """Do nothing: the thread of a resolution ends by itself."""
