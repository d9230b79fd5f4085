"""API in One (apiin.one): Kling images and videos behind one gateway.

    POST /api/v1/images/generations               submit an image
    POST /api/v1/videos/generations               submit a video
    GET  /api/v1/tasks/{task_id}                  poll

The pages are those of https://apiin.one. None shows the body of a finished task: outputs are searched for in the fields
that clients read, and the whole response is kept in `Prediction.raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Never

from attrs import frozen

from ..types.capabilities import Capabilities
from ..types.converter import strict_converter
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Certainty, Fact, Source
from .base import Provider
from .codec.envelope import Envelope, Record, parse_envelope
from .codec.errors import BALANCE_MESSAGES, ErrorRules
from .codec.fields import ErrorDetail, Timestamp, parse_outputs, register_fields
from .codec.statuses import COMMON_STATUSES
from .codec.strict_json import decode, json_body
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price
from .validation import build_body, infer_scene

__all__ = ["APIInOne"]

_IMAGE_O1 = Source(Certainty.DOCUMENTED, "model page of kling-image-o1: https://apiin.one/ko/models/kling-image-o1")
_BILLING = Source(
    Certainty.DOCUMENTED,
    'model page of kling-image-o1, "billed per successful request": https://apiin.one/zh/model/kling-image-o1',
)
_GENERIC = Source(Certainty.DOCUMENTED, "API manual, image generation: https://apiin.one/ko/docs")
_KLING_3 = Source(Certainty.DOCUMENTED, "model page of kling-3: https://apiin.one/zh/model/kling-3")
_CALLBACK = Source(
    Certainty.DOCUMENTED,
    "model page of kling-3, callback_url, without payload or signature: https://apiin.one/zh/model/kling-3",
)
_SIX_SHOTS = Source(Certainty.INFERRED, "Kling's own API with the same fields: at most 6 shots of 512 characters")
_UNKNOWN: Fact[Never] = Fact(
    None, Source(Certainty.UNDOCUMENTED, "neither on the model pages nor in the API manual: https://apiin.one/docs")
)

_CAPABILITIES = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page documents an idempotency key or a client id")),
    replay_seconds=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows that a submission is replayed")),
    cancel=_UNKNOWN,
    upload=_UNKNOWN,
    inline_media=_UNKNOWN,
    webhook=Fact(True, _CALLBACK),
    webhook_signature=_UNKNOWN,
    batch_poll=Fact(1, _IMAGE_O1),
    balance=_UNKNOWN,
    quote=_UNKNOWN,
    over_limit=_UNKNOWN,
    output_ttl=_UNKNOWN,
    failures_are_free=Fact(True, _BILLING),
)

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "auto")

_KLING_3_RULES = (
    CrossFieldRule(
        "prompt",
        "must be text, and not blank, unless shots are given",
        lambda input, _: bool(input.prompt.strip()) or (isinstance(input, VideoInput) and bool(input.shots)),
        _KLING_3,
    ),
    CrossFieldRule(
        "extra",
        "may not hold multi_shots, which follows from shots=",
        lambda input, _: "multi_shots" not in input.extra,
        _KLING_3,
    ),
)
# 120 to 1,200 credits at the page's $0.01 a credit; only this one combination has a price of its own.
_KLING_3_PRICES = (
    Price(
        low=Decimal("3.00"), high=Decimal("3.00"), when={"mode": "std", "duration": 5, "sound": True}, source=_KLING_3
    ),
    Price(low=Decimal("1.20"), high=Decimal("12.00"), source=_KLING_3),
)
_KLING_3_MODE = Parameter("mode", OneOf(("std", "pro")), _KLING_3, default="std", extra=True)


def _kling_3(name: str, *, fixed: Mapping[str, Json]) -> ModelSpec:
    """Return kling-3 by its own name, with a mode, or by the canonical name of a mode."""
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO),
        (
            # "Not required if multi_shots is true": blank is allowed here, and a rule below requires one of the two.
            Parameter("prompt", Text(2500, 0), _KLING_3),
            Parameter("image", Url(), _KLING_3),
            Parameter("aspect_ratio", OneOf(("16:9", "1:1", "9:16")), _KLING_3, default="16:9"),
            Parameter("duration", Range(3, 15), _KLING_3, default=5),
            Parameter("shots", Shots(6), _SIX_SHOTS, wire_name="multi_prompt"),
            *(() if fixed else (_KLING_3_MODE,)),
            Parameter("sound", Boolean(), _KLING_3, default=True, also_extra=True),
            Parameter("kling_elements", Unchecked("a list"), _KLING_3, extra=True),
            Parameter("callback_url", Url(local=False), _KLING_3, extra=True),
        ),
        _KLING_3,
        cross_field_rules=_KLING_3_RULES,
        prices=_KLING_3_PRICES,
        wire_name="kling-3",
        fixed=fixed,
    )


_MODELS = (
    ModelSpec(
        "kling-image-o1",
        OutputKind.IMAGE,
        (Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE, Scene.MULTI_SHOT),
        (
            Parameter("prompt", Text(5000, 3), _GENERIC, required=True),
            Parameter("multi_shot", Boolean(), _IMAGE_O1, wire_name="type", default=False),
            Parameter("images", UrlList(10), _IMAGE_O1),
            Parameter("aspect_ratio", OneOf(_RATIOS), _IMAGE_O1, default="1:1"),
            Parameter("resolution", OneOf(("1k", "2k")), _IMAGE_O1, default="1k"),
            Parameter("n", Range(1, 9), _IMAGE_O1, wire_name="num_images", default=1),
        ),
        _IMAGE_O1,
        # 6 and 16 credits per request, for any number of images, at the page's $0.002 a credit.
        prices=(
            Price(low=Decimal("0.032"), high=Decimal("0.032"), when={"multi_shot": True}, source=_IMAGE_O1),
            Price(low=Decimal("0.012"), high=Decimal("0.012"), source=_IMAGE_O1),
        ),
    ),
    _kling_3("kling-3", fixed={}),
    _kling_3("kling-3.0-std", fixed={"mode": "std"}),
    _kling_3("kling-3.0-pro", fixed={"mode": "pro"}),
)


@frozen
class _Body:
    status: str
    error: ErrorDetail | None = None
    created_at: Timestamp | None = None


_converter = register_fields(strict_converter())


class APIInOne(Provider):
    """API in One, as documented on 2026-11-20."""

    name: ClassVar[str] = "apiinone"
    title: ClassVar[str] = "API in One"
    origin: ClassVar[str] = "https://apiin.one"
    api_key_env: ClassVar[str] = "APIINONE_API_KEY"
    base_url_env: ClassVar[str] = "APIINONE_BASE_URL"
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in _MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling-image-o1",
        OutputKind.VIDEO: "kling-3",
    }
    # IN_PROGRESS, pending, completed and failed are documented, in both cases; the others are seen in a client.
    statuses: ClassVar[Mapping[str, Status]] = COMMON_STATUSES
    # 400 and 401 are documented, with HTTP's meaning. An empty account may be 402 or 403: that is not documented.
    error_rules: ClassVar[ErrorRules] = ErrorRules(balance_messages=BALANCE_MESSAGES)

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body: dict[str, Json] = {"model": spec.wire_name, **build_body(spec, input, scene)}
        if isinstance(input, VideoInput):
            if not input.prompt.strip():
                # Not required beside shots; a blank one might be taken as given, and rejected.
                del body["prompt"]
            if input.shots:
                body["multi_shots"] = True
                body["multi_prompt"] = [{"prompt": shot.prompt, "duration": shot.duration} for shot in input.shots]
            return HttpRequest(method="POST", path="/api/v1/videos/generations", body=json_body(body))
        # The two types have two prices, so the type is always sent.
        body["type"] = Scene.MULTI_SHOT.value if input.multi_shot else Scene.IMAGE_TO_IMAGE.value
        return HttpRequest(method="POST", path="/api/v1/images/generations", body=json_body(body))

    def takes_callback(self, input: Input) -> bool:
        # The page of the image model says that it needs none.
        return super().takes_callback(input) and self.spec(input).parameter("callback_url") is not None

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/api/v1/tasks/{prediction.id}")

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_envelope(document, id_name="task_id")

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        record = envelope.record
        body = decode(_converter, _Body, record, response, provider=self.name)
        return Record(
            status=body.status,
            # Inferred: no page shows a finished task. The fields are those that clients read.
            outputs=parse_outputs(record),
            error=body.error or envelope.error,
            created_at=body.created_at,
        )
