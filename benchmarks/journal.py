"""What a journal costs: acknowledged group commits against one commit per event, and its share of a job.

    python benchmarks/journal.py --json journal.json

Both write the same submissions to the same disk, from a thread, each waiting until its own are durable. The one commits
each by itself, as a script would; the other is `SqliteJournal`, which flushes together what comes while it flushes. A
round of both makes one ratio; the median of five counts. The cost per job is the difference in CPU time, and in
seconds, between the same batch of 2,000 jobs with a journal and without, before a provider in the process. A job is
written three times: when it leaves, when it is accepted, and when it is finished. Last, what a batch asks of a journal
that an earlier one has closed: to open it, with all of it verified, to find a job, the sum spent, and what is left.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
from attrs import evolve

from kling_async import Client, ImageInput, Job, Limits, Prediction, SqliteJournal, Status
from kling_async.journal.serialization import dump_submission
from kling_async.journal.submission import Submission, new_submission

AT_ONCE = 200
"""Writers who wait for their own: about what a busy batch has."""
ROUNDS = 5
JOBS = 2000
UNSAVED = 100
SERIAL = itertools.count(1)

T = TypeVar("T")


def submissions(count: int) -> list[Submission]:
    """Make submissions as a batch would write them."""
    made: list[Submission] = []
    for number in range(count):
        job = Job(ImageInput(f"cat {number}"), key=f"cat-{number}")
        prediction = Prediction(provider="gptproto", model="kling-image-o1", id=f"id-{number}", key=job.key)
        made.append(new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0).accepted(prediction, 3.0))
    return made


async def grouped(path: Path, durability: str, count: int) -> tuple[float, float]:
    """Return how many writes a second a journal acknowledges, and the CPU microseconds of each."""
    journal = SqliteJournal(path, durability=durability)
    await journal.open()
    todo = iter(submissions(count))

    async def write() -> None:
        for one in todo:
            await journal.write(one)

    began, cpu = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(write)
    took, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(await journal.submissions()) == count
    await journal.aclose()
    return count / took, cpu / count * 1e6


async def one_by_one(path: Path, durability: str, count: int) -> float:
    """Return how many writes a second there are with one commit for each, in a thread."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {durability.upper()}")
    connection.execute("CREATE TABLE submissions (key TEXT PRIMARY KEY, body TEXT)")
    todo, thread = iter(submissions(count)), anyio.CapacityLimiter(1)

    def commit(one: Submission) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT OR REPLACE INTO submissions VALUES (?, ?)", (one.key, dump_submission(one)))
        connection.execute("COMMIT")

    async def write() -> None:
        for one in todo:
            await anyio.to_thread.run_sync(commit, one, limiter=thread)

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(write)
    took = time.perf_counter() - began
    connection.close()
    return count / took


def ratio(durability: str, target: float, count: int, rounds: int) -> dict[str, object]:
    """Measure both in turn, and return the median of how long a write takes against the other."""
    fast: list[float] = []
    cpu: list[float] = []
    slow: list[float] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            speed, each = anyio.run(grouped, Path(folder) / "grouped.db", durability, count)
            fast.append(speed)
            cpu.append(each)
            slow.append(anyio.run(one_by_one, Path(folder) / "single.db", durability, max(count // 10, 100)))
        print(f"{durability} round {number + 1}: {fast[-1]:,.0f} against {slow[-1]:,.0f} a second")
    ratios = [other / one for one, other in zip(fast, slow, strict=True)]
    return {
        "figure": "journal",
        "what": f'durability="{durability}"',
        "basis": "time per acknowledged write / that of one commit for each write, in a thread",
        "target": target,
        "got": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "detail": {
            "writes a second": statistics.median(fast),
            "one by one": statistics.median(slow),
            "CPU microseconds a write": statistics.median(cpu),
        },
    }


def answer(request: httpx.Request) -> httpx.Response:
    """Answer as a provider that is done at the first look."""
    done = request.method == "GET"
    id = request.url.path.split("/")[-2] if done else f"id-{next(SERIAL)}"
    outputs = ["https://files.example/cat.png"] if done else []
    data = {"id": id, "status": "completed" if done else "created", "outputs": outputs, "error": None}
    return httpx.Response(200, json={"code": 200, "message": "success", "data": data})


async def batch(folder: Path, durability: str | None) -> tuple[float, float]:
    """Run a batch in the process, and return its CPU seconds and its seconds."""
    client = Client(
        api_keys={"gptproto": "sk-bench"},
        base_urls={"gptproto": "http://127.0.0.1:1"},
        transport=httpx.MockTransport(answer),
        limits={"gptproto": Limits(submit_per_second=None, poll_per_second=None, max_open=None)},
    )
    journal = None if durability is None else SqliteJournal(folder / "journal.db", durability=durability)
    jobs = [Job(ImageInput(f"cat {number}"), key=f"cat-{number}") for number in range(JOBS)]
    cpu, wall = time.process_time(), time.perf_counter()
    async with client, client.batch(jobs, journal=journal, max_open=JOBS) as running:
        done = [outcome.ok async for outcome in running]
    assert sum(done) == JOBS
    return time.process_time() - cpu, time.perf_counter() - wall


def costs(rounds: int) -> list[dict[str, object]]:
    """Return what a job costs without a journal and with one."""
    runs: dict[str, list[tuple[float, float]]] = {"none": [], "normal": [], "full": []}
    for _ in range(rounds):
        for name, found in runs.items():
            with tempfile.TemporaryDirectory(dir=".") as folder:
                found.append(anyio.run(batch, Path(folder), None if name == "none" else name))

    def row(name: str) -> dict[str, object]:
        each = [cpu / JOBS * 1000 for cpu, _ in runs[name]]
        return {
            "figure": "journal_cost",
            "what": "without a journal" if name == "none" else f'durability="{name}"',
            "basis": "CPU milliseconds per job, the provider in the process with them",
            "got": statistics.median(each),
            "spread": [min(each), max(each)],
        }

    return [row(name) for name in runs]


async def filled(path: Path, count: int) -> None:
    """Write a journal of ended jobs, the first of them without their files, and close it."""
    journal = SqliteJournal(path, durability="normal")
    await journal.open()
    ended: list[Submission] = []
    for number, one in enumerate(submissions(count)):
        assert one.prediction is not None
        found = evolve(one.prediction, status=Status.SUCCEEDED)
        last = evolve(one, price=Decimal("0.03")).finished(found, 4.0)
        ended.append(last if number < UNSAVED else last.saved((f"{one.key}.png",), 5.0))
    for at in range(0, count, AT_ONCE):
        await journal.write(*ended[at : at + AT_ONCE])
    await journal.aclose()


async def asked(path: Path, count: int) -> dict[str, float]:
    """Return the CPU milliseconds of what a batch asks of a journal."""
    spent: dict[str, float] = {}

    async def measured(what: str, call: Awaitable[T]) -> T:
        cpu = time.process_time()
        found = await call
        spent[what] = (time.process_time() - cpu) * 1000
        return found

    async def left() -> int:
        return len([one async for one in journal.unfinished(saving=True)])

    journal = SqliteJournal(path)
    await measured("open", journal.open())
    first = await measured("find, the first time", journal.find("cat-0"))
    last = await measured("find", journal.find(f"cat-{count - 1}"))
    assert first is not None
    assert last is not None
    assert await measured("find no such job", journal.find("dog")) is None
    assert await measured("spent", journal.spent()) == Decimal("0.03") * count
    assert await measured(f"{UNSAVED} unfinished ones", left()) == UNSAVED
    await measured("close", journal.aclose())
    return spent


def questions(rounds: int, count: int) -> list[dict[str, object]]:
    """Return what a closed journal costs that is opened again."""
    runs: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "journal.db"
        anyio.run(filled, path, count)
        for _ in range(rounds):
            for what, took in anyio.run(asked, path, count).items():
                runs.setdefault(what, []).append(took)
    return [
        {
            "figure": "journal_open",
            "what": what,
            "basis": f"CPU milliseconds, a journal of {count:,} jobs",
            "got": statistics.median(each),
            "spread": [min(each), max(each)],
        }
        for what, each in runs.items()
    ]


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    given = parser.parse_args()
    rounds, count = (1, 2000) if given.quick else (ROUNDS, 20_000)
    goals = {"normal": 1 / 10, "full": 1 / 30}
    written = [ratio(name, goal, count, rounds) for name, goal in goals.items()]
    found = {"figures": written + costs(rounds) + questions(rounds, count * 5)}
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
