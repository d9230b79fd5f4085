"""How jobs stand, as rows: the same answer from an outcome and from a journal."""

from __future__ import annotations

from decimal import Decimal
from pathlib import PurePath

import pytest
from attrs import evolve

from kling_async import (
    AnswerLost,
    AuthenticationError,
    ContentRejected,
    Decision,
    DownloadError,
    Fault,
    FaultKind,
    ImageInput,
    InputError,
    InputFault,
    Job,
    KlingError,
    NotSent,
    Outcome,
    Output,
    OutputKind,
    Prediction,
    PredictionFailed,
    Status,
    Submission,
    VideoInput,
    WaitTimeout,
    rows,
)
from kling_async.planning.submissions import planned
from kling_async.results import flat, row_of_job, row_of_outcome

JOB = Job(ImageInput("a fox"), key="fox", provider="gptproto", labels={"animal": "fox"})
BEGUN = planned(JOB, provider="gptproto", price=Decimal("0.03"), at=1.0)
SENT = BEGUN.sent(2.0)


def prediction(status: Status, **facts: object) -> Prediction:
    """Return the record of the job."""
    made = Prediction(provider="gptproto", model="kling-image-o1", id="id-1", key="fox", status=status)
    return evolve(made, **facts)


DONE = prediction(
    Status.SUCCEEDED, outputs=(Output(url="https://files.example/1.png", kind=OutputKind.IMAGE),), cost=Decimal("0.02")
)
FAILED = prediction(Status.FAILED, fault=Fault(kind=FaultKind.FAILED, message="no luck"))
RUNNING = prediction(Status.RUNNING)
LOST = AnswerLost("cut off")


def refused(error: KlingError, *, lost: bool = False) -> Submission:
    """Return the submission that ended with an error."""
    return SENT.failed(error, lost=lost, at=3.0)


SAME = {
    "succeeded": (Outcome(job=JOB, prediction=DONE), SENT.accepted(DONE, 3.0), "succeeded"),
    "failed": (
        Outcome(job=JOB, prediction=FAILED, error=PredictionFailed(FAILED)),
        SENT.accepted(FAILED, 3.0),
        "failed",
    ),
    "running": (Outcome(job=JOB, prediction=RUNNING), SENT.accepted(RUNNING, 3.0), "running"),
    "refused": (
        Outcome(job=JOB, error=ContentRejected("no foxes")),
        refused(ContentRejected("no foxes")),
        "refused",
    ),
    "lost": (Outcome(job=JOB, error=LOST), refused(LOST, lost=True), "unconfirmed"),
    "put off by the account": (
        Outcome(job=JOB, error=AuthenticationError("wrong key")),
        refused(AuthenticationError("wrong key")),
        "planned",
    ),
    "never sent": (Outcome(job=JOB, error=NotSent("no route")), refused(NotSent("no route")), "planned"),
}


@pytest.mark.parametrize(("outcome", "submission", "status"), SAME.values(), ids=SAME)
def test_outcomes_and_journals_agree(outcome: Outcome, submission: Submission, status: str) -> None:
    """Whoever is asked, a job has one status, one cause, one id and one set of labels."""
    told, kept = row_of_outcome(outcome), row_of_job(JOB, [submission], position=0)
    assert (status, status) == (told.status, kept.status)
    for name in ("key", "provider", "model", "kind", "prompt", "cause", "id", "outputs", "labels"):
        assert getattr(told, name) == getattr(kept, name), name


def test_a_decision_is_told() -> None:
    """What is abandoned is told as such by both, and what is to be submitted anew is planned, without its old cause."""
    lost = refused(LOST, lost=True)
    abandoned = lost.decided(Decision.ABANDONED)
    assert "abandoned" == row_of_job(JOB, [abandoned], position=0).status
    error = abandoned.error()
    assert isinstance(error, AnswerLost)
    assert "abandoned" == row_of_outcome(Outcome(job=JOB, error=error)).status
    again = row_of_job(JOB, [lost.decided(Decision.RESUBMITTED)], position=0)
    assert ("planned", None) == (again.status, again.cause)


def test_every_attempt_costs() -> None:
    """The cost of a job is that of all its submissions, at their known price or else the highest."""
    first = refused(LOST, lost=True).decided(Decision.RESUBMITTED)
    second = evolve(first, attempt=2, decision=None).sent(9.0).accepted(DONE, 10.0).saved(("fox-0.png",), 11.0)
    row = row_of_job(JOB, [first, second], position=4, folder="media/")
    assert (Decimal("0.05"), 2, 2.0, 10.0, 11.0) == (row.cost, row.attempts, row.sent_at, row.finished_at, row.saved_at)
    assert (("media/fox-0.png",), 4) == (row.files, row.position)
    assert None is row_of_job(JOB, [refused(ContentRejected("no"))], position=0).cost


def test_what_was_never_pulled_is_planned() -> None:
    """A job without a submission is planned, unless it was found wrong."""
    assert ("planned", 0) == ((row := row_of_job(JOB, [], position=0)).status, row.attempts)
    wrong = InputError.of("Not this", [InputFault("n", 10, "must be less")])
    row = row_of_job(JOB, [], position=0, error=wrong)
    assert ("refused", "Not this: n=10: must be less") == (row.status, row.cause)


def test_a_late_error_goes_before_what_the_journal_knows() -> None:
    """A download that failed is told beside the success, and a wait that was too short beside what runs."""
    saved = row_of_job(JOB, [SENT.accepted(DONE, 3.0)], position=0, error=DownloadError("disk full"))
    assert ("succeeded", "disk full") == (saved.status, saved.cause)
    late = WaitTimeout(RUNNING, waited_for=5.0)
    assert "running" == row_of_outcome(Outcome(job=JOB, prediction=RUNNING, error=late)).status


def test_rows_have_the_same_keys() -> None:
    """Each outcome is one flat dict, in order, and labels of any are columns of all; a data URI is no address."""
    inline = evolve(DONE, outputs=(Output(url="data:image/png;base64,AAAA", kind=OutputKind.IMAGE),))
    made = rows(
        [
            Outcome(job=JOB, prediction=inline, files=(PurePath("out/fox-0.png"),)),
            Outcome(job=Job(VideoInput("a dog"), key="dog"), error=LOST),
        ]
    )
    assert [*made[0]] == [*made[1]]
    assert ["fox", None] == [row["label.animal"] for row in made]
    assert (["out/fox-0.png"], [], 0.02, "id-1") == tuple(made[0][name] for name in ("files", "outputs", "cost", "id"))
    assert ("video", "cut off", None) == tuple(made[1][name] for name in ("kind", "error", "provider"))
    assert [] == rows([])


def test_a_flat_row_has_times() -> None:
    """Times are in UTC, and durations in seconds."""
    row = flat(row_of_job(JOB, [SENT.accepted(DONE, 3.25)], position=0))
    assert ("1970-01-01T00:00:02.000+00:00", 1.25) == (row["sent_at"], row["took"])
