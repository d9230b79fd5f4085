"""Ed25519 signatures. The standard library has none: `cryptography` checks them, by the extra `webhooks`."""

from __future__ import annotations

__all__ = ["can_verify", "is_signed_by"]


def can_verify() -> bool:
    """Return whether the library that checks signatures is installed."""
    try:
        import cryptography  # noqa: PLC0415  an extra
    except ImportError:
        return False
    return bool(cryptography.__version__)


def is_signed_by(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Return whether a message has a signature of a key, which has 32 bytes."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415  an extra
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415  the same

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
