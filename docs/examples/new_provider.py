"""A provider that does not exist, in one pure file: bytes in, values out."""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Never

from attrs import frozen

from kling_async import ImageInput, Input, Prediction, Scene, Status
from kling_async.providers import ModelSpec, Parameter, Price, Provider
from kling_async.providers.codec.envelope import (
    Envelope,
    Record,
    parse_envelope,
)
from kling_async.providers.codec.errors import ErrorRules
from kling_async.providers.codec.fields import (
    ErrorDetail,
    Timestamp,
    parse_outputs,
    register_fields,
)
from kling_async.providers.codec.statuses import COMMON_STATUSES
from kling_async.providers.codec.strict_json import decode, json_body
from kling_async.providers.parameter_rules import OneOf, Range, Text
from kling_async.providers.validation import build_body
from kling_async.types.capabilities import Capabilities
from kling_async.types.converter import strict_converter
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.prediction import Json, OutputKind
from kling_async.types.sources import Certainty, Fact, Source

# Every fact has a source.
_PAGE = Source(Certainty.DOCUMENTED, "https://example.com/docs/kling-image-o1")
_UNKNOWN: Fact[Never] = Fact(
    None, Source(Certainty.UNDOCUMENTED, "not in https://example.com/docs")
)

_IMAGE = ModelSpec(
    "kling-image-o1",
    OutputKind.IMAGE,
    (Scene.TEXT_TO_IMAGE,),
    (
        Parameter("prompt", Text(2500), _PAGE, required=True),
        Parameter("aspect_ratio", OneOf(("1:1", "16:9")), _PAGE, default="1:1"),
        Parameter("n", Range(1, 4), _PAGE, wire_name="count", default=1),
    ),
    _PAGE,
    prices=(Price(low=Decimal("0.03"), high=Decimal("0.03"), source=_PAGE),),
)


@frozen
class _Body:
    """The required fields of a record, with their types; others are ignored."""

    status: str
    error: ErrorDetail | None = None
    created_at: Timestamp | None = None


_converter = register_fields(strict_converter())


class Example(Provider):
    """Example, as documented on 2026-11-20."""

    name: ClassVar[str] = "example"
    title: ClassVar[str] = "Example"
    origin: ClassVar[str] = "https://api.example.com"
    api_key_env: ClassVar[str] = "EXAMPLE_API_KEY"
    base_url_env: ClassVar[str] = "EXAMPLE_BASE_URL"
    capabilities: ClassVar[Capabilities] = Capabilities(
        repeat=Fact("buys_again", _PAGE),
        replay_seconds=_UNKNOWN,
        cancel=Fact(False, _PAGE),
        upload=_UNKNOWN,
        inline_media=_UNKNOWN,
        webhook=_UNKNOWN,
        webhook_signature=_UNKNOWN,
        batch_poll=Fact(1, _PAGE),
        balance=_UNKNOWN,
        quote=_UNKNOWN,
        over_limit=Fact("refuses", _PAGE),
        output_ttl=Fact(86_400.0, _PAGE),
        failures_are_free=_UNKNOWN,
    )
    models: ClassVar[Mapping[str, ModelSpec]] = {_IMAGE.name: _IMAGE}
    default_models: ClassVar[Mapping[OutputKind, str]] = {OutputKind.IMAGE: _IMAGE.name}
    statuses: ClassVar[Mapping[str, Status]] = COMMON_STATUSES
    error_rules: ClassVar[ErrorRules] = ErrorRules(
        # Documented: "E-17: the prompt breaks our policy", and no other code.
        content_codes=frozenset({"E-17"}),
    )

    def build_submit(self, input: Input) -> HttpRequest:
        """Build the request that costs money."""
        spec = self.spec(input)
        body = build_body(spec, input, Scene.TEXT_TO_IMAGE)
        return HttpRequest(method="POST", path="/v1/jobs", body=json_body(body))

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        """Build a poll; the path is made of our own fields alone."""
        return HttpRequest(method="GET", path=f"/v1/jobs/{prediction.id}")

    def parse_envelope(self, document: Json) -> Envelope:
        """Find the id, the refusal and the record in a body."""
        return parse_envelope(document, id_name="id")

    def parse_record(self, envelope: Envelope, response: HttpResponse) -> Record:
        """Read the record, strictly."""
        record = envelope.record
        body = decode(_converter, _Body, record, response, provider=self.name)
        return Record(
            status=body.status,
            outputs=parse_outputs(record),
            error=body.error or envelope.error,
            created_at=body.created_at,
        )


if __name__ == "__main__":
    example = Example()
    image = ImageInput("a cat", n=2)
    example.check(image)
    print(example.build_submit(image).body.decode())

    body = b'{"id": "j-1", "status": "pending"}'
    reply = HttpResponse(status=200, headers={}, body=body)
    prediction = example.parse_submit(reply, input=image, key="cat")
    print(prediction.id, prediction.status, prediction.cost)

    body = (
        b'{"id": "j-1", "status": "completed", "outputs": ["https://example.com/1.png"]}'
    )
    reply = HttpResponse(status=200, headers={}, body=body)
    prediction = example.parse_poll(reply, prediction=prediction)
    print(prediction.status, prediction.outputs[0].url)
