"""Recorded replies, and how they are held against what a table expects of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from kling_async.errors import KlingError
from kling_async.types.http import HttpResponse
from kling_async.types.prediction import Prediction

SAMPLES = Path(__file__).parents[1] / "samples"
TYPES = {".json": "application/json", ".html": "text/html", ".txt": "text/plain"}

Facts: TypeAlias = Mapping[str, object]
Expected: TypeAlias = Prediction | tuple[type[KlingError], Facts]


@pytest.fixture
def sample() -> Callable[[str, str], HttpResponse]:
    """Read a recorded reply: its status and its type stand in the name of its file."""

    def read(provider: str, name: str) -> HttpResponse:
        path = SAMPLES / provider / name
        status = int(path.suffixes[-2].lstrip("."))
        return HttpResponse(status=status, headers={"Content-Type": TYPES[path.suffix]}, body=path.read_bytes())

    return read


@pytest.fixture
def sample_names() -> Callable[[str], set[str]]:
    """Name every recorded reply of a provider."""
    return lambda provider: {path.name for path in (SAMPLES / provider).iterdir()}


@pytest.fixture
def hold() -> Callable[[HttpResponse, Callable[[], Prediction], Expected], None]:
    """Hold what a reply is read as against what the table expects of it, all fields of a prediction included."""

    def check(reply: HttpResponse, read: Callable[[], Prediction], expected: Expected) -> None:
        if isinstance(expected, Prediction):
            seen = read()
            assert expected == seen
            assert json.loads(reply.body) == seen.raw
            return
        kind, facts = expected
        with pytest.raises(KlingError) as caught:
            read()
        error = caught.value
        assert kind is type(error)
        known = {"http_status": reply.status, **facts}
        assert known == {name: getattr(error, name) for name in known}

    return check
