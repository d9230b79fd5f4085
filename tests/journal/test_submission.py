"""The journal's record of a submission: contents, redaction, and the action when the job is resumed."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from kling_async import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    ContentRejected,
    Decision,
    ImageInput,
    Input,
    InputError,
    Job,
    KlingError,
    NotSent,
    Prediction,
    PredictionFailed,
    RateLimited,
    Shot,
    Status,
    Submission,
    VideoInput,
)
from kling_async.journal.redaction import redact
from kling_async.journal.resume import ResumeAction, resume_action
from kling_async.journal.serialization import dump_submission, load_submission
from kling_async.journal.stored_error import StoredError
from kling_async.journal.submission import input_from, new_submission
from kling_async.types.client_id import ClientId
from kling_async.types.jobs import fingerprint
from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Timings

JOB = Job(ImageInput("a cat"), key="cat")
WHEN = datetime(2026, 11, 20, 12, tzinfo=UTC)

DISK = Path(__file__).parents[1] / "samples" / "disk"

words = st.text(min_size=1, max_size=30)
plain = st.from_regex(re.compile(r"https://[a-z]{1,8}\.example/[a-z]{0,8}\.png", re.ASCII), fullmatch=True)
images = st.builds(
    ImageInput,
    words,
    images=st.lists(plain, max_size=3),
    aspect_ratio=st.none() | st.just("16:9"),
    n=st.integers(1, 9),
    extra=st.dictionaries(words, st.none() | st.booleans() | st.integers() | words, max_size=3),
)
videos = st.builds(
    VideoInput,
    words,
    image=st.none() | plain,
    shots=st.lists(st.builds(Shot, words, st.integers(1, 5)), max_size=3),
    keep_original_sound=st.booleans(),
)
inputs: st.SearchStrategy[Input] = images | videos
predictions = st.builds(
    Prediction,
    provider=st.just("gptproto"),
    model=words,
    id=words,
    status=st.sampled_from([one for one in Status if one is not Status.UNCONFIRMED]),
    native_status=words,
    outputs=st.lists(st.builds(Output, url=plain, kind=st.sampled_from(OutputKind)), max_size=3).map(tuple),
    failure=st.none() | st.builds(Failure, kind=st.sampled_from(FailureKind), message=words),
    nsfw=st.none() | st.booleans(),
    created_at=st.none() | st.just(WHEN),
    timings=st.builds(Timings, inference_seconds=st.none() | st.floats(0, 1e6)),
    cost=st.none() | st.decimals(0, 100, places=3),
)


def new(job: Job = JOB, *, attempt: int = 1) -> Submission:
    """Return the beginning of a submission."""
    return new_submission(job, provider="gptproto", price=Decimal("0.03"), at=1.0, attempt=attempt)


def accepted(status: Status = Status.RUNNING) -> Submission:
    """Return a submission that the provider has, or has ended."""
    return new().sent(2.0).accepted(Prediction(provider="gptproto", model="m", id="id-1", status=status), 3.0)


# Text.


@given(inputs, predictions)
def test_a_submission_is_read_as_it_was_written(input: Input, prediction: Prediction) -> None:
    """Whatever is in it, text and back is the same; and it is one line of ASCII."""
    submission = new(Job(input, key="k")).sent(2.0).accepted(prediction, 3.0)
    text = dump_submission(submission)
    assert submission == load_submission(text)
    assert text.isascii()
    assert "\n" not in text


stored_errors = st.builds(
    StoredError,
    kind=words,
    message=words,
    http_status=st.none() | st.integers(400, 599),
    code=st.none() | words,
    may_be_billed=st.booleans(),
)
moments = st.none() | st.floats(allow_nan=False)
rare = st.fixed_dictionaries(
    {
        "attempt": st.integers(1, 3),
        "labels": st.dictionaries(words, words, max_size=2),
        "input_complete": st.booleans(),
        "price": st.none() | st.decimals(allow_nan=False),
        "stored_error": st.none() | stored_errors,
        "client_id": st.none() | st.builds(ClientId, value=words, origin=words, key_hash=words),
        "files": st.none() | st.lists(words, max_size=2).map(tuple),
        "checksums": st.none() | st.lists(words, max_size=2).map(tuple),
        "decision": st.none() | st.sampled_from([Decision.ATTACHED, Decision.RESUBMITTED]),
        "planned_at": st.floats(allow_nan=False),
        **dict.fromkeys(("sent_at", "accepted_at", "finished_at", "saved_at"), moments),
    }
)


@given(inputs, predictions, rare)
def test_every_field_is_read_as_it_was_written(
    input: Input, prediction: Prediction, facts: Mapping[str, object]
) -> None:
    """So is what few submissions have, a time without end as well; and what is written is JSON."""
    submission = evolve(new(Job(input, key="k")).accepted(prediction, 3.0), **facts)
    text = dump_submission(submission)
    assert submission == load_submission(text)
    assert text == json.dumps(json.loads(text), separators=(",", ":"))


@pytest.mark.parametrize("version", ["0.1", "journal-2"])
@pytest.mark.parametrize("name", ["closed.db", "unconfirmed.db", "run-ended/journal.db"])
def test_the_text_is_that_of_earlier_versions(version: str, name: str) -> None:
    """What they wrote is written again byte by byte: names, order and what is left out are a contract."""
    with closing(sqlite3.connect(f"file:{DISK / version / name}?immutable=1", uri=True)) as connection:
        written = [text for [text] in connection.execute("SELECT body FROM submissions")]
    assert written == [dump_submission(load_submission(text)) for text in written]
    assert written


@given(st.text())
def test_other_text_is_no_submission(text: str) -> None:
    """What is not a submission is a ValueError, whatever it is."""
    with pytest.raises(ValueError, match="no submission"):
        load_submission(text)


@pytest.mark.parametrize("field", ["key", "provider", "model", "fingerprint", "input"])
def test_a_submission_that_lacks_something_is_none(field: str) -> None:
    """Nothing is guessed."""
    text = dump_submission(new())
    with pytest.raises(ValueError, match="no submission"):
        load_submission(text.replace(f'"{field}":', f'"no {field}":', 1))


@given(inputs)
def test_an_input_without_secrets_comes_back(input: Input) -> None:
    """What is kept whole is the input again; the same job is recognised by it."""
    submission = new(Job(input, key="k"))
    if submission.input_complete:
        assert fingerprint(input) == fingerprint(input_from(submission.input)) == submission.fingerprint


# What is left out.


@pytest.mark.parametrize(
    ("given_text", "kept"),
    [
        ("https://a.example/x.png?sig=1&b=2", "https://a.example/x.png"),
        ("see HTTPS://a.example/x#frag and more", "see HTTPS://a.example/x and more"),
        ("data:image/png;base64,AAAA", "data:image/png"),
        ("(data:,hello) stays outside", "(data: stays outside"),
        ("is it? yes", "is it? yes"),
        ("https://a.example/plain", "https://a.example/plain"),
    ],
)
def test_addresses_lose_their_queries_and_data_its_content(given_text: str, kept: str) -> None:
    """Signatures stand in queries; what is no address stays as it is."""
    assert kept == redact(given_text)
    assert {"a": [kept, 1, None]} == redact({"a": [given_text, 1, None]})


@given(st.text(), st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=8))
def test_no_signature_survives(before: str, secret: str) -> None:
    """The query of a URL is removed anywhere in a text."""
    assert f"?{secret}" not in str(redact(f"{before} https://a.example/x?{secret}"))


# What follows.


MINE = ClientId(value="7d4", origin="https://api.example", key_hash="abc")
ENDS = {
    "never sent": new(),
    "sent, and turned away": new().sent(2.0).failed(RateLimited("later"), at=3.0),
    "sent, and no network": new().sent(2.0).failed(NotSent("refused"), at=3.0),
    "sent, and the key refused": new().sent(2.0).failed(AuthenticationError("no"), at=3.0),
    "accepted": accepted(),
    "succeeded": accepted(Status.SUCCEEDED),
    "failed": accepted(Status.FAILED),
    "refused": new().sent(2.0).failed(ContentRejected("no"), at=3.0),
    "lost": new().sent(2.0).failed(AnswerLost("gone"), at=3.0),
    "interrupted": new().sent(2.0).interrupted(),
    "sending": new().sent(2.0),
    "looked up": new().sent(2.0, MINE).resolving(AnswerLost("gone")),
    "interrupted, with a client id": new().sent(2.0, MINE).interrupted(),
}
STEPS = {
    "never sent": ResumeAction.SUBMIT,
    "sent, and turned away": ResumeAction.SUBMIT,
    "sent, and no network": ResumeAction.SUBMIT,
    "sent, and the key refused": ResumeAction.SUBMIT,
    "accepted": ResumeAction.ATTACH,
    "succeeded": ResumeAction.REPLAY,
    "failed": ResumeAction.REPLAY,
    "refused": ResumeAction.REPLAY,
    "lost": ResumeAction.REPLAY,
    "interrupted": ResumeAction.REPLAY,
    "sending": ResumeAction.REPLAY,
    "looked up": ResumeAction.ATTACH,
    "interrupted, with a client id": ResumeAction.ATTACH,
}


def test_what_is_unknown_is_submitted() -> None:
    """A job that no journal knows is submitted."""
    assert ResumeAction.SUBMIT is resume_action(None, JOB)


@pytest.mark.parametrize("how", ENDS)
def test_what_follows_from_how_it_stands(how: str) -> None:
    """Only what certainly did not start is submitted by itself."""
    assert STEPS[how] is resume_action(ENDS[how], JOB)


@pytest.mark.parametrize("how", ENDS)
def test_only_failures_are_retried(how: str) -> None:
    """`resubmit_failed` submits failed and refused jobs again, never unconfirmed ones."""
    step = ResumeAction.RESUBMIT if how in ("failed", "refused") else STEPS[how]
    assert step is resume_action(ENDS[how], JOB, resubmit_failed=True)


@pytest.mark.parametrize(("how", "accept"), list(product(ENDS, [True, False])))
def test_another_input_is_refused_once_something_was_paid(how: str, *, accept: bool) -> None:
    """A changed input is taken where nothing was paid, or where it is accepted as a purchase of its own."""
    other = Job(ImageInput("a dog"), key="cat")
    if accept or STEPS[how] is ResumeAction.SUBMIT or how == "refused":
        assert ResumeAction.RESUBMIT is resume_action(ENDS[how], other, resubmit_changed=accept)
        return
    with pytest.raises(InputError, match="differs from the one already submitted under this key") as caught:
        resume_action(ENDS[how], other)
    assert "cat" == caught.value.key


def test_only_a_decision_resolves_an_unconfirmed_job() -> None:
    """Resubmitted: submit again. Attached: poll. Abandoned: never again."""
    lost = ENDS["lost"]
    assert ResumeAction.RESUBMIT is resume_action(lost.decided(Decision.RESUBMITTED), JOB)
    assert ResumeAction.REPLAY is resume_action(lost.decided(Decision.ABANDONED), JOB, resubmit_failed=True)
    attached = lost.attached("id-7", 9.0)
    assert ResumeAction.ATTACH is resume_action(attached, JOB)
    assert ("id-7", Decision.ATTACHED, 2.0) == (
        attached.prediction and attached.prediction.id,
        attached.decision,
        attached.accepted_at,
    )


ERRORS: dict[str, type[KlingError] | None] = {
    "never sent": None,
    "accepted": None,
    "succeeded": None,
    "failed": PredictionFailed,
    "refused": ContentRejected,
    "lost": AnswerLost,
    "interrupted": AnswerLost,
    "sending": AnswerLost,
    "looked up": AnswerLost,
    "interrupted, with a client id": AnswerLost,
}


@pytest.mark.parametrize("how", ERRORS)
def test_an_error_is_raised_again(how: str) -> None:
    """A later run raises what the first one did, with the job's key, and says whether money may be spent."""
    error = ENDS[how].error()
    assert ERRORS[how] is (None if error is None else type(error))
    if error is not None and how != "failed":
        assert ("cat", "gptproto", how != "refused") == (error.key, error.provider, error.may_be_billed)


def test_facts_of_a_refusal_are_kept() -> None:
    """Status and code of a refusal are fields of the stored error, and signatures are redacted."""
    refused = BadRequest("no: https://a.example/x?sig=1", http_status=400, code="bad")
    error = load_submission(dump_submission(new().failed(refused, at=2.0))).error()
    assert isinstance(error, BadRequest)
    assert ("no: https://a.example/x", 400, "bad") == (error.message, error.http_status, error.code)


def test_what_it_has_cost() -> None:
    """Nothing before it leaves and after a refusal; the provider's price where it is known, else the highest."""
    assert [0, 0] == [ENDS[how].max_cost for how in ("never sent", "refused")]
    assert {Decimal("0.03")} == {ENDS[how].max_cost for how in ("accepted", "lost", "sending", "succeeded")}
    free = evolve(accepted(), prediction=Prediction(provider="gptproto", model="m", id="i", cost=Decimal(0)))
    assert Decimal(0) == free.max_cost


def test_checksums_are_kept_and_older_records_have_none() -> None:
    """A record of saved objects has a checksum of each; one of an earlier version is read as having none."""
    done = Prediction(provider="gptproto", model="m", id="id-1", key="cat", status=Status.SUCCEEDED)
    saved = new().sent(1.0).accepted(done, 2.0).saved(("cat-0.png",), 3.0, checksums=("0" * 64,))
    assert saved == load_submission(dump_submission(saved))
    before = dump_submission(evolve(saved, checksums=None))
    assert "checksums" not in before
    assert load_submission(before).checksums is None


def test_the_source_of_an_output_is_not_written() -> None:
    """A record holds it already, in its provider, its id and its key; read again, its outputs have it."""
    outputs = (Output(url="https://a.test/1.png", kind=OutputKind.IMAGE),)
    done = Prediction(provider="gptproto", model="m", id="id-1", key="cat", status=Status.SUCCEEDED, outputs=outputs)
    text = dump_submission(new().sent(1.0).accepted(done, 2.0))
    assert "source" not in text
    kept = load_submission(text).prediction
    assert kept is not None
    assert done.outputs[0].source == kept.outputs[0].source
