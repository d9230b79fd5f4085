"""The Kling image models of fal."""

from __future__ import annotations

from attrs import evolve

from ..types.inputs import Scene
from ..types.prediction import OutputKind
from ..types.sources import Certainty, Source
from .fal_facts import ELEMENTS, RATIOS, TYPES, page, price, text
from .parameter_rules import OneOf, Range, Text, UrlList
from .spec import ModelSpec, Parameter, Price

__all__ = ["IMAGE_MODELS"]

_T2I, _I2I = Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE
_IMAGE_O1, _IMAGE_V3 = page("fal-ai/kling-image/o1", "/api"), page("fal-ai/kling-image/v3/text-to-image")
_IMAGE_PRICES = Source(Certainty.CLIENT, "a comparison of prices: https://muapi.ai/comparison/kling-o3-image")

_IMAGE_RATIOS = (*RATIOS, "4:3", "3:4", "3:2", "2:3", "21:9")
_IMAGES = Parameter("images", UrlList(10), TYPES, wire_name="image_urls")


def _image(
    name: str, canonical: str, scenes: tuple[Scene, ...], more: tuple[Parameter, ...], source: Source, *prices: Price
) -> ModelSpec:
    count = Parameter("n", Range(1, 9), TYPES, wire_name="num_images", default=1)
    format = Parameter("output_format", OneOf(("jpeg", "png", "webp")), TYPES, default="png", extra=True)
    parameters = (text(TYPES), count, *more, ELEMENTS, format)
    name = f"fal-ai/kling-image/{name}"
    return ModelSpec(name, OutputKind.IMAGE, scenes, parameters, source, prices=prices, canonical=canonical)


def _ratio(*values: str, default: str | None = None) -> Parameter:
    return Parameter("aspect_ratio", OneOf(values), TYPES, default=default)


def _resolution(*values: str) -> Parameter:
    return Parameter("resolution", OneOf(values), TYPES, default="1k")


IMAGE_MODELS = (
    _image(
        "o1",
        "kling-image-o1",
        (_I2I,),
        (evolve(_IMAGES, required=True), _ratio(*_IMAGE_RATIOS, "auto", default="auto"), _resolution("1k", "2k")),
        _IMAGE_O1,
        price("0.028", _IMAGE_PRICES, per="image"),
    ),
    _image(
        "o3",
        "kling-image-o3",
        (_T2I, _I2I),
        (
            _IMAGES,
            # 16:9 is the default of text-to-image, and auto that of image-to-image.
            evolve(_ratio(*_IMAGE_RATIOS, "auto"), per_scene={_T2I: OneOf(_IMAGE_RATIOS)}),
            _resolution("1k", "2k", "4k"),
        ),
        TYPES,
        price("0.056", _IMAGE_PRICES, per="image", resolution="4k"),
        price("0.028", _IMAGE_PRICES, per="image"),
    ),
    _image(
        "v3",
        "kling-image-3.0",
        (_T2I, _I2I),
        (
            Parameter("images", UrlList(1), TYPES, wire_name="image_url"),
            _ratio(*_IMAGE_RATIOS, default="16:9"),
            _resolution("1k", "2k"),
            Parameter("negative_prompt", Text(2500), _IMAGE_V3, extra=True),
        ),
        _IMAGE_V3,
        price("0.028", _IMAGE_V3, per="image"),
    ),
)
