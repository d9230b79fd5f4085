"""Earlier runs in a directory: their jobs, and the inputs that were edited since."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Self, cast

from attrs import define, field

from ..journal.reader import JournalReader
from ..journal.submission import Submission
from ..providers.selection import as_submitted
from ..runs.directory import RunDirectory
from ..runs.job_lines import JobLines
from ..types.errors import InputError
from ..types.jobs import Job, fingerprint

__all__ = ["EarlierRun"]


@define(kw_only=True)
class EarlierRun:
    """The state that earlier runs have left in a directory, of which nothing is kept: it is read as it is asked for.

    Attributes:
        stored: the stored jobs.
        journal: their submissions.
        metadata: the content of run.json; empty if it is missing or damaged.
    """

    stored: JobLines = field(factory=JobLines)
    journal: JournalReader = field(factory=lambda: JournalReader(Path()))
    metadata: Mapping[str, object] = field(factory=dict[str, object])
    _left_out: frozenset[str] = field(init=False)
    _read: tuple[str, list[Submission]] = field(init=False, default=("", []))

    def __attrs_post_init__(self) -> None:
        self._left_out = frozenset(self.left_out)

    @classmethod
    @contextmanager
    def open(cls, directory: RunDirectory, *, accept_lost_log: bool = False) -> Generator[Self]:
        """Open a run directory for reading; not while its journal is written by this process.

        Raises:
            JournalError: the journal cannot be read.
            InputError: a stored job cannot be read.
        """
        with directory.read(accept_lost_log=accept_lost_log) as journal:
            try:
                metadata = directory.read_metadata()
            except InputError:
                metadata = {}
            with directory.stored_jobs() as stored:
                yield cls(stored=stored, journal=journal, metadata=metadata)

    @property
    def job_file(self) -> str | None:
        """The job file that the run was started with; None if the directory has no run."""
        name = self.metadata.get("sheet")
        return name if isinstance(name, str) else None

    @property
    def left_out(self) -> list[str]:
        """The keys of the jobs in that file that --limit has left out so far."""
        keys = self.metadata.get("left_out")
        return [str(key) for key in cast("list[object]", keys)] if isinstance(keys, list) else []

    def __bool__(self) -> bool:
        """Whether there was any run."""
        return bool(self.stored) or bool(self.journal) or bool(self._left_out)

    def keys(self) -> Iterator[str]:
        """Yield all keys of the run, some more than once."""
        yield from (job.key or "" for job in self.stored)
        yield from self.journal.keys_in_order()
        yield from self._left_out

    def has_key(self, key: str) -> bool:
        """Return whether a key is one of the run."""
        return key in self._left_out or self.stored.number_of(key) is not None or bool(self._attempts(key))

    def newest(self, key: str | None) -> Submission | None:
        """Return the newest submission of a key."""
        attempts = self._attempts(key or "")
        return attempts[-1] if attempts else None

    def edited(self, job: Job) -> Job | None:
        """Return the stored job that replaced this one after its input was submitted; None if there is none."""
        newest = self.newest(job.key)
        if newest is None:
            return None
        digest = fingerprint(as_submitted(job, newest.provider).input)
        attempts = [one for one in self._attempts(newest.key) if one.fingerprint == digest]
        # If the newest attempt may have been paid for, its input stays, whatever the job file has.
        may_be_paid = newest.is_of(digest) and not (newest.is_unpaid and newest.status.is_terminal)
        if may_be_paid or not attempts:
            return None
        stored = self.stored.find(job.key or "")
        return None if stored is None or fingerprint(stored.input) == fingerprint(job.input) else stored

    def _attempts(self, key: str) -> list[Submission]:
        if self._read[0] != key:  # a job is asked about several times in a row
            self._read = key, self.journal.attempts(key)
        return self._read[1]
