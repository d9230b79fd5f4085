"""The files that tell the results of a run: results.jsonl, results.csv, failed.jsonl and the report.

Each row is written as it is read, and none is kept but those that the report shows. The table is made of the lines of
results.jsonl, since its columns are known only at the last row.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final, TextIO, cast

from ..system.files import atomic_write
from ..types.hash_table import KeySet
from .directory import RunDirectory
from .jobfile import dump_job, json_line
from .report import ReportRow
from .report.page import render
from .report.summary import RunSummary
from .results import to_dict
from .run_rows import FAILED

__all__ = ["write_results"]

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that begin a formula in spreadsheets, in both widths (OWASP, CSV injection)."""


def write_results(
    directory: RunDirectory,
    rows: Iterable[ReportRow],
    *,
    title: str,
    settings: Mapping[str, str],
    made_at: datetime,
    as_shown: Callable[[Sequence[ReportRow]], Sequence[ReportRow]] = lambda rows: rows,
) -> RunSummary:
    """Write the results, the failed jobs and the report of a run.

    Args:
        directory: that of the run.
        rows: the jobs, in their order.
        title: the name of the run.
        settings: the settings of the run, by name.
        made_at: the time of the report, with a time zone.
        as_shown: changes the rows that the report shows, such as their links; no other file has that.

    Raises:
        OSError: a file cannot be written.
        JournalError, InputError: a row cannot be read; no file is changed.
    """
    summary, failed, columns = RunSummary(), KeySet(), dict[str, None]()
    with atomic_write(directory.results) as file:
        for row in rows:
            record = to_dict(row)
            columns.update(dict.fromkeys(record))
            file.write(f"{json_line(record)}\n")
            summary.add(row)
            if row.status in FAILED:
                failed.add(row.key)
    with atomic_write(directory.table, encoding="utf-8-sig") as file:
        _write_csv(file, list(columns), _records(directory.results))
    with atomic_write(directory.failed, private=True) as file:
        if failed:
            file.writelines(f"{dump_job(job)}\n" for job in directory.jobs() if job.key in failed)
    page = render(
        summary, title=title, made_at=made_at, version=version("kling-async"), settings=settings, as_shown=as_shown
    )
    with atomic_write(directory.report) as file:
        file.writelines(page)
    return summary


def _records(path: Path) -> Iterator[Mapping[str, object]]:
    with path.open(encoding="utf-8", newline="\n") as lines:
        for line in lines:
            yield json.loads(line)


def _write_csv(file: TextIO, names: Sequence[str], records: Iterable[Mapping[str, object]]) -> None:
    # csv quotes a text for its line ends only if they are part of the table's own line end (RFC 4180, 2.6).
    table = csv.DictWriter(file, names, lineterminator="\r\n")
    table.writeheader()
    table.writerows({name: _cell(value) for name, value in record.items()} for record in records)


def _cell(value: object) -> object:
    text = "|".join(map(str, cast("list[object]", value))) if isinstance(value, list) else value
    if not isinstance(text, str):
        return text
    # No text may become a formula in a spreadsheet: prompts and job files may come from others.
    return ("'" + text if text.startswith(_FORMULA) else text).encode("utf-8", "replace").decode()
