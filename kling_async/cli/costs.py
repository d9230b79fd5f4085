"""`kling-async costs`: what runs have cost, by day, provider and model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from attrs import define, field
from cyclopts import Parameter

from ..journal.submission import Submission
from ..runs.run_search import find_runs
from ..types.errors import KlingError
from ..types.formatting import format_count, format_money
from ..types.status import JobStatus
from .console import ExitCode, echo, escape, run, stdout, table_of
from .database import Database, database_given, open_runs
from .json_fields import Choice, JsonFields, check_fields, write_json

__all__ = ["costs"]

_FIELDS: Final = ("day", "provider", "model", "submissions", "succeeded", "spent", "at_risk", "unpriced")
"""The fields of a record, which is of one day (UTC), one provider and one model."""
_AT_RISK: Final = (JobStatus.SUBMITTING, JobStatus.RESOLVING, JobStatus.UNCONFIRMED, JobStatus.ABANDONED)

Group = tuple[str, str, str]
"""A day, a provider and a model."""


@define
class _Cost:
    """The cost of some submissions in US dollars.

    Attributes:
        submissions: number of submissions that may have been billed.
        succeeded: number of those that succeeded.
        spent: the known cost.
        at_risk: the possible cost of those whose outcome is unknown.
        unpriced: number of those that succeeded at an unknown price.
    """

    submissions: int = 0
    succeeded: int = 0
    spent: Decimal = field(factory=Decimal)
    at_risk: Decimal = field(factory=Decimal)
    unpriced: int = 0

    def add(self, one: Submission) -> None:
        """Add a submission."""
        self.submissions += 1
        self.succeeded += one.succeeded
        if one.status in _AT_RISK:
            self.at_risk += one.max_cost
        else:
            self.spent += one.max_cost
        known = one.price is not None or (one.prediction is not None and one.prediction.cost is not None)
        self.unpriced += one.succeeded and not known

    def add_all(self, other: _Cost) -> None:
        """Add the cost of other submissions."""
        self.submissions += other.submissions
        self.succeeded += other.succeeded
        self.spent += other.spent
        self.at_risk += other.at_risk
        self.unpriced += other.unpriced


@define
class _Ledger:
    """The costs of runs by day, provider and model.

    Attributes:
        groups: the costs.
        runs: number of runs.
        failed: whether a run could not be read.
    """

    groups: dict[Group, _Cost] = field(factory=dict[Group, _Cost])
    runs: int = 0
    failed: bool = False

    def add_all(self, submissions: Iterable[Submission]) -> None:
        """Add the submissions of a run, without those that certainly cost nothing."""
        self.runs += 1
        for one in submissions:
            if not one.is_unpaid:
                day = f"{datetime.fromtimestamp(one.sent_at or one.planned_at, UTC):%Y-%m-%d}"
                self.groups.setdefault((day, one.provider, one.model), _Cost()).add(one)

    def by(self, name_of: Callable[[Group], str]) -> dict[str, _Cost]:
        """Return the costs by another name."""
        found: dict[str, _Cost] = {}
        for group, cost in sorted(self.groups.items()):
            found.setdefault(name_of(group), _Cost()).add_all(cost)
        return found


def costs(
    *folders: Annotated[Path, Parameter(negative="", show_default=False)],
    database: Database = None,
    json: JsonFields = False,
) -> int:
    """Sum up what all runs below some folders, or in a database, have cost: by model, by provider and by day.

    Args:
        folders: Folders to search. [default: the working directory]
        database: URL of the database whose runs are counted. That of the environment is used if no folder is given and
            the working directory has no run.
        json: Print one JSON object per day, provider and model, or these FIELDS of it, as in model,spent.
    """
    return run(lambda: _costs(folders, database, json))


def _costs(folders: Sequence[Path], database: str | None, json: Choice) -> ExitCode:
    check_fields(json, _FIELDS)
    ledger = _Ledger()
    if not database:
        _add_directories(ledger, folders or [Path()])
    url = database_given(database) if database or not (folders or ledger.runs) else None
    if url is not None:
        with open_runs(url) as stored:
            for name, _ in stored.names():
                ledger.add_all(one for _, attempts in stored.jobs(name) for one in attempts)
    for group, cost in sorted(ledger.groups.items()) if json else ():
        write_json(_to_json(group, cost), json)
    if ledger.groups and not json:
        _print(ledger)
    total = _Cost()
    for cost in ledger.groups.values():
        total.add_all(cost)
    echo(f"{format_count(ledger.runs, 'run')}, {format_count(total.submissions, 'submission')}: {_shown(total)}.")
    return ExitCode.FAILED if ledger.failed else ExitCode.DONE


def _add_directories(ledger: _Ledger, folders: Sequence[Path]) -> None:
    for directory in find_runs(folders):
        try:
            with directory.read() as journal:
                ledger.add_all(journal.submissions())
        except KlingError as error:  # the others are counted in any case
            echo(f"[red]{escape(str(directory.path))}[/]: {escape(str(error))}")
            ledger.failed = True


def _print(ledger: _Ledger) -> None:
    table = table_of("", "submissions", "succeeded", "spent")
    for name_of in (_model_of, _provider_of, _day_of):
        for name, cost in ledger.by(name_of).items():
            table.add_row(escape(name), f"{cost.submissions:,}", f"{cost.succeeded:,}", _shown(cost))
        table.add_section()
    stdout.print(table)


def _model_of(group: Group) -> str:
    return group[2]


def _provider_of(group: Group) -> str:
    return group[1]


def _day_of(group: Group) -> str:
    return group[0]


def _shown(cost: _Cost) -> str:
    risk = f", possibly {format_money(cost.at_risk)} more" if cost.at_risk else ""
    unpriced = f", {format_count(cost.unpriced, 'job')} without a price" if cost.unpriced else ""
    return f"{format_money(cost.spent)}{risk}{unpriced}"


def _to_json(group: Group, cost: _Cost) -> dict[str, object]:
    day, provider, model = group
    return {
        "day": day,
        "provider": provider,
        "model": model,
        "submissions": cost.submissions,
        "succeeded": cost.succeeded,
        "spent": float(cost.spent),
        "at_risk": float(cost.at_risk),
        "unpriced": cost.unpriced,
    }
