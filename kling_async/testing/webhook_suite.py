"""The tests of `ProviderSuite` about webhooks: what an adapter that declares them has to believe, and what not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from attrs import evolve

from ..providers import Provider
from ..providers.spec import ModelSpec
from ..types.errors import Refused, UnexpectedReply
from ..types.prediction import Prediction, Status
from ..types.webhooks import InvalidWebhook, WebhookEvent
from .deliveries import WebhookDelivery, delivery_bodies, signed_delivery
from .least_inputs import least_input, scenes_of
from .random_responses import random_responses

__all__ = ["WebhookSuite"]

_NOW: Final = 1_800_000_000.0
_STALE: Final = 3600.0
"""Seconds that no provider's page accepts: the longest window that one has is five minutes."""
_URL: Final = "https://my.test/hooks/it"
_IDS: Final = ("an-id_1.x", "another-id")
_DOCUMENTS: Final = 200


class WebhookSuite:
    """Tests of deliveries. An adapter without the capability `webhook` passes them all.

    Override `webhook_body` for a form of its own, and `sign_webhook` for a signature of its own.
    """

    def webhook_body(self, provider: Provider, id: str) -> bytes:
        """Return the body of a delivery about the end of a prediction: the first usual form that the adapter reads."""
        word = next(word for word, status in provider.statuses.items() if status is Status.SUCCEEDED)
        for body in delivery_bodies(id, word):
            try:
                if provider.parse_webhook({}, body, secrets=(), now=_NOW).id == id:
                    return body
            except InvalidWebhook:
                continue
        raise AssertionError(f"{provider.name} reads no usual form of a delivery: override webhook_body")

    def sign_webhook(self, provider: Provider, body: bytes, *, at: float) -> WebhookDelivery:
        """Return a signed delivery; one without secrets where the adapter declares no signature."""
        kind = provider.capabilities.webhook_signature.value
        return WebhookDelivery(headers={}, body=body) if kind is None else signed_delivery(kind, body, at=at)

    def test_a_submission_names_the_url(self, provider: Provider) -> None:
        """Where an input takes a callback, its request has the URL; without the capability no input takes one."""
        taken = 0
        for spec, scene in scenes_of(provider):
            input = least_input(spec, scene)
            if provider.takes_callback(input):
                taken += 1
                request = provider.add_callback(provider.build_submit(input), _URL)
                assert _URL in unquote(f"{request.path} {request.body.decode()}"), f"{spec.name}, {scene}"
        assert (taken > 0) is (provider.capabilities.webhook.value is True)

    def test_a_signed_delivery_is_believed(self, provider: Provider) -> None:
        """The right signature is accepted, the id is that of the prediction, and what it brings is about that one."""
        for id in _ids(provider):
            event = self._parse(provider, self._delivery(provider, id))
            assert event.id == id
            assert event.signed is bool(self._delivery(provider, id).secrets)
            assert bool(event.delivery) is event.signed
            assert event.ended
            _check_replies(provider, event)

    def test_an_unsigned_delivery_proves_nothing(self, provider: Provider) -> None:
        """Without a secret, or without a documented signature, a delivery names the prediction and brings no result."""
        for id in _ids(provider):
            unsigned = evolve(self._delivery(provider, id), headers={}, secrets=())
            event = self._parse(provider, unsigned)
            assert (event.id, event.signed, event.delivery, event.replies) == (id, False, "", ())

    def test_a_changed_body_is_refused(self, provider: Provider) -> None:
        """A body that differs from the signed one is refused: by a space, or about another prediction."""
        for id in _ids(provider):
            signed = self._delivery(provider, id)
            other = self.webhook_body(provider, "another-prediction")
            for body in (signed.body + b" ", other):
                _refused(provider, evolve(signed, body=body))

    def test_an_old_delivery_is_refused(self, provider: Provider) -> None:
        """A delivery that was signed an hour ago, or is from the future, is refused: it may have been recorded."""
        for id in _ids(provider):
            for at in (_NOW - _STALE, _NOW + _STALE):
                _refused(provider, self.sign_webhook(provider, self.webhook_body(provider, id), at=at))

    def test_a_delivery_without_one_of_its_headers_is_refused(self, provider: Provider) -> None:
        """Each header of a signature is needed, and an empty one is none."""
        for id in _ids(provider):
            signed = self._delivery(provider, id)
            for name in signed.headers:
                _refused(provider, evolve(signed, headers=_without(signed.headers, name)))
                _refused(provider, evolve(signed, headers={**signed.headers, name: ""}))

    def test_another_secret_is_refused(self, provider: Provider) -> None:
        """What another account has signed is refused."""
        for id in _ids(provider):
            signed = self._delivery(provider, id)
            _refused(provider, evolve(signed, secrets=("whsec_YW5vdGhlcg==",) if signed.secrets else ()))

    def test_a_delivery_about_no_prediction_is_refused(self, provider: Provider) -> None:
        """A body without a proper id is refused although it is signed; so is one that is no JSON."""
        for id in _ids(provider):
            body = self.webhook_body(provider, id)
            for wrong in (b"", b"{}", b"[]", b"<html>", *_with_other_ids(body, id)):
                delivery = self.sign_webhook(provider, wrong, at=_NOW)
                try:
                    event = self._parse(provider, delivery)
                except InvalidWebhook:
                    continue
                raise AssertionError(f"{wrong!r} is taken as a delivery about {event.id!r}")

    def test_any_signed_delivery(self, provider: Provider) -> None:
        """Any signed body is an event with a safe id, or refused; its parser raises nothing else."""
        if not _ids(provider):
            return
        for response in random_responses(provider, seed=4, number=_DOCUMENTS):
            try:
                event = self._parse(provider, self.sign_webhook(provider, response.body, at=_NOW))
            except InvalidWebhook:
                continue
            assert event.id.isascii()
            assert "/" not in event.id
            _check_replies(provider, event)

    def _delivery(self, provider: Provider, id: str) -> WebhookDelivery:
        return self.sign_webhook(provider, self.webhook_body(provider, id), at=_NOW)

    def _parse(self, provider: Provider, delivery: WebhookDelivery) -> WebhookEvent:
        return provider.parse_webhook(delivery.headers, delivery.body, secrets=delivery.secrets, now=_NOW)


def _ids(provider: Provider) -> tuple[str, ...]:
    """Return ids of predictions to test with; none without the capability."""
    return _IDS if provider.capabilities.webhook.value is True else ()


def _refused(provider: Provider, delivery: WebhookDelivery) -> None:
    """Check that a delivery is refused, unless nothing could prove it."""
    if not delivery.secrets:
        return
    try:
        event = provider.parse_webhook(delivery.headers, delivery.body, secrets=delivery.secrets, now=_NOW)
    except InvalidWebhook:
        return
    raise AssertionError(f"{provider.name} believes {delivery.headers} about {event.id}")


def _without(headers: Mapping[str, str], name: str) -> dict[str, str]:
    return {one: value for one, value in headers.items() if one != name}


def _with_other_ids(body: bytes, id: str) -> tuple[bytes, ...]:
    """Return bodies whose ids are none: nothing, a number, a path, and several words."""
    quoted = f'"{id}"'.encode()
    return tuple(body.replace(quoted, other) for other in (b"null", b"7.5", b'"../../etc"', b'"a b"', b'""'))


def _check_replies(provider: Provider, event: WebhookEvent) -> None:
    """Check that a poll of this prediction could have brought what a delivery did."""
    assert event.signed or not event.replies
    if not event.replies:
        return
    for spec in provider.models.values():
        known = evolve(_prediction(provider, spec), id=event.id)
        try:
            found = provider.parse_poll(event.replies[-1], prediction=known)
        except (Refused, UnexpectedReply):
            continue
        assert (found.id, found.key, found.model) == (known.id, known.key, known.model)


def _prediction(provider: Provider, spec: ModelSpec) -> Prediction:
    return Prediction(
        provider=provider.name, model=spec.name, id="an-id_1.x", key="cat", status=Status.RUNNING, native_status="x"
    )
