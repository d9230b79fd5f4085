"""Outputs in an object store: where -o points, links in the report, and a copy of the run directory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

from attrs import evolve
from cyclopts import Parameter

from ..runs.directory import RunDirectory
from ..runs.report import ReportRow
from ..runs.thumbnails import Thumbnails
from ..transport.object_errors import StorageError
from ..transport.object_store import check_presign, open_store
from ..transport.object_urls import is_url
from ..types.errors import InputError, InputFault
from .console import ExitCode, echo, escape
from .options import Options

__all__ = ["Output", "RunDirectoryOption", "as_shown", "check_store", "copy_run", "split_output"]

Output = Annotated[str | None, Parameter(name=["--output", "-o"], show_default=False)]
RunDirectoryOption = Annotated[Path | None, Parameter(show_default=False)]
_FOLDER: Final = "run/"
"""Where the copy of a run directory is in the store: outputs have no name with a slash."""
_PIECE: Final = 1024 * 1024


def split_output(output: str | None, run_directory: Path | None, options: Options) -> tuple[Path | None, Options]:
    """Return the run directory that was named, or None, and the options with the object store that was.

    Raises:
        InputError: a run directory was named twice, or the URL is wrong.
    """
    if not is_url(output):
        if output is not None and run_directory is not None:
            fault = InputFault("run-directory", str(run_directory), "is for -o URL; -o DIRECTORY names it already")
            raise InputError.of("Wrong setting", [fault])
        return (run_directory if output is None else Path(output)), options
    return run_directory, evolve(options, save_to=open_store(output).url)


def check_store(options: Options) -> None:
    """Check the options about files and where they are saved. Raises InputError."""
    describing = {"provenance": options.provenance, "dataset": options.dataset or None}
    faults = [InputFault(name, value, "is for files that are saved") for name, value in describing.items() if value]
    if options.download is False and faults:
        raise InputError.of("Wrong setting", faults, advice="Leave out --no-download. Nothing was sent.")
    check_presign(options.presign, in_store=options.save_to is not None)
    if options.save_to is None and options.copy_run:
        fault = InputFault("copy-run", True, "is for outputs in an object store")
        raise InputError.of("Wrong setting", [fault], advice="Name the store: -o s3://BUCKET/PREFIX. Nothing was sent.")


def as_shown(options: Options, thumbnails: Thumbnails, rows: Sequence[ReportRow]) -> list[ReportRow]:
    """Return the rows that a report shows, with thumbnails of their files, and signed links if the options ask."""
    links = _signed_links(options, rows)
    small = thumbnails.of(file for row in rows for file in row.files)
    return [evolve(row, objects=tuple(links.get(url, url) for url in row.objects), thumbnails=small) for row in rows]


def _signed_links(options: Options, rows: Iterable[ReportRow]) -> dict[str, str]:
    """Return a signed URL for each object, as the options ask; none, and a message, if there is no key to sign with."""
    if options.presign is None or options.save_to is None:
        return {}
    store = open_store(options.save_to)
    prefix = f"{store.url}/"
    urls = [url for row in rows for url in row.objects]
    try:
        return {url: store.presign(url.removeprefix(prefix), expires_in=options.presign) for url in urls}
    except StorageError as error:
        echo(f"[yellow]The report's links are not signed[/]: {escape(str(error))}.")
        return {}


def copy_run(directory: RunDirectory, options: Options) -> ExitCode:
    """Copy the files of a run directory into the run's object store, where the options ask for it."""
    if not options.copy_run or options.save_to is None:
        return ExitCode.DONE
    store = open_store(options.save_to)
    try:
        for path in directory.written_files():
            with path.open("rb") as file, store.writer(_FOLDER + path.name) as write:
                while piece := file.read(_PIECE):
                    write(piece)
    except (StorageError, OSError) as error:
        echo(f"[bold red]Cannot copy the run into {escape(store.url)}[/]: {escape(str(error))}.")
        echo(
            f"Nothing is lost: it is in {escape(str(directory.path))}. Copy it again with: kling-async resume "
            f"{escape(str(directory.path))}"
        )
        return ExitCode.FAILED
    echo(f"Copied the run into [bold]{escape(store.url_of(_FOLDER))}[/]")
    return ExitCode.DONE
