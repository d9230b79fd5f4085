"""Read lines of JSONL, CSV or cells of a workbook as fields with line numbers.

A JSON value keeps its type; a text of a table is read as its column requires. Bytes are decoded line by line, so that a
wrong byte is reported with its line. No line is kept after it was read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final, Literal, TypeAlias, cast

from ...types.errors import InputError, InputFault
from .columns import Fields, NameFault, is_fields
from .decoding import LineReader
from .tables import CellRow, RawRow, TableFormat, csv_records, table_records

__all__ = ["Format", "Source", "read_records"]

Format: TypeAlias = Literal["jsonl", "csv"]
Source: TypeAlias = Iterable[bytes] | Iterable[str] | Iterable[CellRow]
"""What a job file is read from: its lines, or the rows of a workbook."""


def read_records(source: Source, *, name: str, format: Format | None, table: TableFormat) -> Iterator[RawRow]:
    """Yield the rows of a source. The name's suffix selects the format; without one the first line does.

    Raises:
        InputError: the encoding is unknown.
    """
    items = iter(source)
    first = next(items, None)
    everything = () if first is None else chain([first], items)
    if isinstance(first, CellRow):
        return table_records(cast("Iterable[CellRow]", everything), table)
    texts = LineReader(cast("Iterable[bytes]", everything), encoding=table.encoding)
    chosen = format or _format_of(name, texts)
    return csv_records(texts, table) if chosen == "csv" else _json_records(texts)


def _format_of(name: str, texts: LineReader) -> Format:
    suffix = name.lower().rpartition(".")[2] if "." in name else ""
    if suffix in ("csv", "tsv"):
        return "csv"
    if suffix in ("jsonl", "ndjson", "json"):
        return "jsonl"
    return "jsonl" if texts.peek().lstrip(" \t").startswith(("{", "[", "#")) else "csv"


def _json_records(texts: LineReader) -> Iterator[RawRow]:
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
            return _with_labels(value)
        problem = 'must be one object, such as {"prompt": "a cat"}'
    if text.lstrip().startswith("["):
        problem = "must be one object, not a list; `jq -c '.[]' FILE` converts a list to lines"
    raise InputError.of("Invalid row", [InputFault("line", text.strip(), problem)])


_NO_LABELS: Final[Fields] = {}


def _with_labels(value: Fields) -> Fields:
    """Return the fields of a line with `label.NAME` among its labels, and `custom_id` as its key."""
    own = {name: text for name, text in value.items() if name.startswith("label.") and name != "label."}
    if not own and "custom_id" not in value:
        return value
    rest = {name: one for name, one in value.items() if name not in own}
    if "custom_id" in rest and "key" not in rest:
        rest = {"key": rest.pop("custom_id"), **rest}
    labels: object = rest.get("labels") or _NO_LABELS
    if own and is_fields(labels):
        rest["labels"] = {**labels, **{name.removeprefix("label."): text for name, text in own.items()}}
    return rest


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
