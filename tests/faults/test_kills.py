"""Rows 1 and 2: processes that are killed, at random and at every step, and what the next one finds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import OpenSite
from .crashes import Runner
from .sweeps import replacements, steps, sweep


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


def test_row_01_killed_at_random_where_it_is_looked_up(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Where the provider finds a submission by its client id, nothing that was charged stays unconfirmed either."""
    sweep(runner, site, tmp_path, kills=25, seed=3, provider="kling")


def test_row_01_killed_at_random_where_it_is_replayed(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Where the provider replays a submission under its key, nothing that was charged stays unconfirmed either."""
    sweep(runner, site, tmp_path, kills=25, seed=5, provider="comfy")


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_01_killed_at_random_where_it_is_looked_up_at_length(
    runner: Runner, site: OpenSite, tmp_path: Path
) -> None:
    """The same after 300 kills."""
    sweep(runner, site, tmp_path, kills=300, seed=4, provider="kling")


def test_row_02_killed_at_steps(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Killed at every seventh call that touches disk or network, a run begun again keeps all promises."""
    assert 20 <= steps(runner, site, tmp_path, first=1, every=7)


def test_row_02_killed_at_steps_where_it_is_replayed(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same where a submission is replayed: it is charged once, whatever the step."""
    assert 20 <= steps(runner, site, tmp_path, first=2, every=7, provider="comfy")


def test_row_02_killed_at_steps_where_it_is_looked_up(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same where a submission is looked up: what was charged is found, whatever the step."""
    assert 20 <= steps(runner, site, tmp_path, first=4, every=7, provider="kling")


def test_row_02_killed_at_steps_where_an_input_is_replaced(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same where another input takes the place of a refused one: it is sent once, and not asked for again."""
    assert 20 <= replacements(runner, site, tmp_path, first=3, every=9)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_02_killed_at_every_step_where_an_input_is_replaced(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same at each of them."""
    assert 140 <= replacements(runner, site, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_02_killed_at_every_step(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same at each of them."""
    assert 140 <= steps(runner, site, tmp_path, first=1, every=1)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_row_02_killed_at_every_step_where_it_is_looked_up(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """The same at each of them where a submission is looked up."""
    assert 140 <= steps(runner, site, tmp_path, first=1, every=1, provider="kling")
