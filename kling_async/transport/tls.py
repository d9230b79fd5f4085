"""The TLS context of a client's connections."""

from __future__ import annotations

import ssl

import anyio
import anyio.to_thread

__all__ = ["LazySSLContext"]


class LazySSLContext:
    """One TLS context for all connections, made on first use and in a thread: it reads a long file of certificates."""

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._context: ssl.SSLContext | None = None
        self._plain: ssl.SSLContext | None = None

    async def get(self, origin: str) -> ssl.SSLContext:
        """Return the context for an origin. That for plain http trusts no certificate, and is cheap to make."""
        if origin.startswith("http://"):
            if self._plain is None:
                self._plain = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            return self._plain
        async with self._lock:
            if self._context is None:
                self._context = await anyio.to_thread.run_sync(_create)
            return self._context


def _create() -> ssl.SSLContext:
    from httpx import create_ssl_context  # noqa: PLC0415  loads all of httpx

    return create_ssl_context()
