"""A sheet is looked over: every row is expanded, checked and priced before anything is sent."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from attrs import define, evolve, field

from ..errors import InputError, InputFault
from ..inputs import Job
from ..naming import Names
from ..planning.resume import Step, step_for
from ..sheets import Row, Survey, read_sheet
from .earlier import Earlier
from .options import Options
from .talk import escape, say

__all__ = ["Look", "open_sheet", "refuse"]

_MOST: Final = 64 * 1024 * 1024
"""Bytes that are read from a pipe: a hundred thousand jobs, and no endless stream."""

_PIECE: Final = 64 * 1024


@contextmanager
def open_sheet(file: str, settings: Iterable[str]) -> Generator[Iterable[Row]]:
    """Open a sheet, or stdin for `-`. Raises InputError if it cannot be read."""
    with ExitStack() as closing:
        try:
            lines = _piped() if file == "-" else closing.enter_context(Path(file).open("rb"))
        except OSError as error:
            fault = InputFault("FILE", file, f"cannot be read: {error.strerror}")
            raise InputError.of("No jobs", [fault]) from error
        yield read_sheet(lines, name="stdin" if file == "-" else file, settings=settings)


def _piped() -> BinaryIO:
    if sys.stdin.isatty():
        say("[dim]Reading jobs from the terminal; Ctrl-D ends them.[/]")
    text = bytearray()
    while len(text) <= _MOST and (piece := os.read(sys.stdin.fileno(), _PIECE)):
        text += piece  # a Ctrl-C is heard between two pieces
    if len(text) > _MOST:
        raise InputError(f"More than {_MOST >> 20} MiB came through the pipe; write them into a file")
    return io.BytesIO(text)


@define
class Look:
    """Looks rows over, and gives each job its key.

    Attributes:
        options: who shall do them, and at which price.
        earlier: what earlier runs have left in the folder.
        limit: jobs to take at most; the others are checked all the same.
        survey: what the jobs come to.
        rest: what those beyond the limit come to.
        left_out: keys of those beyond the limit.
        told_again: keys of jobs that are over without success, and stay so.
        changed: whether an input is not what was submitted under its key.
        mended: how many rows were replaced by what the folder has instead of them.
    """

    options: Options
    earlier: Earlier = field(factory=Earlier)
    limit: int | None = None
    survey: Survey = field(init=False)
    rest: Survey = field(init=False)
    left_out: list[str] = field(factory=list[str])
    told_again: set[str] = field(factory=set[str])
    changed: bool = False
    mended: int = 0
    providers: set[str] = field(factory=set[str])
    _names: Names = field(factory=Names)
    _seen: set[str] = field(factory=set[str])

    def __attrs_post_init__(self) -> None:
        self.survey = Survey(self.options.providers, prices=self.options.prices)
        self.rest = Survey(self.options.providers, prices=self.options.prices)
        self.providers.update(self.options.providers)

    def jobs(self, rows: Iterable[Row]) -> Iterator[Job]:
        """Yield the jobs of rows, as far as they are wanted and nothing was wrong yet."""
        for row in rows:
            named = self._checked(evolve(row, jobs=tuple(map(self._names.named, row.jobs))))
            room = len(named.jobs) if self.limit is None else self.limit - self.survey.jobs
            taken = self.survey.see(evolve(named, jobs=named.jobs[:room])) if room or not named.jobs else None
            if len(named.jobs) > room:
                self.rest.see(evolve(named, jobs=named.jobs[room:]))
                self.left_out += [job.key or "" for job in named.jobs[room:]]
            for job in taken.jobs if taken is not None else ():
                self.providers.update([job.provider] if job.provider else [])
                yield job

    def _checked(self, row: Row) -> Row:
        """Return a row with its mended jobs, or with what is wrong with it."""
        jobs: list[Job] = []
        faults: list[InputFault] = []
        for given in row.jobs:
            job = given if self.options.accept_changed else self.earlier.mended(given) or given
            self.mended += job is not given
            known = self.earlier.newest(job.key)
            try:
                step = step_for(
                    known, job, accept_changed=self.options.accept_changed, retry_failed=self.options.retry_failed
                )
            except InputError as error:
                faults += error.faults
                self.changed = True
            else:
                if known is not None and step is Step.DONE and not known.succeeded:
                    self.told_again.add(known.key)
            if job.key in self._seen:
                faults.append(InputFault("key", job.key, "is the key of an earlier row, too"))
            self._seen.add(job.key or "")
            jobs.append(job)
        return row.refused(faults) if faults else evolve(row, jobs=tuple(jobs))


def refuse(look: Look, file: str) -> None:
    """Tell everything that is wrong with a sheet. Raises InputError if anything is, or if it holds no job."""
    faults = [*look.survey.faults, *look.rest.faults]
    for fault in faults:
        say(f"[red]{escape(str(fault))}[/]")
    faulty = look.survey.faulty + look.rest.faulty
    if look.changed:
        say("--accept-changed submits, and pays for, changed inputs under their old keys.")
    if faulty:
        raise InputError(f"{faulty:,} row{'' if faulty == 1 else 's'} cannot be used")
    if not look.survey.jobs:
        raise InputError.of("Nothing to do", [InputFault("FILE", file, "holds no job")])
    if look.options.max_cost is not None and look.survey.estimate.unpriced:
        models = sorted(set(look.survey.estimate.unpriced))
        advice = " ".join(f"--price {model}=USD" for model in models)
        unpriced = InputFault("max_cost", str(look.options.max_cost), f"needs a price for each model: add {advice}")
        raise InputError.of("No price is published", [unpriced])
