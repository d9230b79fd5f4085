"""Write the results as a page: `python benchmarks/page.py RESULTS TARGET`; RESULTS has a JSON file of each benchmark.

It writes TARGET/results.json, TARGET/index.md, and SVG images.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from peers_page import comparison, run_sentence, sentence

PACKAGES = (
    *("kling-async", "httpx", "httpcore", "anyio", "aiohttp", "wavespeed", "requests"),
    *("comfy-sdk", "fal-client", "google-genai", "httpx2", "openai", "replicate", "runwayml"),
)
BENCHMARKS = ("scheduler", "journal", "machines", "report", "live_page", "agents", "storage", "polling")
TITLES = {
    "peers": "CPU per poll beside other SDKs",
    "makespan": "How close to the earliest possible end",
    "cpu": "CPU per request",
    "flat": "Many in flight against few",
    "memory": "Memory",
    "failures": "Failures on a busy core",
    "journal": "The journal: flushing together against one commit each",
    "journal_cost": "What a journal adds to a job",
    "journal_open": "A closed journal that is opened again",
    "machines_speed": "Many machines: two workers against one",
    "machines_transactions": "Many machines: transactions of a job",
    "machines_cpu": "Many machines: what the database adds to a job",
    "machines_enqueue": "Many machines: writing a job into the database",
    "machines_takeover": "Many machines: the jobs of a lost machine",
    "machines_idle": "Many machines: a worker without a job",
    "report": "The report of a large run",
    "live_page": "The live page of a large run",
    "agents": "Tools for agents",
    "storage": "Saving into a bucket",
    "a": "Polls x delay against a fixed interval",
    "b": "The planner against the exact optimum, survival curve known",
    "c": "Learned from a cold start against the survival curve known",
    "d": "Delay under a poll cap against the bound for every policy, survival curve known",
    "e": "The same, learned from a cold start",
    "f": "One poll for many predictions against one for each",
    "g": "Polls beside webhooks against polls alone",
}
BASES = {
    "a": "mean detection delay / that of a fixed interval with as many polls",
    "b": "price x polls + delay / exact optimum",
    "c": "realised cost / that of the optimum with the survival curve known",
    "d": "mean detection delay / lower bound",
    "e": "mean detection delay / lower bound",
    "f": "requests per prediction, 20 ids to a request / one id to a request",
    "g": "polls per prediction with webhooks / without",
}
INTRO = """# Benchmarks

{winner}

{whole}

Measurements of the scheduler and its polling, against targets that were set before it was written. Smaller is better in
every figure. The result is *stretch* if it is within the stretch target, *met* if it is within the target, and else
**missed**.

A ratio compares programs that ran side by side, or in turns, in one run: absolute times depend on the machine, and this
one was shared with other work. CPU is user and system time of the client's own process. The top of
`benchmarks/scheduler.py`, of `benchmarks/polling.py` and of `benchmarks/peers.py` has the definition of each figure,
and the proof of each bound.

```console
$ python3 noxfile.py -s bench
```

regenerates this page; `-s bench -- --quick` takes a minute and asserts counts only: requests, polls, failures.
"""
SETTINGS = """
## Settings

- Provider: `benchmarks/server.py`, a process of its own. It uses the v3 wire format of GPTProto and WaveSpeedAI.
  Latency is uniform within 20 % of the mean. A round trip takes 50 ms. It reports no durations, so survival curves are
  learned from polls alone, and every run starts cold.
- `kling_async`: `Limits(submit_per_second=None, poll_per_second=None, max_open=...)` with the default of 8 submissions
  in flight. `max_open` is 100 for the makespan and the number in flight elsewhere.
  "Many in flight against few" polls at most 100 times a second. Makespans of jobs of ~10 s are measured at once, since
  such clients mostly wait; everything else in turns.
- CPU per request: 1,000 jobs of ~5 s.
- `wavespeed`: a thread per job, each polling once a second, as the SDK does by default.
- `naive`: httpx, `asyncio.gather`, `Semaphore(100)`, a poll every 2 s.
- `floor`: GETs by aiohttp, with no scheduler, no JSON and no submission.
"""

WIDTH, ROW, LEFT, RIGHT = 760, 26, 300, 70
STYLE = (
    "<style>text{font:13px sans-serif;fill:#444}.bar{fill:#4c7bd9}.missed{fill:#d9824c}.other{fill:#9aa5b1}"
    ".goal{stroke:#444;stroke-dasharray:3 2}.stretch{stroke:#2a8f5b;stroke-dasharray:3 2}"
    "@media(prefers-color-scheme:dark){text{fill:#ccc}.goal{stroke:#ccc}}</style>"
)


def machine() -> dict[str, Any]:
    """Return the machine and the versions of a measurement."""
    model = platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        model = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.system(),
        "versions": found,
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
    }


def escaped(text: str) -> str:
    """Return text escaped for an SVG."""
    return text.replace("&", "&amp;").replace("<", "&lt;")


def picture(rows: Sequence[dict[str, Any]], label: str) -> str:
    """Draw bars with their targets: orange missed its target, dashes are target (grey) and stretch (green)."""
    most = 1.1 * max(max(row["got"], row.get("target") or 0.0) for row in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    height = ROW * len(rows) + 10
    root = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
    parts = [f'{root} aria-label="{escaped(label)}">', STYLE]
    for at, row in enumerate(rows):
        top, target = 5 + ROW * at, row.get("target")
        kind = "other" if target is None else "bar" if row["got"] <= target else "missed"
        long = row["got"] * scale
        parts.append(f'<text x="{LEFT - 8}" y="{top + 16}" text-anchor="end">{escaped(row["what"])}</text>')
        parts.append(f'<rect class="{kind}" x="{LEFT}" y="{top + 4}" width="{long:.1f}" height="{ROW - 10}"/>')
        for name, style in (("target", "goal"), ("stretch", "stretch")):
            if row.get(name) is not None:
                x = LEFT + row[name] * scale
                parts.append(f'<line class="{style}" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + ROW - 2}"/>')
        parts.append(f'<text x="{LEFT + long + 6:.1f}" y="{top + 16}">{row["got"]:.3g}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def verdict(row: dict[str, Any]) -> str:
    """Return the verdict on a figure: stretch, met or missed; empty without a target."""
    if row.get("target") is None:
        return ""
    if row.get("stretch") is not None and row["got"] <= row["stretch"]:
        return "stretch"
    return "met" if row["got"] <= row["target"] else "**missed**"


def number(value: float | None) -> str:
    """Return a number as text of the table."""
    return "" if value is None else f"{value:.4g}"


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return the rows as a table."""
    lines = ["| figure | target | stretch | measured | range | |", "|---|--:|--:|--:|--:|---|"]
    for row in rows:
        spread = row.get("spread")
        between = f"{spread[0]:.3g} to {spread[1]:.3g}" if spread else ""
        cells = [row["what"], number(row.get("target")), number(row.get("stretch")), number(row["got"]), between]
        lines.append(f"| {' | '.join(cells)} | {verdict(row)} |")
    return "\n".join(lines) + "\n"


def details(rows: Sequence[dict[str, Any]]) -> str:
    """Return the further medians as a table; empty without any."""
    detailed = [row for row in rows if row.get("detail")]
    if not detailed:
        return ""
    names = list(detailed[0]["detail"])
    lines = [f"| medians | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    lines += [f"| {row['what']} | {' | '.join(number(row['detail'][name]) for name in names)} |" for row in detailed]
    return "\n" + "\n".join(lines) + "\n"


def section(figure: str, rows: Sequence[dict[str, Any]], target: Path) -> str:
    """Return one section, and draw its picture."""
    basis = BASES.get(figure) or rows[0]["basis"]
    command = "polling.py" if figure in BASES else f"scheduler.py --only {figure}"
    own = next((name for name in BENCHMARKS if name != "scheduler" and figure.startswith(name)), None)
    command = command if own is None else f"{own}.py"
    text = f"\n## {TITLES[figure]}\n\n{basis[0].upper()}{basis[1:]}: `python benchmarks/{command}`.\n\n"
    text += table(rows) + details(rows)
    drawn = [row for row in rows if row.get("target") is not None or figure in ("makespan", "cpu")]
    drawn = [row for row in drawn if "microseconds" not in row.get("basis", "")]
    if figure in ("makespan", "cpu", "a", "d") and drawn:
        (target / f"{figure}.svg").write_text(picture(drawn, TITLES[figure]), encoding="utf-8")
        text += f"\n![{TITLES[figure]}]({figure}.svg)\n"
    return text


def shortfalls(results: dict[str, Any]) -> Iterator[str]:
    """Return the section of the figures that miss their targets; nothing if none does."""
    rows = [row for name in ("peers", *BENCHMARKS) for row in results[name]["figures"] if verdict(row) == "**missed**"]
    if not rows:
        return
    yield "\n## What misses its target\n\n| where | figure | target | measured |\n|---|---|--:|--:|\n"
    for row in rows:
        cells = [TITLES[row["figure"]], row["what"], number(row["target"]), number(row["got"])]
        yield f"| {' | '.join(cells)} |\n"


def page(results: dict[str, Any], target: Path) -> str:
    """Return the page."""
    on = results["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in on["versions"].items())
    text = INTRO.format(
        winner=sentence(results["peers"]["figures"]), whole=run_sentence(results["scheduler"]["figures"])
    )
    text += f"\nMeasured on {on['date']}: {on['cpu']}, {on['cores']} cores, {on['python']}, {on['system']}; "
    repeats, seeds = results["scheduler"]["repeats"], results["polling"]["seeds"]
    text += f"{versions}. Medians of {repeats} repeats for the scheduler, of {seeds} seeds for polling.\n"
    text += "".join(shortfalls(results)) + comparison(results["peers"]) + SETTINGS
    for name in BENCHMARKS:
        rows = results[name]["figures"]
        for figure in dict.fromkeys(row["figure"] for row in rows):
            text += section(figure, [row for row in rows if row["figure"] == figure], target)
    return text


def main() -> None:
    """Read, and write."""
    parser = argparse.ArgumentParser(description="Write the results as a page.")
    parser.add_argument("results", type=Path)
    parser.add_argument("target", type=Path)
    arguments = parser.parse_args()
    arguments.target.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"machine": machine()}
    for name in ("peers", *BENCHMARKS):
        results[name] = json.loads((arguments.results / f"{name}.json").read_text(encoding="utf-8"))
    (arguments.target / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    (arguments.target / "index.md").write_text(page(results, arguments.target), encoding="utf-8")


if __name__ == "__main__":
    main()
