"""What a scripted provider can be told to do with a request, as values: an answer is a few steps on a raw socket."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from attrs import evolve, frozen

__all__ = ["Answer", "Script", "accepted", "poll_reply", "refused", "repeat", "reply", "said", "send", "sleep"]

Step: TypeAlias = Mapping[str, Any]


@frozen
class Answer:
    """What to do with one request.

    Attributes:
        steps: what happens, in order; after the last one the connection stays open for the next request.
        charges: whether a submission that is answered so was charged; only a plain refusal is not.
        always: whether every later request gets this answer, too.
    """

    steps: tuple[Step, ...]
    charges: bool = True
    always: bool = False

    def __add__(self, other: Answer) -> Answer:
        return Answer(self.steps + other.steps, charges=self.charges and other.charges, always=other.always)

    @property
    def for_ever(self) -> Answer:
        return evolve(self, always=True)

    @property
    def free(self) -> Answer:
        return evolve(self, charges=False)

    def told(self) -> Step:
        return {"steps": list(self.steps), "charges": self.charges, "always": self.always}


@frozen(kw_only=True)
class Script:
    """What a site answers, request by request; what no script answers is answered as a healthy provider would.

    Attributes:
        submit, poll, result, cancel, file: answers by kind of request, in the order in which the requests come.
        jobs: scripts of single jobs by their prompt; these go first.
    """

    submit: Sequence[Answer] = ()
    poll: Sequence[Answer] = ()
    result: Sequence[Answer] = ()
    cancel: Sequence[Answer] = ()
    file: Sequence[Answer] = ()
    jobs: Mapping[str, Script] = {}

    def told(self) -> Mapping[str, Any]:
        kinds = {name: getattr(self, name) for name in ("submit", "poll", "result", "cancel", "file")}
        told: dict[str, Any] = {kind: [one.told() for one in answers] for kind, answers in kinds.items() if answers}
        return told | {"jobs": {prompt: script.told() for prompt, script in self.jobs.items()}}


def _step(do: str, **what: object) -> Answer:
    return Answer(({"do": do, **what},))


def _text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("latin-1")


RESET, CLOSE = _step("reset"), _step("close")
HEALTHY_SUBMIT, HEALTHY_POLL, HEALTHY_FILE = _step("submit"), _step("poll"), _step("file")


def sleep(seconds: float) -> Answer:
    """Do nothing for a while."""
    return Answer(({"do": "sleep", "for": seconds},))


def send(data: str | bytes) -> Answer:
    """Write raw bytes; `<<id>>`, `<<origin>>`, `<<prompt>>` and `<<target>>` stand for what they name."""
    return _step("send", data=_text(data))


def repeat(data: str | bytes, *, times: int, every: float = 0.0, times_each: int = 1) -> Answer:
    """Write the same bytes again and again, until the other side hangs up."""
    return _step("repeat", data=_text(data), times=times, every=every, times_each=times_each)


def reply(
    body: str | bytes = b"",
    *,
    status: str = "200 OK",
    headers: Sequence[tuple[str, str]] = (),
    length: bool = True,
    short: int = 0,
) -> Answer:
    """Write a whole HTTP reply.

    Args:
        length: whether it has a Content-Length.
        short: bytes at its end that never come, although the length counts them.
    """
    return _step("reply", body=_text(body), status=status, headers=list(headers), length=length, short=short)


def refused(status: str, document: object = None, *, headers: Sequence[tuple[str, str]] = ()) -> Answer:
    """Say no, for free."""
    body = document if document is not None else {"error": {"message": status, "type": "error"}}
    return reply(json.dumps(body), status=status, headers=headers).free


def said(word: str) -> Answer:
    """Tell, as the provider's records do, that a prediction stands as this word says, without outputs."""
    return _step("poll", word=word)


def accepted(id: object = "<<id>>", **more: object) -> Answer:
    """Accept a submission under an id of one's own choice."""
    return reply(json.dumps({"code": 200, "data": {"id": id, "status": "created", "outputs": [], **more}}))


def poll_reply(status: object, outputs: Sequence[object] = (), **more: object) -> Answer:
    """Tell how a prediction stands."""
    return reply(json.dumps({"code": 200, "data": {"id": "<<id>>", "status": status, "outputs": outputs, **more}}))
