"""Read tables, whose first row names the columns: CSV, and the cells of a workbook.

A column that is no field of a job becomes a label, which comes back in the results. One whose name is near that of a
field is a fault, since a typo would cost money.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from ...providers.parameter_rules import suggestion
from ...types.errors import InputError, InputFault
from .columns import COLUMNS, Fields, NameFault, column_fault, read_texts
from .decoding import LineReader

__all__ = ["CellRow", "RawRow", "TableFormat", "csv_records", "parse_columns", "table_records"]

_LABEL: Final = "label."
_DELIMITERS: Final = ",;\t|"
_MIN_PART: Final = 4
"""Least length of a word that makes a name like that of a column which contains it, such as "aspect"."""


@frozen
class RawRow:
    """A row as it was read.

    Attributes:
        line: the line where it begins, from 1.
        fields: the values by column; None if the row cannot be read.
        faults: the faults found while reading.
    """

    line: int
    fields: Fields | None
    faults: Sequence[InputFault] = ()


@frozen
class CellRow:
    """A row of cells, as texts.

    Attributes:
        line: its number, from 1.
        cells: the texts; fewer or more than the header has if the row has.
    """

    line: int
    cells: Sequence[str]


@frozen(kw_only=True)
class TableFormat:
    """How a table is to be read.

    Attributes:
        columns: columns of ours by the names that the table has for them; "" leaves a column out.
        delimiter: what separates the cells of CSV; None lets the first line decide.
        encoding: that of the text; None is UTF-8, or what a byte order mark says.

    Raises:
        InputError: the delimiter is not one character.
    """

    columns: Mapping[str, str] = field(factory=dict[str, str])
    delimiter: str | None = None
    encoding: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            fault = InputFault("delimiter", self.delimiter, "must be one character, such as ; or a tab")
            raise InputError.of("Invalid delimiter", [fault])


def parse_columns(texts: Iterable[str]) -> dict[str, str]:
    """Return the columns of `NAME=COLUMN` by the names in a table. Raises InputError, with all faults."""
    found: dict[str, str] = {}
    faults: list[InputFault] = []
    for text in texts:
        name, equals, column = (part.strip() for part in text.rpartition("="))
        known = column in COLUMNS or column == "" or _is_free(column)
        if not equals or not name or not known:
            near = suggestion(column, COLUMNS)
            known_names = f"{', '.join(COLUMNS)}, label.NAME or extra.NAME{near}"
            faults.append(InputFault("column", text, f"must be NAME=COLUMN, where COLUMN is one of {known_names}"))
        found[name] = column
    if faults:
        raise InputError.of("Invalid columns", faults)
    return found


def csv_records(texts: LineReader, format: TableFormat) -> Iterator[RawRow]:
    """Yield the rows of CSV."""
    header = texts.peek()
    # The separator that spreadsheets write depends on the country; no column name has any of these.
    delimiter = format.delimiter or max(_DELIMITERS, key=header.count)
    reader = csv.reader(texts, delimiter=delimiter, strict=True)
    table = _Table(format)
    while True:
        line = texts.line + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RawRow(line, None, [*texts.take_faults(), InputFault("line", None, f"is not CSV: {error}")])
            continue
        yield from table.records(CellRow(line, cells), texts.take_faults())
        if table.is_unusable:
            return


def table_records(rows: Iterable[CellRow], format: TableFormat) -> Iterator[RawRow]:
    """Yield the rows of a workbook. A column without a name must be empty."""
    table = _Table(format, is_workbook=True)
    for row in rows:
        yield from table.records(row, [])
        if table.is_unusable:
            return


class _Table:
    """Converts rows of cells, the first of which is the header."""

    def __init__(self, format: TableFormat, *, is_workbook: bool = False) -> None:
        self._is_workbook = is_workbook
        self._named = format.columns
        self._columns: list[str] | None = None
        self._nameless: list[int] = []
        """Columns of a workbook without a name, which must be empty."""
        self.is_unusable = False

    def records(self, row: CellRow, faults: Sequence[InputFault]) -> Iterator[RawRow]:
        """Yield what a row of cells is: nothing if it is blank, or the header without a fault."""
        if not any(map(str.strip, row.cells)):
            if faults:
                yield RawRow(row.line, None, faults)
        elif self._columns is None:
            self._columns, found = self._header(row.cells)
            if faults := [*faults, *found]:
                yield RawRow(row.line, None, faults)
            self.is_unusable = "prompt" not in self._columns
        else:
            yield _record(row, self._columns, [*faults, *self._stray(row.cells)])

    def _stray(self, cells: Sequence[str]) -> Iterator[InputFault]:
        for at in self._nameless:
            if at < len(cells) and cells[at].strip():
                yield InputFault("line", cells[at], f"has a cell in column {at + 1}, which has no name")

    def _header(self, cells: Sequence[str]) -> tuple[list[str], list[InputFault]]:
        columns, faults = list[str](), list[InputFault]()
        for at, cell in enumerate(cells):
            if self._is_workbook and not cell.strip():
                self._nameless.append(at)
                columns.append("")
                continue
            name, fault = self._column(cell)
            if fault is None and name in columns and name != "":
                fault = NameFault(name, name, f'duplicate column "{name}"')
            if fault is not None:
                faults.append(fault)
            columns.append(name)
        if missing := sorted(set(self._named) - {cell.strip() for cell in cells}):
            problem = f"--column names what is no column here: {', '.join(missing)}"
            faults.append(NameFault("column", missing, problem))
        if "prompt" not in columns:
            hint = ""
            if len(cells) == 1 and not self._is_workbook:
                faults, hint = [], "; is the separator another one? Name it with --delimiter"
            faults.append(NameFault("prompt", "prompt", f'required column "prompt" is missing{hint}'))
        return columns, faults

    def _column(self, cell: str) -> tuple[str, InputFault | None]:
        """Return our name of a column, "" if it is left out, and its fault."""
        text = cell.strip()
        if text in self._named:
            return self._named[text], None
        if not text:
            return "", InputFault("header", None, "has a column without a name")
        head, dot, rest = text.partition(".")
        name = head.lower().replace(" ", "_").replace("-", "_") + dot + rest
        if name == "custom_id":
            return "key", None
        if name in COLUMNS or _is_free(name):
            return name, None
        near = column_fault(name) if dot or name in _RESERVED else _near(name)
        return (_LABEL + text, None) if near is None else (name, near)


_RESERVED: Final = frozenset({"id", "name", "labels", "vars", "zip"})
"""Names that mean something elsewhere: that of a key, and what only JSONL has."""


def _is_free(name: str) -> bool:
    return any(name.startswith(prefix) and name != prefix for prefix in ("extra.", _LABEL))


def _near(name: str) -> InputFault | None:
    """Return the fault of a column whose name is near that of a field; None if it is a label."""
    words = set(name.split("_"))
    like = [one for one in COLUMNS if _is_part(name, one) or (len(one) >= _MIN_PART and one in words)]
    hint = f"; did you mean {like[0]}?" if like else suggestion(name, COLUMNS)
    if not hint:
        return None
    keep = f" --column {name}=label.{name} keeps it as a label"
    return NameFault(name, name, f'unknown column "{name}"{hint}{keep}')


def _is_part(name: str, column: str) -> bool:
    return len(name) >= _MIN_PART and name in column.split("_")


def _record(row: CellRow, columns: Sequence[str], faults: Sequence[InputFault]) -> RawRow:
    if len(row.cells) != len(columns):
        problem = f"has {len(row.cells)} cells, the header has {len(columns)}; quote texts that contain the separator"
        return RawRow(row.line, None, [*faults, InputFault("line", None, problem)])
    filled = {name: cell for name, cell in zip(columns, row.cells, strict=True) if cell.strip()}
    labels = {name.removeprefix(_LABEL): cell.strip() for name, cell in filled.items() if name.startswith(_LABEL)}
    values, unreadable = read_texts({name: cell for name, cell in filled.items() if not column_fault(name)})
    return RawRow(row.line, {**values, "labels": labels} if labels else values, [*faults, *unreadable])
