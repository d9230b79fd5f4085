"""A run on several workers while machines, connections and the database fail, and what its provider has seen."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from contextlib import closing
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from attrs import define, field, frozen

from kling_async.testing import Sandbox

from ..postgres import PostgresServer
from .workers import Machines, WorkerProcess

__all__ = ["MAX_SUBMITTING", "PRICE", "FaultyMachines", "Plan", "most_open", "over_rate"]

PROGRAM = Path(__file__).with_name("worker_with_faults.py")
MAX_SUBMITTING = 8
PRICE = Decimal("0.02")
LATENESS = 2.0
"""Seconds for which a token of the rate may be used."""
OPEN_CHUNKS: LiteralString = "SELECT state = 'held' FROM kling_async.chunks WHERE state <> 'done'"


@frozen(kw_only=True)
class Plan:
    """What is run, and what fails meanwhile.

    Attributes:
        jobs: the number of jobs.
        workers: the number of workers.
        rate: submissions per second, over all workers, and as many at once.
        slots: of all workers.
        lease: seconds without a sign of life after which a worker is gone.
        faults: in their order: "kill", "strike" for a kill while an answer is awaited, "lose" a machine, "pause",
            "database" and "cut".
        pauses: seconds between two faults, at least and at most.
        without: the guard that all workers lack.
    """

    jobs: int
    workers: int
    rate: int
    slots: int
    lease: int
    faults: tuple[str, ...]
    pauses: tuple[float, float]
    without: str = ""


@define
class FaultyMachines:
    """The workers of a run, each of which is started again whenever it has ended, unless its machine is lost.

    Attributes:
        there: the database, the sandbox, and the commands.
        plan: what is run, and what fails meanwhile.
        postgres: the server of the database.
        killed: workers that were killed, or lost.
        struck: those of them that were waiting for the answer to a submission.
        ended: workers that have ended by themselves.
        cuts: connections that were cut within the transaction of the gate.
        paid_within: US dollars that were paid when the first budget was spent; None before.
        last_at: jobs that were submitted when the last fault came.
    """

    there: Machines
    plan: Plan
    postgres: PostgresServer
    killed: int = 0
    struck: int = 0
    ended: int = 0
    cuts: int = 0
    paid_within: Decimal | None = None
    last_at: int = 0
    _workers: dict[int, WorkerProcess] = field(factory=dict)
    _random: Random = field(factory=lambda: Random(14))

    @property
    def sandbox(self) -> Sandbox:
        """The provider."""
        return self.there.sandbox

    def start(self) -> None:
        """Start all workers, and wait until they submit; the clock of the first one is an hour ahead."""
        for number in range(self.plan.workers):
            self._start(number)
        until = time.monotonic() + 60.0
        while not self.sandbox.submits:
            assert time.monotonic() < until, [one.text for one in self._workers.values()]
            time.sleep(0.05)

    def _start(self, number: int) -> None:
        plan = self.plan
        settings = {"slots": plan.slots, "clock": 0 if number else 3600, "without": plan.without}
        self._workers[number] = self.there.start(
            f"worker-{number}",
            *("--rate", str(plan.rate), "--lease", str(plan.lease)),
            program=(str(PROGRAM),),
            KLING_TEST_WORKER=json.dumps(settings),
            XDG_STATE_HOME=str(self.there.folder / "state"),
        )

    def _revive(self) -> None:
        """Start workers again that have ended by themselves, as a service manager does."""
        for number, worker in list(self._workers.items()):
            if worker.process.poll() is not None:
                self.ended += 1
                self._start(number)

    def fail(self) -> None:
        """Let everything happen that is planned."""
        for fault in self.plan.faults:
            time.sleep(self._random.uniform(*self.plan.pauses))
            self._revive()
            self.last_at = self.sandbox.submits
            getattr(self, f"_{fault}")()

    def _kill(self, number: int | None = None) -> None:
        number = self._random.choice(list(self._workers)) if number is None else number
        self._workers[number].kill()
        self.killed += 1
        self._start(number)

    def _strike(self) -> None:
        """Answer one submission never, and kill the worker that waits for that."""
        lost, until = self._unanswered, time.monotonic() + 20.0
        self.sandbox.script(["hang"])
        while self._unanswered == lost:
            assert time.monotonic() < until, [one.text for one in self._workers.values()]
            time.sleep(0.01)
        key = self._unanswered[-1].removeprefix("a ").replace(" ", "-")
        [[name]] = self._asked(
            "SELECT name FROM kling_async.submissions JOIN kling_async.workers ON workers.id = owner WHERE key = %s",
            key,
        )
        self._kill(int(str(name).rpartition("-")[2]))
        self.struck += 1

    @property
    def _unanswered(self) -> list[str]:
        return [charge.prompt for charge in self.sandbox.entries if not charge.answered]

    def _lose(self) -> None:
        self._workers.pop(max(self._workers)).kill()
        self.killed += 1

    def _pause(self) -> None:
        process = self._random.choice(list(self._workers.values())).process
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.2 * self.plan.lease)
        process.send_signal(signal.SIGCONT)

    def _database(self) -> None:
        self.postgres.kill()
        time.sleep(0.3)
        self.postgres.restart()

    def _cut(self) -> None:
        """Hold all claims up in the middle of their transactions, and cut the connections of these."""
        with closing(psycopg.connect(self.there.url)) as connection:
            connection.execute("SELECT FROM kling_async.accounts FOR UPDATE")
            until, cut = time.monotonic() + 5.0, 0
            while not cut and time.monotonic() < until:
                time.sleep(0.05)
                cut = len(
                    self._asked(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                        "AND wait_event_type = 'Lock' AND query LIKE %s",
                        "%kling_async.accounts%FOR UPDATE%",
                    )
                )
            self.cuts += cut

    def _asked(self, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
        name = urlsplit(self.there.url).path.removeprefix("/")
        return self.postgres.execute(statement, *values, database=name)

    def finish(self, *, within: float) -> None:
        """Wait until every job has ended; raise the budget once what is left is held for it."""
        until = time.monotonic() + within
        while is_held := [held for [held] in self._asked(OPEN_CHUNKS)]:
            told = {one.name: one.text[-2000:] for one in self._workers.values()}
            assert time.monotonic() < until, (Counter(is_held), self.sandbox.submits, told)
            self._revive()
            if all(is_held):
                self.paid_within = self.paid_within or PRICE * self.sandbox.billed()
                done = self.there.run("resume", "spring", "--max-cost", str(PRICE * self.plan.jobs))
                assert 0 == done.code, done.err
            time.sleep(0.5)

    @property
    def stood_still(self) -> int:
        """Submissions that may leave late, of workers that stood still between the look at the lease and the byte."""
        return MAX_SUBMITTING * self.plan.faults.count("pause")


def over_rate(times: list[float], *, rate: float, burst: int) -> float:
    """Return by how many submissions the worst window passes burst + rate x W, and what may be late of a token."""
    ordered = sorted(times)
    return max(
        last - first + 1 - burst - rate * (ordered[last] - ordered[first] + LATENESS)
        for first in range(len(ordered))
        for last in range(first, len(ordered))
    )


def most_open(sandbox: Sandbox) -> int:
    """Return how many jobs ran at the same time, at most."""
    tasks = list(sandbox.tasks.values())
    changes = sorted([(task.done_at, -1) for task in tasks] + [(task.at, 1) for task in tasks])
    running = [0]
    for (_, change), _ in pairwise([*changes, (0.0, 0)]):
        running.append(running[-1] + change)
    return max(running)
