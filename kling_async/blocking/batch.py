"""A batch for programs without an event loop: a plain context manager, and a plain iterator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Self

from ..providers.pricing import Estimate
from ..runs.display import Mode, ProgressDisplay
from ..runs.display import show_progress as show_progress_of
from ..runtime.batch import Batch as AsyncBatch
from ..runtime.signals import signals_handled
from ..scheduling.progress import Progress
from ..system.clock import Clock
from ..types.events import Event, Listener
from ..types.jobs import Outcome
from ..types.noncopyable import NonCopyable
from .iteration import End, next_of
from .portal import Portal

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["Batch", "ProgressContext", "show_progress"]


class Batch(NonCopyable):
    """Many jobs; made by `Client.batch`. Enter it, and iterate over it once.

    The first Ctrl-C ends the iteration with KeyboardInterrupt; leaving the batch then starts no more jobs, and finishes
    the requests in flight. With `stop_on_signals` the first one only stops submitting, and the iteration goes on with
    the jobs that are open. The second one leaves within 2 s.

    Args:
        make: makes the batch, in the event loop.
        portal: the event loop.
        stop_on_signals: as for `Client.batch`.
    """

    def __init__(self, make: Callable[[], AsyncBatch], *, portal: Portal, stop_on_signals: bool) -> None:
        self._portal = portal
        self._batch = portal.run(make)
        self._stop_on_signals = stop_on_signals
        self._signals = 0
        self._stack = ExitStack()

    def __repr__(self) -> str:
        shown = repr(self._batch) if hasattr(self, "_batch") else "<kling_async.Batch, not made>"
        return shown.replace("kling_async", "kling_async.blocking", 1)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            if self._stop_on_signals:
                stack.enter_context(signals_handled(self._on_signal))
            try:
                self._portal.call(self._batch.__aenter__)
            except KeyboardInterrupt as error:
                self._leave(error)  # it may have been open already
                raise
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            self._leave(error)

    def _leave(self, error: BaseException | None) -> None:
        if not self._portal.is_over:
            self._portal.call(partial(self._batch.__aexit__, None, error, None), closing=True)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        self._signals += 1
        self._portal.interrupts.add()
        if self._signals > 1:
            raise KeyboardInterrupt("the jobs that were submitted go on at their providers")

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Outcome:
        outcome = self._portal.call(partial(next_of, self._batch))
        if isinstance(outcome, End):
            raise StopIteration
        return outcome

    @property
    def stopped(self) -> bool:
        """Whether it was stopped."""
        return self._batch.stopped

    @property
    def progress(self) -> Progress:
        """The progress at this moment."""
        return self._portal.read(lambda: self._batch.progress)

    def add_listener(self, listener: Listener) -> None:
        """Call a function with each event, immediately and in the event loop; it must be quick.

        That is another thread, in which no method that waits may be called. Add it before the batch is entered to get
        the first events.
        """
        self._batch.add_listener(listener)

    def events(self) -> Iterator[Event]:
        """Iterate over each event from now on, until the last outcome is delivered or the batch is left.

        Iterate in a thread of its own: the outcomes are delivered to another one. Call it before the batch is entered
        to get the first events.
        """
        return self._portal.iterate(self._portal.run(self._batch.events))

    def stop(self) -> None:
        """Submit no more; jobs that are paid for are finished and delivered, and then the loop ends."""
        self._portal.read(self._batch.stop)


class ProgressContext:
    """Shows the progress of a batch while it is entered; made by `show_progress`."""

    def __init__(self, show: Callable[[], ProgressDisplay], *, portal: Portal) -> None:
        self._portal = portal
        self._display = portal.run(show)

    def __enter__(self) -> Self:
        self._portal.call(self._display.__aenter__)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._portal.is_over:
            self._portal.call(partial(self._display.__aexit__, kind, error, trace), closing=True)


def show_progress(
    batch: Batch,
    *,
    mode: Mode | None = None,
    total: int | None = None,
    estimate: Estimate | None = None,
    console: Console | None = None,
    clock: Clock | None = None,
) -> ProgressContext:
    """Show the progress of a batch while the returned context manager is entered: on stderr, or below a cell.

    The arguments are those of `kling_async.show_progress`.

    Raises:
        InputError: the mode is unknown, or needs what is not installed.
    """
    show = partial(show_progress_of, mode=mode, total=total, estimate=estimate, console=console, clock=clock)
    of, portal = batch._batch, batch._portal  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] - of this module
    return ProgressContext(partial(show, of), portal=portal)
