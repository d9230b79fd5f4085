"""`--json [FIELDS]`: all fields of a record as a JSON object, or a choice of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from ..runs.jobfile import json_line
from ..types.errors import InputError, InputFault
from .console import write_result

__all__ = ["Choice", "JsonFields", "check_fields", "write_json"]

Choice: TypeAlias = str | bool
"""The value of `--json`: False without it, True without fields, else their names with commas between them."""
JsonFields: TypeAlias = Annotated[Choice, Parameter(name="--json", metavar="FIELDS", negative="", show_default=False)]
"""The option itself."""

_OPEN: Final = "label."
"""A name that begins so may be missing in a record: its jobs choose their labels."""


def check_fields(fields: Choice, known: Iterable[str]) -> None:
    """Check the names of chosen fields.

    Args:
        fields: the value of `--json`.
        known: the names of all fields.

    Raises:
        InputError: a name is unknown.
    """
    names = list(known)
    faults = [
        InputFault("json", name, f"must be one of {', '.join(names)}")
        for name in _named(fields)
        if name not in names and not name.startswith(_OPEN)
    ]
    if faults:
        raise InputError.of("Unknown field", faults[:1])


def write_json(record: Mapping[str, object], fields: Choice) -> None:
    """Write a record, or the chosen fields of it in their order, as one line. Raises InputError at an unknown name."""
    check_fields(fields, record)
    write_result(json_line({name: record.get(name) for name in _named(fields) or record}))


def _named(fields: Choice) -> list[str]:
    return [] if isinstance(fields, bool) else [name.strip() for name in fields.split(",")]
