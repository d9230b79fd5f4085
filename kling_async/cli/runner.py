"""One run in its folder, from the first submission to the report."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from attrs import asdict, define, field, frozen

from ..batch import Batch
from ..client import Client
from ..effects.journal import SqliteJournal
from ..errors import BudgetExceeded, KlingError, NotSent
from ..folder import RunFolder
from ..inputs import Job
from ..outcome import Outcome
from ..panel import mode_for, progress
from ..report.totals import Totals, count_causes
from ..report.words import say_money
from ..results import flat, row_of_outcome
from ..sheets import json_line
from .budget import needed
from .looking import Look
from .options import Options
from .talk import ExitCode, escape, exit_code_of, put, run, say, talk

__all__ = ["About", "Runner", "figures", "money", "tell_totals"]

_CAUSES: Final = 5
"""Causes of failures that are told; the report has the others."""
_GRAVITY: Final = (ExitCode.KEY_OR_BALANCE, ExitCode.LIMITED, ExitCode.FAILED)
"""Of several endings the first of these is the exit code: what keeps everything else from going on."""


class _Spoken(logging.Handler):
    """Says aloud what the package warns of, above the panel if there is one."""

    def emit(self, record: logging.LogRecord) -> None:
        say(f"[yellow]{escape(record.getMessage())}[/]")


@frozen(kw_only=True)
class About:
    """What a folder keeps of its run beside settings and totals.

    Attributes:
        sheet: the sheet that it was begun with.
        jobs: its rows.
        left_out: the keys of rows of the sheet that --limit has left out.
    """

    sheet: str
    jobs: int
    left_out: Sequence[str] = ()


@define
class Runner:
    """Runs jobs of a folder.

    Attributes:
        folder: keeps what comes of them.
        options: how to run them.
        look: what is known of them.
        about: the run that they belong to.
        jobs: those to run, with their keys.
    """

    folder: RunFolder
    options: Options
    look: Look
    about: About
    jobs: Iterable[Job]
    began_at: datetime = field(factory=lambda: datetime.now(UTC))
    errors: dict[str, KlingError] = field(factory=dict[str, KlingError])
    codes: set[ExitCode] = field(factory=set[ExitCode])
    failed_first: str = ""
    done: set[str] = field(factory=set[str])
    budget_ended: bool = False
    begun: bool = False

    def run(self) -> int:
        """Run them, write down what came of them, and return the exit code."""
        self._describe(None)
        spoken, log = _Spoken(logging.WARNING), logging.getLogger("kling_async")
        log.addHandler(spoken)
        try:
            code = run(self._go)
        finally:
            log.removeHandler(spoken)
        if not self.begun:
            return code
        written = run(self._write)
        return code or written

    async def _go(self) -> ExitCode:
        options, total = self.options, self.look.survey.jobs
        async with (
            Client(options.providers[0]) as client,
            client.batch(
                self.jobs,
                provider=options.providers,
                journal=SqliteJournal(self.folder.journal, accept_lost_log=options.accept_lost_log),
                save_to=None if options.download is False else self.folder.media,
                max_open=options.max_open,
                max_cost=options.max_cost,
                prices=options.prices,
                wait_timeout=3600.0 if options.timeout is None else options.timeout,
                retry_failed=options.retry_failed,
                accept_changed=options.accept_changed,
                stop_on_signals=sys.platform != "win32",
            ) as batch,
            progress(batch, mode=options.progress, total=total, estimate=self.look.survey.estimate, console=talk),
        ):
            self.begun = True
            return await self._take(batch)

    def _write(self) -> ExitCode:
        rows = self.folder.rows(self.folder.read(), self.errors)
        try:
            made_at = datetime.now().astimezone()
            title = f"Run of {self.about.sheet}"
            totals = self.folder.write(rows, title=title, settings=self.options.told(), made_at=made_at)
            self._describe(totals)
        except OSError as error:
            folder = escape(str(self.folder.path))
            say(f"[bold red]The results cannot be written[/]: {escape(str(error))}.")
            say(f"Nothing is lost: make room, and then: kling-async report {folder}")
            return ExitCode.FAILED
        tell_totals(totals)
        for cause in count_causes(rows)[:_CAUSES]:
            say(f"  [red]{cause.jobs} x[/] {escape(cause.cause)}")
        self._tell_ways_on(totals)
        return ExitCode.DONE

    async def _take(self, batch: Batch) -> ExitCode:
        try:
            async for outcome in batch:
                self._took(outcome)
                if self.failed_first and not batch.stopped:
                    say(f"[yellow]{escape(self.failed_first)} failed, so no more are submitted.[/]")
                    batch.stop()
        except KeyboardInterrupt:
            return ExitCode.INTERRUPTED
        except KlingError as error:
            say(f"[bold red]{type(error).__name__}[/]: {escape(str(error))}")
            self._count(error)
            self.budget_ended = isinstance(error, BudgetExceeded)
        if batch.stopped and not self.failed_first:
            return ExitCode.INTERRUPTED
        return next((code for code in _GRAVITY if code in self.codes), ExitCode.DONE)

    def _took(self, outcome: Outcome) -> None:
        if self.options.json:
            put(json_line(flat(row_of_outcome(outcome))))
        else:
            prediction = outcome.prediction
            urls = [output.url for output in prediction.outputs] if outcome.ok and prediction is not None else []
            for line in map(str, outcome.files) if self.options.download is not False else urls:
                put(line)
        error, key = outcome.error, outcome.job.key or ""
        if isinstance(error, NotSent) and error.reason == "stopped":
            return
        self.done.add(key)
        if error is None:
            return
        self.errors[key] = error
        self._count(error)
        if self.options.fail_fast and key not in self.look.told_again:
            self.failed_first = self.failed_first or key
        if (self.options.progress or mode_for(sys.stderr, os.environ)) != "live":
            say(f"[red]{escape(key)}[/]: {escape(error.message)}")

    def _count(self, error: KlingError) -> None:
        code = exit_code_of(error)
        # Bad input means that nothing was sent, and that can no longer be said.
        self.codes.add(ExitCode.FAILED if code is ExitCode.BAD_INPUT else code)

    def _describe(self, totals: Totals | None) -> None:
        about = {
            **asdict(self.about),
            "settings": self.options.kept(),
            "estimate": str(self.look.survey.estimate),
            "began_at": self.began_at.isoformat(timespec="seconds"),
            "ended_at": None if totals is None else datetime.now(UTC).isoformat(timespec="seconds"),
            "totals": None if totals is None else figures(totals),
        }
        self.folder.describe(about)

    def _tell_ways_on(self, totals: Totals) -> None:
        folder, statuses, flags = escape(str(self.folder.path)), totals.statuses, ""
        say(f"[bold]{escape(str(self.folder.report))}[/] shows all of it.")
        if statuses.get("unconfirmed"):
            say(f"Nobody knows whether all submissions arrived: kling-async unconfirmed {folder}")
        if self.budget_ended:
            more = needed(self.folder, self.options, done=self.done)
            say(f"The budget ended the run. {more}")
            flags = f" {more.flags}"
        if flags or statuses.get("planned") or statuses.get("running"):
            say(f"Go on with: [bold]kling-async resume {folder}{flags}[/]")
        again = self.look.told_again & self.errors.keys()
        if again:
            say(f"{len(again)} failed in an earlier run and were not sent again; --retry-failed does, and pays again.")


def figures(totals: Totals) -> dict[str, object]:
    """Return what a run came to, as JSON can say it."""
    return {
        "jobs": totals.jobs,
        "statuses": dict(totals.statuses),
        "spent": float(totals.spent),
        "at_risk": float(totals.at_risk),
        "unpriced": totals.unpriced,
    }


def tell_totals(totals: Totals) -> None:
    """Say what a run came to."""
    counts = ", ".join(f"{count:,} {status}" for status, count in totals.statuses.items())
    say(f"[bold]{totals.jobs:,} jobs[/]: {counts}; {money(totals)}.")


def money(totals: Totals) -> str:
    """Say what a run has cost."""
    told = f"{say_money(totals.spent)} spent"
    told += f", perhaps {say_money(totals.at_risk)} more" if totals.at_risk else ""
    return told + (f", and {totals.unpriced:,} of unknown price" if totals.unpriced else "")
