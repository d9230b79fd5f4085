"""What the buttons of a live page do: decide about an unconfirmed submission, retry a failed job, resume the run.

Theory of operation. Nothing here submits anything. A decision is an entry of the journal, as the command `unconfirmed`
writes it. A retry is a job file of one row, which the command `batch` runs in the same directory, and to resume is the
command `resume`: what was paid, what may be paid and the budget are theirs to know. All of them need the directory, so
while another process has it they are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from ...journal.sqlite import SqliteJournal
from ...journal.submission import Decision
from ...journal.writer import JournalWriter
from ...providers.codec.fields import parse_id
from ...runs.directory import RunDirectory, in_use_error
from ...runs.jobfile import dump_job
from ...runs.report import ReportRow
from ...runs.report.text import clean
from ...runs.run_rows import FAILED
from ...system.clock import SystemClock
from ...system.files import atomic_write
from ...types.errors import InputError, InputFault
from .run_process import RunProcess
from .state import RunState

__all__ = ["Actions"]

_DECISIONS: Final[Mapping[str, Decision]] = {
    "attach": Decision.ATTACHED,
    "resubmit": Decision.RESUBMITTED,
    "abandon": Decision.ABANDONED,
}
_RETRY: Final = "retry.jsonl"
"""The job file of the last retry, beside failed.jsonl, so that relative paths mean the same."""


class Actions:
    """The actions of a page. Each takes the fields of a JSON object, and returns a sentence for the user.

    Each raises InputError if a field is wrong or the job is not in such a state, and JournalError if another process
    has the run.

    Args:
        directory: that of the run.
        state: what pages show of it.
        process: runs the commands.
    """

    def __init__(self, directory: RunDirectory, *, state: RunState, process: RunProcess) -> None:
        self._directory = directory
        self._state = state
        self._process = process

    async def decide(self, fields: Mapping[str, object]) -> str:
        """Resolve an unconfirmed submission; `decision` is attach, with the provider's `id`, resubmit or abandon."""
        row, decision = await self._row(fields), _DECISIONS.get(_text(fields, "decision"))
        if decision is None:
            raise _wrong("decision", fields, f"must be one of {', '.join(_DECISIONS)}")
        id = _text(fields, "id").strip() if decision is Decision.ATTACHED else ""
        if decision is Decision.ATTACHED and parse_id(id) is None:
            raise _wrong("id", fields, "must be the provider's id")
        self._require_idle()
        async with self._state.paused():
            writer = JournalWriter(SqliteJournal(self._directory.journal), clock=SystemClock())
            await writer.open()
            try:
                await writer.resolve(row.key, decision, id=id)
            finally:
                await writer.aclose()
        applied = "" if decision is Decision.ABANDONED else " Resume the run to apply it."
        return f"{row.key} is {decision.value}.{applied}"

    async def retry(self, fields: Mapping[str, object]) -> str:
        """Submit a failed job again, which is billed again, with `prompt` as its prompt."""
        row, prompt = await self._row(fields), _text(fields, "prompt")
        if row.status not in FAILED:
            raise InputError(f"{row.key} has not failed (it is {row.status.value}). Nothing was sent.")
        self._require_idle()
        with self._directory.stored_jobs() as stored:
            job = stored.find(row.key)
        if job is None:
            raise InputError(f"{row.key} is not in the run's jobs.jsonl. Nothing was sent.")
        # A browser sends line ends and characters of its own; an unchanged prompt stays what it was.
        if clean(prompt) != clean(job.input.prompt):
            job = evolve(job, input=evolve(job.input, prompt=prompt))
        path = (self._directory.path / _RETRY).resolve()
        with atomic_write(path, private=True) as file:
            file.write(f"{dump_job(job)}\n")
        await self._start("batch", str(path), "--retry-failed", "--accept-changed", "-o", str(path.parent))
        return f"{row.key} is submitted again."

    async def resume(self, fields: Mapping[str, object]) -> str:
        """Resume the run: decisions are applied, and what was not submitted is."""
        del fields
        self._require_idle()
        await self._start("resume", str(self._directory.path.resolve()))
        return "The run is resumed."

    async def _start(self, *arguments: str) -> None:
        await self._process.start([*arguments, "--progress", "none"])

    def _require_idle(self) -> None:
        owner = self._state.owner
        if owner is not None or self._process.is_running:
            raise in_use_error(self._directory.path, owner or "a command of this page")

    async def _row(self, fields: Mapping[str, object]) -> ReportRow:
        """Return the job that a request is about. Both its number and its key must fit, as the run may have changed."""
        job, snapshot = fields.get("job"), await self._state.refresh()
        row = snapshot.rows.get(job) if isinstance(job, int) and not isinstance(job, bool) else None
        if row is None or clean(row.key) != _text(fields, "key"):
            raise _wrong("job", fields, "is not on this page any more; reload it")
        return row


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise _wrong(name, fields, "must be a string")
    return value


def _wrong(name: str, fields: Mapping[str, object], problem: str) -> InputError:
    return InputError.of("Nothing was done", [InputFault(name, fields.get(name), problem)])
