"""The provider's record of one submission."""

from __future__ import annotations

import pickle

import pytest
from attrs import evolve, fields
from attrs.exceptions import FrozenInstanceError

from kling_async.prediction import Fault, FaultKind, Output, OutputKind, Prediction, Status, Timings

PREDICTION = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="abc",
    status=Status.SUCCEEDED,
    native_status="completed",
    outputs=(Output(url="https://x.test/a.png", kind=OutputKind.IMAGE),),
    fault=Fault(kind=FaultKind.FAILED, message="x"),
    raw={"secret": "prompt"},
)


def test_which_statuses_are_final() -> None:
    """Four ends are final; UNCONFIRMED is none, since nobody knows how it ends."""
    assert {Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED} == {
        status for status in Status if status.finished
    }


def test_words_are_texts() -> None:
    """Statuses and kinds are their own lower-case words."""
    for word in (*Status, *OutputKind, *FaultKind):
        assert word.name.lower() == word.value == f"{word}"


@pytest.mark.parametrize("value", [PREDICTION, PREDICTION.outputs[0], PREDICTION.fault, Timings()])
def test_records_do_not_change(value: object) -> None:
    """A record is a value: no field of it can be set."""
    with pytest.raises(FrozenInstanceError):
        setattr(value, fields(type(value))[0].name, "b")  # type: ignore[arg-type]


def test_what_is_not_known_is_none() -> None:
    """A prediction that has just been accepted claims nothing."""
    fresh = Prediction(provider="p", model="m", id="i")
    unknown = (fresh.key, fresh.fault, fresh.flagged, fresh.created_at, fresh.cost, fresh.raw)
    assert (None,) * 6 == unknown
    assert ((), Timings(inference_for=None, execution_for=None)) == (fresh.outputs, fresh.timings)
    assert (Status.QUEUED, "") == (fresh.status, fresh.native_status)


def test_the_reply_is_kept_and_not_shown() -> None:
    """The reply it was read from is kept; it neither fills logs nor makes two equal records differ."""
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
