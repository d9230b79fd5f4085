"""Log what happens to each job: a line for each acceptance and each end, with key, provider, id, seconds and cost."""

from __future__ import annotations

import logging
import sys
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from ..types.errors import KlingError
from ..types.events import Event, EventKind
from ..types.formatting import format_money
from ..types.prediction import Prediction
from ..types.printable import one_line
from ..types.status import JobStatus
from .event_listeners import EventListeners

__all__ = ["EVENT_LOG", "LOG_SETTING", "EventLog", "apply_log_setting", "log_level", "log_saved", "start_log"]

EVENT_LOG: Final = __name__
"""The name of the logger that the lines are written to."""
_log = logging.getLogger(EVENT_LOG)

LOG_SETTING: Final = "KLING_LOG"
"""The environment variable that turns logging on: `info` or `debug`."""
_LEVELS: Final = {"info": logging.INFO, "debug": logging.DEBUG}
_REMEMBERED: Final = 10_000
"""Jobs that have ended and are remembered, so that each end is logged once, however many calls have joined it."""
_UNFINISHED: Final = frozenset({JobStatus.PLANNED, JobStatus.SUBMITTING, JobStatus.RESOLVING, JobStatus.ACCEPTED})


class EventLog:
    """Writes the events of a client's jobs to the log. While that is off it keeps nothing."""

    def __init__(self) -> None:
        self._began: dict[tuple[str, str | None], float] = {}
        self._ended: OrderedDict[tuple[str, str], None] = OrderedDict()

    def __call__(self, event: Event) -> None:
        """Write a line about an event: acceptances and ends at INFO, all else at DEBUG."""
        if not _log.isEnabledFor(logging.INFO):
            return
        known = event.prediction
        job = (event.provider, event.key or (None if known is None else known.id))
        if event.kind in (EventKind.SUBMITTED, EventKind.RESUMED):
            self._began.setdefault(job, event.at)
        if event.kind is EventKind.ACCEPTED:
            _log.info("accepted %s", _facts(event, known, self._seconds(job, event)))
        elif event.kind is EventKind.FINISHED:
            self._finish(job, event, known)
        else:
            error = "" if event.error is None else f" error={_error(event.error)}"
            _log.debug("%s %s%s", event.kind.value, _facts(event, known, self._seconds(job, event)), error)

    def _finish(self, job: tuple[str, str | None], event: Event, known: Prediction | None) -> None:
        seconds = self._seconds(job, event)
        if event.replayed or (event.status in _UNFINISHED and known is not None):
            _log.debug("%s %s", "replayed" if event.replayed else "left", _facts(event, known, seconds))
            return
        if known is not None and not self._is_first((event.provider, known.id)):
            return
        self._began.pop(job, None)
        cost = "" if known is None else f" cost={'unknown' if known.cost is None else format_money(known.cost)}"
        error = "" if event.error is None else f" error={_error(event.error)}"
        _log.info("%s %s%s%s", event.status.value, _facts(event, known, seconds), cost, error)

    def _seconds(self, job: tuple[str, str | None], event: Event) -> float | None:
        began = self._began.get(job)
        return None if began is None else event.at - began

    def _is_first(self, ended: tuple[str, str]) -> bool:
        first = ended not in self._ended
        self._ended[ended] = None
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)
        return first


def log_saved(prediction: Prediction, files: int, *, seconds: float) -> None:
    """Write a line about the saved files of a prediction."""
    message = "saved key=%s provider=%s id=%s files=%d seconds=%.2f"
    _log.info(message, _name(prediction.key), prediction.provider, _name(prediction.id), files, seconds)


def log_level(environ: Mapping[str, str]) -> int | None:
    """Return the level that the environment asks for; None if it asks for none."""
    return _LEVELS.get(environ.get(LOG_SETTING, "").strip().lower())


def apply_log_setting(environ: Mapping[str, str]) -> None:
    """Write the package's log to stderr if KLING_LOG asks for it; handlers of the program stay the only ones."""
    level, log = log_level(environ), logging.getLogger("kling_async")
    if level is None:
        return
    log.setLevel(level)
    if not log.hasHandlers():
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        log.addHandler(handler)


def start_log(listeners: EventListeners, environ: Mapping[str, str]) -> None:
    """Log the events of a client from now on, and do what KLING_LOG asks for."""
    apply_log_setting(environ)
    listeners.add(EventLog())


def _facts(event: Event, known: Prediction | None, seconds: float | None) -> str:
    id = "" if known is None else f" id={_name(known.id)}"
    time = "" if seconds is None else f" seconds={seconds:.2f}"
    return f"key={_name(event.key)} provider={event.provider}{id}{time}"


def _name(name: str | None) -> str | None:
    """Return a key or an id as one printable line: it is the user's or the provider's, and may be any text."""
    return None if name is None else one_line(name)


def _error(error: KlingError) -> str:
    return f"{type(error).__name__}: {one_line(error.message)}"
