"""A gallery for notebooks: the first pictures and films of a run, the others counted.

There is no script and no style sheet: notebooks drop the one from what they do not trust, and let the other loose on
the whole page. Colours are the notebook's own. It needs nothing but Python, unlike the page.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

from .cards import Card, Media, build_card
from .rows import ReportRow
from .totals import count_totals
from .words import clean

__all__ = ["gallery"]

_MOST: Final = 24
"""How many jobs are shown: about a screenful, and few enough not to weigh a notebook down."""

_GRID: Final = "display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-top:6px"
_CELL: Final = "border:1px solid rgba(128,128,128,.4);border-radius:6px;overflow:hidden;font-size:12px;line-height:1.4"
_MEDIA: Final = "display:block;width:100%;height:120px;object-fit:contain;background:rgba(128,128,128,.12)"
_WORDS: Final = "padding:4px 8px 6px;overflow-wrap:anywhere"


def gallery(rows: Iterable[ReportRow]) -> str:
    """Return HTML that shows a run in a notebook. Addresses of files are relative to the notebook's folder.

    What has no files is shown from the addresses of its outputs.
    """
    jobs = list(rows)
    counts = ", ".join(f"{count:,} {status}" for status, count in count_totals(jobs).statuses.items())
    said = f"{len(jobs):,} job{'' if len(jobs) == 1 else 's'}" + (f": {counts}" if counts else "")
    cells = "".join(_cell(build_card(row), row) for row in jobs[:_MOST])
    more = f"<p>and {len(jobs) - _MOST:,} more</p>" if len(jobs) > _MOST else ""
    return clean(f'<div><p>{escape(said)}</p><div style="{_GRID}">{cells}</div>{more}</div>')


def _cell(card: Card, row: ReportRow) -> str:
    shown = [*card.media, *_afar(row)][:1]
    media = "".join(_media(one, card.alt) for one in shown)
    cause = f"<br>{escape(card.cause)}" if card.cause else ""
    said = f'<b>{escape(card.key)}</b> {escape(card.status)}{cause}<br><span dir="auto">{escape(card.alt)}</span>'
    return f'<div style="{_CELL}">{media}<div style="{_WORDS}">{said}</div></div>'


def _afar(row: ReportRow) -> list[Media]:
    """Return what can be shown from the provider's addresses; they lead nowhere but to the web."""
    return [Media(url, row.kind == "video") for url in row.outputs if url.startswith(("https://", "http://"))]


def _media(media: Media, alt: str) -> str:
    address, words = escape(media.address), escape(alt)
    if media.video:
        return f'<video src="{address}" style="{_MEDIA}" aria-label="{words}" controls preload="metadata"></video>'
    return f'<a href="{address}"><img src="{address}" style="{_MEDIA}" alt="{words}" loading="lazy"></a>'
