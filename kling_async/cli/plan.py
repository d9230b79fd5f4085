"""Check a job file: expand, check and price every row before anything is sent."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from attrs import define, evolve, field

from ..journal.resume import ResumeAction, resume_action
from ..runs.jobfile import JobfileSummary, Row, read_jobfile
from ..runs.jobfile.columns import NameFault
from ..runs.targets import Target
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from ..types.hash_table import KeySet
from ..types.jobs import Job, JobKeyGenerator
from .console import echo, escape
from .earlier_run import EarlierRun
from .options import Options

__all__ = ["RunPlan", "open_jobfile", "raise_for_faults"]

_MAX_BYTES: Final = 64 * 1024 * 1024
"""Maximum bytes read from a pipe: enough for a hundred thousand jobs, and a limit for an endless stream."""

_CHUNK: Final = 64 * 1024


@contextmanager
def open_jobfile(
    file: str, settings: Iterable[str], *, targets: Sequence[Target] = (), read: Callable[[Job], Job] | None = None
) -> Generator[Iterable[Row]]:
    """Open a job file, or stdin for `-`. Raises InputError if it cannot be read."""
    with ExitStack() as stack:
        try:
            lines = _read_stdin() if file == "-" else stack.enter_context(Path(file).open("rb"))
        except OSError as error:
            raise InputError(f"Cannot read {file}: {error.strerror}") from error
        name, folder = ("stdin", Path.cwd()) if file == "-" else (file, Path(file).absolute().parent)
        yield read_jobfile(lines, name=name, settings=settings, targets=targets, folder=folder, read=read)


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
                    known, job, resubmit_changed=self.options.accept_changed, resubmit_failed=self.options.retry_failed
                )
            except InputError as error:
                faults += error.faults
                self.changed = True
            else:
                if known is not None and action is ResumeAction.REPLAY and not known.succeeded:
                    self.already_failed.add(known.key)
            if not self._seen.add(job.key or ""):
                faults.append(NameFault("key", job.key, f'duplicate key "{job.key}" (first used in an earlier row)'))
            jobs.append(job)
        return row.with_faults(faults) if faults else Row(row.name, row.line, tuple(jobs), row.faults)


def raise_for_faults(plan: RunPlan, file: str) -> None:
    """Print all faults of a job file. Raises InputError if it has any, or no job, or a job without a price limit."""
    for fault in (*plan.summary.faults, *plan.rest.faults):
        echo(f"[red]{escape(str(fault))}[/]")
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
