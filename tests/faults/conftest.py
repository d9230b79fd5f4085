"""What the rows of the fault matrix share: the scripted provider, clients before it, and the promises all rows hold."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from kling_async import Client, ImageInput, Limits
from kling_async.system.clock import SystemClock

from ..conftest import NO_LIMITS
from .answers import Script
from .harness import ProviderProcess, Site
from .promises import CANARY, check_no_key, check_no_key_in_files

PACE = 100.0
"""Seconds of a client's clock in one second; requests and their deadlines keep to the real time."""
ANSWER_WITHIN = 0.4
"""Seconds that one exchange with an API may take, where a test waits for that to pass."""
LONG_ENOUGH = 5.0
"""Seconds that it may take elsewhere: machines that run tests are busy."""

OpenSite = Callable[..., Site]
OpenClient = Callable[..., Client]


class PacedClock(SystemClock):
    """Real time, faster: sockets are real, so it may not leap."""

    def __init__(self, pace: float = PACE) -> None:
        self._pace = pace
        self._random = random.Random(7)

    def now(self) -> float:
        return time.monotonic() * self._pace

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(max(0.0, seconds) / self._pace)

    def dice(self) -> float:
        return self._random.random()


@pytest.fixture(scope="session")
def provider_process() -> Iterator[ProviderProcess]:
    """Start the scripted provider once for all rows; each opens sites of its own."""
    with ProviderProcess() as process:
        yield process


@pytest.fixture
def site(provider_process: ProviderProcess) -> Iterator[OpenSite]:
    """Open sites, which are closed behind the test."""
    with ExitStack() as stack:

        def opening(script: Script | None = None, **settings: Any) -> Site:
            return stack.enter_context(provider_process.site(script, canary=CANARY, **settings))

        yield opening


def client_of(
    site: Site,
    *,
    provider: str = "gptproto",
    limits: Limits = NO_LIMITS,
    pace: float = PACE,
    request_timeout: float = PACE * LONG_ENOUGH,
    origin: str | None = None,
    **settings: Any,
) -> Client:
    """Make a client of a site, in a hurry.

    `request_timeout` limits an exchange by the real time, and a call that waits for one by the client's clock.
    """
    return Client(
        provider,
        api_keys={provider: CANARY},
        base_urls={provider: origin or site.origin},
        limits={provider: limits},
        **{"clock": PacedClock(pace), "request_timeout": request_timeout, **settings},
    )


def cats(number: int) -> list[ImageInput]:
    """Return inputs whose prompts tell them apart."""
    return [ImageInput(prompt=f"cat {position}") for position in range(number)]


@pytest.fixture(scope="session", autouse=True)
def _warmed(provider_process: ProviderProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let both backends import what they import on first use, so that no row is blamed for that memory."""

    async def once(directory: Path) -> None:
        with provider_process.site(canary=CANARY) as site:
            async with client_of(site) as client:
                await client.download(await client.generate(cats(1)[0]), directory)

    for backend in ("asyncio", "trio"):
        anyio.run(partial(once, tmp_path_factory.mktemp(backend)), backend=backend)


@pytest.fixture(autouse=True)
def _promises(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[None]:
    """Hold each row to a key that shows in no log, output or file (G10); `timed` holds it to the rest."""
    caplog.set_level(logging.DEBUG)
    yield
    check_no_key(*capfd.readouterr(), caplog.text, *(repr(vars(record)) for record in caplog.records))
    check_no_key_in_files(tmp_path)


def listing(directory: Path) -> list[str]:
    """Return the names in a directory."""
    return sorted(path.name for path in directory.iterdir())


def named(table: Mapping[str, object] | Sequence[object]) -> list[Any]:
    """Return the rows of a table as parameters with readable names."""
    rows = table.items() if isinstance(table, Mapping) else ((str(one), one) for one in table)
    return [pytest.param(value, id=name) for name, value in rows]
