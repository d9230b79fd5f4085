"""GPTProto: its "gptproto-format" v3 API for Kling.

    POST /api/v3/kwaivgi/{model}/{scene}          submit
    GET  /api/v3/predictions/{id}/result          poll

The pages are those below https://docs.gptproto.com/docs/allapi/Kling. Where they contradict each other, or show a
template instead of a response, third-party clients and WaveSpeedAI, which has the same envelope, decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Never

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json, OutputKind, Prediction, Status
from ..types.sources import Certainty, Fact, Source
from .base import Provider
from .codec.envelope import Envelope, Record, parse_envelope
from .codec.errors import BALANCE_MESSAGES, ErrorRules
from .codec.fields import CONTENT_REJECTED_CODES
from .codec.strict_json import json_body
from .codec.wavespeed_v3 import V3_ERRORS, V3_OUTAGE_CODES, V3_STATUSES, build_v3_poll, parse_v3_record
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter
from .validation import build_body, infer_scene

__all__ = ["GPTProto"]

_T2V, _I2V, _START_END = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.START_END_FRAME
_R2V, _V2V, _MOTION = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_TO_VIDEO, Scene.MOTION_CONTROL


def _page(model: str, scene: str, *, more: str = "") -> Source:
    url = f"https://docs.gptproto.com/docs/allapi/Kling/{model}/gptproto-format/{scene}"
    return Source(Certainty.DOCUMENTED, f"{model}, {scene}{more}: {url}")


_IMAGE_O1 = _page("kling-image-o1", "text-to-image", more=" and image-to-image")
_VIDEO_O1 = _page("kling-video-o1-std", "text-to-video", more=" and reference-to-video")
_V25 = _page("kling-v2.5-turbo-std", "image-to-video")
_V26 = _page("kling-v2.6-pro", "image-to-video")
_V30 = _page("kling-v3.0-std", "image-to-video")
_CLI = "https://github.com/gptproto-ai/gptproto-cli"
_SDK = "https://github.com/gptproto-ai/gptproto-sdk"
_LISTED = Source(Certainty.INFERRED, f"scenes from the catalogue of GPTProto's command line; the rest follows: {_CLI}")
_SIX_SHOTS = Source(Certainty.INFERRED, "Kling's own API with the same fields: at most 6 shots of 512 characters")
_WAVESPEED = Source(Certainty.ANALOGY, "WaveSpeedAI's schema of the same model")

# "2:1" is probably a typo for "21:9", which other hosts of this model list. Only documented values are sent.
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "2:1", "auto")

_PROMPT = Parameter("prompt", Text(2500), _VIDEO_O1, required=True)
_FIRST = Parameter("image", Url(), _VIDEO_O1)
_LAST = Parameter("last_image", Url(), _VIDEO_O1)
_RATIO = Parameter("aspect_ratio", OneOf(("16:9", "1:1", "9:16")), _VIDEO_O1, default="16:9")
_SHOTS = Parameter("shots", Shots(6), _SIX_SHOTS, wire_name="multi_prompt")
_KEEP_SOUND = Parameter("keep_original_sound", Boolean(), _VIDEO_O1, default=True)
_NEGATIVE = Parameter("negative_prompt", Text(2500), _V30, also_extra=True)
_GUIDANCE = Parameter("guidance_scale", Range(0, 1, integer=False), _V30, extra=True)
_SOUND = Parameter("sound", Boolean(), _V26, default=True, also_extra=True)
_VOICES = Parameter("voice_list", Unchecked("at most 2 objects with a voice_id"), _V26, extra=True)

_O1 = (
    _PROMPT,
    _FIRST,
    _LAST,
    Parameter("images", UrlList(10), _VIDEO_O1),
    Parameter("video", Url(), _VIDEO_O1),
    _RATIO,
    Parameter("duration", Range(3, 10), _VIDEO_O1, per_scene={_T2V: OneOf((5, 10))}, default=5),
    _SHOTS,
    _KEEP_SOUND,
)
_O1_CROSS_FIELD_RULES = (
    CrossFieldRule(
        "duration",
        "must be one of 5, 10 when only the first frame is given",
        lambda input, scene: scene is not _I2V or _has_last_image(input) or _duration(input) in (5, 10),
        _VIDEO_O1,
    ),
    CrossFieldRule(
        "images",
        "takes at most 4 when a video is given",
        lambda input, _: not (isinstance(input, VideoInput) and input.all_videos) or len(input.images) <= 4,
        _VIDEO_O1,
    ),
)
_FIVE_OR_TEN = Parameter("duration", OneOf((5, 10)), _V26, default=5)
_V21 = (_PROMPT, _FIRST, _FIVE_OR_TEN, _NEGATIVE, _GUIDANCE)
_V21_ENDS = (*_V21, Parameter("last_image", Url(), _WAVESPEED, scenes=(_START_END,)))
_MOTION_ONLY = (
    Parameter("video", Url(), _WAVESPEED, scenes=(_MOTION,)),
    Parameter("keep_original_sound", Boolean(), _WAVESPEED, scenes=(_MOTION,), default=True),
    Parameter("character_orientation", OneOf(("image", "video")), _WAVESPEED, default="video", extra=True),
)
_V26_ALL = (_PROMPT, _FIRST, _LAST, _RATIO, _FIVE_OR_TEN, _NEGATIVE, _SOUND, _VOICES, *_MOTION_ONLY)
_V30_SECONDS = Parameter("duration", Range(3, 15), _V30, default=5)
_V30_ALL = (_PROMPT, _FIRST, _RATIO, _V30_SECONDS, _NEGATIVE, _SOUND, _GUIDANCE, *_MOTION_ONLY)
_O1_SCENES = (_T2V, _I2V, _R2V, _V2V)


def _has_last_image(input: Input) -> bool:
    return isinstance(input, VideoInput) and input.last_image is not None


def _duration(input: Input) -> int:
    return input.duration if isinstance(input, VideoInput) else 0


def _inferred_from(source: Source) -> Source:
    """Return the source of a fact for a model without a page of its own."""
    documented = source.certainty is Certainty.DOCUMENTED
    return Source(Certainty.INFERRED, f"as on the page of {source.where}") if documented else source


def _video(
    name: str, canonical: str, scenes: tuple[Scene, ...], parameters: tuple[Parameter, ...], source: Source
) -> ModelSpec:
    cross_field_rules = _O1_CROSS_FIELD_RULES if scenes == _O1_SCENES else ()
    if source is _LISTED:
        parameters = tuple(evolve(one, source=_inferred_from(one.source)) for one in parameters)
    return ModelSpec(
        name, OutputKind.VIDEO, scenes, parameters, source, cross_field_rules=cross_field_rules, canonical=canonical
    )


_MODELS = (
    ModelSpec(
        "kling-image-o1",
        OutputKind.IMAGE,
        (Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE),
        (
            Parameter("prompt", Text(), _IMAGE_O1, required=True),
            Parameter("aspect_ratio", OneOf(_RATIOS), _IMAGE_O1, default="16:9"),
            Parameter("n", Range(1, 9), _IMAGE_O1, default=1),
            Parameter("resolution", OneOf(("1k", "2k")), _IMAGE_O1, default="1k"),
            Parameter("images", UrlList(10), _IMAGE_O1),
        ),
        _IMAGE_O1,
    ),
    _video("kling-video-o1-std", "kling-o1-std", _O1_SCENES, _O1, _VIDEO_O1),
    _video("kling-video-o1-pro", "kling-o1-pro", _O1_SCENES, _O1, _LISTED),
    _video("kling-v2.1-standard", "kling-2.1-std", (_I2V,), _V21, _LISTED),
    _video("kling-v2.1-pro", "kling-2.1-pro", (_I2V, _START_END), _V21_ENDS, _LISTED),
    _video("kling-v2.1-master", "kling-2.1-master", (_T2V, _I2V), (*_V21, _RATIO), _LISTED),
    _video("kling-v2.5-turbo-std", "kling-2.5-turbo-std", (_T2V, _I2V), (*_V21, _RATIO), _V25),
    _video("kling-v2.5-turbo-pro", "kling-2.5-turbo-pro", (_T2V, _I2V, _START_END), (*_V21_ENDS, _RATIO), _LISTED),
    _video("kling-v2.6-std", "kling-2.6-std", (_T2V, _I2V, _MOTION), _V26_ALL, _LISTED),
    _video("kling-v2.6-pro", "kling-2.6-pro", (_T2V, _I2V, _MOTION), _V26_ALL, _V26),
    _video("kling-v3.0-std", "kling-3.0-std", (_T2V, _I2V, _MOTION), _V30_ALL, _V30),
    _video("kling-v3.0-pro", "kling-3.0-pro", (_T2V, _I2V, _MOTION), _V30_ALL, _LISTED),
    _video("kling-v3-omni-std", "kling-3.0-omni-std", _O1_SCENES, _O1, _LISTED),
    _video("kling-v3-omni-pro", "kling-3.0-omni-pro", _O1_SCENES, _O1, _LISTED),
)

_RATIO_REQUIRED = (_T2V, _R2V)
"""The page calls the ratio required without a first frame or a video to edit, and yet gives it a default."""


_ERRORS = ErrorRules(
    # WaveSpeedAI's, since the envelope is the same.
    errors=V3_ERRORS,
    outage_codes=V3_OUTAGE_CODES,
    # "503 Content policy violation (actual status code is 400)", on every page, with the message below on older ones.
    content_codes=CONTENT_REJECTED_CODES | {"503", "1200"},
    content_messages=("input may not meet the guidelines",),
    # 403 is a missing permission or an empty account; only the message tells which.
    balance_messages=BALANCE_MESSAGES,
    # Older pages show these under 403; the remedy is another key, not another permission.
    key_messages=frozenset({"invalid token", "invalid signature"}),
)

_UNKNOWN: Fact[Never] = Fact(None, Source(Certainty.UNDOCUMENTED, f"neither on the Kling pages nor in the SDK: {_SDK}"))

_CAPABILITIES = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page documents an idempotency key or a client id")),
    replay_seconds=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows that a submission is replayed")),
    cancel=_UNKNOWN,
    upload=_UNKNOWN,
    inline_media=_UNKNOWN,
    webhook=Fact(None, Source(Certainty.UNDOCUMENTED, f"callback_url is not exposed, says the SDK's document: {_SDK}")),
    webhook_signature=_UNKNOWN,
    batch_poll=Fact(1, _IMAGE_O1),
    balance=_UNKNOWN,
    quote=Fact(None, Source(Certainty.UNDOCUMENTED, f"the command line's catalogue showed no Kling price: {_CLI}")),
    # "429 Too Many Requests: you've exceeded your rate limit", on every page.
    over_limit=Fact("refuses", _IMAGE_O1),
    output_ttl=_UNKNOWN,
    failures_are_free=_UNKNOWN,
)


class GPTProto(Provider):
    """GPTProto, as documented on 2026-11-20."""

    name: ClassVar[str] = "gptproto"
    title: ClassVar[str] = "GPTProto"
    origin: ClassVar[str] = "https://gptproto.com"
    api_key_env: ClassVar[str] = "GPTPROTO_API_KEY"
    base_url_env: ClassVar[str] = "GPTPROTO_BASE_URL"
    # The examples show the bare key and the prose says Bearer; clients use both, and both are accepted.
    schemes: ClassVar[tuple[str, ...]] = ("bearer", "bare")
    capabilities: ClassVar[Capabilities] = _CAPABILITIES
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in _MODELS}
    default_models: ClassVar[Mapping[OutputKind, str]] = {
        OutputKind.IMAGE: "kling-image-o1",
        OutputKind.VIDEO: "kling-video-o1-std",
    }
    # "created" and "completed" are documented; the others are seen in clients, or are WaveSpeedAI's.
    statuses: ClassVar[Mapping[str, Status]] = V3_STATUSES
    error_rules: ClassVar[ErrorRules] = _ERRORS

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = infer_scene(spec, input) or spec.scenes[0]
        body = build_body(spec, input, scene)
        if isinstance(input, VideoInput):
            if scene in _RATIO_REQUIRED and spec.parameter("aspect_ratio"):
                body.setdefault("aspect_ratio", "16:9")
            if input.shots:
                # The duration of a shot is documented as a string, that of the video as an integer.
                body["multi_prompt"] = [
                    {"index": index, "prompt": shot.prompt, "duration": str(shot.duration)}
                    for index, shot in enumerate(input.shots, 1)
                ]
        return HttpRequest(method="POST", path=f"/api/v3/kwaivgi/{spec.wire_name}/{scene}", body=json_body(body))

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return build_v3_poll(prediction)

    def parse_envelope(self, document: Json) -> Envelope:
        return parse_envelope(document, id_name="id")

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        return parse_v3_record(envelope, response, provider=self.name)
