"""`kling-async cancel`: stop a run, and cancel at the providers what is running there."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final, cast

import anyio
from attrs import frozen
from cyclopts import Parameter

from ..journal.reader import JournalReader
from ..journal.sqlite import SqliteJournal
from ..runs.directory import RunDirectory
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from ..types.prediction import Prediction
from ..types.status import JobStatus
from .cancel_accepted import cancel_accepted
from .console import ExitCode, echo, escape, run
from .database import Database, database_of, hint_of
from .queued_cancel import cancel_queued
from .start import check_api_keys

__all__ = ["cancel"]

_OWNER: Final = re.compile(r"process (\d+) on (.+), since .+")
_PAUSE: Final = 0.5
_TRIES: Final = 20
"""So often the journal is read until no submission is in flight, so that what they start is cancelled, too."""


def cancel(
    directory: Path, /, *keys: Annotated[str, Parameter(negative="", show_default=False)], database: Database = None
) -> int:
    """Stop a run, and cancel what is running at providers that can cancel.

    Args:
        directory: Run directory, or the name of a run in the database.
        keys: Keys of the jobs. [default: all of the run]
        database: URL of the database that has the run.
    """

    async def command() -> ExitCode:
        found = database_of(directory, database)
        if found is not None:
            return await cancel_queued(found, str(directory), keys, hint=hint_of(database))
        return await _cancel(RunDirectory(directory), keys)

    return run(command)


async def _cancel(here: RunDirectory, keys: Sequence[str]) -> ExitCode:
    here.read_metadata()
    owner = here.owner
    open_jobs = _read(here, keys)
    if keys and owner is not None and open_jobs.planned:
        faults = [InputFault("key", key, "is not submitted yet") for key in open_jobs.planned]
        advice = f"Stop the run first: kling-async cancel {here.path}"
        raise InputError.of(f"The run is running ({owner})", faults, advice=advice)
    check_api_keys({one.provider for one in open_jobs.accepted})
    if owner is not None and not keys:
        _stop(owner)
        open_jobs = await _settled(here)
    elif keys and open_jobs.planned:
        _leave_out(here, open_jobs.planned)
    elif open_jobs.planned:
        planned = format_count(len(open_jobs.planned), "job")
        echo(f"{planned} not submitted; kling-async resume {escape(str(here.path))} would submit them.")
    # A process that runs the jobs owns the journal, and learns of the end by its own polls.
    journal = SqliteJournal(here.journal) if owner is None and open_jobs.accepted else None
    ended = await cancel_accepted(open_jobs.accepted, journal=journal)
    return ExitCode.FAILED if ended.cannot else ExitCode.DONE


@frozen
class _OpenJobs:
    """Jobs that have not ended.

    Attributes:
        planned: keys of those that were not submitted.
        accepted: those that providers have accepted.
        submitting: whether one is being submitted.
    """

    planned: Sequence[str]
    accepted: Sequence[Prediction]
    submitting: bool


def _read(here: RunDirectory, keys: Sequence[str]) -> _OpenJobs:
    """Return the open jobs of a run, or those of them with these keys. Raises InputError at an unknown key."""
    planned, accepted, submitting = list[str](), list[Prediction](), False
    with here.read() as journal, here.stored_jobs() as stored:
        unknown = [key for key in keys if stored.number_of(key) is None and not journal.attempts(key)]
        if unknown:
            faults = [InputFault("key", key, "is not in that run") for key in unknown]
            raise InputError.of("These jobs cannot be cancelled", faults)
        for key in keys or _keys_of(here, journal):
            attempts = journal.attempts(key)
            status = attempts[-1].status if attempts else JobStatus.PLANNED
            submitting = submitting or status is JobStatus.SUBMITTING
            if status is JobStatus.PLANNED:
                planned.append(key)
            elif status is JobStatus.ACCEPTED and attempts[-1].prediction is not None:
                accepted.append(attempts[-1].prediction)
    return _OpenJobs(planned, accepted, submitting)


def _keys_of(here: RunDirectory, journal: JournalReader) -> dict[str, None]:
    return dict.fromkeys([*(job.key or "" for job in here.jobs()), *journal.keys_in_order()])


def _stop(owner: str) -> None:
    """Let the process that runs the jobs stop as at the first Ctrl-C. Raises InputError if it cannot be reached."""
    found = _OWNER.fullmatch(owner)
    if found is None or found[2] != socket.gethostname() or sys.platform == "win32":
        raise InputError(f"The run cannot be stopped from here ({owner})", advice="Press Ctrl-C where it runs.")
    os.kill(int(found[1]), signal.SIGTERM)
    echo(f"Stopped submitting ({escape(owner)}).")


async def _settled(here: RunDirectory) -> _OpenJobs:
    """Return what is open once no submission is in flight, or after some seconds."""
    found = _OpenJobs([], [], submitting=True)
    for _ in range(_TRIES):
        await anyio.sleep(_PAUSE)  # also before the first one, for the process to receive the signal
        found = _read(here, ())
        if not found.submitting:
            break
    return found


def _leave_out(here: RunDirectory, keys: Sequence[str]) -> None:
    """Take jobs that were not submitted out of a run, as `--limit` does: its job file can add them again."""
    out = set(keys)
    with here.owned():
        metadata = here.read_metadata()
        known = metadata.get("left_out")
        here.write_jobs(job for job in here.jobs() if job.key not in out)
        left_out = [*cast("list[object]", known if isinstance(known, list) else []), *keys]
        here.write_metadata({**metadata, "left_out": left_out, "jobs": sum(1 for _ in here.jobs())})
    echo(f"{format_count(len(keys), 'job')} taken out of the run; running the job file again adds them.")
