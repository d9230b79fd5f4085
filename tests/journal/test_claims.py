"""The rules of a shared journal: who may submit a job, and whose news counts."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kling_async import AnswerLost, BadRequest, JobStatus, Prediction, RateLimited, Status, Submission
from kling_async.journal.claims import StoredSubmission, is_owned, may_write
from kling_async.journal.submission import Decision
from kling_async.testing.journal_samples import accepted_sample, done_prediction, sample
from kling_async.types.client_id import ClientId

ME, OTHER = 7, 8

PLANNED = sample()
SENT = sample().sent(2.0)
DEFERRED = SENT.failed(RateLimited("later"), at=3.0)
REFUSED = SENT.failed(BadRequest("no"), at=3.0)
RESOLVING = SENT.resolving(AnswerLost("lost"))
LOST = SENT.failed(AnswerLost("lost"), at=3.0)
ABANDONED = LOST.decided(Decision.ABANDONED)
REPEATED = LOST.decided(Decision.RESUBMITTED)
ATTACHED = LOST.attached("id-1", 4.0)
ACCEPTED = accepted_sample()
OTHER_ID = accepted_sample(id="id-9")
UNSAVED = ACCEPTED.finished(done_prediction("cat"), 4.0)
SAVED = UNSAVED.saved(("cat-0.png",), 5.0)
FAILED = ACCEPTED.finished(
    Prediction(provider="example", model="kling-image-o1", id="id-1", key="cat", status=Status.FAILED), 4.0
)
CLIENT_ID = ClientId(value="7d4", origin="https://api.example", key_hash="abc")
FORMS = (
    *(PLANNED, SENT, DEFERRED, REFUSED, RESOLVING, LOST, ABANDONED, REPEATED, ATTACHED),
    *(ACCEPTED, UNSAVED, SAVED, FAILED),
)


def stored(*submissions: Submission, owner: int | None = None) -> list[StoredSubmission]:
    """Store the attempts at one job."""
    return [StoredSubmission(one, owner) for one in submissions]


@pytest.mark.parametrize(
    ("attempts", "may"),
    [
        ([], True),
        (stored(PLANNED), True),
        (stored(DEFERRED), True),
        (stored(PLANNED, owner=OTHER), True),
        *((stored(form), False) for form in FORMS if form not in (PLANNED, DEFERRED)),
        (stored(SENT, owner=ME), True),  # the answer to its own commit was lost
        (stored(evolve(SENT, sent_at=1.0), owner=ME), False),
        (stored(evolve(PLANNED, attempt=2)), False),
        (stored(evolve(REFUSED, attempt=2)), False),
    ],
)
def test_a_first_attempt_is_claimed(attempts: Iterable[StoredSubmission], may: bool) -> None:
    """A job is claimed while nothing of it has been sent, by one owner."""
    assert may is may_write(SENT, attempts, owner=ME)


@pytest.mark.parametrize("before", [form for form in FORMS if form is not SENT])
def test_a_further_attempt_is_claimed(before: Submission) -> None:
    """A further attempt waits for an earlier one that is being submitted, and is made once."""
    second = evolve(SENT, attempt=2)
    assert may_write(second, stored(before), owner=ME)
    assert not may_write(second, stored(SENT, owner=OTHER), owner=ME)
    assert not may_write(second, stored(before, second, owner=OTHER), owner=ME)


@pytest.mark.parametrize("new", [form for form in FORMS if form is not SENT])
@pytest.mark.parametrize("old", FORMS)
def test_an_owner_writes_as_it_likes(old: Submission, new: Submission) -> None:
    """What an owner finds out about its submission is written, also that it has to be made again."""
    assert may_write(new, stored(old, owner=ME), owner=ME)


@pytest.mark.parametrize("owner", [None, OTHER])
@pytest.mark.parametrize("new", [ACCEPTED, UNSAVED, SAVED, FAILED, ATTACHED])
@pytest.mark.parametrize("old", [SENT, RESOLVING, LOST, ABANDONED, REPEATED])
def test_an_id_is_written_whoever_brings_it(old: Submission, new: Submission, owner: int | None) -> None:
    """An id is paid for, so it is recorded where there is none, whatever was decided meanwhile."""
    assert may_write(new, stored(old, owner=owner), owner=ME)


@pytest.mark.parametrize(
    ("old", "new", "may"),
    [
        (ACCEPTED, UNSAVED, True),
        (UNSAVED, SAVED, True),
        (RESOLVING, LOST, True),
        (RESOLVING, REFUSED, True),
        (LOST, REPEATED, True),
        (LOST, ABANDONED, True),
        (ACCEPTED, LOST, False),
        (UNSAVED, ACCEPTED, False),
        (LOST, RESOLVING, False),
        (LOST, DEFERRED, True),  # the one that was cut off says that it certainly did not start
        (evolve(LOST, sent_at=9.0), DEFERRED, False),
        (REPEATED, DEFERRED, False),
        (ABANDONED, DEFERRED, False),
        (evolve(LOST, client_id=CLIENT_ID), evolve(DEFERRED, client_id=CLIENT_ID), False),
        (RESOLVING, DEFERRED, False),
        (ACCEPTED, OTHER_ID, False),
        (REPEATED, ABANDONED, False),
        (REPEATED, LOST, False),
        (ATTACHED, ACCEPTED, False),
    ],
)
def test_what_has_no_owner_goes_on_and_never_back(old: Submission, new: Submission, may: bool) -> None:
    """Any client may find more about a submission without an owner, and none may undo what was found or decided."""
    assert may is may_write(new, stored(old), owner=ME)


@pytest.mark.parametrize("new", [form for form in FORMS if form is not SENT])
@pytest.mark.parametrize("old", [SENT, RESOLVING, ATTACHED, ACCEPTED, UNSAVED])
def test_what_another_owner_has_is_only_ended(old: Submission, new: Submission) -> None:
    """Of a submission that another owner has, an id may be added, or the end of its prediction; nothing else."""
    adds_id = old.prediction is None and new.prediction is not None
    ends = old is ACCEPTED and new in (UNSAVED, SAVED, FAILED)
    assert (adds_id or ends) is may_write(new, stored(old, owner=OTHER), owner=ME)


def test_what_has_something_left_to_do_has_an_owner() -> None:
    """A submission is owned from its sending until it is finished and its files are saved."""
    assert [SENT, RESOLVING, ATTACHED, ACCEPTED, UNSAVED] == [form for form in FORMS if is_owned(form)]


@given(st.lists(st.tuples(st.sampled_from([ME, OTHER]), st.sampled_from([SENT, *FORMS])), max_size=30))
def test_no_order_of_events_lets_two_owners_submit_at_once(steps: list[tuple[int, Submission]]) -> None:
    """Whoever writes what and when: while one owner is submitting an attempt, no other is let in."""
    row: StoredSubmission | None = None
    for owner, form in steps:
        before = [] if row is None else [row]
        if may_write(form, before, owner=owner):
            if form.status is JobStatus.SUBMITTING and row is not None:
                assert row.submission.status is JobStatus.PLANNED or row == StoredSubmission(form, owner)
            row = StoredSubmission(form, owner if is_owned(form) else None)
