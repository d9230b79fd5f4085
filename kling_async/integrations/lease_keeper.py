"""Keep the lease of a worker in a thread of its own: it lasts while the event loop is busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from ..journal.worker_lease import WorkerLease
from ..types.errors import KlingError

__all__ = ["LeaseKeeper"]


class LeaseKeeper:
    """Renews a lease again and again, and tells of the workers that are gone.

    Args:
        lease: the lease.
        seconds: between two renewals.
        take_over: lets others have what workers with these names had; called in the thread.
        on_failure: is called in the thread, once, if the lease is lost; nothing is renewed after that.
    """

    def __init__(
        self,
        lease: WorkerLease,
        *,
        seconds: float,
        take_over: Callable[[Sequence[str]], None],
        on_failure: Callable[[KlingError], object],
    ) -> None:
        self._lease = lease
        self._seconds = seconds
        self._take_over = take_over
        self._on_failure = on_failure
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kling-async worker lease", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            try:
                gone = self._lease.renew()
                if gone:
                    self._take_over(gone)
                    self._lease.forget(gone)  # last: whoever fails here leaves them to the next one
            except KlingError as error:
                if not self._stopped.is_set():
                    self._on_failure(error)
                return

    def stop(self) -> None:
        """End it, and wait for what it is doing."""
        self._stopped.set()
        self._thread.join()
