"""Specifications of models: parameters, ranges and prices, each with its source.

One table per provider drives validation, the command line's list of models, and the page in the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from attrs import Factory, field, frozen

from ..types.inputs import Input, Scene
from ..types.prediction import Json, OutputKind
from ..types.sources import Source
from .parameter_rules import Range, Rule

__all__ = ["CrossFieldRule", "ModelSpec", "Parameter", "Price"]


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
    """The price of one submission in US dollars: a range, whose ends are equal if it is known exactly.

    Attributes:
        low: the lowest price.
        high: the highest price.
        when: the fields, with their values, that an input must have for this price.
        source: where this was read.
    """

    low: Decimal
    high: Decimal
    when: Mapping[str, Json] = field(factory=dict[str, Json])
    source: Source


@frozen
class ModelSpec:
    """A model of a provider.

    Attributes:
        name: its name at the provider.
        kind: the kind of its outputs.
        scenes: its generation modes.
        parameters: its parameters.
        source: where the model itself was read about.
        cross_field_rules: rules about several fields at once.
        prices: the published prices; the first whose conditions an input meets is its price.
    """

    name: str
    kind: OutputKind
    scenes: tuple[Scene, ...]
    parameters: tuple[Parameter, ...]
    source: Source
    cross_field_rules: tuple[CrossFieldRule, ...] = field(default=(), kw_only=True)
    prices: tuple[Price, ...] = field(default=(), kw_only=True)
    _by_name: Mapping[str, Parameter] = field(
        default=Factory(lambda self: {one.name: one for one in self.parameters}, takes_self=True),
        init=False,
        repr=False,
        eq=False,
    )

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter with that name, if the model has it."""
        return self._by_name.get(name)

    @property
    def max_outputs(self) -> int:
        """The maximum number of outputs of one submission."""
        number = self.parameter("n")
        return int(number.rule.high) if number is not None and isinstance(number.rule, Range) else 1

    def price(self, input: Input) -> Price | None:
        """Return the price of an input, or None if none is published."""
        return next((price for price in self.prices if self._meets(input, price.when)), None)

    def _meets(self, input: Input, when: Mapping[str, Json]) -> bool:
        return all(self._value(input, name) == value for name, value in when.items())

    def _value(self, input: Input, name: str) -> object:
        parameter = self.parameter(name)
        if parameter is not None and parameter.extra:
            return input.extra.get(name, parameter.default)
        return getattr(input, name)
