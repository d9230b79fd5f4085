"""What can be made to go wrong, and how a prompt, a header or a script asks for it.

A prompt asks with a marker, ``[[NAME]]`` or ``[[NAME:ARG]]``; a header with ``X-Sandbox-Fault: NAME`` (or NAME:ARG).
Faults of a submission stand under their own name; those of a poll begin with ``poll_``, of a download with ``file_``.
A fault that passes is thrown once for each prompt, or ARG times; one that lasts is thrown every time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import frozen

__all__ = ["FAULTS", "RESULT_SHAPES", "Fault", "FaultNote", "Moment", "parse_fault", "parse_markers"]

RESULT_SHAPES = ("data.output", "data.outputs", "data.images", "data.result", "flat")
"""Shapes of API in One's finished body. It is documented nowhere: all of them are inferred."""


class Moment(StrEnum):
    """When a fault strikes."""

    SUBMIT = "submit"
    TASK = "task"
    POLL = "poll"
    FILE = "file"


@frozen(kw_only=True)
class FaultNote:
    """What one fault does.

    Attributes:
        moment: when it strikes.
        meaning: one line for people.
        billed: whether the submission is charged for; None where no submission is concerned.
        lasts: whether it strikes every time, and not only once.
        arg: what an argument means, or empty.
    """

    moment: Moment
    meaning: str
    billed: bool | None = None
    lasts: bool = False
    arg: str = ""


@frozen
class Fault:
    """A fault that was asked for: its name in `FAULTS`, and its argument."""

    name: str
    arg: str | None = None

    @property
    def times(self) -> int | None:
        """How often it strikes; None for always."""
        if FAULTS[self.name].lasts:
            return None
        return int(self.arg) if self.arg else 1


def _at_submit(meaning: str, *, billed: bool, lasts: bool = False) -> FaultNote:
    return FaultNote(
        moment=Moment.SUBMIT, meaning=meaning, billed=billed, lasts=lasts, arg="" if lasts else "how often"
    )


def _of_task(meaning: str, arg: str = "") -> FaultNote:
    return FaultNote(moment=Moment.TASK, meaning=meaning, billed=True, lasts=True, arg=arg)


def _at(moment: Moment, meaning: str) -> FaultNote:
    return FaultNote(moment=moment, meaning=meaning, arg="how often")


_TROUBLES = {
    "error_500": "HTTP 500 in the provider's own shape",
    "error_502": "HTTP 502, the HTML page of a gateway",
    "error_503": "HTTP 503 in the provider's own shape: an outage",
    "html": "HTTP 200 with an HTML page",
}
_PERSONAL = {
    "rate_limited": "HTTP 429 with Retry-After",
    "unauthorized": "HTTP 401: the key is not accepted",
    "forbidden": "HTTP 403: the key may not do this",
}
_BREAKS = {
    "garbled": "HTTP 200 with the beginning of a JSON body",
    "lost": "the connection breaks and the answer is lost",
    "hang": "no answer ever comes",
    "error_504": "HTTP 504, the HTML page of a gateway",
}

FAULTS: Mapping[str, FaultNote] = MappingProxyType(
    {
        **{name: _at_submit(f"{meaning}; nothing is started", billed=False) for name, meaning in _PERSONAL.items()},
        "broke": _at_submit("the balance does not suffice; nothing is started", billed=False),
        "refused": _at_submit("the content policy refuses the prompt; nothing is started", billed=False, lasts=True),
        "bad_request": _at_submit("HTTP 400: a parameter is wrong; nothing is started", billed=False, lasts=True),
        **{name: _at_submit(f"{meaning}; nothing is started", billed=False) for name, meaning in _TROUBLES.items()},
        "dropped": _at_submit("the connection breaks before anything is started", billed=False),
        **{name: _at_submit(f"{meaning}; it is started and charged", billed=True) for name, meaning in _BREAKS.items()},
        "no_id": _at_submit("HTTP 200 without an id; it is started and charged", billed=True),
        "failed": _of_task("it is accepted and ends as failed", "the provider's words"),
        "cancelled": _of_task("it is accepted and ends as cancelled"),
        "empty": _of_task("it completes without outputs"),
        "flagged": _of_task("it completes, and its outputs are marked unsafe (GPTProto)"),
        "slow": _of_task("it takes ten times as long", "how many times as long"),
        "unknown_status": _of_task("while it runs its status is a word nobody documented", "the word"),
        "jpeg": _of_task("its images are JPEG under an address that ends in .png"),
        "shape": _of_task("its finished body has another shape (API in One)", f"one of {', '.join(RESULT_SHAPES)}"),
        "gone": _of_task("the addresses of its outputs answer 410", "seconds that an address lives after a poll"),
        **{f"poll_{name}": _at(Moment.POLL, meaning) for name, meaning in (_PERSONAL | _TROUBLES | _BREAKS).items()},
        "poll_not_found": _at(Moment.POLL, "HTTP 404: the prediction is not known"),
        "file_gone": _at(Moment.FILE, "HTTP 410"),
        "file_rate_limited": _at(Moment.FILE, "HTTP 429 with Retry-After"),
        "file_error_500": _at(Moment.FILE, "HTTP 500"),
        "file_error_503": _at(Moment.FILE, "HTTP 503"),
        "file_html": _at(Moment.FILE, "HTTP 200 with an HTML page in place of the file"),
        "file_lost": _at(Moment.FILE, "half of the bytes, then the connection breaks"),
        "file_hang": _at(Moment.FILE, "no answer ever comes"),
    }
)
"""Every fault by its name."""

_MEASURED = frozenset({"slow", "gone"})
_MARKER = re.compile(r"\[\[([a-z][a-z0-9_]*)(?::([^\[\]]*))?\]\]")


def parse_fault(text: str, *, prefix: str = "") -> Fault:
    """Read NAME or NAME:ARG; raise ValueError for a name that `FAULTS` lacks or an argument that does not fit.

    The prefix may be left out of the name: ``lost`` is ``file_lost`` where the prefix is ``file_``.
    """
    name, colon, arg = text.strip().partition(":")
    if prefix and prefix + name in FAULTS:
        name = prefix + name
    return _checked(name, arg.strip() if colon else None)


def parse_markers(prompt: str) -> tuple[Fault, ...]:
    """Read the markers of a prompt; raise ValueError as `parse_fault` does."""
    return tuple(_checked(match[1], match[2]) for match in _MARKER.finditer(prompt))


def _checked(name: str, arg: str | None) -> Fault:
    note = FAULTS.get(name)
    if note is None:
        raise ValueError(f"the sandbox knows no fault named {name!r}; it knows {', '.join(FAULTS)}")
    if name == "shape" and arg not in RESULT_SHAPES:
        raise ValueError(f"the argument of 'shape' is {note.arg}, not {arg!r}")
    if arg and not note.lasts and not re.fullmatch(r"[0-9]{1,9}", arg):
        raise ValueError(f"the argument of {name!r} is a whole number ({note.arg}), not {arg!r}")
    if arg and name in _MEASURED and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", arg):
        raise ValueError(f"the argument of {name!r} is a number ({note.arg}), not {arg!r}")
    return Fault(name, arg or None)
