"""What differs between the models that a provider lists now and those of the table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from kling_async.errors import Refused, UnexpectedReply
from kling_async.providers import PROVIDERS, Price
from kling_async.providers.listing import Difference, KnownModel, ListedModel, differences
from kling_async.testing.sandbox.fal_catalog import ENDPOINTS
from kling_async.testing.sandbox.fal_page import describe
from kling_async.testing.sandbox.wavespeed_listing import list_models
from kling_async.types.http import HttpResponse
from kling_async.types.sources import Certainty, Source

WAVESPEED = PROVIDERS["wavespeed"]
IMAGE = "kwaivgi/kling-image-o1"
FIVE = Price(low=Decimal(5), high=Decimal(5), source=Source(Certainty.DOCUMENTED, "a page"))
SAMPLES = Path(__file__).parents[1] / "samples"
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
        KnownModel(),
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
    """Return the differences of WaveSpeedAI's list, by model; those of one model are joined."""
    body = json.dumps({"code": code, "message": "success", "data": data}).encode()
    return by_model(WAVESPEED.compare_listing([HttpResponse(status=status, body=body)]))


def by_model(found: Iterable[Difference]) -> dict[str, str]:
    """Return differences by model; those of one model are joined."""
    joined: dict[str, str] = {}
    for one in found:
        joined[one.model] = "; ".join(filter(None, (joined.get(one.model), one.what)))
    return joined


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
    differences = (
        "takes fields that the table lacks: style",
        "lacks fields that the table has: num_images, resolution",
    )
    assert "; ".join((*differences, "costs $0.03, and $0.028 by the table")) == seen[IMAGE]
    assert "other/kling" not in seen


def listed_at_openrouter(**changes: object) -> bytes:
    """Return OpenRouter's list with one model, of this package's table but for the changes."""
    entry: dict[str, object] = {
        "id": "kwaivgi/kling-v3.0-std",
        "supported_durations": [*range(3, 16)],
        "supported_aspect_ratios": ["16:9", "9:16", "1:1"],
        "supported_resolutions": ["720p"],
        "pricing_skus": {"with": "0.126", "without": "0.084"},
    }
    return json.dumps({"data": [{"id": "google/veo-3.1"}, entry | changes, 5]}).encode()


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({}, None),
        ({"id": "kwaivgi/kling-v4.0"}, "in the table, and not listed"),
        ({"supported_durations": [5, 10]}, "duration allows 5, 10, and 3 to 15 by the table"),
        ({"supported_durations": []}, None),
        ({"pricing_skus": {"a": "0.084"}}, "names the prices $0.084, and not $0.126 per second of the table"),
        ({"pricing_skus": None}, None),
    ],
)
def test_openrouter_lists_values_and_prices(changes: dict[str, object], what: str | None) -> None:
    """Ids, allowed values and prices are compared; what is not told differs in nothing."""
    response = HttpResponse(status=200, body=listed_at_openrouter(**changes))
    assert by_model(PROVIDERS["openrouter"].compare_listing([response])).get("kwaivgi/kling-v3.0-std") == what


def test_comfy_is_asked_page_by_page() -> None:
    """Its catalogue has cursors, which are sent back as they are, but for their encoding; its ids are compared."""
    comfy = PROVIDERS["comfy"]
    first, second = comfy_page("kling/kling-4.0", cursor="a/b+c="), comfy_page("kling/kling-9", "bfl/flux-2-pro")
    paths = [request.path for answered in ([], [first]) if (request := comfy.build_listing(answered))]
    assert ["/v2/models?limit=100", "/v2/models?limit=100&cursor=a%2Fb%2Bc%3D"] == paths
    assert comfy.build_listing([first, second]) is None
    found = by_model(comfy.compare_listing([first, second]))
    assert ("kling/kling-4.0" in found, found["kling/kling-9"]) == (False, "listed, and not in the table")
    assert "in the table, and not listed" == found["kling/kling-video-o1"]


def comfy_page(*ids: str, cursor: str | None = None) -> HttpResponse:
    """Return a page of Comfy Router's catalogue."""
    document = {"data": [{"id": id} for id in ids], "has_more": cursor is not None, "next_cursor": cursor}
    return HttpResponse(status=200, body=json.dumps(document).encode())


def test_a_list_without_a_cursor_ends() -> None:
    """A page that promises more and says not where is the last one: the first is not asked for again."""
    page = HttpResponse(status=200, body=json.dumps({"data": [], "has_more": True, "next_cursor": None}).encode())
    assert PROVIDERS["comfy"].build_listing([page]) is None


def fal_pages(**changes: HttpResponse) -> list[HttpResponse]:
    """Return the sandbox's pages of the endpoints of fal's table, and others instead of some."""
    fal, pages = PROVIDERS["fal"], list[HttpResponse]()
    while (request := fal.build_listing(pages)) is not None:
        endpoint = request.path.removeprefix("/models/").removesuffix("/llms.txt")
        page = HttpResponse(status=200, body=describe(endpoint, ENDPOINTS[endpoint]).encode())
        pages.append(changes.get(endpoint, page))
    return pages


def test_the_sandbox_has_the_pages_of_the_table() -> None:
    """Two readings of fal's pages agree: what differs are prices, and fields that the table leaves out."""
    found = by_model(PROVIDERS["fal"].compare_listing(fal_pages()))
    left_out = {one.partition("lacks: ")[2].partition(";")[0] for one in found.values() if "table lacks" in one}
    assert {"end_image_url", "elements"} == left_out
    assert all("price" in one for one in found.values() if "table lacks" not in one)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("", "", None),
        ("**$0.42**", "**$0.5**", "names the prices $0.50, and not $0.42 per second of the table"),
        ('`"15"`', '`"15"`, `"16"`', "duration allows 3 to 16, and 3 to 15 by the table"),
        ("- **`aspect_ratio`**", "- **`size`**", "takes fields that the table lacks: size"),
    ],
)
def test_a_page_of_fal(old: str, new: str, what: str | None) -> None:
    """The form of fal's own page is read: fields, allowed values, and the price in words without its example."""
    endpoint = "fal-ai/kling-video/o3/4k/text-to-video"
    text = Path(SAMPLES / "pages" / "fal-o3-4k-text-to-video.md").read_text()
    page = HttpResponse(status=200, body=text.replace(old, new, 1).encode() if old else text.encode())
    found = by_model(PROVIDERS["fal"].compare_listing(fal_pages(**{endpoint: page}))).get(endpoint)
    assert found == what if what is None else what in (found or "")


def test_an_endpoint_of_fal_is_gone() -> None:
    """A page that is not there is an endpoint that is gone; any other status is an error, and ends the questions."""
    endpoint = "fal-ai/kling-video/o3/4k/text-to-video"
    gone = fal_pages(**{endpoint: HttpResponse(status=404, body=b"<html>")})
    assert "in the table, and not listed" == by_model(PROVIDERS["fal"].compare_listing(gone))[endpoint]
    with pytest.raises(Refused):
        PROVIDERS["fal"].build_listing([HttpResponse(status=503, body=b"")])
    with pytest.raises(UnexpectedReply):
        PROVIDERS["fal"].build_listing([HttpResponse(status=200, body=b"<html>a page</html>")])


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
