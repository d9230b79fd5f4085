"""A response that is taken for an unchanged one is read as one by the whole parser, too."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kling_async.errors import KlingError
from kling_async.providers import PROVIDERS
from kling_async.providers.codec.status_peek import peek_status
from kling_async.types.http import HttpResponse
from kling_async.types.prediction import Prediction, Status

from .test_any_json import DOCUMENTS, RECORDS

WORDS = {
    "gptproto": "processing",
    "apiinone": "processing",
    "wavespeed": "processing",
    "fal": "IN_PROGRESS",
    "replicate": "processing",
    "openrouter": "in_progress",
    "comfy": "IN_PROGRESS",
    "kling": "processing",
}


def running(provider: str) -> Prediction:
    """Return a running prediction of a provider."""
    adapter = PROVIDERS[provider]
    return Prediction(
        provider=provider,
        model=next(iter(adapter.models)),
        id="n49xxxx_kio1",
        status=Status.RUNNING,
        native_status=WORDS[provider],
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def response(body: object, *, status: int = 200) -> HttpResponse:
    """Return a response; a body that is no bytes is written as JSON."""
    return HttpResponse(status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode())


def is_unchanged(body: object, *, status: int = 200, last_body: int = 0) -> bool:
    """Return what WaveSpeedAI's adapter says of a response."""
    answer = response(body, status=status)
    return PROVIDERS["wavespeed"].is_unchanged(answer, prediction=running("wavespeed"), last_body=last_body)


PEEKS: dict[str, tuple[bytes, str | None]] = {
    "compact": (b'{"data":{"id":"a","status":"processing"}}', "processing"),
    "with a blank": (b'{"status": "in progress"}', "in progress"),
    "Kling's own": (b'{"data":{"task_status":"processing","task_status_msg":"x"}}', "processing"),
    "twice": (b'{"status":"processing","data":{"status":"completed"}}', None),
    "two names": (b'{"task_status":"processing","status":"completed"}', None),
    "another name": (b'{"request_status":"processing"}', None),
    "in a text": (json.dumps({"prompt": '"status":"processing"'}).encode(), None),
    "in a text, and outside": (json.dumps({"a": '{"status":"x"}', "status": "y"}).encode(), "y"),
    "no text": (b'{"status":3}', None),
    "an escape": (b'{"status":"pro\\u0063essing"}', None),
    "two blanks": (b'{"status":  "processing"}', None),
    "a page": (b'<html>{"status":"processing"}</html>', None),
    "a list": (b'[{"status":"processing"}]', None),
    "cut": (b'{"status":"processing"', None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize(("body", "word"), PEEKS.values(), ids=list(PEEKS))
def test_a_status_is_found_where_it_is_clear(body: bytes, word: str | None) -> None:
    """The word of the only status of an object is found; where there could be another one, none is."""
    assert word == peek_status(body)


def test_the_body_of_the_last_poll_says_nothing_new() -> None:
    """Equal bytes of a success are unchanged, whatever they are; an error never is, nor is a body without a memory."""
    body = b"[1,2]"
    assert is_unchanged(body, last_body=hash(body))
    assert not is_unchanged(body, last_body=hash(b"[1,3]"))
    assert not is_unchanged(body)
    assert not is_unchanged(body, status=503, last_body=hash(body))


@pytest.mark.parametrize(
    ("status", "unchanged"), [("processing", True), ("created", False), ("completed", False), ("Processing", False)]
)
def test_the_word_of_the_last_poll_says_nothing_new(status: str, unchanged: bool) -> None:
    """The same word is unchanged, though a clock beside it moves; any other word is decoded."""
    record = {"id": "n49xxxx_kio1", "status": status, "created_at": "x", "timings": {"inference": 9}}
    assert unchanged is is_unchanged({"code": 200, "data": record})
    assert not is_unchanged({"code": 200, "data": record | {"id": "another"}})


@pytest.mark.parametrize("name", list(WORDS))
@settings(max_examples=150, deadline=None)
@given(body=RECORDS | DOCUMENTS | RECORDS.map(lambda record: {"code": 200, "data": record}), field=st.booleans())
@example(body={"code": 1201, "message": "no", "data": {"id": "a", "status": "processing"}}, field=False)
@example(body={"status": "processing", "error": "failed"}, field=False)
@example(body={"detail": "gone", "status": "IN_PROGRESS"}, field=False)
def test_what_is_called_unchanged_is_unchanged(name: str, body: object, field: bool) -> None:
    """For any document that is called unchanged the parser finds the same status, or an error that ends no job."""
    if isinstance(body, dict) and field:
        inner = body.get("data")
        record = inner if isinstance(inner, dict) else body
        record |= {"status": WORDS[name], "id": "n49xxxx_kio1"}
    provider, prediction, answer = PROVIDERS[name], running(name), response(body)
    if not provider.is_unchanged(answer, prediction=prediction, last_body=0):
        return
    if provider.build_result(prediction, answer) is not None:
        raise AssertionError("a result is ready")
    try:
        parsed = provider.parse_poll(answer, prediction=prediction)
    except KlingError:
        return  # the word and the id are there, and not where the provider writes them: it is polled again
    assert (prediction.status, prediction.native_status) == (parsed.status, parsed.native_status)
