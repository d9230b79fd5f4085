"""Flips bits in journals, and counts what came of it: `python flipping.py FOLDER`, for the build that is imported.

A flip is refused if the journal is not opened, and harmless if everything in it is as it was written. Whatever else
happens is harm: a job that is not found is bought again.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import anyio

from kling_async import ImageInput, Job, JobStatus, JournalError, Prediction, SqliteJournal, Status, Submission
from kling_async.journal.submission import new_submission

__all__ = ["aimed_at_the_file", "aimed_at_the_log", "at_random", "flipped", "make"]

JOBS: Final = 120
_PAGE: Final = 4096
_LOG_HEADER: Final = 32
_FRAME_HEADER: Final = 24
"""Of SQLite's log: https://www.sqlite.org/fileformat2.html, 4.1."""
_INDEX, _ROWS = 0x0A, 0x0D
"""How pages of the two kinds begin."""
_AIMS: Final = {_INDEX: re.compile(rb"cat-\d{3}"), _ROWS: re.compile(rb"cat-\d{3}(?:accepted|sending)")}


def submissions() -> list[Submission]:
    """Return what is written: every third is on its way, the others are accepted."""
    made: list[Submission] = []
    for number in range(JOBS):
        key = f"cat-{number:03}"
        one = new_submission(
            Job(ImageInput(f"a cat, number {number}"), key=key), provider="gptproto", price=None, at=1.0
        )
        found = Prediction(
            provider="gptproto", model="kling-image-o1", id=f"id-{number}", key=key, status=Status.RUNNING
        )
        made.append(one.sent(2.0) if number % 3 == 0 else one.sent(2.0).accepted(found, 3.0))
    return made


async def _write(path: Path, *, die: bool) -> None:
    journal = SqliteJournal(path)
    await journal.open()
    for at in range(0, JOBS, 4):
        await journal.write(*submissions()[at : at + 4])
    if die:
        os.kill(os.getpid(), signal.SIGKILL)
    await journal.aclose()


def make(folder: Path, *, killed: bool) -> None:
    """Write a journal into a folder and close it, or kill the process that wrote it and leave its log."""
    folder.mkdir()
    if killed:
        subprocess.run([sys.executable, __file__, "--die", str(folder / "journal.db")], check=False)
        assert (folder / "journal.db-wal").exists()
    else:
        anyio.run(lambda: _write(folder / "journal.db", die=False))


def at_random(whole: bytes, *, count: int, seed: int) -> Iterator[bytes]:
    """Yield copies of a file in each of which one bit, or four, are flipped anywhere."""
    chance = random.Random(seed)
    for _ in range(count):
        made = bytearray(whole)
        for _ in range(chance.choice((1, 4))):
            made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)
        yield bytes(made)


def _at(whole: bytes, places: list[int], *, count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for place in chance.sample(places, count):
        made = bytearray(whole)
        made[place] ^= 1 << chance.randrange(8)
        yield bytes(made)


def _places(whole: bytes, kind: int, *, first: int, step: int) -> list[int]:
    """Return where keys stand in the index, and keys and states in the rows: what jobs are found by."""
    found: list[int] = []
    for start in range(first, len(whole), step):
        page = whole[start : start + _PAGE]
        if page[0] == kind:
            found += [start + at for match in _AIMS[kind].finditer(page) for at in range(*match.span())]
    return found


def aimed_at_the_file(whole: bytes) -> Iterator[bytes]:
    """Yield 50 copies with a bit of a key or a state flipped: half in the index, half in the rows."""
    for kind, seed in ((_INDEX, 1), (_ROWS, 2)):
        yield from _at(whole, _places(whole, kind, first=0, step=_PAGE), count=25, seed=seed)


def aimed_at_the_log(whole: bytes) -> Iterator[bytes]:
    """Yield 50 copies with a bit flipped: of the log's head, of its frames' heads, of its end, and of keys in it."""
    step = _FRAME_HEADER + _PAGE
    heads = [at + byte for at in range(_LOG_HEADER, len(whole), step) for byte in range(_FRAME_HEADER)]
    yield from _at(whole, list(range(_LOG_HEADER)), count=10, seed=1)
    yield from _at(whole, heads, count=15, seed=2)
    yield from _at(whole, list(range(len(whole) - step, len(whole))), count=10, seed=3)
    for kind, count in ((_INDEX, 7), (_ROWS, 8)):
        places = _places(whole, kind, first=_LOG_HEADER + _FRAME_HEADER, step=step)
        yield from _at(whole, places, count=count, seed=kind)


async def _read(path: Path) -> list[Submission | None]:
    journal = SqliteJournal(path, durability="normal")
    await journal.open()
    try:
        found = [await journal.find(one.key) for one in submissions()]
        return [
            *await journal.submissions(JobStatus.SUBMITTING),
            *await journal.submissions(JobStatus.ACCEPTED),
            *found,
        ]
    finally:
        await journal.aclose()


def flipped(folder: Path, name: str, spoiled: Iterator[bytes]) -> dict[str, list[str]]:
    """Put each spoiled form in place of a file of a journal, and tell what came of it."""
    came: dict[str, list[str]] = {"refused": [], "harmless": [], "harm": []}
    every = submissions()
    expected = [*(one for one in every if one.status is JobStatus.SUBMITTING)]
    expected += [*(one for one in every if one.status is JobStatus.ACCEPTED), *every]
    trial = folder.with_name(f"{folder.name}-trial")
    for whole in spoiled:
        shutil.copytree(folder, trial)
        (trial / name).write_bytes(whole)
        try:
            found = anyio.run(_read, trial / "journal.db")
            came["harmless" if found == expected else "harm"].append("")
        except JournalError as error:
            came["refused"].append(error.message)
        shutil.rmtree(trial)
    return came


def main(folder: Path) -> None:
    """Flip the aimed bits of both, and print how often that did harm."""
    harm: dict[str, int] = {}
    for name, killed, aimed in (("db", False, aimed_at_the_file), ("db-wal", True, aimed_at_the_log)):
        place = folder / name
        make(place, killed=killed)
        file = f"journal.{name}"
        harm[name] = len(flipped(place, file, aimed((place / file).read_bytes()))["harm"])
    sys.stdout.write(json.dumps(harm) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "--die":
        anyio.run(lambda: _write(Path(sys.argv[2]), die=True))
    main(Path(sys.argv[1]))
