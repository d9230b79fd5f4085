"""Values of runs whose jobs wait in a database for workers."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from attrs import frozen

from ..types.status import JobStatus
from .submission import Submission

__all__ = ["Chunk", "ChunkCounts", "EndedJob", "Machine", "QueueCounts", "QueuedJob", "RetriedJob", "StoredRun"]


@frozen(kw_only=True)
class StoredRun:
    """A run in the database.

    Attributes:
        name: its name.
        source: what its jobs were read from, such as the path of a job file.
        jobs: number of its jobs.
        digest: a hash of its jobs with their providers.
        settings: its settings, as JSON.
        max_cost: US dollars that it may cost over all workers; None is no limit.
    """

    name: str
    source: str
    jobs: int
    digest: str
    settings: str
    max_cost: Decimal | None = None


@frozen(kw_only=True)
class QueuedJob:
    """A job of a run, as its row has it.

    Attributes:
        number: its place: in the order of the run, or of the ends of its jobs.
        key: its key.
        body: the job, as a line of a job file.
        result: its files and its error, as JSON; None before its end.
    """

    number: int
    key: str
    body: str
    result: str | None = None


@frozen
class Chunk:
    """Some jobs of a run, which one worker at a time takes.

    Attributes:
        run: the name of the run.
        number: its number in the run.
        round: 1, and one more each time that it was given back; a worker of an earlier round leaves it alone.
        providers: the providers of which its worker needs an API key.
        run_id: tells the run from others of its name; known where the chunk waits.
    """

    run: str
    number: int
    round: int
    providers: tuple[str, ...] = ()
    run_id: str = ""


@frozen(kw_only=True)
class EndedJob:
    """A job that a run has finished with.

    Attributes:
        key: its key.
        chunk: the number of the chunk in which it was done.
        status: its status then.
        result: its files and its error, as JSON.
    """

    key: str
    chunk: int
    status: JobStatus
    result: str


@frozen(kw_only=True)
class RetriedJob:
    """A job that is to be run again.

    Attributes:
        key: its key.
        body: the job from now on, as a line of a job file.
        providers: the providers of which its worker needs an API key.
        newest: its newest submission; None if it has none.
        planned: the attempt that follows, which one submission uses up; None if the newest may be sent as it is.
    """

    key: str
    body: str
    providers: tuple[str, ...]
    newest: Submission | None
    planned: Submission | None


@frozen(kw_only=True)
class ChunkCounts:
    """The chunks of a run.

    Attributes:
        states: number of chunks by state: waiting, queued, held or done.
        held: why the held ones are held; None if none is.
    """

    states: Mapping[str, int]
    held: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether workers have something to do for the run."""
        return bool(self.states.get("waiting") or self.states.get("queued"))


@frozen(kw_only=True)
class QueueCounts:
    """The counts of a run.

    Attributes:
        statuses: number of jobs by status, in the order of a job's life.
        spent: the known cost in US dollars, as far as prices are known.
        at_risk: the possible cost of what is unconfirmed or abandoned, in US dollars.
        unpriced: number of jobs that succeeded at an unknown price.
        chunks: its chunks.
    """

    statuses: Mapping[JobStatus, int]
    spent: Decimal
    at_risk: Decimal
    unpriced: int
    chunks: ChunkCounts


@frozen(kw_only=True)
class Machine:
    """A worker, as the others know it.

    Attributes:
        name: its name.
        providers: those that it has an API key for.
        facts: its process, its machine and its version.
        seconds_left: seconds until its lease ends; below 0 it is gone.
    """

    name: str
    providers: tuple[str, ...]
    facts: str
    seconds_left: float

    @property
    def is_living(self) -> bool:
        """Whether its lease has not ended."""
        return self.seconds_left > 0
