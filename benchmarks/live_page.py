"""What a live page of 10,000 jobs takes in a browser: its first paint, and an update of many jobs at once.

    python benchmarks/live_page.py --json live_page.json

A run of so many jobs is made by a client, in front of the sandbox. Its report is written once, and `kling-async serve`
shows it. First paint is `first-contentful-paint` of the Chromium of this machine, each in a new context, in turns:
median of five. For an update, the jobs that are left, 100, are run at once while the page is open. Each event of it
lasts from its arrival to the next frame; the longest counts, and is compared with that of a page of 100 jobs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import anyio
from playwright.sync_api import Browser, sync_playwright

from kling_async import Client, ImageInput, Job, Limits, SqliteJournal
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

BURST = 100
MANY, FEW = 10_000, 1 + BURST
ROUNDS = 5
LIMITS = Limits(submit_per_second=None, poll_per_second=None, max_open=200, max_submitting=32)
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
SPY = """
const Source = window.EventSource;
window.spent = [];
window.EventSource = class extends Source {
  addEventListener(name, listener) {
    if (name !== "cards" && name !== "parts") return super.addEventListener(name, listener);
    super.addEventListener(name, (event) => {
      const cards = name === "cards" ? Object.keys(JSON.parse(event.data)).length : 0;
      const began = performance.now();
      listener(event);
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => window.spent.push([cards, performance.now() - began]);
        channel.port2.postMessage(null);
      });
    });
  }
};
"""


def jobs_of(count: int) -> list[Job]:
    """Return the jobs of a run."""
    moods = ("calm", "wild", "grey")
    return [
        Job(ImageInput(f"a fox in a forest, number {n}, woodcut"), key=f"fox-{n}", labels={"mood": moods[n % 3]})
        for n in range(count)
    ]


def run_jobs(directory: RunDirectory, given: Sequence[Job], url: str, key: str) -> None:
    """Do jobs of a run, in a thread: this one has the browser's event loop."""
    with directory.owned(), ThreadPoolExecutor(1) as threads:
        threads.submit(anyio.run, do_jobs, directory, given, url, key).result()


async def do_jobs(directory: RunDirectory, given: Sequence[Job], url: str, key: str) -> None:
    """Do jobs of a run."""
    journal = SqliteJournal(directory.journal)
    async with (
        Client("apiinone", api_key=key, base_url=url, limits=LIMITS) as client,
        client.batch(given, journal=journal, max_open=1000) as batch,
    ):
        assert all([outcome.ok async for outcome in batch])


def make_run(folder: Path, count: int, url: str, key: str) -> RunDirectory:
    """Make a run whose last jobs are left to be done."""
    directory, given = RunDirectory(folder / f"run-{count}"), jobs_of(count)
    with directory.owned():
        directory.write_jobs(given)
        directory.write_metadata({"sheet": "jobs.jsonl", "jobs": count, "left_out": [], "settings": {}})
    run_jobs(directory, given[: count - BURST], url, key)
    return directory


def kling_async(*words: str) -> list[str]:
    """Return a command line."""
    return [sys.executable, "-m", "kling_async", *words]


@contextmanager
def served(directory: RunDirectory) -> Iterator[str]:
    """Serve the live page of a run, and yield its URL."""
    words = kling_async("serve", str(directory.path), "--port", "0")
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - the program is ours
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(20)


def first_paint(browser: Browser, url: str) -> float:
    """Return the milliseconds until something of a page is seen, in a new context."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(url, wait_until="load", timeout=120_000)
    found = page.evaluate(PAINT)
    context.close()
    return float(found)


def update(browser: Browser, directory: RunDirectory, url: str, key: str) -> float:
    """Return the milliseconds that the longest event of an update of 100 jobs takes the page."""
    given = list(directory.jobs())[-BURST:]
    with served(directory) as shown:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(SPY)
        page.goto(shown, wait_until="load", timeout=120_000)
        page.locator("#live", has_text="unning").wait_for()
        run_jobs(directory, given, url, key)
        spent = list[tuple[int, float]]()
        for _ in range(60):
            page.wait_for_timeout(1000)
            spent = page.evaluate("window.spent")
            if sum(cards for cards, _ in spent) >= BURST and not spent[-1][0]:
                break
        page.close()
    return max(took for _, took in spent)


def figure(what: str, *, target: float, ours: Sequence[float], others: Sequence[float]) -> dict[str, Any]:
    """Return the ratio of two times, in milliseconds, as the page of benchmarks takes it."""
    got = [one / other for one, other in zip(ours, others, strict=True)]
    basis = f"a live page of {MANY:,} jobs"
    detail = {"ms": statistics.median(ours), "other_ms": statistics.median(others)}
    found = {"figure": "live_page", "what": what, "basis": basis, "target": target, "got": statistics.median(got)}
    return found | {"spread": [min(got), max(got)], "detail": detail}


def measure(executable: str, folder: Path) -> list[dict[str, Any]]:
    """Return both figures."""
    sandbox = Sandbox(image_latency=Fixed(0.05), balance=Decimal(1_000_000))
    with SandboxServer(sandbox) as server, sync_playwright() as playwright:
        many = make_run(folder, MANY, server.url, sandbox.key)
        subprocess.run(kling_async("report", str(many.path)), check=True, stdout=subprocess.DEVNULL)  # noqa: S603
        browser = playwright.chromium.launch(executable_path=executable)
        static, live = list[float](), list[float]()
        with served(many) as url:
            for _ in range(ROUNDS + 1):
                static.append(first_paint(browser, many.report.as_uri()))
                live.append(first_paint(browser, url))
        static, live = static[1:], live[1:]  # the first one starts the browser, and reads the run
        long, short = list[float](), list[float]()
        few = make_run(folder, FEW, server.url, sandbox.key)
        for number in range(ROUNDS):
            for run, took in ((many, long), (few, short)):
                copy = shutil.copytree(run.path, folder / f"round-{number}-{run.path.name}")
                took.append(update(browser, RunDirectory(copy), server.url, sandbox.key))
        browser.close()
    return [
        figure("first paint / that of the report", target=1.0, ours=live, others=static),
        figure("an update of 100 jobs / that of a page of 100", target=2.0, ours=long, others=short),
    ]


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        sys.exit("no Chromium on this machine")
    os.environ.pop("KLING_DATABASE", None)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(executable, Path(folder))
    print(json.dumps(figures, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps({"figures": figures}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
