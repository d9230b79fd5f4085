"""Which failure may be repeated: the decision table, and how long to wait."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.errors import (
    AnswerLost,
    AuthenticationError,
    BadRequest,
    BudgetExceeded,
    ContentRejected,
    InputError,
    InsufficientBalance,
    JournalError,
    KlingError,
    NotSent,
    PermissionDenied,
    ProviderUnavailable,
    RateLimited,
    Refused,
    UnexpectedReply,
)
from kling_async.planning.retry import Action, Verdict, judge_poll, judge_submission, wait_before

REPEAT, GIVE_UP, UNCONFIRMED = Action.REPEAT, Action.GIVE_UP, Action.UNCONFIRMED


def status(kind: type[Refused], http_status: int, code: str | None = None) -> Refused:
    """Make a refusal."""
    return kind("no", http_status=http_status, code=code)


SUBMISSIONS: dict[str, tuple[KlingError, Verdict]] = {
    # nothing left: send again
    "connection refused": (NotSent("x", reason="refused"), Verdict(REPEAT, 5)),
    "connection timed out": (NotSent("x", reason="timeout"), Verdict(REPEAT, 5)),
    "no such host": (NotSent("x", reason="dns"), Verdict(REPEAT, 3)),
    "TLS failed": (NotSent("x", reason="tls"), Verdict(REPEAT, 1)),
    "not sent, for a reason of tomorrow": (NotSent("x", reason="proxy"), Verdict(REPEAT, 1)),
    # it left, and no answer came
    "no answer": (AnswerLost("x"), Verdict(UNCONFIRMED)),
    "2xx that cannot be read": (UnexpectedReply("x", http_status=200), Verdict(UNCONFIRMED)),
    # refused before the work
    "429": (status(RateLimited, 429), Verdict(REPEAT, 8)),
    "429 inside 200": (status(RateLimited, 200, "429"), Verdict(REPEAT, 8)),
    # refused for good
    **{str(http): (status(BadRequest, http), Verdict(GIVE_UP)) for http in (400, 404, 405, 413, 415, 422)},
    "bad parameters inside 200": (status(BadRequest, 200, "400"), Verdict(GIVE_UP)),
    "content inside 400": (status(ContentRejected, 400, "503"), Verdict(GIVE_UP)),
    "content inside 503": (status(ContentRejected, 503, "503"), Verdict(GIVE_UP)),
    "401": (status(AuthenticationError, 401), Verdict(GIVE_UP)),
    "402": (status(InsufficientBalance, 402), Verdict(GIVE_UP)),
    "403, permission": (status(PermissionDenied, 403), Verdict(GIVE_UP)),
    "403, balance": (status(InsufficientBalance, 403), Verdict(GIVE_UP)),
    "redirect": (status(BadRequest, 307), Verdict(GIVE_UP)),
    # a no that may come after the work was started
    **{str(http): (status(BadRequest, http), Verdict(UNCONFIRMED)) for http in (408, 409, 425)},
    "409 inside 200": (status(BadRequest, 200, "409"), Verdict(UNCONFIRMED)),
    "408 inside 400": (status(BadRequest, 400, "408"), Verdict(UNCONFIRMED)),
    "code 409 beside 422, which says no": (status(BadRequest, 422, "409"), Verdict(GIVE_UP)),
    # failures behind a gateway
    **{str(http): (status(ProviderUnavailable, http), Verdict(UNCONFIRMED)) for http in (500, 502, 503, 504)},
    "500 inside 200": (status(ProviderUnavailable, 200, "500"), Verdict(UNCONFIRMED)),
    # errors of our own
    "input": (InputError("x"), Verdict(GIVE_UP)),
    "budget": (BudgetExceeded("x"), Verdict(GIVE_UP)),
    "journal": (JournalError("x"), Verdict(GIVE_UP)),
}


@pytest.mark.parametrize(("error", "verdict"), SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_submissions(error: KlingError, verdict: Verdict) -> None:
    """A submission is repeated only where it certainly did not start; what may have started is UNCONFIRMED."""
    assert verdict == judge_submission(error)


@pytest.mark.parametrize(("error", "verdict"), SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_what_may_be_billed_is_never_repeated(error: KlingError, verdict: Verdict) -> None:
    """No error that says money may have been spent leads to a second payment."""
    assert not (error.may_be_billed and judge_submission(error).action is REPEAT)
    assert verdict.attempts < 10


ENDLESS = 1 << 30
POLLS: dict[str, tuple[KlingError, float, Action]] = {
    "no answer": (ProviderUnavailable("x"), 500.0, REPEAT),
    "cut short": (UnexpectedReply("x"), 0.0, REPEAT),
    "429": (status(RateLimited, 429), 0.0, REPEAT),
    **{str(http): (status(ProviderUnavailable, http), 500.0, REPEAT) for http in (500, 502, 503, 504)},
    "404 at once": (status(BadRequest, 404), 0.0, REPEAT),
    "404 after 59 s": (status(BadRequest, 404), 59.0, REPEAT),
    "404 after a minute": (status(BadRequest, 404), 60.0, GIVE_UP),
    "408": (status(BadRequest, 408), 500.0, REPEAT),
    "409": (status(BadRequest, 409), 500.0, REPEAT),
    "425": (status(BadRequest, 425), 500.0, REPEAT),
    "408 inside 200": (status(BadRequest, 200, "408"), 500.0, REPEAT),
    "400": (status(BadRequest, 400), 0.0, GIVE_UP),
    "410": (status(BadRequest, 410), 0.0, GIVE_UP),
    "401": (status(AuthenticationError, 401), 0.0, GIVE_UP),
    "403": (status(PermissionDenied, 403), 0.0, GIVE_UP),
    "402": (status(InsufficientBalance, 402), 0.0, GIVE_UP),
    "content": (status(ContentRejected, 400), 0.0, GIVE_UP),
    "input": (InputError("x"), 0.0, GIVE_UP),
}


@pytest.mark.parametrize(("error", "asked_for", "action"), POLLS.values(), ids=list(POLLS))
def test_polls(error: KlingError, asked_for: float, action: Action) -> None:
    """A poll is repeated after whatever can pass, and an unknown id for a minute, since it may not be known yet."""
    assert action is judge_poll(error, asked_for=asked_for).action


@pytest.mark.parametrize(
    "error", [UnexpectedReply("x"), status(RateLimited, 429), ProviderUnavailable("x"), status(BadRequest, 404)]
)
def test_polls_end_by_the_deadline_alone(error: KlingError) -> None:
    """No number of failed polls gives a paid prediction up."""
    assert judge_poll(error, asked_for=0.0).attempts >= ENDLESS


FAILURES = [NotSent("x"), UnexpectedReply("x"), status(ProviderUnavailable, 503), status(RateLimited, 429)]
dice = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 200), dice, st.sampled_from(FAILURES))
def test_waits_are_drawn_below_a_doubling_bound(tries: int, roll: float, error: KlingError) -> None:
    """Full jitter: each wait lies between 0 and 0.5, 1, 2 ... 30 seconds, at the share that the dice say."""
    assert min(0.5 * 2 ** (tries - 1), 30.0) * roll == wait_before(error, tries=tries, dice=roll)


@given(st.floats(0, 1e12), st.integers(1, 200), dice)
def test_what_the_provider_asks_is_a_floor(asked: float, tries: int, roll: float) -> None:
    """Jitter is added to Retry-After, never taken from it, which counts up to 300 seconds."""
    wait = wait_before(RateLimited("slow down", retry_after=asked), tries=tries, dice=roll)
    assert min(asked, 300.0) <= wait <= min(asked, 300.0) + min(0.5 * 2 ** (tries - 1), 30.0) * 0.1


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 0.25), (0.0, 0.025), (5.0, 5.025), (299.99, 300.015), (300.0, 300.025), (301.0, 300.025), (1e12, 300.025)],
)
def test_the_first_wait(asked: float | None, wait: float) -> None:
    """Without a word of the provider half a second is diced; with one, that is what counts."""
    assert wait == pytest.approx(wait_before(RateLimited("x", retry_after=asked), tries=1, dice=0.5))


def test_no_wait_is_longer_than_five_minutes_and_its_jitter() -> None:
    """Whatever the provider asks and however often it failed, a wait stays below 303 seconds."""
    longest = [wait_before(RateLimited("x", retry_after=1e12), tries=10**6, dice=1.0), 0.0]
    assert 303.0 == max(longest)
