"""Check a job file: expand, check and price every row before anything is sent."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import BinaryIO, Final

from attrs import asdict, define, evolve, field

from ..journal.resume import ResumeAction, resume_action
from ..providers.selection import as_submitted
from ..runs.jobfile import JobfileSummary, Row, json_line, read_jobfile
from ..runs.jobfile.columns import NameFault
from ..runs.jobfile.formats import Source
from ..runs.jobfile.grouping import grouped_faults
from ..runs.targets import Target
from ..runs.workbook import SUFFIXES, read_workbook
from ..types.errors import InputError, InputFault
from ..types.formatting import exact_amount, format_count
from ..types.hash_table import KeySet
from ..types.jobs import Job, JobKeyGenerator
from .console import echo, escape, write_result
from .earlier_run import EarlierRun
from .options import Options
from .table_options import NO_TABLE_OPTIONS, TableOptions

__all__ = ["RunPlan", "open_jobfile", "print_over_budget", "raise_for_faults"]

_MAX_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes read from a pipe: enough for a hundred thousand jobs, and a limit for an endless stream."""

_CHUNK: Final = 64 * 1024


@contextmanager
def open_jobfile(
    file: str,
    settings: Iterable[str],
    *,
    targets: Sequence[Target] = (),
    read: Callable[[Job], Job] | None = None,
    table: TableOptions = NO_TABLE_OPTIONS,
) -> Generator[Iterable[Row]]:
    """Open a job file, or stdin for `-`. Raises InputError if it cannot be read."""
    with ExitStack() as stack:
        try:
            lines = _source(file, stack, table)
        except OSError as error:
            raise InputError(f"Cannot read {file}: {error.strerror}") from error
        name, folder = ("stdin", Path.cwd()) if file == "-" else (file, Path(file).absolute().parent)
        yield read_jobfile(
            lines, name=name, settings=settings, targets=targets, folder=folder, read=read, table=table.format
        )


def _source(file: str, stack: ExitStack, table: TableOptions) -> Source:
    if file == "-":
        return _read_stdin()
    if file.lower().endswith(SUFFIXES):
        return read_workbook(Path(file), sheet=table.sheet)
    return stack.enter_context(Path(file).open("rb"))


def _read_stdin() -> BinaryIO:
    if sys.stdin.isatty():
        echo("[dim]Reading jobs from the terminal; finish with Ctrl-D.[/]")
    text = bytearray()
    while len(text) <= _MAX_BYTES and (chunk := os.read(sys.stdin.fileno(), _CHUNK)):
        text += chunk  # Ctrl-C is handled between two chunks
    if len(text) > _MAX_BYTES:
        raise InputError(f"stdin has more than {_MAX_BYTES >> 20} MiB; write the jobs to a file")
    return io.BytesIO(text)


@define
class RunPlan:
    """Checks rows and gives each job its key.

    Attributes:
        options: the providers and prices of the jobs.
        earlier: the state that earlier runs have left in the directory.
        limit: maximum number of jobs; the others are checked, too.
        summary: jobs, faults and cost of the planned jobs.
        rest: the same of the jobs beyond the limit.
        left_out: keys of the jobs beyond the limit.
        already_failed: keys of jobs that failed in an earlier run and are not retried.
        already_done: keys of jobs that succeeded in an earlier run.
        changed: whether an input differs from the one submitted under its key.
        edited: number of jobs that were replaced by an edited version in the directory.
        providers: the providers of all jobs.
    """

    options: Options
    earlier: EarlierRun = field(factory=EarlierRun)
    limit: int | None = None
    summary: JobfileSummary = field(init=False)
    rest: JobfileSummary = field(init=False)
    left_out: list[str] = field(factory=list[str])
    already_failed: KeySet = field(factory=KeySet)
    already_done: KeySet = field(factory=KeySet)
    changed: bool = False
    edited: int = 0
    providers: set[str] = field(factory=set[str])
    _keys: JobKeyGenerator = field(factory=JobKeyGenerator)
    _seen: KeySet = field(factory=KeySet)

    def __attrs_post_init__(self) -> None:
        storage = self.options.storage is not None
        self.summary = JobfileSummary(self.options.providers, prices=self.options.prices, storage=storage)
        self.rest = JobfileSummary(self.options.providers, prices=self.options.prices, storage=storage)
        self.providers.update(self.options.providers)
        self.options.limits_of(())  # a wrong limit is a fault like any other, before anything is sent

    def jobs(self, rows: Iterable[Row]) -> Iterator[Job]:
        """Yield the jobs of rows up to the limit, until a fault was found."""
        for row in rows:
            keyed = self._checked(Row(row.name, row.line, tuple(map(self._keys.with_key, row.jobs)), row.faults))
            room = len(keyed.jobs) if self.limit is None else self.limit - self.summary.jobs
            first = keyed if len(keyed.jobs) <= room else evolve(keyed, jobs=keyed.jobs[:room])
            planned = self.summary.add(first) if room or not keyed.jobs else None
            if len(keyed.jobs) > room:
                self.rest.add(evolve(keyed, jobs=keyed.jobs[room:]))
                self.left_out += [job.key or "" for job in keyed.jobs[room:]]
            for job in planned.jobs if planned is not None else ():
                if job.provider:
                    self.providers.add(job.provider)
                yield job

    def has_key(self, key: str) -> bool:
        """Return whether a row so far had a job with this key."""
        return key in self._seen

    def _checked(self, row: Row) -> Row:
        """Return a row with the edited versions of its jobs, or with its faults."""
        jobs: list[Job] = []
        faults: list[InputFault] = []
        for given in row.jobs:
            job = given if self.options.accept_changed else self.earlier.edited(given) or given
            self.edited += job is not given
            known = self.earlier.newest(job.key)
            try:
                action = resume_action(
                    known,
                    job if known is None else as_submitted(job, known.provider),
                    resubmit_changed=self.options.accept_changed,
                    resubmit_failed=self.options.retry_failed,
                )
            except InputError as error:
                faults += error.faults
                self.changed = True
            else:
                if known is not None and action is ResumeAction.REPLAY:
                    (self.already_done if known.succeeded else self.already_failed).add(known.key)
            if not self._seen.add(job.key or ""):
                faults.append(NameFault("key", job.key, f'duplicate key "{job.key}" (first used in an earlier row)'))
            jobs.append(job)
        return row.with_faults(faults) if faults else Row(row.name, row.line, tuple(jobs), row.faults)


def print_over_budget(plan: RunPlan, *, spent: Decimal = Decimal(0)) -> None:
    """Warn if the jobs may cost more than `--max-cost` leaves after what is spent, in US dollars."""
    limit = plan.options.max_cost
    if limit is not None and spent + plan.summary.estimate.high > limit:
        echo(f"[yellow]This may exceed --max-cost {exact_amount(limit):f}: some jobs may not be submitted.[/]")


def raise_for_faults(plan: RunPlan, file: str, *, as_json: bool = False) -> None:
    """Print all faults of a job file, on stdout as JSON if asked for, too.

    Raises:
        InputError: it has a fault, or no job; or `--max-cost` is given, and a job has no price.
    """
    faults = [*plan.summary.faults, *plan.rest.faults]
    for text in grouped_faults(faults):
        echo(f"[red]{escape(text)}[/]")
    for fault in faults if as_json else ():
        write_result(json_line(asdict(fault, filter=lambda one, _: one.name != "is_complete")))
    if plan.changed:
        echo("--accept-changed resubmits changed inputs under their old keys (billed again).")
    faulty = plan.summary.faulty + plan.rest.faulty
    if faulty:
        raise InputError(f"{format_count(faulty, 'line')} of {file} cannot be used")
    if not plan.summary.jobs:
        raise InputError(f"{file} has no jobs")
    if plan.options.max_cost is not None and plan.summary.estimate.unpriced:
        models = sorted(set(plan.summary.estimate.unpriced))
        flags = " ".join(f"--price {model}=USD" for model in models)
        raise InputError(f"--max-cost needs a price for models without a published price: add {flags}")
