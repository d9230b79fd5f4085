"""How the command line speaks: two consoles, and errors as exit codes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import IntEnum

import anyio
from rich.console import Console
from rich.markup import escape

from ..errors import AuthenticationError, InputError, InsufficientBalance, KlingError, PermissionDenied, WaitTimeout

__all__ = ["ExitCode", "data", "escape", "run", "say", "talk"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    KEY_OR_BALANCE = 3
    OUT_OF_TIME = 4
    INTERRUPTED = 130


data = Console(highlight=False)
"""stdout: results only."""
talk = Console(stderr=True, highlight=False)
"""stderr: everything else."""


def say(text: str) -> None:
    """Print a line of talk."""
    talk.print(text, soft_wrap=True)


def exit_code_of(error: KlingError) -> ExitCode:
    """Return how a command ends that ended with this error."""
    if isinstance(error, InputError):
        return ExitCode.BAD_INPUT
    if isinstance(error, (AuthenticationError, PermissionDenied, InsufficientBalance)):
        return ExitCode.KEY_OR_BALANCE
    if isinstance(error, WaitTimeout):
        return ExitCode.OUT_OF_TIME
    return ExitCode.FAILED


def run(command: Callable[[], Awaitable[ExitCode]]) -> int:
    """Run a command's coroutine; print an error of ours as one, without a traceback."""

    async def guarded() -> ExitCode:
        return await command()

    try:
        return anyio.run(guarded)
    except KlingError as error:
        talk.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        return exit_code_of(error)
    except KeyboardInterrupt:
        say("[yellow]Interrupted.[/]")
        return ExitCode.INTERRUPTED
