"""What an agent's `submit` takes, beside `client.submit` of the same process and the same sandbox.

    python benchmarks/agents.py --json agents.json

Both have a journal in a directory of their own. The tool is called by the SDK's own client, in the same process, and
returns before the provider's answer; `client.submit` returns with it. Calls are made one after the other, in turns:
the median of 200 of each, in five rounds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from decimal import Decimal
from functools import partial
from pathlib import Path

import anyio
from mcp import Client as AgentClient

from kling_async import Client, ImageInput, Journal, Limits, SqliteJournal
from kling_async.integrations.live_run import LiveRun
from kling_async.integrations.mcp import build_server
from kling_async.testing import Fixed, Sandbox, SandboxServer

CALLS, ROUNDS, TARGET = 200, 5, 1.5
PRICES = {"kling-image-o1": Decimal("0.01")}
LIMITS = Limits(submit_per_second=None, poll_per_second=None, max_open=10_000)


def client_of(url: str, key: str, journal: Journal) -> Client:
    """Return a client of the sandbox."""
    return Client(api_key=key, base_url=url, journal=journal, limits=LIMITS)


async def measure(folder: Path) -> tuple[float, float]:
    """Return the median milliseconds of a call of the tool, and of the client."""
    tool, plain = list[float](), list[float]()
    sandbox = Sandbox(image_latency=Fixed(3600.0), balance=Decimal(1_000_000))
    with SandboxServer(sandbox) as server:
        connect = partial(client_of, server.url, sandbox.key)
        async with (
            LiveRun.opened(folder / "run", max_cost=Decimal(1000), prices=PRICES, client_of=connect) as run,
            AgentClient(build_server(run)) as agent,
            connect(SqliteJournal(folder / "plain.db")) as client,
        ):
            for number in range(CALLS):
                began = time.perf_counter()
                result = await agent.call_tool("submit", {"prompt": f"a fox, number {number}"})
                tool.append(time.perf_counter() - began)
                assert not result.is_error, result
                began = time.perf_counter()
                await client.submit(ImageInput(f"an owl, number {number}"), key=f"owl-{number}")
                plain.append(time.perf_counter() - began)
    return statistics.median(tool) * 1000, statistics.median(plain) * 1000


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rounds = list[tuple[float, float]]()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            rounds.append(anyio.run(measure, Path(folder)))
    ratios = [one / other for one, other in rounds]
    found = {
        "figure": "agents",
        "what": "the tool `submit` / `client.submit`",
        "basis": "milliseconds of a call",
        "target": TARGET,
        "got": statistics.median(ratios),
        "spread": [min(ratios), max(ratios)],
        "detail": {
            "ms": statistics.median(one for one, _ in rounds),
            "other_ms": statistics.median(other for _, other in rounds),
        },
    }
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps({"figures": [found]}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
