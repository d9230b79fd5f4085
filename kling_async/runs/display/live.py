"""Draw snapshots of a batch in place on a terminal, with rich."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live

from .render import render_snapshot
from .snapshot import Snapshot

__all__ = ["LiveDisplay"]


class LiveDisplay:
    """Draws each snapshot over the one before. Other output of the console appears above.

    Args:
        console: where to draw; stderr by default. A console that is not a terminal is treated as one, because the
            caller chose this display.
    """

    def __init__(self, console: Console | None = None) -> None:
        if console is None or not console.is_terminal:
            file = None if console is None else console.file
            console = Console(file=file, stderr=True, force_terminal=True, highlight=False)
        self._console = console
        self._width = 0
        # What a program prints appears above the display, unless stdout is a pipe, which it must reach unchanged.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=bool(sys.stdout) and sys.stdout.isatty())

    def show(self, snapshot: Snapshot, *, last: bool = False) -> None:
        self._live.start()
        if self._console.width < self._width:
            # A terminal that was made narrower has wrapped the lines drawn last, into an unknown number of lines.
            self._console.clear()
        self._width = self._console.width
        self._live.update(render_snapshot(snapshot), refresh=True)

    def close(self) -> None:
        self._live.stop()
