"""One client at work against `server.py`, in a process of its own; prints what it cost as one line of JSON.

    python benchmarks/contender.py kling|wavespeed|naive|floor ORIGIN --jobs N --open N [--polls R]

- `kling`: this package. `--how` says what is run: `batch`, gathered
  `generate` calls, or `wait` on predictions that others have submitted.
- `wavespeed`: the SDK from PyPI, a thread per job, at most `--open` threads, as its documentation shows for bulk work.
- `naive`: the script one would write: httpx.AsyncClient, asyncio.gather, a Semaphore(100), a fixed poll every 2 s.
- `floor`: nothing but GETs with aiohttp, `--open` at a time.

CPU is user and system time of this process and all its threads, from after the imports until everything is closed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import random
import resource
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).resolve().parent))

from server import made_up_id

PROMPT = "A lighthouse in the rain, seen from a boat, oil on canvas"
KEY = "bench-key"


@dataclass(frozen=True)
class Cost:
    """What a run cost.

    Attributes:
        ok: jobs that ended well.
        failed: jobs that did not, and `why` has the first error's words.
        wall: seconds from the first submission until the last result was there.
        cpu: seconds of user and system time.
        peak_rss: MiB.
        rss: how many MiB the peak is above what was in use after the imports.
    """

    ok: int
    failed: int
    why: str
    wall: float
    cpu: float
    peak_rss: float
    rss: float


@dataclass
class Task:
    """What to do."""

    origin: str
    jobs: int
    open: int
    polls: float | None
    how: str
    mean: float
    submitting: int

    @property
    def environment(self) -> dict[str, str]:
        return {"GPTPROTO_API_KEY": KEY, "GPTPROTO_BASE_URL": self.origin}


Results = list[BaseException | None]


def used() -> tuple[float, float]:
    """Return CPU seconds so far, and the peak of resident memory in MiB."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def measured(work: Callable[[], Results]) -> Cost:
    """Run something and return what it cost."""
    (cpu, rss), began = used(), monotonic()
    results = work()
    wall, (cpu_after, rss_after) = monotonic() - began, used()
    errors = [error for error in results if error is not None]
    why = repr(errors[0])[:300] if errors else ""
    cpu = cpu_after - cpu
    return Cost(len(results) - len(errors), len(errors), why, wall, cpu, rss_after, rss_after - rss)


def kling(task: Task) -> Callable[[], Results]:
    """This package."""
    from kling_async import Client, ImageInput, Job, Limits, Prediction  # noqa: PLC0415

    os.environ.update(task.environment)
    limits = Limits(
        submit_per_second=None, poll_per_second=task.polls, max_open=task.open, max_submitting=task.submitting
    )

    async def batch(client: Client) -> Results:
        jobs = [Job(ImageInput(PROMPT), key=f"job-{number}") for number in range(task.jobs)]
        async with client.batch(jobs) as outcomes:
            return [outcome.error async for outcome in outcomes]

    async def gathered(client: Client) -> Results:
        calls = [client.generate(ImageInput(PROMPT), wait_timeout=3600) for _ in range(task.jobs)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        return [result if isinstance(result, BaseException) else None for result in results]

    async def waiting(client: Client) -> Results:
        """Keep `open` predictions in flight that are already half-way on average, until `jobs` have finished."""
        dice, serial = random.Random(1), 0
        results: Results = []

        async def one(first: float) -> None:
            nonlocal serial
            part = first
            while len(results) < task.jobs:
                serial += 1
                done_at = monotonic() + task.mean * dice.uniform(0.8, 1.2) * part
                part = 1.0
                id = made_up_id(serial, done_at)
                await client.wait(Prediction(provider="gptproto", model="kling-image-o1", id=id))
                results.append(None)

        tasks = [asyncio.create_task(one(dice.random())) for _ in range(task.open)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for each in tasks:
            each.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return results

    async def main() -> Results:
        runs = {"batch": batch, "gather": gathered, "wait": waiting}
        async with Client(limits={"gptproto": limits}) as client:
            return await runs[task.how](client)

    return lambda: asyncio.run(main())


def wavespeed(task: Task) -> Callable[[], Results]:
    """WaveSpeedAI's SDK: it blocks, so each job has a thread."""
    import wavespeed as sdk  # noqa: PLC0415

    client = sdk.Client(api_key=KEY, base_url=task.origin)

    def one(_: int) -> BaseException | None:
        try:
            client.run("kwaivgi/kling-image-o1/text-to-image", {"prompt": PROMPT})
        except Exception as error:  # noqa: BLE001  counted
            return error
        return None

    def work() -> Results:
        with ThreadPoolExecutor(task.open) as pool:
            return list(pool.map(one, range(task.jobs)))

    return work


def naive(task: Task) -> Callable[[], Results]:
    """The script that one would write without this package."""
    import httpx  # noqa: PLC0415

    async def main() -> Results:
        gate = asyncio.Semaphore(min(task.open, 100))
        headers = {"Authorization": f"Bearer {KEY}"}
        async with httpx.AsyncClient(base_url=task.origin, headers=headers, timeout=30) as client:

            async def one() -> None:
                async with gate:
                    body = {"prompt": PROMPT}
                    reply = await client.post("/api/v3/kwaivgi/kling-image-o1/text-to-image", json=body)
                    reply.raise_for_status()
                    id = reply.json()["data"]["id"]
                    while True:
                        await asyncio.sleep(2)
                        reply = await client.get(f"/api/v3/predictions/{id}/result")
                        reply.raise_for_status()
                        if reply.json()["data"]["status"] == "completed":
                            return

            results = await asyncio.gather(*(one() for _ in range(task.jobs)), return_exceptions=True)
            return [result if isinstance(result, BaseException) else None for result in results]

    return lambda: asyncio.run(main())


def floor(task: Task) -> Callable[[], Results]:
    """GETs with aiohttp and nothing around them."""
    import aiohttp  # noqa: PLC0415

    async def main() -> Results:
        url = f"{task.origin}/api/v3/predictions/{made_up_id(1, monotonic() + 3600)}/result"
        headers = {"Authorization": f"Bearer {KEY}"}
        left = task.jobs
        async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

            async def one() -> None:
                nonlocal left
                while left > 0:
                    left -= 1
                    async with session.get(url) as reply:
                        await reply.read()

            await asyncio.gather(*(one() for _ in range(task.open)))
        return [None] * task.jobs

    return lambda: asyncio.run(main())


CONTENDERS: dict[str, Callable[[Task], Callable[[], Results]]] = {
    "kling": kling,
    "wavespeed": wavespeed,
    "naive": naive,
    "floor": floor,
}


def main() -> None:
    """Run one contender once."""
    parser = argparse.ArgumentParser(description="One client at work.")
    parser.add_argument("name", choices=CONTENDERS)
    parser.add_argument("origin")
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--open", type=int, required=True)
    parser.add_argument("--polls", type=float, default=math.inf)
    parser.add_argument("--how", default="batch")
    parser.add_argument("--mean", type=float, default=1.0)
    parser.add_argument("--submitting", type=int, default=8)
    parser.add_argument("--profile", metavar="FILE", help="write a profile there; the CPU time is then worth nothing")
    told = parser.parse_args()
    polls = told.polls if told.polls < math.inf else None
    task = Task(told.origin, told.jobs, told.open, polls, told.how, told.mean, told.submitting)
    work = CONTENDERS[told.name](task)
    if told.profile:
        import cProfile  # noqa: PLC0415

        profile = cProfile.Profile()
        cost = measured(lambda: profile.runcall(work))
        profile.dump_stats(told.profile)
    else:
        cost = measured(work)
    print(json.dumps(asdict(cost)))


if __name__ == "__main__":
    main()
