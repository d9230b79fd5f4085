"""WaveSpeedAI: its v3 API for Kling, of which GPTProto has the wire.

    POST /api/v3/kwaivgi/{model}[/{scene}]        submit
    GET  /api/v3/predictions/{id}/result          poll
    POST /api/v3/model/price                      the price of an input
    GET  /api/v3/balance                          the balance of the account
    GET  /api/v3/models                           the list of models

The pages are those below https://wavespeed.ai/docs. Where they are silent, WaveSpeedAI's own SDK for Python (2.0.5) and
its MCP server decide. The address of a poll in `data.urls.get` is never followed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import ClassVar, Never, cast
from urllib.parse import quote

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.limits import LimitKind, Limits
from ..types.media_values import MediaFile
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Certainty, Fact, Source
from ..types.uploads import UploadRequest, UploadTicket
from .base import Provider
from .codec.envelope import Envelope, Record, parse_envelope
from .codec.errors import BALANCE_MESSAGES, ErrorRules
from .codec.fields import CONTENT_REJECTED_CODES, as_object, parse_code
from .codec.strict_json import json_body
from .codec.uploads import parse_ticket
from .codec.wavespeed_v3 import V3_ERRORS, V3_OUTAGE_CODES, V3_STATUSES, build_v3_poll, parse_v3_record
from .known_models import known_models
from .listing import Difference, compare
from .media_rules import MediaLimits
from .queries import live_price, parse_dollars
from .spec import ModelSpec, Price
from .validation import build_body, infer_scene
from .wavespeed_listing import model_id, parse_models
from .wavespeed_models import ENDPOINTS, MODELS

__all__ = ["WaveSpeed"]

_DOCS = "https://wavespeed.ai/docs"
_SDK = "https://github.com/WaveSpeedAI/wavespeed-python"
_MCP = "https://github.com/WaveSpeedAI/mcp-server"


def _page(name: str, more: str) -> Source:
    return Source(Certainty.DOCUMENTED, f"{more}: {_DOCS}/{name}")


def _unknown(what: str) -> Fact[Never]:
    return Fact(None, Source(Certainty.UNDOCUMENTED, f"{what}: {_DOCS}"))


# An earlier page (docs-common-api/pricing) has /model/pricing, with `unit_price` in its answer.
_PRICE = Source(Certainty.CLIENT, f"POST /api/v3/model/price, in WaveSpeedAI's MCP server: {_MCP}")
_BRONZE = _page("account-levels", "the lowest level, Bronze: 2 images and 2 videos a minute, 2 at once")
_UPLOADS = _page("upload-files-api", "files, kept for 7 days")
_CAPABILITIES = Capabilities(
    repeat=Fact(
        "buys_again", Source(Certainty.INFERRED, f"no page and no SDK has an idempotency key or a client id: {_SDK}")
    ),
    replay_seconds=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows that a submission is replayed")),
    cancel=_unknown("no page, SDK or tool of WaveSpeedAI's has a cancellation, though a status word means one"),
    upload=Fact(True, _UPLOADS),
    inline_media=_unknown("the schemas ask for URLs, and no page mentions base64 as input"),
    webhook=Fact(True, _page("how-to-use-webhooks", "by ?webhook= of a submission")),
    webhook_signature=Fact(
        "hmac_v3", _page("verify-webhooks", "webhook-signature, v3, with the secret of the API key")
    ),
    batch_poll=Fact(1, _page("get-result", "one id per request")),
    balance=Fact(True, _page("check-balance", "GET /api/v3/balance, in US dollars")),
    quote=Fact(True, _PRICE),
    over_limit=Fact("queues", _page("account-levels", "a task too many waits; only the rate is refused, with 429")),
    output_ttl=_unknown("no page says how long outputs are kept"),
    failures_are_free=Fact(True, _page("troubleshooting-guide", "refunded automatically within 3 hours")),
)


class WaveSpeed(Provider):
    """WaveSpeedAI, as documented in November 2026."""

    name: ClassVar[str] = "wavespeed"
    title: ClassVar[str] = "WaveSpeedAI"
    origin: ClassVar[str] = "https://api.wavespeed.ai"
    api_key_env: ClassVar[str] = "WAVESPEED_API_KEY"
    base_url_env: ClassVar[str] = "WAVESPEED_BASE_URL"
    webhook_env: ClassVar[str] = "WAVESPEED_WEBHOOK_SECRET"
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling-image-o1",
        OutputKind.VIDEO: "kling-video-o1-std",
    }
    limits: ClassVar[Limits] = Limits(submit_per_second=2 / 60, submit_burst=2, max_open=2, max_submitting=2)
    limit_sources: ClassVar[Mapping[LimitKind, Source]] = {LimitKind.RATE: _BRONZE, LimitKind.SLOTS: _BRONZE}
    # created, processing, completed and failed are documented; "pending" is seen in clients, the others in the SDK.
    statuses: ClassVar[Mapping[str, Status]] = V3_STATUSES
    # The pages document 401 and 429 without a body. An empty account may be 402 or 403: that is not documented.
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        errors=V3_ERRORS,
        outage_codes=V3_OUTAGE_CODES,
        content_codes=CONTENT_REJECTED_CODES | {"1200"},
        balance_messages=BALANCE_MESSAGES,
    )
    # Larger files are to be given by URL, says the page of uploads.
    upload_limits: ClassVar[MediaLimits | None] = MediaLimits(max_bytes=300_000_000, source=_UPLOADS)
    upload_seconds: ClassVar[float | None] = 7 * 86_400.0

    def build_submit(self, input: Input) -> HttpRequest:
        model_id, body = self._submission(input)
        return HttpRequest(method="POST", path=f"/api/v3/{model_id}", body=json_body(body))

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        return evolve(request, path=f"{request.path}?webhook={quote(url, safe='')}")

    def build_quote(self, input: Input) -> HttpRequest | None:
        """Build the request for the price of a submission's body; None where that would not decide it.

        The endpoint accepts any part of a body, and leaves out what it does not see: WaveSpeedAI's MCP server warns
        that a formula without its variables gives the lowest price. The length of a given video is such a variable.
        """
        model_id, inputs = self._submission(input)
        if isinstance(input, VideoInput) and ("duration" not in inputs or "videos" in inputs):
            return None
        body = json_body({"model_id": model_id, "inputs": inputs})
        return HttpRequest(method="POST", path="/api/v3/model/price", body=body)

    def parse_quote(self, response: HttpResponse) -> Price | None:
        record = self._checked(response)[0].record
        amounts = (record.get("discounted_price"), record.get("price"), record.get("unit_price"))
        return live_price(amounts, record.get("currency"), _PRICE)

    def build_balance(self) -> HttpRequest:
        return HttpRequest(method="GET", path="/api/v3/balance")

    def parse_balance(self, response: HttpResponse) -> Decimal | None:
        return parse_dollars(self._checked(response)[0].record.get("balance"))

    def build_listing(self, answered: Sequence[HttpResponse]) -> HttpRequest | None:
        return None if answered else HttpRequest(method="GET", path="/api/v3/models")

    def compare_listing(self, responses: Sequence[HttpResponse]) -> tuple[Difference, ...]:
        listed = [*parse_models(self.read_document(responses[-1]).get("data"))]
        return compare(known_models(self, model_id), listed, responses, provider=self.name)

    def build_upload(self, file: MediaFile) -> UploadRequest:
        """Build the request for a ticket, as WaveSpeedAI's own client in Python sends it; see `_SDK`."""
        body = json_body({"filename": file.upload_name, "size": file.size, "content_type": file.mime})
        return UploadRequest(request=HttpRequest(method="POST", path="/api/v3/media/uploads", body=body))

    def parse_upload(self, response: HttpResponse, file: MediaFile) -> UploadTicket:
        record = self._checked(response)[0].record
        place = as_object(record.get("upload"))
        is_put = str(place.get("method", "")).upper() == "PUT"
        return parse_ticket(
            url=place.get("url") if is_put else None,
            headers=place.get("headers"),
            address=record.get("download_url"),
            response=response,
            provider=self.name,
            path="$.data.upload",
        )

    def _submission(self, input: Input) -> tuple[str, dict[str, Json]]:
        """Return the id of an input's model, which is its path, and the body of its submission."""
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body = build_body(spec, input, scene)
        if isinstance(input, VideoInput):
            _complete(body, input, scene)
        return f"kwaivgi/{ENDPOINTS.get((spec.wire_name, scene), f'{spec.wire_name}/{scene}')}", body

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return build_v3_poll(prediction)

    def parse_envelope(self, document: Json) -> Envelope:
        envelope = parse_envelope(document, id_name="id")
        # Refusals outside HTTP 200 are {message, error_code}, as WaveSpeedAI's MCP server reads them.
        code = parse_code(as_object(document).get("error_code"))
        return envelope if code is None else evolve(envelope, code=code, refused=True)

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        return parse_v3_record(envelope, response, provider=self.name)


def _complete(body: dict[str, Json], input: VideoInput, scene: Scene) -> None:
    """Write what the fields of an input do not say as the schemas want it."""
    if input.shots:
        body["multi_prompt"] = [{"prompt": shot.prompt, "duration": shot.duration} for shot in input.shots]
    if not input.prompt.strip():
        # Optional where it may be blank, and exclusive with shots.
        del body["prompt"]
    if "videos" in body and scene is not Scene.REFERENCE_TO_VIDEO:
        body["video"] = cast("list[Json]", body.pop("videos"))[0]
    if not input.all_videos and input.keep_original_sound:
        # It "requires videos", and its default here is true.
        body.pop("keep_original_sound", None)
