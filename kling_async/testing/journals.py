"""Conformance suites for journals: those of this package, and your own.

Each test is a method that pytest finds in a subclass. They run under asyncio and trio, wherever anyio's plugin is on.
A journal that one client at a time may open passes `SingleOwnerSuite`, one that several share `SharedJournalSuite`; the
tests of `JournalSuite` are in both.
"""

from __future__ import annotations

from decimal import Decimal

import anyio
from attrs import evolve

from ..journal.submission import new_submission
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, JournalError
from ..types.inputs import ImageInput
from ..types.jobs import Job
from ..types.status import JobStatus
from .journal_samples import MakeJournal, accepted_sample, done_prediction, listed, opened_journal, sample

__all__ = ["JournalSuite", "SingleOwnerSuite"]


class JournalSuite:
    """Tests of what every journal does. Subclass one of the two below, under a name that pytest finds.

    A fixture `make` returns a function that makes a journal which is not open; called again, it makes one with the
    contents of the first.
    """

    async def test_a_written_submission_is_found(self, make: MakeJournal) -> None:
        """A submission is read as it was written, and an unknown key gives None."""
        async with opened_journal(make) as journal:
            await journal.write(sample().sent(2.0))
            assert sample().sent(2.0) == await journal.find("cat")
            assert await journal.find("dog") is None

    async def test_labels_are_kept(self, make: MakeJournal) -> None:
        """A job is read with its labels."""
        job = Job(ImageInput("a cat"), key="cat", provider="example", labels={"subject": "cat"})
        async with opened_journal(make) as journal:
            await journal.write(new_submission(job, provider="example", price=None, at=1.0))
            found = await journal.find("cat")
        assert found is not None
        assert (job, {"subject": "cat"}) == (found.job(), found.job().labels)

    async def test_a_later_form_replaces_an_earlier(self, make: MakeJournal) -> None:
        """Each attempt is stored once, in its latest form; the newest attempt is the job's."""
        async with opened_journal(make) as journal:
            await journal.write(sample().sent(2.0))
            await journal.write(accepted_sample())
            assert [accepted_sample()] == await journal.submissions()
            await journal.write(sample(attempt=2))
            assert sample(attempt=2) == await journal.find("cat")
            assert [accepted_sample(), sample(attempt=2)] == await journal.submissions()

    async def test_the_order_is_that_of_the_first_writing(self, make: MakeJournal) -> None:
        """Later forms do not move a submission; statuses select."""
        async with opened_journal(make) as journal:
            await journal.write(*(sample(key).sent(1.0) for key in "abc"))
            await journal.write(accepted_sample("a"))
            assert [one.key for one in await journal.submissions()] == ["a", "b", "c"]
            assert [one.key for one in await journal.submissions(JobStatus.SUBMITTING)] == ["b", "c"]
            assert [one.key for one in await journal.submissions(JobStatus.ACCEPTED, JobStatus.SUCCEEDED)] == ["a"]

    async def test_unfinished_submissions(self, make: MakeJournal) -> None:
        """An accepted job is unfinished; with `saving`, one that succeeded is, too, until its files are saved."""
        ended = accepted_sample("b", id="id-2").finished(done_prediction("b"), 4.0)
        saved = accepted_sample("c", id="id-3").finished(done_prediction("c"), 4.0).saved(("c-0.png",), 5.0)
        async with opened_journal(make) as journal:
            await journal.write(accepted_sample("a"), ended, saved, sample("d"), sample("e").sent(2.0))
            assert [accepted_sample("a")] == await listed(journal.unfinished(saving=False))
            assert [accepted_sample("a"), ended] == await listed(journal.unfinished(saving=True))
            await journal.write(ended.saved(("b-0.png",), 6.0))
            assert [accepted_sample("a")] == await listed(journal.unfinished(saving=True))

    async def test_unfinished_submissions_are_those_of_one_moment(self, make: MakeJournal) -> None:
        """However many there are, each that is unfinished at the beginning is read once, in its newest form."""
        async with opened_journal(make) as journal:
            await journal.write(*(accepted_sample(f"cat-{number}", id=f"id-{number}") for number in range(1100)))
            left = journal.unfinished(saving=False)
            found = [await anext(left)]
            ended = accepted_sample("cat-1099", id="id-1099").finished(done_prediction("cat-1099"), 4.0)
            await journal.write(accepted_sample("late", id="id-late"), ended)
            found += await listed(left)
        assert [f"cat-{number}" for number in range(1100)] == [one.key for one in found]
        assert ended == found[-1]

    async def test_a_submission_that_is_looked_up(self, make: MakeJournal) -> None:
        """One whose answer is lost keeps its client id and is unfinished; it may cost."""
        client_id = ClientId(value="7d4", origin="https://api.example", key_hash="abc")
        resolving = sample().sent(2.0, client_id).resolving(AnswerLost("lost"))
        async with opened_journal(make) as journal:
            await journal.write(resolving)
        async with opened_journal(make) as journal:
            assert [resolving] == await listed(journal.unfinished(saving=False))
            assert [resolving] == await journal.submissions(JobStatus.RESOLVING)
            assert [] == await journal.submissions(JobStatus.ACCEPTED, JobStatus.UNCONFIRMED)
            assert Decimal("0.03") == await journal.spent()

    async def test_the_sum_spent(self, make: MakeJournal) -> None:
        """The sum is exact, over every attempt that may cost, at its price or at the provider's own figure."""
        async with opened_journal(make) as journal:
            assert Decimal(0) == await journal.spent()
            done = evolve(done_prediction("b"), cost=Decimal("0.0100000000000001"))
            ended = accepted_sample("b", id="id-2").finished(done, 4.0)
            await journal.write(accepted_sample("a"), ended, sample("c"), sample("d").sent(2.0))
            assert Decimal("0.0700000000000001") == await journal.spent()
            await journal.write(ended.finished(evolve(done_prediction("b"), cost=Decimal(0)), 4.0))
            assert Decimal("0.06") == await journal.spent()
        async with opened_journal(make) as journal:
            assert Decimal("0.06") == await journal.spent()

    async def test_contents_survive_closing(self, make: MakeJournal) -> None:
        """Opened again, a journal has the same contents."""
        for number in range(3):
            async with opened_journal(make) as journal:
                assert number == len(await journal.submissions())
                await journal.write(sample(f"cat-{number}"))

    async def test_concurrent_writes_are_durable_when_they_return(self, make: MakeJournal) -> None:
        """Five hundred concurrent writes are all stored when they return."""
        async with opened_journal(make) as journal:

            async def write(number: int) -> None:
                await journal.write(accepted_sample(f"cat-{number}", id=f"id-{number}"))
                known = await journal.find(f"cat-{number}")
                assert known is not None
                assert known.status is JobStatus.ACCEPTED

            async with anyio.create_task_group() as group:
                for number in range(500):
                    group.start_soon(write, number)
            assert len(await journal.submissions()) == 500

    async def test_the_emergency_file_is_read_when_it_is_opened_again(self, make: MakeJournal) -> None:
        """A submission that was saved to the emergency file is in the journal after the next opening."""
        async with opened_journal(make) as journal:
            await journal.write(sample().sent(2.0))
            assert await journal.write_emergency(accepted_sample())
        for _ in range(2):
            async with opened_journal(make) as journal:
                assert accepted_sample() == await journal.find("cat")

    async def test_a_cancelled_writer_has_written_or_not(self, make: MakeJournal) -> None:
        """Cancelling one writer breaks no other write."""
        async with opened_journal(make) as journal:

            async def write(number: int) -> None:
                with anyio.CancelScope() as scope:
                    if number % 2:
                        scope.cancel()
                    await journal.write(sample(f"cat-{number}"))

            async with anyio.create_task_group() as group:
                for number in range(40):
                    group.start_soon(write, number)
            keys = {one.key for one in await journal.submissions()}
            assert {f"cat-{number}" for number in range(0, 40, 2)} <= keys


class SingleOwnerSuite(JournalSuite):
    """Tests of a journal that has one owner at a time."""

    async def test_one_at_a_time(self, make: MakeJournal) -> None:
        """Opening an open journal is an error, and does not disturb its owner."""
        other = make()
        async with opened_journal(make) as journal:
            try:
                await other.open()
            except JournalError as error:
                assert not error.may_be_billed  # noqa: PT017 - the suite needs no pytest.raises
            else:
                raise AssertionError("two owners have the journal open, and would submit the same jobs")
            await journal.write(sample())
        async with opened_journal(lambda: other):
            assert sample() == await other.find("cat")
