"""Receives webhooks: each is checked, matched with the jobs that are polled, and taken as a poll for nothing."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from ..providers import PROVIDERS, Provider
from ..transport.credentials import is_loopback
from ..types.errors import InputError, InputFault, KlingError
from ..types.http import MAX_BODY_BYTES
from ..types.noncopyable import NonCopyable
from ..types.webhooks import InvalidWebhook, WebhookAction, WebhookEvent, WebhookResult
from .accounts import Accounts
from .webhook_secrets import PublicKeys, WebhookSecrets

__all__ = ["WebhookReceiver"]

_log = logging.getLogger(__name__)

_MAX_DELIVERIES: Final = 10_000
"""Deliveries that are remembered. One that is forgotten, and repeated within five minutes, changes nothing either."""


class WebhookReceiver(NonCopyable):
    """Receives the webhooks of one client; `client.webhooks` makes it.

    A delivery never decides more than a poll would, and none is needed: polls go on, more rarely once webhooks arrive.

    Attributes:
        url: the URL that providers call, with the provider's name as a last part of the path.
        max_bytes: maximum length of a body; a longer one need not be read to its end.

    Args:
        url: as above.
        secrets: what signs the webhooks of each provider.
        accounts: of the client.
    """

    max_bytes: Final = MAX_BODY_BYTES

    def __init__(self, url: str, *, secrets: WebhookSecrets, accounts: Accounts) -> None:
        self.url = _checked_url(url)
        secrets.check()
        self._secrets = secrets
        self._accounts = accounts
        self._keys: dict[str, PublicKeys] = {}
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._logged = set[tuple[str, str]]()
        accounts.expect_webhooks(self.url)

    async def handle(self, headers: Mapping[str, str], body: bytes, *, provider: str) -> WebhookResult:
        """Take a delivery, and return what to answer; call it in the client's event loop.

        With the provider's secret a wrong signature is refused (401), and so is a delivery that was sent more than five
        minutes ago, or in the future (400). Without one every delivery is a mere hint, which one poll confirms.
        Deliveries that came before, and those about predictions that are unknown here, are answered with 200, so that
        no provider sends them again.

        Args:
            headers: those of the request.
            body: the body as received, byte by byte.
            provider: the last part of the path that was called.
        """
        known = PROVIDERS.get(provider)
        if known is None or known.capabilities.webhook.value is not True:
            return _refused(404, "No provider of this name calls back")
        if len(body) > self.max_bytes:
            return _refused(413, f"The body is longer than {self.max_bytes} bytes")
        if not self._accounts.is_open:
            return WebhookResult(status=503, action=WebhookAction.UNAVAILABLE, reason="The client is not open here")
        lowered = {name.lower(): value for name, value in headers.items()}
        try:
            event = await self._parse(known, lowered, body)
        except InvalidWebhook as error:
            self._log_once(known, str(error))
            return _refused(error.status, str(error))
        except KlingError:
            return WebhookResult(
                status=503, action=WebhookAction.UNAVAILABLE, reason="The provider's public keys cannot be read"
            )
        return WebhookResult(status=200, action=await self._take(known, event))

    def _log_once(self, provider: Provider, reason: str) -> None:
        """Log each reason once, since a wrong secret shows nowhere else: polls go on, and jobs end without webhooks."""
        if (provider.name, reason) not in self._logged:
            self._logged.add((provider.name, reason))
            advice = f"Is {provider.webhook_env} the secret that it shows?" if provider.webhook_env else ""
            _log.warning("refused a webhook for %s: %s. %s", provider.title, reason, advice)

    async def _parse(self, provider: Provider, headers: Mapping[str, str], body: bytes) -> WebhookEvent:
        now = self._accounts.clock.utc().timestamp()
        if provider.webhook_keys is None:
            return provider.parse_webhook(headers, body, secrets=self._secrets.of(provider), now=now)
        keys = self._keys.get(provider.name)
        if keys is None:
            keys = self._keys[provider.name] = PublicKeys(provider, accounts=self._accounts, clock=self._accounts.clock)
        known = await keys.get()
        try:
            return provider.parse_webhook(headers, body, secrets=known, now=now)
        except InvalidWebhook:
            # The provider may have a new key.
            renewed = await keys.get(renew=True)
            if renewed == known:
                raise
            return provider.parse_webhook(headers, body, secrets=renewed, now=now)

    async def _take(self, provider: Provider, event: WebhookEvent) -> WebhookAction:
        name = (provider.name, event.delivery)
        if event.delivery and name in self._seen:
            return WebhookAction.REPEATED
        try:
            account = self._accounts.account(provider)
        except InputError:
            return WebhookAction.UNKNOWN  # nothing is in flight where there is no key
        action = await account.take_webhook(event)
        if event.delivery:
            # Only now: a delivery that was cut off is taken again.
            self._seen[name] = None
            while len(self._seen) > _MAX_DELIVERIES:
                self._seen.popitem(last=False)
        return action

    def __repr__(self) -> str:
        return f"WebhookReceiver(url={self.url!r})"


def _refused(status: int, reason: str) -> WebhookResult:
    return WebhookResult(status=status, action=WebhookAction.REFUSED, reason=reason)


def _checked_url(url: str) -> str:
    """Return the URL without a slash at its end. Raises InputError if providers cannot call it, or it has a secret."""
    try:
        parts = urlsplit(url.strip())
        host = parts.hostname or ""
        plain = (parts.query, parts.fragment, parts.username) == ("", "", None) and parts.port != 0
    except ValueError:
        parts, host, plain = urlsplit(""), "", False
    secure = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    if not (secure and host and plain and url.isascii() and " " not in url.strip()):
        # The query and the user may be secrets.
        shown = f"{parts.scheme}://{host}{parts.path}"
        allowed = "must be https://host/path, without a query: providers keep it, so that it may hold no secret"
        raise InputError.of("Wrong webhook URL", [InputFault("url", shown, allowed)])
    return url.strip().rstrip("/")
