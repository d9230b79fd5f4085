"""Local media of jobs that other machines will run: put into a bucket by their content, and fetched from it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import anyio.to_thread
from attrs import define, evolve, field

from ..transport.media_bucket import MediaBucket, open_media_bucket
from ..transport.object_errors import StorageError
from ..transport.object_store import ObjectStore, open_store
from ..types.errors import InputError, InputFault, NotSent
from ..types.jobs import Job
from ..types.media_values import Media, MediaFile, file_of, is_local, media_in, with_media
from .media_reader import pieces_of, read_media

__all__ = ["BucketedMedia", "fetch_media"]

_WAYS: Final = (
    "is on this machine, and workers on other ones run the job: name a bucket of yours as storage, such as "
    "s3://bucket/prefix, or give a URL"
)


@define
class BucketedMedia:
    """Puts the local media of jobs into a bucket, each content once.

    Attributes:
        storage: the URL of the bucket; None without one, so that local media are refused.
    """

    storage: str | None
    _bucket: MediaBucket | None = field(init=False, default=None)
    _read: dict[Path, tuple[int, MediaFile]] = field(init=False, factory=dict[Path, tuple[int, MediaFile]])
    _stored: set[str] = field(init=False, factory=set[str])

    def find(self, path: Path, size: int | None, changed_ns: int | None) -> MediaFile | None:
        """Return what a file was found to be; None if it is unknown, or was changed since."""
        known = self._read.get(path)
        return None if known is None or (size, changed_ns) != (known[1].size, known[0]) else known[1]

    def remember(self, path: Path, changed_ns: int, found: MediaFile) -> None:
        """Keep what a file was found to be."""
        self._read[path] = (changed_ns, found)

    def expect(self, job: Job) -> None:
        """Know that the media of a job that was stored before are in the bucket."""
        self._stored.update(one.sha256 for _, one in media_in(job.input) if isinstance(one, MediaFile))

    async def store(self, job: Job) -> Job:
        """Return a job whose local media are in the bucket, and are known by their content.

        Raises:
            InputError: there is no bucket, or a file cannot be read.
            KlingError: the bucket cannot be written.
        """
        local = [(name, media) for name, media in media_in(job.input) if is_local(media)]
        if not local:
            return job
        if self.storage is None:
            faults = [InputFault(name, _shown(media), _WAYS) for name, media in local]
            raise InputError.of("Local media need a bucket", faults, key=job.key, advice="Nothing was sent.")
        self._bucket = self._bucket or open_media_bucket(self.storage)
        found: dict[str, Media] = {}
        read = await anyio.to_thread.run_sync(lambda: read_media(job.input, self, key=job.key))
        for name, media in media_in(read):
            if is_local(media) and (file := file_of(media)) is not None:
                if file.sha256 not in self._stored:
                    await self._bucket.put(file.upload_name, pieces_of(file), mime=file.mime)
                    self._stored.add(file.sha256)
                media = evolve(file, source=None)  # noqa: PLW2901 - what stands for it from now on
            found[name] = media
        return evolve(job, input=with_media(job.input, lambda name, _: found[name]))


def _shown(media: Media) -> str:
    return str(media) if isinstance(media, Path) else media.name if isinstance(media, MediaFile) else "its content"


def fetch_media(job: Job, storage: str | None, folder: Path) -> Job:
    """Return a job whose media that a bucket has are files in a folder. It blocks.

    Args:
        job: the job, as `BucketedMedia.store` returned it.
        storage: the URL of the bucket.
        folder: a folder of this machine.

    Raises:
        NotSent: the bucket cannot be read, or lacks a content.
    """
    if storage is None or not any(_lacks(media) for _, media in media_in(job.input)):
        return job
    store = open_store(storage)
    return evolve(job, input=with_media(job.input, _fetching(store, folder, job.key)))


def _lacks(media: Media) -> bool:
    return isinstance(media, MediaFile) and media.source is None


def _save(store: ObjectStore, name: str, path: Path) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        for piece in store.read(name):
            file.write(piece)
    part.replace(path)


def _fetching(store: ObjectStore, folder: Path, key: str | None) -> Callable[[str, Media], Media]:
    def fetch(_: str, media: Media) -> Media:
        if not isinstance(media, MediaFile) or media.source is not None:
            return media
        path = folder / media.upload_name
        try:
            if not path.exists():
                _save(store, media.upload_name, path)
        except (StorageError, OSError) as error:
            message = f"{media.name} cannot be fetched from {store.url}: {error}"
            raise NotSent(message, reason="upload", key=key) from error
        return evolve(media, source=path)

    return fetch
