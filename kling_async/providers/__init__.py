"""The providers: pure code, bytes in and values out. One file holds everything known about one provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from ..types.errors import InputError, InputFault
from ..types.limits import Limits
from ..types.sources import Certainty, Source
from .base import Provider
from .parameter_rules import suggestion
from .registry import ProviderRegistry
from .spec import ModelSpec, Parameter, Price

__all__ = [
    "DEFAULT_PROVIDER",
    "PROVIDERS",
    "Certainty",
    "Limits",
    "ModelSpec",
    "Parameter",
    "Price",
    "Provider",
    "Source",
    "provider_named",
]

PROVIDERS: Final[Mapping[str, Provider]] = ProviderRegistry()
"""Every provider by its name."""

DEFAULT_PROVIDER: Final = "gptproto"
"""Name of the provider that is used when none is named, unless another one is the only one with an API key."""


def provider_named(name: str) -> Provider:
    """Return the provider with that name. Raises InputError if there is none."""
    provider = PROVIDERS.get(name)
    if provider is None:
        allowed = f"must be one of {', '.join(PROVIDERS)}{suggestion(name, PROVIDERS)}"
        raise InputError.of("Unknown provider", [InputFault("provider", name, allowed)])
    return provider
