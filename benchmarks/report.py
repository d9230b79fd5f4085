"""What a report of 5,000 jobs takes: CPU time to build it, its size, and how soon a filter of it answers.

    python benchmarks/report.py --json report.json

The run is made up (`docs/sample_run.py`). Building is the median CPU time of five, after one that fills the templates'
cache. The filter is timed in the Chromium of this machine, from the key to the frame on the screen: the median of nine.
Without a Chromium that figure is left out, and said to be.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import sync_playwright

from kling_async.runs.report.page import render
from kling_async.runs.report.summary import RunSummary

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "docs"))

from sample_run import build_run

JOBS = 5000
ROUNDS = 5
WORDS = ("fox", "", "lighthouse woodcut", "", "gptproto", "zzz", "", "shot-4", "harbour")
FRAME = """() => new Promise((done) => requestAnimationFrame(() => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(performance.now());
  channel.port2.postMessage(null);
}))"""
TYPED = f"""async (words) => {{
  const find = document.getElementById("find");
  const began = performance.now();
  find.value = words;
  find.dispatchEvent(new Event("input", {{ bubbles: true }}));
  return (await ({FRAME})()) - began;
}}"""


def build(jobs: int) -> tuple[str, float]:
    """Return the page of so many jobs, and the CPU milliseconds it took."""
    rows = build_run(jobs)
    began = time.process_time()
    made_at = datetime(2026, 11, 21, tzinfo=UTC)
    text = "".join(render(RunSummary.of(rows), title="a run", settings={}, made_at=made_at, version="0"))
    return text, (time.process_time() - began) * 1000


def filtering(text: str) -> list[float]:
    """Return how many milliseconds each filter took in a browser; nothing without one."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        print("no Chromium on this machine: the filter is not timed")
        return []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "report.html"
        path.write_text(text, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=executable)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(path.as_uri(), wait_until="load")
        took: list[float] = []
        for words in WORDS:
            page.evaluate(FRAME)
            took.append(page.evaluate(TYPED, words))
        browser.close()
    return took


def figure(what: str, basis: str, target: float, got: list[float]) -> dict[str, object]:
    """Return one figure as the page of benchmarks takes it."""
    spread = [min(got), max(got)]
    return {
        "figure": "report",
        "what": what,
        "basis": basis,
        "target": target,
        "got": statistics.median(got),
        "spread": spread,
    }


def main() -> None:
    """Measure, print, and write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    build(1)
    built = [build(JOBS) for _ in range(ROUNDS)]
    text = built[0][0]
    basis = f"a report of {JOBS:,} jobs"
    figures = [
        figure("CPU milliseconds to build it", basis, 1000, [cpu for _, cpu in built]),
        figure("megabytes", basis, 2, [len(text.encode()) / 1e6]),
    ]
    took = filtering(text)
    if took:
        figures.append(figure("milliseconds until a filter has answered", basis, 100, took))
    print(json.dumps(figures, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps({"figures": figures}, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
