"""A conformance suite for journals: those of this package, and your own.

Each test is a method that pytest finds in a subclass. They run under asyncio and trio, wherever anyio's plugin is on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import anyio
from attrs import evolve

from ..journal.base import Journal
from ..journal.submission import Submission, new_submission
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, JournalError
from ..types.inputs import ImageInput
from ..types.jobs import Job
from ..types.prediction import Prediction, Status
from ..types.status import JobStatus

__all__ = ["JournalSuite", "MakeJournal"]

MakeJournal: TypeAlias = Callable[[], Journal]


class JournalSuite:
    """Tests of a journal. Subclass it under a name that pytest finds, and add a fixture `make`.

    The fixture returns a function that makes a journal which is not open; called again, it makes one with the contents
    of the first.
    """

    async def test_a_written_submission_is_found(self, make: MakeJournal) -> None:
        """A submission is read as it was written, and an unknown key gives None."""
        async with _opened(make) as journal:
            await journal.write(_new().sent(2.0))
            assert _new().sent(2.0) == await journal.find("cat")
            assert await journal.find("dog") is None

    async def test_labels_are_kept(self, make: MakeJournal) -> None:
        """A job is read with its labels."""
        job = Job(ImageInput("a cat"), key="cat", provider="example", labels={"subject": "cat"})
        async with _opened(make) as journal:
            await journal.write(new_submission(job, provider="example", price=None, at=1.0))
            found = await journal.find("cat")
        assert found is not None
        assert (job, {"subject": "cat"}) == (found.job(), found.job().labels)

    async def test_a_later_form_replaces_an_earlier(self, make: MakeJournal) -> None:
        """Each attempt is stored once, in its latest form; the newest attempt is the job's."""
        async with _opened(make) as journal:
            await journal.write(_new().sent(2.0))
            await journal.write(_accepted())
            assert [_accepted()] == await journal.submissions()
            await journal.write(_new(attempt=2))
            assert _new(attempt=2) == await journal.find("cat")
            assert [_accepted(), _new(attempt=2)] == await journal.submissions()

    async def test_the_order_is_that_of_the_first_writing(self, make: MakeJournal) -> None:
        """Later forms do not move a submission; statuses select."""
        async with _opened(make) as journal:
            await journal.write(*(_new(key).sent(1.0) for key in "abc"))
            await journal.write(_accepted("a"))
            assert [one.key for one in await journal.submissions()] == ["a", "b", "c"]
            assert [one.key for one in await journal.submissions(JobStatus.SUBMITTING)] == ["b", "c"]
            assert [one.key for one in await journal.submissions(JobStatus.ACCEPTED, JobStatus.SUCCEEDED)] == ["a"]

    async def test_unfinished_submissions(self, make: MakeJournal) -> None:
        """An accepted job is unfinished; with `saving`, one that succeeded is, too, until its files are saved."""
        ended = _accepted("b", id="id-2").finished(_done("b"), 4.0)
        saved = _accepted("c", id="id-3").finished(_done("c"), 4.0).saved(("c-0.png",), 5.0)
        async with _opened(make) as journal:
            await journal.write(_accepted("a"), ended, saved, _new("d"), _new("e").sent(2.0))
            assert [_accepted("a")] == await _listed(journal.unfinished(saving=False))
            assert [_accepted("a"), ended] == await _listed(journal.unfinished(saving=True))
            await journal.write(ended.saved(("b-0.png",), 6.0))
            assert [_accepted("a")] == await _listed(journal.unfinished(saving=True))

    async def test_unfinished_submissions_are_those_of_one_moment(self, make: MakeJournal) -> None:
        """However many there are, each that is unfinished at the beginning is read once, in its newest form."""
        async with _opened(make) as journal:
            await journal.write(*(_accepted(f"cat-{number}", id=f"id-{number}") for number in range(1100)))
            left = journal.unfinished(saving=False)
            found = [await anext(left)]
            ended = _accepted("cat-1099", id="id-1099").finished(_done("cat-1099"), 4.0)
            await journal.write(_accepted("late", id="id-late"), ended)
            found += await _listed(left)
        assert [f"cat-{number}" for number in range(1100)] == [one.key for one in found]
        assert ended == found[-1]

    async def test_a_submission_that_is_looked_up(self, make: MakeJournal) -> None:
        """One whose answer is lost keeps its client id and is unfinished; it may cost."""
        client_id = ClientId(value="7d4", origin="https://api.example", key_hash="abc")
        resolving = _new().sent(2.0, client_id).resolving(AnswerLost("lost"))
        async with _opened(make) as journal:
            await journal.write(resolving)
        async with _opened(make) as journal:
            assert [resolving] == await _listed(journal.unfinished(saving=False))
            assert [resolving] == await journal.submissions(JobStatus.RESOLVING)
            assert [] == await journal.submissions(JobStatus.ACCEPTED, JobStatus.UNCONFIRMED)
            assert Decimal("0.03") == await journal.spent()

    async def test_the_sum_spent(self, make: MakeJournal) -> None:
        """The sum is exact, over every attempt that may cost, at its price or at the provider's own figure."""
        async with _opened(make) as journal:
            assert Decimal(0) == await journal.spent()
            ended = _accepted("b", id="id-2").finished(evolve(_done("b"), cost=Decimal("0.0100000000000001")), 4.0)
            await journal.write(_accepted("a"), ended, _new("c"), _new("d").sent(2.0))
            assert Decimal("0.0700000000000001") == await journal.spent()
            await journal.write(ended.finished(evolve(_done("b"), cost=Decimal(0)), 4.0))
            assert Decimal("0.06") == await journal.spent()
        async with _opened(make) as journal:
            assert Decimal("0.06") == await journal.spent()

    async def test_contents_survive_closing(self, make: MakeJournal) -> None:
        """Opened again, a journal has the same contents."""
        for number in range(3):
            async with _opened(make) as journal:
                assert number == len(await journal.submissions())
                await journal.write(_new(f"cat-{number}"))

    async def test_concurrent_writes_are_durable_when_they_return(self, make: MakeJournal) -> None:
        """Five hundred concurrent writes are all stored when they return."""
        async with _opened(make) as journal:

            async def write(number: int) -> None:
                await journal.write(_accepted(f"cat-{number}", id=f"id-{number}"))
                known = await journal.find(f"cat-{number}")
                assert known is not None
                assert known.status is JobStatus.ACCEPTED

            async with anyio.create_task_group() as group:
                for number in range(500):
                    group.start_soon(write, number)
            assert len(await journal.submissions()) == 500

    async def test_the_emergency_file_is_read_when_it_is_opened_again(self, make: MakeJournal) -> None:
        """A submission that was saved to the emergency file is in the journal after the next opening."""
        async with _opened(make) as journal:
            await journal.write(_new().sent(2.0))
            assert await journal.write_emergency(_accepted())
        for _ in range(2):
            async with _opened(make) as journal:
                assert _accepted() == await journal.find("cat")

    async def test_one_at_a_time(self, make: MakeJournal) -> None:
        """Opening an open journal is an error, and does not disturb its owner."""
        other = make()
        async with _opened(make) as journal:
            try:
                await other.open()
            except JournalError as error:
                assert not error.may_be_billed  # noqa: PT017 - the suite needs no pytest.raises
            else:
                raise AssertionError("two owners have the journal open, and would submit the same jobs")
            await journal.write(_new())
        async with _opened(lambda: other):
            assert _new() == await other.find("cat")

    async def test_a_cancelled_writer_has_written_or_not(self, make: MakeJournal) -> None:
        """Cancelling one writer breaks no other write."""
        async with _opened(make) as journal:

            async def write(number: int) -> None:
                with anyio.CancelScope() as scope:
                    if number % 2:
                        scope.cancel()
                    await journal.write(_new(f"cat-{number}"))

            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(write, number)
            keys = {one.key for one in await journal.submissions()}
            assert {f"cat-{number}" for number in range(0, 40, 2)} <= keys


@asynccontextmanager
async def _opened(make: MakeJournal) -> AsyncGenerator[Journal]:
    journal = make()
    await journal.open()
    try:
        yield journal
    finally:
        await journal.aclose()


async def _listed(submissions: AsyncIterator[Submission]) -> list[Submission]:
    return [one async for one in submissions]


def _new(key: str = "cat", *, attempt: int = 1) -> Submission:
    job = Job(ImageInput("a cat"), key=key)
    return new_submission(job, provider="example", price=Decimal("0.03"), at=1.0, attempt=attempt)


def _accepted(key: str = "cat", *, id: str = "id-1") -> Submission:
    prediction = Prediction(provider="example", model="kling-image-o1", id=id, key=key, status=Status.RUNNING)
    return _new(key).sent(2.0).accepted(prediction, 3.0)


def _done(key: str) -> Prediction:
    return Prediction(provider="example", model="kling-image-o1", id="id-1", key=key, status=Status.SUCCEEDED)
