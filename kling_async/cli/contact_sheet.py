"""`kling-async contact-sheet`: the pictures of a run, or of any directory, on one picture."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..runs.contact_sheet import MEDIA, SheetEntry, draw_sheet, save_sheet
from ..runs.directory import RunDirectory
from ..runs.run_rows import RunRows
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from .console import ExitCode, echo, run, write_result

__all__ = ["contact_sheet"]

_NAME: Final = "contact-sheet.png"
_LIMITS: Final = {"columns": 100, "size": 2048, "max": 10_000}
_SMALLEST: Final = 32


def contact_sheet(
    directory: Path,
    /,
    *,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], show_default=False)] = None,
    columns: int | None = None,
    size: int = 240,
    most: Annotated[int, Parameter(name="--max")] = 100,
    newest: Annotated[bool, Parameter(negative="", show_default=False)] = False,
) -> int:
    """Draw the pictures of a run on one picture, each with its key under it, and print the path of that on stdout.

    Videos are shown as boxes, since nothing here decodes them.

    Args:
        directory: Run directory, or any directory with images.
        output: PNG file. [default: contact-sheet.png, in the run directory if it is one]
        columns: Pictures beside each other. [default: by their number]
        size: Pixels of the longer side of each; none is enlarged.
        most: Maximum number of pictures: the first ones of the run, or by name.
        newest: Show the newest ones instead, the newest first.
    """
    return run(lambda: _draw(directory, output, columns, size, most, newest=newest))


def _draw(directory: Path, output: Path | None, columns: int | None, size: int, most: int, *, newest: bool) -> ExitCode:
    # Not beside other images, which a loader of datasets would read it with.
    target = output or (directory / _NAME if RunDirectory(directory).holds_run else Path(_NAME))
    _check(target, columns, size, most)
    entries, found = _chosen((entry for entry in _entries(directory) if entry.path != target), most, newest=newest)
    if not entries:
        raise InputError(f'No pictures found in "{directory}"')
    sheet = draw_sheet(entries, size=size, columns=columns)
    save_sheet(sheet, target)
    if left_out := found - len(entries):
        echo(f"{format_count(left_out, 'picture')} left out; --max {found} shows all.")
    write_result(str(target))
    return ExitCode.DONE


def _chosen(entries: Iterator[SheetEntry], most: int, *, newest: bool) -> tuple[list[SheetEntry], int]:
    """Return the pictures of the sheet, and the number of all."""
    found = 0

    def counted() -> Iterator[SheetEntry]:
        nonlocal found
        for entry in entries:
            found += 1
            yield entry

    every = counted()
    if newest:
        chosen = heapq.nlargest(most, every, key=lambda entry: entry.path.stat().st_mtime_ns)
    else:
        chosen = list(islice(every, most))
        found += sum(1 for _ in entries)
    return chosen, found


def _check(target: Path, columns: int | None, size: int, most: int) -> None:
    given = {"columns": columns, "size": size, "max": most}
    least = {"size": _SMALLEST}
    faults = [
        InputFault(name, value, f"must be from {least.get(name, 1)} to {_LIMITS[name]}")
        for name, value in given.items()
        if value is not None and not least.get(name, 1) <= value <= _LIMITS[name]
    ]
    if target.suffix.lower() != ".png":
        faults.append(InputFault("output", str(target), "must end in .png"))
    if faults:
        raise InputError.of("Wrong setting", faults)


def _entries(directory: Path) -> Iterator[SheetEntry]:
    """Yield the pictures of a run in the order of its jobs, or those of any other directory by their names."""
    here = RunDirectory(directory)
    if not here.holds_run:
        if not directory.is_dir():
            raise InputError(f'"{directory}" is not a directory on this machine')
        for path in sorted(directory.iterdir()):
            if path.suffix.lower() in MEDIA and path.name != _NAME and path.is_file():
                yield SheetEntry(path, _printable(path.stem))
        return
    if (store := here.save_to) is not None:
        raise InputError(f"The run's files are in an object store, {store}: copy them into a directory first")
    for row in RunRows(here):
        for number, file in enumerate(row.files, start=1):
            if (path := directory / file).is_file():
                yield SheetEntry(path, f"{row.key} ({number})" if len(row.files) > 1 else row.key)


def _printable(name: str) -> str:
    return name.encode("utf-8", "replace").decode()
