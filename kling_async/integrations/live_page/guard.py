"""Refuse every request that does not come from the page: the first part of each path is a secret token.

Theory of operation. The server can spend money and shows prompts, so it answers only requests that have the token,
which is new at each start. Requests to another host name are refused as well (DNS rebinding), and requests that change
anything must be JSON from the page's own origin (CSRF): a form of another site can send neither. Every answer forbids
the browser to store it, to frame it, and to tell other sites its address.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from attrs import frozen
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Guard", "is_loopback"]

_HEADERS: Final[Mapping[str, str]] = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_POLICY: Final = (
    "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
)
"""For what is not the page: a saved file is shown, and runs no script even if a provider sent a page as an image."""
_SAFE: Final = frozenset({"GET", "HEAD"})


@frozen
class Guard:
    """An ASGI application before another one.

    Attributes:
        app: gets the requests that may pass, without the token in their path.
        token: the secret first part of each path.
        any_host: whether a request may name any host, since the server is reached by other names than this machine's.
    """

    app: ASGIApp
    token: str
    any_host: bool = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                headers.setdefault("Cache-Control", "no-store")
                headers.setdefault("Content-Security-Policy", _POLICY)
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await PlainTextResponse(f"{refusal}\n", status_code=403)(scope, receive, send_guarded)
            return
        await self.app({**scope, "root_path": f"/{self.token}"}, receive, send_guarded)

    def _refusal(self, scope: Scope) -> str:
        """Return why a request is refused, or ""."""
        headers, given = Headers(scope=scope), str(scope["path"]).removeprefix("/").partition("/")[0]
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            return "Open the page by the whole address that the command has printed."
        host = headers.get("host", "")
        if not self.any_host and not is_loopback(_split(f"//{host}").hostname or ""):
            return "This host name is not one of this machine."
        if scope["method"] in _SAFE:
            return ""
        if headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return "Another site has sent this request."
        # A proxy in front may speak https; it passes the host name on.
        if _split(headers.get("origin", f"http://{host}")).netloc != host:
            return "Another site has sent this request."
        is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        return "" if is_json else "A request that changes something must be JSON."


def _split(url: str) -> SplitResult:
    """Return the parts of a URL; a malformed one has none."""
    try:
        return urlsplit(url)
    except ValueError:
        return SplitResult("", "", "", "", "")


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine by a name that no other machine can have."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
