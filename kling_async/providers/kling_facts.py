"""Facts about Kling's own API: the meaning of its codes, and what it can do."""

from __future__ import annotations

from typing import Final

from ..types.capabilities import Capabilities, Repeat
from ..types.errors import (
    AuthenticationError,
    BadRequest,
    ContentRejected,
    InsufficientBalance,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
)
from ..types.sources import Certainty, Fact, Source
from .codec.errors import HTTP_ERRORS, ErrorRules
from .kling_rules import O1_PAGE, page

__all__ = ["CAPABILITIES", "ERRORS", "PACKAGE", "PROBABLY_REJECTED", "REJECTED"]

_AUTH = page("authentication", "kling-get-started-authentication", "api/get-started/authentication")
_SLOTS = page("concurrency rules", "kling-get-started-concurrency-rules", "api/get-started/concurrency-rules")
PACKAGE: Final = Source(
    Certainty.INFERRED,
    f"slots come with a resource package, 5 or 10 in the example; an image job occupies one per image: {_SLOTS.where}",
)
_CALLBACKS = page("callbacks", "kling-get-started-callbacks", "api/get-started/callbacks")
_COSTS = page("account usage", "kling-assets-account-usage", "api/assets/account-usage")
_LIVE = "https://github.com/aself101/kling-api"

ERRORS: Final = ErrorRules(
    errors={
        **HTTP_ERRORS,
        **dict.fromkeys(range(1000, 1005), AuthenticationError),
        1100: PermissionDenied,
        1101: InsufficientBalance,
        1102: InsufficientBalance,
        1103: PermissionDenied,
        **dict.fromkeys(range(1200, 1204), BadRequest),
        1300: ContentRejected,
        1301: ContentRejected,
        1302: RateLimited,
        1303: RateLimited,
        1304: PermissionDenied,
        **dict.fromkeys(range(5000, 5003), ProviderUnavailable),
    },
    outage_codes=(range(500, 1000), range(5000, 6000)),
    slot_codes=frozenset({"1303"}),
    # HTTP 429 is a rate, a number of slots, an empty account, or a forbidden address: only the code tells.
    deciding_codes=range(1000, 6000),
    # A failed task has no code; the text is seen in many clients.
    content_messages=("failure to pass the risk control system",),
)

REJECTED: Final[Fact[Repeat]] = Fact(
    "rejected", Source(Certainty.CLIENT, f"a second one with the same external_task_id was refused with 1201: {_LIVE}")
)
PROBABLY_REJECTED: Final[Fact[Repeat]] = Fact(
    "rejected",
    Source(Certainty.INFERRED, f"external_task_id must be unique; a refusal was seen for text-to-video only: {_LIVE}"),
)

CAPABILITIES: Final = Capabilities(
    repeat=PROBABLY_REJECTED,
    replay_seconds=Fact(
        None, Source(Certainty.UNDOCUMENTED, "a repeat is refused by its id, and never answered with the first task")
    ),
    cancel=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows a cancellation, and no status word means one")),
    upload=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows an upload; media are URLs or base64")),
    inline_media=Fact(True, O1_PAGE),
    webhook=Fact(True, _CALLBACKS),
    # Once the account has a Webhook Secret; before that, callbacks are unsigned.
    webhook_signature=Fact("standard_webhooks", _CALLBACKS),
    batch_poll=Fact(20, Source(Certainty.CLIENT, f"task_ids takes several; 21 were refused with 1201: {_LIVE}")),
    balance=Fact(True, _COSTS),
    quote=Fact(None, Source(Certainty.UNDOCUMENTED, "no page shows a price for an input that is not submitted")),
    over_limit=Fact("refuses", _SLOTS),
    output_ttl=Fact(30 * 86_400.0, O1_PAGE),
    failures_are_free=Fact(
        True, Source(Certainty.INFERRED, "deductions are those of results; no page shows one for a failure")
    ),
)
