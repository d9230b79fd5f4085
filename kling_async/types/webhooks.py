"""Webhooks: what a delivery says about a prediction, and what became of it."""

from __future__ import annotations

from enum import StrEnum

from attrs import frozen

from .http import HttpResponse

__all__ = ["InvalidWebhook", "WebhookAction", "WebhookEvent", "WebhookResult"]


class InvalidWebhook(ValueError):
    """A delivery that is not taken: its signature is wrong or stale, or its body cannot be read.

    Attributes:
        status: the HTTP status to answer.
    """

    def __init__(self, problem: str, *, status: int) -> None:
        super().__init__(problem)
        self.status = status


@frozen(kw_only=True)
class WebhookEvent:
    """One delivery, as its provider's adapter reads it.

    Attributes:
        id: the id of the prediction.
        signed: whether a signature proves that it is from the provider.
        delivery: the id of the delivery, under which it may be repeated; empty where nothing proves it.
        ended: whether it may be about the end of the prediction, and not only about its progress.
        replies: the replies that a poll of the prediction would bring: one, or a status and a result. None of them
            where a poll tells more, and where nothing is proved.
    """

    id: str
    signed: bool
    delivery: str = ""
    ended: bool = True
    replies: tuple[HttpResponse, ...] = ()


class WebhookAction(StrEnum):
    """What a delivery has led to."""

    FINISHED = "finished"
    """It was taken as the result of the prediction, as that of a poll would be."""
    POLLING = "polling"
    """The prediction is polled next, to confirm it."""
    NOTED = "noted"
    """Nothing is to be done: the prediction goes on, or was polled enough because of earlier deliveries."""
    REPEATED = "repeated"
    """The same delivery came before."""
    UNKNOWN = "unknown"
    """No such prediction is in flight: it has finished before, or is another program's."""
    REFUSED = "refused"
    """It is not authentic, too old, too long, or cannot be read; or no provider has this name."""
    UNAVAILABLE = "unavailable"
    """It cannot be judged at present: the client is closed, or the provider's public keys cannot be read."""


@frozen(kw_only=True)
class WebhookResult:
    """The answer to a delivery.

    Attributes:
        status: the HTTP status to answer. A provider repeats a delivery that is not answered with 2xx.
        action: what the delivery has led to.
        reason: why it was refused; empty elsewhere. It never repeats what was received.
    """

    status: int
    action: WebhookAction
    reason: str = ""
