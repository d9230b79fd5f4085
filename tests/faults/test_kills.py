"""Rows 1 and 2: processes that are killed, at random and at every step, and what the next one finds."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from .answers import Script, accepted, sleep
from .conftest import OpenSite
from .crashes import Runner, check_nothing_lost, check_paid, kept_in, unconfirmed_in

JOBS = 24
SLOTS = 4
SLOW = Script(submit=[(sleep(0.01) + accepted()).for_ever])
"""The answer to a submission takes a moment, in which it is charged and nobody knows."""


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks the runs, once."""
    with Runner() as started:
        yield started


def sweep(runner: Runner, site: OpenSite, folder: Path, *, kills: int, seed: int) -> int:
    """Kill runs at random moments, each begun again until it is done; return how many jobs nobody knows of."""
    dice, killed, lost, number = random.Random(seed), 0, 0, 0
    while killed < kills:
        number += 1
        here, place = site(SLOW, running_for=1), folder / f"run-{number}"
        before = 0
        for patience in range(200):
            kill_after = dice.uniform(0.02, 0.3 + patience / 20)
            code = runner.run(here, place, jobs=JOBS, max_submitting=SLOTS, kill_after=kill_after)
            check_nothing_lost(place)
            after = len(unconfirmed_in(kept_in(place)))
            assert after - before <= SLOTS, "more at risk than promised (G5)"
            before = after
            if code == 0:
                break
            assert code == -9
            killed += 1
        check_paid(place, here.books, jobs=JOBS)
        lost += before
    return lost


def test_row_01_killed_at_random(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """After 50 kills at random no job is paid twice, no id that was told is lost, and no file is partial."""
    sweep(runner, site, tmp_path, kills=50, seed=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_01_killed_at_random_at_length(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same after 500 kills."""
    sweep(runner, site, tmp_path, kills=500, seed=2)


# At every step.


def steps(runner: Runner, site: OpenSite, folder: Path, *, first: int, every: int) -> int:
    """Kill a run at one step in the world after another, begin it again, and hold its books; return how many."""
    for done, at in enumerate(range(first, 10_000, every)):
        here, place = site(), folder / f"step-{at}"
        code = runner.run(here, place, jobs=2, max_submitting=1, crash_at=at)
        if code == 0:
            return done
        assert code == -9, (place / "log.txt").read_text()
        check_nothing_lost(place)
        assert len(unconfirmed_in(kept_in(place))) <= 1
        assert 0 == runner.run(here, place, jobs=2), (place / "log.txt").read_text()
        check_nothing_lost(place)
        check_paid(place, here.books, jobs=2)
    raise AssertionError("there were more steps than that")


def test_row_02_killed_at_steps(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Killed at every seventh call that touches disk or network, a run begun again keeps all promises."""
    assert 20 <= steps(runner, site, tmp_path, first=1, every=7)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_02_killed_at_every_step(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same at each of them."""
    assert 140 <= steps(runner, site, tmp_path, first=1, every=1)
