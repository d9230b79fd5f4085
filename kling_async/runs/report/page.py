"""Render the report of a run: one HTML file that loads nothing from a network.

The file has its jobs as HTML, so it can be read, searched and printed without its script. The script only removes the
cards from the page and puts back, sixty at a time, those that match the filter. Of a large run it has the cards of ten
thousand jobs, which is what a browser can hold; all figures are those of all jobs.

Text of users and providers is escaped by jinja2. It appears as text or in quoted attributes, never in the script, in
the style or in a URL other than a relative path. The content security policy is the second defence: it allows one
script and one style, by their hashes, and images and videos beside the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, tzinfo
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

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

__all__ = ["render"]

_FOLDER: Final = __name__.rpartition(".")[0]
_CAUSES: Final = 8
"""Number of causes that are listed. A provider that puts an id into each message would fill pages otherwise."""
_SAMPLES: Final = 10
"""Number of steps of the timeline's table."""


def render(
    summary: RunSummary,
    *,
    title: str,
    made_at: datetime,
    version: str,
    settings: Mapping[str, str] = MappingProxyType({}),
    as_shown: Callable[[Sequence[ReportRow]], Sequence[ReportRow]] = lambda rows: rows,
) -> str:
    """Return the report of a run as HTML, to be written as UTF-8 into the directory that has its files.

    Args:
        summary: the jobs, counted in their order in the run.
        title: the name of the run.
        made_at: the time of the report. Times of day are shown in its time zone, so it must have one.
        version: the version of this package.
        settings: the settings of the run, by name.
        as_shown: changes the rows of cards, such as their links; all figures are those of the rows.

    Raises:
        ValueError: `made_at` has no time zone.
    """
    if made_at.tzinfo is None:
        raise ValueError("made_at has no time zone")
    totals, timeline = summary.totals.totals(), summary.states.timeline()
    shown = as_shown(summary.shown())
    grids, others = layout_grids(shown, targets=summary.targets.targets())
    style, script = _read("page.css"), _read("page.js")
    text = _template().render(
        title=title,
        made_at=format_moment(made_at),
        version=version,
        settings=settings,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704 - both are files of this package
        script=Markup(script),  # noqa: S704
        totals=totals,
        began_at=_moment(totals.began_at, made_at.tzinfo),
        providers={name: own.totals() for name, own in sorted(summary.by_provider.items())},
        causes=summary.causes.causes(),
        causes_shown=_CAUSES,
        timeline=timeline,
        picture="" if timeline is None else Markup(draw_timeline(timeline)),  # noqa: S704 - it has numbers and our own words only
        samples=() if timeline is None else _samples(timeline.moments),
        grids=grids,
        others=sorted(others, key=lambda row: tone_of(row.status) is not Tone.DOUBT),  # possible costs first
        cards=len(shown),
        card=build_card,
        count=format_count,
        places=_columns_of(summary, totals),
    )
    return clean(text)


def _moment(at: float | None, zone: tzinfo) -> str:
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


def _policy(style: str, script: str) -> str:
    """Return the content security policy: the browser may load nothing else. `file:` is for a page opened from disk."""
    return "; ".join(
        (
            "default-src 'none'",
            "img-src 'self' file: data:",
            "media-src 'self' file:",
            f"style-src '{_hash(style)}'",
            f"script-src '{_hash(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=DictLoader({name: _read(name) for name in ("page.html", "card.html")}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=format_duration, money=format_money)
    return environment.get_template("page.html")


@cache
def _read(name: str) -> str:
    return (files(_FOLDER) / name).read_text(encoding="utf-8")
