"""Local media of a job file: read before its rows are planned, so that their faults have their line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from attrs import define, evolve, field

from ..runtime.media_reader import read_media
from ..types.jobs import Job
from ..types.media_values import MediaFile, media_in

__all__ = ["LocalFiles"]


@define
class LocalFiles:
    """Reads the local media of jobs, each file once, and knows those of an earlier run that are gone.

    Attributes:
        stored: the stored jobs of an earlier run, which tell of their files. They are read when a file is gone.
        read_now: files that were read, with the times of their last changes.
    """

    stored: Iterable[Job] = ()
    read_now: dict[Path, tuple[int, MediaFile]] = field(factory=dict[Path, tuple[int, MediaFile]])
    _gone: dict[Path, MediaFile] | None = field(init=False, default=None)

    def read(self, job: Job) -> Job:
        """Return a job whose local media are read. Raises InputError with all their faults."""
        input = read_media(job.input, self, key=job.key)
        return job if input is job.input else evolve(job, input=input)

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        """Return what a file was found to be; None if it is unknown, or was changed since. No size: it is gone."""
        if size is None:
            return self._stored_files().get(path)
        known = self.read_now.get(path)
        return None if known is None or (size, changed_ns) != (known[1].size, known[0]) else known[1]

    def _stored_files(self) -> dict[Path, MediaFile]:
        if self._gone is None:
            found = (media for job in self.stored for _, media in media_in(job.input) if isinstance(media, MediaFile))
            self._gone = {one.source: one for one in found if isinstance(one.source, Path)}
        return self._gone

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        """Keep what a file was found to be."""
        self.read_now[path] = (changed_ns, found)
