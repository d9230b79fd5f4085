"""Facts about fal and their sources: what it can do, and the rows that several tables of models share."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final, Never

from ..types.capabilities import Capabilities
from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json
from ..types.sources import Certainty, Fact, Source
from .parameter_rules import Boolean, OneOf, Range, Rule, Shots, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, Parameter, Price, PriceUnit

__all__ = [
    "AUTO_RATIO",
    "BESIDE_VIDEO",
    "CAPABILITIES",
    "CFG_SCALE",
    "ELEMENTS",
    "FOUR_IMAGES",
    "KEEP_SOUND",
    "KLING",
    "MOTION_ONLY",
    "ONE_OF_BOTH",
    "PROMPT_OR_SHOTS",
    "RATIOS",
    "SHOT_TYPE",
    "SLOTS",
    "TYPES",
    "VIDEO",
    "first_frame",
    "last_frame",
    "page",
    "price",
    "references",
    "seconds",
    "shots",
    "sound",
    "text",
]

_I2V, _R2V, _EDIT, _MOTION = (
    Scene.IMAGE_TO_VIDEO,
    Scene.REFERENCE_TO_VIDEO,
    Scene.VIDEO_EDIT,
    Scene.MOTION_CONTROL,
)


_DOCS = "https://fal.ai/docs/documentation/model-apis"


def _documented(what: str, page: str) -> Source:
    return Source(Certainty.DOCUMENTED, f"{what}: {page}")


_PLATFORM = Source(
    Certainty.CLIENT,
    "the platform API on another host, api.fal.ai, as clients use it: https://skills.sh/fal-ai-community/skills/fal-platform",
)
_UNKNOWN: Fact[Never] = Fact(
    None, Source(Certainty.UNDOCUMENTED, f"per account and request, without a stated default: {_DOCS}/media-expiration")
)
SLOTS: Final = _documented(
    "2 requests run at once in a new account, at most 40 in any; further ones wait, and are never refused",
    f"{_DOCS}/concurrency-limits",
)
CAPABILITIES: Final = Capabilities(
    repeat=Fact("buys_again", Source(Certainty.INFERRED, "no page documents an idempotency key or a client id")),
    replay_seconds=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows that a submission is replayed")),
    cancel=Fact(True, _documented("cancel a request", "https://fal.ai/docs/inference-api/queue/cancel")),
    upload=Fact(True, _documented("fal CDN", f"{_DOCS}/fal-cdn")),
    inline_media=Fact(True, _documented("data URIs, at some models", f"{_DOCS}/fal-cdn")),
    webhook=Fact(True, _documented("webhooks", f"{_DOCS}/inference/webhooks")),
    webhook_signature=Fact("ed25519", _documented("webhooks, with the keys of a JWKS", f"{_DOCS}/inference/webhooks")),
    batch_poll=Fact(1, _documented("queue", f"{_DOCS}/inference/queue")),
    balance=Fact(True, _PLATFORM),
    quote=Fact(True, _PLATFORM),
    over_limit=Fact("queues", _documented("concurrency limits", f"{_DOCS}/concurrency-limits")),
    output_ttl=_UNKNOWN,
    # Errors of servers never cost anything; an input that a model rejects, with HTTP 422, may be charged.
    failures_are_free=Fact(False, _documented("charges for failed requests", f"{_DOCS}/faq")),
)


def page(endpoint: str, path: str = "/llms.txt") -> Source:
    """Return the page of an endpoint, which fal makes from the live schema."""
    return Source(Certainty.DOCUMENTED, f"{endpoint}: https://fal.ai/models/{endpoint}{path}")


TYPES: Final = Source(
    Certainty.DOCUMENTED,
    "types of fal's client, made from the schemas: "
    "https://github.com/fal-ai/fal-js/blob/main/libs/client/src/types/endpoints.ts",
)
KLING: Final = Source(Certainty.ANALOGY, "Kling's own API of the same model: https://kling.ai/document-api")
RATIOS: Final = ("16:9", "9:16", "1:1")


def price(rate: str, source: Source, *, high: str = "", per: PriceUnit = "second", **when: Json) -> Price:
    """Return a price in US dollars under the conditions `when`; with `high` it is a range."""
    return Price(low=Decimal(rate), high=Decimal(high or rate), per=per, when=when, source=source)


def _prompt_or_shots(input: Input, scene: Scene) -> bool:
    shots = isinstance(input, VideoInput) and bool(input.shots)
    return scene is _MOTION or bool(input.prompt.strip()) != shots


def _has_video(input: Input) -> bool:
    return isinstance(input, VideoInput) and bool(input.all_videos)


def _fits_beside_video(input: Input, scene: Scene) -> bool:
    """Return whether references with a video have only what the endpoint video-to-video/reference has."""
    if scene is not _R2V or not isinstance(input, VideoInput) or not input.all_videos:
        return True
    return not (input.image or input.last_image or input.shots or input.sound is not None)


ONE_OF_BOTH: Final = CrossFieldRule("prompt", "must be given, or shots, but not both", _prompt_or_shots, TYPES)
PROMPT_OR_SHOTS: Final = CrossFieldRule(
    "prompt",
    "must be text, and not blank, unless shots are given",
    lambda input, _: bool(input.prompt.strip()) or (isinstance(input, VideoInput) and bool(input.shots)),
    page("kling/v4/text-to-video"),
)
FOUR_IMAGES: Final = CrossFieldRule(
    "images",
    "takes at most 4 when a video is given",
    lambda input, _: not _has_video(input) or len(input.images) <= 4,
    TYPES,
)
AUTO_RATIO: Final = CrossFieldRule(
    "aspect_ratio",
    "may be auto only when a video is given",
    lambda input, _: input.aspect_ratio != "auto" or _has_video(input),
    TYPES,
)
BESIDE_VIDEO: Final = CrossFieldRule(
    "video", "has no image, last_image, shots or sound beside it in reference-to-video", _fits_beside_video, TYPES
)


def text(source: Source, *, blank: bool = False) -> Parameter:
    """Return the prompt. Where shots may stand for it, it may be blank here, and a rule requires one of the two."""
    return Parameter("prompt", Text(2500, 0 if blank else 1), source, required=not blank)


def seconds(rule: Rule, source: Source, *scenes: Scene) -> Parameter:
    """Return the duration, for some scenes."""
    return Parameter("duration", rule, source, default=5, scenes=scenes)


def first_frame(source: Source, *scenes: Scene) -> Parameter:
    """Return the first frame, for some scenes, some of which have another name for it."""
    return Parameter("image", Url(), source, wire_name="start_image_url", scenes=scenes)


def last_frame(source: Source, *scenes: Scene) -> Parameter:
    """Return the last frame, for some scenes."""
    return Parameter("last_image", Url(), source, wire_name="end_image_url", scenes=scenes)


def references(max_items: int, source: Source, *, edit: int = 4) -> Parameter:
    """Return the reference images: at most `max_items`, and `edit` beside a video to edit."""
    per_scene: Mapping[Scene, Rule] = {_EDIT: UrlList(edit)}
    return Parameter(
        "images", UrlList(max_items), source, wire_name="image_urls", scenes=(_R2V, _EDIT), per_scene=per_scene
    )


def shots(source: Source, *scenes: Scene) -> Parameter:
    """Return the shots, for some scenes."""
    return Parameter("shots", Shots(6, Text(2500)), source, wire_name="multi_prompt", scenes=scenes)


def sound(source: Source, *scenes: Scene, default: bool) -> Parameter:
    """Return the parameter for sound, for some scenes."""
    return Parameter("sound", Boolean(), source, wire_name="generate_audio", scenes=scenes, default=default)


VIDEO: Final = Parameter("video", Url(), TYPES, wire_name="video_url", scenes=(_R2V, _EDIT))
KEEP_SOUND: Final = Parameter("keep_original_sound", Boolean(), TYPES, wire_name="keep_audio", scenes=(_R2V, _EDIT))
ELEMENTS: Final = Parameter("elements", Unchecked("a list of characters and objects"), TYPES, extra=True)
SHOT_TYPE: Final = Parameter("shot_type", OneOf(("customize", "intelligent")), TYPES, default="customize", extra=True)
CFG_SCALE: Final = Parameter("cfg_scale", Range(0, 1, integer=False), TYPES, default=0.5, extra=True)
MOTION_ONLY: Final = (
    Parameter("video", Url(), TYPES, wire_name="video_url", scenes=(_MOTION,)),
    Parameter("keep_original_sound", Boolean(), TYPES, scenes=(_MOTION,), default=True),
    # Required by the schema: where it is left out the adapter sends this one, with which a video may last 30 s.
    Parameter("character_orientation", OneOf(("image", "video")), TYPES, default="video", extra=True),
)
