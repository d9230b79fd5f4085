"""Draw snapshots of a batch in a notebook: one line of HTML below the cell, updated in place.

It has no script and no style sheet, so that a notebook shows it as it was when it is opened again. Text is the
notebook's own colour, on whatever background. IPython is never imported: it is there, or there is no notebook.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Final, Protocol, cast
from uuid import uuid4

from ...types.formatting import format_clock, format_duration
from ...types.printable import one_line
from ...types.status import JobStatus
from .snapshot import Snapshot, apportion
from .text import format_cost, format_limits, format_line, format_pauses, format_speed

__all__ = ["NotebookDisplay", "Shell", "in_notebook", "render_html", "running_shell"]

_COLOURS: Final[Mapping[JobStatus, str]] = {
    JobStatus.SUCCEEDED: "#2e9e5b",
    JobStatus.FAILED: "#d64545",
    JobStatus.UNCONFIRMED: "#a64dc2",
    JobStatus.ACCEPTED: "#2a9db5",
    JobStatus.SUBMITTING: "#4573d6",
    JobStatus.PLANNED: "rgba(128,128,128,.3)",
}
"""The colours of the terminal's bar, dark enough for a light page and light enough for a dark one."""
_LINE: Final = (
    "display:flex;flex-wrap:wrap;align-items:center;gap:2px 12px;font-size:13px;line-height:1.6;"
    "font-variant-numeric:tabular-nums"
)
_BAR: Final = "display:flex;width:160px;height:10px;border-radius:5px;overflow:hidden;background:rgba(128,128,128,.15)"


class _Publisher(Protocol):
    def publish(
        self, data: Mapping[str, str], metadata: Mapping[str, object], *, transient: Mapping[str, str], update: bool
    ) -> object: ...


class Shell(Protocol):
    """The part of IPython's shell that shows things below a cell; `IPython.display.display` calls the same."""

    @property
    def display_pub(self) -> _Publisher:
        """Publishes what a cell displays."""
        ...


def running_shell() -> Shell | None:
    """Return IPython's shell, or None if this program does not run in one."""
    shell_of = cast("Callable[[], Shell | None] | None", getattr(sys.modules.get("IPython"), "get_ipython", None))
    return None if shell_of is None else shell_of()


def in_notebook() -> bool:
    """Return whether this program runs in a kernel, whose user sees HTML, and not in a terminal."""
    return getattr(running_shell(), "kernel", None) is not None


class NotebookDisplay:
    """Draws each snapshot over the one before, below the cell that draws the first one. The last one stays.

    Args:
        shell: shows it.
    """

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._id = f"kling_async-{uuid4().hex}"
        self._shown: str | None = None

    def show(self, snapshot: Snapshot, *, last: bool = False) -> None:
        html = render_html(snapshot, ended=last)
        if html == self._shown:
            return
        # Where HTML is not shown, such as in a notebook exported as text, the line of a log is.
        data = {"text/html": html, "text/plain": format_line(snapshot)}
        update, self._shown = self._shown is not None, html
        self._shell.display_pub.publish(data, {}, transient={"display_id": self._id}, update=update)

    def close(self) -> None:
        pass


def render_html(snapshot: Snapshot, *, ended: bool = False) -> str:
    """Return a snapshot as one line of HTML; `ended` says that it is the last one."""
    counts = snapshot.counts
    cells = apportion(list(counts.values()), 100)
    segments = "".join(
        f'<div style="width:{cell}%;background:{_COLOURS[group]}"></div>'
        for group, cell in zip(counts, cells, strict=True)
        if cell
    )
    bar = (
        f'<div role="progressbar" aria-label="Jobs done" aria-valuemin="0" aria-valuemax="100" '
        f'aria-valuenow="{snapshot.share * 100:.0f}" style="{_BAR}">{segments}</div>'
    )
    facts = "".join(f"<span>{escape(one_line(fact))}</span>" for fact in _facts(snapshot, ended=ended))
    return f'<div style="{_LINE}">{bar}<b>{_done(snapshot, ended=ended)}</b>{_legend(counts, ended=ended)}{facts}</div>'


def _done(snapshot: Snapshot, *, ended: bool) -> str:
    of = f"{snapshot.total:,}" if snapshot.total is not None else f"{snapshot.progress.pulled:,} so far"
    share = "" if snapshot.total is None else f" ({snapshot.share:.0%})"
    end = f", ended after {format_duration(snapshot.progress.elapsed)}" if ended else ""
    return f"{snapshot.progress.done:,} of {of}{share}{end}"


def _legend(counts: Mapping[JobStatus, int], *, ended: bool) -> str:
    return "".join(
        f'<span><span style="color:{_COLOURS[group]}">\N{BLACK SQUARE}</span> {count:,} {group.value}</span>'
        for group, count in counts.items()
        if count and (ended or group is not JobStatus.PLANNED)  # meanwhile it is what is missing to the total
    )


def _facts(snapshot: Snapshot, *, ended: bool) -> Iterator[str]:
    progress = snapshot.progress
    yield format_cost(snapshot)
    if ended:
        if progress.saved:
            yield f"{progress.saved:,} saved"
        return
    if progress.per_second is not None:
        yield format_speed(progress.per_second)
    left = snapshot.remaining
    yield f"elapsed {format_clock(progress.elapsed)}" if left is None else f"ETA {format_clock(left)}"
    if snapshot.uploading:
        yield snapshot.uploading
    yield from format_pauses(snapshot)
    yield from format_limits(snapshot)
