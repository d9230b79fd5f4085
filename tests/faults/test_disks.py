"""Rows 21, 22 and 26, and what is left of 24: disks that are full when it matters most."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .answers import Script, accepted, sleep
from .conftest import OpenSite
from .crashes import Runner, check_nothing_lost, check_paid, ids_told, kept_in, log_of, unconfirmed_in

SLOW = Script(submit=[(sleep(0.05) + accepted()).for_ever])


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Start what forks the runs, once."""
    with Runner() as started:
        yield started


def test_row_21_full_before_a_submission(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """What cannot be written down does not leave; what is paid for is known, and a later run does the rest."""
    here = site(SLOW)
    assert 1 == runner.run(here, tmp_path, jobs=20, max_submitting=1, full_at=("accepted", 3))
    assert "It was not submitted" in log_of(tmp_path)
    assert 3 == len(here.log.charges)
    assert 0 == runner.run(here, tmp_path, jobs=20), log_of(tmp_path)
    check_paid(tmp_path, here.log, jobs=20)


@pytest.mark.parametrize("slots", [1, 8])
def test_row_22_full_between_a_submission_and_its_record(
    runner: Runner, site: OpenSite, tmp_path: Path, slots: int
) -> None:
    """The id goes to the emergency file and into the error, nothing more is submitted, and the next run takes it up."""
    # No answer comes before the last of them is on its way, however busy the machine is.
    here = site(Script(submit=[(sleep(1.0) + accepted()).for_ever]))
    assert 1 == runner.run(here, tmp_path, jobs=20, max_submitting=slots, full_at=("submitted", slots))
    charged = {ids[0] for ids in here.log.charges.values()}
    rescued = (tmp_path / "journal.db.emergency").read_text()
    assert slots == len(charged)
    assert charged == {id for id in charged if f'"id":"{id}"' in rescued}
    assert "JournalError [id p-" in log_of(tmp_path)
    here.script(Script())
    check_nothing_lost(tmp_path)  # this opens the journal, which takes up the emergency file
    assert set() == unconfirmed_in(kept_in(tmp_path))
    assert 0 == runner.run(here, tmp_path, jobs=20), log_of(tmp_path)
    check_paid(tmp_path, here.log, jobs=20)
    assert set() == unconfirmed_in(kept_in(tmp_path))
    assert not (tmp_path / "journal.db.emergency").exists()


def test_row_24_no_descriptors(runner: Runner, site: OpenSite, tmp_path: Path) -> None:
    """Where not even the journal can be opened, nothing is sent."""
    here = site()
    assert 1 == runner.run(here, tmp_path, jobs=3, files=10), log_of(tmp_path)
    assert [] == list(here.log.requests)


@pytest.mark.parametrize("harm", ["cut", "empty", "text", "bits"])
def test_row_26_a_journal_that_is_none(runner: Runner, site: OpenSite, tmp_path: Path, harm: str) -> None:
    """A journal that is cut, emptied, overwritten or damaged is refused before anything is sent, and left as it is."""
    here, journal = site(), tmp_path / "journal.db"
    assert 0 == runner.run(here, tmp_path, jobs=12)
    asked, whole = len(here.log.requests), journal.read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "empty": b"",
        "text": b"notes of mine, and no journal at all\n" * 300,
        "bits": whole.replace(b"cat-7", b"cat-8"),
    }[harm]
    journal.write_bytes(harmed)
    assert 1 == runner.run(here, tmp_path, jobs=12)
    assert "JournalError" in log_of(tmp_path)
    assert harmed == journal.read_bytes()
    assert asked == len(here.log.requests)
    assert 12 == len(ids_told(tmp_path))
