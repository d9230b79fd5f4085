"""`--rate` and `--concurrency`: limits of a run that stay when it is resumed, and that its display names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kling_async.testing import Fixed, Sandbox, SandboxServer

from .conftest import Type
from .test_runs import about, write


@pytest.fixture
def slow(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sandbox]:
    """Serve a sandbox whose images take half a second."""
    made = Sandbox(strict=True, image_latency=Fixed(0.5))
    with SandboxServer(made) as server:
        monkeypatch.setenv("APIINONE_BASE_URL", server.url)
        monkeypatch.setenv("APIINONE_API_KEY", made.key)
        monkeypatch.chdir(folder)
        yield made


def test_a_rate_holds_and_is_named(typed: Type, slow: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """No more are submitted in a second, also after a resume without the option; the display says so."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(5)})
    began = time.monotonic()
    assert 0 == typed("batch", "m.csv", "--limit", "3", "-p", "apiinone", "--rate", "1", "--progress", "plain")
    assert time.monotonic() - began > 2.0
    assert "apiinone max 1.0/s: your limit" in capfd.readouterr().err
    assert (1.0, 3) == (about(Path("m"))["settings"]["rate"], slow.submits)
    began = time.monotonic()
    assert 0 == typed("batch", "m.csv", "--progress", "none")
    assert time.monotonic() - began > 1.0
    assert 5 == slow.submits


def test_concurrency_holds(typed: Type, slow: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """With one slot one job is open at a time."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(4)})
    began = time.monotonic()
    assert 0 == typed("batch", "m.csv", "-p", "apiinone", "--concurrency", "1", "--progress", "plain")
    assert time.monotonic() - began > 4 * 0.5
    assert "max 1 slot: your limit" in capfd.readouterr().err
    assert 4 == slow.submits


def test_the_rate_of_a_plan(typed: Type, slow: Sandbox, capfd: pytest.CaptureFixture[str]) -> None:
    """A dry run tells the time at the rate that was given; a rate of 0 is refused before anything is sent."""
    write("m.csv", {f"k{n}": f"cat {n}" for n in range(21)})
    assert 0 == typed("batch", "m.csv", "-p", "apiinone", "--rate", "0.5", "--dry-run")
    assert "Submitting takes 40 s at least, at 30.0/min." in capfd.readouterr().err
    for option in ("--rate", "--concurrency"):
        assert 2 == typed("batch", "m.csv", "-p", "apiinone", option, "0")
        assert f"{option[2:]}=0" in capfd.readouterr().err
    assert 0 == slow.submits
