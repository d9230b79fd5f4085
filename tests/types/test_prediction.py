"""The provider's record of one submission."""

from __future__ import annotations

import pickle

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError

from kling_async.types.prediction import Failure, FailureKind, Output, OutputKind, Prediction, Status, Timings

PREDICTION = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="abc",
    status=Status.SUCCEEDED,
    native_status="completed",
    outputs=(Output(url="https://x.test/a.png", kind=OutputKind.IMAGE),),
    failure=Failure(kind=FailureKind.FAILED, message="x"),
    raw={"secret": "prompt"},
)


def test_which_statuses_are_final() -> None:
    """Four statuses are terminal; UNCONFIRMED is not, since its end is unknown."""
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED} == {
        status for status in Status if status.is_terminal
    }


@pytest.mark.parametrize("status", list(Status))
def test_success_is_one_status(status: Status) -> None:
    """A prediction succeeded with that status, and with no other."""
    assert (status is Status.SUCCEEDED) is evolve(PREDICTION, status=status).succeeded


def test_words_are_texts() -> None:
    """Statuses and kinds are their own lower-case words."""
    for word in (*Status, *OutputKind, *FailureKind):
        assert word.name.lower() == word.value == f"{word}"


@pytest.mark.parametrize("value", [PREDICTION, PREDICTION.outputs[0], PREDICTION.failure, Timings()])
def test_records_do_not_change(value: object) -> None:
    """A record is a value: no field of it can be set."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(type(value))[0].name, "b")  # type: ignore[arg-type]


def test_unknown_facts_are_none() -> None:
    """A prediction that has just been accepted has no facts but its identity."""
    fresh = Prediction(provider="p", model="m", id="i")
    unknown = (fresh.key, fresh.failure, fresh.nsfw, fresh.created_at, fresh.cost, fresh.raw)
    assert (None,) * 6 == unknown
    assert ((), Timings(inference_seconds=None, execution_seconds=None)) == (fresh.outputs, fresh.timings)
    assert (Status.QUEUED, "") == (fresh.status, fresh.native_status)


def test_the_reply_is_kept_and_not_shown() -> None:
    """The response it was parsed from is kept; it neither fills logs nor makes two equal records differ."""
    assert {"secret": "prompt"} == PREDICTION.raw
    assert "secret" not in repr(PREDICTION)
    assert PREDICTION == evolve(PREDICTION, raw=None)
    assert PREDICTION != evolve(PREDICTION, id="other")


def test_a_long_address_is_shown_in_part() -> None:
    """Megabytes of base64 do not land in a log."""
    short, long = "x" * 100, "x" * 101
    assert f"Output(url='{short}', kind=<OutputKind.IMAGE: 'image'>)" == repr(Output(url=short, kind=OutputKind.IMAGE))
    assert "url='" + "x" * 97 + "...'," in repr(Output(url=long, kind=OutputKind.IMAGE))


def test_predictions_travel_between_processes() -> None:
    """Pickling keeps every field, the reply too."""
    other = pickle.loads(pickle.dumps(PREDICTION))  # noqa: S301
    assert PREDICTION == other
    assert PREDICTION.raw == other.raw


def test_an_output_knows_its_prediction() -> None:
    """Each output has what is needed to fetch it again; that is no part of its equality, and not shown."""
    plain = tuple(Output(url=f"https://a.test/{number}.png", kind=OutputKind.IMAGE) for number in range(2))
    made = Prediction(provider="gptproto", model="m", id="id-1", key="fox", outputs=plain)
    assert plain == made.outputs
    assert [("gptproto", "m", "id-1", "fox", 0), ("gptproto", "m", "id-1", "fox", 1)] == [
        (one.source.provider, one.source.model, one.source.id, one.source.key, one.source.index)
        for one in made.outputs
        if one.source is not None
    ]
    assert "source" not in repr(made)
    assert plain[0].source is None
