"""OpenRouter: Kling videos by its videos API.

    POST /api/v1/videos                          submit, HTTP 202
    GET  /api/v1/videos/{id}                     poll
    GET  /api/v1/videos/{id}/content?index=0     an output, for the API key
    GET  /api/v1/videos/models                   the list of models

The API is documented, and so are the names of the models and their lowest prices. The ranges of their parameters are
what the public list of models says, https://openrouter.ai/api/v1/videos/models, as third-party clients recorded it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar, Final, Never

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene
from ..types.prediction import Json, Output, OutputKind, Prediction, Status
from ..types.sources import Certainty, Fact, Source
from .base import Provider
from .codec.envelope import Envelope, Record
from .codec.errors import ErrorRules
from .codec.fields import as_list, as_object
from .codec.openrouter_videos import (
    FIRST_FRAME,
    LAST_FRAME,
    REFUSAL_CODES,
    build_videos_body,
    parse_videos_envelope,
    parse_videos_record,
)
from .codec.statuses import COMMON_STATUSES
from .codec.strict_json import json_body
from .known_models import known_models
from .listing import Difference, ListedModel, compare
from .parameter_rules import Boolean, OneOf, Range, Rule, Text, Unchecked, Url
from .queries import parse_dollars
from .spec import ModelSpec, Parameter, Price
from .validation import infer_scene

__all__ = ["OpenRouter"]

_GUIDE_URL = "https://openrouter.ai/docs/guides/overview/multimodal/video-generation"
_GUIDE = Source(Certainty.DOCUMENTED, f"guide to video generation: {_GUIDE_URL}")
_API = Source(Certainty.DOCUMENTED, "reference of the videos API: https://openrouter.ai/docs/api/api-reference/videos")
_COOKBOOK = Source(
    Certainty.DOCUMENTED,
    "models with 720p, 5 s and a first frame, and the lowest price of each: "
    "https://openrouter.ai/docs/cookbook/video-generation/choose-video-model",
)
_LISTED = Source(
    Certainty.CLIENT, "list of video models, as clients recorded it: https://openrouter.ai/api/v1/videos/models"
)
_ERRORS_PAGE = Source(Certainty.DOCUMENTED, "errors: https://openrouter.ai/docs/api_reference/errors-and-debugging")
_CREDITS = Source(
    Certainty.DOCUMENTED,
    "the balance needs a management key, which cannot submit: https://openrouter.ai/docs/api/api-reference/credits",
)
_HOOKS = Source(
    Certainty.DOCUMENTED,
    f"X-OpenRouter-Signature, once the workspace has a signing secret: {_GUIDE_URL}",
)
_PROMPT_LIMIT = Source(Certainty.CLIENT, "longer prompts got HTTP 400: https://github.com/alecs5am/ralphy")
_UNKNOWN: Fact[Never] = Fact(
    None, Source(Certainty.UNDOCUMENTED, f"neither in the reference nor in the guide: {_GUIDE_URL}")
)

_CAPABILITIES = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page documents an idempotency key or a client id")),
    replay_seconds=_UNKNOWN,
    # The reference lists four endpoints, and none of them cancels; jobs may be cancelled by OpenRouter itself.
    cancel=_UNKNOWN,
    upload=_UNKNOWN,
    inline_media=_UNKNOWN,
    webhook=Fact(True, _GUIDE),
    webhook_signature=Fact("hmac_t_v1", _HOOKS),
    batch_poll=Fact(1, _API),
    balance=Fact(False, _CREDITS),
    quote=_UNKNOWN,
    over_limit=Fact("refuses", _ERRORS_PAGE),
    # `expires_at` in a record is the end of its signed URLs; no page says how long they live.
    output_ttl=_UNKNOWN,
    failures_are_free=_UNKNOWN,
)


def _per_second(price: str, source: Source, **when: Json) -> Price:
    return Price(low=Decimal(price), high=Decimal(price), per="second", when=when, source=source)


def _video(name: str, *, canonical: str, duration: Rule, prices: tuple[Price, ...]) -> ModelSpec:
    return ModelSpec(
        f"kwaivgi/{name}",
        OutputKind.VIDEO,
        (Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO),
        (
            Parameter("prompt", Text(2500), _PROMPT_LIMIT, required=True),
            Parameter("image", Url(), _COOKBOOK, wire_name=FIRST_FRAME),
            Parameter("last_image", Url(), _LISTED, wire_name=LAST_FRAME),
            Parameter("aspect_ratio", OneOf(("16:9", "9:16", "1:1")), _LISTED),
            Parameter("duration", duration, _LISTED),
            Parameter("resolution", OneOf(("720p",)), _COOKBOOK),
            # "Defaults to true for models that support audio output", which all three are listed to do.
            Parameter("sound", Boolean(), _LISTED, wire_name="generate_audio", default=True),
            # The list allows negative_prompt, and cfg_scale but for O1, yet no page names the key to put them under.
            Parameter("provider", Unchecked("an object with options by the slug of a provider"), _GUIDE, extra=True),
            Parameter("callback_url", Url(local=False), _GUIDE, extra=True),
        ),
        _COOKBOOK,
        prices=prices,
        canonical=canonical,
    )


_MODELS = (
    _video(
        "kling-v3.0-std",
        canonical="kling-3.0-std",
        duration=Range(3, 15),
        prices=(_per_second("0.126", _LISTED, sound=True), _per_second("0.084", _COOKBOOK)),
    ),
    _video(
        "kling-v3.0-pro",
        canonical="kling-3.0-pro",
        duration=Range(3, 15),
        prices=(_per_second("0.168", _LISTED, sound=True), _per_second("0.112", _COOKBOOK)),
    ),
    # OpenRouter names no tier. The price is that of Kling's own pro tier; std is 0.084 there.
    _video(
        "kling-video-o1",
        canonical="kling-o1-pro",
        duration=OneOf((5, 10)),
        prices=(_per_second("0.112", _COOKBOOK),),
    ),
)

_CREATED: Final = re.compile(r"gen-vid-([0-9]{10})-[A-Za-z0-9]+")
"""Ids are `gen-vid-<timestamp>-<20 alphanumerics>`, says https://github.com/OpenRouterTeam/python-sdk."""

_CONTENT: Final = re.compile(r"https?://[^/?#]+/api/v1/videos/([^/?#]+)/content(?:\?index=([0-9]{1,3}))?")
"""A URL of the content endpoint, wherever it claims to be: the key goes to the provider's own origin alone."""


class OpenRouter(Provider):
    """OpenRouter, as its SDK 1.3.84 and its guide of 2026-08-22 describe it."""

    name: ClassVar[str] = "openrouter"
    title: ClassVar[str] = "OpenRouter"
    origin: ClassVar[str] = "https://openrouter.ai"
    api_key_env: ClassVar[str] = "OPENROUTER_API_KEY"
    base_url_env: ClassVar[str] = "OPENROUTER_BASE_URL"
    webhook_env: ClassVar[str] = "OPENROUTER_WEBHOOK_SECRET"
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in _MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {OutputKind.VIDEO: "kwaivgi/kling-v3.0-std"}
    # Six are documented: pending, in_progress, completed, failed, cancelled and expired.
    statuses: ClassVar[Mapping[str, Status]] = COMMON_STATUSES
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        # 499, the caller's connection was closed, is documented for submissions: one may have been accepted before.
        outage_codes=(range(499, 500), range(500, 10_000)),
        content_codes=REFUSAL_CODES,
        # The error of a failed job is text alone; this one is in the guide.
        content_messages=("content policy violation",),
        # An empty account is 402. The limit of one key is 402 as well, or 403 "Key limit exceeded", as a client saw.
        balance_messages=re.compile(r"\bkey limit exceeded\b|\bcredits?\b"),
    )

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        return HttpRequest(method="POST", path="/api/v1/videos", body=json_body(build_videos_body(spec, input, scene)))

    def webhook_replies(self, document: Json, body: bytes) -> tuple[HttpResponse, ...]:
        # A delivery lacks the signed URLs that a poll has.
        return ()

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/api/v1/videos/{prediction.id}")

    def build_download(self, prediction: Prediction, output: Output) -> HttpRequest | None:
        # Clients recorded jobs that had no other URLs than these, which answer 401 without the key.
        match = _CONTENT.fullmatch(output.url)
        if match is None or match[1] != prediction.id:
            return None
        return HttpRequest(method="GET", path=f"/api/v1/videos/{prediction.id}/content?index={match[2] or 0}")

    def build_listing(self, answered: Sequence[HttpResponse]) -> HttpRequest | None:
        return None if answered else HttpRequest(method="GET", path="/api/v1/videos/models")

    def compare_listing(self, responses: Sequence[HttpResponse]) -> tuple[Difference, ...]:
        entries = map(as_object, as_list(self.read_document(responses[-1]).get("data")))
        listed = [_listed(id, entry) for entry in entries if isinstance(id := entry.get("id"), str)]
        of_kling = [one for one in listed if one.id.startswith("kwaivgi/")]
        return compare(known_models(self, _model_in), of_kling, responses, provider=self.name)

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_videos_envelope(document)

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        record = parse_videos_record(envelope, response, provider=self.name)
        return evolve(record, created_at=_created_at(envelope.id))


_VALUES: Final[Mapping[str, str]] = {
    "duration": "supported_durations",
    "aspect_ratio": "supported_aspect_ratios",
    "resolution": "supported_resolutions",
}
"""Names of allowed values in the list, by the field of a submission."""


def _listed(id: str, entry: Mapping[str, Json]) -> ListedModel:
    """Return a model of the list. Its prices, `pricing_skus`, do not say which input they are of: all are amounts."""
    named = {name: as_list(entry.get(listed)) for name, listed in _VALUES.items()}
    amounts = map(parse_dollars, as_object(entry.get("pricing_skus")).values())
    return ListedModel(
        id=id,
        values={name: frozenset(str(one).lower() for one in values) for name, values in named.items() if values},
        amounts=frozenset(amount for amount in amounts if amount),
    )


def _model_in(request: HttpRequest) -> str:
    return str(json.loads(request.body)["model"])


def _created_at(id: str | None) -> datetime | None:
    """Return the time in an id; a record has no other."""
    match = _CREATED.fullmatch(id or "")
    return datetime.fromtimestamp(int(match[1]), UTC) if match else None
