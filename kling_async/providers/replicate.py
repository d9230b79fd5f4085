"""Replicate: Kling videos behind its predictions API.

    POST /v1/models/kwaivgi/{model}/predictions   submit
    GET  /v1/predictions/{id}                     poll
    POST /v1/predictions/{id}/cancel              cancel

The pages are those below https://replicate.com/docs. The traffic that the vendor's client recorded
(https://github.com/replicate/replicate-python, tests/cassettes) shows the shapes of responses. `Prefer: wait` is not
sent: a submission that waits for its result is one whose id may be lost for a minute.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Final, Never

from attrs import evolve, frozen

from ..types.capabilities import Capabilities
from ..types.converter import strict_converter
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.limits import LimitKind, Limits
from ..types.media_values import MediaFile
from ..types.prediction import Json, OutputKind, Prediction, Status, Timings
from ..types.sources import Certainty, Fact, Source
from ..types.uploads import UploadRequest
from .base import Provider
from .codec.envelope import Envelope, Record, parse_envelope
from .codec.errors import ErrorRules
from .codec.fields import (
    CONTENT_REJECTED_CODES,
    ErrorDetail,
    Outputs,
    Timestamp,
    as_object,
    parse_code,
    parse_message,
    parse_seconds,
    register_fields,
)
from .codec.strict_json import decode, json_body
from .codec.uploads import multipart_upload, parse_address
from .media_rules import MediaLimits
from .replicate_models import MODELS
from .spec import ModelSpec
from .validation import build_body, infer_scene
from .webhooks import with_fields

__all__ = ["Replicate"]

_DOCS = "https://replicate.com/docs"
_API = Source(Certainty.DOCUMENTED, f"HTTP API: {_DOCS}/reference/http")
_FILES = Source(Certainty.DOCUMENTED, f"input files, by upload or as data URI: {_DOCS}/topics/predictions/input-files")
_RATES = Source(
    Certainty.DOCUMENTED,
    f"600 predictions and 3,000 other requests a minute: {_DOCS}/topics/predictions/rate-limits",
)
_SIGNED = Source(Certainty.DOCUMENTED, f"as Standard Webhooks: {_DOCS}/topics/webhooks/verify-webhook")
_UNKNOWN: Fact[Never] = Fact(None, Source(Certainty.UNDOCUMENTED, f"not in the HTTP API: {_DOCS}/reference/http"))

_CAPABILITIES = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page documents an idempotency key or a client id")),
    replay_seconds=_UNKNOWN,
    cancel=Fact(True, _API),
    upload=Fact(True, _FILES),
    inline_media=Fact(True, _FILES),
    webhook=Fact(True, Source(Certainty.DOCUMENTED, f"webhook: {_DOCS}/topics/webhooks/setup-webhook")),
    webhook_signature=Fact("standard_webhooks", _SIGNED),
    batch_poll=Fact(1, _API),
    balance=_UNKNOWN,
    quote=_UNKNOWN,
    over_limit=Fact("refuses", Source(Certainty.DOCUMENTED, f"429: {_DOCS}/topics/predictions/rate-limits")),
    output_ttl=Fact(
        3600.0, Source(Certainty.DOCUMENTED, f"removed after an hour: {_DOCS}/topics/predictions/data-retention")
    ),
    failures_are_free=Fact(
        None, Source(Certainty.UNDOCUMENTED, f"not said of models that are priced by output: {_DOCS}/topics/billing")
    ),
)

_ERRORS = ErrorRules(
    # "The input or output was flagged as sensitive. Please try again with different inputs. (E005)", say clients.
    content_codes=CONTENT_REJECTED_CODES | {"E005"},
    content_pattern=re.compile(r"flagged as (?:potentially )?sensitive|\bnsfw\b"),
    wait_pattern=re.compile(r"resets in ~?([0-9]{1,6})\s?s"),
)
_CODE: Final = re.compile(r"\((E[0-9]{3,4})\)")
"""The code at the end of a failed prediction's error."""


@frozen
class _Body:
    status: str
    output: Outputs = Outputs(())
    error: ErrorDetail | None = None
    created_at: Timestamp | None = None


_converter = register_fields(strict_converter())


class Replicate(Provider):
    """Replicate, as documented on 2026-11-29."""

    name: ClassVar[str] = "replicate"
    title: ClassVar[str] = "Replicate"
    origin: ClassVar[str] = "https://api.replicate.com"
    api_key_env: ClassVar[str] = "REPLICATE_API_TOKEN"
    base_url_env: ClassVar[str] = "REPLICATE_BASE_URL"
    webhook_env: ClassVar[str] = "REPLICATE_WEBHOOK_SECRET"
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {OutputKind.VIDEO: "kling-o1-std"}
    limits: ClassVar[Limits] = Limits(submit_per_second=10.0, poll_per_second=50.0)
    limit_sources: ClassVar[Mapping[LimitKind, Source]] = {LimitKind.RATE: _RATES, LimitKind.POLLS: _RATES}
    # https://replicate.com/docs/topics/predictions/lifecycle
    statuses: ClassVar[Mapping[str, Status]] = {
        "starting": Status.QUEUED,
        "processing": Status.RUNNING,
        "succeeded": Status.SUCCEEDED,
        "failed": Status.FAILED,
        "canceled": Status.CANCELLED,
        "aborted": Status.CANCELLED,
    }
    error_rules: ClassVar[ErrorRules] = _ERRORS
    upload_limits: ClassVar[MediaLimits | None] = MediaLimits(max_bytes=100_000_000, source=_FILES)
    # A file has an expires_at, of a day in the vendor's own client's tests; the page says nothing.
    upload_seconds: ClassVar[float | None] = 86_400.0

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body = build_body(spec, input, scene)
        if "reference_video" in body:
            body["video_reference_type"] = "base" if scene is Scene.VIDEO_EDIT else "feature"
        if isinstance(input, VideoInput) and input.shots:
            # A string that holds JSON, by the schemas of v3.
            shots = [{"prompt": shot.prompt, "duration": shot.duration} for shot in input.shots]
            body["multi_prompt"] = json.dumps(shots, ensure_ascii=False)
        path = f"/v1/models/kwaivgi/{spec.wire_name}/predictions"
        return HttpRequest(method="POST", path=path, body=json_body({"input": body}))

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        return with_fields(request, webhook=url, webhook_events_filter=["completed"])

    def build_upload(self, file: MediaFile) -> UploadRequest:
        return multipart_upload("/v1/files", file, field="content")

    def parse_upload(self, response: HttpResponse, file: MediaFile) -> str:
        url = as_object(self.read_document(response).get("urls")).get("get")
        return parse_address(url, response, provider=self.name, path="$.urls.get")

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/v1/predictions/{prediction.id}")

    def build_cancel(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="POST", path=f"/v1/predictions/{prediction.id}/cancel")

    def parse_envelope(self, document: Json) -> Envelope:
        envelope = parse_envelope(document, id_name="id")
        body = as_object(document)
        if envelope.id is not None or not {"title", "detail"} & body.keys():
            return envelope
        # A problem, in which `status` is that of HTTP (RFC 9457).
        message = parse_message(body.get("detail")) or parse_message(body.get("title"))
        code = parse_code(body.get("status"))
        return Envelope(refused=code is not None, code=code, message=message, record={})

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        record = envelope.record
        body = decode(_converter, _Body, record, response, provider=self.name)
        error = body.error or envelope.error
        code = _CODE.search(error.message or "")
        metrics = as_object(record.get("metrics"))
        return Record(
            status=body.status,
            outputs=body.output,
            outputs_removed=record.get("data_removed") is True,
            error=error if code is None else evolve(error, code=code[1]),
            created_at=body.created_at,
            timings=Timings(
                inference_seconds=parse_seconds(metrics.get("predict_time")),
                execution_seconds=parse_seconds(metrics.get("total_time")),
            ),
            # Only a prediction that was aborted before it started is documented as not billed:
            # https://replicate.com/changelog/2025-10-16-prediction-deadlines
            cost=Decimal(0) if body.status.strip().lower() == "aborted" else None,
        )
