"""The list of WaveSpeedAI's models, `GET /api/v3/models`: https://wavespeed.ai/docs/list-models.

It has the schema of each model, which is an endpoint there, and a base price, that of the default input. The names in
its answer are documented; that the first of several schemas is a submission's is how WaveSpeedAI's clients read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ..types.http import HttpRequest
from ..types.prediction import Json
from .codec.fields import as_list, as_object
from .listing import ListedModel, allowed_between
from .queries import parse_dollars

__all__ = ["model_id", "parse_models"]

_PREFIX: Final = "kwaivgi/"
_UNUSED: Final = frozenset({"enable_sync_mode", "enable_base64_output"})
"""Fields that change how a result is told, and that this package never sends."""


def model_id(request: HttpRequest) -> str:
    """Return the id in the path of a submission."""
    return request.path.removeprefix("/api/v3/")


def parse_models(data: Json) -> Iterator[ListedModel]:
    """Yield Kling's models of a list; those of other makers, and entries without an id, are left out."""
    for entry in map(as_object, as_list(data)):
        id = entry.get("model_id")
        if not isinstance(id, str) or not id.startswith(_PREFIX):
            continue
        schemas = as_list(as_object(entry.get("api_schema")).get("api_schemas"))
        schema = as_object(as_object(schemas[0] if schemas else None).get("request_schema"))
        fields = as_object(schema.get("properties"))
        price = parse_dollars(entry.get("base_price"))
        yield ListedModel(
            id=id,
            fields=frozenset(fields) - _UNUSED if fields else None,
            values={name: values for name, one in fields.items() if (values := _allowed(as_object(one)))},
            price=price if price and price > 0 else None,
        )


def _allowed(field: Mapping[str, Json]) -> frozenset[str]:
    """Return the values that a field's schema allows: words, or whole numbers between two bounds; empty for any."""
    low, high = field.get("minimum"), field.get("maximum")
    if field.get("type") == "integer" and isinstance(low, int) and isinstance(high, int):
        return allowed_between(low, high)
    return frozenset(str(one).lower() for one in as_list(field.get("enum")))
