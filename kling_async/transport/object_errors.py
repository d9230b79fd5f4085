"""Errors of object stores, in words of our own.

The library's errors hold requests and replies, which may repeat a key or hold a signature. So none of them is shown,
and none of them is the cause or the context of another error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

__all__ = ["ObjectExists", "ObjectMissing", "StorageError", "call"]

T = TypeVar("T")


class StorageError(Exception):
    """The store refused a request, or did not answer it. Its text is one clause, without secrets."""


class ObjectExists(StorageError):
    """An object has the name already."""


class ObjectMissing(StorageError):
    """There is no such object, or no such bucket."""


def call(function: Callable[[], T]) -> T:
    """Call a function of the library and return its result.

    Raises:
        StorageError: it failed.
    """
    from obstore.exceptions import AlreadyExistsError, BaseError  # noqa: PLC0415 - an extra

    try:
        return function()
    except AlreadyExistsError:
        found: StorageError = ObjectExists("an object has that name")
    except FileNotFoundError as error:
        found = ObjectMissing(_meaning(error))
    except (BaseError, NotImplementedError, ValueError, OSError) as error:
        found = StorageError(_meaning(error))
    raise found


def _meaning(error: Exception) -> str:
    """Return what an error of the library means, in words of our own."""
    text, kind = str(error), type(error).__name__
    code, status = _CODE.search(text), _HTTP.search(text)
    if code is not None and code[1] in _MEANINGS:
        return f"{_MEANINGS[code[1]]} ({code[1]})"
    known = [*([f"HTTP {status[1]}"] if status else []), *([code[1]] if code else [])]
    if kind in ("PermissionDeniedError", "UnauthenticatedError"):
        return f"access is denied ({', '.join(known) or kind})"
    if isinstance(error, FileNotFoundError):
        return f"it does not exist ({', '.join(known) or 'not found'})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    for sign, meaning in _SIGNS.items():
        if sign in text:
            return meaning
    return f"the store answered {', '.join(known)}" if known else f"the store failed ({kind})"


_SIGNS: Final[Mapping[str, str]] = {
    "Account must be specified": "the account is unknown: set AZURE_STORAGE_ACCOUNT_NAME",
    "169.254.169.254": "there are no credentials in the environment",
    "builder error": "its endpoint is not https; for plain http set AWS_ALLOW_HTTP=true",
    "TimedOut": "it did not answer in time",
    "error sending request": "it cannot be reached",
}
"""What texts of the library mean that are no replies of a store."""


_CODE: Final = re.compile(r"<Code>(\w{1,60})</Code>")
"""The code in a reply of S3, Google or Azure (XML). Its text is not shown: it may repeat a key."""
_HTTP: Final = re.compile(r"status(?: code)?: (\d{3})")
_MEANINGS: Final[Mapping[str, str]] = {
    "NoSuchBucket": "the bucket does not exist",
    "ContainerNotFound": "the container does not exist",
    "AccessDenied": "access is denied",
    "InvalidAccessKeyId": "the access key is unknown",
    "SignatureDoesNotMatch": "the secret key is wrong",
}
