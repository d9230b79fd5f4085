"""Receives webhooks in programs without an event loop, such as a Flask app."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from ..runtime.webhooks import WebhookReceiver as AsyncReceiver
from ..types.http import MAX_BODY_BYTES
from ..types.noncopyable import NonCopyable
from ..types.webhooks import WebhookResult
from .portal import Portal

__all__ = ["WebhookReceiver"]


class WebhookReceiver(NonCopyable):
    """Receives the webhooks of one client; `client.webhooks` makes it.

    Attributes:
        url: the URL that providers call, with the provider's name as a last part of the path.
        max_bytes: maximum length of a body; a longer one need not be read to its end.

    Args:
        receiver: takes the deliveries.
        portal: the event loop.
    """

    max_bytes: Final = MAX_BODY_BYTES

    def __init__(self, receiver: AsyncReceiver, *, portal: Portal) -> None:
        self.url = receiver.url
        self._receiver = receiver
        self._portal = portal

    def handle(self, headers: Mapping[str, str], body: bytes, *, provider: str) -> WebhookResult:
        """Take a delivery, and return what to answer; call it in the client's event loop.

        Here that is any thread but the client's own. The arguments are those of `kling_async.WebhookReceiver.handle`.
        """
        return self._portal.call(partial(self._receiver.handle, headers, body, provider=provider))
