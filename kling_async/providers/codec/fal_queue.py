"""The queue protocol of fal: a status that says when there is a result, the result itself, and errors in `detail`.

    POST /{endpoint}                                  submit
    GET  /{owner}/{app}/requests/{id}/status          poll
    GET  /{owner}/{app}/requests/{id}                 the result
    PUT  /{owner}/{app}/requests/{id}/cancel          cancel

The protocol has no word for a failure: a request that failed is COMPLETED like any other, and either its status has an
error beside it, or the request for its result is answered with the error. Sources:
https://fal.ai/docs/documentation/model-apis/inference/queue, .../errors, .../request-errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import quote

from attrs import evolve, frozen

from ...types.converter import strict_converter
from ...types.errors import UnexpectedReply
from ...types.http import HttpResponse
from ...types.prediction import Json, Status, Timings
from ...types.printable import one_line
from .envelope import Envelope, Record
from .fields import (
    CONTENT_REJECTED_CODES,
    ErrorDetail,
    Outputs,
    as_list,
    as_object,
    parse_code,
    parse_error,
    parse_id,
    parse_message,
    parse_outputs,
)
from .refused_parts import part_of_fields
from .statuses import COMMON_STATUSES
from .strict_json import decode, excerpt

__all__ = [
    "QUEUE_STATUSES",
    "QueueEnvelope",
    "as_queue_envelope",
    "awaits_result",
    "merge_result",
    "parse_queue_envelope",
    "parse_queue_record",
    "queue_path",
]

QUEUE_STATUSES: Final[Mapping[str, Status]] = {**COMMON_STATUSES, "in_queue": Status.QUEUED}
"""IN_QUEUE, IN_PROGRESS and COMPLETED are documented. FAILED and CANCELED are in a third-party schema."""

_COMPLETED: Final = "completed"
_FAILED: Final = "ERROR"
"""The word of webhooks for a request that failed, which as a status is COMPLETED like any other."""
_CANCELLED: Final = "CANCELED"
"""The word for a request that was cancelled, whether its status has it or the type of its error says so."""
_CANCELLED_TYPE: Final = "client_cancelled"
"""Type of the error of a request that the caller cancelled, with HTTP 499."""
_MEDIA: Final = ("video", "images")
"""Fields of a result, by which it is recognised: it has neither an envelope nor a status."""
_NEVER_BILLED: Final = frozenset(
    {
        *("request_timeout", "startup_timeout", "runner_scheduling_failure", "runner_connection_timeout"),
        *("runner_disconnected", "runner_connection_refused", "runner_connection_error", "runner_incomplete_response"),
        *("runner_server_error", "internal_error"),
    }
)
"""Types of errors of the infrastructure, which come with HTTP 5xx: those are never billed."""
_NOT_OF_THE_MODEL: Final = frozenset({401, 402, 403, 404, 405, 408, 425, 429})
"""HTTP statuses below 500 that are about the key, the account or the address, and not about the input."""
_IN_PROGRESS: Final = "still in progress"


@frozen(kw_only=True)
class QueueEnvelope(Envelope):
    """A status, with the result that was requested after it.

    Attributes:
        result: the body of the result; None if this is only a status.
        never_billed: whether the request ended with an error of the model's server.
    """

    result: Json = None
    never_billed: bool = False


@frozen
class _Body:
    status: str


_converter = strict_converter()


def queue_path(endpoint: str, id: str, action: str = "") -> str:
    """Return the path of a request, or of one of its actions: "/status" or "/cancel".

    It has the owner and the app of the endpoint, and not the rest. It is built here, and never taken from a response,
    whose `status_url` and `response_url` could name any host.
    """
    owner_and_app = "/".join(endpoint.split("/")[:2])
    return f"/{quote(owner_and_app)}/requests/{id}{action}"


def parse_queue_envelope(document: Json) -> QueueEnvelope:
    """Parse a body: an acceptance, a status, a result, or an error as `{detail, error_type}` or `{detail: [...]}`."""
    body = {"detail": document} if isinstance(document, list) else as_object(document)
    error, record, result = _parse_detail(body.get("detail")), body, None
    if "status" not in body:
        error = error or parse_error(body.get("error"))
        if error is None and any(name in body for name in _MEDIA):
            record, result = {"status": _COMPLETED.upper()}, body
    return QueueEnvelope(
        id=parse_id(body.get("request_id")),
        refused=error is not None,
        code=parse_code(body.get("error_type")) or (error.code if error else None),
        message=error.message if error else parse_message(body.get("message")),
        part=error.part if error else None,
        record=record,
        result=result,
    )


def as_queue_envelope(envelope: Envelope) -> QueueEnvelope:
    """Return an envelope of this protocol; any other one, as of a reply that is not JSON, has no result."""
    return envelope if isinstance(envelope, QueueEnvelope) else QueueEnvelope(record=envelope.record)


def parse_queue_record(envelope: QueueEnvelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a status, with the result that `merge_result` put into it.

    Raises:
        UnexpectedReply: there is no status, or it is completed and the result is missing.
    """
    record = envelope.record
    status = decode(_converter, _Body, record, response, provider=provider).status
    error, timings = _status_error(record), _parse_timings(record)
    if not _is_completed(record):
        return Record(status=status, error=error or ErrorDetail(), timings=timings)
    if error is not None:
        never_billed = envelope.never_billed or error.code in _NEVER_BILLED
        word = _CANCELLED if error.code == _CANCELLED_TYPE else _FAILED
        error = evolve(error, part=error.part or envelope.part)
        return Record(status=word, error=error, timings=timings, cost=Decimal(0) if never_billed else None)
    if envelope.result is None:
        problem = "The request is completed, and this reply holds no result"
        raise UnexpectedReply(
            problem, provider=provider, http_status=response.status, path="$.status", excerpt=excerpt(response)
        )
    return Record(status=status, outputs=_parse_media(envelope.result), timings=timings)


def awaits_result(envelope: QueueEnvelope) -> bool:
    """Return whether a status says that there is a result, or an error whose cause only the result has."""
    record = envelope.record
    return _is_completed(record) and envelope.result is None and parse_code(record.get("error_type")) is None


def merge_result(status: QueueEnvelope, result: QueueEnvelope | None, response: HttpResponse) -> QueueEnvelope | None:
    """Return the status with its result, or with the error that the request for the result was answered with.

    None if that answer is not final, such as an outage or a refused key: then the poll as a whole has failed.

    Args:
        status: the completed status.
        result: the parsed answer to the request for the result; None if it is not JSON.
        response: that answer.
    """
    record = status.record
    if result is not None and 200 <= response.status < 300 and not result.refused:
        if result.result is None and "status" in result.record:
            return None
        return evolve(status, result=result.record if result.result is None else result.result)
    if result is not None and _IN_PROGRESS in (result.message or "").lower():
        # The answer of one that does not know the status yet; an error of the model would be the end.
        return evolve(status, record={"status": "IN_PROGRESS"})
    if result is not None and _is_model_error(result, response):
        message = result.message or (None if result.code else f"HTTP {response.status}")
        error: Mapping[str, Json] = {**record, "error": message, "error_type": result.code}
        return evolve(status, record=error, part=result.part, never_billed=response.status >= 500)
    return status if _status_error(record) is not None else None


def _is_completed(record: Mapping[str, Json]) -> bool:
    word = record.get("status")
    return isinstance(word, str) and word.strip().lower() == _COMPLETED


def _is_model_error(result: QueueEnvelope, response: HttpResponse) -> bool:
    """Return whether an answer is the model's own, and so the end of the request."""
    if not result.refused:
        return False
    is_list = bool(as_list(result.record.get("detail")))
    if response.status == 499:
        # The caller's own doing: a request that was cancelled has ended, one whose caller hung up has not.
        return result.code == _CANCELLED_TYPE
    if response.status >= 500:
        # An outage, as a rule. Here it is the model's answer, stored, with the note that a repetition is no use.
        return is_list and response.headers.get("x-fal-retryable", "").strip().lower() == "false"
    return response.status >= 400 and response.status not in _NOT_OF_THE_MODEL


def _status_error(record: Mapping[str, Json]) -> ErrorDetail | None:
    """Return the error that stands beside a status."""
    value, code = record.get("error"), parse_code(record.get("error_type"))
    error = _parse_detail(value) or parse_error(value)
    if error is None:
        return None if code is None else ErrorDetail(code=code)
    return evolve(error, code=code or error.code)


def _parse_detail(value: object) -> ErrorDetail | None:
    """Parse `detail`: a string, or a list of errors, each with its place in the input, its message and its type."""
    if isinstance(value, str):
        return ErrorDetail(message=one_line(value)) if value.strip() else None
    entries = [entry for one in as_list(value) if (entry := as_object(one))]
    types = [code for entry in entries if (code := parse_code(entry.get("type"))) is not None]
    messages = [text for entry in entries if (text := _describe(entry))]
    if not types and not messages:
        return None
    refused = [entry for entry in entries if parse_code(entry.get("type")) in CONTENT_REJECTED_CODES]
    code = parse_code(refused[0].get("type")) if refused else types[0] if types else None
    part = part_of_fields(map(_field_of, refused))
    return ErrorDetail(code=code, message="; ".join(messages[:_MAX_MESSAGES]) or None, part=part)


_MAX_MESSAGES: Final = 8


def _field_of(entry: Mapping[str, object]) -> str:
    """Return the field of the input that an error is about: `loc` is ["body", "prompt"], or ["body"] for all of it.

    Documented: https://docs.fal.ai/errors, content_policy_violation. Seen in clients: Kling's own refusals name none.
    """
    steps = [step for step in as_list(entry.get("loc")) if step != "body"]
    return steps[0] if steps and isinstance(steps[0], str) else ""


def _describe(entry: Mapping[str, object]) -> str | None:
    """Return the message of an error behind its place in the input, such as "image_urls.0: too small"."""
    message = parse_message(entry.get("msg"))
    place = [str(step) for step in as_list(entry.get("loc")) if isinstance(step, (str, int)) and step != "body"]
    return one_line(f"{'.'.join(place)}: {message}") if message and place else message


def _parse_timings(record: Mapping[str, Json]) -> Timings:
    seconds: object = as_object(record.get("metrics")).get("inference_time")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < _MAX_SECONDS:
        return Timings()
    return Timings(inference_seconds=float(seconds))


_MAX_SECONDS: Final = 1e9


def _parse_media(result: Json) -> Outputs:
    """Return the addresses in a result: `{video: {url}}`, or `{images: [{url}, ...]}`."""
    body = as_object(result)
    media = [body.get("video"), *as_list(body.get("images"))]
    urls = tuple(url for one in media if isinstance(url := as_object(one).get("url"), str) and url.strip())
    return Outputs(urls) or parse_outputs(result)
