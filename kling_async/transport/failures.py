"""Reasons and descriptions of transport errors, from the error or its causes."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator

import httpcore
import httpx

from ..types.printable import one_line

__all__ = ["describe", "reason_of", "strip_context"]


def reason_of(error: BaseException) -> str:
    """Return why no connection was made: "timeout", "tls", "dns" or "refused"."""
    if isinstance(error, (TimeoutError, httpcore.TimeoutException, httpx.TimeoutException)):
        return "timeout"
    for one in _with_causes(error):
        if isinstance(one, ssl.SSLError):
            return "tls"
        if isinstance(one, socket.gaierror):
            return "dns"
    return "refused"


def describe(error: Exception, *, redact: Callable[[str], str]) -> str:
    """Return an error's name and message, or its cause's message where its own is blank.

    A library quotes the line that it cannot parse, which holds arbitrary text of the peer.

    Args:
        redact: removes the API key from a text.
    """
    messages = (one_line(redact(str(one)))[:200] for one in _with_causes(error))
    return ": ".join(filter(None, (type(error).__name__, next(filter(None, messages), ""))))


def strip_context(error: Exception, *, redact: Callable[[str], str]) -> Exception | None:
    """Remove an error's traceback and causes: frames below hold the request with its key.

    None if the error repeats the key itself, and so must not be shown as a cause.
    """
    error.__traceback__ = None
    error.__cause__ = error.__context__ = None
    return error if redact(shown := repr(error)) == shown else None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
