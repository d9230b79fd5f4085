"""API in One's wire format: POST /api/v1/{images,videos}/generations and GET /api/v1/tasks/{task_id}.

Parameters, the response to a submission and the form of errors are documented. The finished body is not, so it has
several shapes (`RESULT_SHAPES`), all inferred from published clients. Also inferred: HTTP statuses beyond 400 and 401,
the response to an unknown id, and the price of kling-3 between its published limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from ...types.prediction import Json
from .http import Request, Response, json_response
from .media import size_of
from .parameters import Invalid, ParameterReader, text_of
from .state import Sandbox
from .tasks import Phase, Task, TaskSpec
from .wire_format import Route, TaskView

__all__ = ["Apiinone"]

_POLL = re.compile(r"/api/v1/tasks/([^/]+)")
_SUBMITS = {"/api/v1/images/generations": "images", "/api/v1/videos/generations": "videos"}
_REFUSALS: Mapping[str, tuple[int, str, str]] = {
    "unauthorized": (401, "Invalid API key", "authentication_error"),
    "no_balance": (402, "Insufficient credits", "insufficient_credits"),
    "forbidden": (403, "Access denied", "permission_denied"),
    "refused": (400, "Content blocked by the content policy", "content_policy_violation"),
    "bad_request": (400, "Invalid parameters", "invalid_request"),
    "rate_limited": (429, "Too many requests", "rate_limit_exceeded"),
    "error_500": (500, "Internal server error", "server_error"),
    "error_503": (503, "Service unavailable", "service_unavailable"),
    "not_found": (404, "Task not found", "not_found"),
}
# A new task is IN_PROGRESS, a finished one 'completed' or 'failed': the documents mix the cases in the same way.
_WORDS = {
    Phase.QUEUED: "IN_PROGRESS",
    Phase.RUNNING: "IN_PROGRESS",
    Phase.COMPLETED: "completed",
    Phase.FAILED: "failed",
    Phase.CANCELLED: "cancelled",
}
_IMAGE_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "auto")
_VIDEO_RATIOS = ("1:1", "9:16", "16:9")
_IMAGE_PRICES = {"image-to-image": Decimal("0.012"), "ai-multi-shot": Decimal("0.032")}
"""6 and 16 credits per request, at the page's own 0.2 cents per credit."""


class Apiinone:
    """API in One, by its documents."""

    name = "apiinone"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only a Bearer token is valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if match := _POLL.fullmatch(request.path):
            return Route(kind="poll", method="GET", id=match[1])
        if scene := _SUBMITS.get(request.path):
            return Route(kind="submit", method="POST", scene=scene)
        return None

    def prompt_of(self, body: Mapping[str, Json]) -> str:
        """Return the prompt of a submission, which may request faults."""
        return text_of(body.get("prompt"))

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        model = body.get("model")
        if route.scene == "images" and model == "kling-image-o1":
            return _parse_image(body, strict=sandbox.strict)
        if route.scene == "videos" and model == "kling-3":
            return _parse_video(body, strict=sandbox.strict)
        raise Invalid("model is required" if model is None else f"unknown model at /{route.scene}/generations: {model}")

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, usual, kind = _REFUSALS[reason]
        return json_response({"error": {"code": status, "message": message or usual, "type": kind}}, status=status)

    def accept(self, task: Task, request: Request, sandbox: Sandbox) -> Response:
        """Return the response that accepts a task."""
        if _shape_of(task, sandbox) == "flat":
            return json_response(_flat(task, "pending", {}))
        return json_response(_envelope(task, "IN_PROGRESS", {}))

    def without_id(self, answer: Json) -> Json:
        """Return an acceptance without its id."""
        if not isinstance(answer, Mapping):
            raise TypeError("an acceptance is an object")
        data = answer.get("data")
        if isinstance(data, Mapping):
            return {**answer, "data": {name: value for name, value in data.items() if name != "task_id"}}
        return {name: value for name, value in answer.items() if name != "id"}

    def report(self, view: TaskView, request: Request, sandbox: Sandbox) -> Response:
        """Return the response to a poll."""
        task, phase = view.task, view.task.phase(view.now)
        word = _WORDS[phase]
        if phase in {Phase.QUEUED, Phase.RUNNING} and "unknown_status" in task.faults:
            word = task.faults["unknown_status"] or "WARMING_UP"
        shape = _shape_of(task, sandbox)
        more: Mapping[str, Json] = {}
        if phase is Phase.FAILED:
            more = {"error": task.faults.get("failed") or "Generation failed"}
        elif phase is Phase.COMPLETED:
            more = _result(shape, view.outputs, video=task.spec.kind == "video")
        return json_response(_flat(task, word, more) if shape == "flat" else _envelope(task, word, more))

    def cancelled(self, view: TaskView, request: Request, sandbox: Sandbox, *, late: bool) -> Response:
        """Never called: no document of this provider shows a cancellation, so no path means one."""
        raise NotImplementedError


def _shape_of(task: Task, sandbox: Sandbox) -> str:
    return task.faults.get("shape") or sandbox.result_shape


def _envelope(task: Task, word: str, more: Mapping[str, Json]) -> Json:
    return {"code": 200, "message": "success", "data": {"task_id": task.id, "status": word, **more}}


def _flat(task: Task, word: str, more: Mapping[str, Json]) -> Json:
    """Return the body of the older manual, which has no envelope."""
    created_at = f"{task.utc:%Y-%m-%dT%H:%M:%SZ}"
    return {"id": task.id, "status": word, "model": task.spec.model, "created_at": created_at, **more}


def _result(shape: str, outputs: Sequence[str], *, video: bool) -> Mapping[str, Json]:
    objects: list[Json] = [{"url": url} for url in outputs]
    if shape == "data.outputs":
        return {"outputs": list(outputs)}
    if shape == "data.images":
        return {"video_url": outputs[0] if outputs else None} if video else {"images": objects}
    if shape == "data.result":
        return {"result": {"videos" if video else "images": objects}}
    # "data.output", and "flat" with the same value at the top.
    return {"output": {"video_url": outputs[0] if outputs else None} if video else {"images": list(outputs)}}


def _parse_image(body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a request for kling-image-o1. Raises Invalid with all its errors."""
    reader = ParameterReader(body)
    reader.string("model", required=True)
    # The route for images states 3 to 5000 characters for every model.
    prompt = reader.string("prompt", required=True, min_length=3, max_length=5000)
    scene = reader.choice("type", ("image-to-image", "ai-multi-shot"), "image-to-image")
    reader.urls("images", max_items=10)
    ratio = reader.choice("aspect_ratio", _IMAGE_RATIOS, "1:1")
    resolution = reader.choice("resolution", ("1k", "2k"), "1k")
    count = reader.integer("num_images", range(1, 10), 1, expected="a whole number from 1 to 9")
    reader.raise_errors(strict=strict)
    width, height = size_of(ratio, resolution)
    return TaskSpec(
        provider="apiinone",
        model="kling-image-o1",
        scene=scene,
        kind="image",
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        price=_IMAGE_PRICES[scene],
        id_form="n49{:.12}_kio1",
        refunds=True,
    )


def _parse_video(body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a request for kling-3. Raises Invalid with all its errors."""
    reader = ParameterReader(body)
    reader.string("model", required=True)
    shots = reader.boolean("multi_shots", default=False)
    prompt = reader.string("prompt", required=not shots, max_length=2500)
    mode = reader.choice("mode", ("std", "pro"), "std")
    duration = reader.integer("duration", range(3, 16), 5, expected="a whole number from 3 to 15")
    reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    sound = reader.boolean("sound", default=True)
    reader.url("image")
    reader.array("kling_elements")
    reader.url("callback_url")
    prompts = _shots(reader, required=shots)
    reader.raise_errors(strict=strict)
    return TaskSpec(
        provider="apiinone",
        model="kling-3",
        scene="video",
        kind="video",
        prompt=prompt or " / ".join(prompts),
        price=_price_per_second(mode, sound=sound) * duration,
        id_form="n75{:.12}_k3",
        refunds=True,
    )


def _shots(reader: ParameterReader, *, required: bool) -> list[str]:
    prompts: list[str] = []
    shots = reader.array("multi_prompt")
    if required and not shots:
        reader.add_error("multi_prompt is required when multi_shots is true")
    for position, shot in enumerate(shots):
        prompt = shot.get("prompt") if isinstance(shot, Mapping) else None
        seconds = shot.get("duration") if isinstance(shot, Mapping) else None
        if not isinstance(prompt, str) or not prompt.strip():
            reader.add_error(f"multi_prompt[{position}].prompt is required")
        else:
            prompts.append(prompt)
        if isinstance(seconds, bool) or not isinstance(seconds, int) or seconds < 1:
            reader.add_error(f"multi_prompt[{position}].duration must be a whole number of seconds, at least 1")
    return prompts


def _price_per_second(mode: str, *, sound: bool) -> Decimal:
    """Return US dollars per second.

    Published are 300 credits for 5 s of std with sound, and a range of 120 to 1200 credits, at one cent each. These
    rates fit all three: 3 s of std without sound is 1.20, and 15 s of pro with sound is 12.00.
    """
    if mode == "pro":
        return Decimal("0.80") if sound else Decimal("0.60")
    return Decimal("0.60") if sound else Decimal("0.40")
