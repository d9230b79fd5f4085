"""WaveSpeedAI's wire format: POST /api/v3/kwaivgi/{model}[/{scene}] and GET /api/v3/predictions/{id}/result.

Beside them GET /api/v3/balance and GET /api/v3/models, which are documented, and POST /api/v3/model/price, as
WaveSpeedAI's MCP server uses it: the price of a model for inputs, of which any may be missing; the lowest price is told
where they decide nothing.
The envelope, the statuses, the codes of a failed task, HTTP 401 and HTTP 429 are documented. `{message, error_code}` is
the body of a refusal as WaveSpeedAI's MCP server reads it. Inferred: its words, the status of an empty account and of a
prompt that is refused at once, and that a task fails with the code 1405. Failed tasks are refunded, as documented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from ...types.prediction import Json
from .http import Request, Response, json_response, parse_json
from .media import size_of
from .parameters import Invalid, ParameterReader
from .state import Sandbox
from .tasks import Task, TaskSpec
from .wavespeed_catalog import ENDPOINTS, Endpoint
from .wavespeed_listing import list_models
from .wavespeed_v3 import WaveSpeedV3
from .wire_format import Route

__all__ = ["Wavespeed"]

_PAGES: Mapping[str, str] = {"/api/v3/balance": "GET", "/api/v3/models": "GET", "/api/v3/model/price": "POST"}
_SUBMIT = re.compile(r"/api/v3/kwaivgi/([^/]+(?:/[^/]+)?)")
_REFUSALS: Mapping[str, tuple[int, str, str | None]] = {
    "unauthorized": (401, "Invalid API key", None),
    "forbidden": (403, "The role of this key may not do this; a key of the role developer may", "permission_denied"),
    "no_balance": (402, "Insufficient balance, please top up", None),
    "refused": (400, "The content contains sensitive information", "1200"),
    "bad_request": (400, "Invalid parameter", "1401"),
    "rate_limited": (429, "Too Many Requests", None),
    "error_500": (500, "Internal error", "5000"),
    "error_503": (503, "The service is temporarily unavailable", "5003"),
    "not_found": (404, "Prediction not found", None),
}
_TASK_FAILED = 1405
_MAX_SHOTS = 6
_MAX_FILES = 15
_EDIT_SECONDS = 5


class Wavespeed(WaveSpeedV3):
    """WaveSpeedAI, by its documents."""

    name = "wavespeed"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header; only a Bearer token is valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else ""

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        match = _SUBMIT.fullmatch(request.path)
        if match and match[1] in ENDPOINTS:
            return Route(kind="submit", method="POST", model=match[1], scene=match[1].partition("/")[2])
        if request.path in _PAGES:
            return Route(kind="page", method=_PAGES[request.path], scene=request.path.rpartition("/")[2])
        return self.route_of_poll(request)

    def page(self, route: Route, request: Request, sandbox: Sandbox) -> Response:
        """Return the balance, the list of models, or the price of one for inputs, which charges nothing."""
        if route.scene == "balance":
            return _success({"balance": float(sandbox.balance)})
        if route.scene == "models":
            return _success(list_models(request.origin))
        try:
            body = parse_json(request.body)
        except (ValueError, RecursionError) as error:
            return self.refuse("bad_request", str(error))
        model = body.get("model_id") if isinstance(body, Mapping) else None
        inputs = body.get("inputs") if isinstance(body, Mapping) else None
        path = model.removeprefix("kwaivgi/") if isinstance(model, str) else ""
        if path not in ENDPOINTS or not isinstance(inputs, Mapping):
            return self.refuse("bad_request", "model_id must be a model, and inputs an object")
        price = float(_quote(path, inputs))
        return _success({"model_id": model, "price": price, "discounted_price": price, "currency": "USD"})

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return _parse_task(route.model, route.scene, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, usual, code = _REFUSALS[reason]
        body: dict[str, Json] = {"message": message or usual}
        if code is not None:
            body["error_code"] = code
        return json_response(body, status=status)

    def describe(self, task: Task) -> Mapping[str, Json]:
        """Return the fields of every record that GPTProto writes in another way."""
        return {"error": "", "created_at": f"{task.utc:%Y-%m-%dT%H:%M:%S}.{task.utc.microsecond // 1000:03d}Z"}

    def spent(self, milliseconds: int) -> Mapping[str, Json]:
        """Return the fields about the duration of a generation."""
        return {"timings": {"inference": milliseconds}}

    def fail(self, message: str) -> Mapping[str, Json]:
        """Return the code and the reason of a failed prediction."""
        return {"code": _TASK_FAILED, "error": message}


def _success(data: Json) -> Response:
    return json_response({"code": 200, "message": "success", "data": data})


def _quote(path: str, inputs: Mapping[str, Json]) -> Decimal:
    """Return the price of a submission; the lowest one of the model if the inputs are none that it would accept."""
    try:
        return _parse_task(path, path.partition("/")[2], inputs, strict=False).price
    except Invalid:
        known = ENDPOINTS[path]
        return known.price * (1 if known.kind == "image" else min(known.durations or (_EDIT_SECONDS,)))


def _parse_task(path: str, scene: str, body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a submission's parameters. Raises Invalid with all its errors."""
    known = ENDPOINTS[path]
    reader = ParameterReader(body)
    prompt = reader.string("prompt", required=known.prompt == "required", max_length=known.max_prompt)
    sync = reader.boolean("enable_sync_mode", default=False)
    base64 = reader.boolean("enable_base64_output", default=False)
    ratio = reader.choice("aspect_ratio", known.ratios, "16:9") if known.ratios else "16:9"
    resolution = reader.choice("resolution", known.resolutions, known.resolutions[0]) if known.resolutions else ""
    if known.kind == "image":
        count = units = reader.integer("num_images", range(1, 10), 1, expected="a whole number from 1 to 9")
        size = size_of(ratio, resolution)
    else:
        count, units, size = 1, _seconds(reader, known), (320, 180)
    prompt = _shots(reader, known, prompt, units)
    _media(reader, known)
    _others(reader, known)
    reader.raise_errors(strict=strict)
    return TaskSpec(
        provider="wavespeed",
        model=f"kwaivgi/{path}",
        scene=scene,
        kind=known.kind,
        prompt=prompt,
        count=count,
        width=size[0],
        height=size[1],
        price=_price(known, resolution, body) * units,
        refunds=True,
        sync=sync,
        base64=base64,
    )


def _price(known: Endpoint, resolution: str, body: Mapping[str, Json]) -> Decimal:
    if known.price_with_video is not None and body.get("video"):
        return known.price_with_video
    return known.prices.get(resolution, known.price)


def _seconds(reader: ParameterReader, known: Endpoint) -> int:
    if not known.durations:
        return _EDIT_SECONDS
    allowed = known.durations
    if known.without_last and known.last not in reader.body:
        allowed = known.without_last
    if len(allowed) == 2:
        return reader.integer("duration", allowed, 5, expected=f"{allowed[0]} or {allowed[1]}")
    return reader.integer("duration", allowed, 5, expected=f"a whole number from {allowed[0]} to {allowed[-1]}")


def _shots(reader: ParameterReader, known: Endpoint, prompt: str, seconds: int) -> str:
    """Check multi_prompt, and return the prompt of the task: its own, or that of the shots."""
    shots = reader.array("multi_prompt") if known.shots else []
    if known.prompt == "or shots" and not prompt and not shots:
        reader.add_error("prompt or multi_prompt is required")
    if shots and prompt:
        reader.add_error("prompt and multi_prompt are mutually exclusive")
    if shots and known.last and known.texts and known.last in reader.body:
        reader.add_error(f"multi_prompt is not supported with {known.last}")
    if len(shots) > _MAX_SHOTS:
        reader.add_error(f"multi_prompt must hold at most {_MAX_SHOTS} shots")
    prompts: list[str] = []
    total = 0
    for index, shot in enumerate(shots):
        words = shot.get("prompt") if isinstance(shot, Mapping) else None
        length = shot.get("duration") if isinstance(shot, Mapping) else None
        if not isinstance(words, str) or not words.strip():
            reader.add_error(f"multi_prompt[{index}].prompt must be a string")
        elif isinstance(length, bool) or not isinstance(length, int) or length not in known.shots:
            reader.add_error(f"multi_prompt[{index}].duration must be an integer within the limits of the model")
        else:
            prompts.append(words)
            total += length
    if prompts and len(prompts) == len(shots) and total != seconds:
        reader.add_error(f"the durations in multi_prompt must add up to duration, {seconds}")
    return prompt or " / ".join(prompts)


def _media(reader: ParameterReader, known: Endpoint) -> None:
    if known.image:
        reader.url("image", required=True)
    if known.last:
        reader.url(known.last)
    frames = reader.urls("keyframes", max_items=known.keyframes) if known.keyframes else []
    has_video = known.video != "none" and bool(reader.url("video", required=known.video == "required"))
    limited = has_video and known.with_video is not None
    most = known.with_video if limited and known.with_video is not None else known.images
    images = reader.urls("images", max_items=most, suffix=" beside a video" if limited else "") if known.images else []
    videos = reader.urls("videos", max_items=known.videos) if known.videos else []
    audios = reader.urls("audios", max_items=known.audios) if known.audios else []
    if known.needs_images and not images:
        reader.add_error("images is required")
    if known.videos and not (images or videos):
        reader.add_error("images or videos is required")
    if known.videos and reader.body.get("keep_original_sound") is True and not videos:
        reader.add_error("keep_original_sound requires videos")
    if len(images) + len(videos) + len(audios) + len(frames) > _MAX_FILES:
        reader.add_error(f"at most {_MAX_FILES} files are allowed")


def _others(reader: ParameterReader, known: Endpoint) -> None:
    for name in known.flags:
        reader.boolean(name, default=False)
    for name in known.texts:
        reader.string(name, min_length=0)
    for name in known.fractions:
        reader.check_fraction(name)
    for name, words in known.words.items():
        reader.choice(name, words, words[0])
    for name in known.arrays:
        reader.array(name)
    if "dynamic_range" in reader.body and reader.body.get("resolution", "720p") == "720p":
        reader.add_error("dynamic_range requires the resolution 1080p or 4k")
