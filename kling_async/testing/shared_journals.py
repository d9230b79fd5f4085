"""A conformance suite for journals that several clients share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import anyio

from ..journal.base import Journal
from ..journal.submission import Decision, Submission
from ..types.client_id import ClientId
from ..types.errors import AnswerLost, BadRequest, JournalError, RateLimited
from ..types.status import JobStatus
from .journal_samples import MakeJournal, accepted_sample, done_prediction, listed, opened_journal, sample
from .journals import JournalSuite

__all__ = ["ExpireLease", "SharedJournalSuite"]

ExpireLease: TypeAlias = Callable[[Journal], Awaitable[None]]


class SharedJournalSuite(JournalSuite):
    """Tests of a journal that several clients have open at once, of which one at a time may submit a job.

    Besides `make` there is a fixture `expire`, an asynchronous function of an open journal. It lets the lease of that
    client end, as if its process had stood still; the journal can still be used.
    """

    async def test_one_client_claims_a_job(self, make: MakeJournal) -> None:
        """Of two clients that submit the same jobs, one submits each; the other is told, and its other jobs go on."""
        async with opened_journal(make) as one, opened_journal(make) as other:
            claimed: list[tuple[str, Journal]] = []

            async def claim(journal: Journal, key: str) -> None:
                if await _may_write(journal, sample(key).sent(2.0)):
                    claimed.append((key, journal))

            async with anyio.create_task_group() as group:
                for number in range(100):
                    for journal in (one, other):
                        group.start_soon(claim, journal, f"cat-{number}")
                        group.start_soon(claim, journal, f"own-{number}-{journal is one}")
            assert sorted(f"cat-{number}" for number in range(100)) == sorted(key for key, _ in claimed if "cat" in key)
            assert 200 == len([key for key, _ in claimed if "own" in key])

    async def test_a_claim_holds_until_its_job_is_free(self, make: MakeJournal) -> None:
        """A job that is submitted, accepted or finished is claimed by no other client; one that was deferred is."""
        async with opened_journal(make) as one, opened_journal(make) as other:
            finished = accepted_sample().finished(done_prediction("cat"), 4.0)
            for step in (sample().sent(2.0), accepted_sample(), finished):
                await one.write(step)
                assert not await _may_write(other, sample().sent(3.0))
                assert step == await other.find("cat")
            await one.write(sample("dog").sent(2.0))
            await one.write(sample("dog").sent(2.0).failed(RateLimited("later"), at=3.0))
            assert await _may_write(other, sample("dog").sent(4.0))
            assert not await _may_write(one, sample("dog").sent(5.0))

    async def test_a_further_attempt_is_claimed_once(self, make: MakeJournal) -> None:
        """Two clients that repeat a failed job repeat it once; no earlier attempt is submitted beside a later one."""
        refused = sample().sent(2.0).failed(BadRequest("no"), at=3.0)
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(refused)
            results = [await _may_write(journal, sample(attempt=2).sent(4.0)) for journal in (one, other)]
            assert [True, False] == results
            assert not await _may_write(other, sample(attempt=3).sent(4.0))
            assert not await _may_write(other, sample().sent(4.0))

    async def test_a_living_client_keeps_its_submissions(self, make: MakeJournal) -> None:
        """A client that opens the journal leaves alone what another one submits, polls or saves."""
        unsaved = accepted_sample("c", id="id-3").finished(done_prediction("c"), 4.0)
        async with opened_journal(make) as one:
            await one.write(sample("a").sent(2.0), accepted_sample("b"), unsaved)
            async with opened_journal(make) as other:
                assert [] == await other.take_over()
                assert [] == await listed(other.unfinished(saving=True))
                assert not await _may_write(other, sample("a").sent(2.0).interrupted())
            assert [sample("a").sent(2.0), accepted_sample("b"), unsaved] == await one.submissions()
            assert [accepted_sample("b"), unsaved] == await listed(one.unfinished(saving=True))

    async def test_any_client_writes_the_end(self, make: MakeJournal) -> None:
        """The end of an accepted job is written by whichever client finds it first, which then saves the files."""
        ended = accepted_sample().finished(done_prediction("cat"), 4.0)
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(accepted_sample())
            await other.write(ended)
            assert not await _may_write(one, accepted_sample())
            await other.write(ended.saved(("cat-0.png",), 5.0))
            assert ended.saved(("cat-0.png",), 5.0) == await one.find("cat")

    async def test_a_closed_journal_leaves_its_submissions(self, make: MakeJournal) -> None:
        """What a client has not finished is the next one's, as soon as it has closed the journal."""
        async with opened_journal(make) as other:
            async with opened_journal(make) as one:
                await one.write(accepted_sample("a"))
            assert [accepted_sample("a")] == await other.take_over()

    async def test_a_gone_client_is_succeeded(self, make: MakeJournal, expire: ExpireLease) -> None:
        """What a client was submitting when it went is unconfirmed or looked up; what was accepted is taken over."""
        client_id = ClientId(value="7d4", origin="https://api.example", key_hash="abc")
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(sample("a").sent(2.0), sample("b").sent(2.0, client_id), accepted_sample("c"))
            await expire(one)
            assert ["b", "c"] == [submission.key for submission in await other.take_over()]
            assert [sample("a").sent(2.0).interrupted()] == await other.submissions(JobStatus.UNCONFIRMED)
            assert not await _may_write(other, sample("a").sent(3.0))
            assert await _may_write(other, accepted_sample("c").finished(done_prediction("c"), 5.0))

    async def test_a_claim_finds_out_that_a_client_is_gone(self, make: MakeJournal, expire: ExpireLease) -> None:
        """A job that a client was submitting when it went is not submitted by another, and is unconfirmed at once."""
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(sample().sent(2.0))
            await expire(one)
            assert not await _may_write(other, sample().sent(3.0))
            assert sample().sent(2.0).interrupted() == await other.find("cat")

    async def test_an_answer_that_comes_late_keeps_its_id(self, make: MakeJournal, expire: ExpireLease) -> None:
        """A client whose lease has ended still writes the id of what it has paid for."""
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(sample().sent(2.0))
            await expire(one)
            await other.take_over()
            await one.write(accepted_sample())
            assert accepted_sample() == await other.find("cat")

    async def test_what_was_certainly_not_sent_is_given_back(self, make: MakeJournal, expire: ExpireLease) -> None:
        """A client whose lease has ended says so of what it had not sent yet, unless somebody has decided about it."""
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(sample("a").sent(2.0), sample("b").sent(2.0))
            await expire(one)
            await other.take_over()
            lost = sample("b").sent(2.0).interrupted()
            await other.write(lost.decided(Decision.RESUBMITTED))
            for key, may in (("a", True), ("b", False)):
                assert may is await _may_write(one, sample(key).sent(2.0).failed(RateLimited("later"), at=4.0))
            assert await _may_write(other, sample("a").sent(5.0))
            assert lost.decided(Decision.RESUBMITTED) == await other.find("b")

    async def test_a_client_whose_lease_has_ended_takes_nothing_back(
        self, make: MakeJournal, expire: ExpireLease
    ) -> None:
        """What a later owner has found stands, whatever the earlier one writes."""
        found = accepted_sample().finished(done_prediction("cat"), 5.0).saved(("cat-0.png",), 6.0)
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(sample().sent(2.0))
            await one.write(accepted_sample())
            await expire(one)
            assert [accepted_sample()] == await other.take_over()
            await other.write(found)
            for late in (sample().sent(2.0), sample().sent(2.0).failed(AnswerLost("lost"), at=4.0), accepted_sample()):
                assert not await _may_write(one, late)
            assert not await _may_write(one, accepted_sample(id="id-9"))
            assert found == await one.find("cat")

    async def test_a_decision_is_taken_once(self, make: MakeJournal) -> None:
        """Of two decisions about an unconfirmed job, the first counts."""
        lost = sample().sent(2.0).failed(AnswerLost("lost"), at=3.0)
        async with opened_journal(make) as one, opened_journal(make) as other:
            await one.write(lost)
            await other.write(lost.decided(Decision.RESUBMITTED))
            assert not await _may_write(one, lost.decided(Decision.ABANDONED))
            assert lost.decided(Decision.RESUBMITTED) == await one.find("cat")


async def _may_write(journal: Journal, submission: Submission) -> bool:
    try:
        await journal.write(submission)
    except JournalError as error:
        assert not error.may_be_billed  # noqa: PT017 - as above
        return False
    return True
