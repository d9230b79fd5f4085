"""The videos API of OpenRouter: bodies of submissions, records, and the metadata of errors.

    POST .../videos               submit, HTTP 202
    GET  .../videos/{id}          poll

A record is flat: `{id, polling_url, status, unsigned_urls, urls, usage, error}`. Its `polling_url` is data and is never
followed. GPTProto's newer generation has the same records, frames and statuses under another prefix,
as its package gptproto 0.1.0 has them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from attrs import evolve, frozen

from ...types.converter import strict_converter
from ...types.http import HttpResponse
from ...types.inputs import Input, Scene
from ...types.prediction import Json, RefusedPart
from ..spec import ModelSpec
from ..validation import build_body
from .envelope import Envelope, Record, parse_envelope
from .fields import CONTENT_REJECTED_CODES, ErrorDetail, Outputs, as_object, parse_code, register_fields
from .strict_json import decode

__all__ = [
    "FIRST_FRAME",
    "LAST_FRAME",
    "REFUSAL_CODES",
    "build_videos_body",
    "parse_videos_envelope",
    "parse_videos_record",
]

FIRST_FRAME: Final = "frame_images"
"""Wire name of the first frame: `extra` must not replace the array that holds both frames."""
LAST_FRAME: Final = "frame_images[last_frame]"
"""Wire name of the last frame, which is the second item of that array."""

REFUSAL_CODES: Final = CONTENT_REJECTED_CODES | {"refusal"}
"""Values of `error.metadata.error_type` that mean the content policy."""
_MODERATION: Final = ("reasons", "flagged_input", "patterns")
"""Fields of `error.metadata` by which moderation and guardrails say what they found in the input; other refusals under
the same HTTP 403 have none of them."""


def build_videos_body(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Build the body of a submission, with the first and the last frame in one array of objects."""
    body: dict[str, Json] = {"model": spec.wire_name, **build_body(spec, input, scene)}
    frames: list[Json] = []
    for name, frame_type in ((FIRST_FRAME, "first_frame"), (LAST_FRAME, "last_frame")):
        if (url := body.pop(name, None)) is not None:
            frames.append({"type": "image_url", "image_url": {"url": url}, "frame_type": frame_type})
    if frames:
        body[FIRST_FRAME] = frames
    return body


def parse_videos_envelope(document: Json) -> Envelope:
    """Parse a body: a flat record, or `{error: {code, message, metadata}}`.

    The code of an error only repeats the HTTP status. What the metadata say about the input's content replaces it.
    """
    envelope = parse_envelope(document, id_name="id")
    if not envelope.refused:
        return envelope
    metadata = as_object(as_object(as_object(document).get("error")).get("metadata"))
    error_type, part = parse_code(metadata.get("error_type")), _part_of(metadata)
    if error_type in REFUSAL_CODES:
        return evolve(envelope, code=error_type, part=part)
    found = any(metadata.get(name) for name in _MODERATION)
    return evolve(envelope, code="content_policy_violation", part=part) if found else envelope


def _part_of(metadata: Mapping[str, Json]) -> RefusedPart | None:
    """Return "prompt" where a text was flagged: `flagged_input` is "the text segment that was flagged" (documented)."""
    flagged = metadata.get("flagged_input")
    return "prompt" if isinstance(flagged, str) and flagged.strip() else None


@frozen
class _Body:
    status: str
    urls: Outputs = Outputs(())
    unsigned_urls: Outputs = Outputs(())
    error: ErrorDetail | None = None


_converter = register_fields(strict_converter())


def parse_videos_record(envelope: Envelope, response: HttpResponse, *, provider: str) -> Record:
    """Read a record: the signed URLs of its outputs, or those that need the API key where there are no others.

    Raises:
        UnexpectedReply: it has no status.
    """
    body = decode(_converter, _Body, envelope.record, response, provider=provider)
    return Record(
        status=body.status,
        outputs=body.urls or body.unsigned_urls,
        error=body.error or envelope.error,
        cost=_parse_cost(as_object(envelope.record.get("usage")).get("cost")),
    )


_MAX_COST: Final = 1e6
"""US dollars. No video costs a million, so a higher number is no price."""


def _parse_cost(value: object) -> Decimal | None:
    """Return a cost in US dollars; None if it is no number, negative, or no possible price."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return Decimal(str(value)) if math.isfinite(value) and 0 <= value < _MAX_COST else None
