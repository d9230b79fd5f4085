"""Lines of JSONL or CSV become fields with line numbers.

What JSON says keeps its type; a text of CSV is read as its column wants it. Bytes are decoded line by line, so that a
wrong one is told with its line. No line is held longer than it takes to read it.
"""

from __future__ import annotations

import codecs
import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, Literal, TypeAlias

from attrs import frozen

from ..errors import InputError, InputFault
from .columns import Fields, column_fault, is_fields, read_texts

__all__ = ["Format", "Record", "read_records"]

Format: TypeAlias = Literal["jsonl", "csv"]

_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@frozen
class Record:
    """What a sheet says at one place.

    Attributes:
        line: where it begins, from 1.
        fields: the values by column; None where nothing can be read.
        faults: what is wrong already.
    """

    line: int
    fields: Fields | None
    faults: Sequence[InputFault] = ()


def read_records(lines: Iterable[bytes] | Iterable[str], *, name: str, format: Format | None) -> Iterator[Record]:
    """Yield what the lines say; the format follows from the name's suffix, or else from the first line."""
    texts = _Texts(lines)
    chosen = format or _format_of(name, texts)
    return _csv_records(texts) if chosen == "csv" else _json_records(texts)


class _Texts:
    """Lines as texts, counted; a wrong byte is noted, and replaced."""

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
        if self.line == 1 and line.startswith(_UTF16):
            self._lines = iter(())
            self.faults.append(InputFault("encoding", "UTF-16", "must be UTF-8; save the file anew"))
            return ""
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            wrong = line[error.start : error.start + 1].hex()
            self.faults.append(InputFault("encoding", f"byte {error.start + 1}, 0x{wrong}", "must be UTF-8"))
            return line.decode("utf-8", "replace")

    def told(self) -> list[InputFault]:
        """Return what was noted since it was last asked."""
        faults, self.faults = self.faults, []
        return faults

    def peek(self) -> str:
        """Return the first line that is not blank, without taking it."""
        taken: list[bytes | str] = []
        for line in self._lines:
            taken.append(line)
            if line.strip():
                break
        self._lines = chain(taken, self._lines)
        first = taken[-1] if taken else ""
        return first if isinstance(first, str) else first.decode("utf-8", "replace")


def _format_of(name: str, texts: _Texts) -> Format:
    suffix = name.lower().rpartition(".")[2] if "." in name else ""
    if suffix in ("csv", "tsv"):
        return "csv"
    if suffix in ("jsonl", "ndjson", "json"):
        return "jsonl"
    return "jsonl" if texts.peek().lstrip("\ufeff \t").startswith(("{", "[", "#")) else "csv"


def _json_records(texts: _Texts) -> Iterator[Record]:
    for text in texts:
        if faults := texts.told():
            yield Record(texts.line, None, faults)
        elif text.strip() and not text.lstrip().startswith("#"):
            try:
                yield Record(texts.line, _object(text))
            except InputError as error:
                yield Record(texts.line, None, error.faults)


def _object(text: str) -> Fields:
    try:
        value: object = json.loads(text.rstrip(), object_pairs_hook=_once, parse_constant=_no_number)
    except InputError:
        raise
    except json.JSONDecodeError as error:
        problem = f"is not JSON: {error.msg} at character {error.pos + 1}"
    except (ValueError, RecursionError):
        problem = "holds a number that is too long, or too many brackets"
    else:
        if is_fields(value):
            return value
        problem = 'must be one object, such as {"prompt": "a cat"}'
    if text.lstrip().startswith("["):
        problem = "must be one object, not a list; `jq -c '.[]' FILE` makes lines of a list"
    raise InputError.of("No row", [InputFault("line", text.strip(), problem)])


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError.of("No row", [InputFault(twice, twice, "stands twice")])
    return found


def _no_number(name: str) -> object:
    raise InputError.of("No row", [InputFault("line", name, "is no number of JSON")])


def _csv_records(texts: _Texts) -> Iterator[Record]:
    header = texts.peek()
    # Spreadsheets write what their country separates numbers with; no column's name holds any of these.
    reader = csv.reader(texts, delimiter=max(",;\t", key=header.count), strict=True)
    columns: list[str] | None = None
    while True:
        line = texts.line + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Record(line, None, [*texts.told(), InputFault("line", None, f"is not CSV: {error}")])
            continue
        faults = texts.told()
        if not any(map(str.strip, cells)):
            if faults:
                yield Record(line, None, faults)
        elif columns is None:
            columns = [_column(cell) for cell in cells]
            if faults := [*faults, *_header_faults(columns)]:
                yield Record(line, None, faults)
            if "prompt" not in columns:
                return
        else:
            yield _csv_record(line, columns, cells, faults)


def _csv_record(line: int, columns: Sequence[str], cells: Sequence[str], faults: Sequence[InputFault]) -> Record:
    if len(cells) != len(columns):
        problem = f"has {len(cells)} cells, and the header {len(columns)}; quote a text that holds the separator"
        return Record(line, None, [*faults, InputFault("line", None, problem)])
    texts = {name: cell for name, cell in zip(columns, cells, strict=True) if cell.strip() and not column_fault(name)}
    values, unreadable = read_texts(texts)
    return Record(line, values, [*faults, *unreadable])


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
            yield InputFault(name, name, "is the name of two columns")
    if "prompt" not in columns:
        yield InputFault("prompt", None, "is missing among the columns")
