"""`--dataset`: the metadata of a run's files, beside them in its directory or in its object store."""

from __future__ import annotations

import filecmp
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..runs.dataset import METADATA_NAME, DatasetFiles, metadata_lines
from ..runs.directory import RunDirectory
from ..runs.run_rows import RunRows
from ..system.files import atomic_write
from ..transport.object_errors import StorageError
from ..transport.object_store import open_store
from ..types.errors import DownloadError
from ..types.formatting import format_count
from ..types.hash_table import KeySet
from .console import echo
from .options import Options

__all__ = ["save_dataset"]


def save_dataset(directory: RunDirectory, options: Options, rows: RunRows) -> None:
    """Write the metadata of a run's files beside them, where the options ask for it.

    Raises:
        OSError: it could not be written.
        DownloadError: the object store refuses it.
    """
    if not options.dataset:
        return
    files = DatasetFiles.of(rows, present=None if options.save_to is not None else _names_in(directory.media))
    if options.save_to is not None:
        _save_object(options.save_to, directory, metadata_lines(rows, files))
    elif files.images or files.videos:
        _save_file(directory.media / METADATA_NAME, metadata_lines(rows, files))
    else:
        return
    if files.others:
        echo(f"{METADATA_NAME} is about the images: {format_count(files.others, 'video')} cannot be in the same list.")


def _names_in(folder: Path) -> KeySet:
    names = KeySet()
    for path in folder.iterdir() if folder.is_dir() else ():
        names.add(path.name)
    return names


def _save_file(path: Path, lines: Iterable[str]) -> None:
    fresh = path.with_name(f"{path.name}.next")
    try:
        with atomic_write(fresh) as file:
            file.writelines(f"{line}\n" for line in lines)
        with suppress(FileNotFoundError):
            if filecmp.cmp(fresh, path, shallow=False):
                return  # a run that was finished before changes no file
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)


def _save_object(url: str, directory: RunDirectory, lines: Iterable[str]) -> None:
    store = open_store(url)
    try:
        with store.writer(METADATA_NAME, mime="application/x-ndjson") as write:
            for line in lines:
                write(f"{line}\n".encode())
    except StorageError as error:
        raise DownloadError(
            f"{METADATA_NAME} cannot be saved in the object store: {error}",
            path=store.url_of(METADATA_NAME),
            advice=f"Nothing is lost. Write it again with: kling-async report {directory.path}",
        ) from error
