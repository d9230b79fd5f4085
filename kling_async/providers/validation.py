"""Validate an input against a model's table, before anything is sent, and build its body."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

from attrs import fields

from ..types.errors import InputFault
from ..types.field_checks import is_tuple
from ..types.inputs import ImageInput, Input, Scene, VideoInput, validate_common
from ..types.prediction import Json, OutputKind
from .parameter_rules import suggestion
from .spec import ModelSpec, Parameter, value_of

__all__ = ["build_body", "infer_scene", "validate"]

_NOT_PARAMETERS = frozenset({"model", "extra", "scene"})
"""Fields that select the request, and are not sent as parameters."""

_REQUIRED_MEDIA = {
    Scene.IMAGE_TO_IMAGE: {"images"},
    Scene.MULTI_SHOT: {"images"},
    Scene.IMAGE_TO_VIDEO: {"image"},
    Scene.START_END_FRAME: {"image", "last_image"},
    Scene.VIDEO_TO_VIDEO: {"video"},
    Scene.VIDEO_EDIT: {"video"},
    Scene.VIDEO_EXTEND: {"video"},
    Scene.MOTION_CONTROL: {"image", "video"},
}
"""The media that a scene requires, as in WaveSpeedAI's schemas, which have the same scenes."""

_MEDIA_FIELDS = ("image", "last_image", "keyframes", "images", "video", "audios")


_VIDEOS = ("video", "videos")
_OF_VIDEOS = (Scene.VIDEO_TO_VIDEO, Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT, Scene.VIDEO_EXTEND)


def infer_scene(spec: ModelSpec, input: Input) -> Scene | None:
    """Return the scene of an input; None if its fields are ambiguous."""
    if not isinstance(input, VideoInput):
        if input.multi_shot and Scene.MULTI_SHOT in spec.scenes:
            return Scene.MULTI_SHOT
        return Scene.IMAGE_TO_IMAGE if input.images else Scene.TEXT_TO_IMAGE
    if input.scene is not None:
        return Scene(input.scene) if input.scene in spec.scenes else None
    given = {name for name in _MEDIA_FIELDS if value_of(input, name)}
    if given == {"image", "video"} and Scene.MOTION_CONTROL in spec.scenes:
        return Scene.MOTION_CONTROL
    if given == {"image", "last_image"} and Scene.START_END_FRAME in spec.scenes:
        return Scene.START_END_FRAME
    if given & {"image", "last_image", "keyframes"}:
        # A first frame beside references or a video could mean two things, at two prices.
        return None if given & {"images", "video", "audios"} else Scene.IMAGE_TO_VIDEO
    if given & {"images", "audios"}:
        return Scene.REFERENCE_TO_VIDEO
    return _scene_of_videos(spec) if given else Scene.TEXT_TO_VIDEO


def _scene_of_videos(spec: ModelSpec) -> Scene | None:
    """Return the scene of videos alone; None if the model could refer to them, edit them or extend them."""
    possible = [scene for scene in _OF_VIDEOS if scene in spec.scenes]
    if Scene.VIDEO_TO_VIDEO in possible or not possible:
        return Scene.VIDEO_TO_VIDEO
    return possible[0] if len(possible) == 1 else None


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
    for name in sorted(_required_media(input, scene)):
        if not value_of(input, name):
            yield InputFault(name, value_of(input, name), f"is needed for {scene.value}")
    if scene is Scene.TEXT_TO_VIDEO:
        for name in _MEDIA_FIELDS:
            if value_of(input, name):
                yield InputFault(name, value_of(input, name), f"has no place in {scene.value}")


def _required_media(input: Input, scene: Scene) -> set[str]:
    # A reference is an image or a video.
    if scene is Scene.REFERENCE_TO_VIDEO:
        return set() if value_of(input, "video") else {"images"}
    return _REQUIRED_MEDIA.get(scene, set())


def _cross_field_faults(spec: ModelSpec, input: Input, scene: Scene) -> Iterator[InputFault]:
    for rule in spec.cross_field_rules:
        if not rule.holds(input, scene):
            yield InputFault(rule.name, value_of(input, rule.name), rule.text)


def _field_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    for name, default in _FIELDS[type(input)]:
        value, parameter = getattr(input, name), spec.parameter(name)
        if name in _VIDEOS:
            yield from _video_faults(spec, input, name, scene)
        elif parameter is None or parameter.extra:
            if value != default:
                yield _unknown_field(spec, name, value)
        elif value != default or parameter.required or _is_given(value):
            yield from _parameter_faults(parameter, value, scene, is_default=value == default)


_FIELDS: Final = {
    kind: tuple((one.name, one.default) for one in fields(kind) if one.name not in _NOT_PARAMETERS)
    for kind in (ImageInput, VideoInput)
}
"""The fields of each input that may be parameters, with their defaults."""


def _video_faults(spec: ModelSpec, input: Input, name: str, scene: Scene | None) -> Iterator[InputFault]:
    """Yield the faults of `video` or of `videos`, each of which may stand for the other."""
    given, parameter = getattr(input, name), spec.parameter("videos") or spec.parameter("video")
    if parameter is None:
        if given:
            yield _unknown_field(spec, name, given)
        return
    if name == "video" and parameter.name == "video" and isinstance(input, VideoInput) and len(input.videos) > 1:
        yield InputFault("videos", input.videos, f"{spec.name} takes one video")
    elif given or name == parameter.name:
        value = value_of(input, parameter.name)
        yield from _parameter_faults(parameter, value, scene, is_default=not value)


def _unknown_field(spec: ModelSpec, name: str, value: object) -> InputFault:
    accepted = ", ".join(one.name for one in spec.parameters if not one.extra)
    return InputFault(name, value, f"{spec.name} has no such field here; it takes {accepted}")


def _parameter_faults(
    parameter: Parameter, value: object, scene: Scene | None, *, is_default: bool
) -> Iterator[InputFault]:
    if scene is not None and not parameter.applies_to(scene):
        if not is_default:
            yield InputFault(parameter.name, value, f"has no place in {scene.value}")
    elif _is_given(value) or parameter.required:
        yield from _value_fault(parameter, value, scene)


def _is_given(value: object) -> bool:
    # None and the empty list mean "not given", and are not sent; any other value must be allowed.
    return value is not None and value != ()


def _extra_faults(spec: ModelSpec, input: Input, scene: Scene | None) -> Iterator[InputFault]:
    if not input.extra:
        return
    # The model is in the path or in the body, and has its price: `extra` must not replace the one validated here.
    wire_names = dict.fromkeys(("model", *spec.fixed), "model")
    wire_names |= {one.wire_name: one.name for one in spec.parameters if not one.extra}
    for name, value in input.extra.items():
        parameter = spec.parameter(wire_names.get(name, name))
        if parameter is not None and (
            parameter.extra or (parameter.also_extra and not _is_given(value_of(input, parameter.name)))
        ):
            yield from _value_fault(parameter, value, scene, extra=True)
        elif name in wire_names:
            yield InputFault(f"extra[{name!r}]", value, f"may not replace a field; use {wire_names[name]}=")


def _value_fault(
    parameter: Parameter, value: object, scene: Scene | None, *, extra: bool = False
) -> Iterator[InputFault]:
    rule = parameter.rule if scene is None else parameter.rule_for(scene)
    if not rule.allows(value):
        where = f" in {scene.value}" if scene is not None and scene in parameter.per_scene else ""
        name = f"extra[{parameter.wire_name!r}]" if extra else parameter.name
        yield InputFault(name, value, f"{rule}{where}{rule.hint(value)}")


def build_body(spec: ModelSpec, input: Input, scene: Scene) -> dict[str, Json]:
    """Build the provider's body from the fields of an input, `extra` last."""
    body: dict[str, Json] = {}
    for parameter in spec.parameters:
        value = None if parameter.extra else value_of(input, parameter.name)
        if _is_given(value) and parameter.applies_to(scene):
            body[parameter.wire_name] = cast("Json", list(value) if is_tuple(value) else value)
    return body | dict(spec.fixed) | dict(input.extra)
