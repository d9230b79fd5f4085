"""A view of a batch as a picture for a terminal: a pure function from a value to something that rich can show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Final

from attrs import frozen
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from .view import Ending, Part, View, duration, money, shares, speed

__all__ = ["draw"]

_WIDEST: Final = 100
"""Cells of a line: a wider one is harder to read, and a terminal made narrower would break it in two."""
_KEY: Final = 24
"""Cells of a key, at most."""

_STYLES: Final[Mapping[Part, str]] = {
    Part.SUCCEEDED: "green",
    Part.FAILED: "red",
    Part.UNCONFIRMED: "magenta",
    Part.RUNNING: "cyan",
    Part.SENDING: "blue",
    Part.PLANNED: "dim",
}
_GAP: Final = "   "
"""What stands between two parts of a line."""
_NEWS: Final = frozenset({Part.FAILED, Part.UNCONFIRMED, Part.SENDING})
"""What is left out of the legend while there is none."""


@frozen
class _Glyphs:
    """What is drawn with. Each part has a shape of its own, for those who see no colours, or want none."""

    shapes: Mapping[Part, str]
    dots: str
    times: str
    ascii: bool

    def clean(self, text: str) -> str:
        """Leave out what would move the cursor, ring, or turn the line around; a provider's words are not ours."""
        shown = "".join(sign if sign.isprintable() else " " for sign in text)
        # A stream would write what it cannot say as several signs, and so break the line.
        return shown.encode("ascii", "replace").decode("ascii") if self.ascii else shown


_GLYPHS: Final = _Glyphs(dict(zip(Part, "█x?▓▒░", strict=True)), "…", "×", ascii=False)  # noqa: RUF001 - a sign, not a letter
_ASCII: Final = _Glyphs(dict(zip(Part, "#x?=-.", strict=True)), "~", "x", ascii=True)


def draw(view: View) -> RenderableType:
    """Return the picture of a view; it fits any width, also in a terminal that knows only ASCII."""
    return _Picture(view)


@frozen
class _Picture:
    view: View

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _WIDEST)
        for line in _lines(self.view, width, _ASCII if options.ascii_only else _GLYPHS):
            line.no_wrap, line.overflow = True, "crop"
            yield line


def _lines(view: View, width: int, glyphs: _Glyphs) -> Iterator[Text]:
    yield _bar(view, width, glyphs)
    yield _joined(_legend(view, glyphs), width)
    yield _joined(_facts(view, width), width)
    yield from _providers(view, width, glyphs)
    room = max((cell_len(glyphs.clean(ending.key)) for ending in view.endings), default=0)
    for ending in view.endings:
        yield _ending(ending, width, min(room, _KEY), glyphs)


def _bar(view: View, width: int, glyphs: _Glyphs) -> Text:
    of = f"{view.total:,}" if view.total is not None else f"{view.progress.pulled:,} so far"
    finished = f"{view.progress.finished:,}".rjust(len(of.partition(" ")[0]))
    told = f"  {view.share:4.0%}  {finished} of {of}"
    counts = view.counts
    bar = Text()
    for part, cells in zip(counts, shares(list(counts.values()), max(0, width - len(told))), strict=True):
        bar.append(glyphs.shapes[part] * cells, _STYLES[part])
    return bar.append(told, "bold")


def _legend(view: View, glyphs: _Glyphs) -> Iterator[Text]:
    # What comes last is left out first, and few jobs are ever being sent.
    for part, count in sorted(view.counts.items(), key=lambda item: item[0] is Part.SENDING):
        if count or part not in _NEWS:
            yield Text.assemble((f"{glyphs.shapes[part]} ", _STYLES[part]), f"{count:,} {part.value}")


def _facts(view: View, width: int) -> Iterator[Text]:
    progress = view.progress
    pace = [speed(progress.per_second)]
    if view.share < 1:
        pace.append(f"ETA {'-' if view.remaining is None else duration(view.remaining)}")
    yield from map(Text, pace)
    yield Text(money(view, room=width - sum(len(text) + len(_GAP) for text in pace)))
    yield Text(f"elapsed {duration(progress.elapsed)}")
    if progress.saved:
        yield Text(f"{progress.saved:,} saved")


def _providers(view: View, width: int, glyphs: _Glyphs) -> Iterator[Text]:
    """Yield a line for each provider, with its numbers below each other."""
    rows = [
        (one.name, f"{one.running:,} running", f"{one.sending:,} sending", f"{one.finished:,} over")
        for one in view.providers
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for one, (name, *numbers) in zip(view.providers, rows, strict=True):
        cells = [name.ljust(widths[0]), *(cell.rjust(most) for cell, most in zip(numbers, widths[1:], strict=True))]
        texts = [*map(Text, cells), Text(speed(one.per_second).rjust(9))]
        if one.throttled:
            texts.append(Text(f"429 {glyphs.times}{one.throttled:,}", "yellow"))
        if one.trouble:
            texts.append(Text(f"{one.trouble}, {duration(ceil(one.trouble_for))}", "bold yellow"))
        yield _joined(texts, width)


def _ending(ending: Ending, width: int, room: int, glyphs: _Glyphs) -> Text:
    head = set_cell_size(_ends(glyphs.clean(ending.key), room, glyphs.dots), room)
    told, left = glyphs.clean(ending.told), max(0, width - room - 4)
    told = _tail(told, left, glyphs.dots) if ending.is_path else _head(told, left, glyphs.dots)
    return Text.assemble((f"{glyphs.shapes[ending.part]} ", _STYLES[ending.part]), head, "  ", (told, "dim"))


def _joined(parts: Iterable[Text], width: int) -> Text:
    """Put as many parts into a line as fit; those that matter least come last."""
    line = Text()
    for part in parts:
        gap = _GAP if line else ""
        if line.cell_len + len(gap) + part.cell_len > width:
            break
        line.append(gap).append_text(part)
    return line


def _head(text: str, width: int, dots: str) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + dots[:width]


def _tail(text: str, width: int, dots: str) -> str:
    """Keep the end of a path, where the name is."""
    if cell_len(text) <= width:
        return text
    kept = text[-width:] if width else ""
    while kept and cell_len(kept) > width - 1:
        kept = kept[1:]
    return dots[:width] + kept


def _ends(text: str, width: int, dots: str) -> str:
    """Keep both ends of a key: many begin alike, and are told apart by a number at the end."""
    if cell_len(text) <= width:
        return text
    return _head(text, width // 2, "") + _tail(text, width - width // 2, dots)
