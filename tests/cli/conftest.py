"""The command line as a person has it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kling_async.cli import build_app
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Type = Callable[..., int]
Begin = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give the folder that commands run in."""
    return tmp_path


@pytest.fixture
def run(folder: Path) -> Run:
    """Run `python -m kling_async` with arguments, and with settings in its environment."""

    def running(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("GPTPROTO", "APIINONE"))
        }
        return subprocess.run(
            [sys.executable, "-m", "kling_async", *arguments],
            cwd=folder,
            env=environment | {"COLUMNS": "100", "NO_COLOR": "1"} | settings,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )

    return running


@pytest.fixture
def served() -> Iterator[tuple[Sandbox, dict[str, str]]]:
    """Serve a quick sandbox, and give the settings that lead to it."""
    sandbox = Sandbox(strict=True, image_latency=Fixed(0.2), video_latency=Fixed(0.2))
    with SandboxServer(sandbox) as server:
        yield (
            sandbox,
            {
                "GPTPROTO_BASE_URL": server.url,
                "GPTPROTO_API_KEY": sandbox.key,
                "APIINONE_BASE_URL": server.url,
                "APIINONE_API_KEY": sandbox.key,
            },
        )


@pytest.fixture
def sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a quick sandbox to commands of this process, and let them run in a folder of their own."""
    made = Sandbox(strict=True, image_latency=Fixed(0.05))
    with SandboxServer(made) as server:
        for name in ("GPTPROTO", "APIINONE"):
            monkeypatch.setenv(f"{name}_BASE_URL", server.url)
            monkeypatch.setenv(f"{name}_API_KEY", made.key)
        monkeypatch.chdir(folder)
        yield made


@pytest.fixture
def typed() -> Type:
    """Run a command in this process, which is quicker than a process of its own, and return its exit code."""

    def typing(*words: str) -> int:
        try:
            code = build_app()(words, exit_on_error=False, result_action="return_value")
        except SystemExit as error:
            code = error.code
        return int(code or 0)

    return typing


@pytest.fixture
def begin() -> Iterator[Begin]:
    """Begin a run in a process of its own, and leave none behind."""
    started: list[subprocess.Popen[bytes]] = []

    def beginning(file: str, run: str, *options: str) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-m", "kling_async", "batch", file, "-o", run, "--progress", "none", *options]
        started.append(subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until = time.monotonic() + 30.0
        while RunDirectory(Path(run)).owner is None or not RunDirectory(Path(run)).holds_run:
            assert time.monotonic() < until
            time.sleep(0.02)
        return started[-1]

    yield beginning
    for one in started:
        one.kill()
        one.wait()
