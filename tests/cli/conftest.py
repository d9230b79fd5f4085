"""The command line as a person has it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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
