"""Rows of job files: convert a line of JSONL or a row of CSV into jobs, or into the list of its faults.

Theory of operation. Lines are read one by one and not kept; only hashes of keys are, to find duplicates. Reading goes
on after a fault, so one pass finds all of them. Every fault has its line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, cast

from attrs import asdict, evolve, field, fields, frozen

from ...providers import provider_named
from ...types.errors import InputError, InputFault
from ...types.hash_table import IntTable, hash_of
from ...types.inputs import ImageInput
from ...types.jobs import Job, JobKeyGenerator
from ...types.media_values import MEDIA_FIELDS
from ...types.printable import escaped
from ..matrix import AXIS_FIELDS, Combination, Value, combinations, substitute, with_axis_fields
from ..targets import Target, alias_faults
from .columns import Fields, NameFault, is_fields, key_of, labels_of, parse_input, read_settings
from .comparison import ROW, compared
from .formats import Format, Source, read_records
from .media import dumped_media, with_paths
from .tables import RawRow, TableFormat

__all__ = ["JobfileFault", "Row", "dump_job", "json_line", "read_jobfile"]

_OF_THE_ROW: Final = frozenset({"key", "labels", "vars", "zip"})
"""Columns about the row itself; a matrix substitutes values in the others."""
_AS_IT_IS: Final = TableFormat()
_SHOWN: Final = 60
"""Maximum characters of a wrong value in a fault."""


@frozen
class JobfileFault:
    """One fault in a job file. Its text is `NAME:LINE: FIELD: PROBLEM`.

    Attributes:
        name: the job file's name.
        line: the line, from 1.
        field: the column or key with the fault.
        problem: what is wrong.
        is_complete: whether `problem` names the field itself, so that the text need not repeat it.
    """

    name: str
    line: int
    field: str
    problem: str
    is_complete: bool = False

    def __str__(self) -> str:
        place = f"{self.name}:{self.line}"
        return f"{place}: {self.problem}" if self.is_complete else f"{place}: {self.field}: {self.problem}"


@frozen
class Row:
    """A row of a job file: its jobs (several if it is a matrix) or its faults.

    Attributes:
        name: the job file's name.
        line: the line where the row begins, from 1.
        jobs: its jobs, with labels if it is a matrix; empty if it has faults.
        faults: all its faults.
    """

    name: str
    line: int
    jobs: tuple[Job, ...] = ()
    faults: tuple[JobfileFault, ...] = ()

    def with_faults(self, faults: Iterable[InputFault]) -> Row:
        """Return the row without jobs and with further faults."""
        more = dict.fromkeys(
            JobfileFault(self.name, self.line, one.field, _problem(one), isinstance(one, NameFault)) for one in faults
        )
        return Row(self.name, self.line, faults=(*self.faults, *more))


def read_jobfile(
    lines: Source,
    *,
    name: str,
    format: Format | None = None,
    table: TableFormat = _AS_IT_IS,
    settings: Iterable[str] = (),
    one_prompt: bool = False,
    targets: Sequence[Target] = (),
    folder: Path | None = None,
    read: Callable[[Job], Job] | None = None,
) -> Iterator[Row]:
    """Read a job file row by row.

    Args:
        lines: the lines of the file, preferably as bytes, so that an encoding error is reported with its line; or the
            rows of a workbook, as `kling_async.runs.workbook.read_workbook` yields them.
        name: the file's name in faults. Its suffix selects the format; without a suffix the first line does.
        format: "jsonl" or "csv", whatever the name is.
        table: how a table is to be read: its columns, separator and encoding, where these cannot be told from it.
        settings: `NAME=VALUE` for all rows, which replaces the values in the file.
        one_prompt: whether a setting may replace the prompt of all rows, too.
        targets: makes a job of each row at each target, with the labels `row`, `provider` and `model`.
        folder: the folder of the file, to which paths of local media are relative; None is the working directory.
            Paths in the settings are relative to that one in any case.
        read: reads the local media of a job, and raises InputError; its faults are those of the row.

    Raises:
        InputError: a setting is invalid, or sets what a target sets.
    """
    overrides = with_paths(read_settings(settings, without=("key",) if one_prompt else ("key", "prompt")), None)
    if twice := [name for name in AXIS_FIELDS if name in overrides and any(name in one.labels for one in targets)]:
        faults = [InputFault(name, overrides[name], "is set by the targets") for name in twice]
        raise InputError.of("Invalid settings", faults)
    records = read_records(lines, name=name, format=format, table=table)
    return _rows(records, name, _RowParser(overrides, targets, folder, read))


def dump_job(job: Job) -> str:
    """Return a job as a line of JSON, without a line end, from which `read_jobfile` makes the same job."""
    defaults = {one.name: one.default for one in fields(type(job.input))}
    kept = asdict(job.input, filter=lambda attribute, _: attribute.name not in MEDIA_FIELDS)
    kept |= {name: dumped_media(getattr(job.input, name)) for name in MEDIA_FIELDS if name in defaults}
    fields_set = {name: value for name, value in kept.items() if value not in (defaults[name], (), [], {})}
    fields_set["prompt"] = job.input.prompt
    facts = {"key": job.key, "provider": job.provider, "labels": dict(job.labels)}
    # The kind follows from the model, if there is one.
    kind = {"kind": job.input.kind} if job.input.model is None else {"model": job.input.model}
    return json_line({name: value for name, value in facts.items() if value} | kind | fields_set)


def json_line(value: object, *, default: Callable[[object], object] | None = None) -> str:
    """Return a value as one line of JSON, also for programs that end lines at U+2028 or U+0085.

    Args:
        value: a JSON-serializable value.
        default: converts values that are not JSON-serializable.
    """
    return escaped(json.dumps(value, ensure_ascii=False, default=default))


def _rows(records: Iterable[RawRow], name: str, parser: _RowParser) -> Iterator[Row]:
    seen = IntTable()
    for record in records:
        parsed = _ParsedRow() if record.fields is None else parser.parse(record.fields)
        faults = [*record.faults, *parsed.faults]
        keys = [job.key for job in parsed.jobs if job.key is not None]
        faults += [
            NameFault("key", key, f'duplicate key "{key}" (first used on line {first})')
            for key in keys
            if (first := seen.setdefault(hash_of(key), record.line)) != record.line
        ]
        row = Row(name, record.line, parsed.jobs)
        yield row.with_faults(faults) if faults else row


def _marked(fault: InputFault, overrides: Fields) -> InputFault:
    # The row itself does not have the value, so the fault says where it is from.
    return fault._replace(allowed=f"{fault.allowed}; it is set for all rows") if fault.field in overrides else fault


def _problem(fault: InputFault) -> str:
    if fault.value is None or isinstance(fault, NameFault):
        return fault.allowed
    shown = repr(fault.value)
    return f"{fault.allowed} (is {shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + '...'})"


@frozen
class _ParsedRow:
    jobs: tuple[Job, ...] = ()
    faults: tuple[InputFault, ...] = ()


@frozen
class _RowParser:
    """Converts the fields of rows into jobs.

    Attributes:
        overrides: fields of all rows, in place of their own.
        targets: where each row runs; empty if the rows say it.
        folder: the folder that paths of local media are relative to.
        read: reads the local media of a job.
    """

    overrides: Fields
    targets: Sequence[Target]
    folder: Path | None = None
    read: Callable[[Job], Job] | None = None
    keys: JobKeyGenerator = field(factory=JobKeyGenerator)

    def parse(self, fields: Fields) -> _ParsedRow:
        """Convert the fields of a row into its jobs and its faults."""
        parsed = self._parse({**fields, **self.overrides} if self.overrides else fields)
        if not parsed.faults:
            return parsed
        return evolve(parsed, faults=tuple(_marked(fault, self.overrides) for fault in parsed.faults))

    def _parse(self, given: Fields) -> _ParsedRow:
        key, faults = key_of(given.get("key"))
        labels, more = labels_of(given.get("labels"))
        faults += more
        try:
            self._check_axes(given, labels)
            document, combined = _combinations(given, key)
        except InputError as error:
            return _ParsedRow(faults=(*faults, *error.faults))
        jobs: list[Job] = []
        for one in combined:
            filled = cast("Fields", substitute(document, one.values)) if one.values else document
            made, more = self._jobs(filled, one.key if one.values else key)
            faults += more
            jobs += [_labelled(job, {**labels, **one.labels, **job.labels}) for job in made]
        if any(AXIS_FIELDS & one.values.keys() for one in combined[:1]):
            faults += alias_faults(jobs)
        return _ParsedRow(tuple(jobs), tuple(faults))

    def _jobs(self, given: Fields, key: str | None) -> tuple[list[Job], list[InputFault]]:
        if not self.targets:
            job, faults = self._job(given, key)
            return ([] if job is None else [job]), faults
        made = {target: self._job({**given, **target.labels}, None) for target in self.targets}
        try:
            return compared(made, key=key, model=given.get("model"), keys=self.keys)
        except InputError as error:  # a file that was not read makes no key
            return [], list(error.faults)

    def _job(self, given: Fields, key: str | None) -> tuple[Job | None, list[InputFault]]:
        job, faults = _job(with_paths(given, self.folder), key)
        if job is None or self.read is None:
            return job, faults
        try:
            return self.read(job), faults
        except InputError as error:
            return None, [*faults, *(error.faults or [InputFault("media", None, error.message)])]

    def _check_axes(self, given: Fields, labels: Mapping[str, str]) -> None:
        """Raise InputError if a row has a label or an axis that a comparison needs, or a field that is also an axis."""
        vars = given.get("vars")
        if vars is None and not self.targets:
            return
        axes: Fields = vars if is_fields(vars) else {}
        faults = [
            InputFault(f"vars.{name}", axes[name], "is an axis of the row")
            for name in sorted(AXIS_FIELDS & axes.keys() & self.overrides.keys())
        ]
        if self.targets:
            for name in (ROW, *AXIS_FIELDS):
                if name in axes:
                    faults.append(
                        InputFault(f"vars.{name}", axes[name], "cannot be an axis where targets are compared")
                    )
                elif name in labels:
                    advice = "belongs to a comparison; a job of one is run by itself, without targets"
                    faults.append(InputFault(f"labels.{name}", labels[name], advice))
        if faults:
            raise InputError.of("Invalid matrix", faults)


def _labelled(job: Job, labels: Mapping[str, str]) -> Job:
    return evolve(job, labels=labels) if labels else job


def _combinations(given: Fields, prefix: str | None) -> tuple[Fields, list[Combination]]:
    """Return the fields that make the input of a row, and the combinations of values for them."""
    axes, zipped = given.get("vars"), given.get("zip")
    document: Fields = {name: value for name, value in given.items() if name not in _OF_THE_ROW}
    if not isinstance(zipped, (bool, type(None))):
        raise InputError.of("Invalid matrix", [InputFault("zip", zipped, "must be true or false")])
    if axes is None:
        if zipped:
            raise InputError.of("Invalid matrix", [InputFault("zip", None, "needs vars, the lists of values to pair")])
        return document, [Combination({}, "")]
    if not is_fields(axes):
        raise InputError.of(
            "Invalid matrix", [InputFault("vars", axes, 'must be an object of lists: {"NAME": ["a", "b"]}')]
        )
    document = with_axis_fields(document, axes)
    listed = cast("Mapping[str, Iterable[Value]]", axes)
    return document, combinations(document, listed, zipped=bool(zipped), prefix=prefix)


def _job(given: Fields, key: str | None) -> tuple[Job | None, list[InputFault]]:
    parsed = parse_input(given)
    faults, provider = list(parsed.faults), given.get("provider")
    if provider is not None and not isinstance(provider, str):
        faults.append(InputFault("provider", provider, "must be text"))
        provider = None
    try:
        # The key is checked also beside a wrong input, so that both faults are reported.
        job = Job(parsed.input or ImageInput(""), key=key, provider=provider and provider_named(provider).name)
    except InputError as error:
        return None, [*faults, *error.faults]
    return (None if faults else job), faults
