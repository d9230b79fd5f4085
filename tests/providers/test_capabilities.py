"""The capabilities of each provider: documented, or unknown."""

from __future__ import annotations

import pytest

from kling_async import ImageInput, VideoInput
from kling_async.errors import InputError
from kling_async.providers import PROVIDERS, Certainty, Provider
from kling_async.types.limits import LimitKind, Limits

every_provider = pytest.mark.parametrize("provider", PROVIDERS.values(), ids=list(PROVIDERS))

UNKNOWN = {
    "gptproto": (
        "webhook_signature",
        "replay_seconds",
        "cancel",
        "upload",
        "inline_media",
        "balance",
        "quote",
        "output_ttl",
    ),
    "apiinone": (
        "webhook_signature",
        "replay_seconds",
        "cancel",
        "upload",
        "inline_media",
        "balance",
        "quote",
        "output_ttl",
    ),
    "wavespeed": ("replay_seconds", "cancel", "inline_media", "output_ttl"),
    "fal": (
        "replay_seconds",
        "output_ttl",
    ),
    "replicate": ("replay_seconds", "balance", "quote", "failures_are_free"),
    "openrouter": ("replay_seconds", "cancel", "upload", "inline_media", "quote", "output_ttl", "failures_are_free"),
    "comfy": ("webhook_signature", "failures_are_free"),
    "kling": ("replay_seconds", "cancel", "upload", "quote"),
    "atlascloud": ("replay_seconds", "cancel", "quote", "output_ttl"),
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
    "wavespeed": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "upload": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("hmac_v3", Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "balance": (True, Certainty.DOCUMENTED),
        "quote": (True, Certainty.CLIENT),
        "over_limit": ("queues", Certainty.DOCUMENTED),
        "failures_are_free": (True, Certainty.DOCUMENTED),
    },
    "fal": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "cancel": (True, Certainty.DOCUMENTED),
        "upload": (True, Certainty.DOCUMENTED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("ed25519", Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "balance": (True, Certainty.CLIENT),
        "quote": (True, Certainty.CLIENT),
        "over_limit": ("queues", Certainty.DOCUMENTED),
        "failures_are_free": (False, Certainty.DOCUMENTED),
    },
    "replicate": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "cancel": (True, Certainty.DOCUMENTED),
        "upload": (True, Certainty.DOCUMENTED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("standard_webhooks", Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
        "output_ttl": (3600.0, Certainty.DOCUMENTED),
    },
    "openrouter": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("hmac_t_v1", Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        # There is an address for it, and the key that submits may not use it.
        "balance": (False, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
    },
    "comfy": {
        "repeat": ("replayed", Certainty.DOCUMENTED),
        "replay_seconds": (86_400.0, Certainty.DOCUMENTED),
        "cancel": (True, Certainty.DOCUMENTED),
        # Another API of Comfy's has uploads, and its site has the balance.
        "upload": (False, Certainty.DOCUMENTED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (False, Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "balance": (False, Certainty.DOCUMENTED),
        "quote": (True, Certainty.DOCUMENTED),
        "over_limit": ("queues", Certainty.DOCUMENTED),
        "output_ttl": (86_400.0, Certainty.DOCUMENTED),
    },
    "kling": {
        "repeat": ("rejected", Certainty.INFERRED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("standard_webhooks", Certainty.DOCUMENTED),
        "batch_poll": (20, Certainty.CLIENT),
        "balance": (True, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
        "output_ttl": (2_592_000.0, Certainty.DOCUMENTED),
        "failures_are_free": (True, Certainty.INFERRED),
    },
    "atlascloud": {
        "repeat": ("buys_again", Certainty.INFERRED),
        "upload": (True, Certainty.DOCUMENTED),
        "inline_media": (True, Certainty.DOCUMENTED),
        "webhook": (True, Certainty.DOCUMENTED),
        "webhook_signature": ("ed25519_t", Certainty.DOCUMENTED),
        "batch_poll": (1, Certainty.DOCUMENTED),
        "balance": (True, Certainty.DOCUMENTED),
        "over_limit": ("refuses", Certainty.DOCUMENTED),
        "failures_are_free": (True, Certainty.DOCUMENTED),
    },
}


@every_provider
def test_only_documented_capabilities_are_claimed(provider: Provider) -> None:
    """Every capability that is known is in the table above, with its certainty; all others are unknown."""
    known = {
        name: (fact.value, fact.source.certainty) for name, fact in provider.capabilities if fact.value is not None
    }
    assert KNOWN[provider.name] == known
    assert not set(UNKNOWN[provider.name]) & set(known)


@every_provider
def test_every_capability_has_a_source(provider: Provider) -> None:
    """A fact says where it was read, and an unknown one where it was looked for."""
    assert [] == [name for name, fact in provider.capabilities if not fact.source.where.strip()]


@every_provider
def test_a_repeat_has_an_effect_at_every_model(provider: Provider) -> None:
    """Whether a submission may be sent a second time is asked by input, as it may differ by model and endpoint."""
    effect = {"kling": "rejected", "comfy": "replayed"}.get(provider.name, "buys_again")
    for model in provider.models:
        assert effect == provider.repeat(ImageInput("a cat", model=model)).value
    with pytest.raises(InputError, match="Unknown model"):
        provider.repeat(VideoInput("a dog", model="no such"))


@every_provider
def test_a_time_is_known_where_a_repeat_is_replayed(provider: Provider) -> None:
    """Only where a repeat is answered with the first prediction there is a time for which it is."""
    replays = provider.capabilities.repeat.value == "replayed"
    assert replays is (provider.capabilities.replay_seconds.value is not None)


def test_a_limit_of_a_provider_has_a_source_and_a_guess_has_none() -> None:
    """Where a limit differs from our own guess, and only there, it says where it was read."""
    for provider in PROVIDERS.values():
        own = {
            kind
            for kind in LimitKind
            if kind not in (LimitKind.PAUSE, LimitKind.SUBMITTING)
            and getattr(provider.limits, kind) != getattr(Limits(), kind)
        }
        assert own == set(provider.limit_sources), provider.name
