"""WaveSpeedAI's list of models, with the schema and the base price of each: https://wavespeed.ai/docs/list-models.

The list is that of the catalog, and one model of another maker. A base price is that of the default input: an image, or
five seconds of video. Of the properties of a schema only the names, types and ranges are there.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...types.prediction import Json
from .wavespeed_catalog import ENDPOINTS, Endpoint

__all__ = ["list_models"]

_SECONDS = 5
_OTHER: Json = {"model_id": "wavespeed-ai/flux-dev", "name": "wavespeed-ai/flux-dev", "base_price": 0.012}


def list_models(origin: str) -> Json:
    """Return the models; URLs begin with the origin."""
    return [_OTHER, *(_entry(path, known, origin) for path, known in ENDPOINTS.items())]


def _entry(path: str, known: Endpoint, origin: str) -> Json:
    id = f"kwaivgi/{path}"
    properties: dict[str, Json] = {name: {"type": type} | _allowed(name, known) for name, type in _properties(known)}
    schema: Json = {"type": "object", "properties": properties, "required": [*_required(known)]}
    run: dict[str, Json] = {"type": "model_run", "method": "POST", "server": origin, "api_path": f"/api/v3/{id}"}
    return {
        "model_id": id,
        "name": id,
        "type": known.kind,
        "base_price": float(known.price * (1 if known.kind == "image" else _SECONDS)),
        "api_schema": {"api_schemas": [{**run, "request_schema": schema}]},
    }


def _properties(known: Endpoint) -> Iterator[tuple[str, str]]:
    yield "prompt", "string"
    lists = {
        "images": known.images,
        "keyframes": known.keyframes,
        "videos": known.videos,
        "audios": known.audios,
        "multi_prompt": known.shots,
    }
    yield from ((name, "array") for name, has in lists.items() if has)
    texts = {"image": known.image, "video": known.video != "none", known.last: known.last}
    texts |= {"aspect_ratio": known.ratios, "resolution": known.resolutions}
    yield from ((name, "string") for name, has in texts.items() if has)
    if known.kind == "image":
        yield "num_images", "integer"
        yield "enable_sync_mode", "boolean"
        yield "enable_base64_output", "boolean"
    if known.durations:
        yield "duration", "integer"
    yield from ((name, "boolean") for name in known.flags)
    yield from ((name, "string") for name in (*known.texts, *known.words))
    yield from ((name, "number") for name in known.fractions)
    yield from ((name, "array") for name in known.arrays)


def _allowed(name: str, known: Endpoint) -> dict[str, Json]:
    """Return the values that a field allows: words, or whole numbers between two bounds."""
    if name == "duration":
        low, high = min(known.durations), max(known.durations)
        is_span = len(known.durations) > 2 and len(known.durations) == high - low + 1
        return {"minimum": low, "maximum": high} if is_span else {"enum": [*known.durations]}
    words = {"aspect_ratio": known.ratios, "resolution": known.resolutions, **known.words}.get(name, ())
    return {"enum": [*words]} if words else {}


def _required(known: Endpoint) -> Iterator[str]:
    if known.prompt == "required":
        yield "prompt"
    yield from ["image"] if known.image else []
    yield from ["video"] if known.video == "required" else []
    yield from ["images"] if known.needs_images else []
