"""Which fault strikes next: by header, by script, or by the markers of the prompt."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from attrs import define, field

from .faults import FAULTS, Fault, Moment, parse_fault, parse_markers

__all__ = ["Mischief"]

_PREFIX = {Moment.SUBMIT: "", Moment.POLL: "poll_", Moment.FILE: "file_"}


@define(eq=False)
class Mischief:
    """Faults that are due."""

    _scripts: dict[Moment, deque[Fault | None]] = field(factory=lambda: {m: deque() for m in _PREFIX}, init=False)
    _thrown: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]], init=False)

    def script(self, moment: Moment, faults: Iterable[str | None]) -> None:
        """Throw these next, one for each request; raise ValueError for a name that does not fit the moment."""
        allowed = {moment, Moment.TASK} if moment is Moment.SUBMIT else {moment}
        parsed = [None if text is None else parse_fault(text, prefix=_PREFIX[moment]) for text in faults]
        for fault in parsed:
            if fault and FAULTS[fault.name].moment not in allowed:
                raise ValueError(f"the fault {fault.name!r} cannot be scripted for a {moment.value}")
        self._scripts[moment].extend(parsed)

    def due(self, moment: Moment, *, prompt: str, header: str = "") -> tuple[Fault | None, dict[str, str | None]]:
        """Return the fault to answer with, if any, and those that the task takes along.

        The header comes first, then the script, then the markers of the prompt. Raises ValueError for unknown names.
        """
        asked = [parse_fault(header, prefix=_PREFIX[moment])] if header.strip() else []
        marked = parse_markers(prompt)
        script = self._scripts[moment]
        if script and (scripted := script.popleft()):
            asked.append(scripted)
        along = {fault.name: fault.arg for fault in (*marked, *asked) if FAULTS[fault.name].moment is Moment.TASK}
        for fault in asked:
            if FAULTS[fault.name].moment is moment:
                return fault, along
        for fault in marked:
            if FAULTS[fault.name].moment is moment and self._strikes(fault, prompt):
                return fault, along
        return None, along

    def _strikes(self, fault: Fault, prompt: str) -> bool:
        self._thrown[fault.name, prompt] += 1
        return fault.times is None or self._thrown[fault.name, prompt] <= fault.times
