"""When another input may be asked for in the place of a refused one, and what a journal has of it."""

from __future__ import annotations

import json

import pytest
from attrs import evolve

from kling_async import (
    BadRequest,
    ContentRejected,
    Decision,
    Failure,
    FailureKind,
    ImageInput,
    InputError,
    Job,
    KlingError,
    Prediction,
    RateLimited,
    Status,
    Submission,
    VideoInput,
)
from kling_async.errors import AnswerLost
from kling_async.journal.joining import joined_prediction
from kling_async.journal.refusals import may_replace, replacement_input
from kling_async.journal.resume import ResumeAction, resume_action
from kling_async.journal.serialization import dump_submission, load_submission
from kling_async.journal.submission import new_submission
from kling_async.types.jobs import fingerprint
from kling_async.types.media_values import MediaFile
from kling_async.types.refusals import content_refusal

RISKY, MILD = ImageInput("a fight", model="kling-image-o1"), ImageInput("a chess game", model="kling-image-o1")
SENT = new_submission(Job(RISKY, key="k"), provider="gptproto", price=None, at=1.0).sent(2.0)
OTHER = evolve(
    new_submission(Job(MILD, key="k"), provider="gptproto", price=None, at=3.0, attempt=2),
    replaces=SENT.fingerprint,
).sent(4.0)


def ended(status: Status, kind: FailureKind = FailureKind.CONTENT_REJECTED) -> Prediction:
    """Return a prediction that did not succeed."""
    failure = Failure(kind=kind, message="no", part="image")
    return Prediction(provider="gptproto", model="m", id="p-1", key="k", status=status, failure=failure)


REFUSED = SENT.failed(ContentRejected("no"), at=3.0)
RUNNING = Prediction(provider="gptproto", model="m", id="p-1", key="k")
MAY = {
    "no journal": (None, True),
    "refused at once": (REFUSED, True),
    "refused as a result": (SENT.accepted(RUNNING, 3.0).finished(ended(Status.FAILED), 4.0), True),
    "refused, and expired": (SENT.accepted(RUNNING, 3.0).finished(ended(Status.EXPIRED), 4.0), True),
    "asked before": (evolve(REFUSED, declined=True), False),
    "replaced, and refused": (OTHER.failed(ContentRejected("no"), at=5.0), False),
    "replaced, and sent": (OTHER, False),
    "replaced, and lost": (OTHER.failed(AnswerLost("?"), at=5.0), False),
    "replaced, and throttled": (OTHER.failed(RateLimited("later"), at=5.0), False),
    "another input": (evolve(REFUSED, fingerprint="0"), False),
    "a bad request": (SENT.failed(BadRequest("no"), at=3.0), False),
    "throttled": (SENT.failed(RateLimited("later"), at=3.0), False),
    "lost": (SENT.failed(AnswerLost("?"), at=3.0), False),
    "abandoned": (SENT.failed(AnswerLost("?"), at=3.0).decided(Decision.ABANDONED), False),
    "in flight": (SENT, False),
    "running": (SENT.accepted(RUNNING, 3.0), False),
    "failed otherwise": (
        SENT.accepted(RUNNING, 3.0).finished(ended(Status.FAILED, FailureKind.FAILED), 4.0),
        False,
    ),
}


@pytest.mark.parametrize(("known", "may"), MAY.values(), ids=list(MAY))
def test_when_it_may_be_asked(known: Submission | None, *, may: bool) -> None:
    """Only a refusal of content is asked about, and only while no attempt and no answer came after it."""
    assert may is may_replace(known, RISKY)


ENDS: dict[str, tuple[Prediction | None, KlingError | None, bool]] = {
    "refused at once": (None, ContentRejected("no"), True),
    "refused as a result": (ended(Status.FAILED), None, True),
    "a refused poll": (RUNNING, ContentRejected("no"), False),
    "failed otherwise": (ended(Status.FAILED, FailureKind.FAILED), None, False),
    "a bad request": (None, BadRequest("no"), False),
    "no error": (RUNNING, None, False),
}


@pytest.mark.parametrize(("prediction", "error", "is_refusal"), ENDS.values(), ids=list(ENDS))
def test_which_ends_are_refusals(prediction: Prediction | None, error: KlingError | None, *, is_refusal: bool) -> None:
    """A refusal is one of the submission, or the result; a poll that is refused leaves open how the job ends."""
    assert is_refusal is (content_refusal(prediction, error) is not None)


def test_the_part_of_a_result_is_that_of_its_failure() -> None:
    """What the provider says was refused is in the error of a result as well."""
    refusal = content_refusal(ended(Status.FAILED), None)
    assert refusal is not None
    assert ("image", "p-1", True) == (refusal.part, refusal.id, refusal.may_be_billed)


@pytest.mark.parametrize("resubmit_changed", [True, False])
def test_the_first_input_is_that_of_the_job(*, resubmit_changed: bool) -> None:
    """Both inputs are the job's, whatever the caller allows; a third one is a changed input."""
    done = OTHER.accepted(evolve(RUNNING, status=Status.SUCCEEDED), 5.0)
    for input in (RISKY, MILD):
        action = resume_action(done, Job(input, key="k"), resubmit_changed=resubmit_changed)
        assert ResumeAction.REPLAY is action
    with pytest.raises(InputError):
        resume_action(done, Job(ImageInput("a third"), key="k"))


def test_another_client_has_replaced_it() -> None:
    """A client that wants to submit the first input, or another one in its place, takes what the other one found."""
    found = OTHER.accepted(RUNNING, 5.0)
    mine = evolve(OTHER, fingerprint="mine")
    assert RUNNING.id == (joined_prediction(found, mine) or OTHER.prediction or RUNNING).id
    assert joined_prediction(found, SENT) is not None
    with pytest.raises(InputError):
        joined_prediction(found, evolve(SENT, fingerprint="another"))


def test_it_is_read_as_it_was_written() -> None:
    """A line holds what it replaced, that there was no other input, and the part; earlier lines have none of these."""
    error = ContentRejected("no")
    error.part = "prompt"
    both = [evolve(OTHER.failed(error, at=5.0), declined=True), SENT.accepted(ended(Status.FAILED), 3.0)]
    for one in both:
        assert one == load_submission(dump_submission(one))
    refused = load_submission(dump_submission(both[0])).error()
    assert isinstance(refused, ContentRejected)
    assert "prompt" == refused.part
    written = json.loads(dump_submission(SENT))
    assert {"replaces", "declined"}.isdisjoint(written)
    assert (None, False) == (
        load_submission(json.dumps(written)).replaces,
        load_submission(json.dumps(written)).declined,
    )


def test_media_come_from_the_job() -> None:
    """Where the inputs have the same local media these are taken from the job; else the input is not whole."""
    cat, dog = (
        MediaFile(sha256=name * 64, mime="image/png", size=3, name="a.png", source=b"png") for name in ("a", "b")
    )
    given = VideoInput("a fight", model="kling-o1-std", image=cat)
    mild = evolve(given, prompt="a chess game")
    known = new_submission(Job(mild, key="k"), provider="gptproto", price=None, at=1.0, replaces=fingerprint(given))
    same, is_whole = replacement_input(known, Job(given, key="k"))
    assert (mild, True) == (same, is_whole)
    assert b"png" == getattr(same.image if isinstance(same, VideoInput) else None, "source", None)
    other, is_whole = replacement_input(known, Job(evolve(given, image=dog), key="k"))
    assert ("a chess game", False) == (other.prompt, is_whole)
