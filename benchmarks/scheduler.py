"""What the scheduler reaches: `python benchmarks/scheduler.py [--quick] [--repeats N] [--json FILE] [--only NAME ...]`.

Each client runs in a process of its own (`contender.py`) against a provider in another (`server.py`). CPU is user and
system time of the client's process. What is compared is run in turns; a figure is the median over repeats of the
ratios of what ran side by side, since the machine is never quiet.

makespan
    From the first submission until the last outcome, over a lower bound that holds for every client.

    The bound: K slots, round trip r, and the server gives its n-th submission the latency T_n, whatever the job. A
    request takes r / 2 there and r / 2 back. A slot that is given a submission that arrives at t has finished at
    t + T_n; no client knows before t + T_n + r / 2, and what it sends then arrives at t + T_n + r at the earliest. So
    the n-th submission takes a slot for at least T_n + r. Submissions are served in the order they arrive, and with
    that order fixed, starting each as early as any slot is free makes every start the earliest possible (Kiefer and
    Wolfowitz's recursion is monotone: a slot that is free earlier never makes a later start later). So no client, even
    one that is told each completion at once and polls for nothing, ends before the makespan of that list schedule.
    It is at least the sum of (T_n + r) over K, and for 500 jobs 6 % above it: the last wave ends raggedly for everyone.

    "Own bound" is that for clients with at most `max_submitting` submissions in flight, each of which takes one of so
    many lanes for a round trip. With the default of 8 the first 100 jobs take 13 round trips. That limit is the number
    of paid jobs that a crash can leave unconfirmed; the lines with 32 say what a higher one brings.

cpu
    CPU per request, 500 in flight, over that of wavespeed, which sends as many in as many threads. Requests are counted
    by the server. The floor is a GET by aiohttp and nothing else.

flat
    CPU per poll with 1,000 predictions in flight over that with 10, at the same rate of polls and of completions, side
    by side. Nothing is submitted: the predictions are taken up by id.

memory
    MiB that the peak of resident memory grows by while 100,000 predictions are in flight: scheduler, engine, learner
    and one Prediction each, over a gateway that answers at once from within the process. The jobs are there before.

failures
    `generate` calls that raised, of 2,000 gathered at once, while two other processes keep the client's core busy.

`--quick` runs all of it small, and asserts counts only, never times: no job fails, each is submitted once, no more are
open than allowed, and polls stay below 40 a job.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from heapq import heapreplace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from client_runs import HERE, RTT, Case, Figure, Run, check, pinned, run, summary, together, told

SLOTS = 100


def lower_bound(work: Sequence[float], slots: int, rtt: float, *, submitting: int | None = None) -> float:
    """Return the makespan that no client can beat; see the docstring of this file.

    Args:
        work: the latency of each prediction, in the order of submission.
        slots: predictions that may run at once.
        rtt: seconds of a round trip.
        submitting: submissions that may be in flight at once; None is no limit.
    """
    free_at, lanes = [0.0] * slots, [0.0] * (submitting or slots)
    for takes in work:
        starts = max(free_at[0], lanes[0])
        heapreplace(lanes, starts + rtt)
        heapreplace(free_at, starts + takes + rtt)
    return max(free_at)


_MAKESPAN_GOALS = {500: (1.10, 1.05), 2000: (1.05, 1.02)}
"""For jobs of a second; for longer ones it is 1.02 and 1.01."""


def makespans(repeats: int, *, quick: bool) -> Iterator[Figure]:
    """Compute the makespans over their bounds."""
    sizes = [(200, 1.0)] if quick else [(500, 1.0), (2000, 1.0), (500, 10.0), (2000, 10.0)]
    for jobs, mean in sizes:
        ours = Case("kling", jobs, SLOTS, mean)
        more = [] if mean >= 10 or quick else [Case("kling", jobs, SLOTS, mean, submitting=32)]
        peers = [] if jobs > 500 or quick else [Case(name, jobs, SLOTS, mean) for name in ("wavespeed", "naive")]
        rounds = [
            [(ours, seed), *((case, seed) for case in more), *((peer, seed) for peer in peers if seed == 0)]
            for seed in range(repeats)
        ]
        if mean >= 10:
            rounds = [[case for each in rounds for case in each]]
        cases = [case for each in rounds for case in each]
        runs = [each for some in rounds for each in together(some)]
        for case in dict.fromkeys(case for case, _ in cases):
            own = [each for (other, _), each in zip(cases, runs, strict=True) if other == case]
            yield from over_bounds(case, own)


def over_bounds(case: Case, runs: Sequence[Run]) -> Iterator[Figure]:
    """Compute the makespan of one client over the bound for all, and over that for its limit of submissions."""
    ours = case.name == "kling"
    client = f"{case.name}, {case.submitting} submitting" if ours else case.name
    what = f"{client}: {case.jobs:,} of ~{case.mean:g} s"
    basis = f"makespan / lower bound, {SLOTS} slots, round trip {RTT * 1e3:.0f} ms"
    goals = ((1.02, 1.01) if case.mean >= 10 else _MAKESPAN_GOALS.get(case.jobs)) if ours else None
    limits = (None, case.submitting) if ours else (None,)
    for limit in limits:
        ratios = [each.cost["wall"] / lower_bound(each.seen["work"], SLOTS, RTT, submitting=limit) for each in runs]
        own = "" if limit is None else " (own bound)"
        yield summary("makespan", what + own, ratios, basis, runs=runs, goals=None if limit else goals)


def costs(repeats: int, *, quick: bool) -> Iterator[Figure]:
    """Compute the CPU per request against wavespeed's."""
    jobs, flight, mean = (100, 50, 1.0) if quick else (1000, 500, 5.0)
    names = ("kling", "wavespeed")
    runs: dict[str, list[Run]] = {name: [] for name in (*names, "floor")}
    for seed in range(repeats):
        for name in names:
            runs[name] += together([(Case(name, jobs, flight, mean), seed)])
        runs["floor"] += together([(Case("floor", jobs * 5, flight, mean), seed)])
    for name, goals in (("kling", (0.2, 0.12)), ("floor", None)):
        pairs = zip(runs[name], runs["wavespeed"], strict=True)
        ratios = [ours.cpu_per_request / theirs.cpu_per_request for ours, theirs in pairs]
        basis = f"CPU per request / wavespeed's, {flight} in flight"
        yield summary("cpu", name, ratios, basis, runs=runs[name], goals=goals)
    micros = [each.cpu_per_request for each in runs["wavespeed"]]
    yield summary("cpu", "wavespeed", micros, "microseconds of CPU per request", runs=runs["wavespeed"])
    pairs = zip(runs["kling"], runs["wavespeed"], strict=True)
    per_job = [ours.cost["cpu"] / theirs.cost["cpu"] for ours, theirs in pairs]
    yield summary("cpu", "kling, per job", per_job, "CPU per job / wavespeed's")


def flat(repeats: int, *, quick: bool) -> Iterator[Figure]:
    """Compute the CPU per poll with many in flight over that with few."""
    many, few, rate, jobs = (100, 10, 50.0, 20) if quick else (1000, 10, 100.0, 200)
    scale = many / few
    ratios, runs = list[float](), list[Run]()
    for seed in range(repeats):
        cases = (Case("kling", jobs, many, scale, "wait", rate), Case("kling", jobs, few, 1.0, "wait", rate))
        much, little = together([(case, seed) for case in cases])
        ratios.append(much.cpu_per_request / little.cpu_per_request)
        runs.append(much)
    basis = f"CPU per poll, {many:,} in flight / {few} in flight, at most {rate:g} polls a second"
    yield summary("flat", f"{many:,} in flight", ratios, basis, runs=runs, goals=(1.3, 1.1))


def memory(repeats: int, *, quick: bool) -> Iterator[Figure]:
    """Measure how memory grows."""
    number = 2000 if quick else 100_000
    grown = list[float]()
    for _ in range(1 if quick else max(1, repeats // 2)):
        seen = told([sys.executable, str(HERE / "memory.py"), str(number)])
        assert seen["in_flight"] == number
        grown.append(seen["grown"])
    yield summary("memory", f"{number:,} predictions in flight", grown, "MiB", goals=(40, 26))


def failures(repeats: int, *, quick: bool) -> Iterator[Figure]:
    """Count the calls that fail on a busy core."""
    jobs = 200 if quick else 2000
    cores = sorted(os.sched_getaffinity(0))
    spin = [sys.executable, "-c", "while True: pass"]
    busy = [subprocess.Popen([*pinned(cores[0]), *spin]) for _ in range(2)]  # noqa: S603  our own
    try:
        case = Case("kling", jobs, 500, 1.0, "gather", core=cores[0])
        runs = [run(case, seed) for seed in range(1 if quick else max(1, repeats // 2))]
    finally:
        for process in busy:
            process.kill()
            process.wait()
    for each in runs:
        if quick:
            check(case, each)
    failed = [float(each.cost["failed"]) for each in runs]
    yield summary("failures", f"{jobs:,} gathered calls", failed, "failed calls", runs=runs, goals=(0, 0))


GROUPS: dict[str, Callable[..., Iterator[Figure]]] = {
    "makespan": makespans,
    "cpu": costs,
    "flat": flat,
    "memory": memory,
    "failures": failures,
}


def show(row: Figure) -> str:
    """Return a figure as a line of the table."""
    verdict = ""
    if row.target is not None and row.stretch is not None:
        verdict = "stretch" if row.got <= row.stretch else "met" if row.got <= row.target else "MISSED"
    goals = ["" if goal is None else f"{goal:g}" for goal in (row.target, row.stretch)]
    spread = f"{row.spread[0]:.3f}-{row.spread[1]:.3f}" if row.spread else ""
    detail = ", ".join(f"{name} {value:g}" for name, value in row.detail.items())
    text = f"{row.figure:9} {row.what:36} {goals[0]:>5} {goals[1]:>5} {row.got:8.3f}  {spread:14} {verdict:8} {detail}"
    return text.rstrip()


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description="What the scheduler reaches.")
    parser.add_argument("--quick", action="store_true", help="small, in less than a minute; asserts counts only")
    parser.add_argument("--repeats", type=int, default=None, help="how many of each (5, or 1 if quick)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--only", nargs="+", choices=GROUPS, default=list(GROUPS))
    chosen = parser.parse_args()
    repeats, began, rows = chosen.repeats or (1 if chosen.quick else 5), time.perf_counter(), list[Figure]()
    for name in chosen.only:
        for row in GROUPS[name](repeats, quick=chosen.quick):
            rows.append(row)
            print(show(row), flush=True)
    print(f"{time.perf_counter() - began:.0f} s")
    if chosen.json:
        figures = [asdict(row) for row in rows]
        document = {"benchmark": "scheduler", "quick": chosen.quick, "repeats": repeats, "figures": figures}
        chosen.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
