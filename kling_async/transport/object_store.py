"""Objects behind one URL: at S3, Google Cloud Storage or Azure, in a local directory or in the memory.

Credentials come from the environment, as each store's own tools read them, never from the URL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast
from urllib.parse import unquote, urlsplit

from attrs import field, frozen

from ..types.errors import InputError, InputFault
from .credentials import is_loopback
from .object_errors import ObjectMissing, StorageError, call
from .object_urls import check_url, invalid_url

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store
    from obstore.store import ObjectStore as Handle

__all__ = ["ObjectStore", "check_presign", "open_store"]

_MAX_EXPIRY: Final = 604_800.0
"""Seconds that a signed URL may be valid: seven days (AWS, Signature Version 4: query parameters, `X-Amz-Expires`)."""
_PART: Final = 8 * 1024 * 1024
"""Bytes of one part of a multipart upload; one is sent while the next one is collected."""
_TIMEOUT: Final = timedelta(seconds=120)
"""For one request, such as one part at 70 kB/s."""
_RETRY: Final = timedelta(seconds=90)
"""For one request with its repetitions; each of them writes the same bytes under the same name."""
_PATIENCE: Final = timedelta(seconds=10)
"""The same two for the check of a store that was just opened."""
_PROBE: Final = ".kling-async-check"


@frozen(kw_only=True)
class ObjectStore:
    """A place for objects; all names are relative to it. Its methods block, and may be called in any thread.

    Attributes:
        url: its URL, without a slash at the end. It holds no secret.
    """

    url: str
    _handle: Handle = field(alias="handle", repr=False, eq=False)
    _hasty: Handle = field(alias="hasty", repr=False, eq=False)
    _prefix: str = field(alias="prefix", default="", repr=False)
    """The prefix of names, where the handle does not add it."""

    def url_of(self, name: str) -> str:
        """Return the URL of an object."""
        return f"{self.url}/{name}"

    def check(self) -> None:
        """Write an empty object and delete it again, so that a store which refuses is known early.

        Raises:
            StorageError: the store does not exist, cannot be reached or refuses.
        """
        import obstore  # noqa: PLC0415 - an extra

        call(lambda: obstore.put(self._hasty, self._prefix + _PROBE, b""))
        # Whoever may write need not be allowed to delete: the object is empty, and there is one of them.
        with suppress(StorageError):
            call(lambda: obstore.delete(self._hasty, self._prefix + _PROBE))

    def put(self, name: str, content: bytes, *, mime: str = "", overwrite: bool = True) -> None:
        """Write a whole object in one request.

        Args:
            name: its name.
            content: its bytes.
            mime: its type, where the store keeps one.
            overwrite: replace an object of that name.

        Raises:
            ObjectExists: there is one, and it is not to be replaced.
            StorageError: it could not be written.
        """
        import obstore  # noqa: PLC0415 - an extra

        call(
            lambda: obstore.put(
                self._handle,
                self._prefix + name,
                content,
                attributes=self._attributes(mime),
                mode="overwrite" if overwrite else "create",
                use_multipart=False,
            )
        )

    @contextmanager
    def writer(self, name: str, *, mime: str = "") -> Generator[Callable[[bytes], None]]:
        """Yield a function that adds bytes to an object, which has its name only after this is left without an error.

        It is written as a multipart upload, which an error aborts. At most three parts of 8 MiB are in memory. An
        object of that name is replaced.

        Raises:
            StorageError: it could not be written.
        """
        import obstore  # noqa: PLC0415 - an extra

        place, attributes = self._prefix + name, self._attributes(mime)
        file = call(
            lambda: obstore.open_writer(
                self._handle, place, attributes=attributes, buffer_size=_PART, max_concurrency=1
            )
        )

        def write(content: bytes) -> None:
            call(lambda: file.write(content))

        file.__enter__()
        try:
            yield write
        except BaseException as error:
            with suppress(StorageError):
                leave = file.__exit__  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
                call(partial(leave, type(error), error, None))
            raise
        call(file.close)

    def size_of(self, name: str) -> int | None:
        """Return the bytes of an object; None if there is none. Raises StorageError if the store does not tell."""
        import obstore  # noqa: PLC0415 - an extra

        try:
            return call(lambda: obstore.head(self._handle, self._prefix + name))["size"]
        except ObjectMissing:
            return None

    def read(self, name: str) -> Iterator[bytes]:
        """Yield the bytes of an object. Raises StorageError."""
        import obstore  # noqa: PLC0415 - an extra

        pieces = iter(call(lambda: obstore.get(self._handle, self._prefix + name)))
        while (piece := call(lambda: next(pieces, None))) is not None:
            yield bytes(piece)

    def presign(self, name: str, *, expires_in: float, method: Literal["GET", "PUT"] = "GET") -> str:
        """Return a signed https URL, by which anyone may use an object for a while; that of a local one is plain.

        Args:
            name: of the object, which need not exist.
            expires_in: seconds, at most 604,800.
            method: what it may be used for.

        Raises:
            StorageError: there are no credentials to sign with.
        """
        import obstore  # noqa: PLC0415 - an extra

        if self.is_local:
            return self.url_of(name)
        handle = cast("S3Store | GCSStore | AzureStore", self._handle)
        return call(lambda: obstore.sign(handle, method, self._prefix + name, timedelta(seconds=expires_in)))

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine, so that its URLs cannot be signed."""
        return self.url.startswith(("file:", "memory:"))

    def _attributes(self, mime: str) -> dict[str, str] | None:
        # A local file has no place for its type, and the library refuses one.
        return {"Content-Type": mime} if mime and not self.url.startswith("file:") else None


def open_store(url: str) -> ObjectStore:
    """Open the store at a URL; nothing is sent.

    Args:
        url: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`, `file:///directory` or
            `memory:///prefix`, which lasts as long as the process.

    Raises:
        InputError: the URL is wrong, or the extra `storage` is not installed.
    """
    plain = check_url(url)
    try:
        import obstore.store  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport] - an extra
    except ModuleNotFoundError as error:
        fault = InputFault("url", plain, "needs the extra: pip install 'kling-async[storage]'")
        raise InputError.of("The object store cannot be used", [fault]) from error
    if plain.startswith("memory:"):
        memory, prefix = _memory(), unquote(urlsplit(plain).path.strip("/"))
        return ObjectStore(url=plain, handle=memory, hasty=memory, prefix=f"{prefix}/" if prefix else "")
    try:
        patient, hasty = _handle(plain, _TIMEOUT, _RETRY), _handle(plain, _PATIENCE, _PATIENCE)
    except StorageError as error:
        raise invalid_url(plain, f"cannot be used: {error}") from error
    return ObjectStore(url=plain, handle=patient, hasty=hasty)


@cache
def _memory() -> Handle:
    from obstore.store import MemoryStore  # noqa: PLC0415 - an extra

    return MemoryStore()


def _handle(url: str, timeout: timedelta, retry: timedelta) -> Handle:
    from obstore.store import LocalStore, from_url  # noqa: PLC0415 - an extra

    if url.startswith("file:"):
        from urllib.request import url2pathname  # noqa: PLC0415 - loads an HTTP library of its own

        return call(lambda: LocalStore(Path(url2pathname(urlsplit(url).path)), mkdir=True))
    client: ClientConfig = {
        "timeout": timeout,
        "connect_timeout": timedelta(seconds=10),
        "allow_http": _allows_http(),
    }
    repeat: RetryConfig = {"max_retries": 5, "retry_timeout": retry}
    return call(lambda: from_url(url, client_options=client, retry_config=repeat))


def _allows_http() -> bool:
    """Return whether the environment permits plain http, or names an endpoint on this machine."""
    endpoints = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    endpoint = urlsplit(next(filter(None, endpoints), ""))
    return os.environ.get("AWS_ALLOW_HTTP", "").lower() in ("1", "true") or is_loopback(endpoint.hostname or "")


def check_presign(seconds: float | None, *, in_store: bool) -> None:
    """Raise InputError if links to outputs cannot be signed for so many seconds; None signs none.

    Args:
        seconds: how long a link is to be valid.
        in_store: whether the outputs are in an object store.
    """
    if seconds is None:
        return
    if not 0 < seconds <= _MAX_EXPIRY:
        fault = InputFault("presign", seconds, f"must be above 0 and at most {_MAX_EXPIRY:.0f} seconds")
        raise InputError.of("Wrong setting", [fault])
    if not in_store:
        fault = InputFault("presign", seconds, "is for outputs in an object store")
        advice = "Name the store, such as s3://BUCKET/PREFIX, as the place of the outputs. Nothing was sent."
        raise InputError.of("Wrong setting", [fault], advice=advice)
