"""API in One's wire: POST /api/v1/images/generations, POST /api/v1/videos/generations, GET /api/v1/tasks/{task_id}.

Parameters, the answer to a submission and the form of errors are documented. The finished body is documented nowhere,
so it can be had in several shapes (`RESULT_SHAPES`), every one of them inferred from what clients look for. Inferred
too: HTTP statuses beyond 400 and 401, the answer to an unknown id, and the price of kling-3 between its published ends.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...prediction import Json
from .apiinone_rules import read_image, read_video
from .http import Answer, Request, json_answer
from .reader import Invalid
from .state import Sandbox
from .wire import Action, View
from .work import Order, Phase, Task

__all__ = ["Apiinone"]

_POLL = re.compile(r"/api/v1/tasks/([^/]+)")
_SUBMITS = {"/api/v1/images/generations": "images", "/api/v1/videos/generations": "videos"}
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "unauthorized": (401, "Invalid API key", "authentication_error"),
    "broke": (402, "Insufficient credits", "insufficient_credits"),
    "forbidden": (403, "Access denied", "permission_denied"),
    "refused": (400, "Content blocked by the content policy", "content_policy_violation"),
    "bad_request": (400, "Invalid parameters", "invalid_request"),
    "rate_limited": (429, "Too many requests", "rate_limit_exceeded"),
    "error_500": (500, "Internal server error", "server_error"),
    "error_503": (503, "Service unavailable", "service_unavailable"),
    "not_found": (404, "Task not found", "not_found"),
}
# A new task is IN_PROGRESS, and one polls until 'completed' or 'failed': the letters change case in the documents too.
_WORDS = {
    Phase.QUEUED: "IN_PROGRESS",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


class Apiinone:
    """API in One, as its documents describe it."""

    name = "apiinone"

    def key_of(self, authorization: str) -> str:
        """Return the key of a header; only a Bearer token counts."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Action | None:
        """Tell what a path means, or None when it is not this provider's."""
        if match := _POLL.fullmatch(request.path):
            return Action(kind="poll", method="GET", id=match[1])
        if scene := _SUBMITS.get(request.path):
            return Action(kind="submit", method="POST", scene=scene)
        return None

    def read(self, action: Action, body: Mapping[str, Json], sandbox: Sandbox) -> Order:
        """Check a submission; raise Invalid with all that is wrong."""
        model = body.get("model")
        if action.scene == "images" and model == "kling-image-o1":
            return read_image(body, strict=sandbox.strict)
        if action.scene == "videos" and model == "kling-3":
            return read_video(body, strict=sandbox.strict)
        raise Invalid(
            "model is required" if model is None else f"unknown model at /{action.scene}/generations: {model}"
        )

    def refuse(self, reason: str, message: str = "") -> Answer:
        """Say no, for a reason that is a name in `FAULTS` or ``not_found``."""
        status, usual, kind = _REFUSALS[reason]
        return json_answer({"error": {"code": status, "message": message or usual, "type": kind}}, status=status)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Answer:
        """Tell the id of a task that was accepted."""
        if _shape_of(task, sandbox) == "flat":
            return json_answer(_flat(task, "pending", {}))
        return json_answer(_envelope(task, "IN_PROGRESS", {}))

    def without_id(self, answer: Json) -> Json:
        """Take the id out of an acceptance."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        data = answer.get("data")
        if isinstance(data, Mapping):
            return {**answer, "data": {name: value for name, value in data.items() if name != "task_id"}}
        return {name: value for name, value in answer.items() if name != "id"}

    def report(self, view: View, request: Request, sandbox: Sandbox) -> Answer:
        """Tell how a task stands."""
        task, phase = view.task, view.task.phase(view.now)
        word = _WORDS[phase]
        if phase in {Phase.QUEUED, Phase.RUNNING} and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "WARMING_UP"
        shape = _shape_of(task, sandbox)
        more: Mapping[str, Json] = {}
        if phase is Phase.FAILED:
            more = {"error": task.faults.get("failed") or "Generation failed"}
        elif phase is Phase.COMPLETED:
            more = _result(shape, view.outputs, video=task.order.kind == "video")
        return json_answer(_flat(task, word, more) if shape == "flat" else _envelope(task, word, more))


def _shape_of(task: Task, sandbox: Sandbox) -> str:
    return task.faults.get("shape") or sandbox.result_shape


def _envelope(task: Task, word: str, more: Mapping[str, Json]) -> Json:
    return {"code": 200, "message": "success", "data": {"task_id": task.id, "status": word, **more}}


def _flat(task: Task, word: str, more: Mapping[str, Json]) -> Json:
    """Make the body of the older manual, which has no envelope."""
    created_at = f"{task.utc:%Y-%m-%dT%H:%M:%SZ}"
    return {"id": task.id, "status": word, "model": task.order.model, "created_at": created_at, **more}


def _result(shape: str, outputs: Sequence[str], *, video: bool) -> Mapping[str, Json]:
    objects: list[Json] = [{"url": url} for url in outputs]
    if shape == "data.outputs":
        return {"outputs": list(outputs)}
    if shape == "data.images":
        return {"video_url": outputs[0] if outputs else None} if video else {"images": objects}
    if shape == "data.result":
        return {"result": {"videos" if video else "images": objects}}
    # "data.output", and "flat" with the same thing at the top.
    return {"output": {"video_url": outputs[0] if outputs else None} if video else {"images": list(outputs)}}
