"""The state of a run for its live page, read while other processes write there.

Theory of operation. The run is read only while a page asks for it, and again only after it has changed. Each reading
has a version, and so has each job: that of the reading that found it changed. A page has a version as well, and gets
what is newer. A reading that takes long is followed by a longer pause, so that a page of a very large run does not
occupy the machine that does the run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, evolve, field, frozen

from ...runs.report import ReportRow
from ...runs.report.rows import STATUSES
from ...runs.report.summary import RunSummary
from ...types.errors import KlingError
from .served_run import ServedRun

__all__ = ["RunState", "Snapshot"]

_PAUSE: Final = 1.0
"""Minimum seconds between two readings."""
_SHARE: Final = 4.0
"""Minimum pause after a reading, as a multiple of the time that it took."""
_RATE_WINDOW: Final = 60.0
"""Seconds over which finished jobs are counted."""
_PLACES: Final = ("provider", "model")


@frozen(kw_only=True)
class Snapshot:
    """A run at one moment.

    Attributes:
        version: the number of the reading.
        summary: all figures.
        rows: the jobs with a card, by position.
        changed: the version at which each of them changed last.
        layout: the version at which the set of jobs with a card changed last.
        finished: when the jobs of the last minute were finished, in Unix seconds.
    """

    version: int
    summary: RunSummary
    rows: Mapping[int, ReportRow]
    changed: Mapping[int, int]
    layout: int
    finished: Sequence[float]

    def newer_than(self, version: int) -> list[ReportRow]:
        """Return the jobs that have changed since a version, in their order."""
        return [row for position, row in self.rows.items() if self.changed[position] > version]


@define(eq=False)
class RunState:
    """Reads a run again as it changes.

    Attributes:
        run: the run.
        as_shown: changes the rows of cards, such as their links and thumbnails; it may take long.
        places: the numbers of statuses, providers and models; new ones are added and none changes.
        problem: why the last reading failed, or "".
    """

    run: ServedRun
    as_shown: Callable[[Sequence[ReportRow]], Sequence[ReportRow]] = lambda rows: rows
    places: dict[str, dict[str, int]] = field(init=False)
    problem: str = field(init=False, default="")
    _snapshot: Snapshot | None = field(init=False, default=None)
    _signature: object = field(init=False, default=None)
    _read_again_at: float = field(init=False, default=0.0)
    _lock: anyio.Lock = field(init=False, factory=anyio.Lock)

    def __attrs_post_init__(self) -> None:
        statuses = {status.value: place for place, status in enumerate(STATUSES)}
        self.places = {"status": statuses, **{name: {} for name in _PLACES}}

    async def refresh(self) -> Snapshot:
        """Return the run as it is, read again if it has changed.

        Raises:
            KlingError: it could not be read so far. After that the last state is returned, and `problem` says why.
        """
        async with self._lock:
            if time.monotonic() >= self._read_again_at:
                await self._read_if_changed()
            if self._snapshot is None:
                raise KlingError(self.problem or "The run cannot be read")
            return self._snapshot

    @asynccontextmanager
    async def paused(self) -> AsyncGenerator[None]:
        """Keep the run from being read meanwhile: closing a file of a journal takes this process's locks of it away."""
        async with self._lock:
            try:
                yield
            finally:
                self._signature, self._read_again_at = None, 0.0

    def rate(self) -> int:
        """Return the number of jobs that were finished in the last minute."""
        since = time.time() - _RATE_WINDOW
        return 0 if self._snapshot is None else sum(at >= since for at in self._snapshot.finished)

    async def _read_if_changed(self) -> None:
        began_at = time.monotonic()
        try:
            await anyio.to_thread.run_sync(self._read_in_thread)
            self.problem = ""
        except KlingError as error:
            self.problem = str(error)
        ended_at = time.monotonic()
        self._read_again_at = ended_at + max(_PAUSE, _SHARE * (ended_at - began_at))

    def _read_in_thread(self) -> None:
        signature = self.run.sign()
        if signature != self._signature or self._snapshot is None:
            self._snapshot = self._read(self._snapshot)
            self._signature = signature

    def _read(self, before: Snapshot | None) -> Snapshot:
        summary, version = RunSummary(), 1 if before is None else before.version + 1
        finished, since = list[float](), time.time() - _RATE_WINDOW
        for row in self.run.rows():
            summary.add(row)
            if row.finished_at is not None and row.finished_at >= since:
                finished.append(row.finished_at)
        self._number(summary)
        rows = {row.position: row for row in self.as_shown(summary.shown())}
        old = dict[int, ReportRow]() if before is None else before.rows
        changed = {
            position: before.changed[position] if before is not None and old.get(position) == row else version
            for position, row in rows.items()
        }
        same = before is not None and before.rows.keys() == rows.keys()
        if before is not None and same and version not in changed.values() and _equal(summary, before.summary):
            return evolve(before, finished=finished)
        return Snapshot(
            version=version,
            summary=summary,
            rows=rows,
            changed=changed,
            layout=before.layout if before is not None and same else version,
            finished=finished,
        )

    def _number(self, summary: RunSummary) -> None:
        for name, values in zip(_PLACES, (summary.providers, summary.models), strict=True):
            known = self.places[name]
            for value in sorted(values - known.keys()):
                known[value] = len(known)


def _equal(one: RunSummary, other: RunSummary) -> bool:
    """Return whether two summaries have the same figures, also of the jobs that have no card."""
    return one.totals.totals() == other.totals.totals()
