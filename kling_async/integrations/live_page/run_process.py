"""A command of the run's own command line in another process: what a page starts pays as that command does."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import anyio
from anyio.abc import Process, TaskGroup

from ...types.errors import InputError

__all__ = ["RunProcess"]

_KEPT: Final = 4000
"""Bytes of its messages that are kept."""


class RunProcess:
    """At most one command at a time.

    Attributes:
        message: the last lines of the last command, if it failed; else "".

    Args:
        tasks: waits for the command. It must not be cancelled before `stop` has returned.
        environment: what the command has in its environment, beside that of this process.
        directory: where it is started; None is where this process was.
    """

    def __init__(self, tasks: TaskGroup, environment: Mapping[str, str], directory: Path | None) -> None:
        self.message = ""
        self._environment, self._directory = environment, directory
        self._tasks = tasks
        self._process: Process | None = None
        self._is_starting = False

    @property
    def is_running(self) -> bool:
        """Whether a command is running."""
        return self._process is not None or self._is_starting

    def require_idle(self) -> None:
        """Raise InputError if a command is running."""
        if self.is_running:
            raise InputError("A command of this page is still running. Wait until it has ended.")

    async def start(self, arguments: Sequence[str]) -> None:
        """Start `kling-async` with arguments. Raises InputError if a command is running."""
        self.require_idle()
        self._is_starting, self.message = True, ""
        try:
            # In a session of its own, a Ctrl-C of the terminal reaches it once, from `stop`: a second one would quit.
            self._process = await anyio.open_process(
                [sys.executable, "-m", "kling_async", *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
                env={**os.environ, **self._environment},
                cwd=self._directory,
            )
        finally:
            self._is_starting = False
        self._tasks.start_soon(self._follow, self._process)

    async def stop(self) -> None:
        """Stop the command as the first Ctrl-C does: it submits no more, and finishes the jobs that are paid for."""
        process = self._process
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()

    async def _follow(self, process: Process) -> None:
        said = b""
        try:
            if process.stderr is not None:
                async for some in process.stderr:
                    said = (said + some)[-_KEPT:]
            code = await process.wait()
            self.message = said.decode("utf-8", "replace").strip() if code else ""
        finally:
            self._process = None
