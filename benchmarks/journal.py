"""What a journal costs: acknowledged group commits against one commit per event, and its share of a job.

    python benchmarks/journal.py --json journal.json

Both write the same submissions to the same disk, from a thread, each waiting until its own are durable. The one commits
each by itself, as a script would; the other is `SqliteJournal`, which flushes together what comes while it flushes. A
round of both makes one ratio; the median of five counts. The cost per job is the difference in CPU time, and in
seconds, between the same batch of 2,000 jobs with a journal and without, before a provider in the process. A job is
written three times: when it leaves, when it is accepted, and when it is finished.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import anyio
import anyio.to_thread
import httpx

from kling_async import Client, ImageInput, Job, Limits, Prediction, SqliteJournal
from kling_async.journal.serialization import dump_submission
from kling_async.journal.submission import Submission, new_submission

AT_ONCE = 200
"""Writers who wait for their own: about what a busy batch has."""
ROUNDS = 5
JOBS = 2000
SERIAL = itertools.count(1)


def submissions(count: int) -> list[Submission]:
    """Make submissions as a batch would write them."""
    made: list[Submission] = []
    for number in range(count):
        job = Job(ImageInput(f"cat {number}"), key=f"cat-{number}")
        prediction = Prediction(provider="gptproto", model="kling-image-o1", id=f"id-{number}", key=job.key)
        made.append(new_submission(job, provider="gptproto", price=None, at=1.0).sent(2.0).accepted(prediction, 3.0))
    return made


async def grouped(path: Path, durability: str, count: int) -> float:
    """Return how many writes a second a journal acknowledges."""
    journal = SqliteJournal(path, durability=durability)
    await journal.open()
    todo = iter(submissions(count))

    async def write() -> None:
        for one in todo:
            await journal.write(one)

    began = time.perf_counter()
    async with anyio.create_task_group() as group:
        for _ in range(AT_ONCE):
            group.start_soon(write)
    took = time.perf_counter() - began
    await journal.aclose()
    return count / took


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
    slow: list[float] = []
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            fast.append(anyio.run(grouped, Path(folder) / "grouped.db", durability, count))
            slow.append(anyio.run(one_by_one, Path(folder) / "single.db", durability, max(count // 10, 100)))
        print(f"{durability} round {number + 1}: {fast[-1]:,.0f} against {slow[-1]:,.0f} a second")
    each = [other / one for one, other in zip(fast, slow, strict=True)]
    return {
        "figure": "journal",
        "what": f'durability="{durability}"',
        "basis": "time per acknowledged write / that of one commit for each write, in a thread",
        "target": target,
        "got": statistics.median(each),
        "spread": [min(each), max(each)],
        "detail": {"writes a second": statistics.median(fast), "one by one": statistics.median(slow)},
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


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one short round, to see that it works")
    given = parser.parse_args()
    rounds, count = (1, 2000) if given.quick else (ROUNDS, 20_000)
    goals = {"normal": 1 / 10, "full": 1 / 30}
    found = {"figures": [ratio(name, goal, count, rounds) for name, goal in goals.items()] + costs(rounds)}
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
