"""Rows 25, 26 and 49: one journal by many names, bits that flip in it, and a journal without its log."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

import anyio
import pytest

from kling_async import ImageInput, JournalError, SqliteJournal

from ..journals import submissions_on_disk
from .conftest import OpenSite, client_of, listing
from .flipping import JOBS, aimed_at_the_file, aimed_at_the_log, at_random, flipped, make
from .mutants import build

pytestmark = pytest.mark.anyio

Link: TypeAlias = Callable[[Path], Path | str]


def by_link(path: Path) -> Path:
    """Lead to a file through a symbolic link beside it."""
    link = path.with_name("latest.db")
    link.symlink_to(path.name)
    return link


def by_folder(path: Path) -> Path:
    """Lead to a file through a link to its directory."""
    link = path.parent.with_name("latest")
    link.symlink_to(path.parent.name)
    return link / path.name


def by_hard_link(path: Path) -> Path:
    """Give a file a second name in another directory."""
    link = path.parent.with_name("second") / "copy.db"
    link.parent.mkdir()
    os.link(path, link)
    return link


def by_relative_path(path: Path) -> str:
    """Name a file from the working directory."""
    return os.path.relpath(path)


@pytest.mark.parametrize("way", [by_link, by_folder, by_hard_link, by_relative_path])
async def test_row_25_one_owner_by_every_path(site: OpenSite, tmp_path: Path, way: Link) -> None:
    """A second run that reaches the journal by another path is refused, and nothing is sent for it."""
    here, there = site(), site()
    folder = tmp_path / "run"
    folder.mkdir()
    first = client_of(here, journal=folder / "journal.db")
    async with first:
        await first.submit(ImageInput("a cat"), key="cat")
        other = way(folder / "journal.db")
        with pytest.raises(JournalError, match="in use by process|hard links"):
            async with client_of(there, journal=other):
                pass
        await first.submit(ImageInput("a dog"), key="dog")
    assert [] == list(there.log.requests)
    assert 2 == len(submissions_on_disk(folder / "journal.db"))


async def test_row_25_a_working_directory_that_changes(
    site: OpenSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal named by a relative path stays where it was named, with its lock and its emergency file."""
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    journal = SqliteJournal("journal.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    await journal.open()
    assert {"journal.db", "journal.db.owner", "journal.db.emergency"} <= set(listing(tmp_path / "run"))
    await journal.aclose()
    assert [] == listing(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("name", "killed", "aimed"),
    [("journal.db", False, aimed_at_the_file), ("journal.db-wal", True, aimed_at_the_log)],
    ids=["file", "log after a kill"],
)
def test_row_26_flipped_bits(tmp_path: Path, name: str, killed: bool, aimed: Callable[..., object]) -> None:
    """Of 200 random and 50 aimed flips each is refused or harmless, and what is undamaged opens."""
    place = tmp_path / "run"
    make(place, killed=killed)
    whole = (place / name).read_bytes()
    assert {"refused": 0, "harmless": 2, "harm": 0} == counts(flipped(place, name, iter([whole, whole])))
    came = counts(flipped(place, name, at_random(whole, count=200, seed=7)))
    assert (0, 200) == (came["harm"], came["refused"] + came["harmless"])
    assert came["refused"] > 100
    assert {"refused": 50, "harmless": 0, "harm": 0} == counts(flipped(place, name, aimed(whole)))  # type: ignore[arg-type]


def counts(came: dict[str, list[str]]) -> dict[str, int]:
    """Return how often each thing came of a flip."""
    return {what: len(cases) for what, cases in came.items()}


@pytest.mark.parametrize(
    ("mutant", "where"),
    [
        ("columns without a checksum", "db"),
        ("index not compared", "db"),
        ("seal not compared", "db"),
        ("commits not counted", "db-wal"),
    ],
)
def test_row_26_flips_are_caught_by_this(tmp_path: Path, mutant: str, where: str) -> None:
    """Without the checksum, the comparison, the seal or the count, the same flips let jobs be bought again."""
    (tmp_path / "runs").mkdir()
    flipping = [sys.executable, str(Path(__file__).with_name("flipping.py")), str(tmp_path / "runs")]
    env = {**os.environ, "PYTHONPATH": str(build(mutant, tmp_path / "build"))}
    ran = subprocess.run(flipping, env=env, capture_output=True, text=True, check=True)
    assert json.loads(ran.stdout)[where] > 0


# Row 49: without its log.


async def every_key(path: Path, *, accept_lost_log: bool = False) -> set[str]:
    """Open a journal, and return the keys of its jobs."""
    journal = SqliteJournal(path, accept_lost_log=accept_lost_log)
    await journal.open()
    try:
        return {one.key for one in await journal.submissions()}
    finally:
        await journal.aclose()


def without_log(place: Path) -> None:
    """Remove the log, as a clean-up of odd files does."""
    (place / "journal.db-wal").unlink()


def copied(place: Path) -> None:
    """Leave nothing but the file itself, as `cp journal.db` does."""
    for path in place.iterdir():
        if path.name != "journal.db":
            path.unlink()


def emptied_log(place: Path) -> None:
    """Cut the log to nothing."""
    os.truncate(place / "journal.db-wal", 0)


def cut_log(place: Path) -> None:
    """Cut the log in its middle."""
    log = place / "journal.db-wal"
    os.truncate(log, log.stat().st_size // 2)


@pytest.mark.parametrize("harm", [without_log, copied, emptied_log, cut_log])
async def test_row_49_a_journal_without_its_log(site: OpenSite, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    """It is refused, by its name, however often it is tried, and by readers as well; nothing is sent."""
    here, place = site(), tmp_path / "run"
    make(place, killed=True)
    harm(place)
    for _ in range(2):
        with pytest.raises(JournalError, match=r"journal\.db.* log journal\.db-wal is (missing|cut)") as told:
            async with client_of(here, journal=place / "journal.db"):
                pass
        assert "accept_lost_log=True" in told.value.advice
        assert not told.value.may_be_billed
    assert [] == list(here.log.requests)
    with pytest.raises(JournalError, match=r"its log journal\.db-wal is missing"):
        submissions_on_disk(place / "journal.db")
    known = await every_key(place / "journal.db", accept_lost_log=True)
    assert len(known) < JOBS
    assert known == await every_key(place / "journal.db")  # accepted once is accepted


async def test_row_49_a_tool_that_looked(tmp_path: Path) -> None:
    """A journal whose log another tool has written into it, as SQLite does by itself, lacks nothing and opens."""
    place = tmp_path / "run"
    make(place, killed=True)
    with closing(sqlite3.connect(place / "journal.db")) as connection:
        assert [(JOBS,)] == list(connection.execute("SELECT COUNT(*) FROM submissions"))
    assert not (place / "journal.db-wal").exists()
    assert JOBS == len(submissions_on_disk(place / "journal.db"))
    assert JOBS == len(await every_key(place / "journal.db"))


async def test_row_49_a_log_without_its_journal(tmp_path: Path) -> None:
    """A new journal is not begun beside the log of another, which SQLite would write into it."""
    place = tmp_path / "run"
    make(place, killed=True)
    (place / "journal.db").rename(tmp_path / "journal.db")
    with pytest.raises(JournalError, match=r"is missing, and its log journal\.db-wal exists"):
        await every_key(place / "journal.db")
    (tmp_path / "journal.db").rename(place / "journal.db")
    assert JOBS == len(await every_key(place / "journal.db"))


def test_row_49_a_copy_of_all_of_it_opens(tmp_path: Path) -> None:
    """What is copied with its log, or after it was closed, is as good as the first."""
    place, closed = tmp_path / "run", tmp_path / "closed"
    make(place, killed=True)
    make(closed, killed=False)
    for number, folder in enumerate((place, closed)):
        shutil.copytree(folder, tmp_path / str(number))
        assert JOBS == len(anyio.run(every_key, tmp_path / str(number) / "journal.db"))


def test_row_49_a_full_disk_at_the_end(tmp_path: Path) -> None:
    """A run that cannot call its journal closed, since the disk is full, leaves one that opens."""
    program = Path(__file__).with_name("closing_on_a_full_disk.py")
    subprocess.run([sys.executable, str(program), str(tmp_path / "journal.db")], check=True)
    assert {f"cat-{number}" for number in range(40)} == anyio.run(every_key, tmp_path / "journal.db")
