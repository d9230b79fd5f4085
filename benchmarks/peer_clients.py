"""One client's own call for a poll, over and over; prints what it cost as one line of JSON.

    python benchmarks/peer_clients.py NAME ORIGIN --polls N --open N [--cap SECONDS]

Each SDK is unmodified but for the address that it calls, and has its default settings: what it is told is the key, the
address and the id. The key opens nothing. `kling_async` has no limit on its rate, as none of the others has one.

`--open` predictions are polled at once, each again as soon as its answer is there, which must say that it runs. Before
anything is measured as many polls are made, so that connections which are kept are open, as they are in a long wait. If
these alone take longer than `--cap`, they are what is measured. CPU is user and system time of this process and all its
threads, until the last poll is answered or `--cap` is over: so many seconds of CPU, the same on a busy machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from time import monotonic
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from contender import KEY, used
from dialects import FAL_APP, GOOGLE_OPERATIONS
from server import made_up_id

__all__ = ["CLIENTS", "Spent"]

LOOK = 0.5  # seconds between two looks at the cap: rare enough to cost nothing
Poll = Callable[[], Any]
"""Polls one prediction; a coroutine function unless its client blocks."""


@dataclass(frozen=True)
class Spent:
    """What polls cost.

    Attributes:
        done: polls that were answered.
        failed: polls that raised, and `why` has the first error's words.
        wall: seconds.
        cpu: seconds of user and system time.
    """

    done: int
    failed: int
    why: str
    wall: float
    cpu: float


class Work:
    """Polls that are still to be made, and how the others ended; threads may share it, as each step is atomic."""

    def __init__(self, polls: int, cap: float) -> None:
        self._left, self._cap = iter(range(polls)), cap
        self._began, self._cpu = monotonic(), used()[0]
        self.ended: list[Exception | None] = []
        self.is_over = False

    def take(self) -> bool:
        """Take a poll that is to be made; False if there is none, or no time."""
        return not self.is_over and next(self._left, None) is not None

    def look_at_time(self) -> bool:
        """End the work if it took too much CPU, or four times as many seconds; tell whether it did."""
        spent = self.spent()
        self.is_over = spent.cpu > self._cap or spent.wall > 4 * self._cap
        return self.is_over

    def spent(self) -> Spent:
        """Return what was spent until now."""
        errors = [error for error in self.ended if error is not None]
        why = repr(errors[0])[:300] if errors else ""
        wall, cpu = monotonic() - self._began, used()[0] - self._cpu
        return Spent(len(self.ended) - len(errors), len(errors), why, wall, cpu)


async def repeat(client: Client, poll: Poll, work: Work) -> None:
    """Poll one prediction as long as there is work."""
    while work.take():
        try:
            work.ended.append(client.fault(await poll()))
        except Exception as error:  # noqa: BLE001  counted
            work.ended.append(error)


def repeat_blocking(client: Client, work: Work, poll: Poll) -> None:
    """Do the same with a client that blocks."""
    while work.take():
        try:
            work.ended.append(client.fault(poll()))
        except Exception as error:  # noqa: BLE001  counted
            work.ended.append(error)


async def poll_all(client: Client, polls: Sequence[Poll], number: int, cap: float) -> Spent:
    """Make that many polls, all predictions at once, and return what they cost."""
    work = Work(number, cap)
    if client.blocks:
        with ThreadPoolExecutor(len(polls)) as pool:
            late: AbstractSet[Any] = {pool.submit(repeat_blocking, client, work, poll) for poll in polls}
            while late and not work.look_at_time():
                late = wait(late, timeout=LOOK).not_done
        return work.spent()
    tasks = late = {asyncio.create_task(repeat(client, poll, work)) for poll in polls}
    while late and not work.look_at_time():
        _, late = await asyncio.wait(late, timeout=LOOK)
    cost = work.spent()
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return cost


@asynccontextmanager
async def kling(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """This package, as it is installed without extras."""
    from kling_async import Client as Ours  # noqa: PLC0415
    from kling_async import Limits, Prediction  # noqa: PLC0415

    limits = Limits(submit_per_second=None, poll_per_second=None, max_open=None)
    async with Ours(provider="gptproto", api_key=KEY, base_url=origin, limits=limits) as client:
        known = [Prediction(provider="gptproto", model="kling-image-o1", id=id) for id in ids]
        yield [partial(client.refresh, each) for each in known]


@asynccontextmanager
async def aiohttp(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """The least that a complete HTTP library needs: a GET, and its JSON."""
    import aiohttp as library  # noqa: PLC0415

    headers, connector = {"Authorization": f"Bearer {KEY}"}, library.TCPConnector(limit=0)
    async with library.ClientSession(headers=headers, connector=connector) as session:

        async def get(url: str) -> Any:  # noqa: ANN401  it is JSON
            async with session.get(url) as reply:
                return await reply.json()

        yield [partial(get, f"{origin}/api/v3/predictions/{id}/result") for id in ids]


@asynccontextmanager
async def wavespeed(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """WaveSpeedAI's SDK: it blocks, so each prediction has a thread."""
    import wavespeed as sdk  # noqa: PLC0415

    client = sdk.Client(api_key=KEY, base_url=origin)
    yield [partial(client.get_result, id) for id in ids]


@asynccontextmanager
async def fal(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """The SDK of fal; its queue's address is a constant."""
    from fal_client import client as sdk  # noqa: PLC0415

    sdk.QUEUE_URL_FORMAT = f"{origin}/"
    client = sdk.AsyncClient(key=KEY)
    yield [(await client.get_handle(FAL_APP, id)).status for id in ids]


@asynccontextmanager
async def replicate(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """Replicate's SDK."""
    import replicate as sdk  # noqa: PLC0415

    client = sdk.Client(api_token=KEY, base_url=origin)
    yield [partial(client.predictions.async_get, id) for id in ids]


@asynccontextmanager
async def runway(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """Runway's SDK."""
    import runwayml as sdk  # noqa: PLC0415

    async with sdk.AsyncRunwayML(api_key=KEY, base_url=origin) as client:
        yield [partial(client.tasks.retrieve, id) for id in ids]


@asynccontextmanager
async def openai(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """The SDK of OpenAI."""
    import openai as sdk  # noqa: PLC0415

    async with sdk.AsyncOpenAI(api_key=KEY, base_url=f"{origin}/v1") as client:
        yield [partial(client.videos.retrieve, id) for id in ids]


@asynccontextmanager
async def google(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """The SDK of Google, which uses aiohttp where that is installed, as it is here."""
    from google import genai as sdk  # noqa: PLC0415
    from google.genai import types  # noqa: PLC0415

    client = sdk.Client(api_key=KEY, http_options=types.HttpOptions(base_url=origin))
    known = [types.GenerateVideosOperation(name=f"{GOOGLE_OPERATIONS}{id}") for id in ids]
    async with client.aio as aio:
        yield [partial(aio.operations.get, each) for each in known]


@asynccontextmanager
async def comfy(origin: str, ids: Sequence[str]) -> AsyncIterator[list[Poll]]:
    """The SDK of Comfy: a job is fetched once to have its handle."""
    import comfy_sdk as sdk  # noqa: PLC0415

    os.environ["COMFY_BASE_URL"] = origin
    async with sdk.AsyncComfy(api_key=KEY) as client:
        handles = [await client.jobs.get(id) for id in ids]
        yield [each.refresh for each in handles]


@dataclass(frozen=True)
class Client:
    """A client that is measured.

    Attributes:
        call: its own call for a poll, as its documentation writes it.
        module: what must be installed.
        open: opens it for some ids, and yields a poll of each.
        runs: whether an answer says that the prediction runs.
        blocks: whether its calls block, so that each prediction needs a thread.
        fetches: how many requests it makes for each id before the first poll.
    """

    call: str
    module: str
    open: Callable[[str, Sequence[str]], AbstractAsyncContextManager[list[Poll]]]
    runs: Callable[[Any], bool]
    blocks: bool = False
    fetches: int = 0

    def fault(self, answer: Any) -> Exception | None:  # noqa: ANN401  it is the SDK's own
        """Return what is wrong with an answer: nothing, if it says that the prediction runs."""
        return None if self.runs(answer) else ValueError(f"not running: {answer!r}")

    @property
    def is_installed(self) -> bool:
        try:
            return find_spec(self.module) is not None
        except ModuleNotFoundError:  # the package around it is missing
            return False


def _v3_runs(answer: Any) -> bool:  # noqa: ANN401  it is JSON
    return bool(answer["data"]["status"] == "processing")


CLIENTS = {
    "kling_async": Client("client.refresh", "kling_async", kling, lambda answer: not answer.status.is_terminal),
    "aiohttp": Client("session.get + json", "aiohttp", aiohttp, _v3_runs),
    "google-genai": Client(
        "operations.get", "google.genai", google, lambda answer: answer.name is not None and not answer.done
    ),
    "fal-client": Client("handle.status", "fal_client", fal, lambda answer: type(answer).__name__ == "InProgress"),
    "replicate": Client("predictions.async_get", "replicate", replicate, lambda answer: answer.status == "processing"),
    "comfy-sdk": Client("job.refresh", "comfy_sdk", comfy, lambda answer: answer.status == "running", fetches=1),
    "openai": Client("videos.retrieve", "openai", openai, lambda answer: answer.status == "in_progress"),
    "runwayml": Client("tasks.retrieve", "runwayml", runway, lambda answer: answer.status == "RUNNING"),
    "wavespeed": Client("client.get_result", "wavespeed", wavespeed, _v3_runs, blocks=True),
}


async def measure(name: str, origin: str, *, number: int, flight: int, cap: float) -> Spent:
    """Measure one client."""
    client = CLIENTS[name]
    ids = [made_up_id(serial, monotonic() + 86_400) for serial in range(flight)]
    async with client.open(origin, ids) as polls:
        first = await poll_all(client, polls, flight, cap)
        has_time = first.done + first.failed == flight
        return await poll_all(client, polls, number, cap) if has_time else first


def main() -> None:
    """Measure one client once."""
    parser = argparse.ArgumentParser(description="One client's own call for a poll.")
    parser.add_argument("name", choices=CLIENTS)
    parser.add_argument("origin")
    parser.add_argument("--polls", type=int, required=True)
    parser.add_argument("--open", type=int, required=True)
    parser.add_argument("--cap", type=float, default=60.0)
    told = parser.parse_args()
    work = measure(told.name, told.origin, number=told.polls, flight=told.open, cap=told.cap)
    print(json.dumps(asdict(asyncio.run(work))))


if __name__ == "__main__":
    main()
