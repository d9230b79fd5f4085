"""What the buttons of a live page do: decide about an unconfirmed submission, retry a failed job, resume the run.

Theory of operation. Nothing here submits anything. A decision is an entry of the journal, as the command `unconfirmed`
writes it. To retry and to resume are commands in a process of their own: what was paid, what may be paid and the budget
are theirs to know. Where they need what another process has, all of them are refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import anyio.to_thread

from ...journal.submission import Decision
from ...journal.writer import JournalWriter
from ...providers.codec.fields import parse_id
from ...runs.report import ReportRow
from ...runs.report.text import clean
from ...runs.run_rows import FAILED
from ...system.clock import SystemClock
from ...types.errors import InputError, InputFault
from .run_process import RunProcess
from .state import RunState

__all__ = ["Actions"]

_DECISIONS: Final[Mapping[str, Decision]] = {
    "attach": Decision.ATTACHED,
    "resubmit": Decision.RESUBMITTED,
    "abandon": Decision.ABANDONED,
}


class Actions:
    """The actions of a page. Each takes the fields of a JSON object, and returns a sentence for the user.

    Each raises InputError if a field is wrong or the job is not in such a state, and JournalError if another process
    has the run.

    Args:
        state: what pages show of the run.
        process: runs the commands.
    """

    def __init__(self, *, state: RunState, process: RunProcess) -> None:
        self._run = state.run
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
            writer = JournalWriter(self._run.journal(), clock=SystemClock())
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
        async with self._state.paused():
            words = await anyio.to_thread.run_sync(self._run.retry, row.key, prompt)
        await self._process.start(words)
        return f"{row.key} is submitted again."

    async def resume(self, fields: Mapping[str, object]) -> str:
        """Resume the run: decisions are applied, and what was not submitted is."""
        del fields
        self._require_idle()
        await self._process.start(self._run.resume())
        return "The run is resumed."

    def _require_idle(self) -> None:
        if (error := self._run.in_use()) is not None:
            raise error
        self._process.require_idle()

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
