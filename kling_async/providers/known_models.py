"""What a table says of each model that has an id of its own at the provider, to be compared with the provider's list.

Theory of operation. A table is by model and by the fields of an input; a list is by id and by the fields of a request.
The adapter knows how one becomes the other, and says it in the requests that it builds. So each scene of each model is
built, without being sent: with the least that it needs, and then once for each value of each parameter. The path names
the id, and what differs in the body is the field.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, cast

from attrs import define, evolve, field, frozen

from ..types.errors import InputError
from ..types.http import HttpRequest
from ..types.inputs import ImageInput, Input, Scene, Shot, VideoInput
from ..types.prediction import Json
from .base import Provider
from .listing import MAX_VALUES, KnownModel
from .parameter_rules import Boolean, OneOf, Range, Rule, Shots, Text, UrlList
from .spec import ModelSpec, Parameter, Price

__all__ = ["known_models"]

_URL, _OTHER = "https://media.example/a", "https://media.example/b"
_LEAST: Final[Mapping[Scene, Input]] = {
    Scene.TEXT_TO_IMAGE: ImageInput("a"),
    Scene.IMAGE_TO_IMAGE: ImageInput("a", images=(_URL,)),
    Scene.TEXT_TO_VIDEO: VideoInput("a"),
    Scene.IMAGE_TO_VIDEO: VideoInput("a", image=_URL),
    Scene.REFERENCE_TO_VIDEO: VideoInput("a", images=(_URL,)),
    Scene.VIDEO_EDIT: VideoInput("a", video=_URL, scene="video-edit"),
    Scene.VIDEO_EXTEND: VideoInput("a", video=_URL, scene="video-extend"),
    Scene.MOTION_CONTROL: VideoInput("a", image=_URL, video=_URL, scene="motion-control"),
}
"""The least that a scene needs."""


@frozen(kw_only=True)
class _Variant:
    """A valid input and its body; it differs from the least one in the value of a parameter, if there is one."""

    input: Input
    body: Mapping[str, Json]
    parameter: Parameter | None
    value: object


@define
class _Described:
    """What was found of one id so far."""

    price: Price | None
    fields: set[str] = field(factory=set[str])
    extras: set[str] = field(factory=set[str])
    values: dict[str, set[str]] = field(factory=dict[str, set[str]])
    rates: list[Price] = field(factory=list[Price])

    def add(self, spec: ModelSpec, variant: _Variant) -> None:
        """Add what one input says."""
        self.extras |= {parameter.wire_name for parameter in spec.parameters if parameter.extra}
        self.fields |= variant.body.keys() - self.extras
        rate = spec.rate(variant.input)
        if rate is not None and rate not in self.rates:
            self.rates.append(rate)
        # A field whose values are written in another way, such as "on" for True, is compared by its name alone.
        parameter, text = variant.parameter, str(variant.value).lower()
        if parameter is None or not isinstance(parameter.rule, (OneOf, Range)):
            return
        if str(variant.body.get(parameter.wire_name)).lower() == text:
            self.values.setdefault(parameter.wire_name, set()).add(text)

    def as_known(self) -> KnownModel:
        return KnownModel(
            fields=frozenset(self.fields),
            extras=frozenset(self.extras),
            values={name: frozenset(values) for name, values in self.values.items()},
            price=self.price,
            rates=tuple(self.rates),
        )


def known_models(provider: Provider, id_of: Callable[[HttpRequest], str]) -> dict[str, KnownModel]:
    """Return what a provider's table says by id, which `id_of` finds in a submission; one id may serve many scenes."""
    found: dict[str, _Described] = {}
    for spec in provider.models.values():
        for scene in spec.scenes:
            for id, variant in _variants_by_id(provider, spec, scene, id_of):
                found.setdefault(id, _Described(spec.price(variant.input))).add(spec, variant)
    return {id: one.as_known() for id, one in found.items()}


def _variants_by_id(
    provider: Provider, spec: ModelSpec, scene: Scene, id_of: Callable[[HttpRequest], str]
) -> Iterator[tuple[str, _Variant]]:
    """Yield the inputs of a scene; where one of them leads to another id, all those that differ from it as well."""
    bases, begun = [*_least_inputs(spec, scene)], set[str]()
    while bases:
        base = bases.pop()
        for parameter, value, input in [(None, None, base), *_changed_inputs(spec, scene, base)]:
            with suppress(InputError):
                provider.check(input)
                request = provider.build_submit(input)
                id = id_of(request)
                if parameter is not None and id not in begun:
                    bases.append(input)
                begun.add(id)
                yield id, _Variant(input=input, body=json.loads(request.body), parameter=parameter, value=value)


def _least_inputs(spec: ModelSpec, scene: Scene) -> Iterator[Input]:
    least = evolve(_LEAST[scene], model=spec.name)
    if isinstance(least, ImageInput):
        yield least
        return
    yield evolve(least, scene=scene.value)
    if scene is Scene.IMAGE_TO_VIDEO:
        yield evolve(least, scene=scene.value, last_image=_URL)  # it may allow other durations


def _changed_inputs(spec: ModelSpec, scene: Scene, base: Input) -> Iterator[tuple[Parameter, object, Input]]:
    """Yield the inputs that differ from a base in one parameter, and valid ones if no other parameter forbids it."""
    for parameter in spec.parameters:
        if parameter.applies_to(scene):
            for value in _values(parameter.rule_for(scene), base):
                changes = {"extra": {parameter.wire_name: value}} if parameter.extra else {parameter.name: value}
                without_prompt = {"prompt": ""} if isinstance(parameter.rule, Shots) else {}
                yield parameter, value, _evolve(base, **changes, **without_prompt)


_evolve: Final = cast("Callable[..., Input]", evolve)
"""attrs' own, for changes whose names are data."""


def _values(rule: Rule, least: Input) -> Iterator[object]:
    """Yield the values that a rule allows, or one of them where there are too many."""
    match rule:
        case OneOf():
            yield from rule.values
        case Range() if rule.integer and rule.high - rule.low < MAX_VALUES:
            yield from range(int(rule.low), int(rule.high) + 1)
        case Range():
            yield int(rule.high) if rule.integer else rule.high
        case Boolean():
            yield from (True, False)
        case Text():
            yield "b"
        case UrlList():
            yield (_OTHER,)
        case Shots():
            yield (Shot("b", least.duration if isinstance(least, VideoInput) else 1),)
        case _:
            yield _OTHER
