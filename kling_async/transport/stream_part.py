"""A download that is passed on while it is received: to a bucket, to the memory or to the caller."""

from __future__ import annotations

from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Final

from attrs import evolve

from ..types.errors import DownloadError
from ..types.media import SNIFF_LENGTH, MediaType, is_complete, sniff
from .partial_file import DownloadState

__all__ = ["CHUNK", "StreamPart"]

CHUNK: Final = 8 * 1024 * 1024
"""Bytes that are kept in memory of an output that is passed on; more of one go to a temporary file."""
_PIECE: Final = 1024 * 1024


class StreamPart:
    """The bytes of one output between its server and their target.

    Bytes are passed on as they are received, but for an output whose server declares no length: only its own structure
    tells whether it is complete, so it is collected first.

    Args:
        restartable: whether the target can begin again where the server does not resume a download; `restarts` counts
            how often it must.
        every: bytes after which they are passed on; 1 passes on whatever has come.
        limit: bytes that the target has room for, and the error for an output that is longer.
    """

    def __init__(self, *, restartable: bool, every: int = 1, limit: tuple[int, DownloadError] | None = None) -> None:
        self.state = DownloadState()
        self.every = every
        self.media: MediaType | None = None
        self.restarts = 0
        self._restartable = restartable
        self._limit = limit
        self._pending: list[bytes] = []
        self._passed_on = 0
        self._spool: IO[bytes] | None = None

    def restart(self, *, validator: str | None = None, length: int | None = None) -> None:
        """Begin again, and keep what the server declares of the complete output.

        Raises:
            DownloadError: bytes were passed on, and the target cannot begin again.
        """
        if self._passed_on and not self._restartable:
            raise DownloadError(f"The output cannot be resumed after {self._passed_on} bytes: its server begins again")
        if self._passed_on:
            self.restarts += 1
        self.close()
        self._pending.clear()
        self._passed_on, self.media = 0, None
        self.state = DownloadState(0, validator, length)

    def expect(self, length: int | None) -> None:
        """Set the length of the complete output, where it was unknown."""
        self.state = evolve(self.state, length=length)

    def append(self, piece: bytes) -> None:
        """Add bytes at the end. Raises DownloadError if they are those of no image or video, or too many."""
        self._pending.append(piece)
        self.state = evolve(self.state, size=self.state.size + len(piece))
        if self._limit is not None and max(self.state.size, self.state.length or 0) > self._limit[0]:
            raise self._limit[1]
        if self.media is None and self.state.size >= SNIFF_LENGTH:
            self._detect()
        if self.state.length is None or self._spool is not None:
            self._collect()

    def _detect(self) -> None:
        self.media = sniff(b"".join(self._pending)[:SNIFF_LENGTH])
        if self.media is None:
            raise DownloadError("The output is neither an image nor a video")

    def _collect(self) -> None:
        if self.media is None:
            return
        if self._spool is None:
            self._spool = SpooledTemporaryFile(max_size=CHUNK)  # noqa: SIM115 - `close` closes it
        self._spool.writelines(self._pending)
        self._pending.clear()

    def take(self) -> bytes:
        """Return the bytes that may be passed on, and forget them; none before the type is known."""
        if self.media is None or not self._pending:
            return b""
        taken = self._pending[0] if len(self._pending) == 1 else b"".join(self._pending)
        self._pending.clear()
        self._passed_on += len(taken)
        return taken

    def finish(self) -> Iterator[bytes]:
        """Yield the bytes that were not passed on yet, after a check of the whole.

        Raises:
            DownloadError: it is no image or video, or it is truncated.
        """
        if self.media is None:
            self._detect()
        if self.state.length is None and self._spool is None:
            self._collect()
        if self._spool is None:
            yield self.take()
            return
        if self.media is None or not is_complete(self.media, self._read, self.state.size):
            raise DownloadError("The output is truncated, or its end cannot be verified")
        self._spool.seek(0)
        while piece := self._spool.read(_PIECE):
            yield piece

    def _read(self, offset: int, size: int) -> bytes:
        if self._spool is None:
            return b""
        self._spool.seek(max(0, offset))
        return self._spool.read(size)

    def close(self) -> None:
        """Forget the bytes that were collected."""
        if self._spool is not None:
            self._spool.close()
            self._spool = None
