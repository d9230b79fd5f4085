"""`kling-async wait` and `watch`: follow a run of another process, without a request and with its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.cli.console import ExitCode
from kling_async.cli.watched_run import view_of_directory
from kling_async.runs.directory import RunDirectory
from kling_async.testing import Fixed, Sandbox, SandboxServer

from .conftest import Begin, Type
from .test_runs import CALMLY, write


@pytest.fixture
def slow_sandbox(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox whose images take two seconds."""
    made = Sandbox(strict=True, image_latency=Fixed(2.0))
    with SandboxServer(made) as server:
        monkeypatch.setenv("APIINONE_BASE_URL", server.url)
        monkeypatch.setenv("APIINONE_API_KEY", made.key)
        monkeypatch.chdir(folder)
        yield made


def test_wait_ends_with_the_run_and_its_code(
    typed: Type, slow_sandbox: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends when the run has written its results; before, a time limit ends it with a code of its own."""
    write("m.csv", {"a": "a cat", "b": "a dog [[failed:no luck]]"})
    process = begin("m.csv", "m", "-p", "apiinone")
    assert 4 == typed("wait", "m", "--timeout", "0.2")
    assert "the run goes on" in capfd.readouterr().err
    assert 1 == typed("wait", "m")
    assert Path("m/report.html").is_file()
    assert 1 == process.wait(timeout=30)
    told = capfd.readouterr()
    assert ("", True) == (told.out, "1 succeeded, 1 failed" in told.err)
    before = slow_sandbox.submits, slow_sandbox.polls
    assert 1 == typed("wait", "m")
    assert before == (slow_sandbox.submits, slow_sandbox.polls)


def test_wait_waits_for_a_run_that_a_script_has_just_started(typed: Type, slow_sandbox: Sandbox) -> None:
    """Begun in the background immediately before, a run that has no directory yet is waited for to its end."""
    write("m.csv", {"a": "a cat"})
    words = [sys.executable, "-m", "kling_async", "batch", "m.csv", "-o", "m", "-p", "apiinone", "--progress", "none"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        assert not Path("m").exists()
        assert 0 == typed("wait", "m", "--timeout", "60")
        assert Path("m/report.html").is_file()
        assert 0 == process.wait(timeout=30)
    assert 1 == slow_sandbox.submits


def test_watch_shows_a_run_and_ends_with_0(
    typed: Type, slow_sandbox: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str]
) -> None:
    """Without a terminal it writes plain lines; the code of the run is that of `--exit-status`."""
    write("m.csv", {"a": "a cat", "b": "a dog [[failed:no luck]]"})
    begin("m.csv", "m", "-p", "apiinone")
    assert 0 == typed("watch", "m")
    assert "2 of 2 (100%) done: 1 succeeded, 1 failed" in capfd.readouterr().err
    assert 1 == typed("watch", "m", "--exit-status")
    assert 2 == slow_sandbox.submits


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
@pytest.mark.parametrize("end", [(signal.SIGINT, 130), (signal.SIGKILL, 1)], ids=["interrupted", "killed"])
def test_a_run_that_was_stopped_has_ended(
    typed: Type, slow_sandbox: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str], end: tuple[int, int]
) -> None:
    """An interrupted run has the code 130; one that was killed is told as not running, with what resumes it."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(12)})
    process = begin("m.csv", "m", "-p", "apiinone")
    until = time.monotonic() + 30.0
    while not slow_sandbox.tasks:
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, end[0])
    process.wait(timeout=30)
    assert end[1] == typed("wait", "m")
    assert "Resume with: kling-async resume m" in capfd.readouterr().err


def test_what_a_display_shows_of_a_directory(typed: Type, sandbox: Sandbox) -> None:
    """Counts, money, the last results and the code are those of the run; one of an earlier version has no code."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(6)} | {"z": "[[refused]] dog"})
    assert 1 == typed("batch", "m.csv", *CALMLY)
    here = RunDirectory(Path("m"))
    now = time.time()
    view = view_of_directory(here, now=now)
    assert (None, 7, ExitCode.FAILED) == (view.owner, view.snapshot.total, view.code)
    progress = view.snapshot.progress
    assert (6, 1, 7) == (progress.succeeded, progress.failed, progress.done)
    assert progress.spent == view.totals.spent
    assert progress.per_second is not None
    assert progress.per_second > 6 / (time.time() - now + 60)
    assert 3 == len(view.snapshot.recent)
    metadata = json.loads(Path("m/run.json").read_text())
    assert 1 == metadata.pop("exit_code")
    Path("m/run.json").write_text(json.dumps(metadata))
    assert ExitCode.FAILED is view_of_directory(here, now=now).code
    assert 7 == sandbox.submits


def test_what_cannot_be_watched(typed: Type, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A folder without a run, and a time limit below 0, are refused."""
    for words in (("wait", "--timeout", "0"), ("watch",), ("wait", "--timeout", "-1")):
        assert 2 == typed(words[0], str(folder), *words[1:])
    assert "No run found" in capfd.readouterr().err
