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
    Failure,
    FailureKind,
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
from kling_async.journal.submission import new_submission
from kling_async.runs.results import JobError, row_from_job, row_from_outcome, to_dict

JOB = Job(ImageInput("a fox"), key="fox", provider="gptproto", labels={"animal": "fox"})
BEGUN = new_submission(JOB, provider="gptproto", price=Decimal("0.03"), at=1.0)
SENT = BEGUN.sent(2.0)


def prediction(status: Status, **facts: object) -> Prediction:
    """Return the record of the job."""
    made = Prediction(provider="gptproto", model="kling-image-o1", id="id-1", key="fox", status=status)
    return evolve(made, **facts)


DONE = prediction(
    Status.SUCCEEDED, outputs=(Output(url="https://files.example/1.png", kind=OutputKind.IMAGE),), cost=Decimal("0.02")
)
FAILED = prediction(Status.FAILED, failure=Failure(kind=FailureKind.FAILED, message="no luck"))
RUNNING = prediction(Status.RUNNING)
LOST = AnswerLost("cut off")


def refused(error: KlingError) -> Submission:
    """Return the submission that ended with an error."""
    return SENT.failed(error, at=3.0)


SAME = {
    "succeeded": (Outcome(job=JOB, prediction=DONE), SENT.accepted(DONE, 3.0), ("succeeded", None)),
    "failed": (
        Outcome(job=JOB, prediction=FAILED, error=PredictionFailed(FAILED)),
        SENT.accepted(FAILED, 3.0),
        ("failed", "failed"),
    ),
    "accepted": (Outcome(job=JOB, prediction=RUNNING), SENT.accepted(RUNNING, 3.0), ("accepted", None)),
    "refused": (
        Outcome(job=JOB, error=ContentRejected("no foxes")),
        refused(ContentRejected("no foxes")),
        ("failed", "refused"),
    ),
    "lost": (Outcome(job=JOB, error=LOST), refused(LOST), ("unconfirmed", None)),
    "deferred by the account": (
        Outcome(job=JOB, error=AuthenticationError("wrong key")),
        refused(AuthenticationError("wrong key")),
        ("planned", None),
    ),
    "not sent": (Outcome(job=JOB, error=NotSent("no route")), refused(NotSent("no route")), ("planned", None)),
}


@pytest.mark.parametrize(("outcome", "submission", "expected"), SAME.values(), ids=SAME)
def test_outcomes_and_journals_agree(
    outcome: Outcome, submission: Submission, expected: tuple[str, str | None]
) -> None:
    """From an outcome or from a journal, a job has the same status, failure, cause, id and labels."""
    live, stored = row_from_outcome(outcome), row_from_job(JOB, [submission], position=0)
    assert expected == (live.status, live.failure) == (stored.status, stored.failure)
    for name in ("key", "provider", "model", "kind", "prompt", "cause", "id", "outputs", "labels"):
        assert getattr(live, name) == getattr(stored, name), name


def test_a_decision_changes_the_status() -> None:
    """An abandoned job has that status in both, and a job to be resubmitted is planned, without its old cause."""
    lost = refused(LOST)
    abandoned = lost.decided(Decision.ABANDONED)
    assert "abandoned" == row_from_job(JOB, [abandoned], position=0).status
    error = abandoned.error()
    assert isinstance(error, AnswerLost)
    assert "abandoned" == row_from_outcome(Outcome(job=JOB, error=error)).status
    again = row_from_job(JOB, [lost.decided(Decision.RESUBMITTED)], position=0)
    assert ("planned", None) == (again.status, again.cause)


def test_every_attempt_costs() -> None:
    """The cost of a job is that of all its submissions, at their known price or else the highest."""
    first = refused(LOST).decided(Decision.RESUBMITTED)
    second = evolve(first, attempt=2, decision=None).sent(9.0).accepted(DONE, 10.0).saved(("fox-0.png",), 11.0)
    row = row_from_job(JOB, [first, second], position=4, folder="media/")
    assert (Decimal("0.05"), 2, 2.0, 10.0, 11.0) == (row.cost, row.attempts, row.sent_at, row.finished_at, row.saved_at)
    assert (("media/fox-0.png",), 4) == (row.files, row.position)
    assert None is row_from_job(JOB, [refused(ContentRejected("no"))], position=0).cost


def test_a_job_without_a_submission_is_planned() -> None:
    """A job without a submission is planned, unless its input is invalid."""
    assert ("planned", 0) == ((row := row_from_job(JOB, [], position=0)).status, row.attempts)
    wrong = InputError.of("Not this", [InputFault("n", 10, "must be less")])
    row = row_from_job(JOB, [], position=0, error=JobError.of(wrong))
    assert ("failed", "refused", "Not this: n=10: must be less") == (row.status, row.failure, row.cause)


def test_a_late_error_takes_precedence_over_the_journal() -> None:
    """A failed download is shown beside the success, and a wait that timed out beside the accepted job."""
    saved = row_from_job(JOB, [SENT.accepted(DONE, 3.0)], position=0, error=JobError.of(DownloadError("disk full")))
    assert ("succeeded", "disk full") == (saved.status, saved.cause)
    late = WaitTimeout(RUNNING, waited_for=5.0)
    assert "accepted" == row_from_outcome(Outcome(job=JOB, prediction=RUNNING, error=late)).status


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
    row = to_dict(row_from_job(JOB, [SENT.accepted(DONE, 3.25)], position=0))
    assert ("1970-01-01T00:00:02.000+00:00", 1.25) == (row["sent_at"], row["took"])


def test_objects_are_urls() -> None:
    """Files in an object store are URLs, in an outcome and in a journal, and one list with those of a directory."""
    outcome = Outcome(job=JOB, prediction=DONE, files=("s3://bucket/runs/fox-0.png",))
    saved = SENT.accepted(DONE, 3.0).saved(("fox-0.png",), 4.0, checksums=("0" * 64,))
    stored = row_from_job(JOB, [saved], position=0, folder="media/", store="s3://bucket/runs")
    for row in (row_from_outcome(outcome), stored):
        assert ((), ("s3://bucket/runs/fox-0.png",)) == (row.files, row.objects)
        assert ["s3://bucket/runs/fox-0.png"] == to_dict(row)["files"]
