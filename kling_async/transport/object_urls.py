"""URLs of object stores: which there are, and what belongs into none."""

from __future__ import annotations

import re
from typing import Final, TypeGuard
from urllib.parse import unquote, urlsplit

from ..types.errors import InputError, InputFault

__all__ = ["check_url", "invalid_url", "is_store_url", "is_url"]

_SCHEMES: Final = ("s3", "gs", "az", "file", "memory")


def is_store_url(text: object) -> TypeGuard[str]:
    """Return whether a text is the URL of an object store, and no path."""
    return isinstance(text, str) and "://" in text and text.partition("://")[0].lower() in _SCHEMES


def is_url(text: object) -> TypeGuard[str]:
    """Return whether a text is a URL, of an object store or of anything else, and no path."""
    return isinstance(text, str) and re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text) is not None


def check_url(url: str) -> str:
    """Return a URL without a slash at its end. Raises InputError, which repeats no secret in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise invalid_url(url, "must be a URL such as s3://bucket/prefix") from None
    scheme = parts.scheme.lower()
    local = scheme in ("file", "memory")
    if scheme not in _SCHEMES or bool(parts.netloc) == local or (scheme == "file" and not parts.path.strip("/")):
        raise invalid_url(url, "must be s3://bucket/prefix, gs://, az://, file:///directory or memory:///prefix")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise invalid_url(url, "must name a bucket and a prefix only: credentials come from the environment")
    if not url.isprintable() or any(one in (".", "..") for one in unquote(parts.path).split("/")):
        raise invalid_url(url, "must have a plain prefix")
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _without_secrets(url: str) -> str:
    """Return a URL without what may be a password or a signature."""
    return re.sub(r"//[^/@]*@", "//", re.split(r"[?#]", url)[0])


def invalid_url(url: str, allowed: str) -> InputError:
    """Return the error for a URL, without what may be a secret in it."""
    shown = _without_secrets(url)
    return InputError.of("The object store cannot be used", [InputFault("url", shown, allowed)])
