"""Compute the budget that finishes a run which --max-cost has stopped."""

from __future__ import annotations

from collections.abc import Container
from decimal import Decimal

from attrs import frozen

from ..journal.reader import JournalReader
from ..journal.resume import ResumeAction, resume_action
from ..runs.directory import RunDirectory
from ..runs.jobfile import JobfileSummary
from ..types.errors import InputError
from ..types.formatting import exact_amount, format_count, format_price
from ..types.jobs import Job
from .options import Options

__all__ = ["Needed", "needed"]


@frozen(kw_only=True)
class Needed:
    """The budget that finishes a run.

    Attributes:
        spent: the most that was spent, in US dollars.
        rest: the most that the remaining jobs with a known price cost, in US dollars.
        jobs: number of remaining jobs.
        unpriced: the models of the remaining jobs without a known price, one entry per job.
        options: the options of the run.
    """

    spent: Decimal
    rest: Decimal
    jobs: int
    unpriced: tuple[str, ...]
    options: Options

    @property
    def flags(self) -> str:
        """The flags of `kling-async resume` that finish the run."""
        prices = [f"--price {model}=USD" for model in sorted(set(self.unpriced))]
        switches = {"--retry-failed": self.options.retry_failed, "--accept-changed": self.options.accept_changed}
        used = [flag for flag, given in switches.items() if given]
        return " ".join([f"--max-cost {exact_amount(self.spent + self.rest):f}", *prices, *used])

    def __str__(self) -> str:
        limit, unpriced = exact_amount(self.spent + self.rest), len(self.unpriced)
        more = f", plus the cost of {format_count(unpriced, 'job')} without a known price" if unpriced else ""
        rest = f"up to {format_price(self.rest)} for {format_count(self.jobs, 'remaining job')}"
        return f"--max-cost {limit:f} would finish it{more}: at most {format_price(self.spent)} spent, {rest}."


def needed(directory: RunDirectory, options: Options, *, done: Container[str]) -> Needed:
    """Return the budget that submits the remaining jobs of a run.

    Args:
        directory: has the jobs and the journal.
        options: the providers and prices of the remaining jobs.
        done: keys of the finished jobs, whatever their result.
    """
    rest = JobfileSummary(options.providers, prices=options.prices, storage=options.storage is not None)
    with directory.read() as journal:
        for row in directory.read_jobfile():
            if any((job.key or "") not in done and _costs(job, journal, options) for job in row.jobs):
                rest.add(row)
        spent = sum((one.max_cost for one in journal.submissions()), Decimal(0))
    cost = rest.estimate
    return Needed(spent=spent, rest=cost.high, jobs=rest.jobs, unpriced=cost.unpriced, options=options)


def _costs(job: Job, journal: JournalReader, options: Options) -> bool:
    attempts = journal.attempts(job.key or "")
    try:
        action = resume_action(
            attempts[-1] if attempts else None,
            job,
            resubmit_changed=options.accept_changed,
            resubmit_failed=options.retry_failed,
        )
    except InputError:
        return False  # its changed input is not submitted without --accept-changed
    return action in (ResumeAction.SUBMIT, ResumeAction.RESUBMIT)
