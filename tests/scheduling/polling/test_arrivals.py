"""How polls thin out while webhooks arrive, and come back once one is missing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_async.scheduling.polling.arrivals import Arrivals, patience
from kling_async.scheduling.polling.durations import DurationModel
from kling_async.scheduling.ticket import Ticket
from kling_async.types.prediction import Status

from ..conftest import VIDEO, EngineHarness, harness, prediction


@pytest.mark.parametrize(
    ("arrived", "weight"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.2), (4, 1 / 6), (8, 0.1), (48, 0.02), (10_000, 0.02)]
)
def test_a_second_of_delay_counts_by_the_chance_of_a_loss(arrived: int, weight: float) -> None:
    """After three webhooks in a row it is 1 / (r + 2) by the rule of succession, and never below a fiftieth."""
    arrivals = Arrivals()
    for _ in range(arrived):
        arrivals.arrived()
    assert math.isclose(weight, arrivals.weight)


@pytest.mark.parametrize(("age", "seconds"), [(0.0, 1.0), (30.0, 1.0), (100.0, 3.0), (600.0, 18.0)])
def test_a_webhook_is_expected_for_a_while(age: float, seconds: float) -> None:
    """It may come a second, or 3 % of the prediction's age, after the end: about as late as a poll is."""
    assert math.isclose(seconds, patience(age))


def proved() -> Arrivals:
    arrivals = Arrivals()
    for _ in range(20):
        arrivals.arrived()
    return arrivals


def test_a_missing_webhook_brings_the_polls_back() -> None:
    """A prediction that a poll finds finished, and whose webhook does not follow in time, ends the trust at once."""
    arrivals = proved()
    arrivals.expect("a", age=60.0, now=100.0)
    due = 100.0 + patience(60.0)
    assert due == arrivals.due_at()
    assert not arrivals.give_up(due - 0.1)
    assert arrivals.give_up(due)
    assert (1.0, math.inf) == (arrivals.weight, arrivals.due_at())


def test_a_webhook_that_is_a_little_late_counts_as_one_that_arrives() -> None:
    """A poll may find the end a moment before the webhook says it: that is no loss."""
    arrivals = proved()
    before = arrivals.weight
    arrivals.expect("a", age=60.0, now=100.0)
    arrivals.arrived_after("a")
    arrivals.arrived_after("a")
    assert math.isclose(1 / (1 / before + 1), arrivals.weight)
    assert math.inf == arrivals.due_at()
    assert not arrivals.give_up(1000.0)


def test_every_20th_prediction_is_polled_as_without_webhooks() -> None:
    """A few predictions show, by polls as dense as ever, whether webhooks still come as early as they did."""
    at = at_work()
    for _ in range(60):
        at.engine._polls._policy.arrivals.arrived()
    due = [first_poll(at, str(number), webhook=True) for number in range(40)]
    plain = first_poll(at, "plain", webhook=False)
    assert [19, 39] == [number for number, one in enumerate(due) if one == plain]
    controls = at.engine._polls._policy._controls
    assert 2 == len(controls)
    for ticket in list(controls):
        at.deliver(at.engine.webhooks.told(ticket, prediction(ticket.key, Status.SUCCEEDED), 40.0))
    assert not controls


steps = st.lists(st.tuples(st.sampled_from(["arrived", "expect", "after", "give up"]), st.floats(0.0, 100.0)))


@given(steps)
def test_polls_never_end(taken: list[tuple[str, float]]) -> None:
    """Whatever happens, the weight stays above 0, is 1 until three have arrived since the last loss, and then falls."""
    arrivals, now, run, awaited = Arrivals(), 0.0, 0, dict[str, float]()
    for number, (step, seconds) in enumerate(taken):
        now += seconds
        weight = arrivals.weight
        if step == "arrived":
            arrivals.arrived()
            run += 1
        elif step == "expect":
            arrivals.expect(str(number), age=10.0, now=now)
            awaited[str(number)] = now + 1.0
        elif step == "after" and awaited:
            id = next(iter(awaited))
            del awaited[id]
            arrivals.arrived_after(id)
            run += 1
        elif step == "give up":
            lost = [id for id, at in awaited.items() if at <= now]
            run = 0 if lost else run
            assert (bool(lost) and weight < 1.0) is arrivals.give_up(now)
            for id in lost:
                del awaited[id]
        assert 0.02 <= arrivals.weight <= 1.0
        assert (run < 3) is (arrivals.weight == 1.0)


def at_work(number: int = 40) -> EngineHarness:
    """Return an engine that knows how long videos take: 40 s, more or less."""
    durations = DurationModel()
    for age in range(number):
        durations.observe_start(VIDEO)
        durations.observe_completion(VIDEO, after=35.0 + age / 4, by=35.5 + age / 4)
    at = harness(durations=durations)
    at.engine.webhooks.expect(0.0)
    return at


def first_poll(at: EngineHarness, key: str, *, webhook: bool) -> float:
    """Return the time of the planned first poll of a new prediction."""
    policy = at.engine._polls._policy
    ticket = at.accepted(key, now=0.0, work_kind=VIDEO, webhook=webhook)
    ticket.poll_at = None
    due = policy._due_at(ticket, policy._price.price)
    assert due is not None
    return due


def test_the_plan_is_thinned_for_predictions_with_a_webhook_only() -> None:
    """Once webhooks arrive, those that ask for one are polled late, and all others as before."""
    at = at_work()
    before = first_poll(at, "a", webhook=False)
    assert before == first_poll(at, "b", webhook=True)
    for _ in range(60):
        at.engine._polls._policy.arrivals.arrived()
    assert before == first_poll(at, "c", webhook=False)
    assert before < first_poll(at, "d", webhook=True) < 200.0


def test_a_lost_webhook_rekeys_what_waits() -> None:
    """When a webhook is missing, predictions that wait for their late poll are polled as without webhooks."""
    at = at_work()
    for _ in range(60):
        at.engine._polls._policy.arrivals.arrived()
    tickets = [at.accepted(f"v{number}", now=0.0, work_kind=VIDEO, webhook=True) for number in range(20)]
    for ticket in tickets:
        ticket.poll_at = None
    at.engine._polls._policy._queue.rekey_all()
    ticket, now = at.poll(0.0)
    late = at.engine.poll_at(now)
    assert late >= now
    at.answer_poll(ticket, prediction(ticket.key, Status.SUCCEEDED), now=now)
    again = at.engine.poll_at(now)
    assert again <= now + patience(now)
    second, soon = at.poll(now)
    assert second is not ticket
    assert soon <= now + patience(now) + 1.0


def hinted(at: EngineHarness, ticket: Ticket, now: float) -> list[bool]:
    return [at.engine.webhooks.poll_soon(one, now) for one, _ in at.engine.webhooks.announced(f"id-{ticket.key}")]


def test_a_hint_is_polled_at_once_and_leaves_the_plan_alone() -> None:
    """A hint makes one more poll due now; the planned one follows at its own time."""
    at = at_work()
    ticket = at.accepted("a", now=0.0, work_kind=VIDEO)
    planned = at.engine.poll_at(0.0)
    assert [True] == hinted(at, ticket, 0.1)
    assert 0.1 == at.engine.poll_at(0.1)
    assert ticket is at.engine.take_poll(0.1)
    assert [False] == hinted(at, ticket, 0.1)
    at.engine._polls.hints._polls[ticket] = 6
    at.answer_poll(ticket, prediction("a"), now=0.2)
    assert at.engine.poll_at(0.2) >= planned - 1e-9
    assert ticket is at.poll(0.2)[0]
    assert math.inf == at.engine.poll_at(60.0)
    at.answer_poll(ticket, prediction("a", Status.SUCCEEDED), now=60.0)
    assert ticket.closed


def test_a_webhook_that_overtakes_the_answer_to_its_submission_is_kept() -> None:
    """A webhook about an id that is not known yet makes a poll due as soon as the submission is answered."""
    at = at_work()
    assert () == at.engine.webhooks.announced("id-a")
    ticket = at.accepted("a", now=1.0, work_kind=VIDEO)
    assert 1.0 == at.engine.poll_at(1.0)
    assert ticket is at.engine.take_poll(1.0)


def test_the_memory_of_unknown_ids_is_bounded() -> None:
    """However many ids are made up, a thousand are kept."""
    at = at_work()
    for number in range(1500):
        at.engine.webhooks.announced(f"made-up-{number}")
    assert 1000 == len(at.engine._polls.hints._early)


def test_nothing_is_kept_of_a_job_that_has_ended() -> None:
    """Ended or dropped, by a webhook or a poll, a job leaves nothing behind."""
    at = at_work()
    hints = at.engine._polls.hints
    told, polled, dropped = (at.accepted(key, now=0.0, work_kind=VIDEO) for key in ("told", "polled", "dropped"))
    for ticket in (told, polled, dropped):
        hinted(at, ticket, 0.0)
    at.deliver(at.engine.webhooks.told(told, prediction("told", Status.SUCCEEDED), 0.5))
    taken = at.engine.take_poll(0.5)
    assert taken is polled
    at.answer_poll(polled, prediction("polled", Status.SUCCEEDED), now=0.6)
    at.engine._polls.drop(dropped)
    assert at.engine.take_poll(1000.0) is None
    assert ({}, {}, set(), set()) == (hints._by_id, hints._polls, hints._planned, hints._in_flight)


def test_jobs_that_are_polled_already_are_found() -> None:
    """A receiver that is made later, or after a restart, finds the jobs that are in flight by then."""
    at = harness()
    ticket = at.accepted("a", now=0.0)
    at.engine._deadlines.add(ticket, 500.0)
    assert () == at.engine.webhooks.announced("id-a")
    at.engine.webhooks.expect(1.0)
    assert [(ticket, "id-a")] == [(one, known.id) for one, known in at.engine.webhooks.announced("id-a")]
