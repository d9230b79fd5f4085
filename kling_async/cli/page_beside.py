"""The live page of a run, served beside it by a process of its own, so that the page never delays the run."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import Final, Self

from attrs import define

from ..runs.directory import RunDirectory
from .console import echo, escape

__all__ = ["PageBeside"]

_SILENCE: Final = 2.0
"""Seconds after which a message says what the stop waits for."""


@define(eq=False)
class PageBeside:
    """Serves the page of a run until the end of a `with` block; leave it after the directory of the run is free.

    Attributes:
        is_wanted: whether there is to be a page.
        is_kept: whether the page is served until Ctrl-C at the end, and not stopped there.
    """

    is_wanted: bool = False
    is_kept: bool = False
    _process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def start(self, directory: RunDirectory) -> None:
        """Serve the page of a run, if it is wanted, and print its URL; without a page the run goes on all the same."""
        if not self.is_wanted:
            return
        # In a session of its own, the Ctrl-C that stops the run leaves the page, which shows how the run ends.
        self._process = subprocess.Popen(  # noqa: S603 - the program is this one
            [sys.executable, "-m", "kling_async", "serve", str(directory.path.resolve()), "--port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        url = "" if self._process.stdout is None else self._process.stdout.readline().strip()
        if url:
            echo(f"Live page: [bold]{escape(url)}[/]")
        else:
            echo(f"The page cannot be served; why: kling-async serve {escape(str(directory.path))}")

    def __exit__(self, *_: object) -> None:
        if self._process is None:
            return
        with self._process as process:
            try:
                if self.is_kept and process.poll() is None:
                    echo("The page is still served. Press Ctrl-C to stop.")
                    with suppress(KeyboardInterrupt):
                        process.wait()
            finally:
                _stop(process)


def _stop(process: subprocess.Popen[str]) -> None:
    """Stop serving, after the jobs that the page has started."""
    process.terminate()
    try:
        with suppress(subprocess.TimeoutExpired):
            process.wait(_SILENCE)
            return
        echo("Finishing the jobs that the page has started. Press Ctrl-C again to quit now.")
        process.wait()
    except KeyboardInterrupt:
        process.kill()
