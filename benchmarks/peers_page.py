"""What the page says of `peers.py`: who wins by how much, and each client's figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["comparison", "run_sentence", "sentence"]

OURS, FLOOR = "kling_async", "aiohttp"
Row = Mapping[str, Any]
SETTINGS = """
CPU per poll through each SDK's own call, with default settings, and how many times that of `kling_async` it is:
`python benchmarks/peers.py`. That none costs less than `kling_async` is the target.

- All predictions in flight are polled at once, each again as soon as its answer is there, without a rate limit.
  Connections are open before anything is measured.
- The clients ran in turns, each on one core beside a server on another. It answers at once, each time the same, and in
  the words of that SDK's provider: the prediction is running.
- `kling_async` has no extras installed. `client.refresh` is a poll by itself, which remembers nothing of the one
  before; whole runs, with what `wait` plans, are [below](#cpu-per-request).
- `aiohttp` is no SDK: a GET and its JSON, the cost of a complete HTTP library. google-genai uses it where it is
  installed, as here. wavespeed blocks, so each of its predictions has a thread.
- A client that took more than {cap:g} s of CPU for a cell has "N of M done", and its figure is of those N. "Failed" are
  polls that raised, most often since an SDK's own connections were all in use for longer than it waits for one.
"""


def sentence(rows: Sequence[Row]) -> str:
    """Say in one sentence whose polls cost least, and by how much; it is as true when they are not ours."""
    said = [level([row for row in rows if row["in_flight"] == flight]) for flight in flights(rows)]
    floors = [times(row) for row in rows if row["client"] == FLOOR]
    bare = f"; a bare GET by aiohttp takes {listed(floors)} times as much as {OURS}" if floors else ""
    return f"**CPU per poll: {'; '.join(said)}{bare}.**"


def run_sentence(rows: Sequence[Row]) -> str:
    """Say in one sentence what a request costs each client of whole runs, and how many times ours that is.

    Args:
        rows: the figures of `scheduler.py`.
    """
    micros = {row["what"]: row["detail"].get("cpu us/request") for row in rows if row["figure"] == "cpu"}
    known = {client: cost for client, cost in micros.items() if cost}
    ours, floor = known.pop("kling"), known.pop("floor", None)
    parts = [f"kling_async {ours:,.0f} us"]
    parts += [
        f"{client} {cost:,.0f} us, {times({'got': ours / cost})} times as much"
        for client, cost in sorted(known.items(), key=lambda each: each[1])
    ]
    parts += [] if floor is None else [f"a bare GET by aiohttp {floor:,.0f} us"]
    return f"**CPU per request in whole runs: {'; '.join(parts)}.**"


def level(rows: Sequence[Row]) -> str:
    """Say which SDK's polls cost least with so many in flight."""
    where = f"with {rows[0]['in_flight']:,} in flight"
    others = [row for row in rows if row["client"] not in (OURS, FLOOR)]
    able = [row for row in others if row["micros"] is not None]
    if not able:
        return f"{where} {OURS} has no other SDK beside it"
    best, several = max(able, key=lambda row: row["got"]), f"of {len(others) + 1} SDKs"
    if times(best) == "1.0":
        return f"{where} {OURS} and {best['client']} cost the same, the least {several}"
    if best["got"] > 1:
        return f"{where} {best['client']} costs the least {several}, {times(best)} times as much as {OURS}"
    return f"{where} {OURS} costs the least {several}, and the next, {best['client']}, {times(best)} times as much"


def comparison(results: Mapping[str, Any]) -> str:
    """Return the section."""
    rows = results["figures"]
    columns = flights(rows)
    heads = [f"{flight:,} in flight" for flight in columns]
    lines = [f"| SDK | call | {' | '.join(heads)} |", "|---|---|" + "--:|" * len(columns)]
    for client in by_cost(rows):
        own = {row["in_flight"]: row for row in rows if row["client"] == client}
        call = next(iter(own.values()))["call"]
        lines.append(f"| {client} | `{call}` | {' | '.join(cost(own[flight]) for flight in columns)} |")
    before, after = results["load"]
    told = (
        f"\nMedians; rounds: {results['repeats']}. The machine's load was {before:.1f} before and {after:.1f} after.\n"
    )
    head = f"\n## CPU per poll beside other SDKs\n{SETTINGS.format(cap=results['cap'])}"
    return head + told + "\n" + "\n".join(lines) + "\n"


def times(row: Row) -> str:
    """Return how many times ours a client's cost is."""
    many = 1 / row["got"]
    return f"{many:.2f}" if many < 0.95 else f"{many:.1f}" if many < 9.95 else f"{many:.0f}"


def by_cost(rows: Sequence[Row]) -> list[str]:
    """Return the clients, those that cost least with few in flight first."""
    few = min(row["in_flight"] for row in rows)
    own = [row for row in rows if row["in_flight"] == few]
    return [row["client"] for row in sorted(own, key=lambda row: row["micros"] or math.inf)]


def cost(row: Row) -> str:
    """Return one cell of the table."""
    notes = [] if row["client"] == OURS or row["micros"] is None else [f"x {times(row)}"]
    notes += [f"{row['done']:,} of {row['asked']:,} done"] if row["done"] < row["asked"] else []
    notes += [f"{row['failed']:,} failed"] if row["failed"] else []
    noted = f" ({'; '.join(notes)})" if notes else ""
    return f"{'-' if row['micros'] is None else format(row['micros'], ',.0f') + ' us'}{noted}"


def flights(rows: Sequence[Row]) -> list[int]:
    """Return how many were in flight, the fewest first."""
    return sorted({row["in_flight"] for row in rows})


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
