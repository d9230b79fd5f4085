"""A run directory whose page is served. One process at a time writes there, so a page acts only between the runs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from ...journal.lock import lock_holder
from ...journal.sqlite import SqliteJournal
from ...runs.directory import RunDirectory, in_use_error
from ...runs.jobfile import dump_job
from ...runs.report import ReportRow
from ...runs.report.text import clean
from ...runs.run_rows import RunRows
from ...system.files import atomic_write
from ...types.errors import InputError, JournalError

__all__ = ["DirectoryRun"]

_RECENT: Final = 2.0
"""Seconds for which a file's time may not show a further change: file systems store coarse times."""
_RETRY: Final = "retry.jsonl"
"""The job file of the last retry, beside failed.jsonl, so that relative paths mean the same."""


@frozen
class DirectoryRun:
    """A run in a directory.

    Attributes:
        directory: the directory.
        notice: nothing is said of it.
        environment: its commands need nothing.
        working_directory: they name it by its whole path.
    """

    directory: RunDirectory
    notice: str = ""
    environment: Mapping[str, str] = MappingProxyType({})
    working_directory: Path | None = None

    @property
    def folders(self) -> Mapping[str, Path]:
        """Its outputs and their thumbnails."""
        return {name: self.directory.path / name for name in (self.directory.media.name, "thumbnails")}

    @property
    def owner(self) -> str | None:
        """The process that has the journal."""
        return lock_holder(self.directory.journal)

    def in_use(self) -> JournalError | None:
        """Return the error for a directory that another process is using."""
        owner = self.owner
        return None if owner is None else in_use_error(self.directory.path, owner)

    def sign(self) -> object:
        """Return the times and sizes of its files, and its owner."""
        journal, found = self.directory.journal, list[object]()
        newest = 0.0
        for path in (journal, journal.with_name(f"{journal.name}-wal"), *self.directory.sources):
            try:
                known = path.stat()
            except OSError:
                found.append(None)
            else:
                found.append((known.st_mtime_ns, known.st_size, known.st_ino))
                newest = max(newest, known.st_mtime)
        is_recent = time.time() - newest < _RECENT
        return (*found, self.owner, time.monotonic() if is_recent else None)

    def rows(self) -> Iterator[ReportRow]:
        """Yield the rows of its stored jobs and its journal."""
        return iter(RunRows(self.directory))

    def journal(self) -> SqliteJournal:
        """Return the journal file."""
        return SqliteJournal(self.directory.journal)

    def retry(self, key: str, prompt: str) -> Sequence[str]:
        """Write a job file of one row, which `batch` runs in the same directory."""
        with self.directory.stored_jobs() as stored:
            job = stored.find(key)
        if job is None:
            raise InputError(f"{key} is not in the run's jobs.jsonl. Nothing was sent.")
        # A browser sends line ends and characters of its own; an unchanged prompt stays what it was.
        if clean(prompt) != clean(job.input.prompt):
            job = evolve(job, input=evolve(job.input, prompt=prompt))
        path = (self.directory.path / _RETRY).resolve()
        with atomic_write(path, private=True) as file:
            file.write(f"{dump_job(job)}\n")
        return "batch", str(path), "--retry-failed", "--accept-changed", "-o", str(path.parent), "--progress", "none"

    def resume(self) -> Sequence[str]:
        """Name the directory to `resume`."""
        return "resume", str(self.directory.path.resolve()), "--progress", "none"
