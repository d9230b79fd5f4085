"""Fault injection: the faults, and their requests in prompts, headers and scripts.

A prompt requests a fault by a marker, ``[[NAME]]`` or ``[[NAME:ARG]]``; a header by ``X-Sandbox-Fault: NAME`` (or
NAME:ARG). Faults of a submission have their own name; those of a poll begin with ``poll_``, of a download with
``file_``, of an upload with ``upload_``, of a webhook with ``webhook_``. A transient fault is injected once for each
prompt, or ARG times; a permanent one every time.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType

from attrs import define, field, frozen

__all__ = [
    "FAULTS",
    "RESULT_SHAPES",
    "Fault",
    "FaultInjector",
    "FaultSpec",
    "FaultStage",
    "parse_fault",
    "parse_markers",
]

RESULT_SHAPES = ("data.output", "data.outputs", "data.images", "data.result", "flat")
"""Shapes of API in One's finished body. It is undocumented: all of them are inferred."""


class FaultStage(StrEnum):
    """The request that a fault affects."""

    SUBMIT = "submit"
    TASK = "task"
    POLL = "poll"
    FILE = "file"
    WEBHOOK = "webhook"
    UPLOAD = "upload"


@frozen(kw_only=True)
class FaultSpec:
    """The effect of one fault.

    Attributes:
        stage: the request that it affects.
        meaning: one line for people.
        billed: whether the submission is charged; None for polls and downloads.
        permanent: whether it is injected every time, and not only once.
        arg: the meaning of its argument, or empty.
    """

    stage: FaultStage
    meaning: str
    billed: bool | None = None
    permanent: bool = False
    arg: str = ""


@frozen
class Fault:
    """A requested fault: its name in `FAULTS`, and its argument."""

    name: str
    arg: str | None = None

    @property
    def times(self) -> int | None:
        """How often it is injected; None for always."""
        if FAULTS[self.name].permanent:
            return None
        return int(self.arg) if self.arg else 1


def _at_submit(meaning: str, *, billed: bool, permanent: bool = False) -> FaultSpec:
    return FaultSpec(
        stage=FaultStage.SUBMIT,
        meaning=meaning,
        billed=billed,
        permanent=permanent,
        arg="" if permanent else "how often",
    )


def _of_task(meaning: str, arg: str = "") -> FaultSpec:
    return FaultSpec(stage=FaultStage.TASK, meaning=meaning, billed=True, permanent=True, arg=arg)


def _of_webhook(meaning: str, arg: str = "") -> FaultSpec:
    return FaultSpec(stage=FaultStage.WEBHOOK, meaning=meaning, permanent=True, arg=arg)


def _at(stage: FaultStage, meaning: str) -> FaultSpec:
    return FaultSpec(stage=stage, meaning=meaning, arg="how often")


_SERVER_ERRORS = {
    "error_500": "HTTP 500 in the provider's own shape",
    "error_502": "HTTP 502, the HTML page of a gateway",
    "error_503": "HTTP 503 in the provider's own shape: an outage",
    "html": "HTTP 200 with an HTML page",
}
_KEY_ERRORS = {
    "rate_limited": "HTTP 429 with Retry-After",
    "unauthorized": "HTTP 401: the key is not accepted",
    "forbidden": "HTTP 403: the key may not do this",
}
_LOST_ANSWERS = {
    "garbled": "HTTP 200 with the beginning of a JSON body",
    "lost": "the connection breaks and the answer is lost",
    "hang": "no answer ever comes",
    "error_504": "HTTP 504, the HTML page of a gateway",
}

FAULTS: Mapping[str, FaultSpec] = MappingProxyType(
    {
        **{name: _at_submit(f"{meaning}; nothing is started", billed=False) for name, meaning in _KEY_ERRORS.items()},
        "no_balance": _at_submit("the balance is too low; nothing is started", billed=False),
        "refused": _at_submit(
            "the content policy refuses the prompt; nothing is started", billed=False, permanent=True
        ),
        "bad_request": _at_submit("HTTP 400: a parameter is wrong; nothing is started", billed=False, permanent=True),
        **{
            name: _at_submit(f"{meaning}; nothing is started", billed=False) for name, meaning in _SERVER_ERRORS.items()
        },
        "dropped": _at_submit("the connection breaks before anything is started", billed=False),
        **{
            name: _at_submit(f"{meaning}; it is started and charged", billed=True)
            for name, meaning in _LOST_ANSWERS.items()
        },
        "no_id": _at_submit("HTTP 200 without an id; it is started and charged", billed=True),
        "failed": _of_task("it is accepted and ends as failed", "the provider's message"),
        "cancelled": _of_task("it is accepted and ends as cancelled"),
        "empty": _of_task("it completes without outputs"),
        "flagged": _of_task("it completes, and its outputs are marked unsafe (GPTProto)"),
        "slow": _of_task("it takes ten times as long", "how many times as long"),
        "unknown_status": _of_task("while it runs its status is an undocumented word", "the word"),
        "jpeg": _of_task("its images are JPEG under a URL that ends in .png"),
        "shape": _of_task("its finished body has another shape (API in One)", f"one of {', '.join(RESULT_SHAPES)}"),
        "unsigned": _of_task("the only URLs of its outputs are those that ask for the API key (OpenRouter)"),
        "gone": _of_task("the URLs of its outputs answer 410", "seconds that a URL lives after a poll"),
        **{
            f"poll_{name}": _at(FaultStage.POLL, meaning)
            for name, meaning in (_KEY_ERRORS | _SERVER_ERRORS | _LOST_ANSWERS).items()
        },
        "poll_not_found": _at(FaultStage.POLL, "HTTP 404: the prediction is unknown"),
        "file_gone": _at(FaultStage.FILE, "HTTP 410"),
        "file_rate_limited": _at(FaultStage.FILE, "HTTP 429 with Retry-After"),
        "file_error_500": _at(FaultStage.FILE, "HTTP 500"),
        "file_error_503": _at(FaultStage.FILE, "HTTP 503"),
        "file_html": _at(FaultStage.FILE, "HTTP 200 with an HTML page in place of the file"),
        "file_lost": _at(FaultStage.FILE, "half of the bytes, then the connection breaks"),
        "file_hang": _at(FaultStage.FILE, "no answer ever comes"),
        "webhook_lost": _of_webhook("no webhook is sent about the end"),
        "webhook_late": _of_webhook("the webhook about the end is sent a minute late", "how many seconds late"),
        "webhook_doubled": _of_webhook("the webhook about the end is sent twice"),
        "webhook_forged": _of_webhook("at once a forged webhook says that it failed, with a wrong signature"),
        "webhook_reordered": _of_webhook("after the webhook about the end, one comes that says it is running"),
        **{
            f"upload_{name}": _at(FaultStage.UPLOAD, meaning)
            for name, meaning in (_KEY_ERRORS | _SERVER_ERRORS).items()
        },
        "upload_bad_request": _at(FaultStage.UPLOAD, "HTTP 400: the media are refused"),
        "upload_too_large": _at(FaultStage.UPLOAD, "HTTP 413: the content is too large"),
        "upload_lost": _at(FaultStage.UPLOAD, "the connection breaks, and nothing is kept"),
        "upload_hang": _at(FaultStage.UPLOAD, "no answer ever comes, and nothing is kept"),
    }
)
"""Every fault by its name."""

_WITH_NUMBER = frozenset({"slow", "gone", "webhook_late"})
_MARKER = re.compile(r"\[\[([a-z][a-z0-9_]*)(?::([^\[\]]*))?\]\]")


def parse_fault(text: str, *, prefix: str = "") -> Fault:
    """Parse NAME or NAME:ARG. Raises ValueError for an unknown name or an invalid argument.

    The prefix may be left out of the name: ``lost`` is ``file_lost`` where the prefix is ``file_``.
    """
    name, colon, arg = text.strip().partition(":")
    if prefix and prefix + name in FAULTS:
        name = prefix + name
    return _validated(name, arg.strip() if colon else None)


def parse_markers(prompt: str) -> tuple[Fault, ...]:
    """Parse the markers of a prompt. Raises ValueError as `parse_fault` does."""
    return tuple(_validated(match[1], match[2]) for match in _MARKER.finditer(prompt))


def _validated(name: str, arg: str | None) -> Fault:
    note = FAULTS.get(name)
    if note is None:
        raise ValueError(f"the sandbox knows no fault named {name!r}; it knows {', '.join(FAULTS)}")
    if name == "shape" and arg not in RESULT_SHAPES:
        raise ValueError(f"the argument of 'shape' is {note.arg}, not {arg!r}")
    if arg and not note.permanent and not re.fullmatch(r"[0-9]{1,9}", arg):
        raise ValueError(f"the argument of {name!r} is a whole number ({note.arg}), not {arg!r}")
    if arg and name in _WITH_NUMBER and not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", arg):
        raise ValueError(f"the argument of {name!r} is a number ({note.arg}), not {arg!r}")
    return Fault(name, arg or None)


_PREFIX = {
    FaultStage.SUBMIT: "",
    FaultStage.POLL: "poll_",
    FaultStage.FILE: "file_",
    FaultStage.UPLOAD: "upload_",
    FaultStage.WEBHOOK: "webhook_",
}


@define(eq=False)
class FaultInjector:
    """Selects the fault of each request: by header, by script, or by the markers of the prompt."""

    _scripts: dict[FaultStage, deque[Fault | None]] = field(factory=lambda: {m: deque() for m in _PREFIX}, init=False)
    _injected: Counter[tuple[str, str]] = field(factory=Counter[tuple[str, str]], init=False)

    def script(self, stage: FaultStage, faults: Iterable[str | None]) -> None:
        """Inject these next, one for each request. Raises ValueError for a name of another stage."""
        allowed = {stage, FaultStage.TASK} if stage is FaultStage.SUBMIT else {stage}
        parsed = [None if text is None else parse_fault(text, prefix=_PREFIX[stage]) for text in faults]
        for fault in parsed:
            if fault and FAULTS[fault.name].stage not in allowed:
                raise ValueError(f"the fault {fault.name!r} cannot be scripted for a {stage.value}")
        self._scripts[stage].extend(parsed)

    def next_fault(
        self, stage: FaultStage, *, prompt: str, header: str = ""
    ) -> tuple[Fault | None, dict[str, str | None]]:
        """Return the fault of this request, or None, and the faults of its task.

        The header has priority, then the script, then the markers of the prompt. Raises ValueError for unknown names.
        """
        requested = [parse_fault(header, prefix=_PREFIX[stage])] if header.strip() else []
        marked = parse_markers(prompt)
        script = self._scripts[stage]
        if script and (scripted := script.popleft()):
            requested.append(scripted)
        task_faults = {
            fault.name: fault.arg for fault in (*marked, *requested) if FAULTS[fault.name].stage is FaultStage.TASK
        }
        for fault in requested:
            if FAULTS[fault.name].stage is stage:
                return fault, task_faults
        for fault in marked:
            if FAULTS[fault.name].stage is stage and self._is_due(fault, prompt):
                return fault, task_faults
        return None, task_faults

    def _is_due(self, fault: Fault, prompt: str) -> bool:
        self._injected[fault.name, prompt] += 1
        return fault.times is None or self._injected[fault.name, prompt] <= fault.times
