"""The models of Kling's new standard: videos, each fact with its source.

A model is known by its own name, with `resolution`, and by a canonical name for each resolution: std is 720p, pro is
1080p. Tables of the legacy standard are in `kling_legacy_models`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final

from ..types.formatting import exact_amount
from ..types.inputs import Scene
from ..types.prediction import Json, OutputKind
from ..types.sources import Certainty, Source
from .kling_legacy_models import LEGACY_MODELS
from .kling_media import NEW_MEDIA, SCENE_MEDIA, orientation_rule
from .kling_rules import (
    MAX_PROMPT,
    O1_PAGE,
    O1_RULES,
    OMNI_PAGE,
    OMNI_RULES,
    PARTS_RULE,
    TURBO_PAGE,
    TURBO_RULES,
    V25_PAGE,
    V26_MOTION_PAGE,
    V26_PAGE,
    V30_MOTION_PAGE,
    V30_PAGE,
    V30_RULES,
    TierRules,
    page,
    v25_rules,
    v26_rules,
)
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price

__all__ = ["MODELS"]

_T2V, _I2V, _R2V = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO
_EDIT, _MOTION = Scene.VIDEO_EDIT, Scene.MOTION_CONTROL

_PRICES = page("prices of videos", "kling-pricing-video", "pricing/base/video")
_ORIENTATION = Source(Certainty.ANALOGY, "required without a default; the default of WaveSpeedAI's schema is sent")

_RATIOS = OneOf(("16:9", "9:16", "1:1"))
_FIVE_OR_TEN = OneOf((5, 10))
_RESOLUTIONS: Final[Mapping[str, str]] = {"std": "720p", "pro": "1080p", "4k": "4k"}
_MOTION_SECONDS: Final = (3, 30)
"""The length of a video whose motion is copied, and so the length that is paid for."""


def _prices(table: Mapping[str, str], seconds: tuple[float, float] | None = None, **when: Json) -> tuple[Price, ...]:
    """Return prices per second by resolution, or of submissions whose length follows from the video given."""
    low, high = (Decimal(1), Decimal(1)) if seconds is None else map(Decimal, seconds)
    return tuple(
        Price(
            low=exact_amount(Decimal(rate) * low),
            high=exact_amount(Decimal(rate) * high),
            per="second" if seconds is None else "submission",
            when={"resolution": resolution, **when},
            source=_PRICES,
        )
        for resolution, rate in table.items()
    )


def _tiers(
    name: str,
    scenes: tuple[Scene, ...],
    parameters: tuple[Parameter, ...],
    source: Source,
    *,
    prices: tuple[Price, ...],
    rules: tuple[CrossFieldRule, ...] = (),
    tiers: tuple[str, ...] = ("std", "pro"),
    tier_rules: TierRules | None = None,
) -> Iterator[ModelSpec]:
    """Yield a model by its own name, and by the canonical name of each resolution."""
    motion = OneOf(("720p", "1080p"))
    resolution = Parameter(
        "resolution",
        OneOf(tuple(_RESOLUTIONS[tier] for tier in tiers)),
        source,
        per_scene={_MOTION: motion} if _MOTION in scenes and "4k" in tiers else {},
        default="720p",
    )
    if _MOTION in scenes:
        rules = (*rules, orientation_rule(V30_MOTION_PAGE))
    for tier in (None, *tiers):
        fixed: dict[str, Json] = {} if tier is None else {"resolution": _RESOLUTIONS[tier]}
        yield ModelSpec(
            name if tier is None else f"{name}-{tier}",
            OutputKind.VIDEO,
            tuple(scene for scene in scenes if (scene, tier) != (_MOTION, "4k")),
            (*parameters, resolution) if tier is None else parameters,
            source,
            cross_field_rules=(*rules, *(tier_rules(fixed) if tier_rules else ()), PARTS_RULE),
            prices=tuple(price for price in prices if tier is None or fixed.items() <= price.when.items()),
            wire_name=name,
            fixed=fixed,
            media=NEW_MEDIA,
            scene_media=SCENE_MEDIA.get(name, {}),
        )


def _options(source: Source) -> tuple[Parameter, ...]:
    return (
        Parameter("callback_url", Url(local=False), source, extra=True),
        Parameter("watermark_info", Unchecked("an object: enabled is true or false"), source, extra=True),
    )


def _motion_only(source: Source) -> tuple[Parameter, ...]:
    return (
        Parameter("video", Url(), source, wire_name="video", scenes=(_MOTION,)),
        Parameter("keep_original_sound", Boolean(), source, scenes=(_MOTION,), default=True),
        Parameter("character_orientation", OneOf(("image", "video")), _ORIENTATION, default="video", extra=True),
    )


def _prompt_or_shots(source: Source, **per_scene: Text) -> tuple[Parameter, ...]:
    limits = {Scene(name.replace("_", "-")): rule for name, rule in per_scene.items()}
    return (
        Parameter("prompt", Text(MAX_PROMPT, 0), source, per_scene=limits),
        Parameter("shots", Shots(6), source, scenes=(_T2V, _I2V, _R2V)),
    )


def _frames(source: Source, *more: Scene, last: bool = True) -> tuple[Parameter, ...]:
    first = Parameter("image", Url(), source, wire_name="first_frame", scenes=(_I2V, *more))
    return (first, Parameter("last_image", Url(), source, wire_name="last_frame", scenes=(_I2V,))) if last else (first,)


def _sound(source: Source, *scenes: Scene) -> Parameter:
    return Parameter("sound", Boolean(), source, wire_name="audio", scenes=scenes, default=False)


def _references(source: Source, *keeping: Scene) -> tuple[Parameter, ...]:
    return (
        *_frames(source, _R2V),
        Parameter("images", UrlList(7), source, wire_name="refer_image", scenes=(_R2V, _EDIT)),
        Parameter("video", Url(), source, wire_name="base_video", scenes=(_R2V, _EDIT)),
        Parameter("aspect_ratio", _RATIOS, source, default="16:9"),
        Parameter("keep_original_sound", Boolean(), source, scenes=keeping, default=True),
        Parameter("elements", Unchecked("a list of objects"), source, extra=True),
        *_options(source),
    )


_RATIO_OF_TEXT = Parameter("aspect_ratio", _RATIOS, V30_PAGE, scenes=(_T2V,), default="16:9")
_LONG = Parameter("duration", Range(3, 15), V30_PAGE, scenes=(_T2V, _I2V, _R2V), default=5)
_SHORT = Parameter("duration", _FIVE_OR_TEN, V26_PAGE, scenes=(_T2V, _I2V), default=5)
_MULTI_SHOT = Parameter("multi_shot", Boolean(), V30_PAGE, default=True, extra=True)


_O1_SILENT, _O1_FILMED = {"720p": "0.084", "1080p": "0.112"}, {"720p": "0.126", "1080p": "0.168"}
_V30_SILENT = {**_O1_SILENT, "4k": "0.42"}
_WITH_AUDIO, _OMNI_FILMED = {**_O1_FILMED, "4k": "0.42"}, {**_O1_FILMED, "4k": "0.42"}
_OMNI_AUDIO = {"720p": "0.112", "1080p": "0.14", "4k": "0.42"}
_CHEAP = {"720p": "0.042", "1080p": "0.07"}
_EDITED: Json = "video-edit"

MODELS: tuple[ModelSpec, ...] = (
    *LEGACY_MODELS,
    *_tiers(
        "kling-o1",
        (_T2V, _I2V, _R2V, _EDIT),
        (
            Parameter("prompt", Text(2500), O1_PAGE, required=True),
            Parameter(
                "duration", Range(3, 10), O1_PAGE, per_scene={_T2V: _FIVE_OR_TEN}, scenes=(_T2V, _I2V, _R2V), default=5
            ),
            *_references(O1_PAGE, _R2V, _EDIT),
        ),
        O1_PAGE,
        prices=(
            *_prices(_O1_SILENT, video=None),
            *_prices(_O1_FILMED, (3, 10), scene=_EDITED),
            *_prices(_O1_FILMED),
        ),
        rules=O1_RULES,
    ),
    *_tiers(
        "kling-2.5-turbo",
        (_T2V, _I2V),
        (
            Parameter("prompt", Text(2500), V25_PAGE, required=True),
            *_frames(V25_PAGE),
            _RATIO_OF_TEXT,
            _SHORT,
            *_options(V25_PAGE),
        ),
        V25_PAGE,
        prices=_prices(_CHEAP),
        tier_rules=v25_rules,
    ),
    *_tiers(
        "kling-2.6",
        (_T2V, _I2V, _MOTION),
        (
            Parameter("prompt", Text(2500), V26_PAGE, required=True),
            *_frames(V26_PAGE, _MOTION),
            _RATIO_OF_TEXT,
            _SHORT,
            _sound(V26_PAGE, _T2V, _I2V),
            Parameter("voices", Unchecked("a list of objects"), V26_PAGE, extra=True),
            *_motion_only(V26_MOTION_PAGE),
            *_options(V26_PAGE),
        ),
        V26_PAGE,
        prices=(
            *_prices(_CHEAP, video=None, sound=False),
            *_prices({"1080p": "0.14"}, video=None, sound=True, voices=None),
            *_prices({"1080p": "0.168"}, video=None),
            *_prices({"720p": "0.07", "1080p": "0.112"}, _MOTION_SECONDS),
        ),
        tier_rules=v26_rules,
    ),
    *_tiers(
        "kling-3.0",
        (_T2V, _I2V, _MOTION),
        (
            *_prompt_or_shots(V30_PAGE, motion_control=Text(2500, 0)),
            *_frames(V30_PAGE, _MOTION),
            _RATIO_OF_TEXT,
            _LONG,
            _sound(V30_PAGE, _T2V, _I2V),
            _MULTI_SHOT,
            Parameter("elements", Unchecked("a list of objects"), V30_PAGE, extra=True),
            *_motion_only(V30_MOTION_PAGE),
            *_options(V30_PAGE),
        ),
        V30_PAGE,
        prices=(
            *_prices(_V30_SILENT, video=None, sound=False),
            *_prices(_WITH_AUDIO, video=None),
            *_prices(_O1_FILMED, _MOTION_SECONDS),
        ),
        rules=V30_RULES,
        tiers=("std", "pro", "4k"),
    ),
    *_tiers(
        "kling-3.0-omni",
        (_T2V, _I2V, _R2V, _EDIT),
        (
            *_prompt_or_shots(OMNI_PAGE),
            _LONG,
            _sound(OMNI_PAGE, _T2V, _I2V, _R2V),
            _MULTI_SHOT,
            *_references(OMNI_PAGE, _EDIT),
        ),
        OMNI_PAGE,
        prices=(
            *_prices(_V30_SILENT, video=None, sound=False),
            *_prices(_OMNI_AUDIO, video=None),
            *_prices(_OMNI_FILMED, (3, 15.5), scene=_EDITED),
            *_prices(_OMNI_FILMED),
        ),
        rules=OMNI_RULES,
        tiers=("std", "pro", "4k"),
    ),
    *_tiers(
        "kling-3.0-turbo",
        (_T2V, _I2V),
        (
            *_prompt_or_shots(TURBO_PAGE, image_to_video=Text(2500, 0)),
            *_frames(TURBO_PAGE, last=False),
            _RATIO_OF_TEXT,
            _LONG,
            *_options(TURBO_PAGE),
        ),
        TURBO_PAGE,
        prices=_prices({"720p": "0.112", "1080p": "0.14"}),
        rules=TURBO_RULES,
    ),
)
