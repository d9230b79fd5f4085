"""What every row holds beside its own: calls end in time, memory stays bounded, and the key shows nowhere.

Each promise is a plain assertion, so that the negative controls can hold it against code that breaks it.
"""

from __future__ import annotations

import contextlib
import pickle
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Generic, TypeVar

import anyio
from attrs import field, frozen

from kling_async.errors import KlingError

from ..s3 import Bucket
from .harness import ServerLog

__all__ = [
    "CANARY",
    "Ended",
    "Memory",
    "check_key_stayed",
    "check_no_key",
    "check_no_key_in_files",
    "check_paid_once",
    "check_whole_files",
    "check_whole_objects",
    "shown_by",
    "timed",
    "waited_for_processor",
]

CANARY = "sk-canary-b7d1e95c04f2"
GRACE = 1.0
"""Seconds after its deadline by which a call must have ended (G8); those in which it got no processor do not count."""
HUNG = 30.0
"""Seconds after its deadline when a call counts as hung: far more than any load makes of a late one."""
MEMORY = 12 * 1024 * 1024
"""Bytes by which a call may grow the process: an API reply of 4 MiB, and 8 MiB over that (G9)."""
PER_JOB = 1280 * 1024
"""Bytes more for each job under way."""

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


@frozen
class Ended(Generic[T]):
    """How a call ended, and after how many seconds, without those that the machine withheld."""

    value: T | None = field(repr=False)
    error: BaseException | None
    took: float

    def well(self) -> T:
        """Return what came; the call must not have failed."""
        if self.error is not None:
            raise AssertionError(f"it failed: {self.error!r}") from self.error
        assert self.value is not None
        return self.value

    def badly(self, kind: type[E]) -> E:
        """Return the error; it must be exactly of this kind."""
        assert type(self.error) is kind, f"expected {kind.__name__}, got {self.error!r}"
        return self.error


async def timed(ask: Callable[[], Awaitable[T]], *, by: float, jobs: int = 1) -> Ended[T]:
    """Wait for a call, and hold it to its deadline (G8), to bounded memory (G9) and its error to secrecy (G10).

    Args:
        by: seconds from now that are its deadline.
        jobs: how many of them it has under way.
    """
    memory, began, withheld = Memory(), time.monotonic(), waited_for_processor()
    value: T | None = None
    failed: Exception | None = None
    # The net is wider than the promise, so that what hangs is told apart from what is late.
    with anyio.move_on_after(by + HUNG) as net:
        try:
            value = await ask()
        except Exception as error:  # noqa: BLE001 - what it is, is the question
            failed = error
    # The provider has as much to do as the client, so that it waits for a processor as long.
    took = time.monotonic() - began - 2 * max(0.0, waited_for_processor() - withheld)
    assert not net.cancelled_caught, f"it never ended: its deadline was {by:g} s"
    assert took <= by + GRACE, f"it ended after {took:.2f} s: its deadline was {by:g} s"
    memory.check(jobs=jobs)
    if failed is not None:
        assert isinstance(failed, KlingError), f"not one of ours: {failed!r}"
        check_no_key(*shown_by(failed))
    return Ended(value, failed, took)


def waited_for_processor() -> float:
    """Return for how many seconds threads of this process were ready and found every processor busy; Linux tells."""
    statistics = Path("/proc/self/task").glob("*/schedstat")
    waited = 0
    for one in statistics:
        with contextlib.suppress(OSError):  # a thread that has just ended
            waited += int(one.read_text(encoding="ascii").split()[1])
    return waited / 1e9


def shown_by(error: BaseException) -> list[str | bytes]:
    """Return all that an error may show: text, repr, traceback with locals, attributes, pickle."""
    trace = traceback.TracebackException.from_exception(error, capture_locals=True)
    return [str(error), repr(error), "".join(trace.format()), repr(vars(error)), pickle.dumps(error)]


def check_no_key(*shown: str | bytes) -> None:
    """Hold that the key is in nothing that is shown (G10)."""
    for one in shown:
        text = one if isinstance(one, str) else one.decode("latin-1")
        at = text.find(CANARY)
        assert at < 0, f"the key shows: ...{text[max(0, at - 200) : at]}[KEY]"


def check_no_key_in_files(directory: Path) -> None:
    """Hold that the key is in no file below a directory."""
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            check_no_key(path.read_bytes())


def check_paid_once(log: ServerLog, prompts: Iterable[str]) -> None:
    """Hold that each job was submitted once and charged once (G3, G4)."""
    wanted = dict.fromkeys(prompts, 1)
    assert wanted == dict(log.submissions()), "submissions by job"
    assert wanted == {prompt: len(ids) for prompt, ids in log.charges.items()}, "charges by job"


class Memory:
    """How much this process grew at most since it was made; Linux tells, elsewhere nothing is known."""

    def __init__(self) -> None:
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew, at what is now
        self._before = _peak()

    @property
    def readable(self) -> bool:
        return self._before > 0

    @property
    def growth(self) -> int:
        return _peak() - self._before

    def check(self, *, jobs: int = 1) -> None:
        """Hold that it did not grow by more than is promised for so many jobs (G9)."""
        grown = self.growth
        assert grown <= MEMORY + jobs * PER_JOB, f"the process grew by {grown / 1048576:.1f} MiB"


def _peak() -> int:
    if sys.platform != "linux":
        return 0
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def check_whole_files(directory: Path, *wholes: bytes) -> None:
    """Hold that whatever has a final name is whole (G6): the bytes of one version, all of them."""
    for path in directory.iterdir():
        if ".part" not in path.name:
            assert path.read_bytes() in wholes, f"{path.name} is none of the files that were served"


def check_whole_objects(bucket: Bucket, *wholes: bytes) -> None:
    """Hold that every object of a bucket is whole (G6)."""
    for name, content in bucket.objects().items():
        assert content in wholes, f"{name} is not whole"


def check_key_stayed(foreign: ServerLog) -> None:
    """Hold that a host other than the configured one never saw the key (G10)."""
    assert not foreign.key_seen, "the key went to another host"
