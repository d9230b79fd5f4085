"""The models of a provider: found by name, checked, and priced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import cached_property
from typing import ClassVar

from attrs import evolve

from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.prediction import OutputKind
from .parameter_rules import suggestion
from .spec import ModelSpec
from .validation import validate

__all__ = ["Catalogue"]


class Catalogue:
    """The models of one provider.

    Attributes:
        name: the provider's name in code and settings.
        title: its name in sentences.
        models: its models by name.
        default_models: the model of inputs that name none, by kind of output.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    models: ClassVar[Mapping[str, ModelSpec]]
    default_models: ClassVar[Mapping[OutputKind, str]]

    def default_model(self, kind: OutputKind) -> str:
        """Return the model of inputs that name none. Raises InputError if no model makes outputs of that kind."""
        model = self.default_models.get(kind)
        if model is None:
            allowed = f"{self.title} has no {kind} model; it has {', '.join(self.models)}"
            raise InputError.of("No default model", [InputFault("model", None, allowed)], provider=self.name)
        return model

    def find_model(self, name: str) -> ModelSpec | None:
        """Return the model with that name, its own or its canonical one; None if there is none."""
        return self._models_by_name.get(name)

    @property
    def model_names(self) -> Collection[str]:
        """The names of its models, canonical ones and its own."""
        return self._models_by_name.keys()

    @cached_property
    def _models_by_name(self) -> Mapping[str, ModelSpec]:
        return {spec.canonical: spec for spec in self.models.values()} | dict(self.models)

    def resolve(self, input: Input) -> Input:
        """Return an input with its model: the one that it names, or the default of its kind."""
        return input if input.model is not None else evolve(input, model=self.default_model(OutputKind(input.kind)))

    def spec(self, input: Input) -> ModelSpec:
        """Return the model of an input. Raises InputError if this provider has none of that name."""
        name = input.model or self.default_model(OutputKind(input.kind))
        spec = self._models_by_name.get(name)
        if spec is None:
            allowed = f"{self.title} has {', '.join(self.models)}{suggestion(name, self.model_names)}"
            raise InputError.of("Unknown model", [InputFault("model", name, allowed)], provider=self.name)
        return spec

    def check(self, input: Input, *, key: str | None = None) -> None:
        """Validate an input against its model's table. Raises InputError with every fault found."""
        spec = self.spec(input)
        faults = list(validate(spec, input))
        if faults:
            raise InputError.of(f"{self.title} cannot take this input", faults, provider=self.name, key=key)

    def cost(self, input: Input) -> Decimal | None:
        """Return the published price of an input in US dollars; None if there is none, or only a range."""
        price = self.spec(input).price(input)
        return price.high if price is not None and price.low == price.high else None
