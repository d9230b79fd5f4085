"""Ctrl-C in a script without an event loop: a real process, and real signals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kling_async.testing import Sandbox, SandboxServer
from kling_async.types.status import JobStatus

from ..journals import submissions_on_disk

PROGRAM = Path(__file__).with_name("program.py")
BUSY = 3.0
"""Seconds that a busy machine may add to the two that are promised."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the system has no such signals")


class Script:
    """A script that runs, and what it says."""

    def __init__(self, what: str, url: str, folder: Path) -> None:
        command = [sys.executable, str(PROGRAM), what, url, str(folder)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.said: list[str] = []

    def wait_for(self, word: str, *, times: int = 1) -> None:
        """Read its lines until so many begin with a word."""
        assert self.process.stdout is not None
        while sum(line.startswith(word) for line in self.said) < times:
            line = self.process.stdout.readline()
            assert line, self.process.communicate()[1]
            self.said.append(line.strip())

    def interrupt(self) -> None:
        """Send Ctrl-C."""
        self.process.send_signal(signal.SIGINT)

    def end(self, *, within: float) -> tuple[int, str]:
        """Wait for its end; return its code, and its words on stderr."""
        began = time.monotonic()
        out, error = self.process.communicate(timeout=30)
        assert time.monotonic() - began < within, error
        self.said += out.splitlines()
        return self.process.returncode, error


@pytest.fixture(scope="module")
def server() -> Iterator[SandboxServer]:
    """Serve a quick sandbox."""
    with SandboxServer(Sandbox(strict=True, time_scale=0.005)) as running:
        yield running


@contextmanager
def started(what: str, server: SandboxServer, folder: Path) -> Iterator[Script]:
    """Start a script, and end it whatever happens."""
    script = Script(what, server.url, folder)
    try:
        yield script
    finally:
        script.process.kill()
        script.process.communicate()


def statuses(folder: Path) -> set[JobStatus]:
    """Return the states that a journal has at the end."""
    return {one.status for one in submissions_on_disk(folder / "jobs.db")}


@pytest.mark.parametrize(
    ("what", "word"), [("generate", "accepted"), ("batch", "accepted"), ("download", "downloading")]
)
def test_the_first_ends_a_call_that_waits(what: str, word: str, server: SandboxServer, tmp_path: Path) -> None:
    """It raises KeyboardInterrupt where the program waits, and what the provider has accepted is on record."""
    server.sandbox.script_downloads(["file_hang"] * 3 if what == "download" else [])
    with started(what, server, tmp_path) as script:
        script.wait_for(word)
        time.sleep(0.3)
        script.interrupt()
        code, error = script.end(within=2 + BUSY)
    assert -signal.SIGINT == code
    assert "KeyboardInterrupt" in error
    assert "left" not in script.said
    if what == "batch":
        assert {JobStatus.ACCEPTED} == statuses(tmp_path)
        submitted = sum(line.startswith("submitted") for line in script.said)
        assert submitted == len(submissions_on_disk(tmp_path / "jobs.db"))  # an answer may come after its listener left


@pytest.mark.parametrize("what", ["generate-in-flight", "batch-in-flight"])
def test_the_second_leaves_requests_in_flight(what: str, server: SandboxServer, tmp_path: Path) -> None:
    """The first one waits for answers to submissions; the second leaves within 2 s, and says what may be billed."""
    with started(what, server, tmp_path) as script:
        script.wait_for("submitted")
        time.sleep(0.3)
        script.interrupt()
        time.sleep(0.7)
        assert script.process.poll() is None
        script.interrupt()
        code, error = script.end(within=2 + BUSY)
    assert -signal.SIGINT == code
    assert "it may be billed" in error
    if what == "batch-in-flight":
        assert {JobStatus.UNCONFIRMED} == statuses(tmp_path)


def test_the_first_may_stop_a_batch_gently(server: SandboxServer, tmp_path: Path) -> None:
    """With `stop_on_signals` the open jobs are delivered, no more are submitted, and the program goes on."""
    with started("batch-stopping", server, tmp_path) as script:
        script.wait_for("accepted", times=4)
        script.interrupt()
        code, error = script.end(within=20)
    assert 0 == code, error
    assert "Press Ctrl-C again to quit now" in error
    assert 4 <= sum(line.startswith("submitted") for line in script.said) < 1000
    assert "left" in script.said
    delivered = sum(line.startswith("outcome") and line.endswith("True") for line in script.said)
    assert delivered == sum(line.startswith("submitted") for line in script.said)


def test_the_second_leaves_a_batch_that_stops(server: SandboxServer, tmp_path: Path) -> None:
    """It raises KeyboardInterrupt within 2 s, while open jobs go on at the provider."""
    with started("batch-leaving", server, tmp_path) as script:
        script.wait_for("accepted", times=4)
        script.interrupt()
        time.sleep(0.5)
        assert script.process.poll() is None
        script.interrupt()
        code, error = script.end(within=2 + BUSY)
    assert -signal.SIGINT == code
    assert "the jobs that were submitted go on at their providers" in error
    assert {JobStatus.ACCEPTED} == statuses(tmp_path)


def test_a_client_that_is_never_closed(server: SandboxServer, tmp_path: Path) -> None:
    """It keeps no program from ending, and is closed then: its journal is whole, and nobody owns it."""
    with started("never-closed", server, tmp_path) as script:
        code, error = script.end(within=10)
    assert (0, "") == (code, error)
    assert {JobStatus.ACCEPTED} == statuses(tmp_path)
    assert [] == [path.name for path in tmp_path.iterdir() if path.name.endswith(("-wal", "-shm"))]
