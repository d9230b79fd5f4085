"""The wire format of Kling's new standard: the model in the path, `contents`, `settings` and `options` in the body.

A submission is answered with one task, and `GET /tasks` with a list of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal, InvalidOperation
from typing import Final
from urllib.parse import quote

from attrs import frozen

from ...types.converter import strict_converter
from ...types.http import HttpRequest, HttpResponse
from ...types.inputs import Shot
from ...types.prediction import Json
from .envelope import Envelope, Record
from .fields import ErrorDetail, as_list, as_object, parse_id, parse_message, parse_milliseconds
from .kling_legacy import is_legacy_task, parse_legacy_task
from .strict_json import decode

__all__ = [
    "add_client_id",
    "build_task_body",
    "build_tasks_lookup",
    "build_tasks_poll",
    "parse_any_task",
    "parse_task",
    "shots_prompt",
    "split_tasks",
]

_MEDIA: Final = (
    "first_frame",
    "middle_frame",
    "last_frame",
    "feature_video",
    "base_video",
    "image",
    "video",
    "refer_image",
)
"""Contents that have a URL, or a list of them, in the order of frames."""
_NUMBERED: Final = {"refer_image": "image", "feature_video": "video", "base_video": "video"}
"""Beginnings of the ids of contents that the prompt may refer to as `@id`."""
_OBJECTS: Final = {"elements": "element", "voices": "voice"}
_SETTINGS: Final = (
    *("resolution", "aspect_ratio", "duration", "audio", "multi_shot", "character_orientation"),
    *("n", "result_type", "series_amount"),
)
_OPTIONS: Final = ("callback_url", "watermark_info")
_NOT_VISUAL: Final = frozenset({"audio", "voice", "element"})
"""Types of outputs that are neither an image nor a video."""


def shots_prompt(shots: Iterable[Shot]) -> str:
    """Return the prompt that describes several shots: "shot n, seconds, words;" for each."""
    return " ".join(f"shot {number}, {shot.duration}, {shot.prompt};" for number, shot in enumerate(shots, 1))


def build_task_body(values: Mapping[str, Json], *, only_prompt: bool) -> dict[str, Json]:
    """Build the body of a submission from its values by name.

    Args:
        values: those of `contents` by their type, of `settings` and of `options`; any other is left at the top.
        only_prompt: whether the endpoint takes a prompt at the top and no `contents`.
    """
    rest = dict(values)
    body: dict[str, Json] = {}
    if only_prompt:
        body["prompt"] = rest.pop("prompt", "")
    else:
        body["contents"] = list(_contents(rest))
    for part, names in (("settings", _SETTINGS), ("options", _OPTIONS)):
        found = {name: rest.pop(name) for name in names if name in rest}
        if found:
            body[part] = found
    return body | rest


def _contents(rest: dict[str, Json]) -> Iterator[Json]:
    """Yield the contents among the values, and remove them there."""
    prompt = rest.pop("prompt", None)
    if prompt:
        yield {"type": "prompt", "text": prompt}
    for kind in _MEDIA:
        given = rest.pop(kind, [])
        for number, url in enumerate(given if isinstance(given, list) else [given], 1):
            yield {"type": kind, "url": url, **({"id": f"{_NUMBERED[kind]}_{number}"} if kind in _NUMBERED else {})}
    for name, kind in _OBJECTS.items():
        for one in as_list(rest.pop(name, None)):
            yield {"type": kind, **as_object(one)}


def add_client_id(body: Mapping[str, Json], client_id: str) -> dict[str, Json]:
    """Return the body of a submission with the caller's own id."""
    return {**body, "options": {**as_object(body.get("options")), "external_task_id": client_id}}


def build_tasks_poll(ids: Iterable[str]) -> HttpRequest:
    """Build the request for tasks by their ids, of one or both standards."""
    return HttpRequest(method="GET", path=f"/tasks?task_ids={','.join(ids)}")


def build_tasks_lookup(client_id: str) -> HttpRequest:
    """Build the request for a task by the caller's own id."""
    return HttpRequest(method="GET", path=f"/tasks?external_task_ids={quote(client_id, safe='')}")


def split_tasks(document: Json) -> dict[str, Json]:
    """Return, by id, the body that a request for each task of a list alone would bring."""
    body = as_object(document)
    tasks = [as_object(one) for one in as_list(body.get("data"))]
    return {id: {**body, "data": [one]} for one in tasks if (id := parse_id(one.get("id"))) is not None}


@frozen
class _Body:
    status: str


_converter = strict_converter()


def parse_task(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a task. Raises UnexpectedReply if it has no status."""
    record = envelope.record
    body = decode(_converter, _Body, record, response, provider=provider)
    # "message" gives the reason of a failure; a failed task has no code.
    message = parse_message(record.get("message"))
    return Record(
        status=body.status,
        outputs=tuple(_urls(record.get("outputs"))),
        error=ErrorDetail(message=message) if message else envelope.error,
        created_at=parse_milliseconds(record.get("create_time")),
        cost=_dollars(record.get("billing")),
    )


def parse_any_task(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a task of either standard. Raises UnexpectedReply if it has no status."""
    parse = parse_legacy_task if is_legacy_task(envelope.record) else parse_task
    return parse(envelope, response, provider=provider)


def _urls(outputs: object) -> Iterator[str]:
    for one in map(as_object, as_list(outputs)):
        url = one.get("url")
        if isinstance(url, str) and one.get("type") not in _NOT_VISUAL:
            yield url


def _dollars(billing: object) -> Decimal | None:
    """Return the sum of what was charged in US dollars; None if anything was charged in units or another currency."""
    charges = [as_object(one) for one in as_list(billing)]
    if not charges or any((one.get("charge_type"), one.get("currency")) != ("cash", "USD") for one in charges):
        return None
    try:
        total = sum((Decimal(str(one.get("amount"))) for one in charges), Decimal(0))
    except InvalidOperation:
        return None
    return total if total.is_finite() and total >= 0 else None
