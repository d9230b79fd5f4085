"""Runs whose live page is served: the commands that do and serve them, each as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx

from kling_async.testing import Sandbox


def environment_of(sandbox: Sandbox, url: str) -> dict[str, str]:
    """Return the environment of a process whose provider is the sandbox."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GPTPROTO", "APIINONE"))}
    return own | {"APIINONE_BASE_URL": url, "APIINONE_API_KEY": sandbox.key, "COLUMNS": "100", "NO_COLOR": "1"}


def command(*words: str) -> list[str]:
    """Return the command line of a process of its own."""
    return [sys.executable, "-m", "kling_async", *words]


def write_jobs(path: Path, rows: dict[str, str], labels: Mapping[str, dict[str, str]] = MappingProxyType({})) -> None:
    """Write a job file of prompts by key, with labels by key."""
    lines = ({"key": key, "prompt": text, "labels": labels.get(key, {})} for key, text in rows.items())
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def events(
    page: httpx.Client,
    *,
    until: Callable[[str, Any], bool],
    since: int = 0,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> list[tuple[str, Any, str | None]]:
    """Return the events up to one, each with its name, its data and its id; fail after 60 seconds."""
    found, limit = list[tuple[str, Any, str | None]](), time.monotonic() + 60.0
    with page.stream("GET", f"events?since={since}", headers=headers) as response:
        assert "text/event-stream" == response.headers["content-type"].partition(";")[0]
        block: dict[str, str] = {}
        for line in response.iter_lines():
            assert time.monotonic() < limit
            name, _, value = line.partition(": ")
            if line:
                assert name in {"retry", "id", "event", "data", ":"}
                block[name] = value
            elif "data" in block:
                found.append((block["event"], json.loads(block["data"]), block.get("id")))
                block = {}
                if until(*found[-1][:2]):
                    return found
    raise AssertionError("the stream has ended")


@contextmanager
def served_page(folder: Path, environment: Mapping[str, str], run: str = "out") -> Iterator[str]:
    """Serve the page of a run from a process of its own, and give its URL."""
    with subprocess.Popen(
        command("serve", run, "--port", "0"), cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(20)
