"""The part of a wire format that GPTProto and WaveSpeedAI share: the envelope, the status words and the polls.

POST submits, and GET /api/v3/predictions/{id}/result polls. Both answer `{code, message, data}`. Inferred, where only
WaveSpeedAI's clients show it: that ``enable_sync_mode`` answers with the finished prediction, or, after a while, with
"processing" and the code 5004.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from ...types.prediction import Json
from .http import Request, Response, json_response
from .parameters import text_of
from .state import Sandbox
from .tasks import Phase, Task
from .wire_format import Route, TaskView

__all__ = ["WaveSpeedV3"]

_POLL = re.compile(r"/api/v3/predictions/([^/]+)/result")
_WORDS = {
    Phase.QUEUED: "created",
    Phase.RUNNING: "processing",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_OPEN = frozenset({Phase.QUEUED, Phase.RUNNING})


class WaveSpeedV3(ABC):
    """The envelope, the status words and the polls of WaveSpeedAI's v3 API."""

    @abstractmethod
    def describe(self, task: Task) -> Mapping[str, Json]:
        """Return the fields of every record that the two providers write in different ways."""

    @abstractmethod
    def spent(self, milliseconds: int) -> Mapping[str, Json]:
        """Return the fields about the duration of a generation."""

    @abstractmethod
    def fail(self, message: str) -> Mapping[str, Json]:
        """Return the fields that say why a prediction failed."""

    def route_of_poll(self, request: Request) -> Route | None:
        """Return the route of a poll; None if the path is another."""
        match = _POLL.fullmatch(request.path)
        return Route(kind="poll", method="GET", id=match[1]) if match else None

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        return json_response(self._envelope(task, request, "created", (), {}))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        data = answer["data"] if isinstance(answer, Mapping) else None
        if not isinstance(answer, Mapping) or not isinstance(data, Mapping):
            raise TypeError("an acceptance holds an object named data")
        return {**answer, "data": {name: value for name, value in data.items() if name not in {"id", "urls"}}}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll, or to a submission in sync mode."""
        task = view.task
        if view.late:
            error = f"Sync mode timed out after {sandbox.sync_seconds:g} seconds. Query the result by id."
            return json_response(self._envelope(task, request, "processing", (), {"code": 5004, "error": error}))
        phase = task.phase(view.now)
        word = _WORDS[phase]
        if phase in _OPEN and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "warming_up"
        more: dict[str, Json] = {}
        if phase not in _OPEN:
            more = dict(self.spent(round((task.done_at - task.started_at) * 1000)))
            more["has_nsfw_contents"] = ["flagged" in task.faults for _ in view.outputs]
        if phase is Phase.FAILED:
            more |= self.fail(task.faults.get("failed") or "The generation failed. Please try again.")
        return json_response(self._envelope(task, request, word, view.outputs, more))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no document of these providers shows a cancellation, so no path means one."""
        raise NotImplementedError

    def _envelope(
        self, task: Task, request: Request, word: str, outputs: Sequence[str], more: Mapping[str, Json]
    ) -> Json:
        data: dict[str, Json] = {
            "id": task.id,
            "model": task.spec.model,
            "outputs": list(outputs),
            "urls": {"get": f"{request.origin}/api/v3/predictions/{task.id}/result"},
            "status": word,
            **self.spent(0),
            "has_nsfw_contents": [],
            **self.describe(task),
            **more,
        }
        return {"data": data, "message": "success", "code": 200}
