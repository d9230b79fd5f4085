"""The wire of WaveSpeedAI's v3 API, which GPTProto has too: polls, records, status words and error codes.

    GET /api/v3/predictions/{id}/result          poll

The envelope is `{code, message, data}`; `data` is the prediction, and its `code` and `error` say why it failed
(https://wavespeed.ai/docs/error-codes). `data.code` 5004 beside the status "processing" ends nothing: a submission in
sync mode was answered before its result. The status alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, frozen

from ...types.converter import strict_converter
from ...types.errors import BadRequest, ContentRejected, ProviderUnavailable, Refused
from ...types.http import HttpRequest, HttpResponse
from ...types.prediction import Prediction, Status, Timings
from .envelope import Envelope, Record
from .errors import HTTP_ERRORS
from .fields import (
    ErrorDetail,
    Milliseconds,
    NsfwFlag,
    Outputs,
    Timestamp,
    as_object,
    parse_code,
    parse_duration,
    parse_outputs,
    register_fields,
)
from .statuses import COMMON_STATUSES
from .strict_json import decode

__all__ = ["V3_ERRORS", "V3_OUTAGE_CODES", "V3_STATUSES", "build_v3_poll", "parse_v3_record"]

V3_ERRORS: Final[Mapping[int, type[Refused]]] = {
    **HTTP_ERRORS,
    1200: ContentRejected,
    1400: BadRequest,
    1401: BadRequest,
    1402: BadRequest,
    1403: ProviderUnavailable,
    1405: ProviderUnavailable,
}
"""WaveSpeedAI's body codes (https://wavespeed.ai/docs/error-codes), beside the HTTP statuses."""

V3_OUTAGE_CODES: Final = (range(500, 1000), range(5000, 10_000))
"""Codes of an outage: HTTP's, and 5000, 5003 and 5004 of the table above."""

V3_STATUSES: Final[Mapping[str, Status]] = {
    **COMMON_STATUSES,
    "created": Status.QUEUED,
    "deleted": Status.CANCELLED,
}
"""Status words in lower case. WaveSpeedAI's SDK ends at "failed", "cancelled", "timeout" and "deleted"."""


@frozen
class _Body:
    status: str
    outputs: Outputs = Outputs(())
    error: ErrorDetail | None = None
    has_nsfw_contents: NsfwFlag | None = None
    created_at: Timestamp | None = None
    execution_time: Milliseconds | None = None


_converter = register_fields(strict_converter())


def build_v3_poll(prediction: Prediction) -> HttpRequest:
    """Build the request that polls a prediction, from its id alone."""
    return HttpRequest(method="GET", path=f"/api/v3/predictions/{prediction.id}/result")


def parse_v3_record(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read the record of a prediction. Raises UnexpectedReply."""
    record = envelope.record
    body = decode(_converter, _Body, record, response, provider=provider)
    error = body.error or envelope.error
    code = parse_code(record.get("code"))  # newer bodies carry WaveSpeedAI's code beside the message
    return Record(
        status=body.status,
        outputs=body.outputs or parse_outputs(record),
        error=error if code is None else evolve(error, code=code),
        nsfw=body.has_nsfw_contents,
        created_at=body.created_at,
        timings=Timings(
            inference_seconds=parse_duration(as_object(record.get("timings")).get("inference")),
            execution_seconds=body.execution_time,
        ),
    )
