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
from kling_async.scheduling.retry import (
    backoff_delay,
    is_account_wide,
    max_submit_attempts,
    may_have_started,
    may_retry_poll,
)
from kling_async.types.prediction import Status

from .conftest import harness, prediction


def status(kind: type[Refused], http_status: int, code: str | None = None) -> Refused:
    """Make a refusal."""
    return kind("no", http_status=http_status, code=code)


def unknown_id() -> BadRequest:
    """Return a refusal of a poll that says in words of its own that the id is unknown."""
    error = BadRequest("no", http_status=400, code="1201")
    error.is_unknown_id = True
    return error


SURELY_NOT, MAYBE = False, True
"""Whether the provider may have started a submission with such an error."""
SUBMISSIONS: dict[str, tuple[KlingError, bool, int]] = {
    # nothing left: send again
    "connection refused": (NotSent("x", reason="refused"), SURELY_NOT, 5),
    "connection timed out": (NotSent("x", reason="timeout"), SURELY_NOT, 5),
    "no such host": (NotSent("x", reason="dns"), SURELY_NOT, 3),
    "TLS failed": (NotSent("x", reason="tls"), SURELY_NOT, 1),
    "not sent, for a reason of tomorrow": (NotSent("x", reason="proxy"), SURELY_NOT, 1),
    # it left, and no answer came
    "no answer": (AnswerLost("x"), MAYBE, 1),
    "2xx that cannot be read": (UnexpectedReply("x", http_status=200), MAYBE, 1),
    # refused before the work
    "429": (status(RateLimited, 429), SURELY_NOT, 8),
    "429 inside 200": (status(RateLimited, 200, "429"), SURELY_NOT, 8),
    # refused for good
    **{str(http): (status(BadRequest, http), SURELY_NOT, 1) for http in (400, 404, 405, 413, 415, 422)},
    "bad parameters inside 200": (status(BadRequest, 200, "400"), SURELY_NOT, 1),
    "content inside 400": (status(ContentRejected, 400, "503"), SURELY_NOT, 1),
    "content inside 503": (status(ContentRejected, 503, "503"), SURELY_NOT, 1),
    "401": (status(AuthenticationError, 401), SURELY_NOT, 1),
    "402": (status(InsufficientBalance, 402), SURELY_NOT, 1),
    "403, permission": (status(PermissionDenied, 403), SURELY_NOT, 1),
    "403, balance": (status(InsufficientBalance, 403), SURELY_NOT, 1),
    "redirect": (status(BadRequest, 307), SURELY_NOT, 1),
    # a no that may come after the work was started
    **{str(http): (status(BadRequest, http), MAYBE, 1) for http in (408, 409, 425)},
    "409 inside 200": (status(BadRequest, 200, "409"), MAYBE, 1),
    "408 inside 400": (status(BadRequest, 400, "408"), MAYBE, 1),
    "code 409 beside 422, which says no": (status(BadRequest, 422, "409"), SURELY_NOT, 1),
    # failures behind a gateway
    **{str(http): (status(ProviderUnavailable, http), MAYBE, 1) for http in (500, 502, 503, 504)},
    "500 inside 200": (status(ProviderUnavailable, 200, "500"), MAYBE, 1),
    # errors of our own
    "input": (InputError("x"), SURELY_NOT, 1),
    "budget": (BudgetExceeded("x"), SURELY_NOT, 1),
    "journal": (JournalError("x"), SURELY_NOT, 1),
}


@pytest.mark.parametrize(("error", "started", "attempts"), SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_submissions(error: KlingError, started: bool, attempts: int) -> None:
    """A submission is repeated only where it certainly did not start; what may have started is UNCONFIRMED."""
    assert (started, attempts) == (may_have_started(error), max_submit_attempts(error))


@pytest.mark.parametrize(("error", "started", "attempts"), SUBMISSIONS.values(), ids=list(SUBMISSIONS))
def test_what_may_be_billed_is_never_repeated(error: KlingError, started: bool, attempts: int) -> None:
    """No error that says money may have been spent, or that the work may have started, leads to a second payment."""
    assert not ((error.may_be_billed or started) and max_submit_attempts(error) > 1)
    assert attempts < 10


REPEAT, GIVE_UP = True, False
POLLS: dict[str, tuple[KlingError, float, bool]] = {
    "no answer": (ProviderUnavailable("x"), 500.0, REPEAT),
    "cut short": (UnexpectedReply("x"), 0.0, REPEAT),
    "429": (status(RateLimited, 429), 0.0, REPEAT),
    **{str(http): (status(ProviderUnavailable, http), 500.0, REPEAT) for http in (500, 502, 503, 504)},
    "404 at once": (status(BadRequest, 404), 0.0, REPEAT),
    "404 after 59 s": (status(BadRequest, 404), 59.0, REPEAT),
    "404 after a minute": (status(BadRequest, 404), 60.0, GIVE_UP),
    "an unknown id at once": (unknown_id(), 0.0, REPEAT),
    "an unknown id after a minute": (unknown_id(), 60.0, GIVE_UP),
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


@pytest.mark.parametrize(("error", "age", "repeated"), POLLS.values(), ids=list(POLLS))
def test_polls(error: KlingError, age: float, repeated: bool) -> None:
    """A poll is repeated after every error that can pass, and an unknown id for a minute: it may be too new."""
    assert repeated is may_retry_poll(error, age=age)


@pytest.mark.parametrize(
    "error", [UnexpectedReply("x"), status(RateLimited, 429), ProviderUnavailable("x"), status(BadRequest, 404)]
)
def test_polls_end_by_the_deadline_alone(error: KlingError) -> None:
    """No number of failed polls gives a paid prediction up."""
    at = harness()
    ticket = at.accepted()
    for _ in range(1000):
        at.answer_poll(ticket, error, now=1.0)
    assert not ticket.closed
    assert ticket is at.poll(1.0)[0]
    at.answer_poll(ticket, prediction("a", Status.SUCCEEDED), now=2.0)
    assert ticket.closed


FAILURES = [NotSent("x"), UnexpectedReply("x"), status(ProviderUnavailable, 503), status(RateLimited, 429)]
randoms = st.floats(0, 1, exclude_max=True)


@given(st.integers(1, 200), randoms, st.sampled_from(FAILURES))
def test_waits_are_drawn_below_a_doubling_bound(failures: int, random: float, error: KlingError) -> None:
    """Full jitter: each wait lies between 0 and 0.5, 1, 2 ... 30 seconds, at the share that the random number says."""
    assert min(0.5 * 2 ** (failures - 1), 30.0) * random == backoff_delay(error, failures=failures, random=random)


@given(st.floats(0, 1e12), st.integers(1, 200), randoms)
def test_what_the_provider_asks_is_a_floor(asked: float, failures: int, random: float) -> None:
    """Jitter is added to Retry-After, never taken from it, which counts up to 300 seconds."""
    wait = backoff_delay(RateLimited("slow down", retry_after=asked), failures=failures, random=random)
    assert min(asked, 300.0) <= wait <= min(asked, 300.0) + min(0.5 * 2 ** (failures - 1), 30.0) * 0.1


@pytest.mark.parametrize(
    ("asked", "wait"),
    [(None, 0.25), (0.0, 0.025), (5.0, 5.025), (299.99, 300.015), (300.0, 300.025), (301.0, 300.025), (1e12, 300.025)],
)
def test_the_first_wait(asked: float | None, wait: float) -> None:
    """Without a word of the provider half a second is drawn from; with one, that is what counts."""
    assert wait == pytest.approx(backoff_delay(RateLimited("x", retry_after=asked), failures=1, random=0.5))


def test_no_wait_is_longer_than_five_minutes_and_its_jitter() -> None:
    """Whatever the provider asks and however often it failed, a wait stays below 303 seconds."""
    longest = [backoff_delay(RateLimited("x", retry_after=1e12), failures=10**6, random=1.0), 0.0]
    assert 303.0 == max(longest)


ACCOUNT_WIDE: list[tuple[KlingError | None, bool]] = [
    (None, False),
    (status(AuthenticationError, 401), True),
    (status(PermissionDenied, 403), True),
    (status(InsufficientBalance, 402), True),
    (NotSent("x", reason="dns"), True),
    (NotSent("x", reason="tls"), True),
    (NotSent("x", reason="refused"), False),
    (status(ContentRejected, 400), False),
    (AnswerLost("x"), False),
]


@pytest.mark.parametrize(("error", "expected"), ACCOUNT_WIDE)
def test_some_errors_would_meet_every_job(error: KlingError | None, expected: bool) -> None:
    """A refused account, an unknown host and a bad certificate are not the fault of one job."""
    assert expected is is_account_wide(error)
