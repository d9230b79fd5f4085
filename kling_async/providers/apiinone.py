"""API in One (apiin.one): Kling images and videos behind one gateway.

    POST /api/v1/images/generations               submit an image
    POST /api/v1/videos/generations               submit a video
    GET  /api/v1/tasks/{task_id}                  poll

Pages are those of apiin.one. The body of a finished task is printed on none of them: outputs are looked for in the
places where clients look, and the whole reply is kept in `Prediction.raw`.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from ..inputs import Input, Scene, VideoInput
from ..prediction import Json, OutputKind, Status
from ..wire import HttpReply, HttpRequest
from .base import Provider, json_body
from .check import body_of, scene_of
from .decode import strict_converter, structure
from .fields import Problem, When, read_outputs, register_fields
from .record import WORDS, Envelope, Record, envelope_of
from .refusal import MONEY_WORDS, ErrorRules
from .rules import Address, Addresses, Flag, Length, OneOf, Passed, Range, Shots
from .spec import Certainty, ModelSpec, Parameter, Price, Source, Together

__all__ = ["APIInOne"]

_IMAGE_O1 = Source(Certainty.DOCUMENTED, "model page of kling-image-o1")
_GENERIC = Source(Certainty.DOCUMENTED, "API manual, image generation")
_KLING_3 = Source(Certainty.DOCUMENTED, "model page of kling-3")
_SIX_SHOTS = Source(Certainty.INFERRED, "Kling's own API with the same fields: at most 6 shots of 512 characters")

_RATIOS = ("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "21:9", "auto")

_MODELS = (
    ModelSpec(
        "kling-image-o1",
        OutputKind.IMAGE,
        (Scene.TEXT_TO_IMAGE, Scene.IMAGE_TO_IMAGE, Scene.MULTI_SHOT),
        (
            Parameter("prompt", Length(5000, 3), _GENERIC, required=True),
            Parameter("multi_shot", Flag(), _IMAGE_O1, wire="type", default=False),
            Parameter("images", Addresses(10), _IMAGE_O1),
            Parameter("aspect_ratio", OneOf(_RATIOS), _IMAGE_O1, default="1:1"),
            Parameter("resolution", OneOf(("1k", "2k")), _IMAGE_O1, default="1k"),
            Parameter("n", Range(1, 9), _IMAGE_O1, wire="num_images", default=1),
        ),
        _IMAGE_O1,
        # 6 and 16 credits per request, whatever the number of images, at the page's $0.002 a credit.
        prices=(
            Price(low=Decimal("0.032"), high=Decimal("0.032"), when={"multi_shot": True}, source=_IMAGE_O1),
            Price(low=Decimal("0.012"), high=Decimal("0.012"), source=_IMAGE_O1),
        ),
    ),
    ModelSpec(
        "kling-3",
        OutputKind.VIDEO,
        (Scene.TEXT_TO_VIDEO, Scene.IMAGE_TO_VIDEO),
        (
            # "Not required if multi_shots is true": blank is allowed here, and the rule below asks for one of the two.
            Parameter("prompt", Length(2500, 0), _KLING_3),
            Parameter("image", Address(), _KLING_3),
            Parameter("aspect_ratio", OneOf(("16:9", "1:1", "9:16")), _KLING_3, default="16:9"),
            Parameter("duration", Range(3, 15), _KLING_3, default=5),
            Parameter("shots", Shots(6), _SIX_SHOTS, wire="multi_prompt"),
            Parameter("mode", OneOf(("std", "pro")), _KLING_3, default="std", extra=True),
            Parameter("sound", Flag(), _KLING_3, default=True, extra=True),
            Parameter("kling_elements", Passed("a list"), _KLING_3, extra=True),
            Parameter("callback_url", Address(), _KLING_3, extra=True),
        ),
        _KLING_3,
        together=(
            Together(
                "prompt",
                "must be text, and not blank, unless shots are given",
                lambda input, _: bool(input.prompt.strip()) or (isinstance(input, VideoInput) and bool(input.shots)),
                _KLING_3,
            ),
            Together(
                "extra",
                "may not hold multi_shots, which follows from shots=",
                lambda input, _: "multi_shots" not in input.extra,
                _KLING_3,
            ),
        ),
        # 120 to 1,200 credits at the page's $0.01 a credit; only this one combination is priced by itself.
        prices=(
            Price(
                low=Decimal("3.00"),
                high=Decimal("3.00"),
                when={"mode": "std", "duration": 5, "sound": True},
                source=_KLING_3,
            ),
            Price(low=Decimal("1.20"), high=Decimal("12.00"), source=_KLING_3),
        ),
    ),
)


@frozen
class _Body:
    status: str
    error: Problem | None = None
    created_at: When | None = None


_converter = register_fields(strict_converter())


class APIInOne(Provider):
    """API in One, as its pages described it on 2026-11-20."""

    name: ClassVar[str] = "apiinone"
    title: ClassVar[str] = "API in One"
    origin: ClassVar[str] = "https://apiin.one"
    key_variable: ClassVar[str] = "APIINONE_API_KEY"
    url_variable: ClassVar[str] = "APIINONE_BASE_URL"
    # "Billed per successful request" (apiin.one/zh/model/kling-image-o1).
    failures_are_free: ClassVar[bool | None] = True
    models: ClassVar[Mapping[str, ModelSpec]] = {spec.name: spec for spec in _MODELS}
    # IN_PROGRESS, pending, completed and failed are documented, in whatever case; the rest is seen in a client.
    statuses: ClassVar[Mapping[str, Status]] = WORDS
    # 400 and 401 are documented, as HTTP has them. Which of 402 and 403 is an empty account is not: it may be either.
    error_rules: ClassVar[ErrorRules] = ErrorRules(money=MONEY_WORDS)

    def build_submit(self, input: Input) -> HttpRequest:
        spec = self.spec(input)
        scene = scene_of(spec, input) or spec.scenes[0]
        body: dict[str, Json] = {"model": spec.name, **body_of(spec, input, scene)}
        if isinstance(input, VideoInput):
            if not input.prompt.strip():
                # Not required beside shots; a blank one might count as given, and wrong.
                del body["prompt"]
            if input.shots:
                body["multi_shots"] = True
                body["multi_prompt"] = [{"prompt": shot.prompt, "duration": shot.duration} for shot in input.shots]
            return HttpRequest(method="POST", path="/api/v1/videos/generations", body=json_body(body))
        # The two types have two prices, so which one is meant is always said.
        body["type"] = Scene.MULTI_SHOT.value if input.multi_shot else Scene.IMAGE_TO_IMAGE.value
        return HttpRequest(method="POST", path="/api/v1/images/generations", body=json_body(body))

    def build_poll(self, id: str) -> HttpRequest:
        return HttpRequest(method="GET", path=f"/api/v1/tasks/{id}")

    def open(self, document: Json) -> Envelope:
        return envelope_of(document, id_name="task_id")

    def read(self, envelope: Envelope, reply: HttpReply) -> Record:
        record = envelope.record
        body = structure(_converter, _Body, record, reply, provider=self.name)
        return Record(
            status=body.status,
            # Inferred: no page prints a finished task. The places are those where clients of either service look.
            outputs=read_outputs(record),
            problem=body.error or envelope.problem,
            created_at=body.created_at,
        )
