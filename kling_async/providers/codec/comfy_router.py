"""The queue of Comfy Router: a handle, its status, and the result, which is the model's own, unchanged.

    POST /v2/models/{provider}/{model}/requests                submit, HTTP 201
    GET  /v2/models/{provider}/{model}/requests/{id}/status    poll
    GET  /v2/models/{provider}/{model}/requests/{id}           the result
    PUT  /v2/models/{provider}/{model}/requests/{id}/cancel    cancel

There is no word for a failure: a request that failed, or that was cancelled, is COMPLETED with an `error_type` beside
it, and only the answer to the request for its result has a message. Even so the result is asked for each time: one that
was charged and stored is sent although the request has ended in another way. Errors are `{detail, error_type}`, or a
list in `detail`, with the error type in a header alone. Sources: https://docs.comfy.org/development/comfy-router/queue,
and the contract in https://github.com/Comfy-Org/comfy-typescript-sdk, spec/router-openapi.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final

from attrs import evolve, frozen

from ...types.converter import strict_converter
from ...types.errors import UnexpectedReply
from ...types.http import HttpResponse
from ...types.prediction import Json, Status
from .envelope import Envelope, Record
from .fal_queue import QUEUE_STATUSES, parse_queue_envelope
from .fields import ErrorDetail, as_object, parse_code, parse_message
from .kling_legacy import parse_legacy_envelope
from .kling_tasks import parse_any_task
from .strict_json import decode, excerpt, read_json

__all__ = [
    "ROUTER_STATUSES",
    "is_completed",
    "parse_router_envelope",
    "parse_router_failure",
    "parse_router_record",
    "parse_router_result",
    "router_error_type",
]

_CANCELLED: Final = "cancelled"
_NEVER_BILLED: Final = frozenset({"queue_timeout"})
"""Error types of requests that provably never reached the model's provider."""
_CREDITS_PER_DOLLAR: Final = 211
"""https://docs.comfy.org/development/comfy-router/pricing"""
ROUTER_STATUSES: Final[Mapping[str, Status]] = {
    **QUEUE_STATUSES,
    "submitted": Status.QUEUED,
    "succeed": Status.SUCCEEDED,
}
"""IN_QUEUE, IN_PROGRESS and COMPLETED are the queue's; the others are Kling's, whose record is the result."""


@frozen
class _Body:
    status: str


_converter = strict_converter()


def router_error_type(response: HttpResponse) -> str | None:
    """Return the error type in the header of an error, where it always is; None if this is no error, or has none."""
    return None if response.is_success else parse_code(response.headers.get("x-comfy-error-type"))


def parse_router_envelope(document: Json) -> Envelope:
    """Parse a handle, a status, or an error as `{detail, error_type}` or `{detail: [...]}`."""
    envelope, body = parse_queue_envelope(document), as_object(document)
    # What the model's provider said of a request that it refused tells more than Router's own sentence.
    message = parse_message(body.get("upstream_detail")) or envelope.message
    return Envelope(
        id=envelope.id if "status" in body else None,
        refused=envelope.refused and "status" not in body,
        code=envelope.code,
        message=message,
        part=envelope.part,
        record=body,
    )


def is_completed(envelope: Envelope) -> bool:
    """Return whether a status says that the request has ended, in whatever way."""
    word = envelope.record.get("status")
    return isinstance(word, str) and word.strip().lower() == "completed"


def parse_router_record(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a status. Raises UnexpectedReply if there is none, or if the result is missing that it speaks of."""
    status = decode(_converter, _Body, envelope.record, response, provider=provider).status
    error_type = parse_code(envelope.record.get("error_type"))
    if not is_completed(envelope):
        return Record(status=status)
    if error_type is None:
        problem = "The request is completed, and this reply holds no result"
        raise UnexpectedReply(
            problem, provider=provider, http_status=response.status, path="$.status", excerpt=excerpt(response)
        )
    return parse_router_failure(error_type, envelope.message)


def parse_router_failure(error_type: str, message: str | None) -> Record:
    """Return the record of a request that has ended with an error."""
    return Record(
        status=_CANCELLED if error_type == _CANCELLED else "failed",
        error=ErrorDetail(code=error_type, message=message or f"the request ended with {error_type}"),
        cost=Decimal(0) if error_type in _NEVER_BILLED else None,
    )


def parse_router_result(response: HttpResponse, *, provider: str) -> Record:
    """Read a result, which is a record of Kling's, of either standard. Raises UnexpectedReply.

    The amounts in it are those between Kling and Comfy. What Comfy charges is in a header, which some models lack.
    """
    envelope = parse_legacy_envelope(read_json(response, provider=provider))
    return evolve(parse_any_task(envelope, response, provider=provider), cost=_dollars(response))


def _dollars(response: HttpResponse) -> Decimal | None:
    """Return the price in US dollars, from the rounded credits that a result names; None if it names none."""
    try:
        credits = Decimal(response.headers.get("x-comfy-credits-used", "").strip())
    except InvalidOperation:
        return None
    dollars = credits / _CREDITS_PER_DOLLAR if credits.is_finite() and 0 <= credits < _MAX_CREDITS else None
    return None if dollars is None else dollars.quantize(Decimal("0.0001")).normalize() + 0


_MAX_CREDITS: Final = 1_000_000_000
