"""The fields that come in several spellings."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from attrs import frozen
from hypothesis import given
from hypothesis import strategies as st

from kling_async.providers.codec.fields import (
    ErrorDetail,
    Milliseconds,
    NsfwFlag,
    Outputs,
    Timestamp,
    as_list,
    as_object,
    parse_code,
    parse_date,
    parse_duration,
    parse_error,
    parse_id,
    parse_output,
    parse_outputs,
    parse_seconds,
    register_fields,
    snake_case_keys,
)
from kling_async.types.converter import strict_converter
from kling_async.types.prediction import Output, OutputKind

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 60
MP4 = b"\0\0\0\x18ftypmp42" + b"\0" * 60

IDS = ["a", "7", "a" * 128, "n49xxxx_kio1", "7c9e6679-7425-40de-944b-e07fc1f90ae7", "a.b", "-", "_", "..a"]
NO_IDS: list[object] = [
    *(None, True, 7, 7.5, [], ["a"], {}, {"id": "a"}, b"a"),
    *("", " ", ".", "..", "a" * 129, "a/b", "../a", "a\\b", "a?b", "a#b", "a%2e", "a b", "a\n", "\na", "a\0"),
    *("ä", "a\u200b", "ａ", "٣", "a:b", "a@b", "con:", "https://x.test/a"),
]


@pytest.mark.parametrize("id", IDS)
def test_ids_that_may_stand_in_an_address(id: str) -> None:
    """Letters, digits, dot, underscore and dash, up to 128 of them, are an id."""
    assert id == parse_id(id)


@pytest.mark.parametrize("id", NO_IDS, ids=repr)
def test_what_is_no_id(id: object) -> None:
    """Null, numbers, slashes, look-alikes and long texts are no id, and none is made of them."""
    assert parse_id(id) is None


def moment(micro: int = 0) -> datetime:
    """Return the moment that the dates below tell."""
    return datetime(2026, 1, 2, 3, 4, 5, micro, tzinfo=UTC)


DATES = {
    "2026-01-02 03:04:05": moment(),
    "2026-01-02T03:04:05": moment(),
    "2026-01-02T03:04:05Z": moment(),
    "2026-01-02t03:04:05z": None,
    " 2026-01-02T03:04:05z ": moment(),
    "2026-01-02T03:04:05.1Z": moment(100_000),
    "2026-01-02T03:04:05.12Z": moment(120_000),
    "2026-01-02T03:04:05.123Z": moment(123_000),
    "2026-01-02T03:04:05.1234Z": moment(123_400),
    "2026-01-02T03:04:05.12345Z": moment(123_450),
    "2026-01-02T03:04:05.123456Z": moment(123_456),
    "2026-01-02T03:04:05.1234567Z": moment(123_456),
    "2026-01-02T03:04:05.12345678Z": moment(123_456),
    "2026-01-02T03:04:05.123456789Z": moment(123_456),
    "2026-01-02T03:04:05.1234567890123Z": moment(123_456),
    "2026-01-02 03:04:05.5": moment(500_000),
    "2026-01-02T03:04:05,5Z": moment(500_000),
    "2026-01-02T03:04:05+00:00": moment(),
    "2026-01-02T11:04:05+08:00": moment(),
    "2026-01-02T11:04:05.5 +0800": moment(500_000),
    "2026-01-01T21:34:05-05:30": moment(),
    "2026-01-02": None,
    "2026-01-02T03:04": None,
    "2026-01-02T03:04:05.Z": None,
    "2026-01-02T03:04:05 PST": None,
    "2026-02-30T03:04:05Z": None,
    "2026-01-02T25:04:05Z": None,
    "2026-01-02T03:04:05+99:99": None,
    "0001-01-01T00:00:00+23:59": None,
    "9999-12-31T23:59:59-23:59": None,
    "٢٠٢٦-01-02T03:04:05Z": None,
    "yesterday": None,
    "": None,
}


@pytest.mark.parametrize(("text", "expected"), DATES.items(), ids=list(DATES))
def test_dates(text: str, expected: datetime | None) -> None:
    """A date is read with 0 to any number of fraction digits, with any zone or none; anything else is left out."""
    seen = parse_date(text)
    assert expected == seen
    assert expected is None or (seen is not None and seen.tzinfo is UTC)


@pytest.mark.parametrize("value", [None, 1767323045, 1767323045.5, True, [], {}])
def test_what_is_no_text_is_no_date(value: object) -> None:
    """A number may count from any day, so it is no date."""
    assert parse_date(value) is None


@given(
    st.datetimes(timezones=st.timezones().map(lambda _: UTC)),
    st.integers(0, 9),
    st.sampled_from(["T", " "]),
    st.integers(-23 * 60, 23 * 60),
)
def test_every_date_that_is_written_is_read(when: datetime, digits: int, between: str, offset: int) -> None:
    """What is written with so many fraction digits and such an offset is read back, cut to microseconds."""
    try:
        local = when.astimezone(timezone(timedelta(minutes=offset)))
    except OverflowError:
        return
    fraction = (f"{when.microsecond:06d}000")[:digits]
    kept = int((fraction + "000000")[:6])
    zone = local.strftime("%z")
    text = f"{local:%m-%d}{between}{local:%H:%M:%S}{'.' + fraction if fraction else ''}{zone}"
    assert when.replace(microsecond=kept) == parse_date(f"{local.year:04d}-{text}")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (380841, 380.841),
        (0.5, 0.0005),
        (1, 0.001),
        (0, None),
        (-5, None),
        (True, None),
        (None, None),
        ("12", None),
        (float("inf"), None),
        (float("nan"), None),
        (10**400, None),
        (-(10**400), None),
        ([], None),
    ],
)
def test_durations(value: object, seconds: float | None) -> None:
    """Milliseconds become seconds; zero stands for unknown, and so does whatever is no length of time."""
    assert seconds == parse_duration(value)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(3.804328, 3.804328), (90, 90.0), (0, None), (-1, None), ("90", None), (True, None), (10**400, None)],
)
def test_seconds(value: object, seconds: float | None) -> None:
    """Seconds stay as they are, with the same exceptions."""
    assert seconds == parse_seconds(value)


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (401, "401"),
        ("401", "401"),
        (" invalid_api_key ", "invalid_api_key"),
        ("x" * 100, "x" * 64),
        ("", None),
        (" ", None),
        (True, None),
        (4.5, None),
        (None, None),
        ({}, None),
    ],
)
def test_codes(value: object, code: str | None) -> None:
    """A code is the same as a number and as text."""
    assert code == parse_code(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ({}, None),
        ([], None),
        (["bad"], None),
        (False, None),
        (500, None),
        ("bad", ErrorDetail(message="bad")),
        ({"message": "bad"}, ErrorDetail(message="bad")),
        ({"message": None, "code": 7}, ErrorDetail(code="7")),
        ({"message": ["bad"], "type": "401"}, ErrorDetail(code="401")),
        ({"message": "bad", "type": "invalid_request_error", "code": "k"}, ErrorDetail(code="k", message="bad")),
        ({"message": "bad", "type": "401", "code": None}, ErrorDetail(code="401", message="bad")),
        ({"message": "bad", "type": "401", "code": ""}, ErrorDetail(code="401", message="bad")),
        ({"detail": "bad"}, ErrorDetail()),
        ({"message": "bad", "code": 503, "type": "content_policy"}, ErrorDetail(code="content_policy", message="bad")),
    ],
)
def test_problems(value: object, problem: ErrorDetail | None) -> None:
    """An error is null, blank, a text, or an object with a message and a code or type."""
    assert problem == parse_error(value)


U, V = "https://x.test/1.png", "https://x.test/2.png"


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, ()),
        (7, ()),
        (True, ()),
        ("", ()),
        (" ", ()),
        ([], ()),
        ({}, ()),
        (U, (U,)),
        ([U, V], (U, V)),
        ([None, U, 5, "", V], (U, V)),
        ([[U], [[V]]], (U, V)),
        ({"url": U}, (U,)),
        ([{"url": U}, {"video_url": V}], (U, V)),
        ({"outputs": [], "output": U}, (U,)),
        ({"outputs": [U], "output": V}, (U,)),
        ({"output": {"result": {"image_urls": [U, V]}}}, (U, V)),
        ({"input": {"images": [U]}, "image": V, "video": V, "last_image": V}, ()),
        ({"urls": {"get": U}}, ()),
        ([[[[[U]]]]], ()),
        ({"output": {"output": {"output": {"output": {"output": U}}}}}, ()),
    ],
)
def test_outputs(value: object, texts: tuple[str, ...]) -> None:
    """Outputs are found as text, in lists and in the objects where clients find them, and never among the inputs."""
    assert texts == parse_outputs(value)


PNG_64, MP4_64 = base64.b64encode(PNG).decode(), base64.b64encode(MP4).decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (U, Output(url=U, kind=OutputKind.VIDEO)),
        (f"  {U}\n", Output(url=U, kind=OutputKind.VIDEO)),
        ("http://127.0.0.1:8765/1.mp4", Output(url="http://127.0.0.1:8765/1.mp4", kind=OutputKind.VIDEO)),
        ("data:image/png;base64,AA", Output(url="data:image/png;base64,AA", kind=OutputKind.IMAGE)),
        ("data:video/mp4;base64,AA", Output(url="data:video/mp4;base64,AA", kind=OutputKind.VIDEO)),
        ("data:;base64,AA", Output(url="data:;base64,AA", kind=OutputKind.VIDEO)),
        (PNG_64, Output(url=f"data:image/png;base64,{PNG_64}", kind=OutputKind.IMAGE)),
        (MP4_64, Output(url=f"data:video/mp4;base64,{MP4_64}", kind=OutputKind.VIDEO)),
        ("838227563994169418", None),
        ("83822756399416941812", None),
        ("https://", None),
        ("https:///etc/passwd", None),
        ("file:///etc/passwd", None),
        ("javascript:alert(1)", None),
        ("/api/v3/files/1.png", None),
        ("ä", None),
        ("", None),
    ],
)
def test_an_output_is_an_address_or_holds_its_bytes(text: str, expected: Output | None) -> None:
    """Addresses and data URIs are outputs, bare base64 of a picture becomes one, and ids and paths are none."""
    assert expected == parse_output(text, kind=OutputKind.VIDEO)


@frozen
class Body:
    outputs: Outputs = Outputs(())
    when: Timestamp | None = None
    millis: Milliseconds | None = None
    unsafe: NsfwFlag | None = None
    error: ErrorDetail | None = None


CONVERTER = register_fields(strict_converter())


@pytest.mark.parametrize(
    ("value", "unsafe"),
    [
        (None, None),
        ([], None),
        ("no", None),
        (0, None),
        ([None, "x"], None),
        (True, True),
        (False, False),
        ([False, False], False),
        ([None, False, True], True),
    ],
)
def test_marks_of_unsafe_outputs(value: object, *, unsafe: bool | None) -> None:
    """One mark among the outputs is enough; where there is none, nothing is claimed."""
    assert unsafe is CONVERTER.structure({"unsafe": value}, Body).unsafe


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["url", "message", "code", "outputs"]), inner),
    max_leaves=12,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(["outputs", "when", "millis", "unsafe", "error"], JSON)))
def test_no_field_fails(body: dict[str, Any]) -> None:
    """What cannot be read counts as left out: these fields never cost a reply that holds an id or an output."""
    seen = CONVERTER.structure(body, Body)
    assert all(isinstance(one, str) for one in seen.outputs)
    assert seen.unsafe in (True, False, None)


@given(JSON, st.sampled_from(OutputKind))
def test_no_output_fails(value: object, kind: OutputKind) -> None:
    """Whatever text is found among outputs, it makes an output or none."""
    made = [parse_output(text, kind=kind) for text in parse_outputs(value)]
    assert [] == [one for one in made if one is not None and not one.url.startswith(("http://", "https://", "data:"))]


def test_names_in_both_spellings_are_one() -> None:
    """CamelCase and snake_case name the same field."""
    names = ["createdAt", "hasNsfwContents", "executionTime", "taskId", "id", "ID", "video_url", "image2Video"]
    expected = ["created_at", "has_nsfw_contents", "execution_time", "task_id", "id", "id", "video_url", "image2_video"]
    assert expected == [next(iter(snake_case_keys({name: 1}))) for name in names]


def test_what_is_no_object_is_an_empty_one() -> None:
    """An object is itself, a list is itself, and anything else is an empty one of either."""
    assert ({"a": 1}, {}, {}, {}) == (as_object({"a": 1}), as_object([1]), as_object(None), as_object("a"))
    assert ([1], [], [], []) == (as_list([1]), as_list({"a": 1}), as_list(None), as_list("a"))
