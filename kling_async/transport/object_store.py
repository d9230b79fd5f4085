"""A bucket of the user's at S3, Google Cloud Storage or Azure, over obstore, which the extra `storage` brings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import anyio.to_thread

from ..types.errors import InputError, InputFault, KlingError, ProviderUnavailable
from .failures import describe

if TYPE_CHECKING:
    from obstore.store import AzureStore, GCSStore, S3Store

__all__ = ["ObjectStore"]

_SCHEMES: Final = ("s3", "s3a", "gs", "az", "abfs", "abfss", "azure")
"""Schemes of stores that sign addresses."""

T = TypeVar("T")


class ObjectStore:
    """A bucket, or a part of one under a prefix; its keys come from the environment, as for the store's own tools.

    Args:
        url: such as "s3://bucket/prefix".

    Raises:
        InputError: it is no such URL, or the extra `storage` is not installed.
    """

    def __init__(self, url: str) -> None:
        scheme, mark, rest = url.partition("://")
        if not mark or scheme not in _SCHEMES or not rest.strip("/") or "?" in rest or "@" in rest:
            allowed = "must be the URL of a bucket at S3, Google Cloud Storage or Azure, such as 's3://bucket/prefix'"
            raise InputError.of(
                "Wrong setting", [InputFault("storage", "[masked]" if "@" in url else url.partition("?")[0], allowed)]
            )
        self.url = url.rstrip("/")
        self._store = _open(self.url)

    def __repr__(self) -> str:
        return f"ObjectStore({self.url!r})"

    async def put(self, key: str, content: Iterable[bytes], *, mime: str) -> None:
        """Store a content under a key, in place of any other. Raises KlingError if it cannot be stored or read."""
        from obstore import put  # noqa: PLC0415 - an extra

        pieces = _Pieces(content)

        def store() -> None:
            put(self._store, key, iter(pieces), attributes={"Content-Type": mime})

        await self._checked(store, f"{key} cannot be stored in {self.url}", pieces)

    async def presign(self, key: str, seconds: float) -> str:
        """Return a URL by which whoever has it may fetch a key for so many seconds. Raises KlingError."""
        from obstore import sign  # noqa: PLC0415 - an extra

        def make() -> str:
            return sign(self._store, "GET", key, timedelta(seconds=seconds))

        return await self._checked(make, f"An address of {key} in {self.url} cannot be signed", _Pieces(()))

    async def _checked(self, action: Callable[[], T], problem: str, pieces: _Pieces) -> T:
        try:
            # obstore's own coroutines are for asyncio only.
            return await anyio.to_thread.run_sync(action, abandon_on_cancel=True)
        except Exception as error:  # noqa: BLE001 - the library has errors of many kinds, and each can be repeated
            if pieces.error is not None:
                raise pieces.error from None
            reason = describe(error, redact=_without_queries)
            raise ProviderUnavailable(f"{problem}: {reason}", provider="storage") from None


class _Pieces:
    """The pieces of a content, and the error that ended them: the library may raise another one in its place."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = content
        self.error: KlingError | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._content
        except KlingError as error:
            self.error = error
            raise


def _open(url: str) -> S3Store | GCSStore | AzureStore:
    try:
        from obstore.store import AzureStore, GCSStore, S3Store  # noqa: PLC0415 - an extra
    except ImportError as error:
        advice = "Install it with: pip install 'kling-async[storage]'. Nothing was sent."
        raise InputError("A bucket needs obstore", advice=advice) from error
    scheme = url.partition("://")[0]
    kind = S3Store if scheme.startswith("s3") else GCSStore if scheme == "gs" else AzureStore
    try:
        return kind.from_url(url)
    except Exception as error:  # noqa: BLE001 - as above
        reason = describe(error, redact=_without_queries)
        raise InputError.of("Wrong setting", [InputFault("storage", url, f"cannot be used: {reason}")]) from None


def _without_queries(text: str) -> str:
    return text.partition("?")[0]
