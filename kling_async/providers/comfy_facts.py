"""Facts about Comfy Router that are not about one model."""

from __future__ import annotations

from typing import Final

from ..types.capabilities import Capabilities
from ..types.sources import Certainty, Fact, Source

__all__ = ["CAPABILITIES", "ESTIMATES", "model_page"]

_DOCS: Final = "https://docs.comfy.org/development/comfy-router"
_QUEUE = Source(Certainty.DOCUMENTED, f"queued requests: {_DOCS}/queue")
_LIMITATIONS = Source(Certainty.DOCUMENTED, f"capabilities and limits: {_DOCS}/limitations")

ESTIMATES: Final = Source(
    Certainty.DOCUMENTED,
    "/estimate: https://docs.comfy.org/api-reference/router/comfy-router/"
    "price-a-model-call-before-running-it-without-running-it",
)


def model_page(model: str) -> Source:
    """Return the source of a fact on the page of a model."""
    return Source(Certainty.DOCUMENTED, f"{model}: {_DOCS}/models/kling/{model.replace('.', '-')}/code")


CAPABILITIES: Final = Capabilities(
    repeat=Fact(
        "replayed",
        Source(Certainty.DOCUMENTED, f"a retry with the same key returns the original handle: {_DOCS}/queue"),
    ),
    replay_seconds=Fact(
        86_400.0, Source(Certainty.DOCUMENTED, f"kept for 24 hours, and a retry does not extend that: {_DOCS}/errors")
    ),
    cancel=Fact(True, _QUEUE),
    # Uploads are among what needs another API of Comfy's.
    upload=Fact(False, _LIMITATIONS),
    inline_media=Fact(True, model_page("kling-image-4.0")),
    webhook=Fact(False, _QUEUE),
    webhook_signature=Fact(None, Source(Certainty.UNDOCUMENTED, "there are no webhooks, and so no signatures")),
    batch_poll=Fact(1, _QUEUE),
    balance=Fact(False, _LIMITATIONS),
    quote=Fact(True, ESTIMATES),
    # Over the number of calls that run at once a submission waits; over a number of waiting ones it is refused.
    over_limit=Fact(
        "queues",
        Source(
            Certainty.DOCUMENTED,
            "queue_backlog_full in spec/router-openapi.yaml: https://github.com/Comfy-Org/comfy-typescript-sdk",
        ),
    ),
    output_ttl=Fact(86_400.0, Source(Certainty.DOCUMENTED, f"results are kept for 24 hours: {_DOCS}/queue")),
    failures_are_free=Fact(
        None,
        Source(
            Certainty.UNDOCUMENTED,
            f"billed when the model's provider bills Comfy, which is said of no failure: {_DOCS}/billing",
        ),
    ),
)
