"""Capabilities of a provider beyond submitting and polling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, TypeAlias

from attrs import fields, frozen

from .sources import Fact

__all__ = ["Capabilities", "OverLimit", "Repeat", "WebhookSignature"]

Repeat: TypeAlias = Literal["buys_again", "rejected", "replayed"]
"""Effect of submitting an input a second time: it is billed again, rejected by its client id, or answered with the
first prediction by its idempotency key."""

OverLimit: TypeAlias = Literal["queues", "refuses"]
"""Effect of a submission over the account's limit: the provider queues it, or refuses it."""

WebhookSignature: TypeAlias = Literal["standard_webhooks", "hmac_v3", "hmac_t_v1", "ed25519", "ed25519_t"]
"""How webhooks are signed: as Standard Webhooks, whose key is base64; with HMAC-SHA256 in hexadecimal, by the key as it
is, over the id, the time and the body, or over the time and the body; or with Ed25519 by a key of the provider's, over
ids, the time and the body, or over the time and the body."""


@frozen(kw_only=True)
class Capabilities:
    """What a provider can do, each fact with its source. An unknown capability counts as absent.

    Attributes:
        repeat: effect of submitting an input a second time; where models differ, that of those that can do most.
        replay_seconds: seconds after a submission for which a second one with the same idempotency key is answered with
            the first prediction; unknown where no submission is replayed.
        cancel: whether a prediction can be cancelled.
        upload: whether local media can be uploaded.
        inline_media: whether media can be sent inside the request, in base64.
        webhook: whether the provider calls a URL when a prediction finishes.
        webhook_signature: how it signs these calls.
        batch_poll: predictions that one poll can ask for.
        balance: whether the account's balance can be read.
        quote: whether the price of an input can be asked for.
        over_limit: effect of a submission over the account's limit.
        output_ttl: seconds that outputs are kept.
        failures_are_free: whether failed predictions are not billed.
    """

    repeat: Fact[Repeat]
    replay_seconds: Fact[float]
    cancel: Fact[bool]
    upload: Fact[bool]
    inline_media: Fact[bool]
    webhook: Fact[bool]
    webhook_signature: Fact[WebhookSignature]
    batch_poll: Fact[int]
    balance: Fact[bool]
    quote: Fact[bool]
    over_limit: Fact[OverLimit]
    output_ttl: Fact[float]
    failures_are_free: Fact[bool]

    def __iter__(self) -> Iterator[tuple[str, Fact[object]]]:
        """Yield the name of each capability with its fact."""
        for attribute in fields(type(self)):
            yield attribute.name, getattr(self, attribute.name)
