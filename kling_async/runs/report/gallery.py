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
_MAX_MEDIA: Final = 9
"""Number of images and videos of one job that are shown: as many as most models can be asked for."""

_GRID: Final = "display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px;margin-top:6px"
_CELL: Final = "border:1px solid rgba(128,128,128,.4);border-radius:6px;overflow:hidden;font-size:12px;line-height:1.4"
_MEDIA: Final = "display:block;width:100%;height:120px;object-fit:contain;background:rgba(128,128,128,.12)"
_SEVERAL: Final = "display:grid;gap:2px;grid-template-columns:repeat({},1fr)"
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
    found = card.media or _remote(row)
    media = "".join(_media(one, card.alt) for one in found[:_MAX_MEDIA])
    style = _CELL
    if len(found) > 1:  # several need the room, to be told from each other
        style += ";grid-column:span 2"
        media = f'<div style="{_SEVERAL.format(2 if len(found) <= 4 else 3)}">{media}</div>'
    text = _text(card, left_out=len(found[_MAX_MEDIA:]))
    return f'<div style="{style}">{media}<div style="{_STATUS_TEXT}">{text}</div></div>'


def _text(card: Card, *, left_out: int) -> str:
    """Return the caption of a cell: its prompt, its key with the status, and what there is to know beyond these."""
    dots = "…" if card.rest else ""
    more = f"+{left_out:,} more" if left_out else ""
    facts = filter(None, [card.provider, card.model, card.facts, more])
    lines = [
        f'<span dir="auto">{escape(card.prompt.rstrip() + dots)}</span>' if card.prompt else "",
        f"<b>{escape(card.key)}</b> {escape(card.status)}",
        escape(card.cause),
        f'<span style="opacity:.75">{escape(" · ".join(facts))}</span>',
        *(f'<a href="{escape(link.url)}">{escape(link.name)}</a>' for link in card.links),
    ]
    return "<br>".join(filter(None, lines))


def _remote(row: ReportRow) -> tuple[Media, ...]:
    """Return the outputs that can be shown from the provider's URLs; only http and https URLs are used."""
    return tuple(Media(url, row.kind == "video") for url in row.outputs if url.startswith(("https://", "http://")))


def _media(media: Media, alt: str) -> str:
    url, alt = escape(media.url), escape(alt)
    if media.is_video:
        return f'<video src="{url}" style="{_MEDIA}" aria-label="{alt}" controls preload="metadata"></video>'
    return f'<a href="{url}"><img src="{url}" style="{_MEDIA}" alt="{alt}" loading="lazy"></a>'
