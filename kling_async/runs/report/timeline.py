"""Chart the number of jobs in each state over a run: stacked areas, one SVG path per state.

Every job starts as planned and ends in the area of its result. The lowest area is the succeeded jobs, so its upper edge
rises during the run. The heights of the other areas are the jobs that wait, are under way, or failed.

The areas are stretched to the width of the page and the numbers are not, so that both can be read on a phone.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Final, TypeAlias

from attrs import frozen

from ...types.formatting import format_count, format_duration
from .rows import ReportRow, Tone, tone_of

__all__ = ["STATES", "StateCounter", "Timeline", "count_states", "draw_timeline"]

STATES: Final = ("succeeded", "failed", "unconfirmed", "saving", "accepted", "submitting", "planned")
"""From the lowest area up."""

_AT_PROVIDER: Final = ("submitting", "accepted")
_Changes: TypeAlias = Mapping[tuple[str, str], Sequence[float]]

_ENDS: Final = {Tone.GOOD: "succeeded", Tone.BAD: "failed", Tone.DOUBT: "unconfirmed"}
_WIDE, _HIGH = 1000, 220
"""The size of the areas in units of the inner SVG, which is stretched to the outer one."""
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Distances between two marks of the time axis that are easy to read, in seconds; above them, whole days."""


@frozen
class Timeline:
    """The number of jobs in each state at evenly spaced moments.

    Attributes:
        began_at: the first moment, in Unix seconds.
        lasted: seconds from the first moment to the last.
        counts: the number of jobs at each moment, by state, without the states that no job was ever in.
        peak: the maximum number of jobs at the providers at once, which may have been between two moments.
    """

    began_at: float
    lasted: float
    counts: Mapping[str, tuple[int, ...]]
    peak: int

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return sum(column[0] for column in self.counts.values())

    @property
    def moments(self) -> int:
        """Number of moments."""
        return len(next(iter(self.counts.values())))

    def at(self, moment: int) -> float:
        """Return the seconds from the first moment to this one."""
        return self.lasted * moment / (self.moments - 1)


class StateCounter:
    """Counts the jobs in each state over time; it keeps the times of their changes, eight bytes for each."""

    def __init__(self) -> None:
        self._first = Counter[str]()
        self._changes: dict[tuple[str, str], array[float]] = {}
        self._began_at: float | None = None
        self._ended_at = 0.0

    def add(self, row: ReportRow) -> None:
        """Count a job."""
        intervals = list(_intervals(row))
        self._first[intervals[0][1]] += 1
        for (_, before), (at, after) in pairwise(intervals):
            self._changes.setdefault((before, after), array("d")).append(at)
        if times := row.times:
            first, last = min(times), max(times)
            self._ended_at = last if self._began_at is None else max(self._ended_at, last)
            self._began_at = first if self._began_at is None else min(self._began_at, first)

    def timeline(self, *, moments: int = 241) -> Timeline | None:
        """Return the number of jobs in each state at `moments` moments; None if no job has a known time."""
        if self._began_at is None:
            return None
        began_at, ended_at = self._began_at, self._ended_at
        lasted = ended_at - began_at
        # The last moment is exactly the last time, also where the sum is rounded.
        nows = [*(began_at + lasted * moment / (moments - 1) for moment in range(moments - 1)), ended_at]
        columns = {state: [self._first[state]] * moments for state in STATES}
        for (before, after), times in self._changes.items():
            ordered = array("d", sorted(times))
            for moment, now in enumerate(nows):
                count = bisect_right(ordered, now)
                columns[before][moment] -= count
                columns[after][moment] += count
        counts = {state: tuple(column) for state, column in columns.items() if any(column)}
        return Timeline(began_at, lasted, counts, _peak(self._changes))


def count_states(rows: Iterable[ReportRow], *, moments: int = 241) -> Timeline | None:
    """Count the jobs in each state at `moments` moments; None if no job has a known time."""
    counter = StateCounter()
    for row in rows:
        counter.add(row)
    return counter.timeline(moments=moments)


def _peak(changes: _Changes) -> int:
    """Return the maximum number of jobs at the providers at once. Simultaneous changes have no order."""
    begun = _times(changes, lambda before, after: before not in _AT_PROVIDER and after in _AT_PROVIDER)
    ended = _times(changes, lambda before, after: before in _AT_PROVIDER and after not in _AT_PROVIDER)
    return max((bisect_right(begun, at) - bisect_right(ended, at) for at in begun), default=0)


def _times(changes: _Changes, wanted: Callable[[str, str], bool]) -> array[float]:
    every = chain.from_iterable(times for states, times in changes.items() if wanted(*states))
    return array("d", sorted(every))


def _intervals(row: ReportRow) -> Iterator[tuple[float, str]]:
    """Yield the states of a job, in order, with the time each began; a clock that was set back changes no order."""
    times = row.times
    end = _ENDS.get(tone_of(row.status))
    if not times:  # never sent: rejected before submission, or still planned
        yield 0.0, end or "planned"
        return
    yield 0.0, "planned"
    latest = 0.0
    for at, state in ((row.sent_at, "submitting"), (row.accepted_at, "accepted"), (row.finished_at, "saving")):
        if at is not None and not (end and at == max(times)):
            latest = max(latest, at)
            yield latest, state
    if end:
        yield max(times), end


def draw_timeline(timeline: Timeline) -> str:
    """Draw the areas as SVG. Colours are the page's: each path has its state as its class."""
    last = timeline.moments - 1
    ended = ", ".join(f"{column[last]} {state}" for state, column in timeline.counts.items() if column[last])
    label = f"{format_count(timeline.jobs, 'job')} over {format_duration(timeline.lasted)}; at the end: {ended}."
    parts = [f'<svg role="img" aria-label="{label}"><svg viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none">']
    parts += _areas(timeline)
    parts += (f'<path class="line" d="M0 {_y(count, timeline):.1f}H{_WIDE}"/>' for count in _steps(timeline.jobs))
    parts += ["</svg>", *_marks(timeline)]
    return "\n".join([*parts, "</svg>"])


def _areas(timeline: Timeline) -> Iterator[str]:
    lower = [0] * timeline.moments
    for state, column in timeline.counts.items():
        upper = [low + count for low, count in zip(lower, column, strict=True)]
        outline = [*_line(upper, timeline), *reversed(_line(lower, timeline))]
        yield f'<path class="{state}" d="M{"L".join(outline)}z"/>'
        lower = upper


def _line(heights: Sequence[int], timeline: Timeline) -> list[str]:
    """Return the points of an edge, without those inside a level part."""
    last = timeline.moments - 1
    return [
        f"{_WIDE * at / last:.0f} {_y(height, timeline):.1f}"
        for at, height in enumerate(heights)
        if at in (0, last) or not heights[at - 1] == height == heights[at + 1]
    ]


def _marks(timeline: Timeline) -> Iterator[str]:
    """Yield the numbers at both axes, outside of the areas."""
    for count in _steps(timeline.jobs):
        yield f'<text x="-8" y="{100 * (1 - count / timeline.jobs):.2f}%" dy="4" class="count">{count:,}</text>'
    days = 86_400 * (timeline.lasted // (6 * 86_400) + 1)
    step = next((step for step in _STEPS if timeline.lasted / step <= 7), days)
    at = 0.0
    yield '<g class="times">'
    while timeline.lasted and at <= timeline.lasted:
        yield f'<text x="{100 * at / timeline.lasted:.2f}%" y="100%" dy="20">{format_duration(at)}</text>'
        at += step
    yield "</g>"


def _steps(jobs: int) -> list[int]:
    """Return the counts that get a line: zero, all, and round numbers between them that are far enough apart."""
    step = next(size for power in range(12) for size in (10**power, 2 * 10**power, 5 * 10**power) if jobs <= size * 5)
    return [*(count for count in range(0, jobs, step) if jobs - count >= step / 2), jobs]


def _y(count: int, timeline: Timeline) -> float:
    return _HIGH * (1 - count / timeline.jobs)
