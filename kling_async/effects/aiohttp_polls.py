"""Polls over aiohttp, for a third of the CPU that they cost over httpx: the extra `aiohttp`, under asyncio only.

It is for polls alone. Where a kept connection turns out to be closed, aiohttp asks once more by itself, and submitting
twice is paying twice.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Final, TypedDict, Unpack

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from .credentials import Credential
from .names import look_up

__all__ = ["AiohttpPolls", "PollSettings"]

_LONGEST_HEADER: Final = 65536
"""Bytes of one header line: some gateways send more than the 8 KiB that aiohttp reads by default."""

if not (3, 12) <= tuple(map(int, aiohttp.__version__.split(".")[:2])) < (4, 0):
    # One that was installed for other reasons need not be one that will do.
    raise ImportError(f"aiohttp {aiohttp.__version__} is not what the extra asks for")


class PollSettings(TypedDict):
    """How polls go."""

    credential: Credential
    """The key, and the one origin it goes to."""
    headers: Sequence[tuple[str, str]]
    """What else goes with every poll."""
    timeout: float
    """Seconds until a poll has to be over."""
    most: int
    """Connections at once."""
    idle_for: float
    """Seconds that an idle one is kept."""


class AiohttpPolls:
    """Polls of one origin over one session, which follows nothing, keeps no cookie, and reads no environment.

    Args:
        tls: the context for https.
        settings: see `PollSettings`.
    """

    def __init__(self, *, tls: ssl.SSLContext, **settings: Unpack[PollSettings]) -> None:
        credential = settings["credential"]
        self._origin = URL(credential.origin)
        self._session = aiohttp.ClientSession(
            headers=[*settings["headers"], credential.header_for(credential.origin)],
            connector=aiohttp.TCPConnector(
                limit=settings["most"], keepalive_timeout=settings["idle_for"], ssl=tls, resolver=_Resolver()
            ),
            # By default a longer time-out is rounded up to a whole second.
            timeout=aiohttp.ClientTimeout(total=settings["timeout"], ceil_threshold=math.inf),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_field_size=_LONGEST_HEADER,
            trust_env=False,
        )

    async def fetch(self, path: str, take: Callable[[bytes], None]) -> tuple[int, dict[str, str]]:
        """Ask for a path on the origin, hand each piece of the body to `take`, and return the status and the headers.

        Raises:
            TimeoutError: no whole reply came in time.
            Exception: what aiohttp or `take` raised. It holds no key.
        """
        # The path cannot lead elsewhere: with_path leaves the origin as it is.
        url = self._origin.with_path(path, encoded=True)
        try:
            async with self._session.get(url, allow_redirects=False) as response:
                async for piece in response.content.iter_any():
                    take(piece)
                names = response.headers
                return response.status, {name.lower(): ", ".join(names.getall(name)) for name in names}
        except aiohttp.ClientResponseError as error:
            # It holds the request with all its headers, and shows them.
            raise aiohttp.ClientPayloadError(error.message) from None

    async def aclose(self) -> None:
        """Close the idle connections."""
        await self._session.close()


class _Resolver(AbstractResolver):
    """Looks names up as for all other connections, not in a thread that the end of the program waits for."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the numbers of a host, of either family. Raises OSError if the name cannot be found."""
        return [
            ResolveResult(
                hostname=host,
                host=number,
                port=port,
                family=socket.AF_INET6 if ":" in number else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for number in await look_up(host, port)
        ]

    async def close(self) -> None:
        """Do nothing: a look-up's thread ends by itself."""
