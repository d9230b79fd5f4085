"""Validate an input against a model's table, before anything is sent, and build its body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from attrs import fields

from ..types.errors import InputFault
from ..types.inputs import Input, Scene, VideoInput, validate_common
from ..types.prediction import Json, OutputKind
from .parameter_rules import suggestion
from .spec import ModelSpec, Parameter

__all__ = ["build_body", "infer_scene", "validate"]

_NOT_PARAMETERS = frozenset({"model", "extra", "scene"})
"""Fields that select the request, and are not sent as parameters."""

_REQUIRED_MEDIA = {
    Scene.IMAGE_TO_IMAGE: {"images"},
    Scene.MULTI_SHOT: {"images"},
    Scene.IMAGE_TO_VIDEO: {"image"},
    Scene.START_END_FRAME: {"image", "last_image"},
    Scene.REFERENCE_TO_VIDEO: {"images"},
    Scene.VIDEO_TO_VIDEO: {"video"},
    Scene.MOTION_CONTROL: {"image", "video"},
}
"""The media that a scene requires, as in WaveSpeedAI's schemas, which have the same scenes."""

_MEDIA_FIELDS = ("image", "last_image", "images", "video")


def infer_scene(spec: ModelSpec, input: Input) -> Scene | None:
    """Return the scene of an input; None if its fields are ambiguous."""
    if not isinstance(input, VideoInput):
        if input.multi_shot and Scene.MULTI_SHOT in spec.scenes:
            return Scene.MULTI_SHOT
        return Scene.IMAGE_TO_IMAGE if input.images else Scene.TEXT_TO_IMAGE
    if input.scene is not None:
        return Scene(input.scene) if input.scene in spec.scenes else None
    given = {name for name in _MEDIA_FIELDS if getattr(input, name)}
    if given == {"image", "video"} and Scene.MOTION_CONTROL in spec.scenes:
        return Scene.MOTION_CONTROL
    if given == {"image", "last_image"} and Scene.START_END_FRAME in spec.scenes:
        return Scene.START_END_FRAME
    if given & {"image", "last_image"}:
        # A first frame beside references or a video could mean two things, at two prices.
        return None if given & {"images", "video"} else Scene.IMAGE_TO_VIDEO
    if "images" in given:
        return Scene.REFERENCE_TO_VIDEO
    return Scene.VIDEO_TO_VIDEO if given else Scene.TEXT_TO_VIDEO


def validate(spec: ModelSpec, input: Input) -> Iterator[InputFault]:
    """Yield every fault of an input for a model."""
    if isinstance(input, VideoInput) != (spec.kind is OutputKind.VIDEO):
        yield InputFault("model", spec.name, f"makes {spec.kind.value}s; use {spec.kind.value.title()}Input")
        return
    yield from validate_common(input)
    scene = infer_scene(spec, input)
    if scene is None or scene not in spec.scenes:
        yield _scene_fault(spec, input, scene)
    else:
        yield from _media_faults(input, scene)
        yield from _cross_field_faults(spec, input, scene)
    yield from _field_faults(spec, input, scene)
    yield from _extra_faults(spec, input, scene)


def _scene_fault(spec: ModelSpec, input: Input, scene: Scene | None) -> InputFault:
    allowed = f"{spec.name} has the scenes {', '.join(spec.scenes)}"
    requested = input.scene if isinstance(input, VideoInput) else None
    if requested is not None:
        return InputFault("scene", requested, allowed + suggestion(requested, spec.scenes))
    if scene is not None:
        return InputFault("scene", scene.value, f"follows from the fields given, but {allowed}")
    return InputFault("scene", None, f"is not clear from the fields given: set it; {allowed}")


def _media_faults(input: Input, scene: Scene) -> Iterator[InputFault]:
    for name in sorted(_REQUIRED_MEDIA.get(scene, set())):
        if not getattr(input, name):
            yield InputFault(name, getattr(input, name), f"is needed for {scene.value}")
    if scene is Scene.TEXT_TO_VIDEO:
        for name in _MEDIA_FIELDS:
            if getattr(input, name):
                yield InputFault(name, getattr(input, name), f"has no place in {scene.value}")


def _cross_field_faults(spec: ModelSpec, input: Input, scene: Scene) -> Iterator[InputFault]:
    for rule in spec.cross_field_rules:
        if not rule.holds(input, scene):
            yield InputFault(rule.name, getattr(input, rule.name), rule.text)


def _field_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    for attribute in fields(type(input)):
        name, value = attribute.name, getattr(input, attribute.name)
        if name in _NOT_PARAMETERS:
            continue
        parameter = spec.parameter(name)
        if parameter is None or parameter.extra:
            if value != attribute.default:
                accepted = ", ".join(one.name for one in spec.parameters if not one.extra)
                yield InputFault(name, value, f"{spec.name} has no such field here; it takes {accepted}")
        elif scene is not None and not parameter.applies_to(scene):
            if value != attribute.default:
                yield InputFault(name, value, f"has no place in {scene.value}")
        elif _is_given(value) or parameter.required:
            yield from _value_fault(parameter, value, scene)


def _is_given(value: object) -> bool:
    # None and the empty list mean "not given", and are not sent; any other value must be allowed.
    return value is not None and value != ()


def _extra_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    # The model is in the path or in the body, and has its price: `extra` must not replace the one validated here.
    wire_names = {"model": "model"} | {one.wire_name: one.name for one in spec.parameters if not one.extra}
    for name, value in input.extra.items():
        parameter = spec.parameter(name)
        if name in wire_names:
            yield InputFault(f"extra[{name!r}]", value, f"may not replace a field; use {wire_names[name]}=")
        elif parameter is not None and parameter.extra:
            yield from _value_fault(parameter, value, scene)


def _value_fault(parameter: Parameter, value: object, scene: Scene | None) -> Iterator[InputFault]:
    rule = parameter.rule if scene is None else parameter.rule_for(scene)
    if not rule.allows(value):
        where = f" in {scene.value}" if scene is not None and scene in parameter.per_scene else ""
        name = f"extra[{parameter.name!r}]" if parameter.extra else parameter.name
        yield InputFault(name, value, f"{rule}{where}{rule.hint(value)}")


def build_body(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Build the provider's body from the fields of an input, `extra` last."""
    body: dict[str, Json] = {}
    for parameter in spec.parameters:
        value = None if parameter.extra else getattr(input, parameter.name)
        if _is_given(value) and parameter.applies_to(scene):
            body[parameter.wire_name] = list(cast("tuple[Json, ...]", value)) if isinstance(value, tuple) else value
    return body | dict(input.extra)
