"""`kling-async serve`: a live page of a run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..journal.hidden_url import HiddenUrl
from ..runs.directory import RunDirectory
from ..runs.queued_run import RunSettings
from ..runs.thumbnails import Thumbnails
from ..types.errors import InputError
from .console import ExitCode, echo, escape, run, write_result
from .database import Database, database_of, open_runs
from .options import DEFAULTS
from .queued_runs import shown_options
from .storage import as_shown

__all__ = ["serve"]


def serve(directory: Path, /, *, database: Database = None, host: str = "127.0.0.1", port: int = 8770) -> int:
    """Serve a live page of a run until interrupted, also while the run goes on in another process.

    Args:
        directory: Run directory, or the name of a run in the database.
        database: URL of the database that has the run.
        host: Address to listen at. Anyone with the page's URL can read the run and spend money, and the connection is
            not encrypted, so keep to this machine.
        port: Port; 0 selects a free one.
    """

    async def command() -> ExitCode:
        url = database_of(directory, database)
        try:
            if url is None:
                await _serve_directory(RunDirectory(directory), host=host, port=port)
            else:
                await _serve_queued(url, str(directory), host=host, port=port)
        except ImportError as error:
            raise InputError("It needs the extra: pip install 'kling-async[cli]'") from error
        except OSError as error:
            echo(
                f"[bold red]Cannot listen at {escape(host)}, port {port}[/]: {escape(str(error))}. "
                "--port 0 selects a free port."
            )
            return ExitCode.BAD_INPUT
        return ExitCode.DONE

    return run(command)


async def _serve_directory(here: RunDirectory, *, host: str, port: int) -> None:
    from ..integrations.live_page import DirectoryRun, serve_page  # noqa: PLC0415 - an extra

    metadata = here.read_metadata()
    settings = DEFAULTS.merged_with(metadata.get("settings"))
    await serve_page(
        DirectoryRun(here),
        title=f"Run of {metadata.get('sheet')}",
        settings=settings.for_report(),
        as_shown=partial(as_shown, settings, Thumbnails(here.path)),
        host=host,
        port=port,
        on_ready=_print_url,
    )


async def _serve_queued(url: HiddenUrl, name: str, *, host: str, port: int) -> None:
    from ..integrations.live_page import DatabaseRun, serve_page  # noqa: PLC0415 - an extra

    with open_runs(url) as runs, TemporaryDirectory(prefix="kling-async-") as folder:
        stored, scratch = runs.get(name), Path(folder)
        settings = RunSettings.from_json(stored.settings)
        await serve_page(
            DatabaseRun(url, runs, name, scratch=scratch),
            title=f"Run {name} of {stored.source}",
            settings=settings.for_report(),
            as_shown=partial(as_shown, shown_options(settings), Thumbnails(scratch)),
            host=host,
            port=port,
            on_ready=_print_url,
        )


def _print_url(url: str) -> None:
    write_result(url)
    echo("Anyone with this URL can see the run, decide and retry. Press Ctrl-C to stop serving; the run goes on.")
