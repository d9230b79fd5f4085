"""Deliveries of webhooks for the conformance suite: bodies of the usual forms, and their signatures.

The signatures are made from the providers' pages, with no code of those that check them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Final
from unittest import SkipTest

from attrs import frozen

from ..types.capabilities import WebhookSignature
from ..types.prediction import Json

__all__ = ["WebhookDelivery", "delivery_bodies", "signed_delivery"]

_SECRET: Final = "whsec_" + base64.b64encode(b"a secret of the suite, and of no account").decode()
_SEED: Final = bytes(range(32))
_ID: Final = "delivery-1"


@frozen(kw_only=True)
class WebhookDelivery:
    """A delivery: its headers by lower-case name, its body, and what may have signed it."""

    headers: Mapping[str, str]
    body: bytes
    secrets: tuple[str, ...] = ()


def delivery_bodies(id: str, word: str) -> Iterator[bytes]:
    """Yield a delivery about a prediction in each of the usual forms.

    Args:
        id: that of the prediction.
        word: the provider's word for its status.
    """
    record: dict[str, Json] = {"id": id, "status": word}
    documents: tuple[Json, ...] = (
        record,
        {"task_id": id, "task_status": word},
        {"code": 0, "message": "", "data": {**record, "task_id": id, "task_status": word}},
        {"request_id": id, "gateway_request_id": id, "status": "OK", "payload": {}},
        {"session_id": id, "event_type": "terminal", "status": "OK", "payload": {"status": word}},
        {"type": f"generation.{word}", "data": record},
    )
    for document in documents:
        yield json.dumps(document).encode()


def signed_delivery(kind: WebhookSignature, body: bytes, *, at: float) -> WebhookDelivery:
    """Return a delivery that is signed at a time in seconds since 1970.

    Raises:
        SkipTest: the signature needs the extra `webhooks`, which is not installed.
    """
    time = str(int(at))
    if kind == "ed25519":
        digest = hashlib.sha256(body).hexdigest()
        signature, public = _ed25519(f"{_ID}\nuser-1\n{time}\n{digest}".encode())
        values = {"request-id": _ID, "user-id": "user-1", "timestamp": time, "signature": signature.hex()}
        headers = {f"x-fal-webhook-{name}": value for name, value in values.items()}
        return WebhookDelivery(headers=headers, body=body, secrets=(public,))
    if kind == "ed25519_t":
        signature, public = _ed25519(f"{time}.".encode() + body)
        given = base64.urlsafe_b64encode(signature).decode().rstrip("=")
        headers = {"x-atlascloud-webhook-timestamp": time, "x-atlascloud-webhook-signature-ed25519": given}
        return WebhookDelivery(headers=headers, body=body, secrets=(public,))
    return WebhookDelivery(headers=_hmac_headers(kind, body, time), body=body, secrets=(_SECRET,))


def _hmac_headers(kind: WebhookSignature, body: bytes, time: str) -> dict[str, str]:
    if kind == "hmac_t_v1":
        mac = hmac.digest(_SECRET.encode(), f"{time},".encode() + body, "sha256").hex()
        return {"x-openrouter-signature": f"t={time},v1={mac}"}
    text, message = _SECRET.removeprefix("whsec_"), f"{_ID}.{time}.".encode() + body
    if kind == "hmac_v3":
        signature = f"v3,{hmac.digest(text.encode(), message, 'sha256').hex()}"
    else:
        key = base64.b64decode(text)
        signature = f"v1,{base64.b64encode(hmac.digest(key, message, 'sha256')).decode()}"
    return {"webhook-id": _ID, "webhook-timestamp": time, "webhook-signature": signature}


def _ed25519(message: bytes) -> tuple[bytes, str]:
    """Return the signature of a message, and the public key in base64url."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415  an extra
    except ImportError:
        raise SkipTest("pip install 'kling-async[webhooks]' for Ed25519") from None
    key = Ed25519PrivateKey.from_private_bytes(_SEED)
    return key.sign(message), base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode()
