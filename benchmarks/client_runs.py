"""Runs of clients against the benchmarks' provider, each in a process of its own, and the figures made of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import ProxyHandler, build_opener

__all__ = [
    "HERE",
    "RTT",
    "Case",
    "Figure",
    "Run",
    "ask",
    "check",
    "pinned",
    "provider",
    "run",
    "summary",
    "together",
    "told",
]

HERE = Path(__file__).resolve().parent
RTT = 0.05
SPREAD = 0.2
LONGEST_RUN = 600


@dataclass(frozen=True)
class Figure:
    """One line of the table: the smaller the better; target and stretch are None where none is set.

    Attributes:
        figure: its group.
        what: which of them.
        got: the median.
        basis: what it is a ratio of, or its unit.
        spread: the least and the most of the repeats.
        detail: medians of what else was seen.
    """

    figure: str
    what: str
    got: float
    basis: str
    target: float | None = None
    stretch: float | None = None
    spread: tuple[float, float] | None = None
    detail: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """What one run of one client cost, and what the server saw."""

    cost: dict[str, Any]
    seen: dict[str, Any]
    jobs: int

    @property
    def requests(self) -> int:
        return int(self.seen["submits"] + self.seen["polls"])

    @property
    def cpu_per_request(self) -> float:
        """Microseconds."""
        return float(self.cost["cpu"] / self.requests * 1e6)

    @property
    def delay(self) -> float:
        """Mean seconds from done to seen."""
        return float(sum(self.seen["delays"]) / max(1, len(self.seen["delays"])))

    @property
    def detail(self) -> dict[str, float]:
        return {
            "wall s": self.cost["wall"],
            "cpu s": self.cost["cpu"],
            "cpu us/request": self.cpu_per_request,
            "polls/job": self.seen["polls"] / max(1, self.jobs),
            "delay s": self.delay,
            "peak MiB": self.cost["peak_rss"],
            "failed": self.cost["failed"],
        }


@dataclass(frozen=True)
class Case:
    """What one client is to do."""

    name: str
    jobs: int
    open: int
    mean: float
    how: str = "batch"
    polls: float | None = None
    rtt: float = RTT
    core: int | None = None
    submitting: int = 8


def pinned(core: int | None) -> list[str]:
    """Return what makes a command run on one core; nothing if none is named."""
    return [] if core is None else ["taskset", "-c", str(core)]


@contextmanager
def provider(core: int | None = None) -> Iterator[str]:
    """Start a server, on a core of its own if one is named, yield its origin, and stop it."""
    command = [*pinned(core), sys.executable, str(HERE / "server.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603  our own program
        try:
            assert server.stdout is not None
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


_OPENER = build_opener(ProxyHandler({}))


def ask(url: str) -> dict[str, Any]:
    """Return the JSON that the server answers."""
    with _OPENER.open(url, timeout=30) as reply:
        return dict(json.load(reply))


def told(command: Sequence[str]) -> dict[str, Any]:
    """Run a program that prints JSON, and return that. Its imports may be cached, as an installed program's are."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(  # noqa: S603  our own programs
        command, stdout=subprocess.PIPE, text=True, timeout=LONGEST_RUN, check=True, env=environment
    )
    return dict(json.loads(done.stdout))


def run(case: Case, seed: int) -> Run:
    """Run one client against a server of its own."""
    with provider() as origin:
        ask(f"{origin}/bench/begin?seed={seed}&mean={case.mean}&spread={SPREAD}&rtt={case.rtt}")
        command = [sys.executable, str(HERE / "contender.py"), case.name, origin]
        command += ["--jobs", str(case.jobs), "--open", str(case.open), "--how", case.how, "--mean", str(case.mean)]
        command += ["--submitting", str(case.submitting)]
        command += ["--polls", str(case.polls)] if case.polls else []
        return Run(told([*pinned(case.core), *command]), ask(f"{origin}/bench/end"), case.jobs)


def summary(
    figure: str,
    what: str,
    values: Sequence[float],
    basis: str,
    *,
    runs: Sequence[Run] = (),
    goals: tuple[float, float] | None = None,
) -> Figure:
    """Make a line of the medians over repeats."""
    target, stretch = goals or (None, None)
    details = [each.detail for each in runs]
    detail = {name: round(median(each[name] for each in details), 4) for name in (details[0] if details else ())}
    return Figure(figure, what, median(values), basis, target, stretch, (min(values), max(values)), detail)


def check(case: Case, each: Run) -> None:
    """Assert the counts that hold on any machine, however slow."""
    seen = each.seen
    assert each.cost["failed"] == 0, each.cost["why"]
    assert each.cost["ok"] >= case.jobs, each.cost
    if case.how != "wait":
        assert seen["submits"] == seen["found"] == case.jobs, (seen["submits"], seen["found"])
        assert seen["most_open"] <= case.open, seen["most_open"]
        assert seen["polls"] <= 40 * case.jobs, seen["polls"]


def together(cases: Sequence[tuple[Case, int]]) -> list[Run]:
    """Run clients at the same time: those that mostly wait do not disturb each other."""
    with ThreadPoolExecutor(len(cases)) as pool:
        runs = list(pool.map(lambda each: run(*each), cases))
    for (case, _), each in zip(cases, runs, strict=True):
        if case.name.startswith("kling"):
            check(case, each)
    return runs
