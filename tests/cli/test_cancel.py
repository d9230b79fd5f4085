"""`kling-async cancel`: stop a run from another process, and cancel at the provider what it has accepted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer

from .conftest import Begin, Type
from .test_runs import about, rows, write

QUIET = ("--progress", "none")


@pytest.fixture
def endless(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve two providers whose images take a minute, of which one can cancel."""
    made = Sandbox(strict=True, image_latency=Fixed(60.0))
    with SandboxServer(made) as server:
        for name, variable in (("fal", "FAL_KEY"), ("apiinone", "APIINONE_API_KEY")):
            monkeypatch.setenv(f"{name.upper()}_BASE_URL", server.url)
            monkeypatch.setenv(variable, made.key_for(name))
        monkeypatch.chdir(folder)
        yield made


def wait_for_tasks(sandbox: Sandbox, count: int) -> None:
    """Wait until a provider has accepted so many jobs."""
    until = time.monotonic() + 30.0
    while len(sandbox.tasks) < count:
        assert time.monotonic() < until
        time.sleep(0.02)
    time.sleep(0.3)  # the journal has the ids


def in_status(typed: Type, capfd: pytest.CaptureFixture[str]) -> dict[str, int]:
    """Return the counts of the run."""
    capfd.readouterr()
    assert 0 == typed("status", "m", "--json", "statuses")
    found: dict[str, int] = json.loads(capfd.readouterr().out)["statuses"]
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="sends signals")
def test_a_run_of_another_process_is_cancelled(
    typed: Type, endless: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str]
) -> None:
    """It stops submitting, what was accepted is cancelled, and it ends long before the provider would have finished."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(20)})
    process = begin("m.csv", "m", "-p", "fal")
    wait_for_tasks(endless, 2)
    assert 0 == typed("cancel", "m")
    assert "Stopped submitting" in capfd.readouterr().err
    assert 130 == process.wait(timeout=40)
    counts = in_status(typed, capfd)
    assert counts["cancelled"] == endless.submits
    assert {"cancelled": endless.submits, "planned": 20 - endless.submits} == counts


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_single_jobs_of_a_run_that_stopped(
    typed: Type, endless: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str]
) -> None:
    """One that was accepted is cancelled and recorded; one that was not sent is taken out of the run."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(20)})
    process = begin("m.csv", "m", "-p", "fal", "--max-open", "1")
    wait_for_tasks(endless, 1)
    assert 2 == typed("cancel", "m", "k7")
    assert "is not submitted yet" in capfd.readouterr().err
    process.kill()
    process.wait()
    assert 2 == typed("cancel", "m", "k0", "nothing")
    assert 0 == typed("cancel", "m", "k0", "k7")
    assert "1 job cancelled." in capfd.readouterr().err
    assert {"cancelled": 1, "planned": 18} == in_status(typed, capfd)
    assert ("k7" in rows(Path("m")), ["k7"], 19) == (False, about(Path("m"))["left_out"], about(Path("m"))["jobs"])
    assert 0 == typed("cancel", "m")
    assert "18 jobs not submitted" in capfd.readouterr().err
    assert 1 == endless.submits


@pytest.mark.skipif(sys.platform == "win32", reason="kills a process")
def test_a_provider_that_cannot_cancel(
    typed: Type, endless: Sandbox, begin: Begin, capfd: pytest.CaptureFixture[str]
) -> None:
    """It is named with the number of jobs that go on there, and the code is 1."""
    write("m.csv", {"a": "a cat"})
    process = begin("m.csv", "m", "-p", "apiinone")
    wait_for_tasks(endless, 1)
    process.kill()
    process.wait()
    assert 1 == typed("cancel", "m")
    assert "1 job still running: API in One cannot cancel" in capfd.readouterr().err
    assert {"accepted": 1} == in_status(typed, capfd)
    assert 2 == typed("cancel", "none")
