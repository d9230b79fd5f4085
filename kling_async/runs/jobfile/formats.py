"""Read lines of JSONL or CSV as fields with line numbers.

A JSON value keeps its type; a CSV text is read as its column requires. Bytes are decoded line by line, so that a wrong
byte is reported with its line. No line is kept after it was read.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Literal, TypeAlias

from attrs import frozen

from ...types.errors import InputError, InputFault
from .columns import Fields, NameFault, column_fault, is_fields, read_texts

__all__ = ["Format", "RawRow", "read_records"]

Format: TypeAlias = Literal["jsonl", "csv"]

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_WORKBOOK: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of .xlsx (a ZIP archive) and of .xls (an OLE file)."""
_SAVE_AS: Final = 'save it as "CSV UTF-8"'


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


def read_records(lines: Iterable[bytes] | Iterable[str], *, name: str, format: Format | None) -> Iterator[RawRow]:
    """Yield the rows in lines. The name's suffix selects the format; without one the first line does."""
    texts = _LineReader(lines)
    chosen = format or _format_of(name, texts)
    return _csv_records(texts) if chosen == "csv" else _json_records(texts)


class _LineReader:
    """Iterates over decoded lines and counts them; a wrong byte is recorded as a fault and replaced."""

    def __init__(self, lines: Iterable[bytes] | Iterable[str]) -> None:
        self._lines: Iterator[bytes | str] = iter(lines)
        self.line = 0
        self.faults: list[InputFault] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.line += 1
        text = line if isinstance(line, str) else self._decoded(line)
        return text.removeprefix("\ufeff") if self.line == 1 else text

    def _decoded(self, line: bytes) -> str:
        if self.line == 1 and line.startswith((*_UTF16, *_WORKBOOK)):
            self._lines = iter(())
            utf16 = InputFault("encoding", None, f"UTF-16 is not supported; {_SAVE_AS}")
            workbook = InputFault("format", None, f"is an Excel workbook; {_SAVE_AS}")
            self.faults.append(utf16 if line.startswith(_UTF16) else workbook)
            return ""
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = line[error.start : error.start + 1].hex()
            problem = f"must be UTF-8, but byte {error.start + 1} is 0x{wrong}; {_SAVE_AS}"
            self.faults.append(InputFault("encoding", None, problem))
            return line.decode("utf-8", "replace")

    def take_faults(self) -> list[InputFault]:
        """Return the faults recorded since the last call."""
        faults, self.faults = self.faults, []
        return faults

    def peek(self) -> str:
        """Return the first non-blank line without consuming it."""
        taken: list[bytes | str] = []
        for line in self._lines:
            taken.append(line)
            if line.strip():
                break
        self._lines = chain(taken, self._lines)
        first = taken[-1] if taken else ""
        return first if isinstance(first, str) else first.decode("utf-8", "replace")


def _format_of(name: str, texts: _LineReader) -> Format:
    suffix = name.lower().rpartition(".")[2] if "." in name else ""
    if suffix in ("csv", "tsv"):
        return "csv"
    if suffix in ("jsonl", "ndjson", "json"):
        return "jsonl"
    return "jsonl" if texts.peek().lstrip("\ufeff \t").startswith(("{", "[", "#")) else "csv"


def _json_records(texts: _LineReader) -> Iterator[RawRow]:
    for text in texts:
        if faults := texts.take_faults():
            yield RawRow(texts.line, None, faults)
        elif text.strip() and not text.lstrip().startswith("#"):
            try:
                yield RawRow(texts.line, _object(text))
            except InputError as error:
                yield RawRow(texts.line, None, error.faults)


def _object(text: str) -> Fields:
    try:
        value: object = _DECODER.decode(text.rstrip())
    except InputError:
        raise
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        problem = "has a number that is too long, or too many nested brackets"
    else:
        if is_fields(value):
            return value
        problem = 'must be one object, such as {"prompt": "a cat"}'
    if text.lstrip().startswith("["):
        problem = "must be one object, not a list; `jq -c '.[]' FILE` converts a list to lines"
    raise InputError.of("Invalid row", [InputFault("line", text.strip(), problem)])


def _reject_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError.of("Invalid row", [NameFault(twice, twice, f'duplicate name "{twice}"')])
    return found


def _reject_number(name: str) -> object:
    raise InputError.of("Invalid row", [InputFault("line", name, "is not a JSON number")])


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_reject_duplicates, parse_constant=_reject_number)


def _csv_records(texts: _LineReader) -> Iterator[RawRow]:
    header = texts.peek()
    # The separator that spreadsheets write depends on the country; no column name has any of these.
    reader = csv.reader(texts, delimiter=max(",;\t", key=header.count), strict=True)
    columns: list[str] | None = None
    while True:
        line = texts.line + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RawRow(line, None, [*texts.take_faults(), InputFault("line", None, f"is not CSV: {error}")])
            continue
        faults = texts.take_faults()
        if not any(map(str.strip, cells)):
            if faults:
                yield RawRow(line, None, faults)
        elif columns is None:
            columns = [_column(cell) for cell in cells]
            if faults := [*faults, *_header_faults(columns)]:
                yield RawRow(line, None, faults)
            if "prompt" not in columns:
                return
        else:
            yield _csv_record(line, columns, cells, faults)


def _csv_record(line: int, columns: Sequence[str], cells: Sequence[str], faults: Sequence[InputFault]) -> RawRow:
    if len(cells) != len(columns):
        problem = f"has {len(cells)} cells, the header has {len(columns)}; quote texts that contain the separator"
        return RawRow(line, None, [*faults, InputFault("line", None, problem)])
    texts = {name: cell for name, cell in zip(columns, cells, strict=True) if cell.strip() and not column_fault(name)}
    values, unreadable = read_texts(texts)
    return RawRow(line, values, [*faults, *unreadable])


def _column(cell: str) -> str:
    head, dot, rest = cell.strip().partition(".")
    return head.lower().replace(" ", "_").replace("-", "_") + dot + rest


def _header_faults(columns: Sequence[str]) -> Iterator[InputFault]:
    for name in dict.fromkeys(columns):
        if not name:
            yield InputFault("header", None, "has a column without a name")
        elif (fault := column_fault(name)) is not None:
            yield fault
        elif columns.count(name) > 1:
            yield NameFault(name, name, f'duplicate column "{name}"')
    if "prompt" not in columns:
        yield NameFault("prompt", "prompt", 'required column "prompt" is missing')
