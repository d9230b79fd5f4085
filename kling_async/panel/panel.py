"""A panel that shows how a batch is getting on: one picture for all jobs in a terminal, plain lines elsewhere.

Theory of operation. A task looks at the batch a few times a second and draws, so that the cost follows from time and
not from the number of jobs. Whatever goes wrong with the drawing ends the drawing, and never the batch, which is paid
for. What is shown is decided elsewhere: `view` gathers, `picture` draws, and this only keeps time and knows the stream.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self, TextIO, TypeAlias, cast

from ..batch import Batch
from ..effects.background import Background, Tasks
from ..effects.clock import Clock, SystemClock
from ..effects.signals import defer_interrupts
from ..errors import InputError, InputFault
from ..planning.money import Estimate
from ..planning.moves import Event
from .view import View, Watch, line

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Display", "Mode", "Panel", "mode_for", "progress"]

Mode: TypeAlias = Literal["live", "plain", "none"]

_log = logging.getLogger(__name__)

_EVERY: Final = 0.2
"""Seconds between two pictures: often enough to look alive."""
_LINE_EVERY: Final = 10.0
"""Seconds between two plain lines, so that a log shows that it goes on."""
_LINE_AT_LEAST: Final = 1.0
"""Seconds between two plain lines in any case, so that a quick batch does not fill the log with milestones."""
_MILESTONES: Final = 10
"""Parts of the way that are worth a line each."""


def mode_for(stream: TextIO | None, environ: Mapping[str, str]) -> Mode:
    """Return what suits a stream: a live panel only where somebody sees it who can draw it."""
    if stream is None:
        return "none"
    by_machine = environ.get("CI", "").lower() not in ("", "0", "false")
    if by_machine or environ.get("TERM", "") == "dumb" or not stream.isatty():
        return "plain"
    return "live"


def progress(
    batch: Batch,
    *,
    mode: Mode | None = None,
    total: int | None = None,
    estimate: Estimate | None = None,
    console: Console | None = None,
    clock: Clock | None = None,
) -> Panel:
    """Show on stderr how a batch is getting on, as long as it is entered: put it around the loop over the batch.

    Args:
        batch: one that is open.
        mode: "live" draws a panel and needs rich, of the extra `cli`; "plain" writes a line now and then; "none" is
            silent. Without it, a terminal gets the panel, and everything else the lines, also where CI is set.
        total: how many jobs there are, where the batch cannot know.
        estimate: what it is expected to cost, as `Client.estimate` returns it.
        console: where to draw; what else is printed there appears above the panel.
        clock: time; `kling_async.testing` has one that leaps.

    Raises:
        InputError: the mode is unknown, or "live" and rich is not installed.
    """
    display = _display(mode or mode_for(_stream(console), os.environ), console, forced=mode is not None)
    return Panel(batch, display=display, watch=Watch(total=total, estimate=estimate), clock=clock or SystemClock())


class Display(Protocol):
    """Where views are shown."""

    def show(self, view: View, *, last: bool = False) -> None:
        """Show how things stand, for the last time or not."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


class Panel:
    """Shows how a batch is getting on, while it is entered; made by `progress`."""

    def __init__(self, batch: Batch, *, display: Display | None, watch: Watch, clock: Clock) -> None:
        self._batch = batch
        self._display = display
        self._watch = watch
        self._clock = clock
        self._background = Background(self._drawing)

    @defer_interrupts
    async def __aenter__(self) -> Self:
        self._batch.listen(self._heard)
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

    def _heard(self, event: Event) -> None:
        # A snapshot for each event would cost more than the event.
        elapsed = 0.0 if event.wait_for is None else self._batch.progress.elapsed
        self._watch.heard(event, elapsed=elapsed)

    @defer_interrupts
    async def _draw(self) -> None:
        while self._display is not None:
            self._show()
            await self._clock.sleep(_EVERY)

    def _show(self, *, last: bool = False) -> None:
        display = self._display
        if display is None:
            return
        try:
            display.show(self._watch.view(self._batch.progress), last=last)
        except Exception:  # noqa: BLE001
            # A terminal that is gone, or a slip of ours, must not end work that is paid for.
            _log.exception("the panel cannot be shown any more")
            last = True
        finally:
            if last:
                self._display = None
                with suppress(Exception):
                    display.close()


class _Lines:
    """Plain lines for logs: a few at milestones, one now and then, and one at the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._told_at = 0.0
        self._milestone = 0

    def show(self, view: View, *, last: bool = False) -> None:
        waited, milestone = view.progress.elapsed - self._told_at, int(view.share * _MILESTONES)
        if last or waited >= _LINE_EVERY or (waited >= _LINE_AT_LEAST and milestone > self._milestone):
            self._milestone, self._told_at = milestone, view.progress.elapsed
            self._stream.write(f"{line(view)}\n")
            self._stream.flush()

    def close(self) -> None:
        pass


def _stream(console: Console | None) -> TextIO | None:
    return cast("TextIO", console.file) if console is not None else sys.stderr


def _display(mode: str, console: Console | None, *, forced: bool) -> Display | None:
    """Return what shows in a mode; a mode that nobody asked for by name does without rich if it must."""
    stream = _stream(console)
    if mode not in ("live", "plain", "none"):
        raise InputError.of("Unknown mode", [InputFault("mode", mode, "must be live, plain or none")])
    if mode == "none" or stream is None:
        return None
    if mode == "live":
        try:
            from .screen import Screen  # noqa: PLC0415 - plain lines do without rich
        except ImportError as error:
            if forced:
                advice = "Install it with: pip install 'kling-async[cli]', or use the mode plain."
                raise InputError("The live panel needs rich", advice=advice) from error
        else:
            return Screen(console)
    return _Lines(stream)
