"""The least that each scene of a model needs, for the conformance suite of providers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from attrs import evolve

from ..providers import Provider
from ..providers.parameter_rules import OneOf
from ..providers.spec import ModelSpec
from ..types.inputs import ImageInput, Input, Scene, VideoInput

__all__ = ["AUDIO", "IMAGE", "OTHER_IMAGE", "VIDEO", "least_input", "scenes_of"]

IMAGE, OTHER_IMAGE, VIDEO, AUDIO = (f"https://media.example/{name}" for name in ("a.png", "b.png", "c.mp4", "d.mp3"))

_LEAST: Final[dict[Scene, Input]] = {
    Scene.TEXT_TO_IMAGE: ImageInput("a cat"),
    Scene.IMAGE_TO_IMAGE: ImageInput("a cat", images=(IMAGE,)),
    Scene.MULTI_SHOT: ImageInput("a cat", images=(IMAGE,), multi_shot=True),
    Scene.TEXT_TO_VIDEO: VideoInput("a dog"),
    Scene.IMAGE_TO_VIDEO: VideoInput("a dog", image=IMAGE),
    Scene.START_END_FRAME: VideoInput("a dog", image=IMAGE, last_image=OTHER_IMAGE),
    Scene.REFERENCE_TO_VIDEO: VideoInput("a dog", images=(IMAGE,), scene="reference-to-video"),
    Scene.VIDEO_TO_VIDEO: VideoInput("a dog", video=VIDEO, scene="video-to-video"),
    Scene.VIDEO_EDIT: VideoInput("a dog", video=VIDEO, scene="video-edit"),
    Scene.VIDEO_EXTEND: VideoInput("a dog", video=VIDEO, scene="video-extend"),
    Scene.MOTION_CONTROL: VideoInput("a dog", image=IMAGE, video=VIDEO, scene="motion-control"),
}
"""The least that a scene needs."""


def scenes_of(provider: Provider) -> Iterator[tuple[ModelSpec, Scene]]:
    """Yield each model of a provider with each of its scenes."""
    for spec in provider.models.values():
        for scene in spec.scenes:
            yield spec, scene


def least_input(spec: ModelSpec, scene: Scene) -> Input:
    """Return the least that a scene of a model needs."""
    least = evolve(_LEAST[scene], model=spec.name)
    rule = size.rule if (size := spec.parameter("resolution")) is not None else None
    if isinstance(least, ImageInput) and isinstance(rule, OneOf) and not rule.allows(least.resolution):
        least = evolve(least, resolution=str(rule.values[0]))
    images = spec.parameter("images")
    needs_images = images is not None and images.required and not least.images
    return evolve(least, images=(IMAGE,)) if needs_images else least
