"""GPTProto's wire: POST /api/v3/kwaivgi/{model}/{scene} and GET /api/v3/predictions/{id}/result.

The envelope, the statuses and the error table are documented. What is not, and therefore inferred here: the answer to
an unknown id, the reason of a failed prediction as text in ``data.error``, Retry-After, and that ``enable_sync_mode``
means what it means at WaveSpeed, whose envelope this is (the Kling pages list it nowhere among the parameters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ...prediction import Json
from .catalog import MODELS
from .gptproto_rules import read_order
from .http import Answer, Request, json_answer
from .state import Sandbox
from .wire import Action, View
from .work import Order, Phase, Task

__all__ = ["Gptproto"]

_SUBMIT = re.compile(r"/api/v3/kwaivgi/([^/]+)/([^/]+)")
_POLL = re.compile(r"/api/v3/predictions/([^/]+)/result")
_CONTENT_POLICY = "Input may not meet the guidelines. Please adjust and try again."

_Refusal = tuple[int, str, str, str | None]
_REFUSALS: Mapping[str, _Refusal] = {
    "unauthorized": (401, "Invalid signature", "401", None),
    "forbidden": (403, "Insufficient permissions", "permission_error", "insufficient_permissions"),
    "broke": (403, "Insufficient balance", "403", None),
    # The table calls it 503 and adds that the actual HTTP status is 400.
    "refused": (400, _CONTENT_POLICY, "503", None),
    "bad_request": (400, "Invalid parameters", "invalid_request_error", "invalid_parameters"),
    "rate_limited": (429, "Rate limit exceeded", "rate_limit_error", "rate_limit_exceeded"),
    "error_500": (500, "Internal server error", "500", None),
    "error_503": (503, "Service temporarily unavailable", "server_error", "service_unavailable"),
    "not_found": (404, "Prediction not found", "invalid_request_error", "not_found"),
}
_WORDS = {
    Phase.QUEUED: "created",
    Phase.RUNNING: "processing",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}


class Gptproto:
    """GPTProto, as its documents describe it."""

    name = "gptproto"

    def key_of(self, authorization: str) -> str:
        """Return the key of a header. The documents print it bare and call it a Bearer token: both are taken."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else authorization.strip()

    def route(self, request: Request) -> Action | None:
        """Tell what a path means, or None when it is not this provider's."""
        if match := _POLL.fullmatch(request.path):
            return Action(kind="poll", method="GET", id=match[1])
        match = _SUBMIT.fullmatch(request.path)
        if match and match[1] in MODELS and match[2] in MODELS[match[1]].scenes:
            return Action(kind="submit", method="POST", model=match[1], scene=match[2])
        return None

    def read(self, action: Action, body: Mapping[str, Json], sandbox: Sandbox) -> Order:
        """Check a submission; raise Invalid with all that is wrong."""
        return read_order(action.model, action.scene, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Answer:
        """Say no, for a reason that is a name in `FAULTS` or ``not_found``."""
        status, usual, kind, code = _REFUSALS[reason]
        error: dict[str, Json] = {"message": message or usual, "type": kind}
        if code:
            error["code"] = code
        return json_answer({"error": error}, status=status)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Answer:
        """Tell the id of a task that was accepted."""
        return json_answer(_envelope(task, request, "created", (), {}))

    def without_id(self, answer: Json) -> Json:
        """Take the id out of an acceptance."""
        data = answer["data"] if isinstance(answer, Mapping) else None
        if not isinstance(answer, Mapping) or not isinstance(data, Mapping):
            raise TypeError("an acceptance holds an object named data")
        return {**answer, "data": {name: value for name, value in data.items() if name not in {"id", "urls"}}}

    def report(self, view: View, request: Request, sandbox: Sandbox) -> Answer:
        """Tell how a task stands."""
        task = view.task
        if view.late:
            error = f"Sync mode timed out after {sandbox.sync_for:g} seconds. Query the result by id."
            return json_answer(_envelope(task, request, "processing", (), {"code": 5004, "error": error}))
        phase = task.phase(view.now)
        word = _WORDS[phase]
        if phase in {Phase.QUEUED, Phase.RUNNING} and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "warming_up"
        more: dict[str, Json] = {}
        if phase not in {Phase.QUEUED, Phase.RUNNING}:
            spent = round((task.done_at - task.started_at) * 1000)
            more = {"executionTime": spent, "timings": {"inference": spent}}
            more["has_nsfw_contents"] = ["flagged" in task.faults for _ in view.outputs]
        if phase is Phase.FAILED:
            more["error"] = task.faults.get("failed") or "The generation failed. Please try again."
        return json_answer(_envelope(task, request, word, view.outputs, more))


def _envelope(task: Task, request: Request, word: str, outputs: Sequence[str], more: Mapping[str, Json]) -> Json:
    data: dict[str, Json] = {
        "id": task.id,
        "model": task.order.model,
        "outputs": list(outputs),
        "urls": {"get": f"{request.origin}/api/v3/predictions/{task.id}/result"},
        "status": word,
        "error": None,
        "executionTime": 0,
        "timings": {"inference": 0},
        "has_nsfw_contents": [],
        "created_at": f"{task.utc:%Y-%m-%d %H:%M:%S}",
        **more,
    }
    return {"data": data, "message": "success", "code": 200}
