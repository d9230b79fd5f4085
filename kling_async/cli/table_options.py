"""The options of a job file that is a table: what cannot be told from it."""

from __future__ import annotations

from typing import Annotated, Final

from attrs import frozen
from cyclopts import Parameter

from ..runs.jobfile import TableFormat
from ..runs.jobfile.tables import parse_columns

__all__ = ["NO_TABLE_OPTIONS", "TableOptions"]


@Parameter(name="*")
@frozen(kw_only=True)
class TableOptions:
    """The options of a table; None means that the table says it.

    Attributes:
        column: Column of the job file for a field, as NAME=FIELD, such as id=key. NAME=label.NAME makes it a label, and
            NAME= leaves it out. May be repeated.
        delimiter: What separates the cells of CSV, such as ";" or tab. [default: what the first line has]
        encoding: Encoding of CSV and JSONL, such as cp1252 or cp1251. [default: UTF-8, or what a byte order mark says]
        sheet: Sheet of a workbook. [default: the first visible one]
    """

    column: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    delimiter: str | None = None
    encoding: str | None = None
    sheet: str | None = None

    @property
    def format(self) -> TableFormat:
        """How the table is to be read. Raises InputError if an option is wrong."""
        delimiter = "\t" if self.delimiter in ("tab", "\\t") else self.delimiter
        return TableFormat(columns=parse_columns(self.column or ()), delimiter=delimiter, encoding=self.encoding)


NO_TABLE_OPTIONS: Final = TableOptions()
