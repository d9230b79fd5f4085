"""Opening and closing of a client that has an event loop of its own."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from ..client import Client as AsyncClient
from ..journal.base import Journal
from ..system.clock import Clock
from ..types.limits import Limits
from ..types.noncopyable import NonCopyable
from ..types.prediction import Json
from ..types.storage import MediaStorage
from .portal import Portal, check_caller

if TYPE_CHECKING:  # loads the HTTP libraries
    from ..transport.connections import HttpTransport

__all__ = ["BaseClient"]


class BaseClient(NonCopyable):
    """Opens and closes a client; `Client` describes the arguments."""

    def __init__(
        self,
        provider: str | None = None,
        *,
        api_key: str | None = None,
        api_keys: Mapping[str, str] | None = None,
        base_url: str | None = None,
        base_urls: Mapping[str, str] | None = None,
        limits: Limits | Mapping[str, Limits] | None = None,
        request_timeout: float = 30.0,
        transport: HttpTransport | None = None,
        journal: str | Path | Journal | None = None,
        timings: Json = None,
        auth_schemes: Mapping[str, str] | None = None,
        allow_http: bool = False,
        storage: str | MediaStorage | None = None,
        clock: Clock | None = None,
    ) -> None:
        try:
            self._client = AsyncClient(
                provider,
                api_key=api_key,
                api_keys=api_keys,
                base_url=base_url,
                base_urls=base_urls,
                limits=limits,
                request_timeout=request_timeout,
                transport=transport,
                journal=journal,
                timings=timings,
                auth_schemes=auth_schemes,
                allow_http=allow_http,
                storage=storage,
                clock=clock,
            )
        finally:
            api_key = api_keys = journal = None  # a traceback that prints locals must not print them
        self._portal: Portal | None = None

    def __repr__(self) -> str:
        shown = repr(self._client) if hasattr(self, "_client") else "<kling_async.Client, not made>"
        return shown.replace("kling_async", "kling_async.blocking", 1)

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(error)

    def open(self) -> Self:
        """Open the client and return it; for notebooks, where `async with` is not at hand. Close it with `aclose`.

        Here it is for programs where `with` is not at hand, and `close` closes it. One that is still open when the
        program ends is closed then.

        Raises:
            MissingAPIKey: there is no API key for the default provider.
            JournalError: the journal cannot be used.
            RuntimeError: the client was opened before, or an event loop is running in this thread.
        """
        check_caller()
        if self._portal is not None:
            raise RuntimeError("A client is opened once, and this one was opened before: make a new one with Client()")
        portal = self._portal = Portal()
        try:
            portal.call(self._client.open)
        except BaseException as error:
            self._close(error)
            raise
        _open.add(self)
        return self

    def close(self) -> None:
        """Finish the requests in flight, each by its own deadline, and close every connection and the journal.

        Any thread may call it; a client that is closed already stays as it is. Calls that other threads are waiting in
        raise RuntimeError or NotSent. A second Ctrl-C gives requests in flight only a moment.
        """
        self._close(None)

    def _close(self, error: BaseException | None) -> None:
        portal = self._portal
        _open.discard(self)
        if portal is None or portal.is_over:
            return
        try:
            portal.call(partial(self._client.__aexit__, None, error, None), closing=True)
        except RuntimeError:
            if not portal.is_over:  # another thread has closed it meanwhile
                raise
        finally:
            portal.stop()

    @property
    def _loop(self) -> Portal:
        if self._portal is None:
            check_caller()
            raise RuntimeError("The client is not open: use `with Client() as client`, or `Client().open()`")
        self._portal.check()
        return self._portal


_open: set[BaseClient] = set()
"""Clients that are open: their event loops go on while nothing else refers to them."""


def _close_all() -> None:
    """Close the clients that the program has left open, so that their requests in flight are written down."""
    for client in list(_open):
        with suppress(RuntimeError):
            client.close()


atexit.register(_close_all)
