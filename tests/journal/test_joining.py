"""A job that another client is submitting: how long its answer is awaited, and what it is here."""

from __future__ import annotations

import pytest
from attrs import evolve

from kling_async import AnswerLost, BadRequest, InputError, JobStatus, JournalError, RateLimited, Submission
from kling_async.journal.joining import await_answer, joined_prediction
from kling_async.testing import VirtualClock
from kling_async.testing.journal_samples import accepted_sample, sample

pytestmark = pytest.mark.anyio

SENT = sample().sent(2.0)


async def test_an_answer_is_awaited() -> None:
    """The newest submission is read until it has an answer, also while it is looked up."""
    steps = iter([SENT, None, SENT.resolving(AnswerLost("lost")), accepted_sample(), SENT])

    async def find(_: str) -> Submission | None:
        return next(steps)

    async with VirtualClock() as clock:
        assert accepted_sample() == await await_answer(SENT, find=find, clock=clock)
        assert clock.now() < 2.0


async def test_an_answer_that_never_comes_is_not_awaited_for_ever() -> None:
    """After five minutes the wait ends with an error; nothing was sent here, so it costs nothing here."""

    async def find(_: str) -> Submission | None:
        return SENT

    async with VirtualClock() as clock:
        with pytest.raises(JournalError, match="no answer so far") as caught:
            await await_answer(SENT, find=find, clock=clock)
        assert 300.0 <= clock.now() <= 303.0
    assert not caught.value.may_be_billed


def test_an_accepted_submission_is_the_prediction() -> None:
    """What another client was given is the result here."""
    assert accepted_sample().prediction == joined_prediction(accepted_sample(), SENT)


def test_one_that_was_put_off_is_submitted_here() -> None:
    """Where the other client certainly started nothing, there is no result."""
    assert joined_prediction(SENT.failed(RateLimited("later"), at=3.0), SENT) is None


@pytest.mark.parametrize(
    ("known", "error", "may_be_billed"),
    [
        (SENT.failed(BadRequest("no"), at=3.0), BadRequest, False),
        (SENT.failed(AnswerLost("lost"), at=3.0), AnswerLost, True),
        (SENT, AnswerLost, True),
        (evolve(SENT, status=JobStatus.ACCEPTED), JournalError, False),
        (evolve(SENT, fingerprint="other"), InputError, False),
    ],
)
def test_its_errors_are_those_of_the_other(known: Submission, error: type[Exception], may_be_billed: bool) -> None:
    """A refusal and a lost answer are the same for all clients, and another input is refused."""
    with pytest.raises(error) as caught:
        joined_prediction(known, SENT)
    assert may_be_billed is caught.value.may_be_billed
