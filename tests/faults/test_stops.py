"""Rows 24, 25 and 28: what a run must find before it begins, and how it ends when somebody asks it to."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from .answers import Script, accepted, sleep
from .conftest import OpenSite
from .crashes import Runner, check_nothing_lost, check_paid, ids_told, kept_in, log_of, unconfirmed_in, wait_until


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks the runs, once."""
    with Runner() as started:
        yield started


def wait_for_ids(folder: Path, count: int) -> None:
    """Wait until a run has told of so many ids."""
    wait_until(lambda: len(ids_told(folder)) >= count, folder)


def wait_for_word(folder: Path, word: str) -> None:
    """Wait until a run has said a word."""
    wait_until(lambda: word in log_of(folder), folder)


SLOW = Script(submit=[(sleep(0.1) + accepted()).for_ever])


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_row_28_the_first_signal_stops_submitting(
    runner: Runner, site: OpenSite, tmp_path: Path, backend: str, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM: no new submission, what is paid for is finished and saved, and a second run does the rest."""
    here = site(SLOW, running_for=2)
    pid = runner.start(here, tmp_path, jobs=60, max_submitting=4, stop_on_signals=True, backend=backend)
    wait_for_ids(tmp_path, 4)
    os.kill(pid, number)
    assert 0 == runner.reap(pid), log_of(tmp_path)
    sent = len(here.log.charges)
    assert 4 <= sent < 60
    kept = kept_in(tmp_path)
    assert sent == sum(one.succeeded and one.files is not None for one in kept)
    assert set() == unconfirmed_in(kept)
    [open_jobs] = re.findall(r"Stopping after (\d+) open jobs", log_of(tmp_path))
    assert int(open_jobs) <= sent
    assert 0 == runner.run(here, tmp_path, jobs=60)
    check_paid(tmp_path, here.log, jobs=60)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_row_28_the_second_signal_leaves(runner: Runner, site: OpenSite, tmp_path: Path, backend: str) -> None:
    """The second one leaves, after what is on its way is written down, and says how to go on."""
    here = site(SLOW, running_for=10_000)
    pid = runner.start(here, tmp_path, jobs=60, max_submitting=4, stop_on_signals=True, backend=backend)
    wait_for_ids(tmp_path, 8)
    os.kill(pid, signal.SIGINT)
    wait_for_word(tmp_path, "Stopping")
    assert runner.reap(pid, within=0.3) is None
    os.kill(pid, signal.SIGINT)
    assert 130 == runner.reap(pid), log_of(tmp_path)
    assert "run it again with the same journal" in log_of(tmp_path)
    kept = kept_in(tmp_path)
    assert set() == unconfirmed_in(kept)
    assert len(here.log.charges) == len({one.prediction.id for one in kept if one.prediction is not None})
    check_nothing_lost(tmp_path)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_row_28_ctrl_c_without_more_ado(runner: Runner, site: OpenSite, tmp_path: Path, backend: str) -> None:
    """Without `stop_on_signals` Ctrl-C cancels the loop: submissions on their way end first, and are written down."""
    here = site(SLOW, running_for=10_000)
    pid = runner.start(here, tmp_path, jobs=60, max_submitting=4, backend=backend)
    wait_for_ids(tmp_path, 4)
    os.kill(pid, signal.SIGINT)
    assert 130 == runner.reap(pid), log_of(tmp_path)
    kept = kept_in(tmp_path)
    assert set() == unconfirmed_in(kept)
    assert len(here.log.charges) == len({one.prediction.id for one in kept if one.prediction is not None})


@pytest.mark.parametrize("stop_on_signals", [True, False], ids=["gently", "plainly"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_row_28_the_second_ctrl_c_waits_for_no_answer(
    runner: Runner, site: OpenSite, tmp_path: Path, backend: str, *, stop_on_signals: bool
) -> None:
    """It cuts off answers that take their time, within 2 s; each is logged with its key, and unconfirmed."""
    here = site(Script(submit=[(sleep(25.0) + accepted()).for_ever]))
    order = {"jobs": 60, "max_submitting": 4, "backend": backend, "request_timeout": 30.0}
    pid = runner.start(here, tmp_path, stop_on_signals=stop_on_signals, **order)
    wait_until(lambda: len(here.log.of("submit")) >= 4, tmp_path)
    os.kill(pid, signal.SIGINT)
    assert runner.reap(pid, within=0.3) is None
    os.kill(pid, signal.SIGINT)
    assert 130 == runner.reap(pid, within=8.0), log_of(tmp_path)  # 2 s, and what a busy machine adds
    lost = unconfirmed_in(kept_in(tmp_path))
    assert 4 == len(lost)
    assert all(f"cut off: provider=gptproto key={key}: it may be billed" in log_of(tmp_path) for key in lost)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_row_28_ctrl_c_within_a_submission(runner: Runner, site: OpenSite, tmp_path: Path, backend: str) -> None:
    """A Ctrl-C that comes between the intent and the POST, in the worker's own lines, breaks no submission either."""
    here = site(SLOW, running_for=10_000)
    order = {"jobs": 60, "max_submitting": 4, "backend": backend, "interrupt_at": ("submitted", 6)}
    assert 130 == runner.run(here, tmp_path, **order), log_of(tmp_path)
    kept = kept_in(tmp_path)
    assert set() == unconfirmed_in(kept)
    assert 6 <= len(here.log.charges) == len({one.prediction.id for one in kept if one.prediction is not None})


def test_row_25_a_second_process(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """A second run on the same journal names the first, does not wait for it, and sends nothing."""
    here, other = site(SLOW, running_for=10_000), site()
    first = runner.start(here, tmp_path, jobs=20)
    wait_for_ids(tmp_path, 1)
    assert 1 == runner.run(other, tmp_path, jobs=20)
    assert runner.reap(first, within=0.0) is None
    assert f"in use by process {first} on" in log_of(tmp_path)
    assert [] == list(other.log.requests)
    os.kill(first, signal.SIGKILL)
    runner.reap(first)


def test_row_24_a_place_that_cannot_be_written(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """A journal where nothing can be written is refused before anything is sent: another file is in its way."""
    here, folder = site(), tmp_path / "run"
    folder.mkdir()
    (folder / "journal.db").mkdir()
    assert 1 == runner.run(here, folder, jobs=3)
    assert "JournalError" in log_of(folder)
    assert [] == list(here.log.requests)
