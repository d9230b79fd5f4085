"""What every journal must do, as tests: for those that this package has, and for one of yours.

Each test is a method that pytest finds in a subclass. They run under asyncio and trio, wherever anyio's plugin is on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import TypeAlias

import anyio
from attrs import evolve

from ..effects.journal import Journal
from ..errors import JournalError
from ..inputs import ImageInput, Job
from ..planning.moves import State
from ..planning.submissions import Submission, planned
from ..prediction import Prediction, Status

__all__ = ["JournalSuite", "MakeJournal"]

MakeJournal: TypeAlias = Callable[[], Journal]


class JournalSuite:
    """Tests of a journal. Subclass it under a name that pytest finds, and give it a fixture `make`.

    The fixture returns a function that makes a journal which is not open; called again, it makes one that holds what
    the first one held.
    """

    async def test_what_was_written_is_found(self, make: MakeJournal) -> None:
        """A submission comes back as it was written, and an unknown key is nothing."""
        async with _opened(make) as journal:
            await journal.write(_planned().sent(2.0))
            assert _planned().sent(2.0) == await journal.find("cat")
            assert await journal.find("dog") is None

    async def test_labels_are_kept(self, make: MakeJournal) -> None:
        """A job comes out of a journal with the labels that it went in with."""
        job = Job(ImageInput("a cat"), key="cat", provider="gptproto", labels={"who": "cat"})
        async with _opened(make) as journal:
            await journal.write(planned(job, provider="gptproto", price=None, at=1.0))
            found = await journal.find("cat")
        assert found is not None
        assert (job, {"who": "cat"}) == (found.job(), found.job().labels)

    async def test_a_later_form_takes_the_place_of_an_earlier(self, make: MakeJournal) -> None:
        """Each attempt is kept once, in its latest form; the newest attempt is the job's."""
        async with _opened(make) as journal:
            await journal.write(_planned().sent(2.0))
            await journal.write(_accepted())
            assert [_accepted()] == await journal.submissions()
            await journal.write(_planned(attempt=2))
            assert _planned(attempt=2) == await journal.find("cat")
            assert [_accepted(), _planned(attempt=2)] == await journal.submissions()

    async def test_the_order_is_that_of_the_first_writing(self, make: MakeJournal) -> None:
        """Later forms do not move a submission; states select."""
        async with _opened(make) as journal:
            await journal.write(*(_planned(key).sent(1.0) for key in "abc"))
            await journal.write(_accepted("a"))
            assert [one.key for one in await journal.submissions()] == ["a", "b", "c"]
            assert [one.key for one in await journal.submissions(State.SENDING)] == ["b", "c"]
            assert [one.key for one in await journal.submissions(State.ACCEPTED, State.ENDED)] == ["a"]

    async def test_what_is_paid_for_and_unfinished(self, make: MakeJournal) -> None:
        """What is accepted is unfinished; what succeeded is until its files are saved, where files are wanted."""
        ended = _accepted("b", id="id-2").finished(_done("b"), 4.0)
        saved = _accepted("c", id="id-3").finished(_done("c"), 4.0).saved(("c-0.png",), 5.0)
        async with _opened(make) as journal:
            await journal.write(_accepted("a"), ended, saved, _planned("d"), _planned("e").sent(2.0))
            assert [_accepted("a")] == await journal.unfinished(saving=False)
            assert [_accepted("a"), ended] == await journal.unfinished(saving=True)
            await journal.write(ended.saved(("b-0.png",), 6.0))
            assert [_accepted("a")] == await journal.unfinished(saving=True)

    async def test_what_is_spent(self, make: MakeJournal) -> None:
        """The sum is exact, over every attempt that may cost, at its price or at what the provider says it cost."""
        async with _opened(make) as journal:
            assert Decimal(0) == await journal.spent()
            ended = _accepted("b", id="id-2").finished(evolve(_done("b"), cost=Decimal("0.0100000000000001")), 4.0)
            await journal.write(_accepted("a"), ended, _planned("c"), _planned("d").sent(2.0))
            assert Decimal("0.0700000000000001") == await journal.spent()
            await journal.write(ended.finished(evolve(_done("b"), cost=Decimal(0)), 4.0))
            assert Decimal("0.06") == await journal.spent()
        async with _opened(make) as journal:
            assert Decimal("0.06") == await journal.spent()

    async def test_it_outlives_its_closing(self, make: MakeJournal) -> None:
        """Opened again, a journal holds what it held."""
        for number in range(3):
            async with _opened(make) as journal:
                assert number == len(await journal.submissions())
                await journal.write(_planned(f"cat-{number}"))

    async def test_many_writers_all_hear_that_it_is_done(self, make: MakeJournal) -> None:
        """Five hundred concurrent writes are all kept when their writers go on."""
        async with _opened(make) as journal:

            async def write(number: int) -> None:
                await journal.write(_accepted(f"cat-{number}", id=f"id-{number}"))
                known = await journal.find(f"cat-{number}")
                assert known is not None
                assert known.state is State.ACCEPTED

            async with anyio.create_task_group() as group:
                for number in range(500):
                    group.start_soon(write, number)
            assert len(await journal.submissions()) == 500

    async def test_what_is_rescued_is_there_when_it_is_opened_again(self, make: MakeJournal) -> None:
        """A submission that could not be written, and was saved elsewhere, is taken up."""
        async with _opened(make) as journal:
            await journal.write(_planned().sent(2.0))
            assert await journal.rescue(_accepted())
        for _ in range(2):
            async with _opened(make) as journal:
                assert _accepted() == await journal.find("cat")

    async def test_one_at_a_time(self, make: MakeJournal) -> None:
        """Who opens a journal that is open is told, and the owner does not notice."""
        other = make()
        async with _opened(make) as journal:
            try:
                await other.open()
            except JournalError as error:
                assert not error.may_be_billed  # noqa: PT017 - users need not have pytest's own way
            else:
                raise AssertionError("two have the journal open, and would submit the same jobs")
            await journal.write(_planned())
        async with _opened(lambda: other):
            assert _planned() == await other.find("cat")

    async def test_a_cancelled_writer_has_written_or_not(self, make: MakeJournal) -> None:
        """Cancelling writers breaks nobody else's write."""
        async with _opened(make) as journal:

            async def write(number: int) -> None:
                with anyio.CancelScope() as scope:
                    if number % 2:
                        scope.cancel()
                    await journal.write(_planned(f"cat-{number}"))

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


def _planned(key: str = "cat", *, attempt: int = 1) -> Submission:
    job = Job(ImageInput("a cat"), key=key)
    return planned(job, provider="gptproto", price=Decimal("0.03"), at=1.0, attempt=attempt)


def _accepted(key: str = "cat", *, id: str = "id-1") -> Submission:
    prediction = Prediction(provider="gptproto", model="kling-image-o1", id=id, key=key, status=Status.RUNNING)
    return _planned(key).sent(2.0).accepted(prediction, 3.0)


def _done(key: str) -> Prediction:
    return Prediction(provider="gptproto", model="kling-image-o1", id="id-1", key=key, status=Status.SUCCEEDED)
