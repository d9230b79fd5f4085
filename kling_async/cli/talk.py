"""How the command line speaks: two consoles, and errors as exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Generator
from enum import IntEnum

import anyio
import anyio.lowlevel
from attrs import frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RichCast
from rich.markup import escape
from rich.segment import Segment
from rich.table import Column, Table

from ..errors import BudgetExceeded, InputError, KlingError, WaitTimeout
from ..planning.moves import LATCHING
from ..printable import printable

__all__ = ["ExitCode", "data", "escape", "exit_code_of", "put", "run", "say", "table_of", "talk"]


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    KEY_OR_BALANCE = 3
    LIMITED = 4
    INTERRUPTED = 130


class _Printable(RenderHook):
    """Lets only what is printable into a terminal, wherever in a table or a line it stands; styles are not text."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(one) for one in renderables]


@frozen
class _Cleaned:
    """Something whose text is cleaned as it is drawn."""

    inner: ConsoleRenderable | RichCast

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Generator[Segment]:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def _console(*, stderr: bool) -> Console:
    made = Console(stderr=stderr, highlight=False)
    made.push_render_hook(_Printable())
    return made


data = _console(stderr=False)
"""stdout: results only."""
talk = _console(stderr=True)
"""stderr: everything else."""


def say(text: str) -> None:
    """Print a line of talk."""
    # Words are kept whole for a reader, and lines for a log.
    talk.print(text, soft_wrap=not sys.stderr.isatty())


def put(line: str) -> None:
    """Put a line of results on stdout, also while a panel is drawn; nobody need be there to read it."""
    try:
        # What is read by a program stays as it is, as with ls.
        sys.stdout.write(f"{printable(line) if sys.stdout.isatty() else line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has left, such as `head`. What is paid for goes on all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table_of(*columns: str) -> Table:
    """Return an empty table with these columns; in a narrow terminal words are broken, and nothing is left out."""
    made = (Column(name, overflow="fold") for name in columns)
    return Table(*made, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)


def exit_code_of(error: KlingError) -> ExitCode:
    """Return how a command ends that ended with this error."""
    if isinstance(error, InputError):
        return ExitCode.BAD_INPUT
    if isinstance(error, LATCHING):
        return ExitCode.KEY_OR_BALANCE
    if isinstance(error, (WaitTimeout, BudgetExceeded)):
        return ExitCode.LIMITED
    return ExitCode.FAILED


async def _to_the_end(begun: Awaitable[ExitCode]) -> ExitCode:
    code = await begun
    await anyio.lowlevel.checkpoint()  # a Ctrl-C that came while it waited for nothing any more
    return code


def run(command: Callable[[], Awaitable[ExitCode] | ExitCode]) -> int:
    """Run a command; print an error of ours as one, without a traceback.

    Only one that waits for something gets an event loop: until it waits, asyncio would hold Ctrl-C back.
    """
    try:
        begun = command()
        return begun if isinstance(begun, ExitCode) else anyio.run(_to_the_end, begun)
    except KlingError as error:
        talk.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        return exit_code_of(error)
    except KeyboardInterrupt:
        say("[yellow]Interrupted.[/]")
        return ExitCode.INTERRUPTED
