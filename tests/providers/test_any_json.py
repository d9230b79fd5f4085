"""Whatever comes back, a `Prediction` or one of our errors comes out, and never an id that was not there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC
from decimal import Decimal

import pytest
from attrs import evolve
from hypothesis import example, given, note, settings
from hypothesis import strategies as st

from kling_async.errors import AnswerLost, KlingError, Refused, UnexpectedReply
from kling_async.providers import PROVIDERS, Provider
from kling_async.providers.fal_listing import parse_page
from kling_async.types.http import HttpResponse
from kling_async.types.inputs import ImageInput, Input, VideoInput
from kling_async.types.prediction import OutputKind, Prediction, Status

ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
NAMES = {
    "gptproto": ("id", "Id", "ID"),
    "apiinone": ("task_id", "taskId", "id"),
    "wavespeed": ("id", "Id", "ID"),
    "fal": ("request_id",),
    "replicate": ("id", "Id", "ID"),
    "openrouter": ("id", "Id", "ID"),
    "comfy": ("request_id",),
    "kling": ("task_id", "taskId", "id"),
    "atlascloud": ("id", "Id", "ID", "prediction_id", "predictionId"),
}
PIECES = [
    *("## Pricing", "costs **$0.42**", "$", "$1.", "For example, $2", "### Input Schema", "- **`a`** (`integer`):"),
    *('  - Options: `1`, `"b"`', "  - Range: `1` to `9`", "  - Range: `9` to `1`", "  - Range: `1`", "# End"),
]
"""Lines of a page of fal."""
FLAT = ("fal", "comfy")
"""Providers whose bodies have no envelope, so that `data` is a field like any other."""

KEYS = st.sampled_from(
    [
        *("data", "id", "task_id", "taskId", "status", "outputs", "output", "error", "code", "message", "type"),
        *("urls", "get", "url", "result", "images", "video_url", "created_at", "createdAt", "executionTime"),
        *("timings", "inference", "has_nsfw_contents", "hasNsfwContents", "model", "error_code"),
        *("request_id", "detail", "loc", "msg", "error_type", "video", "metrics", "inference_time"),
        *("title", "detail", "data_removed", "metrics", "predict_time"),
        *("unsigned_urls", "polling_url", "usage", "cost", "metadata", "error_type", "reasons"),
        *("task_status", "task_status_msg", "task_result", "videos", "series_images", "result_type"),
        *("create_time", "billing", "charge_type", "currency", "amount"),
    ]
)
WORDS = st.sampled_from(
    [
        *("created", "processing", "COMPLETED", "completed", "success", "failed", "FAILED", "cancelled", "expired"),
        *("starting", "succeeded", "canceled", "aborted", "resets in ~30s", "(E005)"),
        *("timeout", "IN_PROGRESS", "zzz", "", "200", "401", "503", "5004", "Insufficient balance"),
        *("IN_QUEUE", "content_policy_violation", "request_timeout", "Request is still in progress"),
        *("Input may not meet the guidelines.", "2026-01-01 00:00:00", "2026-13-01T00:00:00.123456789Z"),
        *("https://x.test/a.png", "data:image/png;base64,AA", "iVBORw0KGgoAAAANSUhEUgAA", "../../user/me"),
        *("submitted", "succeed", "succeeded", "series", "cash", "USD", "1e999", "0.084", "1303"),
        *("n49xxxx_kio1", "5f3c0d1e9a7b4c2d8e6f0a1b2c3d4e5f", "a" * 128, "a" * 129),
        *("gen-vid-1790000000-AbCdEfGhIjKlMnOpQrSt", "pending", "in_progress", "content_policy_violation"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, 200, 400, 401, 403, 429, 500, 503, 1200, 5004, 10**300, -1]),
    st.floats(),
    WORDS,
    st.text(max_size=20),
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(KEYS, inner, max_size=6),
        st.dictionaries(st.text(max_size=5), inner, max_size=2),
    ),
    max_leaves=15,
)
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "id": WORDS | ANYTHING,
        "task_id": WORDS | ANYTHING,
        "request_id": WORDS | ANYTHING,
        "status": WORDS | ANYTHING,
        "task_status": WORDS | ANYTHING,
        "task_result": ANYTHING,
        "create_time": ANYTHING,
        "billing": st.lists(
            st.fixed_dictionaries({"charge_type": WORDS, "currency": WORDS, "amount": WORDS | ANYTHING}), max_size=2
        ),
        "outputs": st.lists(WORDS) | ANYTHING,
        "error": WORDS | ANYTHING,
        "code": ANYTHING,
        "created_at": WORDS | ANYTHING,
        "timings": ANYTHING,
        "output": WORDS | st.lists(WORDS) | ANYTHING,
        "data_removed": st.booleans() | ANYTHING,
        "has_nsfw_contents": st.lists(st.booleans()) | ANYTHING,
        "detail": WORDS | st.lists(ANYTHING, max_size=3) | ANYTHING,
        "error_type": ANYTHING,
        "video": ANYTHING,
        "images": ANYTHING,
        "metrics": ANYTHING,
        "urls": st.lists(WORDS) | ANYTHING,
        "unsigned_urls": st.lists(WORDS) | ANYTHING,
        "usage": st.fixed_dictionaries({"cost": SCALARS}) | ANYTHING,
    },
)
ENVELOPES = st.fixed_dictionaries(
    {"data": RECORDS | st.lists(RECORDS, max_size=2)}, optional={"code": SCALARS, "message": SCALARS, "error": ANYTHING}
)
DOCUMENTS = ENVELOPES | RECORDS | ANYTHING

BODIES = st.one_of(
    DOCUMENTS.map(lambda value: json.dumps(value).encode()),
    # json writes NaN and infinity, which are no JSON; cut short, neither is the rest.
    st.tuples(DOCUMENTS, st.integers(0, 60)).map(lambda both: json.dumps(both[0]).encode()[: both[1]]),
    st.binary(max_size=200),
    st.text(max_size=50).map(lambda text: text.encode("utf-16", "surrogatepass")),
)
STATUSES = st.sampled_from([200, 200, 200, 201, 202, 204, 302, 400, 401, 403, 404, 429, 500, 502, 503]) | st.integers(
    100, 599
)
HEADERS = st.dictionaries(
    st.sampled_from(["Retry-After", "Date", "Content-Encoding", "content-type"]),
    st.sampled_from(["5", "-1", "gzip", "deflate", "br", "Wed, 21 Oct 2026 12:00:00 GMT"]) | st.text(max_size=10),
)
REPLIES = st.builds(
    lambda status, headers, body: HttpResponse(status=status, headers=headers, body=body), STATUSES, HEADERS, BODIES
)
INPUTS: dict[str, list[Input]] = {
    "gptproto": [ImageInput("a cat"), VideoInput("a dog")],
    "apiinone": [ImageInput("a cat"), VideoInput("a dog", model="kling-3")],
    "wavespeed": [ImageInput("a cat"), VideoInput("a dog")],
    "fal": [ImageInput("a cat"), VideoInput("a dog")],
    "replicate": [VideoInput("a dog"), VideoInput("a dog", model="kling-3.0-pro")],
    "openrouter": [VideoInput("a dog"), VideoInput("a dog", model="kling-o1-pro")],
    "comfy": [ImageInput("a cat"), VideoInput("a dog", model="kling-4.0")],
    "kling": [ImageInput("a cat"), VideoInput("a dog", model="kling-3.0-pro")],
    "atlascloud": [VideoInput("a dog"), VideoInput("a dog", model="kling-3.0-omni-pro")],
}
ASKED = Prediction(
    provider="gptproto",
    model="kling-image-o1",
    id="asked-for",
    key="cat",
    status=Status.QUEUED,
    native_status="created",
)

many = settings(max_examples=400)


def everywhere() -> Iterator[Provider]:
    """Yield each provider: making up a reply takes longer than reading it by all of them."""
    for name, provider in PROVIDERS.items():
        note(name)
        yield provider


def read(parse: Callable[[], Prediction]) -> Prediction | KlingError:
    """Return what comes out; any other exception than ours goes through, and fails the test."""
    try:
        return parse()
    except KlingError as error:
        return error


def hold(seen: Prediction) -> None:
    """Hold a prediction against what is true of every prediction."""
    assert type(seen.native_status) is str
    assert (seen.status is Status.SUCCEEDED) == bool(seen.outputs)
    assert (seen.failure is not None) == (seen.status.is_terminal and seen.status is not Status.SUCCEEDED)
    assert seen.status is not Status.UNCONFIRMED
    for output in seen.outputs:
        assert output.url.startswith(("https://", "http://", "data:"))
        assert output.kind in OutputKind
    assert seen.created_at is None or seen.created_at.tzinfo is UTC
    assert seen.nsfw in (True, False, None)
    assert seen.cost is None or 0 <= seen.cost.normalize() < 10**6
    for seconds in (seen.timings.inference_seconds, seen.timings.execution_seconds):
        assert seconds is None or 0 < seconds < float("inf")


def ids_in(provider: str, document: object) -> list[object]:
    """Return everything in a body that stands where an id may stand, of whatever type."""
    body: dict[str, object] = document if isinstance(document, dict) else {}
    data = body if provider in FLAT else body.get("data", body)
    record = data[0] if isinstance(data, list) and data else data
    return [record[name] for name in NAMES[provider] if name in record] if isinstance(record, dict) else []


@many
@given(reply=REPLIES, number=st.integers(0, 1))
@example(reply=HttpResponse(status=200, body=b'{"data": {"id": null, "task_id": null, "status": "created"}}'), number=0)
@example(
    reply=HttpResponse(status=500, body=b'{"data": {"id": "abc", "task_id": "abc", "status": "created"}}'), number=0
)
def test_any_reply_to_a_submission(reply: HttpResponse, number: int) -> None:
    """Any reply is an accepted prediction, with an id that stands in it as text, or one of our errors."""
    for provider in everywhere():
        hold_submission(provider, reply, number)


def hold_submission(provider: Provider, reply: HttpResponse, number: int) -> None:
    """Hold what a provider makes of a reply to a submission against what is true of all of them."""
    seen = read(lambda: provider.parse_submit(reply, input=INPUTS[provider.name][number], key="cat"))
    if isinstance(seen, KlingError):
        assert isinstance(seen, (Refused, UnexpectedReply, AnswerLost))
        assert (provider.name, reply.status) == (seen.provider, seen.http_status)
        # Comfy's 409 says that an earlier submission has the same idempotency key.
        leaves_open = reply.status // 100 in (1, 3) or (provider.name == "comfy" and reply.status == 409)
        assert isinstance(seen, AnswerLost) == (seen.id is not None or leaves_open)
        assert str(seen).startswith(seen.message)
        return
    assert 200 <= reply.status < 300
    assert ID.fullmatch(seen.id)
    assert seen.id in ids_in(provider.name, seen.raw)
    assert (provider.name, "cat") == (seen.provider, seen.key)
    hold(seen)


@many
@given(reply=REPLIES)
@example(reply=HttpResponse(status=200, body=b'{"code": 500, "data": {"status": "failed", "error": {}}}'))
@example(reply=HttpResponse(status=200, body=b'{"data": {"status": "completed", "outputs": ["https://x"], "id": 5}}'))
def test_any_reply_to_a_poll(reply: HttpResponse) -> None:
    """Any reply is the prediction that was asked for, as it stands now, or one of our errors."""
    for provider in everywhere():
        hold_poll(provider, reply)


def hold_poll(provider: Provider, reply: HttpResponse) -> None:
    """Hold what a provider makes of a reply to a poll against what is true of all of them."""
    asked = evolve(ASKED, provider=provider.name)
    seen = read(lambda: provider.parse_poll(reply, prediction=asked))
    if isinstance(seen, KlingError):
        assert isinstance(seen, (Refused, UnexpectedReply))
        assert (provider.name, reply.status) == (seen.provider, seen.http_status)
        assert str(seen).startswith(seen.message)
        return
    assert 200 <= reply.status < 300
    assert (asked.id, asked.model, asked.key) == (seen.id, seen.model, seen.key)
    hold(seen)


@many
@given(polled=REPLIES, reply=REPLIES)
@example(
    polled=HttpResponse(status=200, body=b'{"status": "COMPLETED"}'),
    reply=HttpResponse(status=422, body=b'{"detail": [{"loc": [[]], "msg": 5, "type": null}, "x"]}'),
)
@example(
    polled=HttpResponse(status=200, body=b'{"status": "COMPLETED", "error": {}, "error_type": []}'),
    reply=HttpResponse(status=200, body=b'{"video": {"url": 5}, "images": [{"url": "https://x.test/a.png"}, 1]}'),
)
def test_any_reply_to_a_request_for_a_result(polled: HttpResponse, reply: HttpResponse) -> None:
    """Where the result takes a request of its own, any two replies are a prediction, or one of our errors."""
    for provider in everywhere():
        hold_result(provider, polled, reply)


def hold_result(provider: Provider, polled: HttpResponse, reply: HttpResponse) -> None:
    """Hold what a provider makes of a poll and a result against what is true of all of them."""
    asked = evolve(ASKED, provider=provider.name)
    provider.build_result(asked, polled)
    seen = read(lambda: provider.parse_result(reply, prediction=asked, polled=polled))
    if isinstance(seen, KlingError):
        assert isinstance(seen, (Refused, UnexpectedReply))
        assert (provider.name, reply.status) == (seen.provider, seen.http_status)
        return
    assert (asked.id, asked.model, asked.key) == (seen.id, seen.model, seen.key)
    hold(seen)


def accepting(provider: Provider, record: dict[str, object]) -> HttpResponse:
    """Write a record as the body of an acceptance."""
    body = record if provider.name in FLAT else {"code": 200, "data": record}
    return HttpResponse(status=200, body=json.dumps(body).encode())


@many
@given(id=ANYTHING.filter(lambda value: not (isinstance(value, str) and ID.fullmatch(value) and value.strip("."))))
def test_nothing_becomes_an_id(id: object) -> None:
    """Whatever is no id where an id should be leaves the submission without one: it is never called accepted."""
    for provider in everywhere():
        record = dict.fromkeys(NAMES[provider.name], id) | {"status": "created"}
        reply = accepting(provider, record)
        with pytest.raises(UnexpectedReply):
            provider.parse_submit(reply, input=INPUTS[provider.name][0], key=None)


@many
@given(id=st.from_regex(ID, fullmatch=True).filter(lambda text: text.strip(".")))
def test_every_id_is_kept_as_it_is(id: str) -> None:
    """An id is taken as it stands, and the poll goes to an address that ends in it and nothing more."""
    for provider in everywhere():
        name = NAMES[provider.name][0]
        reply = accepting(provider, {name: id, "status": "x"})
        seen = provider.parse_submit(reply, input=INPUTS[provider.name][0], key=None)
        assert id == seen.id
        path = provider.build_poll(seen).path
        assert path.removesuffix("/status" if provider.name in FLAT else "/result").endswith(f"/{id}")


AMOUNTS = ("price", "discounted_price", "unit_price", "amount", "balance")
QUOTED = st.builds(
    lambda data, more, is_flat: data | more if is_flat else {"code": 200, "data": data} | more,
    st.dictionaries(st.sampled_from([*AMOUNTS, "currency", "source", "detail"]), SCALARS | ANYTHING, max_size=6),
    st.dictionaries(st.sampled_from(["code", "message", "error_code", "error_type"]), SCALARS, max_size=1),
    st.booleans(),
)


LISTED = st.dictionaries(
    st.sampled_from(["data", "code", "has_more", "next_cursor"]),
    st.lists(
        st.dictionaries(
            st.sampled_from(
                ["id", "model_id", "api_schema", "base_price", "pricing_skus", "supported_durations", "api_schemas"]
            ),
            st.sampled_from(["kling/kling-4.0", "kwaivgi/kling-v3.0-std", "kwaivgi/new"]) | ANYTHING,
        )
        | ANYTHING
    )
    | SCALARS,
)


@settings(max_examples=100)  # a comparison with a whole table takes long
@given(body=LISTED | DOCUMENTS, status=st.sampled_from([200, 200, 200, 403, 500]))
def test_any_list_of_models(body: object, status: int) -> None:
    """Any reply is compared, leads to one more request to the same path, or is one of our errors."""
    reply = HttpResponse(status=status, body=json.dumps(body).encode())
    for name in ("wavespeed", "comfy", "openrouter"):
        note(name)
        hold_list(PROVIDERS[name], reply)


def hold_list(provider: Provider, reply: HttpResponse) -> None:
    """Hold what a provider makes of a list of models against what is true of all of them."""
    first = provider.build_listing([])
    assert first is not None
    try:
        more = provider.build_listing([reply])
        found = provider.compare_listing([reply])
    except (Refused, UnexpectedReply):
        return
    assert reply.status == 200
    assert more is None or more.path.startswith(f"{first.path}&cursor=")
    assert all(one.what for one in found)


@many
@given(st.text() | st.lists(st.sampled_from(PIECES)).map("\n".join))
def test_any_page_of_an_endpoint(text: str) -> None:
    """Any page of fal is read, or is one that describes nothing."""
    page = parse_page(text, endpoint="a")
    assert page is None or page.fields is not None
    assert page is None or all(amount > 0 for amount in page.amounts)


@pytest.mark.parametrize("name", ["wavespeed", "comfy"])
@many
@given(body=QUOTED | DOCUMENTS, status=st.sampled_from([200, 200, 200, 403, 422, 500]))
@example(body={"code": 200, "data": {"price": 10**400}}, status=200)
@example(body={"source": "exact", "amount": float("nan"), "currency": []}, status=200)
def test_any_reply_to_a_question(name: str, body: object, status: int) -> None:
    """Any reply is a price above 0, an amount, nothing, or one of our errors."""
    provider, reply = PROVIDERS[name], HttpResponse(status=status, body=json.dumps(body).encode())
    for parse in (provider.parse_quote, *([provider.parse_balance] if provider.build_balance() else [])):
        try:
            told = parse(reply)
        except (Refused, UnexpectedReply):
            continue
        assert status == 200
        if told is not None and not isinstance(told, Decimal):
            assert 0 < told.low == told.high < 10**9
        assert not isinstance(told, Decimal) or abs(told) < 10**9
