"""What a run has learned, kept in its directory: how long predictions take, and the limits of its accounts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import anyio.to_thread

from ..client import Client
from ..runs.directory import RunDirectory
from ..runtime.timings import load_timings, provider_of, save_timings
from ..scheduling.learning import AccountLimits
from ..scheduling.polling.durations import DurationModel
from ..scheduling.speed_limits import learned_limits
from ..system.clock import SystemClock
from ..types.errors import InputError
from ..types.prediction import Json
from .console import echo, escape

__all__ = ["LearnedKeeper", "describe_learned", "learned_json", "read_learned"]

_SECONDS: Final = 30.0
"""Seconds between two writes while a run goes on, so that `kling-async status` tells what it has learned so far."""

_NOTHING: Final = save_timings(DurationModel(), {})


class LearnedKeeper:
    """Writes what a client learns into the directory of its run.

    Args:
        directory: of the run.
        client: learns.
    """

    def __init__(self, directory: RunDirectory, client: Client) -> None:
        self._directory = directory
        self._client = client
        self._clock = SystemClock()
        self._due_at = self._clock.now() + _SECONDS

    async def write_if_due(self) -> None:
        """Write it if the last time is half a minute ago."""
        if self._clock.now() >= self._due_at:
            learned = self._client.export_timings()
            await anyio.to_thread.run_sync(self._write, learned)
            self._due_at = self._clock.now() + _SECONDS

    def write(self) -> None:
        """Write it now."""
        self._write(self._client.export_timings())

    def _write(self, learned: Json) -> None:
        if learned == _NOTHING:
            return
        try:
            self._directory.write_timings(learned)
        except OSError as error:
            # The next run polls a little more often until it has learned the same; nothing else depends on it.
            echo(f"[yellow]Cannot write {escape(str(self._directory.timings))}[/]: {escape(str(error))}.")


def read_learned(directory: RunDirectory) -> tuple[Json, dict[str, AccountLimits]]:
    """Return what a run has learned, and of this the limits by account; nothing, and a message, if it is damaged."""
    try:
        learned = directory.read_timings()
        return learned, load_timings(learned)[1]
    except InputError as error:
        echo(f"[yellow]What the run had learned is left aside[/]: {escape(error.message)}")
        return None, {}


def describe_learned(limits: dict[str, AccountLimits]) -> Iterator[str]:
    """Yield a line for each account; it is named by its provider only."""
    for account, known in limits.items():
        provider = provider_of(account)
        if amounts := [limit.amount for limit in learned_limits(provider, known)]:
            yield f"Learned limits of {provider}: {', '.join(amounts)}"


def learned_json(limits: dict[str, AccountLimits]) -> list[dict[str, object]]:
    """Return the limits of each account as JSON-serializable values; it is named by its provider only."""
    return [
        {
            "provider": provider_of(account),
            **{limit.kind.value: limit.value for limit in learned_limits(provider_of(account), known)},
        }
        for account, known in limits.items()
    ]
