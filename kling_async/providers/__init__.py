"""What each provider says: pure code, bytes in and values out. One file holds all that is known of one provider."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import InputError, InputFault
from .apiinone import APIInOne
from .base import Provider
from .gptproto import GPTProto
from .rules import suggestion
from .spec import Certainty, Limits, ModelSpec, Parameter, Price, Source

__all__ = [
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

PROVIDERS: Mapping[str, Provider] = {provider.name: provider for provider in (GPTProto(), APIInOne())}
"""Every provider by its name."""


def provider_named(name: str) -> Provider:
    """Return the provider of that name. Raises InputError if there is none."""
    provider = PROVIDERS.get(name)
    if provider is None:
        allowed = f"must be one of {', '.join(PROVIDERS)}{suggestion(name, PROVIDERS)}"
        raise InputError.of("Unknown provider", [InputFault("provider", name, allowed)])
    return provider
