"""Build a gallery for notebooks: the first images and videos of a run, and the number of the others.

It has no script and no style sheet: a notebook drops scripts from output that it does not trust, and applies a style
sheet to the whole page. Colours are the notebook's own. Unlike the page, it needs no extra.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from ...types.formatting import format_count
from .cards import Card, Media, build_card
from .rows import ReportRow
from .text import clean
from .totals import TotalsCounter

__all__ = ["gallery"]

_MAX_CELLS: Final = 24
"""Number of jobs that are shown: about one screen, and few enough to keep the notebook small."""

_GRID: Final = "display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-top:6px"
_CELL: Final = "border:1px solid rgba(128,128,128,.4);border-radius:6px;overflow:hidden;font-size:12px;line-height:1.4"
_MEDIA: Final = "display:block;width:100%;height:120px;object-fit:contain;background:rgba(128,128,128,.12)"
_STATUS_TEXT: Final = "padding:4px 8px 6px;overflow-wrap:anywhere"


def gallery(rows: Iterable[ReportRow]) -> str:
    """Return HTML that shows a run in a notebook.

    URLs of files are relative to the notebook's directory. Jobs without files are shown from the URLs of their outputs.
    """
    counter, cells = TotalsCounter(), ""
    for number, row in enumerate(rows):
        counter.add(row)
        cells += _cell(build_card(row), row) if number < _MAX_CELLS else ""
    totals = counter.totals()
    counts = ", ".join(f"{count:,} {status}" for status, count in totals.statuses.items())
    summary = format_count(totals.jobs, "job") + (f": {counts}" if counts else "")
    more = f"<p>and {totals.jobs - _MAX_CELLS:,} more</p>" if totals.jobs > _MAX_CELLS else ""
    return clean(f'<div><p>{escape(summary)}</p><div style="{_GRID}">{cells}</div>{more}</div>')


def _cell(card: Card, row: ReportRow) -> str:
    shown = [*card.media, *_remote(row)][:1]
    media = "".join(_media(one, card.alt) for one in shown)
    cause = f"<br>{escape(card.cause)}" if card.cause else ""
    links = "".join(f'<br><a href="{escape(link.url)}">{escape(link.name)}</a>' for link in card.links)
    text = f'<b>{escape(card.key)}</b> {escape(card.status)}{cause}<br><span dir="auto">{escape(card.alt)}</span>'
    return f'<div style="{_CELL}">{media}<div style="{_STATUS_TEXT}">{text}{links}</div></div>'


def _remote(row: ReportRow) -> list[Media]:
    """Return the outputs that can be shown from the provider's URLs; only http and https URLs are used."""
    return [Media(url, row.kind == "video") for url in row.outputs if url.startswith(("https://", "http://"))]


def _media(media: Media, alt: str) -> str:
    url, alt = escape(media.url), escape(alt)
    if media.is_video:
        return f'<video src="{url}" style="{_MEDIA}" aria-label="{alt}" controls preload="metadata"></video>'
    return f'<a href="{url}"><img src="{url}" style="{_MEDIA}" alt="{alt}" loading="lazy"></a>'
