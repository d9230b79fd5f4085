"""Output of the command line: two consoles, and errors as exit codes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Awaitable, Callable, Generator
from enum import IntEnum
from pathlib import Path

import anyio
import anyio.lowlevel
from attrs import frozen
from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderHook, RichCast
from rich.markup import escape
from rich.segment import Segment
from rich.table import Column, Table

from ..providers import Provider
from ..types.errors import BudgetExceeded, InputError, KlingError, WaitTimeout
from ..types.inputs import Input
from ..types.media_values import Media, MediaFile, is_local, with_media
from ..types.prediction import Output
from ..types.printable import escaped, printable
from ..types.status import ACCOUNT_ERRORS

__all__ = [
    "ExitCode",
    "echo",
    "escape",
    "exit_code_of",
    "print_request",
    "run",
    "stderr",
    "stdout",
    "table_of",
    "write_result",
]


class ExitCode(IntEnum):
    """The exit code of a command."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    KEY_OR_BALANCE = 3
    LIMITED = 4
    INTERRUPTED = 130


class _Printable(RenderHook):
    """Replaces control codes in all text that is printed, also in tables; styles stay."""

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        return [_Cleaned(renderable) for renderable in renderables]


@frozen
class _Cleaned:
    """A renderable whose text is cleaned when it is rendered."""

    inner: ConsoleRenderable | RichCast

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Generator[Segment]:
        for segment in console.render(self.inner, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    console.push_render_hook(_Printable())
    return console


stdout = _console(stderr=False)
"""For results only."""
stderr = _console(stderr=True)
"""For all other messages."""


def echo(text: str) -> None:
    """Print a message on stderr."""
    # A terminal wraps between words; a log keeps each message on one line.
    stderr.print(text, soft_wrap=not sys.stderr.isatty())


def write_result(line: str) -> None:
    """Write one result line to stdout, also during a live display; ignore a closed pipe."""
    try:
        # As with ls, only a terminal gets cleaned text; a program gets the line unchanged.
        sys.stdout.write(f"{printable(line) if sys.stdout.isatty() else line}\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader is gone, such as `head`. The run is paid for, so it continues.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def table_of(*columns: str) -> Table:
    """Return an empty table with these columns. A narrow terminal breaks words and leaves nothing out."""
    return Table(
        *(Column(name, overflow="fold") for name in columns), box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False
    )


def exit_code_of(error: KlingError) -> ExitCode:
    """Return the exit code for an error."""
    if isinstance(error, InputError):
        return ExitCode.BAD_INPUT
    if isinstance(error, ACCOUNT_ERRORS):
        return ExitCode.KEY_OR_BALANCE
    if isinstance(error, (WaitTimeout, BudgetExceeded)):
        return ExitCode.LIMITED
    return ExitCode.FAILED


async def _run_to_end(command: Awaitable[ExitCode]) -> ExitCode:
    code = await command
    await anyio.lowlevel.checkpoint()  # raises for a Ctrl-C after the command's last checkpoint
    return code


def print_request(provider: Provider, input: Input) -> None:
    """Print the request that would submit an input; it needs no API key and shows none."""
    request = provider.build_submit(with_media(input, _shown))
    for line in (
        f"{request.method} {provider.origin}{request.path}",
        "Authorization: [masked]",
        escaped(json.dumps(json.loads(request.body), indent=2, ensure_ascii=False)),
    ):
        stdout.print(line, soft_wrap=True, markup=False)


def _shown(_: str, media: Media) -> Media:
    """Return what stands for media in a request that is only shown."""
    if isinstance(media, (MediaFile, Path)):
        return f"<{media.name}>"
    if isinstance(media, Output):
        return media.url
    return f"<{len(media):,} bytes>" if is_local(media) and isinstance(media, (bytes, str)) else media


def run(command: Callable[[], Awaitable[ExitCode] | ExitCode]) -> ExitCode:
    """Run a command and return its exit code; print a KlingError as a message, without a traceback.

    A plain function runs without an event loop, because asyncio delays Ctrl-C until the next checkpoint.
    """
    try:
        result = command()
        return result if isinstance(result, ExitCode) else anyio.run(_run_to_end, result)
    except KlingError as error:
        stderr.print(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}", soft_wrap=True)
        return exit_code_of(error)
    except KeyboardInterrupt:
        echo("[yellow]Interrupted.[/]")
        return ExitCode.INTERRUPTED
