"""Outputs in an object store as media of other jobs: by a signed URL, or read back where none can be signed."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from tempfile import mkdtemp
from typing import Final
from weakref import finalize

from ..system.clock import Clock, hold_clock
from ..system.threads import ThreadPool
from ..transport.object_errors import StorageError
from ..types.errors import InputError, InputFault
from ..types.media_values import Media, MediaFile
from .media_reader import read_file
from .saved_files import SavedObject

__all__ = ["StoredOutputs"]

_SIGNED_SECONDS: Final = 86_400.0
"""Seconds for which a URL is valid: a provider may let a job wait before it fetches."""
_THREADS: Final = 2


class StoredOutputs:
    """Makes objects that this run has saved media of its further jobs.

    What is read back is in temporary directories, which are removed when this is no longer used.

    Args:
        clock: stands still while the store is asked.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._threads = ThreadPool(name="kling_async stored outputs", keep=_THREADS)

    async def media_of(self, saved: SavedObject) -> Media:
        """Return a URL by which anyone with the link may fetch an object for a day, or a copy of it.

        Raises:
            InputError: the object is gone, or cannot be read.
        """
        with hold_clock(self._clock), self._threads.acquire() as thread:
            try:
                return await thread.run(partial(self._media_of, saved))
            except StorageError as error:
                raise _unusable(saved, f"cannot be read: {error}") from error

    def _media_of(self, saved: SavedObject) -> Media:
        if saved.store.size_of(saved.name) is None:
            raise _unusable(saved, "is not there any more")
        if not saved.store.is_local:
            try:
                return saved.store.presign(saved.name, expires_in=_SIGNED_SECONDS)
            except StorageError:  # some credentials may read, and cannot sign
                pass
        return read_file("media", self._copy(saved), _Unread())

    def _copy(self, saved: SavedObject) -> Path:
        """Copy an object under its own name; only a piece of it is in memory."""
        directory = Path(mkdtemp(prefix="kling-async-"))
        finalize(self, shutil.rmtree, directory, ignore_errors=True)
        path = directory / saved.name
        with path.open("xb") as file:
            for piece in saved.store.read(saved.name):
                file.write(piece)
        return path


class _Unread:
    """Knows no file, and remembers none: the path of a copy means nothing to a later run."""

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        return None

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        pass


def _unusable(saved: SavedObject, problem: str) -> InputError:
    fault = InputFault("media", saved.store.url_of(saved.name), problem)
    return InputError.of("The output of another prediction cannot be used", [fault])
