"""Signatures of webhooks: who sent a delivery, and when.

Each scheme signs the raw body together with the time at which it was sent. A delivery is refused if that time is more
than five minutes away, as each provider's page demands.

    standard_webhooks   base64 of HMAC-SHA256 over id.time.body, by the key that whsec_ precedes in base64; several
                        signatures, each "v1,...", while a key is replaced. https://www.standardwebhooks.com
    hmac_v3             "v3,", and HMAC-SHA256 in hexadecimal over id.time.body, by the characters behind whsec_ as they
                        are. https://wavespeed.ai/docs/verify-webhooks
    hmac_t_v1           "t=time,v1=", and HMAC-SHA256 in hexadecimal over time,body (a comma), by the secret as it is.
                        https://openrouter.ai/docs/guides/overview/multimodal/video-generation
    ed25519             in hexadecimal, over the request's id, the user's id, the time and the SHA-256 of the body in
                        hexadecimal, each on a line, by a public key of a JWKS.
                        https://docs.fal.ai/documentation/model-apis/inference/webhooks
    ed25519_t           in base64url, over time.body, by a public key of a JWKS. https://www.atlascloud.ai/docs/webhooks
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from ...types.capabilities import WebhookSignature
from ...types.webhooks import InvalidWebhook
from .ed25519 import is_signed_by

__all__ = ["WINDOW_SECONDS", "check_signature", "is_secret"]

WINDOW_SECONDS: Final = 300.0
"""Maximum difference in seconds between the time of a delivery and ours."""
_PREFIX: Final = "whsec_"
_WRONG: Final = "The signature is wrong"


def check_signature(
    kind: WebhookSignature, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
) -> str:
    """Check the signature of a delivery, and return the delivery's id.

    Args:
        kind: how the provider signs.
        headers: by lower-case name.
        body: as received.
        secrets: each one that may have signed it; for Ed25519 public keys, in base64url.
        now: seconds since 1970.

    Raises:
        InvalidWebhook: the signature is missing or wrong (401), or the time is too far away (400).
    """
    delivery, time = _CHECKS[kind](headers, body, secrets)
    if abs(now - time) > WINDOW_SECONDS:
        # Only after the signature: what is not proved says nothing about the sender's clock.
        raise InvalidWebhook("It was sent more than five minutes ago, or in the future", status=400)
    return delivery


def is_secret(kind: WebhookSignature, secret: str) -> bool:
    """Return whether a secret can be one of this kind."""
    if kind == "standard_webhooks":
        return bool(_base64_key(secret))
    return bool(secret.removeprefix(_PREFIX)) and secret.isascii() and secret.isprintable() and " " not in secret


def _base64_key(secret: str) -> bytes:
    """Return the key of a secret; empty if it is no base64."""
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except ValueError:
        return b""


def _check_standard(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> tuple[str, float]:
    id, time, given = _headers(headers, "webhook-id", "webhook-timestamp", "webhook-signature")
    signed = f"{id}.{time}.".encode() + body
    for secret in secrets:
        mac = base64.b64encode(hmac.digest(_base64_key(secret), signed, hashlib.sha256)).decode()
        if any(_equal(one, f"v1,{mac}") for one in given.split()):
            return id, _seconds(time)
    raise InvalidWebhook(_WRONG, status=401)


def _check_v3(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> tuple[str, float]:
    id, time, given = _headers(headers, "webhook-id", "webhook-timestamp", "webhook-signature")
    signed = f"{id}.{time}.".encode() + body
    for secret in secrets:
        mac = hmac.digest(secret.removeprefix(_PREFIX).encode(), signed, hashlib.sha256).hex()
        if _equal(given.strip(), f"v3,{mac}"):
            return id, _seconds(time)
    raise InvalidWebhook(_WRONG, status=401)


_TIMED: Final = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})")


def _check_timed(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> tuple[str, float]:
    (given,) = _headers(headers, "x-openrouter-signature")
    match = _TIMED.fullmatch(given.strip())
    if match is None:
        raise InvalidWebhook(_WRONG, status=401)
    for secret in secrets:
        if _equal(match[2], hmac.digest(secret.encode(), f"{match[1]},".encode() + body, hashlib.sha256).hex()):
            # The header with the delivery's id is not signed; the signature itself is as unique.
            return match[2], float(match[1])
    raise InvalidWebhook(_WRONG, status=401)


def _check_ed25519(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> tuple[str, float]:
    names = ("request-id", "user-id", "timestamp", "signature")
    id, user, time, given = _headers(headers, *(f"x-fal-webhook-{name}" for name in names))
    message = "\n".join((id, user, time, hashlib.sha256(body).hexdigest())).encode()
    try:
        signature = bytes.fromhex(given)
    except ValueError:
        signature = b""
    if not any(is_signed_by(_from_base64url(key), signature, message) for key in secrets):
        raise InvalidWebhook(_WRONG, status=401)
    return f"{id} {time}", _seconds(time)


def _check_ed25519_t(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> tuple[str, float]:
    names = ("timestamp", "signature-ed25519")
    time, given = _headers(headers, *(f"x-atlascloud-webhook-{name}" for name in names))
    signature, message = _from_base64url(given), f"{time}.".encode() + body
    if not any(is_signed_by(_from_base64url(key), signature, message) for key in secrets):
        raise InvalidWebhook(_WRONG, status=401)
    return given, _seconds(time)


def _from_base64url(key: str) -> bytes:
    # Some keys are published with padding and some without.
    try:
        return base64.urlsafe_b64decode(key.rstrip("=") + "=" * (-len(key.rstrip("=")) % 4))
    except ValueError:
        return b""


def _headers(headers: Mapping[str, str], *names: str) -> list[str]:
    missing = [name for name in names if not headers.get(name, "").strip()]
    if missing:
        raise InvalidWebhook(f"The header {missing[0]} is missing", status=401)
    return [headers[name] for name in names]


def _seconds(time: str) -> float:
    if re.fullmatch(r"[0-9]{1,12}", time) is None:
        raise InvalidWebhook("The time of the delivery is no number", status=400)
    return float(time)


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


_Check = Callable[[Mapping[str, str], bytes, Sequence[str]], tuple[str, float]]
_CHECKS: Final[Mapping[WebhookSignature, _Check]] = {
    "standard_webhooks": _check_standard,
    "hmac_v3": _check_v3,
    "hmac_t_v1": _check_timed,
    "ed25519": _check_ed25519,
    "ed25519_t": _check_ed25519_t,
}
