"""The capabilities of each provider: documented, or unknown."""

from __future__ import annotations

import pytest

from kling_async import ImageInput, VideoInput
from kling_async.errors import InputError
from kling_async.providers import PROVIDERS, Certainty, Provider

every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))

UNKNOWN = {
    **dict.fromkeys(
        ("gptproto", "apiinone"), frozenset({"cancel", "upload", "inline_media", "balance", "quote", "output_ttl"})
    ),
    "kling": frozenset({"cancel", "upload", "quote"}),
}
"""No page of the provider mentions these."""

KNOWN: dict[str, dict[str, tuple[object, Certainty]]] = {
    "gptproto": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
    },
    "apiinone": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "failures_are_free": (True, Certainty.DOCUMENTED),
    },
    "kling": {
        "repeat": ("rejected", Certainty.INFERRED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "batch_poll": (20, Certainty.CLIENT),
        "balance": (True, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
        "output_ttl": (2_592_000.0, Certainty.DOCUMENTED),
        "failures_are_free": (True, Certainty.INFERRED),
    },
}
REPEATS = {"gptproto": "buys_again", "apiinone": "buys_again", "kling": "rejected"}
"""The effect of a repeat, which is the same at every model of these providers."""


@every_provider
def test_only_documented_capabilities_are_claimed(provider: Provider) -> None:
    """Every capability that is known is in the table above, with its certainty; all others are unknown."""
    known = {
        name: (fact.value, fact.source.certainty) for name, fact in provider.capabilities if fact.value is not None
    }
    assert KNOWN[provider.name] == known
    assert not UNKNOWN[provider.name] & set(known)


@every_provider
def test_every_capability_has_a_source(provider: Provider) -> None:
    """A fact says where it was read, and an unknown one where it was looked for."""
    assert [] == [name for name, fact in provider.capabilities if not fact.source.where.strip()]


@every_provider
def test_a_repeat_has_an_effect_at_every_model(provider: Provider) -> None:
    """Whether a submission may be sent a second time is asked by input, as it may differ by model and endpoint."""
    for model in provider.models:
        assert REPEATS[provider.name] == provider.repeat(ImageInput("a cat", model=model)).value
    with pytest.raises(InputError, match="Unknown model"):
        provider.repeat(VideoInput("a dog", model="no such"))
