"""Draws the states of a job from the engine's own table, so that the picture cannot show anything else.

The layout is simple. A state stands in the column that says how many steps it is from the first one, and states that go
on stand above those that do not. Ways between the same two states share one arrow. Every colour is the text's own, so
the picture is as readable on a dark page as on a light one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple, TypeVar

__all__ = ["draw_transitions", "write_transitions"]

Name = TypeVar("Name", bound=str)

_WIDTH, _HEIGHT = 124.0, 44.0
_ROW_GAP = 96.0
_MARGIN = 10.0
_LETTER = 7.2
"""About how wide a letter of a label is."""
_LINE = 21.0
"""From one label to the next, so that the line of an arrow fits between two."""
_ALONG = 0.56
"""How far along its arrow a label stands: past the middle, where arrows from one box have parted."""
_BEND = 26.0
"""How far an arrow swings out where another one goes the opposite way, or a box is in its way."""
_TIP = 3.0
"""How far before its box an arrow ends."""

_STYLE = """\
.transitions { font: 13px/1.2 system-ui, sans-serif; color: inherit; }
.transitions text { fill: currentColor; text-anchor: middle; dominant-baseline: central; }
.transitions .state rect { fill: currentColor; fill-opacity: .07; stroke: currentColor; stroke-width: 1.4; }
.transitions .state .inner { fill: none; stroke-width: 1; }
.transitions .state text { font-size: 14px; font-weight: 600; }
.transitions path.way { fill: none; stroke: currentColor; stroke-opacity: .7; stroke-width: 1.4; }
.transitions marker path { fill: currentColor; }
.transitions .news { paint-order: stroke; stroke: var(--color-background-primary, Canvas); stroke-width: 5px; }
"""
_HEAD = """\
<title id="transitions-title">The states of a job, and what leads from one to the other</title>
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
    from kling_async.planning.engine import TRANSITIONS  # noqa: PLC0415  the table as it is when the page is built

    path.write_text(draw_transitions(TRANSITIONS), encoding="utf-8")


def draw_transitions(table: Mapping[tuple[Name, str], Name]) -> str:
    """Return an SVG of every state and every transition of a table: what follows from a state and a piece of news.

    The state of its first key is the first.
    """
    columns = list(_columns(table))
    ways: dict[tuple[str, str], list[str]] = {}
    for (state, news), after in table.items():
        ways.setdefault((str(state), str(after)), []).append(str(news))
    longest = max(len(news) for _, news in table)
    gap = longest * _LETTER + 34.0
    places = {
        state: _Point(_MARGIN + column * (_WIDTH + gap) + _WIDTH / 2, _MARGIN + 62.0 + row * (_HEIGHT + _ROW_GAP))
        for column, states in enumerate(columns)
        for row, state in enumerate(states)
    }
    width = _MARGIN * 2 + len(columns) * (_WIDTH + gap) - gap
    height = max(place.y for place in places.values()) + _HEIGHT / 2 + _MARGIN
    last = {str(after) for after in table.values()} - {str(state) for state, _ in table}
    size = f'viewBox="0 0 {width:.0f} {height:.0f}" style="width: 100%; max-width: {width:.0f}px; height: auto"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="transitions" role="img" {size}>',
        f"{_HEAD}<style>\n{_STYLE}</style>",
    ]
    # Words lie above all lines, and boxes between them, so that nothing is struck through.
    drawn = [_way(ways, pair, news, places) for pair, news in ways.items()]
    parts += [line for line, _ in drawn]
    parts += [_box(state, place, last=state in last) for state, place in places.items()]
    parts += [words for _, words in drawn]
    return "\n".join([*parts, "</svg>", ""])


def _columns(table: Mapping[tuple[Name, str], Name]) -> Iterator[Sequence[str]]:
    """Yield the states by how many steps they are from the first; those that go on come first."""
    going_on = {str(state) for state, _ in table}
    states, known = [str(next(iter(table))[0])], set[str]()
    while states:
        yield sorted(states, key=lambda state: state not in going_on)
        known.update(states)
        following = (str(after) for (state, _), after in table.items() if str(state) in states)
        states = [state for state in dict.fromkeys(following) if state not in known]
    if lost := sorted(going_on - known):
        raise ValueError(f"no way leads to {', '.join(lost)}")


def _box(state: str, place: _Point, *, last: bool) -> str:
    """Draw a state; a double line says that nothing follows."""
    inner = _rect("inner", place, smaller_by=4) if last else ""
    outer = _rect("outer", place, smaller_by=0)
    return f'<g class="state" data-state="{escape(state)}">{outer}{inner}{_text("", place, state)}</g>'


def _rect(name: str, place: _Point, *, smaller_by: float) -> str:
    x, y = place.x - _WIDTH / 2 + smaller_by, place.y - _HEIGHT / 2 + smaller_by
    size = (
        f'width="{_WIDTH - 2 * smaller_by:.0f}" height="{_HEIGHT - 2 * smaller_by:.0f}" rx="{9 - smaller_by / 2:.0f}"'
    )
    return f'<rect class="{name}" x="{x:.1f}" y="{y:.1f}" {size}/>'


def _text(name: str, at: _Point, words: str) -> str:
    return f'<text class="{name}" x="{at.x:.1f}" y="{at.y:.1f}">{escape(words)}</text>'


def _way(
    ways: Mapping[tuple[str, str], Sequence[str]],
    pair: tuple[str, str],
    news: Sequence[str],
    places: Mapping[str, _Point],
) -> tuple[str, str]:
    """Draw one arrow: its line, and the words on it."""
    start, end = places[pair[0]], places[pair[1]]
    if start == end:
        line, at = _loop(start)
        first = at.y - _LINE * (len(news) - 1)
    else:
        line, at = _arc(start, end, _bend(ways, pair, places))
        first = at.y - _LINE * (len(news) - 1) / 2
    words = "".join(_text("news", _Point(at.x, first + _LINE * row), one) for row, one in enumerate(news))
    told = f'data-from="{escape(pair[0])}" data-to="{escape(pair[1])}"'
    return (
        f'<path class="way" d="{line}" marker-end="url(#transitions-tip)"/>',
        f'<g class="words" {told}>{words}</g>',
    )


def _bend(ways: Mapping[tuple[str, str], object], pair: tuple[str, str], places: Mapping[str, _Point]) -> float:
    """Return how far an arrow has to swing out."""
    start, end = places[pair[0]], places[pair[1]]
    left, right = sorted((start.x, end.x))
    if start.y == end.y and any(place.y == start.y and left < place.x < right for place in places.values()):
        return _BEND + _HEIGHT * (right - left) / (4 * _WIDTH)
    return _BEND if pair[::-1] in ways else 0.0


def _loop(box: _Point) -> tuple[str, _Point]:
    """Return a line from the top of a box back to it, and where its words stand."""
    top, left, right = box.y - _HEIGHT / 2, box.x - 22, box.x + 22
    line = f"M{left:.1f} {top:.1f} C{left - 8:.1f} {top - 40:.1f} {right + 8:.1f} {top - 40:.1f} "
    return f"{line}{right:.1f} {top - _TIP:.1f}", _Point(box.x, top - 42)


def _arc(start: _Point, end: _Point, bend: float) -> tuple[str, _Point]:
    """Return a line that leaves and meets the boxes at their edges, bent to its left, and where its words stand."""
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
    """Return where a line from the middle of a box leaves it, and a little further."""
    across, down = towards.x - box.x, towards.y - box.y
    scale = min(
        (_WIDTH / 2 + beyond) / abs(across) if across else math.inf,
        (_HEIGHT / 2 + beyond) / abs(down) if down else math.inf,
    )
    return _Point(box.x + across * scale, box.y + down * scale)
