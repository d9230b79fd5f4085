"""A bucket of the user's as the place of local media: stored under their own names, and fetched by signed URLs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, TypeVar

from attrs import field, frozen

from ..system.threads import ThreadPool
from ..types.errors import InputError, InputFault, ProviderUnavailable
from .object_errors import ObjectMissing, StorageError
from .object_store import ObjectStore, open_store

__all__ = ["MediaBucket", "open_media_bucket"]

T = TypeVar("T")

_THREADS: Final = 4
"""Idle threads that are kept: contents that one account uploads at the same time."""


@frozen
class MediaBucket:
    """A bucket for local media, which implements `MediaStorage`.

    Attributes:
        store: the object store, or a part of it under a prefix.
    """

    store: ObjectStore
    _threads: ThreadPool = field(
        factory=lambda: ThreadPool(name="kling_async media bucket", keep=_THREADS), repr=False, eq=False
    )

    async def put(self, key: str, content: Iterable[bytes], *, mime: str) -> None:
        """Store a content under a key, in place of any other; it has its key once all of it is there.

        Raises:
            InputError: there is no such bucket.
            ProviderUnavailable: it cannot be stored.
            KlingError: it cannot be read.
        """
        await self._run(partial(self._put, key, content, mime), f"{key} cannot be stored in {self.store.url}")

    def _put(self, key: str, content: Iterable[bytes], mime: str) -> None:
        with self.store.writer(key, mime=mime) as write:
            for piece in content:
                write(piece)

    async def presign(self, key: str, seconds: float) -> str:
        """Return a URL by which anyone with the link may fetch a key for so many seconds.

        Raises:
            ProviderUnavailable: there are no credentials to sign with.
        """
        sign = partial(self.store.presign, key, expires_in=seconds)
        return await self._run(sign, f"An address of {key} in {self.store.url} cannot be signed")

    async def _run(self, function: Callable[[], T], problem: str) -> T:
        """Run a function that blocks; a store that does not answer keeps no program from ending."""
        try:
            with self._threads.acquire() as thread:
                return await thread.run(function)
        except ObjectMissing as error:  # the bucket: what is put need not exist
            fault = InputFault("storage", self.store.url, str(error))
            raise InputError.of("The bucket for local media cannot be used", [fault]) from error
        except StorageError as error:
            raise ProviderUnavailable(f"{problem}: {error}", provider="storage") from error


def open_media_bucket(url: str) -> MediaBucket:
    """Open the bucket at a URL; nothing is sent.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.

    Raises:
        InputError: the URL is wrong or means this machine, or the extra `storage` is not installed.
    """
    store = open_store(url)
    if store.is_local:
        fault = InputFault("storage", store.url, "must be s3://bucket/prefix, gs:// or az://, which providers reach")
        raise InputError.of("The bucket for local media cannot be used", [fault])
    return MediaBucket(store)
