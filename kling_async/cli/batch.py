"""`kling-async batch`, `plan` and `resume`: a sheet of jobs becomes a folder of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..effects.credentials import Keys, read_key
from ..effects.parts import check_directory
from ..errors import InputError, JournalError
from ..folder import RunFolder
from ..inputs import Job
from ..planning.submissions import Submission
from ..providers import Provider, provider_named
from ..sheets import line_of
from .looking import Look, open_sheet, refuse
from .options import NOTHING_SAID, Options
from .runner import Runner
from .showing import show_request
from .talk import ExitCode, escape, put, run, say

__all__ = ["batch", "plan", "resume"]

File = Annotated[str, Parameter(allow_leading_hyphen=True)]
Settings = Annotated[tuple[str, ...], Parameter(name=["--set", "-s"], negative="", show_default=False)]

_SHOWN: Final = 3
"""Requests that a plan shows."""


def batch(
    file: File,
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("out"),
    settings: Settings = (),
    limit: int | None = None,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Options = NOTHING_SAID,
) -> int:
    """Generate every job of a sheet, and save files, results and a report in a folder.

    Args:
        file: A sheet: a line of JSON for each job, or CSV; `-` reads it from stdin.
        output: The folder.
        settings: A field for all rows, as NAME=VALUE, such as n=2. May be repeated.
        limit: Take only so many jobs, the first ones.
        dry_run: Do what `kling-async plan` does.
    """
    if dry_run:
        return plan(file, settings=settings, limit=limit, options=options)
    made: list[Runner] = []

    def command() -> ExitCode:
        folder = RunFolder(output)
        known = _known(folder)
        look = Look(options, known=known, limit=limit)
        jobs = _looked_over(look, file, settings)
        _check_keys(look.providers)
        check_directory(output)
        folder.keep_jobs(jobs)
        _tell(look)
        made.append(Runner(folder, options, look, file=file))
        return ExitCode.DONE

    return run(command) or made[0].run()


def plan(file: File, /, *, settings: Settings = (), limit: int | None = None, options: Options = NOTHING_SAID) -> int:
    """Check and price every job of a sheet, show the first requests, and send nothing. It needs no key.

    Args:
        file: A sheet: a line of JSON for each job, or CSV; `-` reads it from stdin.
        settings: A field for all rows, as NAME=VALUE, such as n=2. May be repeated.
        limit: Take only so many jobs, the first ones.
    """

    def command() -> ExitCode:
        look = Look(options, limit=limit)
        jobs = _looked_over(look, file, settings)
        _tell(look)
        if options.json:
            for job in jobs:
                put(line_of(job))
            return ExitCode.DONE
        for job in jobs[:_SHOWN]:
            say(f"[bold]{escape(job.key or '')}[/]")
            show_request(_taker(job, options.providers), job.input)
        if len(jobs) > _SHOWN:
            say(f"[dim]and {len(jobs) - _SHOWN:,} more; --json puts all jobs on stdout[/]")
        say("Nothing was sent.")
        return ExitCode.DONE

    return run(command)


def resume(folder: Path, /, *, options: Options = NOTHING_SAID) -> int:
    """Go on with the run of a folder, with the settings that it was begun with; flags replace them.

    Args:
        folder: The folder of a run.
    """
    made: list[Runner] = []

    def command() -> ExitCode:
        here = RunFolder(folder)
        about = here.about()
        merged = options.after(about.get("settings"))
        look = Look(merged, known=_known(here))
        for _ in look.jobs(here.sheet()):
            pass
        refuse(look, str(folder))
        _check_keys(look.providers)
        made.append(Runner(here, merged, look, file=str(about.get("sheet"))))
        return ExitCode.DONE

    return run(command) or made[0].run()


def _known(folder: RunFolder) -> dict[str, Submission]:
    """Return what the journal of a folder knows. Raises JournalError if somebody is at work there."""
    reading = folder.read()
    if reading.owner is not None:
        raise JournalError(f"In {folder.path} a run is under way: {reading.owner}", advice=_UNDER_WAY)
    return {one.key: one for one in reading.submissions}


_UNDER_WAY: Final = "Look at it with `kling-async status`, or take another folder."


def _looked_over(look: Look, file: str, settings: Iterable[str]) -> list[Job]:
    with open_sheet(file, settings) as rows:
        jobs = list(look.jobs(rows))
    refuse(look, file)
    return jobs


def _check_keys(providers: Iterable[str]) -> None:
    for name in sorted(providers):
        read_key(provider_named(name), Keys())  # before anything is sent, also for providers that rows name


def _tell(look: Look) -> None:
    cost, most = look.survey.estimate, look.options.max_cost
    say(f"{look.survey.jobs:,} jobs, expected cost: {escape(str(cost))}.")
    if most is not None and cost.high > most:
        say(f"[yellow]That may be more than --max-cost {most}: then some jobs will not be submitted.[/]")


def _taker(job: Job, providers: Sequence[str]) -> Provider:
    """Return the first provider that takes a job."""
    refusals: list[InputError] = []
    for name in [job.provider] if job.provider else providers:
        provider = provider_named(name)
        try:
            provider.check(job.input)
        except InputError as error:
            refusals.append(error)
        else:
            return provider
    raise refusals[0]
