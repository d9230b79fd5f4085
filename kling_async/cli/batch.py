"""`kling-async batch`, `plan` and `resume`: a sheet of jobs becomes a folder of results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from ..effects.credentials import Keys, read_key
from ..errors import InputError
from ..folder import RunFolder, under_way
from ..inputs import Job
from ..providers import Provider, provider_named
from ..sheets import line_of
from .earlier import Earlier
from .looking import Look, open_sheet, refuse
from .options import NOTHING_SAID, Options
from .places import check_elsewhere, check_rows, folder_for
from .runner import About, Runner
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
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], show_default=False)] = None,
    settings: Settings = (),
    limit: int | None = None,
    merge: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    options: Options = NOTHING_SAID,
) -> int:
    """Generate every job of a sheet, and save files, results and a report in a folder.

    Args:
        file: A sheet: a line of JSON for each job, or CSV; `-` reads it from stdin.
        output: The folder. By default it is named after the sheet, `jobs` for jobs.csv; for stdin it is `out`. A sheet
            in the folder of a run, such as failed.jsonl, goes back into that folder.
        settings: A field for all rows, as NAME=VALUE, such as n=2. May be repeated.
        limit: Take only so many jobs, the first ones.
        merge: Add rows that the folder's run does not know; without it such a sheet is refused.
        dry_run: Do what `kling-async plan` does.
    """
    if dry_run:
        return plan(file, settings=settings, limit=limit, options=options)

    def prepare(held: ExitStack) -> Runner:
        folder = RunFolder(folder_for(file) if output is None else output)
        held.enter_context(folder.owned())
        earlier = _earlier(folder, options)
        look = Look(options.after(earlier.about.get("settings", {})), earlier=earlier, limit=limit)
        jobs = _read(look, file, settings)
        if output is None:
            check_elsewhere(file, jobs, earlier, folder)
        if not merge:
            check_rows(file, jobs, earlier, folder)
        refuse(look, file)
        _check_keys(look.providers)
        rows = {**earlier.jobs, **{job.key or "": job for job in jobs}}
        folder.keep_jobs(rows.values())
        _tell(look)
        about = About(
            sheet=earlier.sheet or file,
            jobs=len(rows),
            left_out=[key for key in (*earlier.left_out, *_left_out(look, merge=merge)) if key not in rows],
        )
        if earlier.jobs:
            say(f"They belong to the run of {escape(about.sheet)}, which has {about.jobs:,} jobs.")
        return Runner(folder, look.options, look, about, jobs)

    return _run(prepare)


def plan(file: File, /, *, settings: Settings = (), limit: int | None = None, options: Options = NOTHING_SAID) -> int:
    """Check and price every job of a sheet, show the first requests, and send nothing. It needs no key.

    Args:
        file: A sheet: a line of JSON for each job, or CSV; `-` reads it from stdin.
        settings: A field for all rows, as NAME=VALUE, such as n=2. May be repeated.
        limit: Take only so many jobs, the first ones.
    """

    def command() -> ExitCode:
        look = Look(options, limit=limit)
        jobs = _read(look, file, settings)
        refuse(look, file)
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

    def prepare(held: ExitStack) -> Runner:
        here = RunFolder(folder)
        about = here.about()
        held.enter_context(here.owned())
        earlier = _earlier(here, options)
        look = Look(options.after(about.get("settings")), earlier=earlier)
        for _ in look.jobs(here.sheet()):
            pass
        refuse(look, str(folder))
        _check_keys(look.providers)
        kept = About(sheet=str(about.get("sheet")), jobs=look.survey.jobs, left_out=earlier.left_out)
        return Runner(here, look.options, look, kept, here.jobs())

    return _run(prepare)


def _left_out(look: Look, *, merge: bool) -> list[str]:
    """Return the keys that --limit has kept out of the run for now, if the sheet is the run's."""
    return look.left_out if merge or not look.earlier.jobs else []


def _run(prepare: Callable[[ExitStack], Runner]) -> int:
    """Prepare a run, and do it; what is held meanwhile is let go of at the end."""
    made: list[Runner] = []
    with ExitStack() as held:

        def command() -> ExitCode:
            made.append(prepare(held))
            return ExitCode.DONE

        return run(command) or made[0].run()


def _earlier(folder: RunFolder, options: Options) -> Earlier:
    """Read what earlier runs have left in a folder. Raises JournalError if its journal is in use."""
    earlier = Earlier.of(folder, accept_lost_log=options.accept_lost_log)
    if earlier.owner is not None:
        raise under_way(folder.path, earlier.owner)
    return earlier


def _read(look: Look, file: str, settings: Iterable[str]) -> list[Job]:
    with open_sheet(file, settings) as rows:
        return list(look.jobs(rows))


def _check_keys(providers: Iterable[str]) -> None:
    for name in sorted(providers):
        read_key(provider_named(name), Keys())  # before anything is sent, also for providers that rows name


def _tell(look: Look) -> None:
    cost, most = look.survey.estimate, look.options.max_cost
    say(f"{look.survey.jobs:,} jobs, expected cost: {escape(str(cost))}.")
    if look.mended:
        told = "1 row was mended in the folder since, and stays" if look.mended == 1 else _MENDED.format(look.mended)
        say(f"{told} as mended; --accept-changed takes the sheet's.")
    if most is not None and cost.high > most:
        say(f"[yellow]That may be more than --max-cost {most}: then some jobs will not be submitted.[/]")


_MENDED: Final = "{:,} rows were mended in the folder since, and stay"


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
