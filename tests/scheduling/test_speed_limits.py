"""What holds the jobs of an account back: which limit, its value, and where that is from."""

from __future__ import annotations

import pytest
from attrs import evolve

from kling_async.errors import AnswerLost, NotSent, RateLimited
from kling_async.scheduling.learning import AccountLimits
from kling_async.scheduling.speed_limits import LimitOrigins, starting_limits
from kling_async.types.limits import LimitKind, LimitOrigin, Limits, SpeedLimit
from kling_async.types.prediction import Status
from kling_async.types.sources import Certainty, Source

from .conftest import EngineHarness, harness, prediction

READ, CONCLUDED = Source(Certainty.DOCUMENTED, "a page"), Source(Certainty.INFERRED, "an example")
NOTHING_KNOWN = AccountLimits()


def held(at: EngineHarness, now: float) -> tuple[LimitKind, float, LimitOrigin] | None:
    """Return what holds jobs back, with its value rounded."""
    limit = at.engine.speed_limit(now)
    return None if limit is None else (limit.kind, round(limit.value, 3), limit.origin)


def too_fast(*, retry_after: float | None = None, about_slots: bool = False) -> RateLimited:
    """Make a 429."""
    error = RateLimited("slow down", http_status=429, retry_after=retry_after)
    error.is_about_slots = about_slots
    return error


def test_nothing_holds_back_an_empty_queue_or_a_job_that_may_leave() -> None:
    """Without a job that waits there is no limit to name, and none for a job that a worker may take now."""
    at = harness(submit_per_second=1.0, submit_burst=1, max_open=1)
    assert held(at, 0.0) is None
    at.add("a")
    assert held(at, 0.0) is None
    at.submit(0.0)
    assert held(at, 0.0) is None


def test_the_rate_holds_a_job_back_until_its_turn() -> None:
    """Between two submissions it is the rate; when its turn has come it is nothing."""
    at = harness(submit_per_second=0.5, submit_burst=1)
    at.add("a")
    at.add("b")
    at.submit(0.0)
    assert (LimitKind.RATE, 0.5, LimitOrigin.USER) == held(at, 1.9)
    assert held(at, 2.0) is None


def test_the_slots_hold_a_job_back_until_one_is_free() -> None:
    """A job that does not fit is held back by the slots, whatever the rate would allow."""
    at = harness(max_open=1)
    ticket = at.accepted("a")
    at.add("b")
    assert (LimitKind.SLOTS, 1, LimitOrigin.USER) == held(at, 0.0)
    _, now = at.poll(0.0)
    at.answer_poll(ticket, prediction("a", Status.SUCCEEDED), now=now)
    assert held(at, now) is None


def test_submissions_in_flight_hold_a_job_back() -> None:
    """With as many submissions in flight as are allowed the next job waits for an answer."""
    at = harness(max_submitting=2)
    for key in "abc":
        at.add(key)
    first = at.submit(0.0)
    assert held(at, 0.0) is None
    at.submit(0.0)
    assert (LimitKind.SUBMITTING, 2, LimitOrigin.USER) == held(at, 0.0)
    at.answer_submit(first, prediction("a"), now=1.0)
    assert held(at, 1.0) is None


@pytest.mark.parametrize(
    ("asked", "origin", "left"), [(12.0, LimitOrigin.REQUESTED, 12.025), (None, LimitOrigin.BACKOFF, 0.25)]
)
def test_a_pause_says_whether_the_provider_asked_for_it(asked: float | None, origin: LimitOrigin, left: float) -> None:
    """After a 429 it is a pause with the seconds that are left, and then the rate, which is lower for a while."""
    at = harness(submit_per_second=10.0, submit_burst=1)
    at.add("a")
    at.answer_submit(at.submit(0.0), too_fast(retry_after=asked), now=0.0)
    pause = at.engine.speed_limit(0.0)
    assert pause is not None
    assert (LimitKind.PAUSE, origin) == (pause.kind, pause.origin)
    assert left == pytest.approx(pause.value, abs=1e-3)
    assert (LimitKind.RATE, 7.0, LimitOrigin.SLOWED) == held(at, pause.value)


def test_a_shorter_pause_does_not_rename_a_longer_one() -> None:
    """Of two pauses the one that ends last is the one that is named."""
    at = harness(max_submitting=2)
    at.add("a")
    at.add("b")
    first, second = at.submit(0.0), at.submit(0.0)
    at.answer_submit(first, too_fast(retry_after=60.0), now=1.0, sent_at=0.0)
    at.answer_submit(second, too_fast(), now=1.1, sent_at=0.0)
    limit = at.engine.speed_limit(2.0)
    assert limit is not None
    assert LimitOrigin.REQUESTED is limit.origin


def test_lost_answers_are_named() -> None:
    """After three lost answers the pause, and then the one submission at a time, are said to be their consequence."""
    at = harness()
    for key in "abcde":
        at.add(key)
    for number in range(3):
        at.answer_submit(at.submit(float(number)), AnswerLost("gone"), now=float(number))
    pause = at.engine.speed_limit(2.0)
    assert pause is not None
    assert (LimitKind.PAUSE, LimitOrigin.LOST_ANSWERS) == (pause.kind, pause.origin)
    at.submit(2.0 + pause.value)
    assert (LimitKind.SUBMITTING, 1, LimitOrigin.LOST_ANSWERS) == held(at, 2.0 + pause.value)


def test_a_job_that_waits_for_its_own_next_try_is_held_back_by_no_limit() -> None:
    """An unreachable provider is no limit; the events say that it could not be reached."""
    at = harness(submit_per_second=1.0, submit_burst=1)
    at.add("a")
    at.answer_submit(at.submit(0.0), NotSent("no route", reason="refused"), now=0.0)
    assert held(at, 0.1) is None


def test_a_withdrawn_job_is_held_back_by_nothing() -> None:
    """A job that left the queue without being submitted does not count as waiting."""
    at = harness(max_open=1)
    at.accepted("a")
    ticket = at.add("b")
    at.deliver(at.engine.withdraw(ticket, at.received.append, now=0.0))
    assert held(at, 0.0) is None


@pytest.mark.parametrize(("source", "origin"), [(READ, "documented"), (CONCLUDED, "a guess"), (None, "a guess")])
def test_a_default_is_documented_or_guessed(source: Source | None, origin: str) -> None:
    """Without limits of the user's a default is named by its source: only a page of the provider's documents it."""
    sources = {} if source is None else {LimitKind.RATE: source}
    at = harness(submit_per_second=1.0, submit_burst=1, known=NOTHING_KNOWN, sources=sources)
    at.add("a")
    at.add("b")
    at.submit(0.0)
    assert (LimitKind.RATE, 1.0, LimitOrigin(origin)) == held(at, 0.5)


def test_a_rate_that_learns_says_so() -> None:
    """A rate that was raised is rising until a refusal, from which on it is learned."""
    at = harness(submit_per_second=2.0, submit_burst=1, known=NOTHING_KNOWN)
    for number in range(12):
        at.add(str(number))
    now, origins = 0.0, list[LimitOrigin]()
    for _ in range(6):
        now = at.engine.submit_at(now)
        at.answer_submit(at.submit(now), prediction("a"), now=now)
        limit = at.engine.speed_limit(now)
        assert limit is not None
        origins.append(limit.origin)
    assert [LimitOrigin.GUESSED, LimitOrigin.RISING] == list(dict.fromkeys(origins))
    now = at.engine.submit_at(now)
    at.answer_submit(at.submit(now), too_fast(), now=now)
    now += 60.0
    at.answer_submit(at.submit(now), prediction("a"), now=now)
    at.submit(now)  # what was saved up meanwhile is spent
    limit = at.engine.speed_limit(now)
    assert limit is not None
    assert (LimitKind.RATE, at.engine.learned.per_second, LimitOrigin.LEARNED) == (
        limit.kind,
        pytest.approx(limit.value),
        limit.origin,
    )


def test_slots_that_learn_say_so() -> None:
    """Slots are a guess at first, rise while jobs wait for them, and are learned from a refusal."""
    at = harness(max_open=1, known=NOTHING_KNOWN)
    for number in range(6):
        at.add(str(number))
    first = at.submit(0.0)
    assert (LimitKind.SLOTS, 1, LimitOrigin.GUESSED) == held(at, 0.0)
    at.answer_submit(first, prediction("a"), now=0.1, sent_at=0.0)
    second = at.submit(0.2)
    assert (LimitKind.SLOTS, 2, LimitOrigin.RISING) == held(at, 0.2)
    at.answer_submit(second, too_fast(about_slots=True), now=0.3, sent_at=0.2)
    assert (LimitKind.SLOTS, 1, LimitOrigin.LEARNED) == held(at, 60.0)


def test_a_known_limit_is_learned_from_the_start() -> None:
    """What an earlier client has learned is not called a guess."""
    at = harness(max_open=50, known=AccountLimits(slots=1))
    at.accepted("a")
    at.add("b")
    assert (LimitKind.SLOTS, 1, LimitOrigin.LEARNED) == held(at, 0.0)


def test_a_budget_of_polls_that_delays_results_is_named() -> None:
    """With many more predictions than polls, results and free slots are found late: that is the limit."""
    at = harness(poll_per_second=0.5, max_open=200)
    for number in range(200):
        at.accepted(str(number))
    at.add("last")
    assert (LimitKind.SLOTS, 200, LimitOrigin.USER) == held(at, 0.0)
    now = 0.0
    for _ in range(800):
        ticket, now = at.poll(now)
        at.answer_poll(ticket, prediction(ticket.key), now=now)
    assert (LimitKind.POLLS, 0.5, LimitOrigin.USER) == held(at, now)


def test_polls_without_a_limit_hold_nothing_back() -> None:
    """No budget of polls is named where polls have none."""
    at = harness(max_open=1)
    ticket = at.accepted("a")
    at.add("b")
    taken, now = at.poll(0.0)
    assert taken is ticket
    at.answer_poll(ticket, prediction("a"), now=now)
    assert (LimitKind.SLOTS, 1, LimitOrigin.USER) == held(at, now)


def test_the_limits_of_a_start_are_told_with_their_origins() -> None:
    """What was learned comes before the settings, unless the user has set them; what is not limited is left out."""
    limits = Limits(submit_per_second=2.0, max_open=None, poll_per_second=20.0, max_submitting=8)
    origins = LimitOrigins(provider="x", set_by_user=False, sources={LimitKind.POLLS: READ, LimitKind.RATE: CONCLUDED})
    known = AccountLimits(slots=7)

    def told(origins: LimitOrigins, known: AccountLimits) -> list[str]:
        return [str(limit) for limit in starting_limits(limits, origins, known=known)]

    assert ["2.0/s: a guess", "7 slots: learned", "8 submitting: a guess", "20.0 polls/s: documented"] == told(
        origins, known
    )
    assert ["2.0/s: a guess", "8 submitting: a guess", "20.0 polls/s: documented"] == told(origins, NOTHING_KNOWN)
    yours = evolve(origins, set_by_user=True)
    assert ["2.0/s: your limit", "8 submitting: your limit", "20.0 polls/s: your limit"] == told(yours, known)


@pytest.mark.parametrize(
    ("kind", "value", "origin", "text"),
    [
        (LimitKind.RATE, 2 / 60, LimitOrigin.DOCUMENTED, "2.0/min: documented"),
        (LimitKind.SLOTS, 1, LimitOrigin.USER, "1 slot: your limit"),
        (LimitKind.SUBMITTING, 1, LimitOrigin.LOST_ANSWERS, "1 submitting: after lost answers"),
        (LimitKind.POLLS, 0.5, LimitOrigin.USER, "30.0 polls/min: your limit"),
        (LimitKind.PAUSE, 11.2, LimitOrigin.REQUESTED, "asked to wait 12 s"),
        (LimitKind.PAUSE, 0.2, LimitOrigin.BACKOFF, "1 s after a 429"),
    ],
)
def test_a_limit_is_one_short_clause(kind: LimitKind, value: float, origin: LimitOrigin, text: str) -> None:
    """A limit is written with its unit and its origin, and a pause with the whole seconds that are left."""
    assert text == str(SpeedLimit(provider="x", kind=kind, value=value, origin=origin))
