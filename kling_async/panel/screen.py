"""Views of a batch, drawn in place on a terminal with rich."""

from __future__ import annotations

import sys

from rich.console import Console
from rich.live import Live

from .picture import draw
from .view import View

__all__ = ["Screen"]


class Screen:
    """Draws each view over the one before; what is printed meanwhile appears above.

    Args:
        console: where to draw; stderr by default. One that is no terminal is taken for one, since that was asked for.
    """

    def __init__(self, console: Console | None = None) -> None:
        if console is None or not console.is_terminal:
            file = None if console is None else console.file
            console = Console(file=file, stderr=True, force_terminal=True, highlight=False)
        self._console = console
        self._width = 0
        # Prints go above the panel, unless they go into a pipe, where they belong.
        self._live = Live(console=console, auto_refresh=False, redirect_stdout=bool(sys.stdout) and sys.stdout.isatty())

    def show(self, view: View, *, last: bool = False) -> None:
        self._live.start()
        if self._console.width < self._width:
            # A terminal made narrower has broken the lines of the last picture, and nobody knows into how many.
            self._console.clear()
        self._width = self._console.width
        self._live.update(draw(view), refresh=True)

    def close(self) -> None:
        self._live.stop()
