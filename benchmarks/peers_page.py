"""What the page says of `peers.py`: who wins by how much, and each client's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["comparison", "sentence"]

OURS, FLOOR = "kling_async", "aiohttp"
Row = Mapping[str, Any]
SETTINGS = """
CPU per poll through each SDK's own call, with default settings, and how many times that of `kling_async` it is:
`python benchmarks/peers.py`. That none costs less than `kling_async` is the target. All ran in turns, each on one core
beside a server on the other, which answers at once, each time the same, and in the words of that SDK's provider: its
prediction is running. Connections are open before anything is measured. `kling_async` has no extras installed, and
polls without a rate limit by `client.refresh`, which remembers nothing of the poll before; the CPU of whole runs, with
what `wait` plans and saves, is [below](#cpu-per-request). `aiohttp` is no SDK: a GET and its JSON, the cost of a
complete HTTP library. google-genai uses it where it is installed, as here. wavespeed blocks, so each of its predictions
has a thread. At most {cap:g} s per cell; a client that took longer has "N of M done", and its figure is of those N.
"""


def sentence(rows: Sequence[Row]) -> str:
    """Say in one sentence who polls at the least cost, and by how much; it is as true when we do not."""
    said = [level([row for row in rows if row["in_flight"] == flight]) for flight in flights(rows)]
    floors = [f"{1 / row['got']:.2g}" for row in rows if row["client"] == FLOOR]
    bare = f"; a bare GET by aiohttp takes {listed(floors)} times as much" if floors else ""
    return f"**CPU per poll: {'; '.join(said)}{bare}.**"


def level(rows: Sequence[Row]) -> str:
    """Say who of the SDKs is the cheapest with so many in flight."""
    others = [row for row in rows if row["client"] not in (OURS, FLOOR)]
    where = f"with {rows[0]['in_flight']:,} in flight"
    if not others:
        return f"{where} {OURS} ran alone"
    best, worst = max(others, key=lambda row: row["got"]), min(others, key=lambda row: row["got"])
    if f"{best['got']:.2f}" == "1.00":
        return f"{where} {OURS} and {best['client']} cost the same, the least of {len(others) + 1} SDKs"
    if best["got"] > 1:
        return f"{where} {best['client']} is the cheapest SDK, and {OURS} takes {best['got']:.2g} times as much"
    least = f"{where} {OURS} is the cheapest of {len(others) + 1} SDKs: {best['client']} takes {1 / best['got']:.2g}"
    return f"{least} and {worst['client']} {1 / worst['got']:.2g} times as much"


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
    load = " to ".join(f"{each:.1f}" for each in results["load"])
    told = f"\nMedians of {results['repeats']} rounds, while the machine's load was {load}.\n"
    head = f"\n## CPU per poll beside other SDKs\n{SETTINGS.format(cap=results['cap'])}"
    return head + told + "\n" + "\n".join(lines) + "\n"


def by_cost(rows: Sequence[Row]) -> list[str]:
    """Return the clients, those that cost least with few in flight first."""
    few = min(row["in_flight"] for row in rows)
    return [row["client"] for row in sorted(rows, key=lambda row: row["micros"]) if row["in_flight"] == few]


def cost(row: Row) -> str:
    """Return one cell of the table."""
    notes = [] if row["client"] == OURS else [f"x {1 / row['got']:.2g}"]
    notes += [f"{row['done']:,} of {row['asked']:,} done"] if row["done"] < row["asked"] else []
    notes += [f"{row['failed']:,} failed"] if row["failed"] else []
    noted = f" ({'; '.join(notes)})" if notes else ""
    return f"{row['micros']:,.0f} us{noted}"


def flights(rows: Sequence[Row]) -> list[int]:
    """Return how many were in flight, the fewest first."""
    return sorted({row["in_flight"] for row in rows})


def listed(words: Sequence[str]) -> str:
    """Return words as a list in a sentence."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
