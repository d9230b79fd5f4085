"""Rows 1 and 2: processes that are killed, at random and at every step, and what the next one finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import OpenSite
from .crashes import Runner
from .sweeps import steps, sweep


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks the runs, once."""
    with Runner() as started:
        yield started


def test_row_01_killed_at_random(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """After 50 kills at random no job is paid twice, no id that was told is lost, and no file is partial."""
    sweep(runner, site, tmp_path, kills=50, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_01_killed_at_random_at_length(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same after 500 kills."""
    sweep(runner, site, tmp_path, kills=500, seed=2)


def test_row_02_killed_at_steps(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Killed at every seventh call that touches disk or network, a run begun again keeps all promises."""
    assert 20 <= steps(runner, site, tmp_path, first=1, every=7)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_02_killed_at_every_step(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same at each of them."""
    assert 140 <= steps(runner, site, tmp_path, first=1, every=1)
