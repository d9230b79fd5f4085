"""GPTProto's wire format: POST /api/v3/kwaivgi/{model}/{scene} and GET /api/v3/predictions/{id}/result.

The envelope, the statuses and the error table are documented. Inferred, since undocumented: the response to an unknown
id, the reason of a failed prediction as text in ``data.error``, Retry-After, and that ``enable_sync_mode`` works as at
WaveSpeed, which has the same envelope (the Kling pages do not list it among the parameters).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...types.prediction import Json
from .catalog import MODELS, Model
from .http import Request, Response, json_response
from .media import size_of
from .parameters import ParameterReader
from .state import Sandbox
from .tasks import Task, TaskSpec
from .wavespeed_v3 import WaveSpeedV3
from .wire_format import Route

__all__ = ["Gptproto"]

_SUBMIT = re.compile(r"/api/v3/kwaivgi/([^/]+)/([^/]+)")
_CONTENT_POLICY = "Input may not meet the guidelines. Please adjust and try again."

_Refusal = tuple[int, str, str, str | None]
_REFUSALS: Mapping[str, _Refusal] = {
    "unauthorized": (401, "Invalid signature", "401", None),
    "forbidden": (403, "Insufficient permissions", "permission_error", "insufficient_permissions"),
    "no_balance": (403, "Insufficient balance", "403", None),
    # The table gives the code 503 and adds that the actual HTTP status is 400.
    "refused": (400, _CONTENT_POLICY, "503", None),
    "bad_request": (400, "Invalid parameters", "invalid_request_error", "invalid_parameters"),
    "rate_limited": (429, "Rate limit exceeded", "rate_limit_error", "rate_limit_exceeded"),
    "error_500": (500, "Internal server error", "500", None),
    "error_503": (503, "Service temporarily unavailable", "server_error", "service_unavailable"),
    "not_found": (404, "Prediction not found", "invalid_request_error", "not_found"),
}
_IMAGE_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "2:1", "auto")
_VIDEO_RATIOS = ("16:9", "1:1", "9:16")
_MAX_SHOTS = 6
_MAX_SHOT_PROMPT = 512


class Gptproto(WaveSpeedV3):
    """GPTProto, by its documents."""

    name = "gptproto"

    def key_of(self, authorization: str) -> str:
        """Return the API key of a header. The documents print it bare and call it a Bearer token: both are valid."""
        scheme, _, rest = authorization.strip().partition(" ")
        return rest.strip() if scheme.lower() == "bearer" else authorization.strip()

    def route(self, request: Request) -> Route | None:
        """Return the route of a path; None if it is not this provider's."""
        if poll := self.route_of_poll(request):
            return poll
        match = _SUBMIT.fullmatch(request.path)
        if match and match[1] in MODELS and match[2] in MODELS[match[1]].scenes:
            return Route(kind="submit", method="POST", model=match[1], scene=match[2])
        return None

    def read(self, route: Route, body: Mapping[str, Json], sandbox: Sandbox) -> TaskSpec:
        """Parse a submission. Raises Invalid with all its errors."""
        return _parse_task(route.model, route.scene, body, strict=sandbox.strict)

    def refuse(self, reason: str, message: str = "") -> Response:
        """Return the error response for a reason: a name in `FAULTS`, or ``not_found``."""
        status, usual, kind, code = _REFUSALS[reason]
        error: dict[str, Json] = {"message": message or usual, "type": kind}
        if code:
            error["code"] = code
        return json_response({"error": error}, status=status)

    def describe(self, task: Task) -> Mapping[str, Json]:
        """Return the fields of every record that WaveSpeedAI writes in another way."""
        return {"error": None, "created_at": f"{task.utc:%Y-%m-%d %H:%M:%S}"}

    def spent(self, milliseconds: int) -> Mapping[str, Json]:
        """Return the fields about the duration of a generation."""
        return {"executionTime": milliseconds, "timings": {"inference": milliseconds}}

    def fail(self, message: str) -> Mapping[str, Json]:
        """Return the reason of a failed prediction, a text."""
        return {"error": message}


def _parse_task(model: str, scene: str, body: Mapping[str, Json], *, strict: bool) -> TaskSpec:
    """Parse a submission's parameters. Raises Invalid with all its errors."""
    known = MODELS[model]
    reader = ParameterReader(body)
    prompt = reader.string(
        "prompt", required=scene != "motion-control", max_length=2500 if known.kind == "video" else None
    )
    sync = reader.boolean("enable_sync_mode", default=False)
    base64 = reader.boolean("enable_base64_output", default=False)
    if known.kind == "image":
        count, units, (width, height) = _image(reader)
    else:
        count, units, (width, height) = 1, _video(reader, known, scene), (320, 180)
    reader.raise_errors(strict=strict)
    return TaskSpec(
        provider="gptproto",
        model=model,
        scene=scene,
        kind=known.kind,
        prompt=prompt,
        count=count,
        width=width,
        height=height,
        price=known.price * units,
        sync=sync,
        base64=base64,
    )


def _image(reader: ParameterReader) -> tuple[int, int, tuple[int, int]]:
    ratio = reader.choice("aspect_ratio", _IMAGE_RATIOS, "16:9")
    resolution = reader.choice("resolution", ("1k", "2k"), "1k")
    count = reader.integer("n", range(1, 10), 1, expected="a whole number from 1 to 9")
    # Optional at image-to-image too, by the table in the document.
    reader.urls("images", max_items=10)
    return count, count, size_of(ratio, resolution)


def _video(reader: ParameterReader, model: Model, scene: str) -> int:
    wants_image = scene in {"image-to-video", "start-end-frame", "motion-control"}
    has_image = bool(reader.url("image", required=wants_image))
    has_last = bool(reader.url("last_image", required=scene == "start-end-frame"))
    if has_last and not has_image:
        reader.add_error("last_image needs image")
    has_video = bool(reader.url("video", required=scene in {"video-to-video", "motion-control"}))
    if has_video:
        reader.urls("images", max_items=4, suffix=" when video is given")
    else:
        reader.urls("images", max_items=10)
    reader.choice("aspect_ratio", _VIDEO_RATIOS, "16:9")
    reader.boolean("keep_original_sound", default=True)
    if model.newer:
        reader.string("negative_prompt", min_length=0, max_length=2500)
        reader.boolean("sound", default=True)
        reader.check_fraction("guidance_scale")
        reader.check_fraction("cfg_scale")
        reader.choice("character_orientation", ("image", "video"), "video")
        reader.array("voice_list")
    if scene in model.five_or_ten and not has_last:
        duration = reader.integer("duration", (5, 10), 5, expected=f"5 or 10 at {scene} without a last image")
    else:
        duration = reader.integer("duration", model.durations, 5, expected=model.expected)
    _shots(reader, duration)
    return duration


def _shots(reader: ParameterReader, duration: int) -> None:
    """Check multi_prompt. The limit of 6 shots of 512 characters is Kling's own, since GPTProto states none."""
    shots = reader.array("multi_prompt")
    if len(shots) > _MAX_SHOTS:
        reader.add_error(f"multi_prompt must hold at most {_MAX_SHOTS} segments")
    total = 0
    for position, shot in enumerate(shots, 1):
        if not isinstance(shot, Mapping):
            reader.add_error(f"multi_prompt[{position - 1}] must be an object")
            continue
        index, prompt, seconds = shot.get("index"), shot.get("prompt"), shot.get("duration")
        if isinstance(index, bool) or index != position:
            reader.add_error(f"multi_prompt[{position - 1}].index must be {position}")
        if not isinstance(prompt, str) or not 1 <= len(prompt.strip()) <= len(prompt) <= _MAX_SHOT_PROMPT:
            reader.add_error(f"multi_prompt[{position - 1}].prompt must have 1 to {_MAX_SHOT_PROMPT} characters")
        # The document's type is string, and only digits can be summed.
        if not isinstance(seconds, str) or not (seconds.isascii() and seconds.isdigit()) or int(seconds[:9]) < 1:
            reader.add_error(f"multi_prompt[{position - 1}].duration must be a string of whole seconds, at least 1")
        else:
            total += int(seconds[:9])
    if shots and total != duration:
        reader.add_error(f"the durations in multi_prompt must sum to {duration}")
