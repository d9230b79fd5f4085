"""Whether a claim may still be used, by the client's own clock: the lease, the token, and who has the claim."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from attrs import define

from kling_async import NotSent
from kling_async.journal.gate import Claim
from kling_async.journal.permits import Permits
from kling_async.testing.journal_samples import sample
from kling_async.types.gate import SharedAccount

ACCOUNT = SharedAccount(provider="example", origin="https://api.example", key_hash="abc")
CLAIM = Claim(submission=sample().sent(2.0), account=ACCOUNT, slots=1, slot_seconds=600.0, max_cost=Decimal(1))


@define
class Clock:
    """A clock that is set by hand."""

    at: float = 100.0

    def __call__(self) -> float:
        return self.at


def granted(clock: Clock) -> tuple[Permits, Callable[[], None]]:
    """Grant a claim at the present time, by a client whose lease of 30 s was renewed just now."""
    permits = Permits(name="postgresql://host/kling (run spring)", lease_seconds=30.0, now=clock)
    permits.worker = 7
    permits.renewed(clock())
    permits.grant(CLAIM, at=clock())
    return permits, permits.take(CLAIM)


def refusal(check: Callable[[], None]) -> str:
    """Return why a submission must not leave."""
    with pytest.raises(NotSent) as caught:
        check()
    assert ("late", "cat", "example") == (caught.value.reason, caught.value.key, caught.value.provider)
    assert not caught.value.may_be_billed
    assert "run spring" in str(caught.value)
    assert "Nothing reached the provider" in str(caught.value)
    return caught.value.message


def test_a_token_is_good_for_two_seconds() -> None:
    """Until then the submission may leave; later it would leave beside those of the tokens after it."""
    clock = Clock()
    _, check = granted(clock)
    clock.at += 2.0
    check()
    clock.at += 0.1
    assert "Its turn ended 0.1 s ago" in refusal(check)


@pytest.mark.parametrize(("passed", "told"), [(20.5, "has 9.5 s left"), (31.0, "has ended")])
def test_nothing_leaves_in_the_last_third_of_a_lease(passed: float, told: str) -> None:
    """A lease of 30 s is good for 20 s after its renewal was sent, and each renewal begins it anew."""
    clock = Clock()
    permits, _ = granted(clock)
    clock.at += 19.5
    permits.grant(CLAIM, at=clock())
    permits.take(CLAIM)()
    clock.at += passed - 19.5
    permits.grant(CLAIM, at=clock())
    check = permits.take(CLAIM)
    assert told in refusal(check)
    permits.renewed(clock())
    check()


def test_a_renewal_that_is_told_late_does_not_shorten_a_lease() -> None:
    """The newest renewal counts, whichever is reported last."""
    clock = Clock()
    permits, check = granted(clock)
    permits.renewed(clock() - 25.0)
    check()


def test_a_claim_of_a_worker_that_was_removed_is_void() -> None:
    """A client that has come back as another worker sends nothing that it claimed as the one before."""
    permits, check = granted(Clock())
    permits.worker = 8
    assert "claim was released" in refusal(check)


def test_a_claim_is_used_once() -> None:
    """What was taken, or dropped since it was not granted in the end, allows nothing."""
    permits, check = granted(Clock())
    check()
    assert "claim was released" in refusal(permits.take(CLAIM))
    permits.grant(CLAIM, at=100.0)
    permits.drop(CLAIM)
    assert "claim was released" in refusal(permits.take(CLAIM))


def test_a_repeat_under_an_idempotency_key_needs_the_lease_and_no_token() -> None:
    """A look-up that repeats a submission leaves whenever the lease allows it."""
    clock = Clock()
    permits, _ = granted(clock)
    permits.own("cat", 1)
    check = permits.of_lookup(CLAIM.submission)
    clock.at += 10.0
    check()
    clock.at += 11.0
    assert "too little to submit a job" in refusal(check)


def test_a_repeat_is_of_the_worker_that_has_the_submission() -> None:
    """A client that was removed repeats nothing that another one may have taken over, or that was never its own."""
    permits, _ = granted(Clock())
    assert "claim was released" in refusal(permits.of_lookup(CLAIM.submission))
    permits.own("cat", 1)
    permits.of_lookup(CLAIM.submission)()
    permits.worker = 8
    assert "claim was released" in refusal(permits.of_lookup(CLAIM.submission))


def test_a_decision_to_repeat_does_not_outlive_a_lease() -> None:
    """A lease that is renewed beside a program that stands still does not let an old decision out."""
    clock = Clock()
    permits, _ = granted(clock)
    permits.own("cat", 1)
    check = permits.of_lookup(CLAIM.submission)
    clock.at += 31.0
    permits.renewed(clock())
    assert "Its turn ended 1.0 s ago" in refusal(check)
