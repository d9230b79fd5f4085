"""What differs between the models that a provider lists now and those of the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal

import pytest

from kling_async.errors import Refused, UnexpectedReply
from kling_async.providers import PROVIDERS, Price
from kling_async.providers.listing import Difference, KnownModel, ListedModel, differences
from kling_async.testing.sandbox.wavespeed_listing import list_models
from kling_async.types.http import HttpResponse
from kling_async.types.sources import Certainty, Source

WAVESPEED = PROVIDERS["wavespeed"]
IMAGE = "kwaivgi/kling-image-o1"
FIVE = Price(low=Decimal(5), high=Decimal(5), source=Source(Certainty.DOCUMENTED, "a page"))
KNOWN = KnownModel(fields=frozenset({"prompt", "image"}), extras=frozenset({"seed"}), price=FIVE)


def listed(*names: str, price: str | None = None) -> ListedModel:
    """List one model with these fields; without any its schema is not told."""
    return ListedModel(
        id="m", fields=frozenset(names) if names else None, price=None if price is None else Decimal(price)
    )


CASES: dict[str, tuple[KnownModel | None, ListedModel | None, list[str]]] = {
    "the same": (KNOWN, listed("prompt", "image", "seed", price="5.00"), []),
    "nothing told": (KNOWN, listed(), []),
    "an extra of another scene": (KNOWN, listed("prompt", "image"), []),
    "gone": (KNOWN, None, ["in the table, and not listed"]),
    "new": (None, listed(price="0.5"), ["listed, from $0.50, and not in the table"]),
    "new, without a price": (None, listed(), ["listed, and not in the table"]),
    "a new field": (
        KNOWN,
        listed("prompt", "image", "sound", "hdr"),
        ["takes fields that the table lacks: hdr, sound"],
    ),
    "a lost field": (KNOWN, listed("prompt"), ["lacks fields that the table has: image"]),
    "another price": (KNOWN, listed(price="6"), ["costs $6.00, and $5.00 by the table"]),
    "a price at last": (
        KnownModel(fields=frozenset()),
        listed(price="6"),
        ["has a price, $6.00, where the table has none"],
    ),
}


@pytest.mark.parametrize(("known", "one", "expected"), CASES.values(), ids=list(CASES))
def test_differences(known: KnownModel | None, one: ListedModel | None, expected: list[str]) -> None:
    """Models, fields and prices are compared; what is not told differs in nothing."""
    found = differences({} if known is None else {"m": known}, [] if one is None else [one])
    assert [Difference("m", what) for what in expected] == list(found)


def compared(data: object, *, status: int = 200, code: int = 200) -> dict[str, str]:
    """Return the differences of a list, by model."""
    body = json.dumps({"code": code, "message": "success", "data": data}).encode()
    return {one.model: one.what for one in WAVESPEED.compare_listing(HttpResponse(status=status, body=body))}


def entries() -> list[dict[str, object]]:
    """Return the list of the sandbox."""
    found = list_models("https://x.test")
    assert isinstance(found, list)
    return [dict(one) for one in found if isinstance(one, Mapping)]


def test_the_sandbox_lists_what_the_table_has() -> None:
    """Two readings of WaveSpeedAI's schemas agree: the only differences are base prices that the table leaves open."""
    open_prices = {id for id, what in compared(entries()).items() if "where the table has none" in what}
    assert open_prices == compared(entries()).keys()
    assert {one.rpartition("/")[2] for one in open_prices} <= {
        "motion-control",
        "text-to-video",
        "image-to-video",
        "video-edit",
    }
    assert "kwaivgi/kling-v3.0-pro/motion-control" in open_prices


def test_a_list_that_has_changed() -> None:
    """A model that is gone, a new one, a new field and a new price are each told, and other makers' are left out."""
    left = [one for one in entries() if one["model_id"] not in (IMAGE, "kwaivgi/kling-v4.0/text-to-video")]
    schema = {"request_schema": {"properties": {name: {} for name in ("prompt", "images", "aspect_ratio", "style")}}}
    image = {"model_id": IMAGE, "base_price": 0.03, "api_schema": {"api_schemas": [schema]}}
    new = [{"model_id": "kwaivgi/kling-v5.0", "base_price": 1.5}, {"model_id": "other/kling", "base_price": 1}, {}, "x"]
    seen = compared([*left, image, *new])
    assert "in the table, and not listed" == seen["kwaivgi/kling-v4.0/text-to-video"]
    assert "listed, from $1.50, and not in the table" == seen["kwaivgi/kling-v5.0"]
    assert "costs $0.03, and $0.028 by the table" == seen[IMAGE]
    assert "other/kling" not in seen


def test_openrouter_lists_ids() -> None:
    """At OpenRouter new and missing models are told; models of other makers are left out."""
    ids = ["google/veo-3.1", "kwaivgi/kling-v4.0", *list(PROVIDERS["openrouter"].models)[1:], 5]
    body = json.dumps({"data": [{"id": id} for id in ids]}).encode()
    seen = PROVIDERS["openrouter"].compare_listing(HttpResponse(status=200, body=body))
    gone = next(iter(PROVIDERS["openrouter"].models))
    assert {gone: "in the table, and not listed", "kwaivgi/kling-v4.0": "listed, and not in the table"} == {
        one.model: one.what for one in seen
    }


@pytest.mark.parametrize(
    ("data", "status", "code", "error"),
    [
        ([], 200, 200, UnexpectedReply),
        ({}, 200, 200, UnexpectedReply),
        (entries(), 401, 200, Refused),
        (None, 200, 500, Refused),
    ],
)
def test_an_answer_without_a_list(data: object, status: int, code: int, error: type[Exception]) -> None:
    """An answer that lists no model of Kling is an error: it does not mean that all of them are gone."""
    with pytest.raises(error):
        compared(data, status=status, code=code)
