"""Say how a retry that was stopped goes on."""

from __future__ import annotations

from collections.abc import Container, Iterable
from shlex import quote
from typing import Final

from attrs import evolve, frozen

from ..runs.directory import RunDirectory
from ..types.formatting import format_count
from ..types.jobs import Job
from .budget import needed
from .console import echo, escape
from .options import Options

__all__ = ["print_rest"]

_NAMED: Final = 20
"""Maximum number of keys in a command; beyond it, the command is for all that failed."""


@frozen
class _AllBut:
    keys: frozenset[str]

    def __contains__(self, key: object) -> bool:
        return key not in self.keys


def print_rest(
    directory: RunDirectory, options: Options, jobs: Iterable[Job], *, done: Container[str], over_budget: bool
) -> None:
    """Print the command that retries the rest of some jobs, and the budget that it needs; nothing without a rest.

    Args:
        directory: that of the run.
        options: those of the retry.
        jobs: the jobs that were to be retried.
        done: keys of those that ended, whatever their result.
        over_budget: whether --max-cost has stopped it.
    """
    rest = [job.key or "" for job in jobs if (job.key or "") not in done]
    if not rest:
        return
    words = [str(directory.path), *(rest if len(rest) <= _NAMED else [])]
    command = " ".join(["kling-async", "retry", *map(quote, words)])
    if over_budget:
        budget = evolve(
            needed(directory, options, done=_AllBut(frozenset(rest))),
            options=evolve(options, retry_failed=False, accept_changed=False),  # a retry needs no flags for that
        )
        echo(f"--max-cost stopped the retry. {budget}")
        command += f" {budget.flags}"
    echo(f"{format_count(len(rest), 'job')} not retried. Retry with: [bold]{escape(command)}[/]")
