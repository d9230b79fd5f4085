"""GPTProto: its "gptproto-format" v3 API for Kling.

    POST /api/v3/kwaivgi/{model}/{scene}          submit
    GET  /api/v3/predictions/{id}/result          poll

Pages are those below docs.gptproto.com/docs/allapi/Kling. Where they contradict each other, or print a template instead
of a reply, what third-party clients do and what WaveSpeedAI does, whose envelope this is, decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import evolve, frozen

from ..errors import BadRequest, ContentRejected, ProviderUnavailable
from ..inputs import Input, Scene, VideoInput
from ..prediction import Json, OutputKind, Status, Timings
from ..wire import HttpReply, HttpRequest
from .base import Provider, json_body
from .check import body_of, scene_of
from .decode import strict_converter, structure
from .fields import (
    CONTENT_WORDS,
    Millis,
    Outputs,
    Problem,
    Unsafe,
    When,
    as_object,
    code_text,
    read_duration,
    read_outputs,
    register_fields,
)
from .record import WORDS, Envelope, Record, envelope_of
from .refusal import HTTP_ERRORS, MONEY_WORDS, ErrorRules
from .rules import Address, Addresses, Flag, Length, OneOf, Passed, Range, Shots
from .spec import Certainty, ModelSpec, Parameter, Source, Together

__all__ = ["GPTProto"]

_T2V, _I2V, _START_END = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.START_END_FRAME
_R2V, _V2V, _MOTION = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_TO_VIDEO, Scene.MOTION_CONTROL

_IMAGE_O1 = Source(Certainty.DOCUMENTED, "kling-image-o1, text-to-image and image-to-image")
_VIDEO_O1 = Source(Certainty.DOCUMENTED, "kling-video-o1-std, text-to-video and reference-to-video")
_V25 = Source(Certainty.DOCUMENTED, "kling-v2.5-turbo-std, image-to-video")
_V26 = Source(Certainty.DOCUMENTED, "kling-v2.6-pro, image-to-video")
_V30 = Source(Certainty.DOCUMENTED, "kling-v3.0-std, image-to-video")
_LISTED = Source(Certainty.INFERRED, "scenes from the catalogue of GPTProto's command line; the rest follows")
_SIX_SHOTS = Source(Certainty.INFERRED, "Kling's own API with the same fields: at most 6 shots of 512 characters")
_WAVESPEED = Source(Certainty.ANALOGY, "WaveSpeedAI's schema of the same model")

# "2:1" is probably a slip for "21:9", which other hosts of this model list. Only what is documented is sent.
_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "2:1", "auto")

_PROMPT = Parameter("prompt", Length(2500), _VIDEO_O1, required=True)
_FIRST = Parameter("image", Address(), _VIDEO_O1)
_LAST = Parameter("last_image", Address(), _VIDEO_O1)
_RATIO = Parameter("aspect_ratio", OneOf(("16:9", "1:1", "9:16")), _VIDEO_O1, default="16:9")
_SHOTS = Parameter("shots", Shots(6), _SIX_SHOTS, wire="multi_prompt")
_KEEP_SOUND = Parameter("keep_original_sound", Flag(), _VIDEO_O1, default=True)
_NEGATIVE = Parameter("negative_prompt", Length(2500), _V30, extra=True)
_GUIDANCE = Parameter("guidance_scale", Range(0, 1, whole=False), _V30, extra=True)
_SOUND = Parameter("sound", Flag(), _V26, default=True, extra=True)
_VOICES = Parameter("voice_list", Passed("at most 2 objects with a voice_id"), _V26, extra=True)

_O1 = (
    _PROMPT,
    _FIRST,
    _LAST,
    Parameter("images", Addresses(10), _VIDEO_O1),
    Parameter("video", Address(), _VIDEO_O1),
    _RATIO,
    Parameter("duration", Range(3, 10), _VIDEO_O1, in_scene={_T2V: OneOf((5, 10))}, default=5),
    _SHOTS,
    _KEEP_SOUND,
)
_O1_TOGETHER = (
    Together(
        "duration",
        "must be one of 5, 10 when only the first frame is given",
        lambda input, scene: scene is not _I2V or _has_last(input) or _seconds(input) in (5, 10),
        _VIDEO_O1,
    ),
    Together(
        "images",
        "takes at most 4 when a video is given",
        lambda input, _: not (isinstance(input, VideoInput) and input.video) or len(input.images) <= 4,
        _VIDEO_O1,
    ),
)
_FIVE_OR_TEN = Parameter("duration", OneOf((5, 10)), _V26, default=5)
_V21 = (_PROMPT, _FIRST, _FIVE_OR_TEN, _NEGATIVE, _GUIDANCE)
_V21_ENDS = (*_V21, Parameter("last_image", Address(), _WAVESPEED, scenes=(_START_END,)))
_MOTION_ONLY = (
    Parameter("video", Address(), _WAVESPEED, scenes=(_MOTION,)),
    Parameter("keep_original_sound", Flag(), _WAVESPEED, scenes=(_MOTION,), default=True),
    Parameter("character_orientation", OneOf(("image", "video")), _WAVESPEED, default="video", extra=True),
)
_V26_ALL = (_PROMPT, _FIRST, _LAST, _RATIO, _FIVE_OR_TEN, _NEGATIVE, _SOUND, _VOICES, *_MOTION_ONLY)
_V30_SECONDS = Parameter("duration", Range(3, 15), _V30, default=5)
_V30_ALL = (_PROMPT, _FIRST, _RATIO, _V30_SECONDS, _NEGATIVE, _SOUND, _GUIDANCE, *_MOTION_ONLY)
_O1_SCENES = (_T2V, _I2V, _R2V, _V2V)


def _has_last(input: Input) -> bool:
    return isinstance(input, VideoInput) and input.last_image is not None


def _seconds(input: Input) -> int:
    return input.duration if isinstance(input, VideoInput) else 0


def _borrowed(source: Source) -> Source:
    """Return how sure a fact is for a model whose own page was not seen."""
    sure = source.certainty is Certainty.DOCUMENTED
    return Source(Certainty.INFERRED, f"as on the page of {source.where}") if sure else source


def _video(name: str, scenes: tuple[Scene, ...], parameters: tuple[Parameter, ...], source: Source) -> ModelSpec:
    together = _O1_TOGETHER if scenes == _O1_SCENES else ()
    if source is _LISTED:
        parameters = tuple(evolve(one, source=_borrowed(one.source)) for one in parameters)
    return ModelSpec(name, OutputKind.VIDEO, scenes, parameters, source, together=together)


_MODELS = (
    ModelSpec(
        "kling-image-o1",
        OutputKind.IMAGE,
        (Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE),
        (
            Parameter("prompt", Length(), _IMAGE_O1, required=True),
            Parameter("aspect_ratio", OneOf(_RATIOS), _IMAGE_O1, default="16:9"),
            Parameter("n", Range(1, 9), _IMAGE_O1, default=1),
            Parameter("resolution", OneOf(("1k", "2k")), _IMAGE_O1, default="1k"),
            Parameter("images", Addresses(10), _IMAGE_O1),
        ),
        _IMAGE_O1,
    ),
    _video("kling-video-o1-std", _O1_SCENES, _O1, _VIDEO_O1),
    _video("kling-video-o1-pro", _O1_SCENES, _O1, _LISTED),
    _video("kling-v2.1-standard", (_I2V,), _V21, _LISTED),
    _video("kling-v2.1-pro", (_I2V, _START_END), _V21_ENDS, _LISTED),
    _video("kling-v2.1-master", (_T2V, _I2V), (*_V21, _RATIO), _LISTED),
    _video("kling-v2.5-turbo-std", (_T2V, _I2V), (*_V21, _RATIO), _V25),
    _video("kling-v2.5-turbo-pro", (_T2V, _I2V, _START_END), (*_V21_ENDS, _RATIO), _LISTED),
    _video("kling-v2.6-std", (_T2V, _I2V, _MOTION), _V26_ALL, _LISTED),
    _video("kling-v2.6-pro", (_T2V, _I2V, _MOTION), _V26_ALL, _V26),
    _video("kling-v3.0-std", (_T2V, _I2V, _MOTION), _V30_ALL, _V30),
    _video("kling-v3.0-pro", (_T2V, _I2V, _MOTION), _V30_ALL, _LISTED),
    _video("kling-v3-omni-std", _O1_SCENES, _O1, _LISTED),
    _video("kling-v3-omni-pro", _O1_SCENES, _O1, _LISTED),
)

_RATIO_REQUIRED = (_T2V, _R2V)
"""The page calls the ratio required unless a first frame or editing is used, and gives it a default all the same."""


@frozen
class _Body:
    status: str
    outputs: Outputs = Outputs(())
    error: Problem | None = None
    has_nsfw_contents: Unsafe | None = None
    created_at: When | None = None
    execution_time: Millis | None = None


_ERRORS = ErrorRules(
    # WaveSpeedAI's body codes (wavespeed.ai/docs/error-codes), whose envelope this is.
    numbers={
        **HTTP_ERRORS,
        1200: ContentRejected,
        1400: BadRequest,
        1401: BadRequest,
        1402: BadRequest,
        1403: ProviderUnavailable,
        1405: ProviderUnavailable,
    },
    outages=(range(500, 1000), range(5000, 10_000)),
    # "503 Content policy violation (actual status code is 400)", on every page, with the text below on older ones.
    content_codes=CONTENT_WORDS | {"503", "1200"},
    content_messages=("input may not meet the guidelines",),
    # 403 is a missing permission and an empty account alike; only the text tells them apart.
    money=MONEY_WORDS,
    # Older pages print these under 403; what helps is another key, not another permission.
    key_messages=frozenset({"invalid token", "invalid signature"}),
)

_converter = register_fields(strict_converter())


class GPTProto(Provider):
    """GPTProto, as its pages described it on 2026-11-20."""

    name: ClassVar[str] = "gptproto"
    title: ClassVar[str] = "GPTProto"
    origin: ClassVar[str] = "https://gptproto.com"
    key_variable: ClassVar[str] = "GPTPROTO_API_KEY"
    url_variable: ClassVar[str] = "GPTPROTO_BASE_URL"
    # The pages print the bare key where their prose says Bearer; clients use both, and both are accepted.
    schemes: ClassVar[tuple[str, ...]] = ("bearer", "bare")
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in _MODELS}
    # "created" and "completed" are documented; the rest is seen in clients, or is WaveSpeedAI's.
    statuses: ClassVar[Mapping[str, Status]] = {**WORDS, "created": Status.QUEUED, "deleted": Status.CANCELLED}
    error_rules: ClassVar[ErrorRules] = _ERRORS

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = scene_of(spec, input) or spec.scenes[0]
        body = body_of(spec, input, scene)
        if isinstance(input, VideoInput):
            if scene in _RATIO_REQUIRED and spec.parameter("aspect_ratio"):
                body.setdefault("aspect_ratio", "16:9")
            if input.shots:
                # Documented with a duration in text, beside the whole number of the video's own.
                body["multi_prompt"] = [
                    {"index": index, "prompt": shot.prompt, "duration": str(shot.duration)}
                    for index, shot in enumerate(input.shots, 1)
                ]
        return HttpRequest(method="POST", path=f"/api/v3/kwaivgi/{spec.name}/{scene}", body=json_body(body))

    def build_poll(self, id: str) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/api/v3/predictions/{id}/result")

    def open(self, document: Json) -> Envelope:
        return envelope_of(document, id_name="id")

    def read(self, envelope: Envelope, reply: HttpReply) -> Record:
        record = envelope.record
        body = structure(_converter, _Body, record, reply, provider=self.name)
        problem = body.error or envelope.problem
        return Record(
            status=body.status,
            outputs=body.outputs or read_outputs(record),
            # Newer bodies carry WaveSpeedAI's number beside the text.
            problem=evolve(problem, code=code_text(record.get("code")) or problem.code),
            flagged=body.has_nsfw_contents,
            created_at=body.created_at,
            timings=Timings(
                inference_for=read_duration(as_object(record.get("timings")).get("inference")),
                execution_for=body.execution_time,
            ),
        )
