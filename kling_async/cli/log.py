"""The package's log, on the console of the command line."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager

from ..runtime.event_log import log_level
from .console import echo, escape

__all__ = ["logged"]


class _ConsoleHandler(logging.Handler):
    """Prints records of the package, above the live display if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        style = "yellow" if record.levelno >= logging.WARNING else "dim"
        echo(f"[{style}]{escape(record.getMessage())}[/]")


@contextmanager
def logged(*, verbose: bool) -> Generator[None]:
    """Print the package's warnings while this is entered, and more with --verbose or KLING_LOG."""
    level = log_level(os.environ) or (logging.INFO if verbose else None)
    log, handler = logging.getLogger("kling_async"), _ConsoleHandler(level or logging.WARNING)
    before = log.level
    if level is not None:
        log.setLevel(level)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
