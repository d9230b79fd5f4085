"""Save an output as an object: in one request, or in parts of a multipart upload that ends after the last check."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Final

from attrs import frozen

from ..system.threads import DaemonThread
from ..types.errors import DownloadError
from ..types.media import MediaType
from .object_errors import ObjectExists, StorageError
from .object_store import ObjectStore
from .stream_part import CHUNK, StreamPart

__all__ = ["PIECE", "StoredObject", "save_object"]

PIECE: Final = 1024 * 1024
"""Bytes that are passed on at once; an upload collects them into parts by itself."""


@frozen
class StoredObject:
    """An object that was written: its name in the store, and the SHA-256 of its bytes in hexadecimal digits."""

    name: str
    sha256: str


async def save_object(
    chunks: AsyncIterator[bytes],
    part: StreamPart,
    store: ObjectStore,
    stem: str,
    *,
    overwrite: bool,
    thread: DaemonThread,
) -> StoredObject:
    """Write an output into a store as `stem` with the suffix of its detected type.

    Up to 8 MiB are written in one request. More of them go into a multipart upload while they are received: four times
    that are in memory at most. The object has its name only once all bytes were received and checked.

    Args:
        chunks: the bytes as they are received.
        part: where they come from; it tells their type, and when they begin again.
        overwrite: replace an object of that name.
        thread: what blocks runs there.

    Raises:
        DownloadError: the store refuses, or another object has the name.
    """
    upload, restarts, buffer = _Upload(store, stem, overwrite=overwrite), 0, list[bytes]()
    try:
        async for chunk in chunks:
            if part.restarts != restarts:
                restarts = part.restarts
                buffer.clear()
                await thread.run(upload.restart)
            buffer.append(chunk)
            if part.media is not None and (upload.is_open or sum(map(len, buffer)) > CHUNK):
                await thread.run(partial(upload.write, _taken(buffer), part.media))
        if part.media is None:
            raise DownloadError("The output is neither an image nor a video")
        return await thread.run(partial(upload.finish, _taken(buffer), part.media))
    except StorageError as error:
        message = f"The output cannot be saved in the object store: {error}"
        raise DownloadError(message, path=store.url_of(stem)) from error
    finally:
        # Nothing waits for it: the store may not answer, and an upload without an end has no name in any case.
        thread.post(upload.abort)


def _taken(buffer: list[bytes]) -> bytes:
    """Return the bytes of a buffer, which is empty afterwards."""
    content = b"".join(buffer)
    buffer.clear()
    return content


class _Upload:
    """The upload of one object. Its methods block, and run in one thread, one after another."""

    def __init__(self, store: ObjectStore, stem: str, *, overwrite: bool) -> None:
        self._store = store
        self._stem = stem
        self._overwrite = overwrite
        self._digest = hashlib.sha256()
        self._writer: AbstractContextManager[Callable[[bytes], None]] | None = None
        self._write: Callable[[bytes], None] | None = None
        self.is_open = False

    def write(self, content: bytes, media: MediaType) -> None:
        """Add bytes. Where an object has the name, and is not to be replaced, they are only compared with it."""
        self._digest.update(content)
        name = self._stem + media.suffix
        if not self.is_open:
            self.is_open = True
            if self._overwrite or self._store.size_of(name) is None:
                self._writer = self._store.writer(name, mime=media.mime)
                self._write = self._writer.__enter__()
        if self._write is not None:
            self._write(content)

    def finish(self, content: bytes, media: MediaType) -> StoredObject:
        """Add the last bytes, and give the object its name."""
        name = self._stem + media.suffix
        if self.is_open:
            self.write(content, media)
            writer, self._writer = self._writer, None
            if writer is None:
                self._compare(name)
            else:
                writer.__exit__(None, None, None)
        else:
            self._digest.update(content)
            try:
                self._store.put(name, content, mime=media.mime, overwrite=self._overwrite)
            except ObjectExists:
                self._compare(name)
        return StoredObject(name, self._digest.hexdigest())

    def _compare(self, name: str) -> None:
        """Accept an object of that name with the same bytes: an earlier run wrote it, and ended before it said so."""
        found = hashlib.sha256()
        for piece in self._store.read(name):
            found.update(piece)
        if found.digest() != self._digest.digest():
            raise DownloadError(
                "Another object has the output's name",
                path=self._store.url_of(name),
                advice="Pass overwrite=True to replace it, or save under another prefix.",
            )

    def restart(self) -> None:
        """Begin again with the first byte."""
        self.abort()
        self._digest, self.is_open = hashlib.sha256(), False

    def abort(self) -> None:
        """End an upload that was not finished, so that nothing of it is kept."""
        writer, self._writer, self._write = self._writer, None, None
        if writer is not None:
            ended = StorageError("it was not finished")
            with suppress(StorageError):
                writer.__exit__(StorageError, ended, None)
