"""Earlier runs in a directory: their jobs, and the inputs that were edited since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from attrs import field, frozen

from ..journal.submission import Submission
from ..runs.directory import RunDirectory
from ..types.errors import InputError
from ..types.jobs import Job, fingerprint

__all__ = ["EarlierRun"]


@frozen(kw_only=True)
class EarlierRun:
    """The state that earlier runs have left in a directory.

    Attributes:
        jobs: the stored jobs by key, in their order.
        attempts: the submissions of each key, the oldest first.
        metadata: the content of run.json; empty if it is missing or damaged.
        owner: description of the process that has the journal open, or None.
    """

    jobs: Mapping[str, Job] = field(factory=dict[str, Job])
    attempts: Mapping[str, Sequence[Submission]] = field(factory=dict[str, Sequence[Submission]])
    metadata: Mapping[str, object] = field(factory=dict[str, object])
    owner: str | None = None

    @classmethod
    def of(cls, directory: RunDirectory, *, accept_lost_log: bool = False) -> EarlierRun:
        """Read a run directory. Raises JournalError, or InputError if a stored job cannot be read."""
        journal = directory.read(accept_lost_log=accept_lost_log)
        attempts: dict[str, list[Submission]] = {}
        for one in journal.submissions:
            attempts.setdefault(one.key, []).append(one)
        try:
            metadata = directory.read_metadata()
        except InputError:
            metadata = {}
        return cls(jobs=directory.written_jobs(), attempts=attempts, metadata=metadata, owner=journal.owner)

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

    def keys(self) -> set[str]:
        """Return all keys of the run."""
        return {*self.jobs, *self.attempts, *self.left_out}

    def newest(self, key: str | None) -> Submission | None:
        """Return the newest submission of a key."""
        attempts = self.attempts.get(key or "")
        return attempts[-1] if attempts else None

    def edited(self, job: Job) -> Job | None:
        """Return the stored job that replaced this one, whose input did not succeed; None if there is none."""
        stored, newest = self.jobs.get(job.key or ""), self.newest(job.key)
        if stored is None or newest is None or fingerprint(stored.input) == (digest := fingerprint(job.input)):
            return None
        attempts = [one for one in self.attempts[newest.key] if one.fingerprint == digest]
        # If the newest attempt may have been paid for, its input stays, whatever the job file has.
        may_be_paid = newest.fingerprint == digest and not (newest.is_unpaid and newest.status.is_terminal)
        return stored if attempts and all(map(_did_not_succeed, attempts)) and not may_be_paid else None


def _did_not_succeed(one: Submission) -> bool:
    return one.status.is_terminal and not one.succeeded
