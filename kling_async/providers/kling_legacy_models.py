"""The models of Kling's legacy standard: images, and the videos of 2.1."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from ..types.inputs import Scene
from ..types.prediction import Json, OutputKind
from ..types.sources import Certainty, Source
from .kling_media import kling_images
from .kling_rules import PARTS_RULE, page
from .parameter_rules import OneOf, Range, Text, Unchecked, Url, UrlList
from .spec import CrossFieldRule, ModelSpec, Parameter, Price

__all__ = ["LEGACY_MODELS", "LEGACY_PATHS"]

_T2I, _I2I, _T2V, _I2V = Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE, Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO
_OMNI = page("omni image", "kling-image-o1-generation", "api/image/o1/image-generation")
_IMAGE = page("image 3.0 and 2.1", "kling-image-omni-3.0-generation", "api/image/3-0-omni/image-generation")
_MAP = page("image capability map", "kling-guide-capability-map-image", "guides/capability-map/image")
_PRICES = page("prices of images", "kling-pricing-image", "pricing/base/image")
_OLDER = Source(
    Certainty.CLIENT,
    "no page of the videos of 2.1 is left; docs/KLING_API_REFERENCE.md, written from one: "
    "https://github.com/aself101/kling-api",
)

_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
_CALLBACK = (
    Parameter("callback_url", Url(local=False), _OMNI, extra=True),
    Parameter("watermark_info", Unchecked("an object: enabled is true or false"), _OMNI, extra=True),
)
_ELEMENTS = Parameter("element_list", Unchecked("a list of objects with an element_id"), _OMNI, extra=True)
_N = Parameter("n", Range(1, 9), _OMNI, default=1)


def _price(dollars: str, when: Mapping[str, Json] | None = None) -> Price:
    return Price(low=Decimal(dollars), high=Decimal(dollars), per="image", when=when or {}, source=_PRICES)


def _image(
    name: str,
    wire_name: str,
    parameters: tuple[Parameter, ...],
    source: Source,
    *,
    prices: tuple[Price, ...],
    rules: tuple[CrossFieldRule, ...] = (),
) -> ModelSpec:
    prompt = Parameter("prompt", Text(2500), source, required=True)
    return ModelSpec(
        name,
        OutputKind.IMAGE,
        (_T2I, _I2I),
        (prompt, _N, *parameters, *_CALLBACK),
        source,
        cross_field_rules=(*rules, PARTS_RULE),
        prices=prices,
        wire_name=wire_name,
        media={"image": kling_images(10_000_000, _OMNI)},
    )


_IMAGE_O1 = _image(
    "kling-image-o1",
    "kling-image-o1",
    (
        Parameter("images", UrlList(10), _OMNI, wire_name="image_list"),
        Parameter("resolution", OneOf(("1k", "2k")), _MAP, default="1k"),
        Parameter("aspect_ratio", OneOf((*_RATIOS, "auto")), _OMNI, default="auto"),
        _ELEMENTS,
    ),
    _OMNI,
    prices=(_price("0.028"),),
)
_IMAGE_O3 = _image(
    "kling-image-o3",
    "kling-v3-omni",
    (
        Parameter("images", UrlList(10), _OMNI, wire_name="image_list"),
        Parameter("resolution", OneOf(("1k", "2k", "4k")), _OMNI, default="1k"),
        # Without images "auto" is not supported, and yet it is the default of the endpoint.
        Parameter("aspect_ratio", OneOf((*_RATIOS, "auto")), _MAP, per_scene={_T2I: OneOf(_RATIOS)}),
        Parameter("result_type", OneOf(("single", "series")), _OMNI, default="single", extra=True),
        Parameter("series_amount", OneOf((*range(2, 10), "auto")), _OMNI, default=4, extra=True),
        _ELEMENTS,
    ),
    _OMNI,
    # A series has as many images as series_amount says, or as Kling chooses: no price follows from the input.
    prices=(
        _price("0.056", {"result_type": "single", "resolution": "4k"}),
        _price("0.028", {"result_type": "single"}),
    ),
    rules=(
        CrossFieldRule(
            "n",
            "must be 1 for a series, whose number is series_amount",
            lambda input, _: input.extra.get("result_type") != "series" or getattr(input, "n", 1) == 1,
            _OMNI,
        ),
    ),
)
_NO_NEGATIVE = CrossFieldRule(
    "extra",
    "may hold no negative_prompt when an image is given",
    lambda input, _: not ("negative_prompt" in input.extra and input.images),
    _IMAGE,
)
_GENERATIONS = (
    Parameter("images", UrlList(1), _IMAGE, wire_name="image"),
    Parameter("resolution", OneOf(("1k", "2k")), _IMAGE, default="1k"),
    Parameter("aspect_ratio", OneOf(_RATIOS), _IMAGE, default="16:9"),
    Parameter("negative_prompt", Text(2500), _IMAGE, extra=True),
)
_IMAGE_30 = _image(
    "kling-image-3.0", "kling-v3", (*_GENERATIONS, _ELEMENTS), _IMAGE, prices=(_price("0.028"),), rules=(_NO_NEGATIVE,)
)
_IMAGE_21 = _image(
    "kling-image-2.1",
    "kling-v2-1",
    (
        *_GENERATIONS,
        Parameter("image_reference", OneOf(("subject", "face")), _IMAGE, extra=True),
        Parameter("image_fidelity", Range(0, 1, integer=False), _IMAGE, default=0.5, extra=True),
        Parameter("human_fidelity", Range(0, 1, integer=False), _IMAGE, default=0.45, extra=True),
    ),
    _IMAGE,
    prices=(_price("0.014", {"images": []}), _price("0.028")),
    rules=(
        _NO_NEGATIVE,
        CrossFieldRule(
            "images",
            "holds the image that image_reference in extra needs",
            lambda input, _: "image_reference" not in input.extra or bool(input.images),
            _IMAGE,
        ),
    ),
)


def _video_21(name: str, wire_name: str, scenes: tuple[Scene, ...], *, mode: str | None, last: bool) -> ModelSpec:
    return ModelSpec(
        name,
        OutputKind.VIDEO,
        scenes,
        (
            Parameter("prompt", Text(2500), _OLDER, required=True),
            Parameter("image", Url(), _OLDER, scenes=(_I2V,)),
            *((Parameter("last_image", Url(), _OLDER, wire_name="image_tail", scenes=(_I2V,)),) if last else ()),
            *((Parameter("aspect_ratio", OneOf(_RATIOS[:3]), _OLDER, default="16:9"),) if _T2V in scenes else ()),
            Parameter("duration", OneOf((5, 10)), _OLDER, default=5),
            Parameter("negative_prompt", Text(2500), _OLDER),
            Parameter("callback_url", Url(local=False), _OLDER, extra=True),
        ),
        _OLDER,
        cross_field_rules=(PARTS_RULE,),
        wire_name=wire_name,
        fixed={} if mode is None else {"mode": mode},
    )


LEGACY_MODELS = (
    _IMAGE_O1,
    _IMAGE_O3,
    _IMAGE_30,
    _IMAGE_21,
    _video_21("kling-2.1-std", "kling-v2-1", (_I2V,), mode="std", last=False),
    _video_21("kling-2.1-pro", "kling-v2-1", (_I2V,), mode="pro", last=True),
    _video_21("kling-2.1-master", "kling-v2-1-master", (_T2V, _I2V), mode=None, last=False),
)

_TO_VIDEO = {_T2V: "/v1/videos/text2video", _I2V: "/v1/videos/image2video"}
_OMNI_IMAGE, _GENERATION = "/v1/images/omni-image", "/v1/images/generations"
LEGACY_PATHS: Mapping[str, Mapping[Scene, str]] = {
    "kling-image-o1": dict.fromkeys((_T2I, _I2I), _OMNI_IMAGE),
    "kling-image-o3": dict.fromkeys((_T2I, _I2I), _OMNI_IMAGE),
    "kling-image-3.0": dict.fromkeys((_T2I, _I2I), _GENERATION),
    "kling-image-2.1": dict.fromkeys((_T2I, _I2I), _GENERATION),
    **{spec.name: {scene: _TO_VIDEO[scene] for scene in spec.scenes} for spec in LEGACY_MODELS[4:]},
}
"""Paths by model and scene, which a submission and its polls share; every other model is on the new standard."""
