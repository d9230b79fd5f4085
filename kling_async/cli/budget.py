"""What it takes to finish a run that its budget has ended."""

from __future__ import annotations

from collections.abc import Collection
from decimal import ROUND_CEILING, Decimal
from typing import Final

from attrs import frozen

from ..errors import InputError
from ..folder import RunFolder
from ..inputs import Job
from ..planning.resume import Step, step_for
from ..sheets import Survey
from .earlier import Earlier
from .options import Options

__all__ = ["Needed", "needed"]

_CENT: Final = Decimal("0.01")


@frozen(kw_only=True)
class Needed:
    """What it takes to finish a run.

    Attributes:
        spent: US dollars that were spent at most.
        rest: US dollars that the jobs which are still to be sent cost at most, as far as a price is known.
        jobs: how many these are.
        unpriced: the models of those of them that have no known price, one entry per job.
        options: how the run was done.
    """

    spent: Decimal
    rest: Decimal
    jobs: int
    unpriced: tuple[str, ...]
    options: Options

    @property
    def flags(self) -> str:
        """The flags with which `kling-async resume` finishes the run."""
        prices = [f"--price {model}=USD" for model in sorted(set(self.unpriced))]
        asked = {"--retry-failed": self.options.retry_failed, "--accept-changed": self.options.accept_changed}
        said = [flag for flag, wanted in asked.items() if wanted]
        return " ".join([f"--max-cost {_amount(self.spent + self.rest)}", *prices, *said])

    def __str__(self) -> str:
        more = f", plus what {_jobs(len(self.unpriced))} without a known price cost" if self.unpriced else ""
        told = f"${_amount(self.spent)} spent at most, and up to ${_amount(self.rest)} for {_jobs(self.jobs)} not sent"
        return f"--max-cost {_amount(self.spent + self.rest)} would finish it{more}: {told}."


def needed(folder: RunFolder, options: Options, *, done: Collection[str]) -> Needed:
    """Return what it takes to submit what a run has left.

    Args:
        folder: has the jobs and the journal.
        options: by whom, and at which prices, they would be done.
        done: keys of jobs that are over, however they ended.
    """
    earlier, rest = Earlier.of(folder), Survey(options.providers, prices=options.prices)
    for row in folder.sheet():
        if any(job.key not in done and _costs(job, earlier, options) for job in row.jobs):
            rest.see(row)
    spent = sum((one.paid for attempts in earlier.attempts.values() for one in attempts), Decimal(0))
    cost = rest.estimate
    return Needed(spent=spent, rest=cost.high, jobs=rest.jobs, unpriced=cost.unpriced, options=options)


def _costs(job: Job, earlier: Earlier, options: Options) -> bool:
    known = earlier.newest(job.key)
    try:
        step = step_for(known, job, accept_changed=options.accept_changed, retry_failed=options.retry_failed)
    except InputError:
        return False  # it stays as it is until somebody decides about its changed input
    return step in (Step.SUBMIT, Step.RESUBMIT)


def _amount(dollars: Decimal) -> str:
    """Write an amount that is never less than it is: whole cents as cents, and anything finer to its last digit."""
    cents = dollars.quantize(_CENT, rounding=ROUND_CEILING)
    return str(cents) if cents == dollars else f"{dollars.normalize():f}"


def _jobs(count: int) -> str:
    return f"{count:,} job{'' if count == 1 else 's'}"
