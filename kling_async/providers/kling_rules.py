"""Sources and rules of Kling's own API that its tables of models share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json
from ..types.sources import Certainty, Source
from .codec.fields import as_list, as_object
from .codec.kling_tasks import shots_prompt
from .spec import CrossFieldRule, value_of

__all__ = [
    "MAX_PROMPT",
    "O1_PAGE",
    "O1_RULES",
    "OMNI_PAGE",
    "OMNI_RULES",
    "PARTS_RULE",
    "TURBO_PAGE",
    "TURBO_RULES",
    "V25_PAGE",
    "V26_MOTION_PAGE",
    "V26_PAGE",
    "V30_MOTION_PAGE",
    "V30_PAGE",
    "V30_RULES",
    "TierRules",
    "page",
    "v25_rules",
    "v26_rules",
]

TierRules: TypeAlias = Callable[[Mapping[str, Json]], tuple[CrossFieldRule, ...]]
"""Makes rules of a model from the fields that its name fixes."""

MAX_PROMPT: Final = 3072
"""Characters of a prompt of the 3.0 family."""
_OMNI_SCENES: Final = (Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO, Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT)
_RESERVED: Final = ("contents", "settings", "options", "external_task_id")


def page(title: str, copy: str, path: str) -> Source:
    """Return the source of a fact on one of Kling's pages, which was read in a copy of 2026-09-20."""
    where = f"{title}, as copied to docs/api/{copy}.md of aself101/kling-api: https://kling.ai/document-api/{path}"
    return Source(Certainty.DOCUMENTED, where)


O1_PAGE = page("video O1", "kling-o1-video", "api/video/o1/video-omni")
OMNI_PAGE = page("omni video 3.0", "kling-omni-3.0-ovg", "api/video/3-0-omni/video-omni")
V30_PAGE = page("video 3.0", "kling-omni-3.0-i2v", "api/video/3-0-omni/image-to-video")
V30_MOTION_PAGE = page("motion control 3.0", "kling-motion-control-3.0", "api/video/motion-control")
TURBO_PAGE = page("video 3.0 turbo", "kling-3.0-turbo-i2v", "api/video/3-0-turbo/image-to-video")
V26_PAGE = page("video 2.6", "kling-2.6-i2v", "api/video/2-6/image-to-video")
V26_MOTION_PAGE = page("motion control 2.6", "kling-motion-control-2.6", "api/video/motion-control/2-6")
V25_PAGE = page("video 2.5 turbo", "kling-2.5-turbo-i2v", "api/video/2-5-turbo/image-to-video")
_MAP_PAGE = page("video capability map", "kling-guide-capability-map-video", "guides/capability-map/video")


PARTS_RULE: Final = CrossFieldRule(
    "extra",
    f"may not hold {', '.join(_RESERVED)}, which are made from the fields and from the job",
    lambda input, _: not any(name in input.extra for name in _RESERVED),
    Source(Certainty.INFERRED, "they would replace what was checked, or the id by which a lost answer is looked up"),
)


def _objects(input: Input, name: str) -> list[Mapping[str, Json]]:
    return [as_object(one) for one in as_list(input.extra.get(name))]


def _objects_rule(name: str, most: Mapping[Scene, int], source: Source) -> CrossFieldRule:
    """Return the rule for elements or voices inside `extra`, which go into `contents`."""
    id_name = f"{name.removesuffix('s')}_id"

    def holds(input: Input, scene: Scene) -> bool:
        objects = _objects(input, name)
        named = all(isinstance(one.get(key), str) for one in objects for key in (id_name, "id"))
        is_list = isinstance(input.extra.get(name), list)
        return name not in input.extra or (is_list and named and 0 < len(objects) <= most.get(scene, 0))

    limits = ", ".join(f"{number} in {scene}" for scene, number in most.items())
    text = f"has as {name} objects with the texts {id_name} and id, at most {limits}"
    return CrossFieldRule("extra", text, holds, source)


def _references_rule(source: Source) -> CrossFieldRule:
    """Return the rule for the number of reference images and elements."""
    return CrossFieldRule(
        "images",
        "and elements are at most 7 together, and at most 4 when a video is given",
        lambda input, _: len(input.images) + len(_objects(input, "elements")) <= (4 if value_of(input, "video") else 7),
        source,
    )


def _shots_rules(source: Source) -> tuple[CrossFieldRule, ...]:
    """Return the rules of models whose shots stand inside the prompt, as "shot n, seconds, words;"."""

    def fits(input: Input, _: Scene) -> bool:
        shots = input.shots if isinstance(input, VideoInput) else ()
        return len(shots_prompt(shots)) <= MAX_PROMPT and not any(";" in shot.prompt for shot in shots)

    return (
        CrossFieldRule(
            "prompt",
            "or shots is needed, and not both, since shots are written into the prompt",
            lambda input, _: bool(input.prompt.strip()) != bool(value_of(input, "shots")),
            source,
        ),
        CrossFieldRule(
            "shots", f"hold no semicolon, which ends a shot, and at most {MAX_PROMPT} characters", fits, source
        ),
    )


def _multi_shot_rule(source: Source) -> CrossFieldRule:
    """Return the rule for the setting `multi_shot`, which is inside `extra`."""

    def holds(input: Input, scene: Scene) -> bool:
        wanted = input.extra.get("multi_shot")
        if scene is Scene.MOTION_CONTROL:
            return wanted is None
        if scene is Scene.VIDEO_EDIT:
            return wanted is not True
        return wanted is not False or not (value_of(input, "shots") or value_of(input, "video"))

    text = "has multi_shot neither as true in video-edit nor as false beside shots or a reference video"
    return CrossFieldRule("extra", text, holds, source)


def _video_rule(name: str, text: str, forbidden: object, source: Source, *, with_video: bool) -> CrossFieldRule:
    """Return the rule that a field may not have a value with a video, or without one."""
    return CrossFieldRule(
        name,
        text,
        lambda input, _: getattr(input, name) is not forbidden or bool(value_of(input, "video")) is not with_video,
        source,
    )


def _needs_1080p(
    name: str, is_given: Callable[[VideoInput], bool], source: Source, *, fixed: Mapping[str, Json]
) -> CrossFieldRule:
    """Return the rule that a field needs 1080p, where the model does not fix its resolution, or fixes it at 720p."""

    def holds(input: Input, scene: Scene) -> bool:
        if not isinstance(input, VideoInput) or scene is Scene.MOTION_CONTROL or not is_given(input):
            return True
        return fixed.get("resolution", input.resolution) == "1080p"

    return CrossFieldRule(name, "needs the resolution 1080p", holds, source)


O1_RULES: Final = (
    CrossFieldRule(
        "duration",
        "must be one of 5, 10 when only the first frame is given",
        lambda input, scene: (
            scene is not Scene.IMAGE_TO_VIDEO
            or getattr(input, "last_image", None) is not None
            or getattr(input, "duration", 5) in (5, 10)
        ),
        O1_PAGE,
    ),
    CrossFieldRule(
        "extra",
        "may hold no elements when a last frame is given",
        lambda input, _: getattr(input, "last_image", None) is None or not input.extra.get("elements"),
        O1_PAGE,
    ),
    _video_rule("keep_original_sound", "needs a video whose sound it means", False, O1_PAGE, with_video=False),
    _objects_rule("elements", dict.fromkeys(_OMNI_SCENES, 7), O1_PAGE),
    _references_rule(O1_PAGE),
)


OMNI_RULES: Final = (
    *_shots_rules(OMNI_PAGE),
    _multi_shot_rule(OMNI_PAGE),
    _video_rule("sound", "has no place beside a video: only silence is possible", True, OMNI_PAGE, with_video=True),
    _objects_rule("elements", {**dict.fromkeys(_OMNI_SCENES, 7), Scene.IMAGE_TO_VIDEO: 3}, OMNI_PAGE),
    _references_rule(OMNI_PAGE),
)


V30_RULES: Final = (
    *_shots_rules(V30_PAGE),
    _multi_shot_rule(V30_PAGE),
    _objects_rule("elements", {Scene.IMAGE_TO_VIDEO: 3, Scene.MOTION_CONTROL: 1}, V30_PAGE),
)


def v26_rules(fixed: Mapping[str, Json]) -> tuple[CrossFieldRule, ...]:
    """Return the rules of 2.6."""
    return (
        _needs_1080p("sound", lambda input: input.sound is True, V26_PAGE, fixed=fixed),
        _needs_1080p("last_image", lambda input: input.last_image is not None, V26_PAGE, fixed=fixed),
        CrossFieldRule(
            "sound",
            "has no place beside a last frame: only silence is possible",
            lambda input, _: getattr(input, "last_image", None) is None or getattr(input, "sound", None) is not True,
            _MAP_PAGE,
        ),
        CrossFieldRule(
            "extra",
            "has voices only beside sound",
            lambda input, _: "voices" not in input.extra or getattr(input, "sound", None) is True,
            V26_PAGE,
        ),
        _objects_rule("voices", {Scene.IMAGE_TO_VIDEO: 2}, V26_PAGE),
    )


def v25_rules(fixed: Mapping[str, Json]) -> tuple[CrossFieldRule, ...]:
    """Return the rules of 2.5 turbo."""
    return (_needs_1080p("last_image", lambda input: input.last_image is not None, V25_PAGE, fixed=fixed),)


TURBO_RULES: Final = _shots_rules(TURBO_PAGE)
