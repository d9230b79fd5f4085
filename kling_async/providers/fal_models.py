"""The Kling models of fal: endpoints, parameters and prices, each with its source.

A model is what its endpoints have in common: below `fal-ai/kling-video/o3/pro` are text-to-video, image-to-video,
reference-to-video, video-to-video/edit and video-to-video/reference. Where no page states the length of a text or of a
list, that of Kling's own API holds, by analogy. The endpoints for avatars and lip-sync, and models before 2.6, are left
out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve

from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .fal_facts import (
    AUTO_RATIO,
    BESIDE_VIDEO,
    CFG_SCALE,
    ELEMENTS,
    FOUR_IMAGES,
    KEEP_SOUND,
    KLING,
    MOTION_ONLY,
    ONE_OF_BOTH,
    PROMPT_OR_SHOTS,
    RATIOS,
    SHOT_TYPE,
    TYPES,
    VIDEO,
    first_frame,
    last_frame,
    page,
    price,
    references,
    seconds,
    shots,
    sound,
    text,
)
from .fal_images import IMAGE_MODELS
from .fal_media import with_media_limits
from .parameter_rules import OneOf, Range, Text, Unchecked, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price

__all__ = ["FAL_MODELS"]

_T2V, _I2V, _R2V = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO
_EDIT, _MOTION = Scene.VIDEO_EDIT, Scene.MOTION_CONTROL

_V: Final = "fal-ai/kling-video"
_O1_STD, _O1_PRO = page(f"{_V}/o1/standard/image-to-video"), page(f"{_V}/o1/reference-to-video")
_V26 = page(f"{_V}/v2.6/pro/image-to-video")
_V30, _V30_4K = page(f"{_V}/v3/standard/text-to-video"), page(f"{_V}/v3/4k/text-to-video")
_V30_PRO = page(f"{_V}/v3/pro/image-to-video", "/playground")
_TURBO_STD, _TURBO_PRO = page(f"{_V}/v3/turbo/standard/image-to-video"), page(f"{_V}/v3/turbo/pro/text-to-video")
_O3, _O3_4K = page(f"{_V}/o3/standard/image-to-video", ""), page(f"{_V}/o3/4k/reference-to-video")
_O3_EDIT = page(f"{_V}/o3/pro/video-to-video/edit")
_O3_PRO_PRICE = Source(Certainty.CLIENT, "a client's table of prices: https://github.com/vargHQ/sdk/pull/210")
_V40, _V40_FRAMES = page("kling/v4/text-to-video"), page(f"{_V}/v4/image-to-video")
_V40_REFERENCES, _V40_EDIT = page("kling/v4/reference-to-video"), page("kling/v4/video-to-video/edit")
_V40_ELSEWHERE = Source(Certainty.ANALOGY, "Kling 4.0 at WaveSpeedAI: https://wavespeed.ai/collections/kling-4")


def _video(
    name: str,
    canonical: str,
    scenes: tuple[Scene, ...],
    parameters: tuple[Parameter, ...],
    source: Source,
    *prices: Price,
    rules: tuple[CrossFieldRule, ...] = (),
) -> ModelSpec:
    return ModelSpec(
        name, OutputKind.VIDEO, scenes, parameters, source, cross_field_rules=rules, prices=prices, canonical=canonical
    )


_RATIO = Parameter("aspect_ratio", OneOf(RATIOS), TYPES, default="16:9", scenes=(_T2V,))
_RATIO_OR_AUTO = evolve(_RATIO, rule=OneOf((*RATIOS, "auto")), per_scene={_T2V: OneOf(RATIOS)}, scenes=(_T2V, _R2V))
_NEGATIVE = Parameter("negative_prompt", Text(2500), KLING, scenes=(_T2V, _I2V))

_O1 = (
    text(TYPES),
    first_frame(TYPES, _I2V),
    last_frame(TYPES, _I2V),
    references(7, TYPES),
    VIDEO,
    evolve(_RATIO_OR_AUTO, per_scene={}, scenes=(_R2V,), default=None),
    seconds(Range(3, 10), TYPES, _I2V, _R2V),
    KEEP_SOUND,
    ELEMENTS,
)
_V26_MOTION = (text(TYPES, blank=True), first_frame(TYPES, _MOTION), *MOTION_ONLY)
_V26_ALL = (
    text(_V26, blank=True),
    first_frame(_V26, _I2V, _MOTION),
    last_frame(TYPES, _I2V),
    _RATIO,
    seconds(OneOf((5, 10)), _V26, _T2V, _I2V),
    _NEGATIVE,
    sound(_V26, _T2V, _I2V, default=True),
    Parameter("voice_ids", Unchecked("at most 2 voices"), _V26, extra=True),
    CFG_SCALE,
    *MOTION_ONLY,
)
_V30_ONLY = (
    text(_V30, blank=True),
    first_frame(TYPES, _I2V, _MOTION),
    last_frame(TYPES, _I2V),
    _RATIO,
    seconds(Range(3, 15), _V30, _T2V, _I2V),
    shots(_V30, _T2V, _I2V),
    _NEGATIVE,
    sound(_V30, _T2V, _I2V, default=True),
    ELEMENTS,
    SHOT_TYPE,
    CFG_SCALE,
)
_TURBO = (
    text(_TURBO_PRO, blank=True),
    # The page says "a first and last frame", yet the schema has no field for the last one.
    evolve(first_frame(_TURBO_STD, _I2V), wire_name="image_url"),
    _RATIO,
    seconds(Range(3, 15), _TURBO_PRO, _T2V, _I2V),
    shots(_TURBO_PRO, _T2V, _I2V),
)
_O3_ONLY = (
    text(TYPES, blank=True),
    first_frame(_O3, _I2V, _R2V),
    last_frame(_O3, _I2V, _R2V),
    evolve(references(7, _O3_4K), scenes=(_R2V,), per_scene={}),
    evolve(_RATIO, scenes=(_T2V, _R2V)),
    seconds(Range(3, 15), _O3, _T2V, _I2V, _R2V),
    shots(TYPES, _T2V, _I2V, _R2V),
    sound(_O3, _T2V, _I2V, _R2V, default=False),
    ELEMENTS,
    SHOT_TYPE,
)
_CHANGED = {"images": references(7, _O3_4K), "aspect_ratio": evolve(_RATIO_OR_AUTO, default=None)}
_O3_ALL = (*(_CHANGED.get(one.name, one) for one in _O3_ONLY), VIDEO, KEEP_SOUND)
_V40_ALL = (
    Parameter("prompt", Text(None, 0), _V40),
    first_frame(_V40_FRAMES, _I2V, _R2V),
    Parameter("keyframes", UrlList(8), _V40_FRAMES, wire_name="middle_image_urls", scenes=(_I2V,)),
    last_frame(_V40_FRAMES, _I2V),
    references(10, _V40_REFERENCES, edit=10),
    # The number is Kling's; the page of the edit has one video.
    Parameter(
        "videos",
        UrlList(5),
        _V40_ELSEWHERE,
        wire_name="video_urls",
        scenes=(_R2V, _EDIT),
        per_scene={_EDIT: UrlList(1)},
    ),
    Parameter("aspect_ratio", OneOf((*RATIOS, "21:9")), _V40_ELSEWHERE, scenes=(_T2V, _R2V)),
    seconds(Range(3, 30), _V40, _T2V, _I2V, _R2V),
    Parameter("resolution", OneOf(("720p", "1080p")), _V40),
    shots(_V40, _T2V, _I2V, _R2V),
    ELEMENTS,
)
_OMNI_RULES = (ONE_OF_BOTH, FOUR_IMAGES, AUTO_RATIO, BESIDE_VIDEO)


def _v30_prices(off: str, on: str, voiced: str, source: Source) -> tuple[Price, ...]:
    """Return the prices without sound, with it, and with an element, whose voice has a price of its own."""
    return (
        price(off, source, sound=False, video=None),
        price(on, source, sound=True, video=None, elements=None),
        price(on, source, high=voiced, sound=True, video=None),
    )


_VIDEO_MODELS = (
    *(
        _video(
            name, canonical, (_I2V, _R2V, _EDIT), _O1, source, price(rate, source, video=None), rules=_OMNI_RULES[1:3]
        )
        for name, canonical, source, rate in (
            (f"{_V}/o1/standard", "kling-o1-std", _O1_STD, "0.084"),
            (f"{_V}/o1", "kling-o1-pro", _O1_PRO, "0.112"),
        )
    ),
    _video(f"{_V}/v2.6/standard", "kling-2.6-std", (_MOTION,), _V26_MOTION, TYPES),
    _video(
        f"{_V}/v2.6/pro",
        "kling-2.6-pro",
        (_T2V, _I2V, _MOTION),
        _V26_ALL,
        _V26,
        price("0.07", _V26, sound=False, video=None),
        price("0.14", _V26, sound=True, video=None, voice_ids=None),
        price("0.168", _V26, sound=True, video=None),
        rules=(ONE_OF_BOTH,),
    ),
    _video(
        f"{_V}/v3/standard",
        "kling-3.0-std",
        (_T2V, _I2V, _MOTION),
        (*_V30_ONLY, *MOTION_ONLY),
        _V30,
        *_v30_prices("0.084", "0.126", "0.154", _V30),
        rules=(ONE_OF_BOTH,),
    ),
    _video(
        f"{_V}/v3/pro",
        "kling-3.0-pro",
        (_T2V, _I2V, _MOTION),
        (*_V30_ONLY, *MOTION_ONLY),
        _V30_PRO,
        *_v30_prices("0.112", "0.168", "0.196", _V30_PRO),
        rules=(ONE_OF_BOTH,),
    ),
    _video(
        f"{_V}/v3/4k",
        "kling-3.0-4k",
        (_T2V, _I2V),
        _V30_ONLY,
        _V30_4K,
        price("0.42", _V30_4K),
        rules=(ONE_OF_BOTH,),
    ),
)

_OMNI = (_T2V, _I2V, _R2V, _EDIT)


def _o3_prices(off: str, on: str, source: Source) -> tuple[Price, ...]:
    return price(off, source, sound=False, video=None), price(on, source, sound=True, video=None)


_NEWER_MODELS = (
    *(
        _video(name, canonical, (_T2V, _I2V), _TURBO, source, price(rate, source), rules=(ONE_OF_BOTH,))
        for name, canonical, source, rate in (
            (f"{_V}/v3/turbo/standard", "kling-3.0-turbo-std", _TURBO_STD, "0.112"),
            (f"{_V}/v3/turbo/pro", "kling-3.0-turbo-pro", _TURBO_PRO, "0.14"),
        )
    ),
    _video(
        f"{_V}/o3/standard",
        "kling-3.0-omni-std",
        _OMNI,
        _O3_ALL,
        _O3,
        *_o3_prices("0.084", "0.112", _O3),
        rules=_OMNI_RULES,
    ),
    _video(
        f"{_V}/o3/pro",
        "kling-3.0-omni-pro",
        _OMNI,
        _O3_ALL,
        TYPES,
        *_o3_prices("0.112", "0.14", _O3_PRO_PRICE),
        # Per second of a video as long as the edited one, 3 to 15 s: from the $0.14 and $0.168 of clients in 2026 to
        # the $0.336 of fal's page. The copy that was read is of the time when tables had $0.224 for text to video, now
        # $0.112, and $0.252 for the standard tier, now $0.126 (vargHQ/sdk#211). A budget reserves the vendor's word.
        price("0.42", _O3_EDIT, high="5.04", per="submission", scene="video-edit"),
        rules=_OMNI_RULES,
    ),
    _video(
        f"{_V}/o3/4k",
        "kling-3.0-omni-4k",
        (_T2V, _I2V, _R2V),
        _O3_ONLY,
        _O3_4K,
        price("0.42", _O3_4K),
        rules=(ONE_OF_BOTH,),
    ),
    _video(
        "kling/v4",
        "kling-4.0",
        _OMNI,
        _V40_ALL,
        _V40,
        price("0.157", _V40, video=None, resolution="720p"),
        price("0.235", _V40, video=None, resolution="1080p"),
        # No page says which resolution is the default.
        price("0.157", _V40, high="0.235", video=None),
        # With a video $0.094 or $0.141 per second of input and output, and for at least twice the output: 6 to 60 s.
        price("0.564", _V40_REFERENCES, high="5.64", per="submission", resolution="720p"),
        price("0.846", _V40_REFERENCES, high="8.46", per="submission", resolution="1080p"),
        price("0.564", _V40_EDIT, high="8.46", per="submission"),
        rules=(PROMPT_OR_SHOTS,),
    ),
)

FAL_MODELS: Final[Mapping[str, ModelSpec]] = {
    spec.name: with_media_limits(spec) for spec in (*IMAGE_MODELS, *_VIDEO_MODELS, *_NEWER_MODELS)
}
"""Every model by its name: the part of the path that its endpoints have in common."""
