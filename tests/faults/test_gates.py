"""The gate of a shared journal, over processes: one rate, one number of slots, one budget, and no late submission."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from attrs import frozen

from kling_async import Client, JobStatus, PostgresJournal, Submission
from kling_async.testing import Fixed, Sandbox, SandboxServer

from ..conftest import NO_LIMITS
from ..postgres import PostgresServer

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="processes are stopped"),
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

PROGRAM = Path(__file__).with_name("gate_process.py")
WORKERS = 3
RATE, BURST, SLOTS, PRICE = 10.0, 3, 4, Decimal("0.03")
LATENESS = 1.0
"""Seconds that a submission may need from the gate to the provider on a busy machine; two are allowed."""


@contextmanager
def worker(server: PostgresServer, run: str, origin: str, **settings: object) -> Iterator[subprocess.Popen[str]]:
    """Start a worker in a process of its own, and kill it in any case."""
    command = [sys.executable, str(PROGRAM), server.url(), run, origin, json.dumps(settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
            process.kill()


async def lines_of(process: subprocess.Popen[str]) -> list[str]:
    """Return what a process tells until its end."""
    assert process.stdout is not None
    return (await anyio.to_thread.run_sync(process.stdout.read)).splitlines()


async def next_line(process: subprocess.Popen[str]) -> str:
    """Return the next line that a process tells."""
    assert process.stdout is not None
    with anyio.fail_after(60):
        return (await anyio.to_thread.run_sync(process.stdout.readline)).strip()


@pytest.fixture
def run() -> str:
    """Name a run that no other test has."""
    return f"run-{secrets.token_hex(4)}"


# Rate, slots and money.


@frozen
class Seen:
    """What a sandbox has seen of the workers.

    Attributes:
        over_rate: submissions beyond the rate, in the worst window.
        most_open: jobs that ran at the same time, at most.
        spent: US dollars.
        ok: outcomes that are good.
        told: all lines of the workers.
    """

    over_rate: float
    most_open: int
    spent: Decimal
    ok: int
    told: list[str]


def over_rate(times: list[float]) -> float:
    """Return by how many submissions the worst window passes burst + rate x W."""
    ordered = sorted(times)
    return max(
        last - first + 1 - BURST - RATE * (ordered[last] - ordered[first] + LATENESS)
        for first in range(len(ordered))
        for last in range(first, len(ordered))
    )


async def run_workers(
    server: PostgresServer, run: str, *, jobs: int, max_cost: Decimal | None = None, without: str = ""
) -> Seen:
    """Let workers run batches of jobs of their own, with the same account and budget."""
    sandbox = Sandbox(image_latency=Fixed(0.25), key="sk-sandbox")
    told: list[str] = []
    with SandboxServer(sandbox) as provider, ExitStack() as stack:
        processes = [
            stack.enter_context(
                worker(
                    server,
                    run,
                    provider.url,
                    jobs=[f"{number}-{at}" for at in range(jobs)],
                    rate=RATE,
                    burst=BURST,
                    slots=SLOTS,
                    max_cost=None if max_cost is None else str(max_cost),
                    without=without,
                )
            )
            for number in range(WORKERS)
        ]
        for process in processes:
            told += await lines_of(process)
    tasks = list(sandbox.tasks.values())
    return Seen(
        over_rate=over_rate([task.at for task in tasks]),
        most_open=max(sum(one.at <= task.at < one.done_at for one in tasks) for task in tasks),
        spent=PRICE * sandbox.billed(),
        ok=len([line for line in told if line.split()[1] == "ok"]),
        told=told,
    )


@pytest.fixture(scope="module", autouse=True)
def forgotten_account(postgres: PostgresServer) -> Iterator[None]:
    """Leave no limits of the account behind, which other tests use as well."""
    yield
    postgres.execute("UPDATE kling_async.accounts SET per_second = NULL, max_open = NULL")


@pytest.mark.parametrize("jobs", [10, pytest.param(60, marks=pytest.mark.long)])
async def test_processes_share_rate_and_slots(postgres: PostgresServer, run: str, jobs: int) -> None:
    """G13: over three processes no window has more than burst + rate x W, and never are more open than there are slots.

    All jobs get through.
    """
    seen = await run_workers(postgres, run, jobs=jobs)
    assert seen.over_rate <= 0.0
    assert seen.most_open <= SLOTS
    assert WORKERS * jobs == seen.ok


@pytest.mark.parametrize("jobs", [8, pytest.param(40, marks=pytest.mark.long)])
async def test_processes_share_a_budget(postgres: PostgresServer, run: str, jobs: int) -> None:
    """G16: three processes spend no more than max_cost together, use nearly all of it, and are told why they end."""
    max_cost = PRICE * jobs
    seen = await run_workers(postgres, run, jobs=jobs, max_cost=max_cost)
    assert max_cost - PRICE <= seen.spent <= max_cost
    assert seen.ok == seen.spent / PRICE
    assert "ended BudgetExceeded" in seen.told


async def test_without_the_gate_the_limits_are_passed(postgres: PostgresServer, run: str) -> None:
    """The sandbox notices each of the three where claims are granted unasked."""
    seen = await run_workers(postgres, run, jobs=14, max_cost=14 * PRICE, without="gate")
    assert seen.over_rate > 0.0
    assert seen.most_open > SLOTS
    assert seen.spent > 14 * PRICE


# Workers that stand still.


def stands_still(process: subprocess.Popen[str]) -> bool:
    """Return whether a process has stopped itself."""
    return Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "T"


async def wait_until_stopped(process: subprocess.Popen[str]) -> None:
    """Wait until a process has stopped itself."""
    with anyio.fail_after(60):
        while not stands_still(process):
            await anyio.sleep(0.01)


async def fenced(journal: PostgresJournal, key: str) -> Submission:
    """Wait until the worker that is submitting a job is gone, and return the submission."""
    with anyio.fail_after(60):
        while True:
            await journal.take_over()
            known = await journal.find(key)
            if known is not None and known.status is not JobStatus.SUBMITTING:
                return known
            await anyio.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="whether a process stands still is read there")
@pytest.mark.parametrize(
    ("stop", "without"), [("granted", ""), ("granted", "check"), ("rejoined", ""), ("rejoined", "fence")]
)
async def test_a_worker_that_stood_still_sends_nothing_more(
    postgres: PostgresServer, run: str, stop: str, without: str
) -> None:
    """Continued after its lease, it uses no claim that it had, also with a new lease; without a guard it pays twice.

    In between a person has submitted one job again, whose result is then that of the worker as well. What else it had
    claimed, and certainly not sent, it claims again.
    """
    sandbox, names = Sandbox(image_latency=Fixed(0.1)), ["cat", "dog", "fox", "owl"]
    journal = PostgresJournal(postgres.url(), run=run)
    with SandboxServer(sandbox) as provider:
        settings = {"jobs": names, "lease": 3.0, "stop": stop, "without": without}
        with worker(postgres, run, provider.url, **settings) as process:
            stopping, key = (await next_line(process)).split()
            await wait_until_stopped(process)
            client = Client("gptproto", api_key=sandbox.key, base_url=provider.url, limits=NO_LIMITS, journal=journal)
            async with client:
                assert JobStatus.UNCONFIRMED is (await fenced(journal, key)).status
                await client.wait(await client.resubmit(key))
                before = sandbox.billed(key)
                os.kill(process.pid, signal.SIGCONT)
                told = await lines_of(process)
    assert ("stopping", 1) == (stopping, before)
    if without:
        assert 2 == sandbox.billed(key), told
    else:
        assert [1] * 4 == [sandbox.billed(name) for name in names], told
        assert sorted(names) == sorted(line.split()[0] for line in told if line.split()[1] == "ok")


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="whether a process stands still is read there")
async def test_an_answer_that_comes_after_the_lease_keeps_its_id(postgres: PostgresServer, run: str) -> None:
    """A worker that stood still while its answer came records the id, under which the job is finished and paid once."""
    sandbox = Sandbox(image_latency=Fixed(0.1))
    journal = PostgresJournal(postgres.url(), run=run)
    with (
        SandboxServer(sandbox) as provider,
        worker(postgres, run, provider.url, jobs=["cat"], lease=3.0, stop="sent") as process,
    ):
        assert "stopping sent" == await next_line(process)
        await wait_until_stopped(process)
        await journal.open()
        assert JobStatus.UNCONFIRMED is (await fenced(journal, "cat")).status
        os.kill(process.pid, signal.SIGCONT)
        told = await lines_of(process)
        known = await journal.find("cat")
        await journal.aclose()
    assert 1 == sandbox.billed()
    [id] = sandbox.tasks
    assert [f"cat ok {id}"] == told
    assert known is not None
    assert (JobStatus.SUCCEEDED, id) == (known.status, known.prediction and known.prediction.id)


@pytest.mark.parametrize("without", ["", "claim"])
async def test_processes_share_their_jobs(postgres: PostgresServer, run: str, without: str) -> None:
    """Three processes over the same jobs pay once for each, whatever they had read; without the claim each pays."""
    sandbox, jobs = Sandbox(image_latency=Fixed(0.3)), [f"cat-{number}" for number in range(12)]
    with SandboxServer(sandbox) as provider, ExitStack() as stack:
        processes = [
            stack.enter_context(worker(postgres, run, provider.url, jobs=jobs, stop="behind", without=without))
            for _ in range(WORKERS)
        ]
        told = [await lines_of(process) for process in processes]
    if without:
        assert WORKERS * 12 == sandbox.billed()
    else:
        assert [12] * WORKERS == [len([line for line in lines if line.split()[1] == "ok"]) for lines in told]
        assert 12 == sandbox.billed() == sandbox.submits
