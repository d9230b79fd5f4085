"""Outputs become files: fetched, asked for anew where their addresses have expired, and noted in the journal."""

from __future__ import annotations

import os.path
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import anyio.to_thread
from anyio.lowlevel import RunVar

from .effects.files import Files
from .effects.parts import check_directory
from .effects.turns import Turns
from .errors import DownloadError, InputError
from .media import file_stem
from .planning.submissions import Submission
from .prediction import Prediction, Status
from .recorder import Recorder

__all__ = ["Saver"]

_EXPIRED: Final = (403, 404, 410)
"""What storages answer to an address whose time is up; the provider may give a new one."""
_turns: Final = RunVar[Turns]("kling_async_files")
"""One save of the same files at a time in an event loop, whichever client or batch asks: they share a part file."""


class Saver:
    """Saves the outputs of predictions.

    Args:
        files: fetches them.
        refresh: looks at a prediction once.
        on_this_machine: says whether a provider runs on this very machine.
        recorder: has the journal; None without one.
    """

    def __init__(
        self,
        *,
        files: Files,
        refresh: Callable[[Prediction], Awaitable[Prediction]],
        on_this_machine: Callable[[str], bool],
        recorder: Recorder | None,
    ) -> None:
        self._files = files
        self._refresh = refresh
        self._on_this_machine = on_this_machine
        self._recorder = recorder

    async def save(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        """Save a prediction's outputs, and return the files. Raises DownloadError."""
        if prediction.status is not Status.SUCCEEDED:
            raise DownloadError(
                "There is nothing to download",
                provider=prediction.provider,
                key=prediction.key,
                id=prediction.id,
                advice=f"The prediction is {prediction.status.value}; only one that succeeded has outputs.",
            )
        async with _one_at_a_time().take(_place(prediction, directory)):
            return await self._save(prediction, directory, overwrite=overwrite)

    async def _save(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        known = await self._known(prediction)
        there = [directory / name for name in (known.files if known is not None else None) or ()]
        if there and not overwrite and all(path.is_file() for path in there):
            return there
        try:
            await anyio.to_thread.run_sync(check_directory, directory)
        except InputError as error:
            raise DownloadError(f"{error.message}: {error.faults[0]}", path=str(directory)) from error
        saved = await self._fetch(prediction, known, directory, overwrite=overwrite)
        if self._recorder is not None:
            await self._recorder.saved(prediction, saved)
        return saved

    async def _fetch(
        self, prediction: Prediction, known: Submission | None, directory: Path, *, overwrite: bool
    ) -> list[Path]:
        fresh = _is_stale(prediction, known)
        if fresh:
            prediction = await self._refresh(prediction)
        try:
            return await self._save_all(prediction, directory, overwrite=overwrite)
        except DownloadError as error:
            if fresh or error.http_status not in _EXPIRED:
                raise
            return await self._save_all(await self._refresh(prediction), directory, overwrite=overwrite)

    async def _save_all(self, prediction: Prediction, directory: Path, *, overwrite: bool) -> list[Path]:
        loopback = self._on_this_machine(prediction.provider)
        stem = _stem(prediction)
        saved: list[Path] = []
        for index, output in enumerate(prediction.outputs):
            name = f"{stem}-{index}"
            try:
                path = await self._files.save(output, directory, name, overwrite=overwrite, loopback=loopback)
            except DownloadError as error:
                error.provider, error.key, error.id = prediction.provider, prediction.key, prediction.id
                raise
            saved.append(path)
        return saved

    async def fetchable(self, prediction: Prediction) -> Prediction:
        """Return a prediction with whole addresses: a journal keeps no signatures, so they are asked for anew."""
        stale = _is_stale(prediction, await self._known(prediction))
        return await self._refresh(prediction) if stale else prediction

    async def _known(self, prediction: Prediction) -> Submission | None:
        page = None if self._recorder is None else await self._recorder.page_for(prediction)
        return None if page is None else page.submission


def _one_at_a_time() -> Turns:
    turns = _turns.get(None)
    if turns is None:
        turns = Turns(1)
        _turns.set(turns)
    return turns


def _stem(prediction: Prediction) -> str:
    return file_stem(prediction.key or f"{prediction.provider}:{prediction.id}")


def _place(prediction: Prediction, directory: Path) -> str:
    return os.path.realpath(directory / _stem(prediction))


def _is_stale(prediction: Prediction, known: Submission | None) -> bool:
    """Return whether a prediction comes out of a journal, and its outputs' addresses are not whole."""
    kept = None if known is None or known.fetchable else known.prediction
    return kept is not None and prediction.outputs == kept.outputs
