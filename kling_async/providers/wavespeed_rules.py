"""Sources, rules about several fields, and prices, of which WaveSpeedAI's table of models is made.

The model list is `GET /api/v3/models`; a public client keeps an unedited copy of it. It has the schema of each endpoint
and a base price, that of the default input. It is older than Kling 4.0, which has pages of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial

from ..types.formatting import exact_amount
from ..types.inputs import Input, Scene, VideoInput
from ..types.prediction import Json
from ..types.sources import Certainty, Source
from .spec import CrossFieldRule, Price

__all__ = [
    "base_price_of",
    "edit_price",
    "few_images",
    "listed",
    "per_second",
    "prompt_rule",
    "shot_rules",
    "video_rule",
]

_LIST = "https://github.com/errogaht/wavespeed-ai-bundle"
_R2V, _EDIT = Scene.REFERENCE_TO_VIDEO, Scene.VIDEO_EDIT
_LONGEST_SHOT = 15


def listed(name: str) -> Source:
    """Return the source of a schema."""
    return Source(Certainty.DOCUMENTED, f"{name} in a copy of WaveSpeedAI's model list of 2026-08: {_LIST}")


def base_price_of(name: str, of: str) -> Source:
    """Return the source of a price: a base price is documented, its extension to other inputs is not."""
    return Source(Certainty.INFERRED, f"base price of {name} in a copy of the model list of 2026-08, {of}: {_LIST}")


def video_rule(name: str, text: str, holds: Callable[[VideoInput, Scene], bool], source: Source) -> CrossFieldRule:
    """Return a rule about the fields of a video."""

    def of_any(input: Input, scene: Scene) -> bool:
        return not isinstance(input, VideoInput) or holds(input, scene)

    return CrossFieldRule(name, text, of_any, source)


def prompt_rule(source: Source, *optional: Scene, shots: bool = False) -> CrossFieldRule:
    """Return the rule that a prompt is given, or shots where a model has them; some scenes need neither."""
    exceptions = [*(["shots are given"] if shots else []), *(f"the scene is {scene}" for scene in optional)]
    text = f"must be text, and not blank, unless {' or '.join(exceptions)}"
    return video_rule("prompt", text, partial(_has_words, optional=optional), source)


def _has_words(input: VideoInput, scene: Scene, *, optional: tuple[Scene, ...]) -> bool:
    return bool(input.prompt.strip() or input.shots) or scene in optional


def shot_rules(source: Source, *, shortest: int) -> tuple[CrossFieldRule, ...]:
    """Return the rules of shots: they replace the prompt, and each has a minimum and a maximum of seconds."""
    return (
        video_rule(
            "shots",
            "take the place of the prompt: give one of the two",
            lambda input, _: not (input.prompt.strip() and input.shots),
            source,
        ),
        video_rule(
            "shots",
            f"last from {shortest} to {_LONGEST_SHOT} seconds each",
            lambda input, _: all(shortest <= shot.duration <= _LONGEST_SHOT for shot in input.shots),
            source,
        ),
    )


def few_images(source: Source) -> CrossFieldRule:
    """Return the rule about reference images beside a reference video."""
    return video_rule(
        "images",
        "takes at most 4 beside a video to refer to",
        lambda input, scene: scene is not _R2V or not input.all_videos or len(input.images) <= 4,
        source,
    )


def per_second(amount: str, source: Source, **when: Json) -> Price:
    """Return a price by the second of the video that is made."""
    return Price(low=Decimal(amount), high=Decimal(amount), per="second", when=when, source=source)


def edit_price(name: str, amount: str) -> Price:
    """Return the price of an edit at an amount by the second: the video that is edited has 3 to 10 seconds."""
    low, high = (exact_amount(seconds * Decimal(amount)) for seconds in (3, 10))
    source = base_price_of(name, "for 5 s of an edit; a video has 3 to 10 s")
    return Price(low=low, high=high, when={"scene": _EDIT.value}, source=source)
