"""The Kling models of WaveSpeedAI, as its model list of 2026-08 and its pages of 2026-11 describe them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ..types.formatting import exact_amount
from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .parameter_rules import Boolean, OneOf, Range, Shots, Text, Unchecked, Url, UrlList
from .spec import ModelSpec, Parameter, Price
from .wavespeed_rules import (
    base_price_of,
    edit_price,
    few_images,
    listed,
    per_second,
    prompt_rule,
    shot_rules,
    video_rule,
)
from .wavespeed_v4 import V4

__all__ = ["ENDPOINTS", "MODELS"]

_T2I, _I2I = Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE
_T2V, _I2V, _R2V = Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO
_EDIT, _EXTEND, _MOTION = Scene.VIDEO_EDIT, Scene.VIDEO_EXTEND, Scene.MOTION_CONTROL
_NEW = (_T2V, _I2V, _R2V)

_IMAGES = Source(
    Certainty.CLIENT,
    "tables and tests of several clients of the image endpoints, and the example of WaveSpeedAI's own nodes: "
    "https://github.com/WaveSpeedAI/wavespeed-comfyui",
)
_KLING_LIMIT = Source(Certainty.ANALOGY, "Kling's own limit of 2,500 characters; WaveSpeedAI's schema has none")
_RATIOS = OneOf(("16:9", "9:16", "1:1"))
_ELEMENTS = Unchecked("at most 3 objects with an element_id")
_PROMPT = Parameter("prompt", Text(2500), _KLING_LIMIT, required=True)
# Not required beside shots: blank is allowed here, and a rule requires one of the two.
_PROMPT_OR_SHOTS = Parameter("prompt", Text(2500, 0), _KLING_LIMIT)


def _image(name: str, resolutions: tuple[str, ...], prices: tuple[Price, ...]) -> ModelSpec:
    ratios = OneOf(("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", "auto"))
    return ModelSpec(
        name,
        OutputKind.IMAGE,
        (_T2I, _I2I),
        (
            _PROMPT,
            Parameter("images", UrlList(10), _IMAGES),
            Parameter("aspect_ratio", ratios, _IMAGES),
            Parameter("resolution", OneOf(resolutions), _IMAGES, default="1k"),
            Parameter("n", Range(1, 9), _IMAGES, wire_name="num_images", default=1),
        ),
        _IMAGES,
        prices=prices,
    )


def _per_image(amount: str, resolution: str | None = None) -> Price:
    when = {} if resolution is None else {"resolution": resolution}
    return Price(low=Decimal(amount), high=Decimal(amount), per="image", when=when, source=_IMAGES)


def _frames(source: Source, *, last: str) -> tuple[Parameter, ...]:
    return (
        Parameter("image", Url(), source, scenes=(_I2V,)),
        Parameter("last_image", Url(), source, scenes=(_I2V,), wire_name=last),
    )


def _old_video(source: Source, *scenes: Scene) -> tuple[Parameter, ...]:
    """Return the parameters of scenes that take one video."""
    return (
        Parameter("video", Url(), source, scenes=scenes),
        Parameter("keep_original_sound", Boolean(), source, scenes=scenes, default=True),
    )


def _o1(name: str, tier: str, images: tuple[int, int], ratios: tuple[Scene, ...], prices: tuple[str, str]) -> ModelSpec:
    """Return a tier of O1, by its maxima of images (references, edits) and its prices (without a video, with one)."""
    source = listed(name)
    short = video_rule(
        "duration",
        "must be one of 5, 10 when only the first frame is given",
        lambda input, scene: scene is not _I2V or input.last_image is not None or input.duration in (5, 10),
        source,
    )
    lists = {_EDIT: UrlList(images[1])}
    seconds = {_T2V: OneOf((5, 10))}
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (*_NEW, _EDIT),
        (
            _PROMPT,
            *_frames(source, last="last_image"),
            Parameter("images", UrlList(images[0]), source, per_scene=lists, scenes=(_R2V, _EDIT)),
            *_old_video(source, _R2V, _EDIT),
            Parameter("aspect_ratio", _RATIOS, source, scenes=ratios, default="16:9"),
            Parameter("duration", Range(3, 10), source, per_scene=seconds, scenes=_NEW, default=5),
        ),
        source,
        # The schema of the standard tier allows ten images, with a video or without.
        cross_field_rules=(short,) if tier == "std" else (short, few_images(source)),
        prices=(
            edit_price(name, prices[1]),
            per_second(prices[0], base_price_of(name, "for 5 s, here by the second"), video=None),
            per_second(prices[1], base_price_of(name, "for 5 s with a video, here by the second")),
        ),
        canonical=f"kling-o1-{tier}",
    )


def _newer(source: Source, *scenes: Scene) -> tuple[Parameter, ...]:
    """Return the parameters that O3 and 3.0 share."""
    return (
        _PROMPT_OR_SHOTS,
        *_frames(source, last="end_image"),
        Parameter("duration", Range(3, 15), source, scenes=scenes, default=5),
        Parameter("shots", Shots(6), source, scenes=scenes, wire_name="multi_prompt"),
        # No schema of 3.0 has a default; its pages say "disabled".
        Parameter("sound", Boolean(), source, scenes=scenes, default=False),
        Parameter("shot_type", OneOf(("customize", "intelligent")), source, default="customize", extra=True),
    )


def _o3(tier: str, price: str, edit: str | None = None) -> ModelSpec:
    """Return a tier of O3, which Kling calls 3.0-omni. That of 4k edits no video, and refers to none."""
    name = f"kling-video-o3-{tier}"
    source = listed(name)
    edits = () if edit is None else (_EDIT,)
    lists = {_EDIT: UrlList(4)} if edits else {}
    silent = base_price_of(name, "for 5 s without sound, here by the second")
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (*_NEW, *edits),
        (
            *_newer(source, *_NEW),
            Parameter("images", UrlList(7), source, per_scene=lists, scenes=(_R2V, *edits)),
            Parameter("aspect_ratio", _RATIOS, source, scenes=(_T2V, _R2V), default="16:9"),
            *(_old_video(source, _R2V, _EDIT) if edits else ()),
            *(() if tier == "std" else (Parameter("element_list", _ELEMENTS, source, extra=True),)),
        ),
        source,
        cross_field_rules=(prompt_rule(source, shots=True), *shot_rules(source, shortest=3), few_images(source)),
        prices=(
            *(() if edit is None else (edit_price(name, edit),)),
            per_second(price, silent, video=None, sound=False),
        ),
        canonical=f"kling-3.0-omni-{tier}",
    )


def _motion(source: Source) -> tuple[Parameter, ...]:
    """Return the parameters of motion control; its price follows from the length of the video."""
    orientation = OneOf(("image", "video"))
    return (
        *_old_video(source, _MOTION),
        Parameter("character_orientation", orientation, source, default="video", extra=True),
    )


def _with_motion(parameters: tuple[Parameter, ...], source: Source) -> tuple[Parameter, ...]:
    first = Parameter("image", Url(), source, scenes=(_I2V, _MOTION))
    return (*(first if one.name == "image" else one for one in parameters), *_motion(source))


def _v30(tier: str, price: str) -> ModelSpec:
    name = f"kling-v3.0-{tier}"
    source = listed(name)
    moves = tier != "4k"
    parameters = (
        *_newer(source, _T2V, _I2V),
        Parameter("aspect_ratio", _RATIOS, source, scenes=(_T2V,), default="16:9"),
        Parameter("negative_prompt", Text(2500), source),
        Parameter("cfg_scale", Range(0, 1, integer=False), source, default=0.5, extra=True),
        Parameter("element_list", _ELEMENTS, source, extra=True),
    )
    one_shot = video_rule(
        "shots", "may not be given with last_image", lambda input, _: not (input.shots and input.last_image), source
    )
    silent = base_price_of(name, "for 5 s without sound, here by the second")
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (_T2V, _I2V, _MOTION) if moves else (_T2V, _I2V),
        _with_motion(parameters, source) if moves else parameters,
        source,
        cross_field_rules=(prompt_rule(source, _MOTION, shots=True), *shot_rules(source, shortest=3), one_shot),
        prices=(per_second(price, silent, video=None, sound=False),),
        canonical=f"kling-3.0-{tier}",
    )


def _v26(tier: str, price: str) -> ModelSpec:
    name = f"kling-v2.6-{tier}"
    source = listed(name)
    pro = tier == "pro"
    first = Parameter("image", Url(), source, scenes=(_I2V,))
    parameters = (
        Parameter("prompt", Text(2500, 0), _KLING_LIMIT),
        *(_frames(source, last="end_image") if pro else (first,)),
        Parameter("aspect_ratio", _RATIOS, source, scenes=(_T2V,), default="1:1" if pro else "16:9"),
        Parameter("duration", OneOf((5, 10)), source, scenes=(_T2V, _I2V), default=5),
        Parameter("negative_prompt", Text(2500), source),
    )
    only_pro = (
        Parameter("sound", Boolean(), source, scenes=(_T2V, _I2V), default=True),
        Parameter("cfg_scale", Range(0, 1, integer=False), source, default=0.5, extra=True),
        Parameter("voice_list", Unchecked("at most 2 objects with a voice_id"), source, extra=True),
    )
    of = base_price_of(name, "for 5 s without sound, here by the second" if pro else "for 5 s, here by the second")
    silent = per_second(price, of, video=None, sound=False, voice_list=None)
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (_T2V, _I2V, _MOTION),
        _with_motion((*parameters, *only_pro) if pro else parameters, source),
        source,
        cross_field_rules=(prompt_rule(source, _MOTION),),
        prices=(silent if pro else per_second(price, of, video=None),),
        canonical=f"kling-2.6-{tier}",
    )


def _turbo(tier: str, price: str) -> ModelSpec:
    name = f"kling-v3-turbo-{tier}"
    source = listed(name)
    # 0.112 and 0.14: at other sellers that is a second. Here it may be a video, as with all other models of the list.
    unclear = base_price_of(name, "by the second or by the video, which the list does not say")
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        (_T2V, _I2V),
        (
            Parameter("prompt", Text(2500, 0), source),
            Parameter("image", Url(), source, scenes=(_I2V,)),
            Parameter("aspect_ratio", _RATIOS, source, scenes=(_T2V,), default="16:9"),
            Parameter("duration", Range(3, 15), source, default=5),
            Parameter("shots", Shots(6), source, wire_name="multi_prompt"),
            Parameter("cfg_scale", Range(0, 1, integer=False), source, default=0.5, extra=True),
        ),
        source,
        cross_field_rules=(prompt_rule(source, _I2V, shots=True), *shot_rules(source, shortest=1)),
        prices=(Price(low=Decimal(price), high=exact_amount(15 * Decimal(price)), source=unclear),),
        canonical=f"kling-3.0-turbo-{tier}",
    )


MODELS: Final = (
    _image("kling-image-o1", ("1k", "2k"), (_per_image("0.028"),)),
    _image("kling-image-o3", ("1k", "2k", "4k"), (_per_image("0.056", "4k"), _per_image("0.028"))),
    _o1("kling-video-o1-std", "std", (10, 10), (_T2V,), ("0.084", "0.126")),
    _o1("kling-video-o1", "pro", (7, 4), (_T2V, _R2V), ("0.112", "0.168")),
    _o3("std", "0.084", "0.126"),
    _o3("pro", "0.112", "0.168"),
    _o3("4k", "0.42"),
    _v26("std", "0.042"),
    _v26("pro", "0.07"),
    _v30("std", "0.084"),
    _v30("pro", "0.112"),
    _v30("4k", "0.42"),
    _turbo("std", "0.112"),
    _turbo("pro", "0.14"),
    V4,
)

ENDPOINTS: Final[Mapping[tuple[str, Scene], str]] = {
    ("kling-image-o1", _T2I): "kling-image-o1",
    ("kling-image-o1", _I2I): "kling-image-o1",
    ("kling-image-o3", _I2I): "kling-image-o3/edit",
}
"""Endpoints that are not named after their model and scene."""
