"""The words in which a provider's models are written down: parameters, ranges, prices, and where each is from.

One table per provider drives validation, the command line's list of models, and the page in the docs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum

from attrs import Factory, field, frozen

from ..errors import InputError, InputFault
from ..inputs import Input, Scene
from ..prediction import Json, OutputKind
from .rules import Range, Rule

__all__ = ["Certainty", "Limits", "ModelSpec", "Parameter", "Price", "Source", "Together"]


class Certainty(StrEnum):
    """How sure a fact is."""

    DOCUMENTED = "documented"
    """The provider's own documentation says it."""
    CLIENT = "seen in clients"
    """Third-party code that calls the service does it."""
    ANALOGY = "by analogy"
    """True of WaveSpeedAI, whose envelope GPTProto shares."""
    INFERRED = "inferred"


@frozen
class Source:
    """How sure a fact is, and where it was read."""

    certainty: Certainty
    where: str


@frozen
class Parameter:
    """One parameter of a model.

    Attributes:
        name: the input's field, or the name inside `extra`.
        rule: what it may be.
        source: where this was read.
        wire: its name in the provider's body, when that is another.
        in_scene: other rules for some scenes.
        scenes: the only scenes that have it; empty for all.
        required: whether it must be given.
        default: what the provider takes when it is left out.
        extra: whether it is given inside `extra`.
    """

    name: str
    rule: Rule
    source: Source
    wire: str = field(default=Factory(lambda self: self.name, takes_self=True), kw_only=True)
    in_scene: Mapping[Scene, Rule] = field(factory=dict[Scene, Rule], kw_only=True)
    scenes: tuple[Scene, ...] = field(default=(), kw_only=True)
    required: bool = field(default=False, kw_only=True)
    default: Json = field(default=None, kw_only=True)
    extra: bool = field(default=False, kw_only=True)

    def in_(self, scene: Scene) -> bool:
        """Return whether a scene has it."""
        return not self.scenes or scene in self.scenes

    def rule_for(self, scene: Scene) -> Rule:
        """Return what it may be in a scene."""
        return self.in_scene.get(scene, self.rule)


@frozen
class Together:
    """A rule about several fields at once.

    Attributes:
        name: the field that is at fault when the rule is broken.
        text: completes the sentence "the field ...".
        holds: whether an input keeps it in a scene.
    """

    name: str
    text: str
    holds: Callable[[Input, Scene], bool]
    source: Source


@frozen(kw_only=True)
class Price:
    """What one submission costs in US dollars: between two amounts, which are equal when it is known exactly.

    Attributes:
        when: the fields, and their values, that an input must have for this price.
    """

    low: Decimal
    high: Decimal
    when: Mapping[str, Json] = field(factory=dict[str, Json])
    source: Source


@frozen
class ModelSpec:
    """A model: what it makes, of what, with which parameters, at which price.

    Attributes:
        together: rules about several fields at once.
        prices: the published prices; the first whose conditions an input meets is its price.
        source: where the model itself was read about.
    """

    name: str
    kind: OutputKind
    scenes: tuple[Scene, ...]
    parameters: tuple[Parameter, ...]
    source: Source
    together: tuple[Together, ...] = field(default=(), kw_only=True)
    prices: tuple[Price, ...] = field(default=(), kw_only=True)

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter with that name, if the model has it."""
        return next((one for one in self.parameters if one.name == name), None)

    @property
    def most_outputs(self) -> int:
        """How many outputs one submission can be asked for."""
        number = self.parameter("n")
        return int(number.rule.high) if number is not None and isinstance(number.rule, Range) else 1

    def price(self, input: Input) -> Price | None:
        """Return the price of an input, or None where none is published."""
        return next((price for price in self.prices if self._meets(input, price.when)), None)

    def _meets(self, input: Input, when: Mapping[str, Json]) -> bool:
        return all(self._value(input, name) == value for name, value in when.items())

    def _value(self, input: Input, name: str) -> object:
        parameter = self.parameter(name)
        if parameter is not None and parameter.extra:
            return input.extra.get(name, parameter.default)
        return getattr(input, name)


@frozen(kw_only=True)
class Limits:
    """How fast an account may be used, and how much may be open at once.

    No provider here documents its limits; the defaults are careful.

    Attributes:
        submit_per_second: submissions per second in the long run; None is no limit.
        submit_burst: submissions that may leave at once after a silence.
        poll_per_second: polls per second in the long run; None is no limit.
        max_open: slots: an image job takes as many as it makes images, a video one. None is no limit.
        max_submitting: submissions on their way at once, and so the most that a crash leaves unconfirmed.

    Raises:
        InputError: a number is not above 0, or not a number.
    """

    submit_per_second: float | None = 2.0
    submit_burst: int = 8
    poll_per_second: float | None = 20.0
    max_open: int | None = 50
    max_submitting: int = 8

    def __attrs_post_init__(self) -> None:
        faults = [
            InputFault(name, getattr(self, name), "must be a number above 0" + (", or None" if optional else ""))
            for name, whole, optional in _LIMITS
            if not _above_0(getattr(self, name), whole=whole, optional=optional)
        ]
        if faults:
            raise InputError.of("These limits cannot be kept", faults)


_LIMITS = (
    ("submit_per_second", False, True),
    ("submit_burst", True, False),
    ("poll_per_second", False, True),
    ("max_open", True, True),
    ("max_submitting", True, False),
)


def _above_0(value: object, *, whole: bool, optional: bool) -> bool:
    if value is None:
        return optional
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        return False
    return 0 < value < float("inf")
