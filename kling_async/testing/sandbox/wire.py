"""What a provider's wire format has to say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

from attrs import frozen

from ...prediction import Json
from .http import Answer, Request
from .state import Sandbox
from .work import Order, Task

__all__ = ["Action", "View", "Wire"]


@frozen(kw_only=True)
class Action:
    """What a path means: a submission to a model, or a poll of an id, and the method that it needs."""

    kind: Literal["submit", "poll"]
    method: str
    model: str = ""
    scene: str = ""
    id: str = ""


@frozen(kw_only=True)
class View:
    """How a task looks at a moment.

    Attributes:
        now: the moment, in the clock's seconds.
        outputs: addresses, or base64 where that was asked for; empty until it has completed.
        late: whether a submission waited for it in vain.
    """

    task: Task
    now: float
    outputs: Sequence[str] = ()
    late: bool = False


class Wire(Protocol):
    """One provider's way of saying things. It reads and writes, and decides nothing."""

    name: str

    def key_of(self, authorization: str) -> str:
        """Return the key that an Authorization header holds, or an empty string."""
        ...

    def route(self, request: Request) -> Action | None:
        """Tell what a path means, or None when it is not this provider's."""
        ...

    def read(self, action: Action, body: Mapping[str, Json], sandbox: Sandbox) -> Order:
        """Check a submission; raise `reader.Invalid` with all that is wrong."""
        ...

    def refuse(self, reason: str, message: str = "") -> Answer:
        """Say no, for a reason that is a name in `FAULTS` or ``not_found``."""
        ...

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Answer:
        """Tell the id of a task that was accepted."""
        ...

    def without_id(self, answer: Json) -> Json:
        """Take the id out of an acceptance."""
        ...

    def report(self, view: View, request: Request, sandbox: Sandbox) -> Answer:
        """Tell how a task stands."""
        ...
