"""Render a snapshot of a batch for a terminal: a pure function from a value to something that rich can print."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil
from typing import Final

from attrs import frozen
from rich.cells import cell_len, set_cell_size
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from ...types.formatting import format_clock, format_duration
from ...types.status import JobStatus
from .snapshot import GROUPS, ProviderView, RecentResult, Snapshot, apportion
from .text import format_cost, format_limit, format_speed

__all__ = ["render_snapshot"]

_MAX_WIDTH: Final = 100
"""Cells of a line: a wider line is harder to read, and breaks in two when the terminal is made narrower."""
_KEY: Final = 24
"""Maximum width of a key, in cells."""

_STYLES: Final[Mapping[JobStatus, str]] = {
    JobStatus.SUCCEEDED: "green",
    JobStatus.FAILED: "red",
    JobStatus.UNCONFIRMED: "magenta",
    JobStatus.ACCEPTED: "cyan",
    JobStatus.SUBMITTING: "blue",
    JobStatus.PLANNED: "dim",
}
_GAP: Final = "   "
"""Separates the parts of a line."""
_HIDDEN_IF_NONE: Final = frozenset({JobStatus.FAILED, JobStatus.UNCONFIRMED, JobStatus.SUBMITTING})
"""Groups that the legend leaves out while they are empty."""


@frozen
class _Glyphs:
    """Characters to draw with. Each group has its own, so that the bar can be read without colours."""

    shapes: Mapping[JobStatus, str]
    dots: str
    times: str
    ascii: bool

    def clean(self, text: str) -> str:
        """Replace what would move the cursor, ring the bell or reverse the text; providers may send anything."""
        shown = "".join(character if character.isprintable() else " " for character in text)
        # A stream writes a character that it cannot encode as several, which would break the line.
        return shown.encode("ascii", "replace").decode("ascii") if self.ascii else shown


_GLYPHS: Final = _Glyphs(dict(zip(GROUPS, "█x?▓▒░", strict=True)), "…", "×", ascii=False)  # noqa: RUF001 - the multiplication sign
_ASCII: Final = _Glyphs(dict(zip(GROUPS, "#x?=-.", strict=True)), "~", "x", ascii=True)


def render_snapshot(snapshot: Snapshot) -> RenderableType:
    """Return a renderable of a snapshot. It fits any width, and a terminal that only has ASCII."""
    return _Rendered(snapshot)


@frozen
class _Rendered:
    snapshot: Snapshot

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = min(options.max_width, _MAX_WIDTH)
        for line in _lines(self.snapshot, width, _ASCII if options.ascii_only else _GLYPHS):
            line.no_wrap, line.overflow = True, "crop"
            yield line


def _lines(snapshot: Snapshot, width: int, glyphs: _Glyphs) -> Iterator[Text]:
    yield _bar(snapshot, width, glyphs)
    yield _joined(_legend(snapshot, glyphs), width)
    yield _joined(_facts(snapshot, width), width)
    yield from _providers(snapshot, width, glyphs)
    key_width = max((cell_len(glyphs.clean(result.key)) for result in snapshot.recent), default=0)
    for result in snapshot.recent:
        yield _result(result, width, min(key_width, _KEY), glyphs)


def _bar(snapshot: Snapshot, width: int, glyphs: _Glyphs) -> Text:
    of = f"{snapshot.total:,}" if snapshot.total is not None else f"{snapshot.progress.pulled:,} so far"
    done = f"{snapshot.progress.done:,}".rjust(len(of.partition(" ")[0]))
    label = f"  {snapshot.share:4.0%}  {done} of {of}"
    counts = snapshot.counts
    bar = Text()
    for group, cells in zip(counts, apportion(list(counts.values()), max(0, width - len(label))), strict=True):
        bar.append(glyphs.shapes[group] * cells, _STYLES[group])
    return bar.append(label, "bold")


def _legend(snapshot: Snapshot, glyphs: _Glyphs) -> Iterator[Text]:
    # The last part is left out first, and few jobs are ever being submitted.
    for group, count in sorted(snapshot.counts.items(), key=lambda item: item[0] is JobStatus.SUBMITTING):
        if count or group not in _HIDDEN_IF_NONE:
            yield Text.assemble((f"{glyphs.shapes[group]} ", _STYLES[group]), f"{count:,} {group.value}")


def _facts(snapshot: Snapshot, width: int) -> Iterator[Text]:
    progress = snapshot.progress
    pace = [format_speed(progress.per_second)]
    if snapshot.share < 1:
        pace.append(f"ETA {'-' if snapshot.remaining is None else format_clock(snapshot.remaining)}")
    yield from map(Text, pace)
    yield Text(format_cost(snapshot, room=width - sum(len(text) + len(_GAP) for text in pace)))
    yield Text(f"elapsed {format_clock(progress.elapsed)}")
    if snapshot.uploading:
        yield Text(snapshot.uploading)
    if progress.saved:
        yield Text(f"{progress.saved:,} saved")


def _providers(snapshot: Snapshot, width: int, glyphs: _Glyphs) -> Iterator[Text]:
    """Yield a line per provider, with the numbers aligned."""
    rows = [
        (
            one.name,
            f"{one.accepted:,} accepted",
            f"{one.submitting:,} submitting",
            f"{one.finished:,} done",
            format_speed(one.per_second),
        )
        for one in snapshot.providers
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for one, (name, *numbers) in zip(snapshot.providers, rows, strict=True):
        cells = [name.ljust(widths[0]), *(cell.rjust(size) for cell, size in zip(numbers, widths[1:], strict=True))]
        texts, reasons = [*map(Text, cells)], [*_reasons(one)]
        if reasons and sum(part.cell_len + len(_GAP) for part in (*texts, *reasons)) - len(_GAP) > width:
            del texts[-1]  # why a provider is slow matters more than how slow it is
        if one.throttled:
            reasons.append(Text(f"429 {glyphs.times}{one.throttled:,}", "yellow"))
        yield _joined([*texts, *reasons], width)


def _reasons(one: ProviderView) -> Iterator[Text]:
    """Yield why a provider gets no submission now, or no more of them."""
    if one.trouble:
        yield Text(f"{one.trouble}, {format_duration(ceil(one.trouble_seconds))}", "bold yellow")
    if one.limit is not None:
        yield Text(format_limit(one.limit), "bold yellow" if one.is_paused else "yellow")


def _result(result: RecentResult, width: int, key_width: int, glyphs: _Glyphs) -> Text:
    key = set_cell_size(_ends(glyphs.clean(result.key), key_width, glyphs.dots), key_width)
    text, room = glyphs.clean(result.text), max(0, width - key_width - 4)
    text = _tail(text, room, glyphs.dots) if result.is_path else _head(text, room, glyphs.dots)
    return Text.assemble((f"{glyphs.shapes[result.group]} ", _STYLES[result.group]), key, "  ", (text, "dim"))


def _joined(parts: Iterable[Text], width: int) -> Text:
    """Join as many parts as fit into a line; the least important parts come last."""
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
    """Keep the end of a path, which has the file's name."""
    if cell_len(text) <= width:
        return text
    kept = text[-width:] if width else ""
    while kept and cell_len(kept) > width - 1:
        kept = kept[1:]
    return dots[:width] + kept


def _ends(text: str, width: int, dots: str) -> str:
    """Keep both ends of a key: many keys begin alike and differ in a number at the end."""
    if cell_len(text) <= width:
        return text
    return _head(text, width // 2, "") + _tail(text, width - width // 2, dots)
