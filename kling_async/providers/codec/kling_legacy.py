"""The wire format of Kling's legacy standard, `/v1/<product>`, which relays of Kling speak too.

A submission names its model in the body, `model_name`; the task is polled at `/v1/<product>/{task_id}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve, frozen

from ...types.converter import strict_converter
from ...types.http import HttpRequest, HttpResponse
from ...types.prediction import Json
from .envelope import Envelope, Record, parse_envelope
from .fields import ErrorDetail, as_list, as_object, parse_message, parse_milliseconds
from .strict_json import decode

__all__ = [
    "add_legacy_client_id",
    "build_legacy_body",
    "build_legacy_poll",
    "is_legacy_task",
    "parse_client_id",
    "parse_legacy_envelope",
    "parse_legacy_task",
]


def build_legacy_body(values: Mapping[str, Json], *, model_name: str) -> dict[str, Json]:
    """Build the body of a submission from its values by name: durations are strings, and references are objects."""
    body: dict[str, Json] = {"model_name": model_name, **values}
    if "duration" in body:
        body["duration"] = str(body["duration"])
    if "image_list" in body:
        body["image_list"] = [{"image": str(url)} for url in as_list(body["image_list"])]
    images = body.get("image")
    if isinstance(images, list):
        body["image"] = images[0]
    return body


def add_legacy_client_id(body: Mapping[str, Json], client_id: str) -> dict[str, Json]:
    """Return the body of a submission with the caller's own id."""
    return {**body, "external_task_id": client_id}


def build_legacy_poll(path: str, id: str) -> HttpRequest:
    """Build the request for a task of a product, by the id of the task or by the caller's own."""
    return HttpRequest(method="GET", path=f"{path}/{id}")


def parse_client_id(record: Mapping[str, Json]) -> Json:
    """Return the caller's own id that a record of either standard repeats; None if it repeats none."""
    return record.get("external_id") or as_object(record.get("task_info")).get("external_task_id")


def parse_legacy_envelope(document: Json) -> Envelope:
    """Parse a body, with the task's status under the name that all codecs share; it reads the new standard as well."""
    envelope = parse_envelope(document, id_name="task_id")
    record = envelope.record
    return evolve(envelope, record={**record, "status": record["task_status"]}) if is_legacy_task(record) else envelope


def is_legacy_task(record: Mapping[str, Json]) -> bool:
    """Return whether a task is described as the legacy standard does."""
    return "task_status" in record


@frozen
class _Body:
    status: str


_converter = strict_converter()


def parse_legacy_task(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a task. Raises UnexpectedReply if it has no status."""
    record = envelope.record
    body = decode(_converter, _Body, record, response, provider=provider)
    # The reason of a failure is text alone; a failed task has no code.
    message = parse_message(record.get("task_status_msg"))
    return Record(
        status=body.status,
        outputs=tuple(_urls(as_object(record.get("task_result")))),
        error=ErrorDetail(message=message) if message else envelope.error,
        created_at=parse_milliseconds(record.get("created_at")),
    )


def _urls(result: Mapping[str, Json]) -> Iterator[str]:
    """Yield the URLs of the videos, of the images, or of a series of images, without their copies with a watermark."""
    lists = ("series_images", "images") if result.get("result_type") == "series" else ("videos", "images")
    found = [as_list(result.get(name)) for name in lists]
    for one in map(as_object, found[0] or found[1]):
        url = one.get("url")
        if isinstance(url, str):
            yield url
