"""A provider that does not exist, in one pure file: bytes in, values out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar

from attrs import frozen

from kling_async import ImageInput, Input, Scene, Status
from kling_async.prediction import Json, OutputKind
from kling_async.providers import Certainty, ModelSpec, Parameter, Price, Provider, Source
from kling_async.providers.base import json_body
from kling_async.providers.check import body_of
from kling_async.providers.decode import strict_converter, structure
from kling_async.providers.fields import Problem, When, read_outputs, register_fields
from kling_async.providers.record import WORDS, Envelope, Record, envelope_of
from kling_async.providers.refusal import ErrorRules
from kling_async.providers.rules import Length, OneOf, Range
from kling_async.wire import HttpReply, HttpRequest

# Every fact says where it is from.
_PAGE = Source(Certainty.DOCUMENTED, "example.com/docs/kling-image-o1")

_IMAGE = ModelSpec(
    "kling-image-o1",
    OutputKind.IMAGE,
    (Scene.TEXT_TO_IMAGE,),
    (
        Parameter("prompt", Length(2500), _PAGE, required=True),
        Parameter("aspect_ratio", OneOf(("1:1", "16:9")), _PAGE, default="1:1"),
        Parameter("n", Range(1, 4), _PAGE, wire="count", default=1),
    ),
    _PAGE,
    prices=(Price(low=Decimal("0.03"), high=Decimal("0.03"), source=_PAGE),),
)


@frozen
class _Body:
    """What must be there, and of which type; the rest of a record is left alone."""

    status: str
    error: Problem | None = None
    created_at: When | None = None


_converter = register_fields(strict_converter())


class Example(Provider):
    """Example, as its pages described it on 2026-11-20."""

    name: ClassVar[str] = "example"
    title: ClassVar[str] = "Example"
    origin: ClassVar[str] = "https://api.example.com"
    key_variable: ClassVar[str] = "EXAMPLE_API_KEY"
    url_variable: ClassVar[str] = "EXAMPLE_BASE_URL"
    models: ClassVar[Mapping[str, ModelSpec]] = {_IMAGE.name: _IMAGE}
    statuses: ClassVar[Mapping[str, Status]] = WORDS
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        # The page says "E-17: the prompt breaks our policy", and nothing of other codes.
        content_codes=frozenset({"E-17"}),
    )

    def build_submit(self, input: Input) -> HttpRequest:
        """Build the request that costs money."""
        spec = self.spec(input)
        body = body_of(spec, input, Scene.TEXT_TO_IMAGE)
        return HttpRequest(method="POST", path="/v1/jobs", body=json_body(body))

    def build_poll(self, id: str) -> HttpRequest:
        """Build a look; the path is made of the id alone."""
        return HttpRequest(method="GET", path=f"/v1/jobs/{id}")

    def open(self, document: Json) -> Envelope:
        """Find the id, the refusal and the record in a body."""
        return envelope_of(document, id_name="id")

    def read(self, envelope: Envelope, reply: HttpReply) -> Record:
        """Read the record, strictly."""
        body = structure(_converter, _Body, envelope.record, reply, provider=self.name)
        outputs = read_outputs(envelope.record)
        return Record(
            status=body.status,
            outputs=outputs,
            problem=body.error or envelope.problem,
            created_at=body.created_at,
        )


if __name__ == "__main__":
    example = Example()
    wanted = ImageInput("a cat", n=2)
    example.check(wanted)
    print(example.build_submit(wanted).body.decode())

    body = b'{"id": "j-1", "status": "pending"}'
    reply = HttpReply(status=200, headers={}, body=body)
    prediction = example.parse_submit(reply, input=wanted, key="cat")
    print(prediction.id, prediction.status, prediction.cost)

    body = (
        b'{"id": "j-1", "status": "completed", "outputs": ["https://example.com/1.png"]}'
    )
    reply = HttpReply(status=200, headers={}, body=body)
    prediction = example.parse_poll(reply, prediction=prediction)
    print(prediction.status, prediction.outputs[0].url)
