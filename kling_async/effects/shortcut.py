"""The shorter way that polls take where aiohttp is installed and the event loop is asyncio's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Unpack

import anyio
import anyio.to_thread

from .lanes import TlsContext

if TYPE_CHECKING:
    from .aiohttp_polls import AiohttpPolls, PollSettings

__all__ = ["Shortcut"]


class Shortcut:
    """Looked for when the first poll is sent, and then open until it is closed.

    Args:
        allowed: whether it may be taken at all.
        tls: the context for https.
        settings: how polls go.
    """

    def __init__(self, *, allowed: bool, tls: TlsContext, **settings: Unpack[PollSettings]) -> None:
        self._tls = tls
        self._settings = settings
        self._sought = not allowed
        self._found: AiohttpPolls | None = None
        self._lock = anyio.Lock()

    async def find(self) -> AiohttpPolls | None:
        """Return it, or None if there is none."""
        if not self._sought:
            async with self._lock:
                if not self._sought:
                    self._found = await self._open() if _on_asyncio() else None
                    self._sought = True
        return self._found

    async def _open(self) -> AiohttpPolls | None:
        # Importing aiohttp takes as long as reading the certificates, so that, too, is done off the event loop.
        made_by = await anyio.to_thread.run_sync(_installed)
        if made_by is None:
            return None
        return made_by(tls=await self._tls.get(self._settings["credential"].origin), **self._settings)

    async def aclose(self) -> None:
        """Close its idle connections."""
        if self._found is not None:
            await self._found.aclose()


def _installed() -> type[AiohttpPolls] | None:
    try:
        from .aiohttp_polls import AiohttpPolls  # noqa: PLC0415  an extra
    except ImportError:
        return None
    return AiohttpPolls


def _on_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
