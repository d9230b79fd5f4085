"""Webhooks: how a submission asks for one, and how a delivery is read. Nothing, unless an adapter says how."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from attrs import evolve

from ..types.capabilities import Capabilities
from ..types.errors import UnexpectedReply
from ..types.http import HttpRequest, HttpResponse
from ..types.inputs import Input
from ..types.prediction import Json, Status
from ..types.webhooks import InvalidWebhook, WebhookEvent
from .codec.envelope import Envelope
from .codec.fields import as_list, as_object
from .codec.strict_json import json_body, read_json
from .codec.webhook_signatures import check_signature
from .queries import Queries

__all__ = ["Webhooks", "with_fields"]


class Webhooks(Queries):
    """What a provider sends to a URL of the caller's.

    Attributes:
        webhook_env: the environment variable of the secret that signs its webhooks; empty where public keys do.
        webhook_keys: the origin and the path of the public keys that sign its webhooks, as a JWKS.
    """

    webhook_env: ClassVar[str] = ""
    webhook_keys: ClassVar[tuple[str, str] | None] = None
    capabilities: ClassVar[Capabilities]
    statuses: ClassVar[Mapping[str, Status]]

    @abstractmethod
    def parse_envelope(self, document: Json) -> Envelope:
        """Find the id, the error and the record in a body."""

    def takes_callback(self, input: Input) -> bool:
        """Return whether a submission of an input may name a URL of ours; one in the input's `extra` goes first."""
        return self.capabilities.webhook.value is True and "callback_url" not in input.extra

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        """Add the URL to call to a submission whose input `takes_callback`."""
        return with_fields(request, callback_url=url)

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        """Check and parse a delivery.

        Args:
            headers: by lower-case name.
            body: as received.
            secrets: what may have signed it. With none, nothing is checked, and the delivery proves nothing.
            now: seconds since 1970.

        Raises:
            InvalidWebhook: the signature is missing, wrong or stale, or the body has no id of a prediction.
        """
        kind, delivery = self.capabilities.webhook_signature.value, ""
        if secrets and kind is not None:
            delivery = check_signature(kind, headers, body, secrets=secrets, now=now)
        try:
            document = read_json(HttpResponse(status=200, body=body), provider=self.title)
        except UnexpectedReply:
            raise InvalidWebhook("The body is not JSON", status=400) from None
        envelope = self.parse_envelope(self.webhook_record(document))
        if envelope.id is None:
            raise InvalidWebhook("The body names no prediction", status=400)
        return WebhookEvent(
            id=envelope.id,
            signed=bool(delivery),
            delivery=delivery,
            ended=self._may_be_ended(envelope),
            replies=self.webhook_replies(document, body) if delivery else (),
        )

    def webhook_record(self, document: Json) -> Json:
        """Return the part of the body of a delivery that describes the prediction."""
        return document

    def webhook_replies(self, document: Json, body: bytes) -> tuple[HttpResponse, ...]:
        """Return the replies that polls would bring, from the body of a delivery; none where a poll tells more."""
        return (HttpResponse(status=200, body=body),)

    def parse_webhook_keys(self, response: HttpResponse) -> tuple[str, ...]:
        """Parse a JWKS: the Ed25519 keys in it, in base64url. Raises UnexpectedReply if it is no JSON."""
        keys = map(as_object, as_list(as_object(read_json(response, provider=self.title)).get("keys")))
        return tuple(x for key in keys if key.get("crv") == "Ed25519" and isinstance(x := key.get("x"), str))

    def _may_be_ended(self, envelope: Envelope) -> bool:
        word = envelope.record.get("status")
        status = self.statuses.get(word.strip().lower()) if isinstance(word, str) else None
        return status is None or status.is_terminal


def with_fields(request: HttpRequest, **fields: Json) -> HttpRequest:
    """Return a request with further fields in its JSON body."""
    body: dict[str, Json] = json.loads(request.body)
    return evolve(request, body=json_body({**body, **fields}))
