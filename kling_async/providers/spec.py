"""Specifications of models: parameters, ranges and prices, each with its source.

One table per provider drives validation, the command line's list of models, and the page in the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, TypeAlias, cast

from attrs import Factory, evolve, field, frozen

from ..types.formatting import format_price_range
from ..types.inputs import ImageInput, Input, Scene
from ..types.media_headers import MediaKind
from ..types.prediction import Json, OutputKind
from ..types.sources import Source
from .media_rules import MediaLimits, MediaRules
from .parameter_rules import Range, Rule

__all__ = ["CrossFieldRule", "ModelSpec", "Parameter", "Price", "PriceUnit", "value_of"]

PriceUnit: TypeAlias = Literal["submission", "second", "image"]


@frozen
class Parameter:
    """One parameter of a model.

    Attributes:
        name: the input's field, or the name inside `extra`.
        rule: its allowed values.
        source: where this was read.
        wire_name: its name in the provider's body, if that differs.
        per_scene: other rules for some scenes.
        scenes: the only scenes that have it; empty for all.
        required: whether it must be given.
        default: the provider's value when it is left out.
        extra: whether it is given inside `extra`.
        also_extra: whether it may be given inside `extra` as well, as in 0.1, which had no field for it.
    """

    name: str
    rule: Rule
    source: Source
    wire_name: str = field(default=Factory(lambda self: self.name, takes_self=True), kw_only=True)
    per_scene: Mapping[Scene, Rule] = field(factory=dict[Scene, Rule], kw_only=True)
    scenes: tuple[Scene, ...] = field(default=(), kw_only=True)
    required: bool = field(default=False, kw_only=True)
    default: Json = field(default=None, kw_only=True)
    extra: bool = field(default=False, kw_only=True)
    also_extra: bool = field(default=False, kw_only=True)

    def applies_to(self, scene: Scene) -> bool:
        """Return whether a scene has it."""
        return not self.scenes or scene in self.scenes

    def rule_for(self, scene: Scene) -> Rule:
        """Return its rule in a scene."""
        return self.per_scene.get(scene, self.rule)


@frozen
class CrossFieldRule:
    """A rule about several fields at once.

    Attributes:
        name: the field to report when the rule is broken.
        text: completes the sentence "the field ...".
        holds: whether an input follows the rule in a scene.
        source: where this was read.
    """

    name: str
    text: str
    holds: Callable[[Input, Scene], bool]
    source: Source


@frozen(kw_only=True)
class Price:
    """A price in US dollars: a range, whose ends are equal if it is known exactly.

    Attributes:
        low: the lowest price.
        high: the highest price.
        per: the unit: a whole submission, a second of video, or an image.
        when: the fields, with their values, that an input must have for this price.
        source: where this was read.
    """

    low: Decimal
    high: Decimal
    per: PriceUnit = "submission"
    when: Mapping[str, Json] = field(factory=dict[str, Json])
    source: Source

    def __str__(self) -> str:
        unit = "" if self.per == "submission" else f" per {self.per}"
        return f"{format_price_range(self.low, self.high)}{unit}"

    def of(self, input: Input) -> Price:
        """Return the price of a whole submission."""
        if self.per == "submission":
            return self
        units = input.n if isinstance(input, ImageInput) else input.duration
        return evolve(self, low=self.low * units, high=self.high * units, per="submission")


@frozen
class ModelSpec:
    """A model of a provider.

    Attributes:
        name: its name in predictions and in the journal: the provider's, or the canonical one where the provider has
            one name for several models.
        canonical: Kling's own name with the tier, the same at every provider.
        wire_name: the provider's name in requests.
        fixed: fields of the request body that select the model, beside its name.
        kind: the kind of its outputs.
        scenes: its generation modes.
        parameters: its parameters.
        source: where the model itself was read about.
        cross_field_rules: rules about several fields at once.
        prices: the published prices; the first whose conditions an input meets is its price.
        media: limits of the media that it takes, by kind, where they are documented.
        scene_media: other limits for some scenes.
    """

    name: str
    kind: OutputKind
    scenes: tuple[Scene, ...]
    parameters: tuple[Parameter, ...]
    source: Source
    cross_field_rules: tuple[CrossFieldRule, ...] = field(default=(), kw_only=True)
    prices: tuple[Price, ...] = field(default=(), kw_only=True)
    canonical: str = field(default=Factory(lambda self: self.name, takes_self=True), kw_only=True)
    wire_name: str = field(default=Factory(lambda self: self.name, takes_self=True), kw_only=True)
    fixed: Mapping[str, Json] = field(factory=dict[str, Json], kw_only=True)
    media: MediaRules = field(factory=dict[MediaKind, MediaLimits], kw_only=True)
    scene_media: Mapping[Scene, MediaRules] = field(factory=dict[Scene, MediaRules], kw_only=True)
    _by_name: Mapping[str, Parameter] = field(
        default=Factory(lambda self: {one.name: one for one in self.parameters}, takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter with that name, if the model has it."""
        return self._by_name.get(name)

    def media_in(self, scene: Scene | None) -> MediaRules:
        """Return the limits of media in a scene."""
        return self.media if scene is None else {**self.media, **self.scene_media.get(scene, {})}

    @property
    def max_outputs(self) -> int:
        """The maximum number of outputs of one submission."""
        number = self.parameter("n")
        return int(number.rule.high) if number is not None and isinstance(number.rule, Range) else 1

    @property
    def price_text(self) -> str:
        """The range of its prices; "not published" if there is none."""
        if not self.prices:
            return "not published"
        units = {price.per for price in self.prices}
        texts = [
            str(evolve(of_unit[0], low=min(one.low for one in of_unit), high=max(one.high for one in of_unit)))
            for unit in sorted(units)
            if (of_unit := [price for price in self.prices if price.per == unit])
        ]
        return ", ".join(texts)

    def price(self, input: Input) -> Price | None:
        """Return the price of an input, or None if none is published."""
        rate = self.rate(input)
        return None if rate is None else rate.of(input)

    def rate(self, input: Input) -> Price | None:
        """Return the price of an input by its unit, or None if none is published."""
        return next((price for price in self.prices if self._meets(input, price.when)), None)

    def _meets(self, input: Input, when: Mapping[str, Json]) -> bool:
        return all(_as_json(self._value(input, name)) == value for name, value in when.items())

    def _value(self, input: Input, name: str) -> object:
        """Return the value that the provider takes for a field."""
        if name in self.fixed:
            return self.fixed[name]
        parameter = self.parameter(name)
        value = None if parameter is not None and parameter.extra else value_of(input, name)
        if value is not None or parameter is None:
            return value
        return input.extra.get(parameter.wire_name, parameter.default)


def _as_json(value: object) -> object:
    return list(cast("tuple[object, ...]", value)) if isinstance(value, tuple) else value


def value_of(input: Input, name: str) -> object:
    """Return the value of a field of an input; `video` and `videos` are the same, whichever of them was given."""
    if isinstance(input, ImageInput) or name not in ("video", "videos"):
        return getattr(input, name)
    videos = input.all_videos
    if name == "videos":
        return videos
    return videos[0] if videos else None
