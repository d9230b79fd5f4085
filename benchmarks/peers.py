"""What a poll costs beside other SDKs: `python benchmarks/peers.py [--quick] [--repeats N] [--json FILE]`.

CPU per poll through each SDK's own call, with 10, 100 and 1,000 predictions in flight, over `kling_async`'s in the same
round; a figure is the median over rounds. Each client runs in a process of its own (`peer_clients.py`) on one core,
beside a server of its own (`server.py`) on another, which answers each SDK in its provider's dialect (`dialects.py`) at
once, and always that the prediction runs. So what is measured is the client: its calls, its HTTP and its parsing.

A client that has not made its polls after `--cap` seconds of CPU is stopped: its figure is of those that were done, and
the table says how many they were. So it is with polls that raise, as some SDKs' do when their connections are all in
use. A bare GET with aiohttp that parses JSON is what a complete HTTP library costs alone. That `kling_async` costs no
more than any of them is the target.

`--quick` runs each client that is installed, small, and asserts counts only: each made exactly its polls. Else all must
be installed; the session `bench` installs them.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from client_runs import HERE, ask, pinned, provider, told
from peer_clients import CLIENTS

OURS = "kling_async"
POLLS = {10: 1000, 100: 1000, 1000: 2000}
QUICK = {10: 50}
CAP = 20.0


@dataclass(frozen=True)
class Cell:
    """What one client's polls cost with so many in flight.

    Attributes:
        figure: its group.
        what: which client, with how many in flight.
        got: the median of our CPU per poll over this client's in the same round; the smaller the better.
        basis: what it is a ratio of.
        target: what it is to be at most; None for ourselves.
        spread: the least and the most of the rounds.
        client: its name, and `call` is what was called.
        in_flight: how many were polled at once.
        micros: the median of microseconds of CPU per poll; None if in most rounds none was done.
        done: the least that were done in a round, of `asked`.
        failed: the most that raised in a round, and `why` has an error's words.
    """

    figure: str
    what: str
    got: float
    basis: str
    target: float | None
    spread: tuple[float, float]
    client: str
    call: str
    in_flight: int
    micros: float | None
    done: int
    asked: int
    failed: int
    why: str


Costs = dict[str, Any]
"""What a run of `peer_clients.py` prints."""


def run(name: str, flight: int, polls: int, cap: float, *, exactly: bool) -> Costs:
    """Run one client against a server of its own."""
    cores = sorted(os.sched_getaffinity(0))
    with provider(cores[-1]) as origin:
        # Outside of the main module Python ignores these warnings by default, and costs less.
        command = [sys.executable, "-W", "ignore::DeprecationWarning", str(HERE / "peer_clients.py"), name, origin]
        command += ["--polls", str(polls), "--open", str(flight), "--cap", str(cap)]
        cost = told([*pinned(cores[0]), *command])
        assert cost["done"] or name != OURS, cost
        if exactly:
            seen = ask(f"{origin}/bench/end")["polls"]
            assert (cost["done"], cost["failed"]) == (polls, 0), (name, cost)
            assert seen == flight * (1 + CLIENTS[name].fetches) + polls, (name, seen)
    return cost


def micros(cost: Costs) -> float:
    """Return microseconds of CPU per poll that was done; without end if none was."""
    return float(cost["cpu"] / cost["done"] * 1e6) if cost["done"] else math.inf


def cell(name: str, flight: int, polls: int, rounds: Sequence[dict[str, Costs]]) -> Cell:
    """Return the figures of one client over the rounds."""
    own = [each[name] for each in rounds]
    middle = median(map(micros, own))
    ratios = [micros(each[OURS]) / micros(each[name]) for each in rounds]
    return Cell(
        figure="peers",
        what=f"against {name}, {flight:,} in flight",
        got=median(ratios),
        basis="CPU per poll of kling_async / of the other, side by side",
        target=None if name == OURS else 1.0,
        spread=(min(ratios), max(ratios)),
        client=name,
        call=CLIENTS[name].call,
        in_flight=flight,
        micros=middle if middle < math.inf else None,
        done=min(each["done"] for each in own),
        asked=polls,
        failed=max(each["failed"] for each in own),
        why=next((each["why"] for each in own if each["why"]), ""),
    )


def cells(names: Sequence[str], polls: dict[int, int], repeats: int, cap: float, *, quick: bool) -> Iterator[Cell]:
    """Measure all clients in turns, with so many in flight, then with the next number."""
    for flight, number in polls.items():
        rounds = [
            {name: run(name, flight, number, cap, exactly=quick) for name in (names if turn % 2 else reversed(names))}
            for turn in range(repeats)
        ]
        yield from (cell(name, flight, number, rounds) for name in names)


def show(row: Cell) -> str:
    """Return a cell as a line of the table."""
    did = "" if row.done == row.asked else f"  {row.done:,} of {row.asked:,} done"
    failed = f"  {row.failed:,} failed: {row.why}" if row.failed else ""
    spread = f"{row.spread[0]:.3f}-{row.spread[1]:.3f}"
    cost = "-" if row.micros is None else f"{row.micros:.0f}"
    return f"{row.in_flight:>5,} {row.client:14} {cost:>7} us {row.got:8.3f}  {spread:13}{did}{failed}"


def chosen_names(only: Sequence[str] | None, *, quick: bool) -> list[str]:
    """Return what is to run, us first. One that is not installed is left out if quick, and else ends the program."""
    wanted = [name for name in CLIENTS if only is None or name in (OURS, *only)]
    missing = [name for name in wanted if not CLIENTS[name].is_installed]
    if missing:
        said = f"not installed: {', '.join(missing)}"
        if not quick:
            raise SystemExit(f"{said}; the session `bench` installs them")
        print(said)
    return [name for name in wanted if name not in missing]


def main() -> None:
    """Print the table, and write it as JSON where asked to."""
    parser = argparse.ArgumentParser(description="What a poll costs beside other SDKs.")
    parser.add_argument("--quick", action="store_true", help="small, in seconds; asserts counts only")
    parser.add_argument("--repeats", type=int, default=None, help="how many rounds (5, or 1 if quick)")
    parser.add_argument("--cap", type=float, default=CAP, help="seconds of CPU that a cell may take (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--only", nargs="+", choices=CLIENTS, help=f"these, and {OURS}")
    parser.add_argument("--in-flight", type=int, nargs="+", choices=POLLS, default=list(POLLS), metavar="N")
    chosen = parser.parse_args()
    polls = QUICK if chosen.quick else {flight: POLLS[flight] for flight in chosen.in_flight}
    names, repeats = chosen_names(chosen.only, quick=chosen.quick), chosen.repeats or (1 if chosen.quick else 5)
    began, load, rows = time.perf_counter(), [os.getloadavg()[0]], list[Cell]()
    for row in cells(names, polls, repeats, chosen.cap, quick=chosen.quick):
        rows.append(row)
        print(show(row), flush=True)
    load.append(os.getloadavg()[0])
    print(f"{time.perf_counter() - began:.0f} s")
    if chosen.json:
        document = {"benchmark": "peers", "quick": chosen.quick, "repeats": repeats, "cap": chosen.cap, "load": load}
        document["figures"] = [asdict(row) for row in rows]
        chosen.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
