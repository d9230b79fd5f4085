"""The seal of a closed journal: what it saves, and what it does not hide."""

from __future__ import annotations

import sqlite3
import tracemalloc
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from kling_async import ImageInput, Job, JournalError, Prediction, SqliteJournal, Status, Submission
from kling_async.journal.schema import OPEN, VERSION, mark_of
from kling_async.journal.seal import digest_of, read_seal
from kling_async.journal.submission import new_submission
from kling_async.types.prediction import Output, OutputKind

from ..journals import listed

pytestmark = pytest.mark.anyio

MIB = 1 << 20


def unsaved(number: int) -> Submission:
    """Return a submission that succeeded, and whose files are not saved."""
    key = f"cat-{number:05}"
    output = Output(url=f"https://files.example/{key}.png", kind=OutputKind.IMAGE)
    prediction = Prediction(
        provider="gptproto",
        model="kling-image-o1",
        id=f"id-{number}",
        key=key,
        status=Status.SUCCEEDED,
        outputs=(output,),
    )
    job = Job(ImageInput(f"a cat, number {number}"), key=key)
    return new_submission(job, provider="gptproto", price=Decimal("0.03"), at=1.0).sent(2.0).accepted(prediction, 3.0)


async def filled(directory: Path, count: int) -> Path:
    """Make a journal with submissions in it, and close it."""
    journal = SqliteJournal(directory / "journal.db", durability="normal")
    await journal.open()
    for at in range(0, count, 1000):
        await journal.write(*map(unsaved, range(at, min(count, at + 1000))))
    await journal.aclose()
    return journal.path


def is_sealed(path: Path) -> bool:
    """Return whether the seal of a journal is that of its file."""
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection, path.open("rb") as file:
        seal = read_seal(connection)
        return seal is not None and seal.is_of(file, connection)


def changed(path: Path, statement: str) -> None:
    """Change a journal as another tool does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


async def test_a_closed_journal_is_sealed_and_an_open_one_is_not(tmp_path: Path) -> None:
    """The seal holds from closing to closing, and the mark of an open one says that it may be out of date."""
    path = await filled(tmp_path, 50)
    for number in (None, 50, None):
        assert is_sealed(path)
        journal = SqliteJournal(path)
        await journal.open()
        assert VERSION | OPEN == mark_of(path)
        if number is not None:
            await journal.write(unsaved(number))
        await journal.aclose()
    assert is_sealed(path)
    assert list(map(unsaved, range(51))) == await listed(path)


async def test_opening_a_sealed_journal_keeps_nothing_of_its_rows(tmp_path: Path) -> None:
    """Neither rows nor keys are held: a journal of 6 MiB is opened in some blocks of one."""
    path = await filled(tmp_path, 12_000)
    assert path.stat().st_size > 6 * MIB
    journal = SqliteJournal(path)
    tracemalloc.start()
    try:
        await journal.open()
        assert tracemalloc.get_traced_memory()[1] < 3 * MIB
    finally:
        tracemalloc.stop()
    assert unsaved(11_999) == await journal.find("cat-11999")
    assert await journal.find("cat-12000") is None
    await journal.aclose()


async def test_unfinished_submissions_are_read_by_and_by(tmp_path: Path) -> None:
    """Those of a large journal are never in memory together."""
    journal = SqliteJournal(await filled(tmp_path, 5000))
    await journal.open()
    tracemalloc.start()
    try:
        count = 0
        async for one in journal.unfinished(saving=True):
            assert one.key == f"cat-{count:05}"
            count += 1
        assert tracemalloc.get_traced_memory()[1] < 4 * MIB
    finally:
        tracemalloc.stop()
    assert count == 5000
    await journal.aclose()


async def test_a_seal_that_is_not_of_the_file_hides_no_damage(tmp_path: Path) -> None:
    """A row that was changed behind it is found, and the journal is refused and not sealed anew."""
    path = await filled(tmp_path, 50)
    changed(path, "UPDATE submissions SET state = 'planned' WHERE key = 'cat-00007'")
    assert not is_sealed(path)
    for _ in range(2):
        with pytest.raises(JournalError, match="it is damaged"):
            await listed(path)


@pytest.mark.parametrize(
    "statement",
    [
        "VACUUM",
        "DELETE FROM seal",
        "UPDATE seal SET digest = 'none', commits = 'many'",
        "UPDATE seal SET commits = 4711",
        "CREATE INDEX prices ON submissions (paid)",
    ],
)
async def test_a_journal_that_another_tool_has_changed_opens_if_its_rows_are_sound(
    tmp_path: Path, statement: str
) -> None:
    """The seal only saves work: without a valid one the rows are verified, and it is sealed again when it is closed."""
    path = await filled(tmp_path, 50)
    changed(path, statement)
    assert not is_sealed(path)
    assert list(map(unsaved, range(50))) == await listed(path)
    assert is_sealed(path)


async def test_each_byte_counts(tmp_path: Path) -> None:
    """A flip anywhere but in the seal itself, and in the header's volatile fields, makes another digest."""
    path = await filled(tmp_path, 60)
    whole = path.read_bytes()
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as connection:
        [[page]] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'seal'")
        [[first]] = connection.execute("SELECT commits FROM seal")
        seal = read_seal(connection)
        assert seal is not None
        same: set[int] = set()
        for at in [*range(100), *range(100, len(whole), 499)]:
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x10]) + whole[at + 1 :])
            with path.open("rb") as file:
                if seal.digest == digest_of(file, connection, commits=first):
                    same.add(at)
        path.write_bytes(whole[:-4096])
        with path.open("rb") as file:
            assert seal.digest != digest_of(file, connection, commits=first)
    own = range((page - 1) * 4096, page * 4096)
    assert {*range(24, 28), *range(60, 64), *range(92, 100)} == {at for at in same if at not in own}
    assert len(same) > 8
