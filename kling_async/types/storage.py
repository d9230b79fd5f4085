"""The interface of a bucket of the user's, which holds local media for providers without an upload."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

__all__ = ["MediaStorage"]


class MediaStorage(Protocol):
    """A bucket, or a part of one under a prefix."""

    async def put(self, key: str, content: Iterable[bytes], *, mime: str) -> None:
        """Store a content under a key, in place of any other; it is read piece by piece, in a thread.

        Raises:
            KlingError: it cannot be stored, or cannot be read.
        """
        ...

    async def presign(self, key: str, seconds: float) -> str:
        """Return a URL by which anyone with the link may fetch a key for so many seconds. Raises KlingError."""
        ...
