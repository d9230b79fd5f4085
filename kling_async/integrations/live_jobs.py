"""The jobs of a run that is open: what is known of each, and the file that has them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from attrs import evolve, frozen

from ..runs.directory import RunDirectory
from ..types.errors import InputError, InputFault, KlingError
from ..types.jobs import Job, fingerprint
from ..types.prediction import Prediction
from ..types.status import JobStatus

__all__ = ["JobState", "LiveJobs"]


@frozen(kw_only=True)
class JobState:
    """What is known of a job of the run.

    Attributes:
        job: the job, with its key.
        status: its status.
        price: the most that it costs, in US dollars.
        prediction: the provider's last record; None before there is one.
        files: its saved files.
        error: the error that ended it, or that kept its files from being saved.
        ended: whether nothing more happens to it.
    """

    job: Job
    price: Decimal
    status: JobStatus = JobStatus.PLANNED
    prediction: Prediction | None = None
    files: tuple[Path, ...] = ()
    error: KlingError | None = None
    ended: bool = False

    @property
    def key(self) -> str:
        """The job's key."""
        return self.job.key or ""


class LiveJobs:
    """The jobs of a run, by their keys.

    Args:
        directory: that of the run.
    """

    def __init__(self, directory: RunDirectory) -> None:
        self._directory = directory
        self._states: dict[str, JobState] = {}

    def __iter__(self) -> Iterator[JobState]:
        """Iterate over the jobs, in their order."""
        return iter(self._states.values())

    def __getitem__(self, key: str) -> JobState:
        """Return what is known of a job. Raises InputError if the run has none with this key."""
        found = self._states.get(key)
        if found is None:
            raise InputError.of("Unknown job", [InputFault("key", key, "is not in this run")])
        return found

    def __contains__(self, key: str) -> bool:
        return key in self._states

    def add(self, state: JobState) -> None:
        """Add a job."""
        self._states[state.key] = state

    def is_new(self, job: Job) -> bool:
        """Return whether the run has no job with this key. Raises InputError if it has one with another input."""
        known = self._states.get(job.key or "")
        if known is None:
            return True
        if fingerprint(known.job.input) != fingerprint(job.input):
            fault = InputFault("key", job.key, "is that of another input in this run; choose another key")
            raise InputError.of("Nothing was submitted", [fault], key=job.key)
        return False

    def update(
        self,
        key: str,
        *,
        status: JobStatus | None = None,
        prediction: Prediction | None = None,
        files: tuple[Path, ...] | None = None,
        error: KlingError | None = None,
        ended: bool | None = None,
    ) -> None:
        """Record what is new of a job; what is None stays."""
        old = self._states[key]
        self._states[key] = evolve(
            old,
            status=status or old.status,
            prediction=prediction or old.prediction,
            files=old.files if files is None else files,
            error=error or old.error,
            ended=old.ended if ended is None else ended,
        )

    def store(self) -> None:
        """Store the jobs; those that were cancelled before they were submitted are no longer ordered."""
        dropped = {key for key, one in self._states.items() if one.status is JobStatus.CANCELLED and not one.prediction}
        self._directory.write_jobs(one.job for key, one in self._states.items() if key not in dropped)
