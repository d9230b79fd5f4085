"""`kling-async serve`: a live page of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from ..runs.directory import RunDirectory
from ..runs.thumbnails import Thumbnails
from ..types.errors import InputError
from .console import ExitCode, echo, escape, run, write_result
from .database import database_of
from .options import DEFAULTS
from .storage import as_shown

__all__ = ["serve"]


def serve(directory: Path, /, *, host: str = "127.0.0.1", port: int = 8770) -> int:
    """Serve a live page of a run until interrupted, also while the run goes on in another process.

    Args:
        directory: Run directory.
        host: Address to listen at. Anyone with the page's URL can read the run and spend money, and the connection is
            not encrypted, so keep to this machine.
        port: Port; 0 selects a free one.
    """

    async def command() -> ExitCode:
        try:
            from ..integrations import live_page  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise InputError("It needs the extra: pip install 'kling-async[cli]'") from error
        if database_of(directory, None) is not None:
            advice = f"Of a run in a database: kling-async watch {directory}, or kling-async report {directory}."
            raise InputError(f'The live page is of a run directory, which "{directory}" is not', advice=advice)
        here = RunDirectory(directory)
        metadata = here.read_metadata()
        settings = DEFAULTS.merged_with(metadata.get("settings"))
        try:
            await live_page.serve(
                here,
                title=f"Run of {metadata.get('sheet')}",
                settings=settings.for_report(),
                as_shown=partial(as_shown, settings, Thumbnails(directory)),
                host=host,
                port=port,
                on_ready=_print_url,
            )
        except OSError as error:
            echo(
                f"[bold red]Cannot listen at {escape(host)}, port {port}[/]: {escape(str(error))}. "
                "--port 0 selects a free port."
            )
            return ExitCode.BAD_INPUT
        return ExitCode.DONE

    return run(command)


def _print_url(url: str) -> None:
    write_result(url)
    echo("Anyone with this URL can see the run, decide and retry. Press Ctrl-C to stop serving; the run goes on.")
