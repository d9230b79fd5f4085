"""`kling-async enqueue`: write the jobs of a job file into a database, where workers take them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final

from attrs import asdict, frozen
from cyclopts import Parameter

from ..machines import EnqueuedRun
from ..machines import enqueue as enqueue_jobs
from ..providers import PROVIDERS
from ..providers.selection import Prefer
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from ..types.jobs import Job
from ..types.provenance import ProvenanceMode
from .batch import File, Settings
from .console import ExitCode, echo, escape, run, write_result
from .database import Database, hint_of, required_database
from .options import DEFAULT_TEXT, Options
from .plan import RunPlan, print_over_budget, raise_for_faults
from .start import JobFile
from .storage import Output

__all__ = ["EnqueueOptions", "enqueue"]

_PROVIDER: Final = f"Provider of jobs that name none: {' or '.join(PROVIDERS)}. {DEFAULT_TEXT}"


@Parameter(name="*")
@frozen(kw_only=True)
class EnqueueOptions:
    """The options of a run that workers do; None means not given.

    Attributes:
        max_cost: Spending limit in USD, over all workers.
        failover: Let a job move on to the next of several providers, as `kling-async batch` does.
        prefer: Of several providers, use the least loaded or the cheapest one. [default: least_loaded]
        price: Price per job, for models without a published price (MODEL=USD). May be repeated.
        storage: Bucket of yours, such as s3://bucket/prefix, into which local media are put now.
        timeout: Per-job timeout in seconds, including time in the queue. [default: 3600]
        provenance: Save what each file was made from: `sidecar` or `embed`, as for `kling-async batch`.
        presign: Sign the links of its reports and pages to objects, valid for this many seconds, at most 604800.
    """

    provider: Annotated[tuple[str, ...] | None, Parameter(name=["--provider", "-p"], negative="", help=_PROVIDER)] = (
        None
    )
    max_cost: Decimal | None = None
    prefer: Prefer | None = None
    failover: bool | None = None
    price: Annotated[tuple[str, ...] | None, Parameter(negative="")] = None
    storage: str | None = None
    timeout: float | None = None
    provenance: ProvenanceMode | None = None
    presign: float | None = None

    @property
    def of_a_run(self) -> Options:
        """The same as options of any run."""
        return Options(**asdict(self, recurse=False))


_DEFAULTS: Final = EnqueueOptions()


def enqueue(
    file: File,
    /,
    *,
    database: Database = None,
    run_name: Annotated[str | None, Parameter(name="--run", show_default=False)] = None,
    output: Output = None,
    settings: Settings = (),
    given: EnqueueOptions = _DEFAULTS,
) -> int:
    """Check every job of a job file and write them all into a database, where workers take them.

    Args:
        file: Job file: JSONL or CSV with one job per line; `-` reads stdin.
        database: URL of the database.
        run_name: Name of the run in the database. [default: that of the job file, without its suffix]
        output: Where workers save the files: a directory, which each of their machines has, or the URL of an object
            store, such as s3://bucket/prefix. Without it no file is saved.
        settings: A field for all jobs as NAME=VALUE, such as n=2. May be repeated.
    """
    url, hint = database, hint_of(database)
    del database

    async def command() -> ExitCode:
        jobs, options = JobFile(file, settings), given.of_a_run
        plan = RunPlan(jobs.options(options))
        done = await enqueue_jobs(
            _checked(jobs, plan),
            database=required_database(url).reveal(),
            run=run_name or _name_of(file),
            provider=plan.options.providers,
            max_cost=given.max_cost,
            save_to=output,
            storage=given.storage,
            prices=options.prices,
            prefer=given.prefer or "least_loaded",
            failover=bool(given.failover),
            provenance=given.provenance,
            presign=given.presign,
            wait_timeout=3600.0 if given.timeout is None else given.timeout,
            source=file,
        )
        _report(done, plan, hint=hint, saves=output is not None)
        return ExitCode.DONE

    return run(command)


def _name_of(file: str) -> str:
    if file == "-":
        raise InputError.of("A run from stdin needs a name", [InputFault("run", None, "must be given as --run NAME")])
    return Path(file).stem


def _checked(file: JobFile, plan: RunPlan) -> Iterator[Job]:
    """Yield the jobs of a plan. Raises InputError at the end if one is wrong, so that nothing is written."""
    yield from file.stream(plan)
    raise_for_faults(plan, file.path)


def _report(done: EnqueuedRun, plan: RunPlan, *, hint: str, saves: bool) -> None:
    echo(f"{format_count(done.jobs, 'job')}, expected cost: {escape(str(plan.summary.estimate))}.")
    print_over_budget(plan)
    if not saves:
        echo("[yellow]No file will be saved[/]: name a place for them with -o DIRECTORY or -o s3://BUCKET/PREFIX.")
    known = "waits for workers" if done.is_new else "was there with the same jobs, and goes on"
    echo(f"The run [bold]{escape(done.run)}[/] {known}.")
    if done.missing_keys:
        variables = ", ".join(PROVIDERS[name].api_key_env for name in done.missing_keys)
        names = ", ".join(done.missing_keys)
        echo(f"[yellow]No living worker has an API key for {names}[/]. Start one with {variables} in its environment:")
        echo(f"  kling-async worker{hint} --name NAME")
    echo(f"Watch it with: kling-async status {escape(done.run)}{hint}")
    write_result(done.run)
