"""An input held against a model's table: everything that is wrong with it, found before it costs anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from attrs import fields

from ..errors import InputFault
from ..inputs import Input, Scene, VideoInput, common_faults
from ..prediction import Json, OutputKind
from .rules import suggestion
from .spec import ModelSpec, Parameter

__all__ = ["body_of", "faults_in", "scene_of"]

_NO_PARAMETER = frozenset({"model", "extra", "scene"})
"""Fields that choose how to ask, and are not themselves asked."""

_NEEDED = {
    Scene.IMAGE_TO_IMAGE: {"images"},
    Scene.MULTI_SHOT: {"images"},
    Scene.IMAGE_TO_VIDEO: {"image"},
    Scene.START_END_FRAME: {"image", "last_image"},
    Scene.REFERENCE_TO_VIDEO: {"images"},
    Scene.VIDEO_TO_VIDEO: {"video"},
    Scene.MOTION_CONTROL: {"image", "video"},
}
"""What a scene is made of. WaveSpeedAI's schemas, of which GPTProto's scenes are the twins, require these."""

_MEDIA = ("image", "last_image", "images", "video")


def scene_of(spec: ModelSpec, input: Input) -> Scene | None:
    """Return what the input asks to be made of what; None where its fields leave that open."""
    if not isinstance(input, VideoInput):
        if input.multi_shot and Scene.MULTI_SHOT in spec.scenes:
            return Scene.MULTI_SHOT
        return Scene.IMAGE_TO_IMAGE if input.images else Scene.TEXT_TO_IMAGE
    if input.scene is not None:
        return Scene(input.scene) if input.scene in spec.scenes else None
    given = {name for name in _MEDIA if getattr(input, name)}
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


def faults_in(spec: ModelSpec, input: Input) -> Iterator[InputFault]:
    """Yield everything that is wrong with an input for a model."""
    if isinstance(input, VideoInput) != (spec.kind is OutputKind.VIDEO):
        yield InputFault("model", spec.name, f"makes {spec.kind.value}s; use {spec.kind.value.title()}Input")
        return
    yield from common_faults(input)
    scene = scene_of(spec, input)
    if scene is None or scene not in spec.scenes:
        yield _scene_fault(spec, input, scene)
    else:
        yield from _material_faults(input, scene)
        yield from _together_faults(spec, input, scene)
    yield from _field_faults(spec, input, scene)
    yield from _extra_faults(spec, input, scene)


def _scene_fault(spec: ModelSpec, input: Input, scene: Scene | None) -> InputFault:
    allowed = f"{spec.name} has the scenes {', '.join(spec.scenes)}"
    asked = input.scene if isinstance(input, VideoInput) else None
    if asked is not None:
        return InputFault("scene", asked, allowed + suggestion(asked, spec.scenes))
    if scene is not None:
        return InputFault("scene", scene.value, f"follows from the fields given, but {allowed}")
    return InputFault("scene", None, f"is not clear from the fields given: set it; {allowed}")


def _material_faults(input: Input, scene: Scene) -> Iterator[InputFault]:
    for name in sorted(_NEEDED.get(scene, set())):
        if not getattr(input, name):
            yield InputFault(name, getattr(input, name), f"is needed for {scene.value}")
    if scene is Scene.TEXT_TO_VIDEO:
        for name in _MEDIA:
            if getattr(input, name):
                yield InputFault(name, getattr(input, name), f"has no place in {scene.value}")


def _together_faults(spec: ModelSpec, input: Input, scene: Scene) -> Iterator[InputFault]:
    for rule in spec.together:
        if not rule.holds(input, scene):
            yield InputFault(rule.name, getattr(input, rule.name), rule.text)


def _field_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    taken = [one.name for one in spec.parameters if not one.extra]
    for attribute in fields(type(input)):
        name, value = attribute.name, getattr(input, attribute.name)
        if name in _NO_PARAMETER:
            continue
        parameter = spec.parameter(name)
        if parameter is None or parameter.extra:
            if value != attribute.default:
                yield InputFault(name, value, f"{spec.name} has no such field here; it takes {', '.join(taken)}")
        elif scene is not None and not parameter.in_(scene):
            if value != attribute.default:
                yield InputFault(name, value, f"has no place in {scene.value}")
        elif _given(value) or parameter.required:
            yield from _value_fault(parameter, value, scene)


def _given(value: object) -> bool:
    # None and the empty list stand for "nothing", which is not sent; anything else must be allowed.
    return value is not None and value != ()


def _extra_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    # The model stands in the address or in the body, and has its price: never another beside the one checked here.
    wires = {"model": "model"} | {one.wire: one.name for one in spec.parameters if not one.extra}
    for name, value in input.extra.items():
        parameter = spec.parameter(name)
        if name in wires:
            yield InputFault(f"extra[{name!r}]", value, f"may not replace a field; use {wires[name]}=")
        elif parameter is not None and parameter.extra:
            yield from _value_fault(parameter, value, scene)


def _value_fault(parameter: Parameter, value: object, scene: Scene | None) -> Iterator[InputFault]:
    rule = parameter.rule if scene is None else parameter.rule_for(scene)
    if not rule.allows(value):
        where = f" in {scene.value}" if scene is not None and scene in parameter.in_scene else ""
        name = f"extra[{parameter.name!r}]" if parameter.extra else parameter.name
        yield InputFault(name, value, f"{rule}{where}{rule.hint(value)}")


def body_of(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Return the fields of an input by their names in the provider's body, `extra` last."""
    body: dict[str, Json] = {}
    for parameter in spec.parameters:
        value = None if parameter.extra else getattr(input, parameter.name)
        if _given(value) and parameter.in_(scene):
            body[parameter.wire] = list(cast("tuple[Json, ...]", value)) if isinstance(value, tuple) else value
    return body | dict(input.extra)
