"""The Kling models of Comfy Router: their parameters and prices, each with its source.

Models of Kling's legacy standard have a `mode` in place of tiers, so they have Kling's names here. Comfy charges what
Kling's list says, in credits at 211 for one US dollar; its tables round them to hundredths of a credit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from attrs import evolve

from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json, OutputKind
from ..types.sources import Certainty, Source
from .comfy_facts import model_page
from .comfy_v4 import IMAGE_RATIOS, V4_MODELS, own_fields_rule, own_model
from .kling_media import O1_VIDEO, OMNI_VIDEO, kling_images
from .kling_rules import O1_PAGE, OMNI_PAGE, PARTS_RULE, TURBO_RULES, V26_PAGE
from .media_rules import MediaLimits, MediaRules
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price, PriceUnit, value_of

__all__ = ["MODELS"]

_T2I, _I2I, _T2V, _I2V = Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE, Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO
_R2V, _EDIT = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT
_OMNI_SCENES = (_T2V, _I2V, _R2V, _EDIT)
_PRICES = Source(
    Certainty.DOCUMENTED, "credits of Kling, rounded: https://docs.comfy.org/tutorials/partner-nodes/pricing"
)
_IMAGE_PRICE = Source(Certainty.DOCUMENTED, "credits: https://docs.comfy.org/development/comfy-router/pricing")
_EDITED = Source(Certainty.INFERRED, "the price by the second, for the 3 to 10 s that a video to edit may have")
_TIERS: Final = {"std": "720p", "pro": "1080p"}

_O1, _OMNI, _V3, _V26 = map(model_page, ("kling-video-o1", "kling-v3-omni", "kling-v3", "kling-v2-6"))
_TURBO, _IMAGE_O1 = map(model_page, ("kling-3.0-turbo", "kling-image-o1"))
_RATIOS = OneOf(("16:9", "9:16", "1:1"))
_FIVE_OR_TEN = OneOf((5, 10))


def _price(amount: str, source: Source = _PRICES, per: PriceUnit = "second", **when: Json) -> Price:
    return Price(low=Decimal(amount), high=Decimal(amount), per=per, when=when, source=source)


def _edit_price(amount: str) -> Price:
    low, high = 3 * Decimal(amount), (10 * Decimal(amount)).normalize()
    return Price(low=low, high=high, when={"scene": _EDIT.value}, source=_EDITED)


def _seconds(rule: Range | OneOf, source: Source, *scenes: Scene, text: OneOf | None = None) -> Parameter:
    return Parameter("duration", rule, source, scenes=scenes, per_scene={_T2V: text} if text else {}, default=5)


def _ratio(source: Source, *scenes: Scene) -> Parameter:
    return Parameter("aspect_ratio", _RATIOS, source, scenes=scenes, default="16:9")


def _has_video(input: Input) -> bool:
    return isinstance(input, VideoInput) and bool(input.all_videos)


def _shots_rule(source: Source) -> CrossFieldRule:
    return CrossFieldRule(
        "prompt",
        "or shots is needed, and not both: with shots the prompt has no effect",
        lambda input, _: bool(input.prompt.strip()) != bool(value_of(input, "shots")),
        source,
    )


def _omni_rules(source: Source) -> tuple[CrossFieldRule, ...]:
    return (
        own_fields_rule(source),
        CrossFieldRule(
            "images",
            "are at most 4 when a video is given",
            lambda input, _: len(input.images) <= 4 or not _has_video(input),
            source,
        ),
        CrossFieldRule(
            "keep_original_sound",
            "needs a video whose sound it means",
            lambda input, _: getattr(input, "keep_original_sound", True) or _has_video(input),
            source,
        ),
        CrossFieldRule(
            "sound",
            "has no place beside a video: only silence is possible",
            lambda input, _: getattr(input, "sound", None) is not True or not _has_video(input),
            source,
        ),
    )


def _omni_parameters(source: Source) -> tuple[Parameter, ...]:
    return (
        Parameter("image", Url(), source, wire_name="first_frame", scenes=(_I2V, _R2V)),
        Parameter("last_image", Url(), source, wire_name="last_frame", scenes=(_I2V,)),
        Parameter("images", UrlList(7), source, wire_name="refer_image", scenes=(_R2V, _EDIT)),
        Parameter("video", Url(), source, wire_name="base_video", scenes=(_R2V, _EDIT)),
        Parameter("keep_original_sound", Boolean(), source, scenes=(_R2V, _EDIT), default=True),
        _ratio(source, _T2V, _R2V),
        Parameter("element_list", Unchecked("a list of objects with an element_id"), source, extra=True),
    )


def _tier(
    tier: str,
    name: str,
    wire_name: str,
    source: Source,
    *parameters: Parameter,
    scenes: tuple[Scene, ...] = (_T2V,),
    prices: tuple[Price, ...] = (),
    rules: tuple[CrossFieldRule, ...] = (),
    media: MediaRules | None = None,
) -> ModelSpec:
    """Return a model by Kling's name with the tier, which Comfy selects by a field."""
    fixed: dict[str, Json] = {"resolution": _TIERS[tier]} if name == "kling-3.0-turbo" else {"mode": tier}
    return ModelSpec(
        f"{name}-{tier}",
        OutputKind.VIDEO,
        scenes,
        parameters,
        source,
        cross_field_rules=(*rules, PARTS_RULE),
        prices=prices,
        wire_name=wire_name,
        fixed=fixed,
        media=media or {},
    )


def _media(source: Source, video: MediaLimits) -> MediaRules:
    """Return the limits of media: those of images are on Router's pages, those of videos are Kling's own."""
    at_kling = Source(Certainty.ANALOGY, f"Kling's own limits of the same model: {video.source.where}")
    return {"image": kling_images(10_000_000, source), "video": evolve(video, source=at_kling)}


def _o1(tier: str, price: str, with_video: str) -> ModelSpec:
    return _tier(
        tier,
        "kling-o1",
        "kling-video-o1",
        _O1,
        Parameter("prompt", Text(2500), _O1, required=True),
        *_omni_parameters(_O1),
        # The page has the seconds of omni, which shares its schema; those of O1 are Kling's.
        _seconds(Range(3, 10), O1_PAGE, _T2V, _I2V, _R2V, text=_FIVE_OR_TEN),
        scenes=_OMNI_SCENES,
        prices=(_edit_price(with_video), _price(price, video=None), _price(with_video)),
        rules=_omni_rules(O1_PAGE),
        media=_media(_O1, O1_VIDEO),
    )


def _omni(tier: str, silent: str, loud: str, with_video: str) -> ModelSpec:
    return _tier(
        tier,
        "kling-3.0-omni",
        "kling-v3-omni",
        _OMNI,
        Parameter("prompt", Text(2500, 0), _OMNI),
        *_omni_parameters(_OMNI),
        _seconds(Range(3, 15), _OMNI, _T2V, _I2V, _R2V),
        Parameter("shots", Shots(6), _OMNI, scenes=(_T2V, _I2V, _R2V)),
        Parameter("sound", Boolean(), _OMNI, scenes=(_T2V, _I2V, _R2V), default=False),
        scenes=_OMNI_SCENES,
        prices=(
            _edit_price(with_video),
            _price(silent, video=None, sound=False),
            _price(loud, video=None),
            # No table has the price of a reference video that is not edited.
        ),
        rules=(*_omni_rules(OMNI_PAGE), _shots_rule(_OMNI)),
        media=_media(_OMNI, OMNI_VIDEO),
    )


def _v3(tier: str, silent: str, loud: str) -> ModelSpec:
    return _tier(
        tier,
        "kling-3.0",
        "kling-v3",
        _V3,
        Parameter("prompt", Text(2500, 0), _V3),
        Parameter("negative_prompt", Text(2500), _V3),
        _ratio(_V3),
        _seconds(Range(3, 15), _V3),
        Parameter("shots", Shots(6), _V3),
        Parameter("sound", Boolean(), _V3, default=False),
        prices=(_price(silent, sound=False), _price(loud)),
        rules=(own_fields_rule(_V3), _shots_rule(_V3)),
    )


def _v26(tier: str) -> ModelSpec:
    # Kling makes sound with 1080p alone, and Comfy's table has the prices of that.
    sound = (Parameter("sound", Boolean(), V26_PAGE, default=False),) if tier == "pro" else ()
    return _tier(
        tier,
        "kling-2.6",
        "kling-v2-6",
        _V26,
        Parameter("prompt", Text(2500), _V26, required=True),
        Parameter("negative_prompt", Text(2500), _V26),
        _ratio(_V26),
        _seconds(_FIVE_OR_TEN, V26_PAGE),
        *sound,
        prices=(_price("0.07", sound=False), _price("0.14")) if sound else (),
        rules=(own_fields_rule(_V26),),
    )


def _turbo(tier: str, price: str) -> ModelSpec:
    return _tier(
        tier,
        "kling-3.0-turbo",
        "kling-3.0-turbo",
        _TURBO,
        Parameter("prompt", Text(2500, 0), _TURBO),
        _ratio(_TURBO),
        _seconds(Range(3, 15), _TURBO),
        Parameter("shots", Shots(6), _TURBO),
        prices=(_price(price),),
        rules=TURBO_RULES,
    )


MODELS: Final = (
    own_model(
        "kling-image-o1",
        OutputKind.IMAGE,
        (_T2I, _I2I),
        _IMAGE_O1,
        Parameter("prompt", Text(2500), _IMAGE_O1, required=True),
        Parameter("images", UrlList(10), _IMAGE_O1, wire_name="image_list"),
        Parameter("n", Range(1, 9), _IMAGE_O1, default=1),
        Parameter("resolution", OneOf(("1k", "2k", "4k")), _IMAGE_O1, default="1k"),
        Parameter("aspect_ratio", IMAGE_RATIOS, _IMAGE_O1, default="auto"),
        prices=(
            _price("0.056", _PRICES, "image", resolution="4k"),
            _price("0.028", _IMAGE_PRICE, "image"),
        ),
        media={"image": kling_images(10_000_000, _IMAGE_O1)},
    ),
    *(_o1(*one) for one in (("std", "0.084", "0.126"), ("pro", "0.112", "0.168"))),
    *(_omni(*one) for one in (("std", "0.084", "0.112", "0.126"), ("pro", "0.112", "0.14", "0.168"))),
    *(_v3(*one) for one in (("std", "0.084", "0.126"), ("pro", "0.112", "0.168"))),
    *map(_v26, _TIERS),
    *(_turbo(*one) for one in (("std", "0.112"), ("pro", "0.14"))),
    *V4_MODELS,
)
"""Every model. Kling 1 to 2.1 ended on 2026-09-15, by the page of prices."""
