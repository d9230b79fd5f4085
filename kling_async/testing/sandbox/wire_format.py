"""The interface of a provider's wire format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, runtime_checkable

from attrs import frozen

from ...types.prediction import Json
from .http import Request, Response
from .state import Sandbox
from .tasks import Task, TaskSpec

__all__ = ["PagedWire", "ReplayingWire", "Route", "TaskView", "WireFormat"]


@frozen(kw_only=True)
class Route:
    """The meaning of a path: a submission to a model, or what is done with an id, and its method.

    That is a poll, a cancellation, or a download of an output that asks for the API key. A page is about no prediction.

    Attributes:
        id: the id of the prediction.
        more_ids: further ids of a poll of several.
        by_client_id: whether the ids may be those that the callers gave; both are searched.
        is_public: whether a page is sent without an API key.
    """

    kind: Literal["submit", "poll", "cancel", "content", "page"]
    method: str
    model: str = ""
    scene: str = ""
    id: str = ""
    more_ids: tuple[str, ...] = ()
    by_client_id: bool = False
    is_public: bool = False


@frozen(kw_only=True)
class TaskView:
    """A task at one moment.

    Attributes:
        now: the time, in seconds of the clock.
        outputs: URLs, or base64 on request; empty until it is completed.
        late: whether a submission in sync mode waited without a result.
    """

    task: Task
    now: float
    outputs: Sequence[str] = ()
    late: bool = False


class WireFormat(Protocol):
    """One provider's wire format: it parses requests and builds responses, and has no state."""

    name: str

    def key_of(self, authorization: str) -> str:
        """Return the API key of an Authorization header, or an empty string."""
        ...

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        ...

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults; an empty string if there is none."""
        ...

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises `Invalid` with all its errors."""
        ...

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``.

        Where content is served, ``not_ready`` is one too.
        """
        ...

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        ...

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        ...

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll."""
        ...

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Return the response to a cancellation; `late` is whether the task had finished before."""
        ...


@runtime_checkable
class ReplayingWire(Protocol):
    """A wire format whose submissions may have an idempotency key."""

    def replay(self, task: Task, request: Request, sandbox: Sandbox, *, is_same: bool) -> Response:
        """Return the response to a submission with the key of a task; `is_same` is whether it is its submission."""
        ...


@runtime_checkable
class PagedWire(Protocol):
    """A wire format with requests that are about no prediction and charge nothing."""

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to such a request, whose key is valid."""
        ...
