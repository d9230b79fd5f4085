"""The queue protocol of fal, part by part."""

from __future__ import annotations

from typing import Any

import pytest

from kling_async.providers.codec.fal_queue import (
    as_queue_envelope,
    awaits_result,
    merge_result,
    parse_queue_envelope,
    parse_queue_record,
    queue_path,
)
from kling_async.types.http import HttpResponse

OK = HttpResponse(status=200)
COMPLETED = parse_queue_envelope({"status": "COMPLETED"})


@pytest.mark.parametrize(
    ("endpoint", "action", "path"),
    [
        ("fal-ai/kling-video/v3/pro/text-to-video", "/status", "/fal-ai/kling-video/requests/x/status"),
        ("kling/v4", "", "/kling/v4/requests/x"),
        ("a/b", "/cancel", "/a/b/requests/x/cancel"),
        ("a b/c?d#e/f", "", "/a%20b/c%3Fd%23e/requests/x"),
    ],
)
def test_a_path_has_owner_and_app_only(endpoint: str, action: str, path: str) -> None:
    """The rest of an endpoint is no part of the paths of its requests, and letters that mean something are quoted."""
    assert path == queue_path(endpoint, "x", action)


DETAILS: dict[str, tuple[Any, bool, str | None, str | None]] = {
    "text": ("Request\nnot found", True, None, "Request not found"),
    "blank": (" ", False, None, None),
    "null": (None, False, None, None),
    "a number": (5, False, None, None),
    "an empty list": ([], False, None, None),
    "a list of nothing": ([1, "x", {}, {"msg": 5, "type": None}], False, None, None),
    "a type alone": ([{"type": "missing"}], True, "missing", None),
    "a message alone": ([{"msg": "It broke"}], True, None, "It broke"),
    "a place": ([{"loc": ["body", "images", 3, None, {}], "msg": "too small"}], True, None, "images.3: too small"),
    "a place that is text": ([{"loc": "body", "msg": "bad"}], True, None, "bad"),
    "the policy is never second": (
        [{"type": "missing", "msg": "a"}, {"type": "content_policy_violation", "msg": "b"}],
        True,
        "content_policy_violation",
        "a; b",
    ),
    "at most eight": ([{"msg": str(number)} for number in range(20)], True, None, "0; 1; 2; 3; 4; 5; 6; 7"),
}


@pytest.mark.parametrize(("detail", "refused", "code", "message"), DETAILS.values(), ids=list(DETAILS))
def test_detail_is_text_or_a_list(*, detail: Any, refused: bool, code: str | None, message: str | None) -> None:
    """Both forms of `detail` are read, and what is neither is no error."""
    envelope = parse_queue_envelope({"detail": detail})
    assert (refused, code, message) == (envelope.refused, envelope.code, envelope.message)


def test_the_flat_form_has_its_type_beside_it() -> None:
    """`error_type` is the code, also beside a list with types of its own."""
    body: Any = {"detail": [{"type": "missing", "msg": "a"}], "error_type": "runner_disconnected"}
    assert "runner_disconnected" == parse_queue_envelope(body).code


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(93.7, 93.7), (2, 2.0), (0, None), (-1, None), (True, None), ("5", None), (None, None), (1e300, None)],
)
def test_the_time_of_the_model_is_in_seconds(seconds: Any, expected: float | None) -> None:
    """Whatever is no duration counts as missing."""
    envelope = parse_queue_envelope({"status": "IN_PROGRESS", "metrics": {"inference_time": seconds}})
    assert expected == parse_queue_record(envelope, OK, provider="fal").timings.inference_seconds


@pytest.mark.parametrize(
    ("status", "awaits"),
    [
        ({"status": "COMPLETED"}, True),
        ({"status": " completed "}, True),
        ({"status": "COMPLETED", "error": "why?"}, True),
        ({"status": "COMPLETED", "error_type": "request_timeout"}, False),
        ({"status": "IN_PROGRESS"}, False),
        ({"status": None}, False),
        ({"video": {"url": "https://x.test/a.mp4"}}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_completed_status_awaits_its_result(*, status: Any, awaits: bool) -> None:
    """A status without a result, whose error, if any, has no type yet."""
    assert awaits == awaits_result(parse_queue_envelope(status))


MERGED: dict[str, tuple[int, Any, tuple[str, ...] | None]] = {
    "a video": (200, {"video": {"url": "https://x.test/a.mp4"}}, ("https://x.test/a.mp4",)),
    "images, and what is none": (
        200,
        {"images": [{"url": "https://x.test/a.png"}, {"url": 5}, "x", None]},
        ("https://x.test/a.png",),
    ),
    "another name": (200, {"output": "https://x.test/a.mp4"}, ("https://x.test/a.mp4",)),
    "nothing": (200, {}, ()),
    "a status": (200, {"status": "IN_PROGRESS"}, None),
    "an error under 200": (200, {"detail": "no"}, None),
    "an outage": (503, {"detail": "no"}, None),
    "another key": (401, {"detail": "no"}, None),
    "no error": (422, {}, None),
}


@pytest.mark.parametrize(("http_status", "body", "outputs"), MERGED.values(), ids=list(MERGED))
def test_a_result_is_read_or_is_not_final(http_status: int, body: Any, outputs: tuple[str, ...] | None) -> None:
    """The outputs are those of the result; None is an answer that ends nothing."""
    response = HttpResponse(status=http_status)
    merged = merge_result(COMPLETED, parse_queue_envelope(body), response)
    assert outputs == (None if merged is None else parse_queue_record(merged, response, provider="fal").outputs)


@pytest.mark.parametrize("http_status", [400, 409, 413, 415, 422])
def test_an_answer_of_the_model_ends_the_request(http_status: int) -> None:
    """HTTP 4xx that is not about the key, the account or the address is the model's."""
    response = HttpResponse(status=http_status)
    merged = merge_result(COMPLETED, parse_queue_envelope({"detail": "no"}), response)
    assert merged is not None
    record = parse_queue_record(merged, response, provider="fal")
    assert ("ERROR", "no", None) == (record.status, record.error.message, record.cost)


def test_a_reply_that_is_no_json_has_no_result() -> None:
    """An envelope of any kind becomes one of the queue."""
    plain = parse_queue_envelope(None)
    assert plain is as_queue_envelope(plain)
    assert merge_result(COMPLETED, None, OK) is None
