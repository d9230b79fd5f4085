"""`kling-async get`: one job of a run, with all that is known of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, cast

from attrs import evolve
from cyclopts import Parameter

from ..journal.submission import Submission
from ..runs.directory import RunDirectory
from ..runs.report import ReportRow
from ..runs.results import to_dict
from ..runs.run_rows import RunRows
from ..types.errors import InputError
from ..types.formatting import format_duration, format_price
from .console import ExitCode, run, write_result
from .database import Database, database_of
from .json_fields import Choice, JsonFields, write_json
from .queued_runs import find_queued

__all__ = ["get"]

_WIDTH: Final = 10

Found = tuple[ReportRow, Sequence[Submission]]
"""The row of a job, and its submissions, the oldest first."""


def get(
    directory: Path,
    job: Annotated[str, Parameter(allow_leading_hyphen=True)],
    /,
    *,
    database: Database = None,
    json: JsonFields = False,
) -> int:
    """Show one job of a run: status, prompt, model, provider, id, times, cost, files, error and what to do.

    Args:
        directory: Run directory, or the name of a run in the database.
        job: Key of the job, or the provider's id of one of its submissions.
        database: URL of the database that has the run.
        json: Print one JSON object, or these FIELDS of it, as in status,files.
    """
    return run(lambda: _get(directory, job, database, json))


def _get(directory: Path, job: str, database: str | None, json: Choice) -> ExitCode:
    url = database_of(directory, database)
    found = _in_directory(RunDirectory(directory), job) if url is None else find_queued(url, str(directory), job)
    if found is None:
        raise InputError(f'No job of "{directory}" has the key or the id "{job}"')
    row, attempts = found
    if json:
        write_json({**to_dict(row), "submissions": list(map(_to_json, attempts))}, json)
        return ExitCode.DONE
    lines = [*_lines(row), *(("earlier", _earlier(one)) for one in attempts[:-1])]
    width = max(_WIDTH, *(len(name) + 1 for name, _ in lines))
    for name, text in lines:
        write_result(f"{name:<{width}}{text}")
    return ExitCode.DONE


def _in_directory(here: RunDirectory, text: str) -> Found | None:
    here.read_metadata()
    with here.read() as journal:
        row = RunRows(here).find(journal, text)
        if row is None:
            ids = ((one.key, one.prediction.id) for one in journal.submissions() if one.prediction is not None)
            key = next((key for key, id in ids if id == text), None)
            row = None if key is None else RunRows(here).find(journal, key)
        if row is None:
            return None
        files = tuple(str(here.path / file) for file in row.files)
        return evolve(row, files=files), journal.attempts(row.key)


def _lines(row: ReportRow) -> list[tuple[str, str]]:
    """Return what is known of a job, by name."""
    submissions = "" if row.attempts <= 1 else f" in {row.attempts} submissions"
    facts = {
        "key": row.key,
        "status": row.status.value if row.failure is None else f"{row.status.value} ({row.failure})",
        "model": row.model,
        "provider": row.provider,
        "prompt": row.prompt,
        "refused": row.refused_prompt or "",
        "id": row.id or "",
        "sent": _moment(row.sent_at),
        "finished": _moment(row.finished_at),
        "took": "" if row.took is None else format_duration(row.took),
        "cost": "" if row.cost is None else f"{format_price(row.cost)}{submissions}",
        **{f"label.{name}": text for name, text in row.labels.items()},
        "error": row.cause or "",
        "advice": row.advice or "",
    }
    files = [("file", file) for file in (*row.files, *row.objects)]
    urls = [("url", url) for url in row.outputs] if not files else []
    return [*((name, text) for name, text in facts.items() if text), *files, *urls]


def _earlier(one: Submission) -> str:
    facts = _to_json(one)
    return f"{one.attempt}: " + ", ".join(str(facts[name]) for name in ("status", "id", "prompt") if facts[name])


def _to_json(one: Submission) -> dict[str, object]:
    prediction, fields = one.prediction, cast("Mapping[str, object]", one.input)
    return {
        "attempt": one.attempt,
        "status": one.status.value,
        "provider": one.provider,
        "model": one.model,
        "id": None if prediction is None else prediction.id,
        "prompt": fields.get("prompt", ""),
        "in_place_of_refused": one.replaces is not None,
        "sent_at": _moment(one.sent_at) or None,
        "cost": None if one.is_unpaid else float(one.max_cost),
    }


def _moment(at: float | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat(sep=" ", timespec="seconds")
