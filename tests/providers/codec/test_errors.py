"""How a no is read: its kind, and how long it asks to wait."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kling_async.errors import (
    AuthenticationError,
    BadRequest,
    ContentRejected,
    InsufficientBalance,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    Refused,
)
from kling_async.providers import PROVIDERS
from kling_async.providers.codec.errors import ErrorRules, error_for, retry_after
from kling_async.types.http import HttpResponse

GUIDELINES = "Input may not meet the guidelines. Please adjust and try again."
Row = tuple[int, str | None, str | None, type[Refused]]
KINDS: list[Row] = [
    # by the HTTP status alone
    (400, None, None, BadRequest),
    (401, None, None, AuthenticationError),
    (402, None, None, InsufficientBalance),
    (403, None, None, PermissionDenied),
    (404, None, None, BadRequest),
    (405, None, None, BadRequest),
    (408, None, None, BadRequest),
    (409, None, None, BadRequest),
    (413, None, None, BadRequest),
    (415, None, None, BadRequest),
    (422, None, None, BadRequest),
    (425, None, None, BadRequest),
    (429, None, None, RateLimited),
    (500, None, None, ProviderUnavailable),
    (502, None, None, ProviderUnavailable),
    (503, None, None, ProviderUnavailable),
    (504, None, None, ProviderUnavailable),
    (599, None, None, ProviderUnavailable),
    (300, None, None, BadRequest),
    (307, None, None, BadRequest),
    (100, None, None, BadRequest),
    # an HTTP status that says something is believed before a code in the body
    (401, "403", "Insufficient balance", AuthenticationError),
    (404, "429", None, BadRequest),
    (429, "500", None, RateLimited),
    (500, "401", None, ProviderUnavailable),
    # 200 and 400 say nothing: the code in the body does
    *(
        (status, code, None, kind)
        for status in (200, 400)
        for code, kind in (
            ("400", BadRequest),
            ("401", AuthenticationError),
            ("402", InsufficientBalance),
            ("403", PermissionDenied),
            ("404", BadRequest),
            ("429", RateLimited),
            ("500", ProviderUnavailable),
            ("502", ProviderUnavailable),
            ("503", ContentRejected),
            ("504", ProviderUnavailable),
            ("1200", ContentRejected),
            ("1400", BadRequest),
            ("1401", BadRequest),
            ("1402", BadRequest),
            ("1403", ProviderUnavailable),
            ("1405", ProviderUnavailable),
            ("5000", ProviderUnavailable),
            ("5003", ProviderUnavailable),
            ("5004", ProviderUnavailable),
            ("1499", BadRequest),
            ("12", BadRequest),
            ("99999", BadRequest),
            ("invalid_request", BadRequest),
        )
    ),
    # 403 is a missing permission or an empty account, which only the words tell
    (403, "403", "Insufficient balance", InsufficientBalance),
    (403, None, "Your API key doesn't have permission", PermissionDenied),
    (403, None, "Not enough CREDITS left", InsufficientBalance),
    (403, None, "quota exceeded", InsufficientBalance),
    (403, None, "please top up", InsufficientBalance),
    (403, None, "please top-up", InsufficientBalance),
    (403, None, "account in arrears", InsufficientBalance),
    (403, None, "recharge first", InsufficientBalance),
    (403, None, "imbalanced request", PermissionDenied),
    (200, "403", "Insufficient balance", InsufficientBalance),
    # the content policy: its own code under 200 or 400, and its own words under anything
    (400, "503", "Content policy violation", ContentRejected),
    (422, "503", None, ContentRejected),
    (400, None, GUIDELINES, ContentRejected),
    (503, "503", GUIDELINES, ContentRejected),
    (503, "503", "Service Unavailable", ProviderUnavailable),
    (502, "1200", None, ProviderUnavailable),
]


GPTPROTO = PROVIDERS["gptproto"].error_rules


@pytest.mark.parametrize(("status", "code", "message", "kind"), KINDS)
def test_kinds(status: int, code: str | None, message: str | None, kind: type[Refused]) -> None:
    """A status, a code and a message together make one kind of refusal, which keeps them."""
    error = error_for(HttpResponse(status=status), provider="gptproto", rules=GPTPROTO, code=code, message=message)
    assert kind is type(error)
    assert (status, code, "gptproto") == (error.http_status, code, error.provider)
    assert f"The provider refused: {message or f'HTTP {status}'}" == error.message


def test_a_refusal_says_how_long_to_wait() -> None:
    """What the reply asks to wait is kept with the refusal."""
    reply = HttpResponse(status=429, headers={"Retry-After": "7"})
    assert 7.0 == error_for(reply, provider="gptproto", rules=GPTPROTO, code=None, message=None).retry_after


WAITS = [
    ("Request was throttled. Your rate limit resets in ~30s.", {}, 30.0),
    ("Request was throttled. Your rate limit resets in ~30s.", {"Retry-After": "7"}, 7.0),
    ("Request was throttled. Your rate limit resets in ~30s.", {"Retry-After": "soon"}, 30.0),
    ("It resets in ~9999999s", {}, None),
    ("Request was throttled.", {}, None),
    (None, {}, None),
]


@pytest.mark.parametrize(("message", "headers", "seconds"), WAITS)
def test_a_message_says_how_long_to_wait(message: str | None, headers: dict[str, str], seconds: float | None) -> None:
    """Where a provider says it in words, they count if there is no header that can be read."""
    rules = PROVIDERS["replicate"].error_rules
    reply = HttpResponse(status=429, headers=headers)
    assert seconds == error_for(reply, provider="replicate", rules=rules, code=None, message=message).retry_after
    assert ErrorRules().wait_seconds(message) is None


@pytest.mark.parametrize(
    ("message", "status", "kind"),
    [
        ("The input or output was flagged as sensitive. (E005)", 422, ContentRejected),
        ("ModelError: the output was Flagged as Potentially Sensitive", 400, ContentRejected),
        ("NSFW content detected", 200, ContentRejected),
        ("NSFW content detected", 500, ProviderUnavailable),
        ("flagged", 422, BadRequest),
    ],
)
def test_a_pattern_of_messages_means_the_content_policy(message: str, status: int, kind: type[Refused]) -> None:
    """It is found anywhere in a message, though not behind an outage, and only where a provider has one."""
    assert kind is PROVIDERS["replicate"].error_rules.error_type(None, message, status=status)
    assert ContentRejected is not ErrorRules().error_type(None, message, status=status)


# What GPTProto documents for itself, and what it means at a provider that says nothing of it.
ELSEWHERE: list[Row] = [
    (200, "503", "Content policy violation", ProviderUnavailable),
    (400, "503", None, ProviderUnavailable),
    (503, "503", GUIDELINES, ProviderUnavailable),
    (503, None, GUIDELINES, ProviderUnavailable),
    (400, None, GUIDELINES, BadRequest),
    *((200, code, None, ProviderUnavailable) for code in ("1200", "1400", "1403", "1499", "5004", "9999")),
    (403, None, "Invalid token", PermissionDenied),
    (403, None, "Insufficient balance", PermissionDenied),
    (200, "content_policy_violation", None, ContentRejected),
    (422, "moderation_blocked", None, ContentRejected),
    *((status, None, None, kind) for status, code, message, kind in KINDS if code is None and message is None),
]


@pytest.mark.parametrize(("status", "code", "message", "kind"), ELSEWHERE)
def test_words_of_one_provider_mean_nothing_at_another(
    status: int, code: str | None, message: str | None, kind: type[Refused]
) -> None:
    """Rules of a provider that documents none are those of HTTP: codes that are not its own refuse nothing."""
    assert kind is ErrorRules().error_type(code, message, status=status)


def test_each_provider_has_rules_of_its_own() -> None:
    """API in One knows none of GPTProto's codes and texts, and recognises an empty account by common words."""
    rules = PROVIDERS["apiinone"].error_rules
    assert ProviderUnavailable is rules.error_type("503", GUIDELINES, status=200)
    assert InsufficientBalance is rules.error_type(None, "Insufficient credits", status=403)
    assert PermissionDenied is rules.error_type(None, "Invalid token", status=403)


@pytest.mark.parametrize(
    ("code", "message", "status", "expected"),
    [
        ("503", None, 200, True),
        ("503", None, 400, True),
        ("503", None, 503, False),
        ("1200", None, 200, True),
        ("500", None, 200, False),
        (None, None, 400, False),
        (None, GUIDELINES.upper(), 503, True),
        (None, "We think the input may not meet the guidelines", 400, False),
    ],
)
def test_what_is_about_content(code: str | None, message: str | None, status: int, *, expected: bool) -> None:
    """Code 503 is about content only where the true status is not an outage; the documented words always are."""
    assert expected is GPTPROTO.is_about_content(code, message, status=status)


NOON = "Wed, 21 Oct 2026 12:00:00 GMT"
WAITS: dict[str, tuple[dict[str, str], float | None]] = {
    "nothing": ({}, None),
    "blank": ({"Retry-After": " "}, None),
    "zero": ({"Retry-After": "0"}, 0.0),
    "seconds": ({"retry-after": "5"}, 5.0),
    "seconds with blanks": ({"Retry-After": " 5 "}, 5.0),
    "a billion": ({"Retry-After": "1000000000"}, 1e9),
    "ten to the 400": ({"Retry-After": "1" + "0" * 400}, 1e12),
    "negative": ({"Retry-After": "-1"}, None),
    "a sign": ({"Retry-After": "+1"}, None),
    "a fraction": ({"Retry-After": "1.5"}, None),
    "1e9": ({"Retry-After": "1e9"}, None),
    "NaN": ({"Retry-After": "NaN"}, None),
    "inf": ({"Retry-After": "inf"}, None),
    "other digits": ({"Retry-After": "٣"}, None),
    "words": ({"Retry-After": "soon"}, None),
    "two headers": ({"Retry-After": "5, 7"}, 7.0),
    "two headers, one of nonsense": ({"Retry-After": "5, soon"}, None),
    "a date to come": ({"Retry-After": "Wed, 21 Oct 2026 12:00:30 GMT", "Date": NOON}, 30.0),
    "a date that is past": ({"Retry-After": "Wed, 21 Oct 2026 11:00:00 GMT", "Date": NOON}, 0.0),
    "a date, by a clock that is an hour slow": (
        {"Retry-After": "Wed, 21 Oct 2026 11:00:05 GMT", "Date": "Wed, 21 Oct 2026 11:00:00 GMT"},
        5.0,
    ),
    "a date far off": ({"Retry-After": "Wed, 21 Oct 2099 12:00:00 GMT", "Date": NOON}, 2303683200.0),
    "a date in another zone": ({"Retry-After": "Wed, 21 Oct 2026 14:00:30 +0200", "Date": NOON}, 30.0),
    "a date of no zone": ({"Retry-After": "Wed, 21 Oct 2026 12:00:30 -0000", "Date": NOON}, None),
    "a date beside none of the reply": ({"Retry-After": "Wed, 21 Oct 2026 12:00:30 GMT"}, None),
    "a date beside nonsense": ({"Retry-After": "Wed, 21 Oct 2026 12:00:30 GMT", "Date": "today"}, None),
    "a date that cannot be": ({"Retry-After": "Wed, 41 Oct 2026 12:00:30 GMT", "Date": NOON}, None),
    "a date in a year that cannot be": ({"Retry-After": "Wed, 21 Oct 99999 12:00:30 GMT", "Date": NOON}, None),
}


@pytest.mark.parametrize(("headers", "expected"), WAITS.values(), ids=list(WAITS))
def test_retry_after(headers: dict[str, str], expected: float | None) -> None:
    """Whole seconds and dates are read, a date against the reply's own; whatever else is said is ignored."""
    assert expected == retry_after(HttpResponse(status=429, headers=headers).headers)


@given(st.text() | st.from_regex(r"\A[A-Z][a-z]{2}, \d+ [A-Za-z]+ \d+ [\d:]+ [A-Z0-9+-]+\Z"), st.text())
@example("Mon, 01 Jan 0001 00:00:00 +2359", "Fri, 31 Dec 9999 23:59:59 -2359")
@example("01 Jan 2026 00:00:00 +99999999999999999999", NOON)
@example("Thu, 01 Jan 1970 00:00:00 --0000", NOON)
def test_retry_after_never_fails(text: str, date: str) -> None:
    """Whatever a server writes, the answer is None or a time that is not negative."""
    wait = retry_after({"retry-after": text, "date": date})
    assert wait is None or 0 <= wait < float("inf")
    wait = retry_after({"retry-after": text, "date": NOON})
    assert wait is None or 0 <= wait < float("inf")
