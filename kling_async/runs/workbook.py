"""Read the rows of a workbook: .xlsx, .xls and .ods. It needs the extra `cli`.

The reader, calamine, holds the whole sheet while it is read: measured, 400 bytes for a row of four columns, so that a
million rows take 0.4 GB. Nothing else is kept of a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Final

from ..types.errors import InputError, InputFault
from .jobfile import CellRow

__all__ = ["SUFFIXES", "read_workbook"]

SUFFIXES: Final = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
"""Endings of the names of workbooks."""


def read_workbook(path: Path, *, sheet: str | None = None) -> Iterator[CellRow]:
    """Yield the rows of a sheet, with their numbers, as texts that a job file has for such values.

    Args:
        path: the workbook.
        sheet: the name of the sheet; by default the first visible one.

    Raises:
        InputError: the extra is not installed, the file cannot be read or is protected by a password, or it has no
            such sheet.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum  # noqa: PLC0415 - an extra
    except ImportError as error:
        advice = "Install it with: pip install 'kling-async[cli]', or save the sheet as \"CSV UTF-8\"."
        raise InputError("Workbooks need python-calamine", advice=advice) from error
    try:
        with CalamineWorkbook.from_path(str(path)) as workbook:  # pyright: ignore[reportUnknownMemberType] - PathLike
            visible = [one.name for one in workbook.sheets_metadata if one.visible is SheetVisibleEnum.Visible]
            chosen = _chosen(path, sheet, workbook.sheet_names, visible)
            rows = workbook.get_sheet_by_name(chosen).iter_rows()
            for number, cells in enumerate(rows, start=1):
                yield CellRow(number, [_text(cell) for cell in cells])
    except (CalamineError, OSError) as error:
        raise InputError(f"Cannot read {path}: {error}") from error


def _chosen(path: Path, sheet: str | None, names: list[str], visible: list[str]) -> str:
    if sheet is None and (visible or names):
        return (visible or names)[0]
    if sheet is None or sheet not in names:
        fault = InputFault("sheet", sheet, f"must be one of {', '.join(names)}")
        raise InputError.of(f"No such sheet in {path}", [fault])
    return sheet


def _text(cell: object) -> str:
    """Return a cell as a text; a workbook has one type of number, so that 5.0 is 5."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime | date | time):
        return cell.isoformat()
    return str(cell)
