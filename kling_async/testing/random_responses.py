"""Random responses, for the conformance suite of providers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Final

from ..providers import Provider
from ..types.http import HttpResponse
from ..types.prediction import Json

__all__ = ["random_responses"]

_NAMES: Final = (
    *("data", "id", "task_id", "request_id", "status", "task_status", "output", "outputs", "error", "code", "message"),
    *("detail", "title", "video", "images", "url", "urls", "get", "type", "usage", "cost", "unsigned_urls", "metrics"),
    *("created_at", "timings", "task_result", "videos", "data_removed", "polling_url", "queue_position"),
)
_STATUSES: Final = (200, 200, 200, 200, 201, 202, 204, 301, 400, 401, 402, 403, 404, 409, 422, 429, 500, 502, 503, 504)


def random_responses(provider: Provider, *, seed: int, number: int) -> Iterator[HttpResponse]:
    """Yield random responses, the same ones each time: JSON of familiar names, now and then cut short, and no JSON."""
    random = Random(seed)
    words = (
        *provider.statuses,
        *(word.upper() for word in provider.statuses),
        "an-id",
        "../../etc",
        "a b",
        "",
        "https://media.example/a.png",
    )
    for _ in range(number):
        body = json.dumps(_document(random, words, depth=3)).encode()
        if random.random() < 0.1:
            body = random.choice((b"", b"<html>", body[: len(body) // 2], b"\xff\xfe", b"[]", b"null"))
        yield HttpResponse(status=random.choice(_STATUSES), body=body)


def _document(random: Random, words: tuple[str, ...], *, depth: int) -> Json:
    kind = random.random()
    if depth == 0 or kind < 0.3:
        return random.choice((*words, None, True, 0, 200, 400, 1303, -1, 0.5, 10**30))
    if kind < 0.45:
        return [_document(random, words, depth=depth - 1) for _ in range(random.randrange(4))]
    names = random.sample(_NAMES, random.randrange(1, 8))
    return {name: _document(random, words, depth=depth - 1) for name in names}
