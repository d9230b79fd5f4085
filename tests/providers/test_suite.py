"""The conformance suite, run by every provider of the package."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, ClassVar

import pytest
from attrs import evolve

from kling_async.providers import PROVIDERS, Provider
from kling_async.providers.codec.errors import ErrorRules
from kling_async.providers.gptproto import GPTProto
from kling_async.providers.kling import Kling
from kling_async.providers.replicate import Replicate
from kling_async.providers.wavespeed import WaveSpeed
from kling_async.testing import ProviderSuite
from kling_async.types.capabilities import Repeat
from kling_async.types.errors import BadRequest
from kling_async.types.http import HttpRequest, HttpResponse
from kling_async.types.inputs import Input
from kling_async.types.prediction import Json, Prediction
from kling_async.types.sources import Certainty, Fact, Source
from kling_async.types.webhooks import WebhookEvent

DOCS = Path(__file__).parents[2] / "docs"


class TestProviders(ProviderSuite):
    """Every provider passes the suite that an adapter of a user's own can run."""

    @pytest.fixture(params=PROVIDERS.values(), ids=list(PROVIDERS))
    def provider(self, request: pytest.FixtureRequest) -> Provider:
        """Each provider in turn."""
        provider: Provider = request.param
        return provider


class TestExample(ProviderSuite):
    """So does the adapter that the documentation shows."""

    @pytest.fixture
    def provider(self) -> Provider:
        """The provider of the page about adding one."""
        spec = spec_from_file_location("new_provider", DOCS / "examples" / "new_provider.py")
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        provider: Provider = module.Example()
        return provider


class DropsAField(GPTProto):
    """An adapter that forgets a field which its table accepts."""

    def build_submit(self, input: Input) -> HttpRequest:
        request = super().build_submit(input)
        body: dict[str, Any] = json.loads(request.body)
        body.pop("negative_prompt", None)
        return evolve(request, body=json.dumps(body).encode())


class TakesAnyId(GPTProto):
    """An adapter that believes whatever stands where the id should be."""

    def parse_submit(self, response: HttpResponse, *, input: Input, key: str | None) -> Prediction:
        return Prediction(
            provider="gptproto",
            model=self.spec(input).name,
            id=str(json.loads(response.body).get("id")),
            key=key,
            status=self.statuses["created"],
            native_status="created",
        )


class FailsOnItsOwn(GPTProto):
    """An adapter whose parser raises what the package does not know."""

    def parse_poll(self, response: HttpResponse, *, prediction: Prediction) -> Prediction:
        json.loads(response.body)["data"]
        return super().parse_poll(response, prediction=prediction)


class RefusesAnyKey(GPTProto):
    """An adapter to which a wrong key is a wrong request."""

    error_rules: ClassVar[ErrorRules] = ErrorRules(errors={401: BadRequest})


class PollsElsewhere(GPTProto):
    """An adapter that polls another prediction."""

    def build_poll(self, prediction: Prediction) -> HttpRequest:
        return HttpRequest(method="GET", path="/api/v3/predictions/latest")


class ForgetsTheClientId(GPTProto):
    """An adapter that says that repeats are rejected, and sends nothing by which they could be."""

    def repeat(self, input: Input) -> Fact[Repeat]:
        return Fact("rejected", Source(Certainty.INFERRED, "a page"))


class TrustsTheShared(Kling):
    """An adapter that takes the response to a shared poll for what it expects."""

    def split_shared_poll(self, document: Json) -> Mapping[str, Json]:
        assert isinstance(document, dict)
        tasks: Any = document["data"]
        return {task["id"]: {**document, "data": [task]} for task in tasks}


class BelievesAll(WaveSpeed):
    """An adapter that checks no signature."""

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        return evolve(super().parse_webhook(headers, body, secrets=(), now=now), signed=True, delivery="1")


class BelievesTheOld(Kling):
    """An adapter that takes the time of a delivery for that of now."""

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        sent = float(headers.get("webhook-timestamp", "") or now)
        return super().parse_webhook(headers, body, secrets=secrets, now=sent)


class BelievesTheUnsigned(Replicate):
    """An adapter that checks signatures only where there is one."""

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        has_one = bool(headers.get("webhook-signature"))
        found = super().parse_webhook(headers, body, secrets=secrets if has_one else (), now=now)
        return evolve(found, signed=bool(secrets), delivery="1" if secrets else "")


class TakesAnyIdOfADelivery(WaveSpeed):
    """An adapter that believes whatever stands where the id should be in a delivery."""

    def webhook_record(self, document: Json) -> Json:
        assert isinstance(document, dict)
        return {**document, "id": "".join(filter(str.isalnum, str(document.get("id")))) or "none"}


class ForgetsTheDelivery(WaveSpeed):
    """An adapter that does not tell by which id a delivery is recognised when it is repeated."""

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        return evolve(super().parse_webhook(headers, body, secrets=secrets, now=now), delivery="")


class ExpectsADelivery(WaveSpeed):
    """An adapter that reads a delivery without a look at what it is."""

    def webhook_record(self, document: Json) -> Json:
        record: Any = document
        return {"id": record["id"], "status": record["status"]}


class NamesNoUrl(WaveSpeed):
    """An adapter that forgets the URL to call."""

    def add_callback(self, request: HttpRequest, url: str) -> HttpRequest:
        return request


class BringsResultsUnsigned(WaveSpeed):
    """An adapter that takes the result from a delivery that nothing proves."""

    def parse_webhook(
        self, headers: Mapping[str, str], body: bytes, *, secrets: Sequence[str], now: float
    ) -> WebhookEvent:
        found = super().parse_webhook(headers, body, secrets=secrets, now=now)
        return evolve(found, replies=(HttpResponse(status=200, body=body),))


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (BelievesAll, ProviderSuite.test_a_changed_body_is_refused),
        (BelievesAll, ProviderSuite.test_another_secret_is_refused),
        (BelievesTheOld, ProviderSuite.test_an_old_delivery_is_refused),
        (BelievesTheUnsigned, ProviderSuite.test_a_delivery_without_one_of_its_headers_is_refused),
        (BelievesAll, ProviderSuite.test_an_unsigned_delivery_proves_nothing),
        (BringsResultsUnsigned, ProviderSuite.test_an_unsigned_delivery_proves_nothing),
        (TakesAnyIdOfADelivery, ProviderSuite.test_a_delivery_about_no_prediction_is_refused),
        (ExpectsADelivery, ProviderSuite.test_any_signed_delivery),
        (ForgetsTheDelivery, ProviderSuite.test_a_signed_delivery_is_believed),
        (NamesNoUrl, ProviderSuite.test_a_submission_names_the_url),
        (TrustsTheShared, ProviderSuite.test_any_response_to_a_shared_poll),
        (ForgetsTheClientId, ProviderSuite.test_a_client_id_is_sent_where_it_has_an_effect),
        (DropsAField, ProviderSuite.test_nothing_is_dropped),
        (TakesAnyId, ProviderSuite.test_any_response_to_a_submission),
        (FailsOnItsOwn, ProviderSuite.test_any_response_to_a_poll),
        (RefusesAnyKey, ProviderSuite.test_the_statuses_of_http_keep_their_meaning),
        (PollsElsewhere, ProviderSuite.test_a_poll_names_the_prediction),
    ],
)
def test_the_suite_catches_a_broken_adapter(
    broken: type[Provider], test: Callable[[ProviderSuite, Provider], None]
) -> None:
    """Each test fails for an adapter that breaks its rule, and passes for the one that does not."""
    test(ProviderSuite(), broken.__bases__[0]())
    with pytest.raises((AssertionError, LookupError, TypeError, ValueError, AttributeError)):
        test(ProviderSuite(), broken())
