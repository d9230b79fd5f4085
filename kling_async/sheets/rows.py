"""Sheets of jobs: a line of JSONL or a row of CSV becomes jobs, or a list of all that is wrong with it.

Theory of operation. Lines are read one after the other and forgotten; only keys are remembered, to find two of the
same. No fault ends the reading, so that one look at a sheet shows all of them. Every fault says where it is.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, cast

from attrs import asdict, evolve, fields, frozen

from ..errors import InputError, InputFault
from ..inputs import ImageInput, Job
from ..matrices import Combination, Value, combinations, filled
from ..printable import escaped
from ..providers import provider_named
from .columns import Fields, input_of, is_fields, read_settings
from .tables import Format, Record, read_records

__all__ = ["Row", "SheetFault", "json_line", "line_of", "read_sheet"]

_OF_THE_ROW: Final = frozenset({"key", "labels", "vars", "zip"})
"""What a row says of itself; the rest is what a matrix fills."""
_OTHER_KEY: Final = "give this row another, with which all keys of a matrix begin"
_SHOWN: Final = 60
"""Characters of a wrong value in a fault."""


@frozen
class SheetFault:
    """One thing that is wrong with a sheet, and where; its text is `NAME:LINE: FIELD: PROBLEM`."""

    name: str
    line: int
    field: str
    problem: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}: {self.field}: {self.problem}"


@frozen
class Row:
    """A row of a sheet: its jobs, several if it is a matrix, or what is wrong with it.

    Attributes:
        name: the sheet's.
        line: where the row begins, from 1.
        jobs: with labels if it is a matrix; none if there are faults.
        faults: everything that is wrong with it.
    """

    name: str
    line: int
    jobs: tuple[Job, ...] = ()
    faults: tuple[SheetFault, ...] = ()

    def refused(self, faults: Iterable[InputFault]) -> Row:
        """Return the row without its jobs and with further faults."""
        more = dict.fromkeys(SheetFault(self.name, self.line, one.field, _problem(one)) for one in faults)
        return Row(self.name, self.line, faults=(*self.faults, *more))


def read_sheet(
    lines: Iterable[bytes] | Iterable[str],
    *,
    name: str,
    format: Format | None = None,
    settings: Iterable[str] = (),
) -> Iterator[Row]:
    """Read a sheet row by row.

    Args:
        lines: those of the file, best as bytes, so that a wrong encoding is told with its line.
        name: what the file is called in faults; its suffix tells the format, or the first line where it has none.
        format: "jsonl" or "csv", whatever the name.
        settings: `NAME=VALUE` for all rows, in place of what these say.

    Raises:
        InputError: a setting cannot be read.
    """
    overrides = read_settings(settings)
    return _rows(read_records(lines, name=name, format=format), name, overrides)


def line_of(job: Job) -> str:
    """Return a job as a line of JSON, without its end, that `read_sheet` makes the same job of."""
    defaults = {one.name: one.default for one in fields(type(job.input))}
    said = {name: value for name, value in asdict(job.input).items() if value not in (defaults[name], (), {})}
    about = {"key": job.key, "provider": job.provider, "labels": dict(job.labels)}
    # The model tells the kind, unless no provider has it.
    whole = {name: value for name, value in about.items() if value} | {"model": job.input.model} | said
    return json_line(whole)


def json_line(value: object, *, default: Callable[[object], object] | None = None) -> str:
    """Return a value as one line of JSON, also to what ends lines at U+2028 or U+0085.

    Args:
        default: makes of what JSON cannot say something that it can.
    """
    return escaped(json.dumps(value, ensure_ascii=False, default=default))


def _rows(records: Iterable[Record], name: str, overrides: Fields) -> Iterator[Row]:
    seen: dict[str, int] = {}
    for record in records:
        made = _Made() if record.fields is None else _made({**record.fields, **overrides})
        faults = [*record.faults, *(_marked(fault, overrides) for fault in made.faults)]
        keys = [job.key for job in made.jobs if job.key is not None]
        faults += [
            InputFault("key", key, f"is the key of line {first}, too; {_OTHER_KEY}")
            for key in keys
            if (first := seen.setdefault(key, record.line)) != record.line
        ]
        row = Row(name, record.line, made.jobs)
        yield row.refused(faults) if faults else row


def _marked(fault: InputFault, overrides: Fields) -> InputFault:
    # Nobody finds in a row what the row does not say.
    return fault._replace(allowed=f"{fault.allowed}; it is set for all rows") if fault.field in overrides else fault


def _problem(fault: InputFault) -> str:
    if fault.value is None or fault.value == fault.field:
        return fault.allowed
    shown = repr(fault.value)
    return f"{fault.allowed} (is {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'})"


@frozen
class _Made:
    jobs: tuple[Job, ...] = ()
    faults: tuple[InputFault, ...] = ()


def _made(given: Fields) -> _Made:
    """Make the jobs of a row."""
    document = {name: value for name, value in given.items() if name not in _OF_THE_ROW}
    key, faults = _key(given.get("key"))
    try:
        found = _combinations(given, document, key)
    except InputError as error:
        return _Made(faults=(*faults, *error.faults))
    labels, wrong = _labels(given.get("labels"))
    faults += wrong
    jobs: list[Job] = []
    for one in found:
        said = cast("Fields", filled(document, one.values)) if one.values else document
        job, wrong = _job(said, one.key if one.values else key)
        faults += wrong
        if job is not None:
            jobs.append(evolve(job, labels={**labels, **one.labels}))
    return _Made(tuple(jobs), tuple(faults))


def _combinations(given: Fields, document: Fields, prefix: str | None) -> list[Combination]:
    axes, zipped = given.get("vars"), given.get("zip")
    if not isinstance(zipped, (bool, type(None))):
        raise InputError.of("No matrix", [InputFault("zip", zipped, "must be true or false")])
    if axes is None:
        if zipped:
            raise InputError.of("No matrix", [InputFault("zip", None, "needs vars, the lists to zip")])
        return [Combination({}, "")]
    if not is_fields(axes):
        raise InputError.of("No matrix", [InputFault("vars", axes, 'must be an object of lists: {"NAME": ["a", "b"]}')])
    return combinations(document, cast("Mapping[str, Iterable[Value]]", axes), zipped=bool(zipped), prefix=prefix)


def _key(key: object) -> tuple[str | None, list[InputFault]]:
    if isinstance(key, int) and not isinstance(key, bool):
        return str(key), []
    if key is None or isinstance(key, str):
        return key, []
    return None, [InputFault("key", key, "must be text")]


def _labels(labels: object) -> tuple[Mapping[str, str], list[InputFault]]:
    if labels is None:
        return {}, []
    if is_fields(labels) and all(isinstance(text, str) for text in labels.values()):
        return cast("Mapping[str, str]", labels), []
    return {}, [InputFault("labels", labels, 'must be an object of texts: {"NAME": "text"}')]


def _job(said: Fields, key: str | None) -> tuple[Job | None, list[InputFault]]:
    made = input_of(said)
    faults, provider = list(made.faults), said.get("provider")
    if provider is not None and not isinstance(provider, str):
        faults.append(InputFault("provider", provider, "must be text"))
        provider = None
    try:
        # A key can be wrong beside a wrong input, and both are told.
        job = Job(made.input or ImageInput(""), key=key, provider=provider and provider_named(provider).name)
    except InputError as error:
        return None, [*faults, *error.faults]
    return (None if faults else job), faults
