"""Thumbnails of a run's images for its report, made once and kept in its directory.

Theory of operation. They are made in a thread while the run goes on, and those that are missing when a report is
written, then. One has the time of its image's file, so that an image that was replaced gets a new one. An image that is
small, broken or too large has none, and the report shows the image itself.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

from ..system.threads import DaemonThread
from .images import IMAGES, load_small

__all__ = ["Thumbnails"]

_SIZE: Final = 480
"""Pixels of the longer side: a card of a report is 240 wide, and screens have up to two pixels for one."""
_QUALITY: Final = 80
_METHOD: Final = 2
"""Of WebP, from fast to thorough: a thumbnail is 3 % larger than by 4, and takes half the time."""
_THREADS: Final = 4
_AT_ONCE: Final = 500
"""Images that wait for a thread; each takes a kilobyte meanwhile."""


class Thumbnails:
    """The thumbnails of a run.

    Args:
        directory: that of the run.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / "thumbnails"
        self._thread: DaemonThread | None = None

    def start(self, path: Path) -> None:
        """Make the thumbnail of an image in a thread, without waiting for it; call it inside the event loop."""
        if path.suffix.lower() in IMAGES:
            self._thread = self._thread or DaemonThread(name="kling_async thumbnails")
            self._thread.post(partial(self._start, path))

    async def finish(self) -> None:
        """Wait for the thumbnails that were started."""
        thread, self._thread = self._thread, None
        if thread is not None:
            await thread.run(int)
            thread.stop()

    def of(self, files: Iterable[str]) -> dict[str, str]:
        """Return the thumbnails of files, both as POSIX paths relative to the run; missing ones are made first."""
        images = (file for file in files if file.lower().endswith(IMAGES))
        found = dict[str, str]()
        executor = ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1))
        try:
            while some := list(islice(images, _AT_ONCE)):
                made = executor.map(self._ensure, map(self._directory.joinpath, some))
                for image, thumbnail in zip(some, made, strict=True):
                    if thumbnail is not None:
                        found[image] = f"{self._folder.name}/{thumbnail.name}"
            return found
        finally:
            executor.shutdown(cancel_futures=True)

    def _start(self, image: Path) -> None:
        self._ensure(image)

    def _ensure(self, image: Path) -> Path | None:
        """Return the thumbnail of an image, made if need be; None if it has none."""
        thumbnail = self._folder / f"{image.name}.webp"
        try:
            changed_at = image.stat().st_mtime_ns
            with suppress(FileNotFoundError):
                if thumbnail.stat().st_mtime_ns == changed_at:
                    return thumbnail
            return thumbnail if self._make(image, thumbnail, changed_at) else None
        except (OSError, ValueError, KeyError):  # the disk is full, or this Pillow writes no WebP
            return None

    def _make(self, image: Path, thumbnail: Path, changed_at: int) -> bool:
        small = load_small(image, _SIZE, enlarge_none=True)
        if small is None:
            return False
        self._folder.mkdir(exist_ok=True)
        # Not under a fixed name: a run and a report may make one at the same time.
        number, name = tempfile.mkstemp(dir=self._folder, prefix=".", suffix=".new")
        fresh = Path(name)
        try:
            with os.fdopen(number, "wb") as file:
                small.save(file, "WEBP", quality=_QUALITY, method=_METHOD, icc_profile=small.info.get("icc_profile"))
            fresh.chmod(0o644)
            os.utime(fresh, ns=(changed_at, changed_at))
            fresh.replace(thumbnail)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        return True
