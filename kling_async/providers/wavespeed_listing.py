"""The list of WaveSpeedAI's models, `GET /api/v3/models`: https://wavespeed.ai/docs/list-models.

It has the schema of each model, which is an endpoint there, and a base price, that of the default input. The names in
its answer are documented; that the first of several schemas is a submission's is how WaveSpeedAI's clients read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import evolve

from ..types.inputs import ImageInput, Input, Scene, VideoInput
from ..types.prediction import Json
from .codec.fields import as_list, as_object
from .listing import KnownModel, ListedModel
from .queries import parse_dollars
from .spec import ModelSpec

__all__ = ["known_models", "parse_models"]

_PREFIX: Final = "kwaivgi/"
_UNUSED: Final = frozenset({"enable_sync_mode", "enable_base64_output"})
"""Fields that change how a result is told, and that this package never sends."""
_URL: Final = "https://example.com/media"
_EXAMPLES: Final[Mapping[Scene, Input]] = {
    Scene.TEXT_TO_IMAGE: ImageInput("a"),
    Scene.IMAGE_TO_IMAGE: ImageInput("a", images=(_URL,)),
    Scene.TEXT_TO_VIDEO: VideoInput("a"),
    Scene.IMAGE_TO_VIDEO: VideoInput("a", image=_URL),
    Scene.REFERENCE_TO_VIDEO: VideoInput("a", images=(_URL,)),
    Scene.VIDEO_EDIT: VideoInput("a", video=_URL, scene="video-edit"),
    Scene.VIDEO_EXTEND: VideoInput("a", video=_URL, scene="video-extend"),
    Scene.MOTION_CONTROL: VideoInput("a", image=_URL, video=_URL, scene="motion-control"),
}


def known_models(models: Iterable[ModelSpec], endpoints: Mapping[tuple[str, Scene], str]) -> dict[str, KnownModel]:
    """Return what the table says of each endpoint, by its id; one may serve several scenes."""
    found: dict[str, KnownModel] = {}
    for spec in models:
        for scene in spec.scenes:
            id = _PREFIX + endpoints.get((spec.wire_name, scene), f"{spec.wire_name}/{scene}")
            one = KnownModel(
                fields=frozenset(_fields(spec, scene)),
                extras=frozenset(parameter.wire_name for parameter in spec.parameters if parameter.extra),
                price=spec.price(_EXAMPLES[scene]),
            )
            found[id] = evolve(found[id], fields=found[id].fields | one.fields) if id in found else one
    return found


def _fields(spec: ModelSpec, scene: Scene) -> Iterator[str]:
    for parameter in spec.parameters:
        # References belong to the other scene of an image model, and one video has a name of its own.
        is_other = parameter.extra or (parameter.name == "images" and scene is Scene.TEXT_TO_IMAGE)
        if parameter.applies_to(scene) and not is_other:
            is_one = parameter.wire_name == "videos" and scene is not Scene.REFERENCE_TO_VIDEO
            yield "video" if is_one else parameter.wire_name


def parse_models(data: Json) -> Iterator[ListedModel]:
    """Yield Kling's models of a list; those of other makers, and entries without an id, are left out."""
    for entry in map(as_object, as_list(data)):
        id = entry.get("model_id")
        if not isinstance(id, str) or not id.startswith(_PREFIX):
            continue
        schemas = as_list(as_object(entry.get("api_schema")).get("api_schemas"))
        schema = as_object(as_object(schemas[0] if schemas else None).get("request_schema"))
        fields = as_object(schema.get("properties"))
        price = parse_dollars(entry.get("base_price"))
        yield ListedModel(
            id=id, fields=frozenset(fields) - _UNUSED if fields else None, price=price if price and price > 0 else None
        )
