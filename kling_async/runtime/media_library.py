"""What one client knows of local media: files that were read, and contents that were uploaded, also by earlier runs."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import evolve

from ..journal.media_file import KnownFile, MediaRecordFile, Uploaded
from ..system.clock import Clock, hold_clock
from ..transport.object_store import ObjectStore
from ..types.inputs import Input
from ..types.jobs import Job
from ..types.media_values import MediaFile
from ..types.prediction import Output, Prediction
from .media_reader import needs_reading, read_media
from .saved_files import SavedObject

__all__ = ["MediaLibrary"]

_log = logging.getLogger(__name__)

_MIN_MARGIN: Final = 3600.0
_MARGIN: Final = 0.1
"""Share of its lifetime, an hour at least, for which an uploaded content is not used before it is removed."""
_UNKNOWN_SECONDS: Final = 86_400.0
"""Seconds for which a content counts as kept where no page says how long it is; for one run, that is."""
_MAX_SAVED: Final = 100_000
"""Maximum number of saved outputs that are remembered."""


class MediaLibrary:
    """Remembers local media for one client.

    Args:
        clock: tells the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._files: dict[str, KnownFile] = {}
        self._uploads: dict[tuple[str, str], Uploaded] = {}
        self._saved: dict[tuple[str, str, int], Path | SavedObject] = {}
        self._records: list[MediaRecordFile] = []

    @asynccontextmanager
    async def beside(self, journal: Path | None) -> AsyncGenerator[None]:
        """Know also what the file beside a journal knows, and write to it, as long as this is entered."""
        if journal is None:
            yield
            return
        records = MediaRecordFile(journal)
        with hold_clock(self._clock):
            found = await anyio.to_thread.run_sync(lambda: list(records.read()))
        for record in found:
            if isinstance(record, Uploaded):
                self._uploads[record.account, record.sha256] = record
            else:
                self._files[record.path] = record
        self._records.append(records)
        try:
            yield
        finally:
            self._records.remove(records)

    # Reading.

    async def read(self, job: Job) -> Job:
        """Return a job whose local media are read, in a thread. Raises InputError with all their faults."""
        input = await self.read_input(job.input, key=job.key)
        return job if input is job.input else evolve(job, input=input)

    async def read_input(self, input: Input, *, key: str | None = None) -> Input:
        """Return an input whose local media are read, in a thread. Raises InputError with all their faults."""
        if not needs_reading(input):
            return input
        with hold_clock(self._clock):
            return await anyio.to_thread.run_sync(lambda: read_media(input, self, key=key))

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        """Return what a file was found to be; None if it is unknown, or was changed since. No size: it is gone."""
        known = self._files.get(str(path))
        if known is None or (size is not None and (size, changed_ns) != (known.media.size, known.changed_ns)):
            return None
        return evolve(known.media, source=path)

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        """Keep what a file was found to be."""
        known = KnownFile(str(path), changed_ns, evolve(found, source=None))
        self._files[known.path] = known
        self._append(known)

    # Uploads.

    def address(self, account: str, file: MediaFile) -> str | None:
        """Return where a content is found at a provider; None if nowhere, or not for long any more."""
        known = self._uploads.get((account, file.sha256))
        return None if known is None or known.expires_at <= self._clock.utc().timestamp() else known.address

    async def keep(self, account: str, file: MediaFile, address: str, *, seconds: float | None) -> None:
        """Remember where a content was uploaded to.

        Args:
            account: the provider, the origin and the key.
            file: the content.
            address: its URL.
            seconds: for which it is kept there; None where no page says it: then it is known to this run only.
        """
        now = self._clock.utc().timestamp()
        kept = _UNKNOWN_SECONDS if seconds is None else seconds
        usable = max(kept - max(_MIN_MARGIN, _MARGIN * kept), 0.5 * kept)
        known = Uploaded(account, file.sha256, address, now + usable)
        self._uploads[account, file.sha256] = known
        if seconds is not None and "?" not in address and "#" not in address:
            with hold_clock(self._clock):
                await anyio.to_thread.run_sync(self._append, known)

    def _append(self, record: KnownFile | Uploaded) -> None:
        for records in list(self._records):
            try:
                records.append(record)
            except OSError as error:
                _log.warning("the media file %s cannot be written: %s", records.path.name, error.strerror)

    # Outputs of other predictions.

    def saved(self, output: Output) -> Path | SavedObject | None:
        """Return the file or the object that an output was saved as in this run; None if it was not."""
        source = output.source
        return None if source is None else self._saved.get(source.place)

    def remember_saved(self, prediction: Prediction, files: Sequence[Path | str], store: ObjectStore | None) -> None:
        """Remember what a prediction's outputs were saved as: files, or the URLs of objects in a store."""
        for index, file in enumerate(files):
            if isinstance(file, Path):
                self._saved[prediction.provider, prediction.id, index] = file
            elif store is not None:
                saved = SavedObject(store, file.removeprefix(f"{store.url}/"))
                self._saved[prediction.provider, prediction.id, index] = saved
        while len(self._saved) > _MAX_SAVED:
            del self._saved[next(iter(self._saved))]
