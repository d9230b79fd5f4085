"""Show the progress of a batch: a live display in a terminal, a bar in a notebook, plain lines elsewhere.

Theory of operation. A task reads the batch's progress a few times a second and draws it, so that the cost depends on
the time and not on the number of jobs. An error while drawing ends the display and never the batch, which is paid for.
`snapshot` collects what is shown, `text` and `render` write and draw it, and this module has the timing and the stream.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, TextIO, TypeAlias, cast, get_args

from ...providers.pricing import Estimate
from ...runtime.batch import Batch
from ...system.background import Background, Tasks
from ...system.clock import Clock, SystemClock
from ...system.interrupts import defer_interrupts
from ...types.errors import InputError, InputFault
from ...types.events import Event
from .notebook import NotebookDisplay, in_notebook, running_shell
from .snapshot import EventAggregator, Snapshot
from .text import format_limits, format_line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Display", "LogDisplay", "Mode", "ProgressDisplay", "mode_for", "show_progress"]

Mode: TypeAlias = Literal["live", "notebook", "plain", "none"]

_log = logging.getLogger(__name__)

_REFRESH_SECONDS: Final = 0.2
"""Seconds between two drawings: often enough to look alive."""
_LINE_SECONDS: Final = 10.0
"""Seconds between two plain lines without a milestone, so that a log shows that the batch is running."""
_MIN_LINE_SECONDS: Final = 1.0
"""Minimum seconds between two plain lines, so that a quick batch does not fill the log with milestones."""
_MILESTONES: Final = 10
"""Number of equal parts of the batch after each of which a line is written."""


def mode_for(stream: TextIO | None, environ: Mapping[str, str]) -> Mode:
    """Return the mode for a stream: live only for a terminal that can draw, and plain where CI is set."""
    if stream is None:
        return "none"
    in_ci = environ.get("CI", "").lower() not in ("", "0", "false")
    if in_ci or environ.get("TERM", "") == "dumb" or not stream.isatty():
        return "plain"
    return "live"


def show_progress(
    batch: Batch,
    *,
    mode: Mode | None = None,
    total: int | None = None,
    estimate: Estimate | None = None,
    console: Console | None = None,
    clock: Clock | None = None,
) -> ProgressDisplay:
    """Show the progress of a batch while the returned context manager is entered: on stderr, or below a cell.

    Put it around the loop over the batch.

    Args:
        batch: an open batch.
        mode: "live" draws a display and needs rich, from the extra `cli`; "notebook" draws a bar below the cell and
            needs IPython; "plain" writes a line now and then; "none" is silent. By default a terminal gets the live
            display, a notebook the bar unless there is a console, and everything else plain lines, also where CI is
            set.
        total: number of jobs, where the batch cannot know it.
        estimate: the expected cost, as `Client.estimate` returns it.
        console: where to draw; its other output appears above the display.
        clock: source of time; see `kling_async.testing.VirtualClock` for tests.

    Raises:
        InputError: the mode is unknown, or needs what is not installed.
    """
    found: Mode = "notebook" if console is None and in_notebook() else mode_for(_stream(console), os.environ)
    display = _display(mode or found, console, forced=mode is not None)
    return ProgressDisplay(
        batch, display=display, aggregator=EventAggregator(total=total, estimate=estimate), clock=clock or SystemClock()
    )


class Display(Protocol):
    """Shows snapshots of a batch."""

    def show(self, snapshot: Snapshot, *, last: bool = False) -> None:
        """Show a snapshot; `last` marks the final one."""
        ...

    def close(self) -> None:
        """Restore the terminal."""
        ...


class ProgressDisplay:
    """Shows the progress of a batch while it is entered; `show_progress` creates it."""

    def __init__(self, batch: Batch, *, display: Display | None, aggregator: EventAggregator, clock: Clock) -> None:
        self._batch = batch
        self._display = display
        self._aggregator = aggregator
        self._clock = clock
        self._background = Background(self._drawing)

    @defer_interrupts
    async def __aenter__(self) -> Self:
        self._batch.add_listener(self._on_event)
        if self._display is not None:
            await self._background.open()
        return self

    @defer_interrupts
    async def __aexit__(self, _: object, error: BaseException | None, trace: object) -> None:
        await self._background.aclose(ending=error)

    @asynccontextmanager
    async def _drawing(self) -> AsyncGenerator[None]:
        try:
            async with Tasks() as tasks:
                tasks.start(self._draw)
                yield
        finally:
            self._show(last=True)

    def _on_event(self, event: Event) -> None:
        # A snapshot for each event would cost more than the event.
        elapsed = 0.0 if event.retry_in is None else self._batch.progress.elapsed
        self._aggregator.on_event(event, elapsed=elapsed)

    @defer_interrupts
    async def _draw(self) -> None:
        while self._display is not None:
            self._show()
            await self._clock.sleep(_REFRESH_SECONDS)

    def _show(self, *, last: bool = False) -> None:
        display = self._display
        if display is None:
            return
        try:
            display.show(self._aggregator.snapshot(self._batch.progress), last=last)
        except Exception:  # noqa: BLE001
            # A closed terminal, or a bug here, must not end work that is paid for.
            _log.exception("The progress display failed and is now off; the batch continues")
            last = True
        finally:
            if last:
                self._display = None
                with suppress(Exception):
                    display.close()


class LogDisplay:
    """Writes plain lines for logs: at milestones, at intervals, and at the end.

    A line names what has limited the speed since the line before, if that has changed. The moment of a line alone would
    not tell: between two submissions at a steady rate there is one at which nothing is held back.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._written_at = 0.0
        self._milestone = 0
        self._limits = list[str]()
        self._limits_written = list[str]()

    def show(self, snapshot: Snapshot, *, last: bool = False) -> None:
        elapsed, milestone = snapshot.progress.elapsed, int(snapshot.share * _MILESTONES)
        waited = elapsed - self._written_at
        self._limits = format_limits(snapshot) or self._limits
        if last or waited >= _LINE_SECONDS or (waited >= _MIN_LINE_SECONDS and milestone > self._milestone):
            self._milestone, self._written_at = milestone, elapsed
            changed = self._limits if self._limits != self._limits_written else []
            self._limits_written, self._limits = self._limits, []
            self._stream.write(f"{format_line(snapshot, limits=changed)}\n")
            self._stream.flush()

    def close(self) -> None:
        pass


def _stream(console: Console | None) -> TextIO | None:
    return cast("TextIO", console.file) if console is not None else sys.stderr


def _display(mode: str, console: Console | None, *, forced: bool) -> Display | None:
    """Return the display of a mode, or None. Without rich, a live mode that was not asked for becomes plain."""
    stream = _stream(console)
    if mode not in get_args(Mode):
        raise InputError.of("Unknown mode", [InputFault("mode", mode, "must be live, notebook, plain or none")])
    if mode == "notebook":
        return _notebook()
    if mode == "none" or stream is None:
        return None
    if mode == "live":
        try:
            from .live import LiveDisplay  # noqa: PLC0415 - plain lines do without rich
        except ImportError as error:
            if forced:
                advice = "Install it with: pip install 'kling-async[cli]', or use mode=\"plain\"."
                raise InputError("The live display needs rich", advice=advice) from error
        else:
            return LiveDisplay(console)
    return LogDisplay(stream)


def _notebook() -> Display:
    shell = running_shell()
    if shell is None:
        advice = 'Run it in a notebook, or use mode="plain".'
        raise InputError("The bar of a notebook needs IPython, which does not run here", advice=advice)
    return NotebookDisplay(shell)
