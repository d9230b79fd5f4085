"""Atlas Cloud: Kling videos, by records like those of WaveSpeedAI's v3 API under paths of its own.

    POST /api/v1/model/generateVideo              submit; the model is in the body
    GET  /api/v1/model/prediction/{id}            poll
    POST /api/v1/model/uploadMedia                a file, whose URL goes into submissions
    GET  /public/v1/balance                       the balance of the account

The pages are those below https://www.atlascloud.ai/docs. The newer copies of them, and Atlas Cloud's own clients, read
the id of a submission at `data.id`; older copies have `predictionId`, which is read as well, since an id is paid for.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Never

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.errors import BadRequest, PermissionDenied
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene
from ..types.media_values import MediaFile
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Certainty, Fact, Source
from ..types.uploads import UploadRequest
from .atlascloud_models import MODELS
from .base import Provider
from .codec.envelope import Envelope, Record, parse_envelope
from .codec.errors import HTTP_ERRORS, ErrorRules
from .codec.fields import CONTENT_REJECTED_CODES, as_object, parse_code, parse_id, parse_message
from .codec.strict_json import json_body
from .codec.uploads import multipart_upload, parse_address
from .codec.wavespeed_v3 import V3_STATUSES, parse_v3_record
from .queries import parse_dollars
from .spec import ModelSpec
from .validation import build_body, infer_scene
from .webhooks import with_fields

__all__ = ["AtlasCloud"]

_DOCS = "https://www.atlascloud.ai/docs"


def _page(name: str, more: str) -> Source:
    return Source(Certainty.DOCUMENTED, f"{more}: {_DOCS}/{name}")


def _unknown(what: str) -> Fact[Never]:
    return Fact(None, Source(Certainty.UNDOCUMENTED, f"{what}: {_DOCS}"))


_CAPABILITIES = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page has an idempotency key or a client id")),
    replay_seconds=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows that a submission is replayed")),
    cancel=_unknown("no page that was read shows a cancellation, and no status word means one"),
    upload=Fact(True, _page("upload-files", "POST /api/v1/model/uploadMedia, for a temporary URL")),
    inline_media=Fact(True, _page("errors", "inline base64 in a body of up to 50 MB")),
    webhook=Fact(True, _page("webhooks", "webhook_url of a submission, signed")),
    webhook_signature=Fact("ed25519_t", _page("webhooks", "over the time and the body, by a key of a JWKS")),
    batch_poll=Fact(1, _page("predictions", "one id per request")),
    balance=Fact(True, _page("public-api/balance", "GET /public/v1/balance, in US dollars")),
    quote=_unknown("no page shows a price for an input that is not submitted"),
    over_limit=Fact("refuses", _page("errors", "429, per account and per model, without Retry-After")),
    output_ttl=_unknown("1 to 336 hours where a header asks for it, and no page that was read has the default"),
    failures_are_free=Fact(True, _page("billing/refunds", "the amount reserved is released")),
)


class AtlasCloud(Provider):
    """Atlas Cloud, as documented in November 2026."""

    name: ClassVar[str] = "atlascloud"
    title: ClassVar[str] = "Atlas Cloud"
    origin: ClassVar[str] = "https://api.atlascloud.ai"
    api_key_env: ClassVar[str] = "ATLASCLOUD_API_KEY"
    base_url_env: ClassVar[str] = "ATLASCLOUD_BASE_URL"
    webhook_keys: ClassVar[tuple[str, str] | None] = ("https://api.atlascloud.ai", "/api/v1/webhooks/jwks.json")
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {OutputKind.VIDEO: "kling-v3.0-std"}
    # processing, completed and failed are documented; "succeeded" is in its clients and on pages of models.
    statuses: ClassVar[Mapping[str, Status]] = V3_STATUSES
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        # 401 is also the answer to a wrong path, and 451 to a blocked region.
        errors={**HTTP_ERRORS, 404: BadRequest, 413: BadRequest, 451: PermissionDenied},
        # Documented: 1039, the input was rejected by content moderation, and no other code of a task.
        content_codes=CONTENT_REJECTED_CODES | {"1039"},
    )
    unlisted_kind: ClassVar[OutputKind] = OutputKind.VIDEO

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body = build_body(spec, input, scene)
        if scene is Scene.IMAGE_TO_VIDEO and Scene.REFERENCE_TO_VIDEO in spec.scenes and "sound" in body:
            body["generate_audio"] = body.pop("sound")  # this endpoint of O3 alone has another name for it
        body = {"model": f"kwaivgi/{spec.wire_name}/{scene}", **body}
        return HttpRequest(method="POST", path="/api/v1/model/generateVideo", body=json_body(body))

    def takes_callback(self, input: Input) -> bool:
        return super().takes_callback(input) and "webhook_url" not in input.extra

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        return with_fields(request, webhook_url=url)

    def webhook_record(self, document: Json) -> Json:
        # {session_id, event_type, status, payload}; the id of the prediction is that of the session.
        body = as_object(document)
        return {**as_object(body.get("payload")), "id": body.get("session_id")}

    def webhook_replies(self, document: Json, body: bytes) -> tuple[HttpResponse, ...]:
        # No page that was read shows all of a payload.
        return ()

    def build_upload(self, file: MediaFile) -> UploadRequest:
        return multipart_upload("/api/v1/model/uploadMedia", file, field="file")

    def parse_upload(self, response: HttpResponse, file: MediaFile) -> str:
        # The page reads `url`, and Atlas Cloud's own clients read `data.download_url`:
        # https://github.com/AtlasCloudAI/atlas-cloud-skills/blob/main/atlas-cloud/references/upload.md
        record = self._checked(response)[0].record
        url = record.get("download_url") or record.get("url")
        return parse_address(url, response, provider=self.name, path="$.data.download_url")

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/api/v1/model/prediction/{prediction.id}")

    def build_balance(self) -> HttpRequest:
        return HttpRequest(method="GET", path="/public/v1/balance")

    def parse_balance(self, response: HttpResponse) -> Decimal | None:
        available = as_object(self._checked(response)[0].record.get("available"))
        return parse_dollars(available.get("value")) if available.get("currency") == "usd" else None

    def parse_envelope(self, document: Json) -> Envelope:
        # Refusals are {code, msg, request_id, data: null}.
        envelope = parse_envelope(document, id_name="id")
        return evolve(
            envelope,
            id=envelope.id or parse_id(envelope.record.get("prediction_id")),
            message=envelope.message or parse_message(as_object(document).get("msg")),
        )

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        record = parse_v3_record(envelope, response, provider=self.name)
        code = parse_code(envelope.record.get("error_code"))
        return record if code is None else evolve(record, error=evolve(record.error, code=code))
