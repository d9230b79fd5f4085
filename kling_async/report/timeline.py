"""How many jobs stood where, over the time of a run: a picture of stacked areas, one path for each state.

Every job is planned at first, and ends in a layer that says how. The lowest layer is what succeeded, so its upper edge
climbs as the run goes on, and the thickness of the others is what was waiting, on its way, or lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final

from attrs import frozen

from .rows import ReportRow, Tone, tone_of
from .words import say_duration

__all__ = ["STATES", "Timeline", "count_states", "draw_timeline"]

STATES: Final = ("succeeded", "failed", "unconfirmed", "saving", "running", "sending", "planned")
"""From the lowest layer up."""

_ENDS: Final = {Tone.GOOD: "succeeded", Tone.BAD: "failed", Tone.DOUBT: "unconfirmed"}
_WIDE, _HIGH = 1000, 220
"""The size of the areas, in units of the picture, which is scaled to the page."""
_LEFT, _TOP, _BELOW = 48, 10, 26
"""Room for the numbers around them."""
_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
"""Distances between marks of time that a reader takes in at a glance, in seconds; beyond them, whole days."""


@frozen
class Timeline:
    """How many jobs stood in each state, at moments that are evenly spaced.

    Attributes:
        began_at: the first moment, in seconds of the Unix clock.
        lasted: seconds from the first moment to the last.
        counts: the number of jobs at each moment, by state; states in which no job ever stood are left out.
        peak: how many jobs were with their providers at once, at most; that may have been between two moments.
    """

    began_at: float
    lasted: float
    counts: Mapping[str, tuple[int, ...]]
    peak: int

    @property
    def jobs(self) -> int:
        """How many jobs there are."""
        return sum(column[0] for column in self.counts.values())

    @property
    def moments(self) -> int:
        """How many moments there are."""
        return len(next(iter(self.counts.values())))

    def at(self, moment: int) -> float:
        """Return how long after the first moment this one is, in seconds."""
        return self.lasted * moment / (self.moments - 1)


def count_states(rows: Sequence[ReportRow], *, moments: int = 241) -> Timeline | None:
    """Count how many jobs stood in each state at each of some moments; None if nothing ever happened."""
    times = [at for row in rows for at in row.times]
    if not times:
        return None
    began_at, lasted = min(times), max(times) - min(times)
    changes: list[tuple[float, str, str]] = []
    standing = Counter[str]()
    for row in rows:
        stays = list(_stays(row))
        standing[stays[0][1]] += 1
        changes += [(at, before, after) for (_, before), (at, after) in pairwise(stays)]
    changes.sort(reverse=True)
    columns: dict[str, list[int]] = {state: [] for state in STATES}
    peak = 0
    for moment in range(moments):
        # The last moment is exactly the last time, whatever rounding makes of their sum.
        now = began_at + lasted * moment / (moments - 1) if moment < moments - 1 else max(times)
        while changes and changes[-1][0] <= now:
            at, before, after = changes.pop()
            standing[before] -= 1
            standing[after] += 1
            if not changes or changes[-1][0] > at:  # what happens at the same time happens in no order
                peak = max(peak, standing["sending"] + standing["running"])
        for state, column in columns.items():
            column.append(standing[state])
    counts = {state: tuple(column) for state, column in columns.items() if any(column)}
    return Timeline(began_at, lasted, counts, peak)


def _stays(row: ReportRow) -> Iterator[tuple[float, str]]:
    """Yield the states of a job with the time each began, in order, whatever the clock did meanwhile."""
    times = row.times
    end = _ENDS.get(tone_of(row.status))
    if not times:  # never sent: refused beforehand, or still planned
        yield 0.0, end or "planned"
        return
    yield 0.0, "planned"
    latest = 0.0
    for at, state in ((row.sent_at, "sending"), (row.accepted_at, "running"), (row.finished_at, "saving")):
        if at is not None and not (end and at == max(times)):
            latest = max(latest, at)
            yield latest, state
    if end:
        yield max(times), end


def draw_timeline(timeline: Timeline) -> str:
    """Draw the layers as SVG. Colours are the page's: every path has its state as its class."""
    last = timeline.moments - 1
    ended = ", ".join(f"{column[last]} {state}" for state, column in timeline.counts.items() if column[last])
    told = f"{timeline.jobs} jobs over {say_duration(timeline.lasted)}; at the end: {ended}."
    size = f"{-_LEFT} {-_TOP} {_LEFT + _WIDE + 12} {_TOP + _HIGH + _BELOW}"
    parts = [f'<svg viewBox="{size}" role="img" aria-label="{told}">']
    parts += _layers(timeline)
    parts += _marks(timeline)
    return "\n".join([*parts, "</svg>"])


def _layers(timeline: Timeline) -> Iterator[str]:
    floor = [0] * timeline.moments
    for state, column in timeline.counts.items():
        roof = [low + count for low, count in zip(floor, column, strict=True)]
        there = [*_line(roof, timeline), *reversed(_line(floor, timeline))]
        yield f'<path class="{state}" d="M{"L".join(there)}z"/>'
        floor = roof


def _line(heights: Sequence[int], timeline: Timeline) -> list[str]:
    """Return the points of an edge, without those on a level stretch."""
    last = timeline.moments - 1
    return [
        f"{_WIDE * at / last:.0f} {_y(height, timeline):.1f}"
        for at, height in enumerate(heights)
        if at in (0, last) or not heights[at - 1] == height == heights[at + 1]
    ]


def _marks(timeline: Timeline) -> Iterator[str]:
    for count in _steps(timeline.jobs):
        y = _y(count, timeline)
        yield f'<path class="line" d="M0 {y:.1f}H{_WIDE}"/><text x="-8" y="{y + 4:.1f}" class="count">{count:,}</text>'
    days = 86_400 * (timeline.lasted // (6 * 86_400) + 1)
    step = next((step for step in _STEPS if timeline.lasted / step <= 7), days)
    at = 0.0
    while timeline.lasted and at <= timeline.lasted:
        yield f'<text x="{_WIDE * at / timeline.lasted:.1f}" y="{_HIGH + 20}">{say_duration(at)}</text>'
        at += step


def _steps(jobs: int) -> list[int]:
    """Return the counts that get a line: none, all, and round ones between that keep their distance."""
    step = next(size for power in range(12) for size in (10**power, 2 * 10**power, 5 * 10**power) if jobs <= size * 5)
    return [*(count for count in range(0, jobs, step) if jobs - count >= step / 2), jobs]


def _y(count: int, timeline: Timeline) -> float:
    return _HIGH * (1 - count / timeline.jobs)
