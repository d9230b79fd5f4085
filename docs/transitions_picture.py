"""Draw the statuses of a job and the transitions between them from the engine's own table.

A status is in the column of its distance from the first one, and statuses with transitions are above terminal ones.
Transitions between the same two statuses share one arrow. Triggers that close a job are in italics. Every colour is
that of the text, so the picture is readable on dark and on light pages.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum
from html import escape
from pathlib import Path
from typing import NamedTuple, TypeAlias

__all__ = ["draw_transitions", "write_transitions"]

Name: TypeAlias = str | Enum
Table: TypeAlias = Mapping[tuple[Name, Name], Name]
"""The status that follows from a status and a trigger."""

_WIDTH, _HEIGHT = 124.0, 44.0
_ROW_GAP = 96.0
_MARGIN = 10.0
_LETTER = 7.2
"""Approximate width of a letter of a label."""
_LINE = 21.0
"""Distance of two labels, so that the line of an arrow fits between them."""
_ALONG = 0.56
"""Position of a label on its arrow: past the middle, where arrows from one box have parted."""
_BEND = 26.0
"""Bend of an arrow beside one in the opposite direction, or around a box."""
_TIP = 3.0
"""Gap between an arrow and its box."""

_STYLE = """\
.transitions { font: 13px/1.2 system-ui, sans-serif; color: inherit; }
.transitions text { fill: currentColor; text-anchor: middle; dominant-baseline: central; }
.transitions .status rect { fill: currentColor; fill-opacity: .07; stroke: currentColor; stroke-width: 1.4; }
.transitions .status .inner { fill: none; stroke-width: 1; }
.transitions .status text { font-size: 14px; font-weight: 600; }
.transitions path.way { fill: none; stroke: currentColor; stroke-opacity: .7; stroke-width: 1.4; }
.transitions marker path { fill: currentColor; }
.transitions .closing { font-style: italic; }
.transitions .trigger { paint-order: stroke; stroke: var(--color-background-primary, Canvas); stroke-width: 5px; }
"""
_HEAD = """\
<title id="transitions-title">The statuses of a job, and the triggers between them</title>
<defs>
<marker id="transitions-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
<path d="M0 0.5 L8 4 L0 7.5 z"/>
</marker>
</defs>
"""


class _Point(NamedTuple):
    x: float
    y: float


def write_transitions(path: Path) -> None:
    """Write the picture of the engine's table."""
    from kling_async.scheduling.transitions import CLOSING, TRANSITIONS  # noqa: PLC0415  as they are at the build

    path.write_text(draw_transitions(TRANSITIONS, CLOSING), encoding="utf-8")


def draw_transitions(table: Table, closing: Collection[Name] = ()) -> str:
    """Return an SVG of every status and every transition of a table.

    Args:
        table: the status that follows, by status and trigger; the status of the first key is the first.
        closing: triggers after which the engine does nothing more for a job, whatever its status.
    """
    last = {_word(trigger) for trigger in closing}
    rows = [(_word(status), _word(trigger), _word(after)) for (status, trigger), after in table.items()]
    columns = list(_columns([(status, after) for status, _, after in rows]))
    ways: dict[tuple[str, str], list[str]] = {}
    for status, trigger, after in rows:
        ways.setdefault((status, after), []).append(trigger)
    longest = max(len(trigger) for _, trigger, _ in rows)
    gap = longest * _LETTER + 34.0
    places = {
        status: _Point(_MARGIN + column * (_WIDTH + gap) + _WIDTH / 2, _MARGIN + 62.0 + row * (_HEIGHT + _ROW_GAP))
        for column, statuses in enumerate(columns)
        for row, status in enumerate(statuses)
    }
    width = _MARGIN * 2 + len(columns) * (_WIDTH + gap) - gap
    height = max(place.y for place in places.values()) + _HEIGHT / 2 + _MARGIN
    terminal = {after for _, _, after in rows} - {status for status, _, _ in rows}
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" style="width: 100%; max-width: {width:.0f}px; height: auto"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="transitions" role="img" {size}>',
        f"{_HEAD}<style>\n{_STYLE}</style>",
    ]
    # Labels lie above all lines, and boxes between them, so that no line crosses a word.
    drawn = [_way(ways, pair, triggers, places, last) for pair, triggers in ways.items()]
    parts += [line for line, _ in drawn]
    parts += [_box(status, place, terminal=status in terminal) for status, place in places.items()]
    parts += [words for _, words in drawn]
    return "\n".join([*parts, "</svg>", ""])


def _word(name: Name) -> str:
    return str(name.value) if isinstance(name, Enum) else name


def _columns(transitions: Sequence[tuple[str, str]]) -> Iterator[Sequence[str]]:
    """Yield the statuses by their distance from the first; those with transitions come first."""
    starts = {status for status, _ in transitions}
    statuses, known = [transitions[0][0]], set[str]()
    while statuses:
        yield sorted(statuses, key=lambda status: status not in starts)
        known.update(statuses)
        following = (after for status, after in transitions if status in statuses)
        statuses = [status for status in dict.fromkeys(following) if status not in known]
    if unreachable := sorted(starts - known):
        raise ValueError(f"no transition leads to {', '.join(unreachable)}")


def _box(status: str, place: _Point, *, terminal: bool) -> str:
    """Draw a status; a double frame marks a terminal one."""
    inner = _rect("inner", place, smaller_by=4) if terminal else ""
    outer = _rect("outer", place, smaller_by=0)
    return f'<g class="status" data-status="{escape(status)}">{outer}{inner}{_text("", place, status)}</g>'


def _rect(name: str, place: _Point, *, smaller_by: float) -> str:
    x, y = place.x - _WIDTH / 2 + smaller_by, place.y - _HEIGHT / 2 + smaller_by
    size = (
        f'width="{_WIDTH - 2 * smaller_by:.0f}" height="{_HEIGHT - 2 * smaller_by:.0f}" rx="{9 - smaller_by / 2:.0f}"'
    )
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" {size}/>'


def _text(name: str, at: _Point, text: str) -> str:
    return f'<text class="{name}" x="{at.x:.1f}" y="{at.y:.1f}">{escape(text)}</text>'


def _way(
    ways: Mapping[tuple[str, str], Sequence[str]],
    pair: tuple[str, str],
    triggers: Sequence[str],
    places: Mapping[str, _Point],
    closing: Collection[str],
) -> tuple[str, str]:
    """Draw one arrow: its line, and its labels."""
    start, end = places[pair[0]], places[pair[1]]
    if start == end:
        line, at = _loop(start)
        first = at.y - _LINE * (len(triggers) - 1)
    else:
        line, at = _arc(start, end, _bend(ways, pair, places))
        first = at.y - _LINE * (len(triggers) - 1) / 2
    labels = "".join(
        _text("trigger closing" if one in closing else "trigger", _Point(at.x, first + _LINE * row), one)
        for row, one in enumerate(triggers)
    )
    ends = f'data-from="{escape(pair[0])}" data-to="{escape(pair[1])}"'
    return (
        f'<path class="way" d="{line}" marker-end="url(#transitions-tip)"/>',
        f'<g class="labels" {ends}>{labels}</g>',
    )


def _bend(ways: Mapping[tuple[str, str], object], pair: tuple[str, str], places: Mapping[str, _Point]) -> float:
    """Return the bend of an arrow."""
    start, end = places[pair[0]], places[pair[1]]
    left, right = sorted((start.x, end.x))
    if start.y == end.y and any(place.y == start.y and left < place.x < right for place in places.values()):
        return _BEND + _HEIGHT * (right - left) / (4 * _WIDTH)
    return _BEND if pair[::-1] in ways else 0.0


def _loop(box: _Point) -> tuple[str, _Point]:
    """Return a line from the top of a box back to it, and the position of its labels."""
    top, left, right = box.y - _HEIGHT / 2, box.x - 22, box.x + 22
    line = f"M{left:.1f} {top:.1f} C{left - 8:.1f} {top - 40:.1f} {right + 8:.1f} {top - 40:.1f} "
    return f"{line}{right:.1f} {top - _TIP:.1f}", _Point(box.x, top - 42)


def _arc(start: _Point, end: _Point, bend: float) -> tuple[str, _Point]:
    """Return a line between the edges of two boxes, bent to its left, and the position of its labels."""
    across, down = end.x - start.x, end.y - start.y
    long = math.hypot(across, down)
    control = _Point((start.x + end.x) / 2 + down / long * bend * 2, (start.y + end.y) / 2 - across / long * bend * 2)
    first, last = _edge(start, control, 0.0), _edge(end, control, _TIP)
    shares = (1 - _ALONG) ** 2, 2 * _ALONG * (1 - _ALONG), _ALONG**2
    at = _Point(
        sum(share * point.x for share, point in zip(shares, (first, control, last), strict=True)),
        sum(share * point.y for share, point in zip(shares, (first, control, last), strict=True)),
    )
    return f"M{first.x:.1f} {first.y:.1f} Q{control.x:.1f} {control.y:.1f} {last.x:.1f} {last.y:.1f}", at


def _edge(box: _Point, towards: _Point, beyond: float) -> _Point:
    """Return the point at which a line from the middle of a box leaves it, plus a gap."""
    across, down = towards.x - box.x, towards.y - box.y
    scale = min(
        (_WIDTH / 2 + beyond) / abs(across) if across else math.inf,
        (_HEIGHT / 2 + beyond) / abs(down) if down else math.inf,
    )
    return _Point(box.x + across * scale, box.y + down * scale)
