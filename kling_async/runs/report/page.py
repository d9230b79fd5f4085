"""Render the report of a run: one HTML file that loads nothing from a network.

The file has its jobs as HTML, so it can be read, searched and printed without its script. The script removes the cards
from the page and puts back, sixty at a time, those that match the filter; a click on one shows it large. Of a large run
the file has the cards of ten thousand jobs, which is what a browser can hold; all figures are those of all jobs.

Text of users and providers is escaped by jinja2. It appears as text or in quoted attributes, never in the script, in
the style or in a URL other than a relative path. The content security policy is the second defence: it allows one
script and one style, by their hashes, and images and videos beside the file.

A live page is the same page with a further script, which puts in new cards and new figures as its server renders them,
by the same template.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final, TypeAlias

from attrs import frozen
from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from ...types.formatting import format_count, format_duration, format_money
from .cards import build_card
from .grid import layout_grids
from .rows import ReportRow, Tone, tone_of
from .summary import RunSummary
from .text import clean, format_moment
from .timeline import draw_timeline
from .totals import Totals

__all__ = ["LIVE_PARTS", "Live", "Places", "policy_of", "render", "render_card", "render_parts"]

_FOLDER: Final = __name__.rpartition(".")[0]
_CAUSES: Final = 8
"""Number of causes that are listed. A provider that puts an id into each message would fill pages otherwise."""
_PIECE: Final = 1 << 16
"""Minimum number of characters of a piece of the page."""
_SAMPLES: Final = 10
"""Number of steps of the timeline's table."""
LIVE_PARTS: Final = ("notice", "totals", "timeline", "causes", "statuses")
"""The parts of the page, beside its cards, that change during a run."""

Places: TypeAlias = Mapping[str, Mapping[str, int]]
"""A number for each value that a card can be filtered by: of "status", "provider" and "model"."""


@frozen(kw_only=True)
class Live:
    """What a page has that is kept up to date by a server.

    Attributes:
        version: that of the jobs on the page; the server sends what is newer.
        places: the numbers of statuses, providers and models, which stay as the run goes on.
    """

    version: int
    places: Places


def render(
    summary: RunSummary,
    *,
    title: str,
    made_at: datetime,
    version: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    as_shown: Callable[[Sequence[ReportRow]], Sequence[ReportRow]] = lambda rows: rows,
    live: Live | None = None,
) -> Iterator[str]:
    """Render the report of a run as HTML, piece by piece; a file of it is UTF-8, in the directory that has its files.

    The first piece has all figures, so that a browser shows these while cards are still rendered.

    Args:
        summary: the jobs, counted in their order in the run.
        title: the name of the run.
        made_at: the time of the report. Times of day are shown in its time zone, so it must have one.
        version: the version of this package.
        settings: the settings of the run, by name.
        as_shown: changes the rows of cards, such as their links; all figures are those of the rows.
        live: for a page that a server keeps up to date; None for a file.

    Raises:
        ValueError: `made_at` has no time zone.
    """
    if made_at.tzinfo is None:
        raise ValueError("made_at has no time zone")
    shown = as_shown(summary.shown())
    grids, others = layout_grids(shown, targets=summary.targets.targets())
    style, script = _style(live=live is not None), _script(live=live is not None)
    parts = _template().generate(
        _figures(summary, made_at, live),
        title=title,
        made_at=format_moment(made_at),
        version=version,
        settings=settings,
        policy=policy_of(live=live is not None),
        style=Markup(style),  # noqa: S704 - both are files of this package
        script=Markup(script),  # noqa: S704
        grids=grids,
        others=sorted(others, key=lambda row: tone_of(row.status) is not Tone.DOUBT),  # possible costs first
        cards=len(shown),
        card=build_card,
    )
    return map(clean, _pieces(parts))


def _pieces(parts: Iterable[str]) -> Iterator[str]:
    """Yield the parts in pieces of some size, which are fewer."""
    piece, size = list[str](), 0
    for part in parts:
        piece.append(part)
        size += len(part)
        if size >= _PIECE:
            yield "".join(piece)
            piece, size = [], 0
    yield "".join(piece)


def render_parts(summary: RunSummary, *, made_at: datetime, live: Live) -> dict[str, str]:
    """Return the parts of a live page that are not cards, as HTML by name."""
    template = _template()
    context = template.new_context(_figures(summary, made_at, live))
    return {name: clean("".join(template.blocks[name](context))) for name in LIVE_PARTS}


def render_card(row: ReportRow, places: Places) -> str:
    """Return the card of a job on a live page, as HTML."""
    write: Callable[..., Markup] = _environment().get_template("card.html").module.__dict__["write"]
    return clean(str(write(build_card(row), places, row)))


def _figures(summary: RunSummary, made_at: datetime, live: Live | None) -> dict[str, object]:
    """Return the variables of the template for all that is not about one job."""
    totals, timeline = summary.totals.totals(), summary.states.timeline()
    return {
        "live": live,
        "began": int(totals.began_at or 0),
        "totals": totals,
        "began_at": _moment(totals.began_at, made_at.tzinfo),
        "providers": {name: own.totals() for name, own in sorted(summary.by_provider.items())},
        "causes": summary.causes.causes(),
        "causes_shown": _CAUSES,
        "timeline": timeline,
        "picture": "" if timeline is None else Markup(draw_timeline(timeline)),  # noqa: S704 - it has numbers and our own words only
        "samples": () if timeline is None else _samples(timeline.moments),
        "count": format_count,
        "places": _columns_of(summary, totals) if live is None else live.places,
    }


def _moment(at: float | None, zone: tzinfo | None) -> str:
    return "" if at is None else format_moment(datetime.fromtimestamp(at, zone))


def _columns_of(summary: RunSummary, totals: Totals) -> dict[str, dict[str, int]]:
    """Number the values that a card can be filtered by; on 5,000 cards numbers take less space than names."""
    return {
        "status": {status: place for place, status in enumerate(totals.statuses)},
        "provider": {name: place for place, name in enumerate(sorted(summary.providers))},
        "model": {name: place for place, name in enumerate(sorted(summary.models))},
    }


def _samples(moments: int) -> list[int]:
    return [round(step * (moments - 1) / _SAMPLES) for step in range(_SAMPLES + 1)]


@cache
def policy_of(*, live: bool) -> str:
    """Return the content security policy: the browser may load nothing else. `file:` is for a page opened from disk."""
    disk = "" if live else " file:"
    return "; ".join(
        (
            "default-src 'none'",
            f"img-src 'self'{disk} data:",
            f"media-src 'self'{disk}",
            f"style-src '{_hash(_style(live=live))}'",
            f"script-src '{_hash(_script(live=live))}'",
            *(("connect-src 'self'",) if live else ()),
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _style(*, live: bool) -> str:
    return _read("page.css") + (_read("live.css") if live else "")


def _script(*, live: bool) -> str:
    return _read("page.js") + _read("viewer.js") + (_read("live.js") if live else "")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _template() -> Template:
    return _environment().get_template("page.html")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=DictLoader({name: _read(name) for name in ("page.html", "card.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=format_duration, money=format_money)
    return environment


@cache
def _read(name: str) -> str:
    return (files(_FOLDER) / name).read_text(encoding="utf-8")
