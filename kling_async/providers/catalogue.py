"""The models of a provider: found by name, checked, and priced."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal
from functools import cached_property
from typing import ClassVar, Final

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.errors import InputError, InputFault
from ..types.inputs import Input
from ..types.media_headers import MediaKind
from ..types.media_values import is_local, media_in
from ..types.prediction import OutputKind
from .media_rules import MediaLimits, Way, media_faults, way_of
from .parameter_rules import suggestion
from .spec import ModelSpec
from .validation import infer_scene, validate

__all__ = ["Catalogue"]

_KINDS: Final[tuple[MediaKind, ...]] = ("image", "video", "audio")
_KIND_NAMED: Final = {kind.value: kind for kind in OutputKind}


class Catalogue:
    """The models of one provider.

    Attributes:
        name: the provider's name in code and settings.
        title: its name in sentences.
        models: its models by name.
        default_models: the model of inputs that name none, by kind of output.
        capabilities: what it can do beyond submitting and polling.
        inline_kinds: kinds of media that may be inside a request, in base64.
        upload_limits: what its own upload takes, if it has one and they are documented.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    models: ClassVar[Mapping[str, ModelSpec]]
    default_models: ClassVar[Mapping[OutputKind, str]]
    capabilities: ClassVar[Capabilities]
    inline_kinds: ClassVar[frozenset[MediaKind]] = frozenset()
    upload_limits: ClassVar[MediaLimits | None] = None

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
        return input if input.model is not None else evolve(input, model=self.default_model(_KIND_NAMED[input.kind]))

    def spec(self, input: Input) -> ModelSpec:
        """Return the model of an input. Raises InputError if this provider has none of that name."""
        name = input.model or self.default_model(_KIND_NAMED[input.kind])
        spec = self._models_by_name.get(name)
        if spec is None:
            allowed = f"{self.title} has {', '.join(self.models)}{suggestion(name, self.model_names)}"
            raise InputError.of("Unknown model", [InputFault("model", name, allowed)], provider=self.name)
        return spec

    def ways(self, *, storage: bool) -> Mapping[MediaKind, Way | None]:
        """Return how each kind of local media reaches the provider; `storage` is whether the user has a bucket."""
        return {kind: way_of(self.capabilities, self.inline_kinds, kind, storage=storage) for kind in _KINDS}

    def check(self, input: Input, *, key: str | None = None, storage: bool = False) -> None:
        """Validate an input against its model's table, and its local media against the ways that lead here.

        Args:
            input: the input.
            key: the job's name, for the error.
            storage: whether the user has given a bucket for local media.

        Raises:
            InputError: with every fault found.
        """
        spec = self.spec(input)
        faults = list(validate(spec, input))
        if any(is_local(media) for _, media in media_in(input)):
            rules, ways = spec.media_in(infer_scene(spec, input)), self.ways(storage=storage)
            faults += media_faults(input, title=self.title, ways=ways, rules=rules, upload=self.upload_limits)
        if faults:
            raise InputError.of(f"{self.title} cannot take this input", faults, provider=self.name, key=key)

    def cost(self, input: Input) -> Decimal | None:
        """Return the published price of an input in US dollars; None if there is none, or only a range."""
        price = self.spec(input).price(input)
        return price.high if price is not None and price.low == price.high else None
