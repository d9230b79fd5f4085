"""The report of a run: one HTML file that asks nobody for anything.

All jobs stand in the file as HTML, so that it can be read, searched and printed without its script. The script only
takes the cards out of the page and puts back, sixty at a time, those that the filter lets through.

Whatever comes from users and providers is escaped by jinja2 and stands in text or in quoted attributes, never in the
script, in the style or in an address that is not a relative path. The content security policy holds should that fail:
it allows one script and one style, by their hashes, and pictures and films beside the file.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Final

from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup

from .cards import build_card
from .matrix import lay_out
from .rows import ReportRow, Tone, tone_of
from .timeline import count_states, draw_timeline
from .totals import count_causes, count_totals
from .words import clean, say_duration, say_moment, say_money

__all__ = ["render"]

_HERE: Final = __name__.rpartition(".")[0]
_LATE: Final = 10_000
"""Above so many jobs, a browser that runs scripts lays out no card before the script has chosen which: to lay out all
of 100,000 while they arrive takes it 20 seconds instead of 6."""
_CAUSES: Final = 8
"""How many causes are listed. Providers that put an id into each message would fill pages otherwise."""
_SAMPLES: Final = 10
"""In how many steps the timeline is told as a table."""


def render(
    rows: Iterable[ReportRow],
    *,
    title: str,
    made_at: datetime,
    version: str,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the report of a run as an HTML file, to be written as UTF-8 into the folder that its files lie under.

    Args:
        rows: the jobs, in any order.
        title: the name of the run.
        made_at: when the report is made. Times of day are given in its time zone, so it must have one.
        version: the version of this package.
        settings: what else to tell about the run, by name.

    Raises:
        ValueError: `made_at` has no time zone.
    """
    if made_at.tzinfo is None:
        raise ValueError("made_at has no time zone, so no time of day could be told")
    jobs = sorted(rows, key=lambda row: row.position)
    totals, timeline = count_totals(jobs), count_states(jobs)
    grids, others = lay_out(jobs)
    style, script = _read("page.css"), _read("page.js")
    text = _template().render(
        title=title,
        made_at=say_moment(made_at),
        version=version,
        settings=settings,
        policy=_policy(style, script),
        style=Markup(style),  # noqa: S704  both are files of this package
        script=Markup(script),  # noqa: S704
        totals=totals,
        began_at="" if totals.began_at is None else say_moment(datetime.fromtimestamp(totals.began_at, made_at.tzinfo)),
        providers={name: count_totals(members) for name, members in _by_provider(jobs).items()},
        causes=count_causes(jobs),
        causes_shown=_CAUSES,
        timeline=timeline,
        picture="" if timeline is None else Markup(draw_timeline(timeline)),  # noqa: S704  holds numbers and our words
        samples=() if timeline is None else _samples(timeline.moments),
        grids=grids,
        others=sorted(others, key=lambda row: tone_of(row.status) is not Tone.DOUBT),  # what may have cost money first
        late=Markup(" data-late") if len(jobs) > _LATE else "",
        card=build_card,
        places=_places(jobs),
    )
    return clean(text)


def _by_provider(rows: Sequence[ReportRow]) -> dict[str, list[ReportRow]]:
    providers: dict[str, list[ReportRow]] = {}
    for row in sorted(rows, key=lambda row: row.provider):
        if not row.provider:
            continue  # nobody was chosen yet
        providers.setdefault(row.provider, []).append(row)
    return providers


def _places(rows: Sequence[ReportRow]) -> dict[str, dict[str, int]]:
    """Number the values that a card can be filtered by: numbers take less room on 5,000 cards than names."""
    return {
        "status": {status: place for place, status in enumerate(count_totals(rows).statuses)},
        "provider": {name: place for place, name in enumerate(sorted({row.provider for row in rows}))},
        "model": {name: place for place, name in enumerate(sorted({row.model for row in rows}))},
    }


def _samples(moments: int) -> list[int]:
    return [round(step * (moments - 1) / _SAMPLES) for step in range(_SAMPLES + 1)]


def _policy(style: str, script: str) -> str:
    """Return what the browser may do with the page: nothing but this. `file:` is what lies beside it on a disk."""
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
    environment.filters.update(duration=say_duration, money=say_money)
    return environment.get_template("page.html")


@cache
def _read(name: str) -> str:
    return (files(_HERE) / name).read_text(encoding="utf-8")
