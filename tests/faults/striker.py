"""Strikes programs with Ctrl-C at random calls, many times in one process, and says how each of them ended.

    python striker.py '{"backend": "trio", "programs": ["batch"], "seed": 1, "strikes": 50}'

The signal is raised at the n-th event that `sys.setprofile` tells of, counted from where the program opens its client
to the program's end, so it lands between any two steps of the package, of anyio, of trio or of asyncio. A run that
hangs ends this process, after it has shown where each thread stands. For each strike one line of JSON says how the run
ended.
"""

from __future__ import annotations

import faulthandler
import gc
import inspect
import io
import json
import logging
import math
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import trio
from attrs import define, field
from rich.console import Console

from kling_async import Client, ImageInput, Job, JobStatus, Limits, SqliteJournal, Submission, show_progress
from kling_async.system import interrupts as signals
from kling_async.system.background import Background
from kling_async.system.clock import SystemClock
from kling_async.testing import Fixed, Sandbox, SandboxApp

JOBS = 5
SUSPENDING = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
"""Frames that `sys.setprofile` reports also where they only wait and where they go on. Python delivers no signal there:
it is raised inside of a frame, where `finally` holds, which an error of a profile function at those points passes by.
"""
CLOSES = Background._wait.__code__
"""A second strike comes after this: until a client closes, asyncio raises it in whatever line runs, also in its own."""
HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
HANGS_AFTER = 20.0
"""Seconds after which a run, which takes a tenth of one, is said to hang."""


class PacedClock(SystemClock):
    """Real time, five hundred times faster: journals work in threads, so it may not leap."""

    def now(self) -> float:
        return time.monotonic() * 500

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / 500)

    def dice(self) -> float:
        return random.random()


@define
class Strike:
    """Raises SIGINT at the n-th call, and perhaps once more some calls later."""

    at: tuple[int, ...]
    count: int = 0
    struck: int = 0
    closing: bool = False
    where: list[str] = field(factory=list)

    def arm(self) -> None:
        """Begin to count."""
        sys.setprofile(self._saw)

    def _saw(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        # An expression goes on in the line where it began; one that is given up is closed there.
        goes_on = event == "call" and (frame.f_lineno != code.co_firstlineno or code.co_name == "<genexpr>")
        if code.co_flags & SUSPENDING and (goes_on or event == "return"):
            return
        if self.struck and not self.closing:
            self.closing = code is CLOSES
            return
        self.count += 1
        if self.struck < len(self.at) and self.count >= self.at[self.struck]:
            self.struck += 1
            self.where.append(" < ".join([event, *stack_of(frame)]))
            sys.stderr.write(f"{self.where[-1]}\n")
            if self.struck == len(self.at):
                sys.setprofile(None)
            signal.raise_signal(signal.SIGINT)


def stack_of(frame: FrameType | None) -> Iterator[str]:
    """Yield where a frame and those below it stand, as far as the event loop."""
    for _ in range(30):
        if frame is None:
            return
        yield f"{frame.f_code.co_qualname}:{frame.f_lineno}"
        frame = frame.f_back


@define
class World:
    """What one run has: a provider in this process, and a folder."""

    folder: Path
    strike: Strike
    screen: io.StringIO = field(factory=io.StringIO)
    sandbox: Sandbox = field(factory=lambda: Sandbox(strict=True, image_latency=Fixed(2.0)))

    def client(self, **settings: Any) -> Client:
        clock = PacedClock()
        client = Client(
            api_keys={"gptproto": self.sandbox.key},
            base_urls={"gptproto": "http://127.0.0.1:1"},
            limits={"gptproto": Limits(submit_per_second=None, poll_per_second=None, max_open=3)},
            transport=httpx.ASGITransport(SandboxApp(self.sandbox, clock)),
            clock=clock,
            **settings,
        )
        self.strike.arm()
        return client

    @property
    def journal(self) -> SqliteJournal:
        return SqliteJournal(self.folder / "journal.db", durability="normal")


def jobs() -> Iterator[Job]:
    """Yield jobs."""
    for number in range(JOBS):
        yield Job(ImageInput(f"cat {number}"), key=f"cat-{number}")


async def some_jobs() -> AsyncIterator[Job]:
    """Yield jobs, and wait before each."""
    for job in jobs():
        await anyio.lowlevel.checkpoint()
        yield job


async def generate(world: World) -> None:
    """Generate a few at once."""
    async with world.client(journal=world.journal) as client:
        await client.generate(ImageInput("cat 0"), key="cat-0")
        await client.submit(ImageInput("cat 1"), key="cat-1")


async def mapped(world: World) -> None:
    """Map over inputs."""
    async with world.client(journal=world.journal) as client:
        await client.map([ImageInput(f"cat {number}") for number in range(JOBS)])


async def batch(world: World) -> None:
    """Run a batch whose jobs come from a generator, on the client's journal."""
    async with world.client(journal=world.journal) as client, client.batch(jobs()) as batch:
        batch.add_listener(lambda event: None)
        async for _ in batch:
            pass


async def panel(world: World) -> None:
    """Run a batch whose jobs come from an asynchronous generator, and watch it."""
    console = Console(file=world.screen, force_terminal=True)
    async with (
        world.client(journal=world.journal) as client,
        client.batch(some_jobs()) as batch,
        show_progress(batch, mode="live", console=console),
    ):
        async for _ in batch:
            pass


async def journal(world: World) -> None:
    """Run a batch on a journal of its own."""
    async with world.client() as client, client.batch(list(jobs()), journal=world.journal) as batch:
        async for _ in batch:
            pass


async def save(world: World) -> None:
    """Run a batch that saves its files."""
    out = world.folder / "out"
    async with world.client() as client, client.batch(jobs(), journal=world.journal, save_to=out) as batch:
        async for _ in batch:
            pass


PROGRAMS: Mapping[str, Callable[[World], Awaitable[None]]] = {
    "generate": generate,
    "map": mapped,
    "batch": batch,
    "panel": panel,
    "journal": journal,
    "save": save,
}


async def until_its_end(program: Callable[[World], Awaitable[None]], world: World) -> None:
    """Run a program; what the event loop does after its end is not struck: asyncio's own last lines do not bear it."""
    try:
        await program(world)
    finally:
        sys.setprofile(None)


def run(program: str, backend: str, at: tuple[int, ...]) -> dict[str, Any]:
    """Run a program, strike it, and return how it ended, and what is wrong with what it left."""
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), Strike(at))
        # An interrupt in the last lines of `asyncio.run` leaves its handler behind, to the next run.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ended = "done"
        began = time.monotonic()
        faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
        try:
            anyio.run(until_its_end, PROGRAMS[program], world, backend=backend)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is told
            ended = type(error).__name__
            told = repr(error)
        else:
            told = ""
        finally:
            sys.setprofile(None)
        took = time.monotonic() - began
        wrong = books(world, backend) if world.strike.count > 0 else ""
        faulthandler.cancel_dump_traceback_later()
        return {
            "program": program,
            "at": at,
            "ended": ended,
            "struck": world.strike.struck,
            "calls": world.strike.count,
            "where": world.strike.where,
            "took": took,
            "told": told,
            "wrong": wrong,
        }


def books(world: World, backend: str) -> str:
    """Return what is wrong: billed and not in the journal, a journal that is not free again, a hidden cursor."""
    shown = world.screen.getvalue()
    if shown.rfind(HIDE_CURSOR) > shown.rfind(SHOW_CURSOR):
        return "the cursor is hidden"
    if not (world.folder / "journal.db").exists():
        return f"billed without a journal: {world.sandbox.billed()}" if world.sandbox.billed() else ""
    left = sorted(path.name for path in world.folder.iterdir() if path.name not in ("journal.db", "out"))
    if left:
        return f"left behind: {left}"
    kept = anyio.run(partial(read, world.journal), backend=backend)
    known = {one.prediction.id for one in kept if one.prediction is not None}
    unsure = {one.key for one in kept if one.status in (JobStatus.SUBMITTING, JobStatus.UNCONFIRMED)}
    lost = [entry.id for entry in world.sandbox.entries if entry.id not in known]
    if len(lost) > len(unsure):
        return f"billed, and unknown: {lost}"
    if unsure and len(world.strike.at) == 1:
        return f"unconfirmed: {unsure}"
    return ""


async def read(journal: SqliteJournal) -> list[Submission]:
    """Return what a journal holds."""
    await journal.open()
    try:
        return await journal.submissions()
    finally:
        await journal.aclose()


def take_protection_out() -> None:
    """Let trio raise KeyboardInterrupt in every line of the package, as it does in every program by itself."""
    signals._deferred.clear()
    spawn = trio.lowlevel.spawn_system_task

    def spawn_unprotected(*args: Any, **settings: Any) -> trio.lowlevel.Task:
        task = spawn(*args, **settings)
        task._ki_protected = False
        return task

    trio.lowlevel.spawn_system_task = spawn_unprotected


def main(order: dict[str, Any]) -> None:
    """Strike as an order says."""
    logging.getLogger("kling_async").addHandler(logging.NullHandler())
    logging.getLogger("kling_async").propagate = False
    unraisable: list[str] = []
    sys.unraisablehook = lambda hook: unraisable.append(f"{hook.err_msg} {hook.exc_value!r} {hook.object!r}")
    threading.excepthook = lambda hook: unraisable.append(f"thread {hook.exc_value!r}")
    if order.get("unprotected"):
        take_protection_out()
    dice = random.Random(order["seed"])
    for program in order["programs"]:
        whole = run(program, order["backend"], (10**9,))["calls"]
        for _ in range(order["strikes"]):
            first = round(math.exp(dice.uniform(3.0, math.log(whole))))  # most of what is delicate comes early
            at = (first, first + dice.randrange(1, 400)) if order.get("twice") else (first,)
            told = run(program, order["backend"], at)
            gc.collect()
            sys.stdout.write(json.dumps({**told, "unraisable": unraisable, "whole": whole}) + "\n")
            sys.stdout.flush()
            unraisable.clear()


main(json.loads(sys.argv[1]))
